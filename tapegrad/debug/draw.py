"""The tape as a drawing: SVG, the DOT of Graphviz, or Mermaid."""

from __future__ import annotations

import os
from typing import Any

from tapegrad.debug.folding import Graph, folded
from tapegrad.debug.names import Names, place
from tapegrad.debug.notes import notes_of
from tapegrad.debug.svg import label, svg, title

SHAPES = {"entry": "box", "leaf": "ellipse", "constant": "plaintext"}


class Drawing(str):
    """The text of a drawing; a notebook shows an SVG."""

    def _repr_svg_(self) -> str | None:
        return str(self) if self.startswith("<svg") else None


def draw(source: Any, path: str | os.PathLike[str] | None = None, format: str | None = None, fold: bool = True,
         constants: bool = False) -> Drawing:
    """A drawing of a tape or a trace, as text, written to the file `path` if it is given.

    format      "svg", "dot" or "mermaid"; by default from the path's extension, or "svg"
    fold        draw entries recorded by the same call, such as the time steps of a loop, as one node (needs a trace)
    constants   also draw operands that do not require a gradient

    Red dashed edges come from the previous time step. Raises ValueError for another format.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> loss = tg.sum(x * x)
    >>> print(tg.tape().draw(format="mermaid"))
    flowchart TD
      n0["z1 = multiply<br/>2"]
      n1["loss = sum<br/>number"]
      n2(["x<br/>2"])
      n2 --> n0
      n0 --> n1
    <BLANKLINE>
    """
    if format is None:
        ending = os.path.splitext(path)[1].lower() if path is not None else ".svg"
        format = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".md": "mermaid"}.get(ending)
    writers = {"svg": svg, "dot": dot, "mermaid": mermaid}
    if format not in writers:
        raise ValueError(f"draw: expected the format svg, dot or mermaid, or a path with .svg, .dot or .mmd; got {format!r}, "
                         f"{path!r}")
    notes = notes_of(source)
    text = Drawing(writers[format](folded(notes, Names(notes), place, fold, constants)))
    if path is not None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return text


def dot(graph: Graph) -> str:
    """The graph in Graphviz's DOT."""
    number = {node: f"n{i}" for i, node in enumerate(graph.nodes)}
    lines = ["digraph tape {", "  node [fontname=monospace, fontsize=10];"]
    for node in graph.nodes:
        text = "\\n".join(_quoted(line) for line in label(node))
        lines.append(f'  {number[node]} [label="{text}", shape={SHAPES[node.kind]}, tooltip="{_quoted(title(node))}"];')
    for (start, end), back in graph.edges.items():
        how = " [style=dashed, color=red, constraint=false]" if back else ""
        lines.append(f"  {number[start]} -> {number[end]}{how};")
    return "\n".join([*lines, "}", ""])


def mermaid(graph: Graph) -> str:
    """The graph in Mermaid, which GitHub renders."""
    number = {node: f"n{i}" for i, node in enumerate(graph.nodes)}
    opened = {"entry": '["{}"]', "leaf": '(["{}"])', "constant": '{{{{"{}"}}}}'}
    lines = ["flowchart TD"]
    for node in graph.nodes:
        text = "<br/>".join(line.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;") for line in label(node))
        lines.append(f"  {number[node]}{opened[node.kind].format(text)}")
    for (start, end), back in graph.edges.items():
        lines.append(f"  {number[start]} {'-.->' if back else '-->'} {number[end]}")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
