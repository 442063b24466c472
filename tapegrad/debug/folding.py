"""The tape as a folded graph: the entries that a loop records repeatedly are one node.

Entries are folded if they were recorded by the same call: the same instruction in every frame between the trace and the
operation. So the time steps of a loop become one node, and so do layers that a loop iterates over, while two layers called
from two places remain two. Without a trace the calls are not known, and nothing is folded.

A back edge, to a node whose first entry comes earlier, comes from the previous step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tapegrad.core.entry import Leaf
from tapegrad.debug.names import Names
from tapegrad.debug.notes import Constant, Note


@dataclass(eq=False)
class Node:
    """Entries (or a leaf or constant) that are drawn as one."""

    kind: str                       # "entry", "leaf" or "constant"
    name: str
    text: str                       # the operation, or empty
    shapes: str
    place: str = ""
    count: int = 1
    depth: int = 0
    members: list[Note] = field(default_factory=list)


@dataclass(eq=False)
class Graph:
    nodes: list[Node]
    edges: dict[tuple[Node, Node], bool]    # (start, end): whether it is a back edge


def folded(notes: list[Note], names: Names, place: Callable[[Note], str], fold: bool = True, constants: bool = False) -> Graph:
    """The folded Graph of the notes."""
    nodes: dict[Any, Node] = {}
    of: dict[Any, Node] = {}
    edges: dict[tuple[Node, Node], bool] = {}
    for note in notes:
        key = (note.site, note.g, tuple(note.static)) if fold and note.site is not None else note
        node = nodes.get(key)
        if node is None:
            node = nodes[key] = Node("entry", names(note), note.g, "", place(note))
        else:
            node.count += 1
        node.members.append(note)
        of[note] = node
    for note in notes:
        for y in note.ys:
            if type(y) is Leaf or (constants and type(y) is Constant):
                if y not in of:
                    of[y] = nodes[y] = Node("leaf" if type(y) is Leaf else "constant", names(y), "", _shape(y.shape))
            elif type(y) is Note and y not in of:
                of[y] = nodes[y] = Node("constant", names(y), f"{y.g}, recorded before", _shape(y.shape))
    for node in nodes.values():
        if node.kind == "entry":
            node.shapes = span(_shape(note.shape) for note in node.members)
            if node.count > 1:
                node.name = span(filter(None, map(names.plain.get, node.members)))
    rank = {node: i for i, node in enumerate(nodes.values())}
    for note in notes:
        for y in note.ys:
            if type(y) in (Note, Leaf, Constant) and y in of:
                start, end = of[y], of[note]
                if (start, end) not in edges:
                    edges[start, end] = start.kind == "entry" and rank[start] >= rank[end]
    into: dict[Node, list[Node]] = {}
    out_of: dict[Node, list[Node]] = {}
    for (start, end), back in edges.items():
        if start.kind == "entry" and not back:
            into.setdefault(end, []).append(start)
        out_of.setdefault(start, []).append(end)
    for node in nodes.values():
        if node.kind == "entry":
            node.depth = 1 + max((start.depth for start in into.get(node, ())), default=0)
    for node in nodes.values():     # leaves are placed right above their first use
        if node.kind != "entry":
            node.depth = min(end.depth for end in out_of[node]) - 1
    return Graph(list(nodes.values()), edges)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "number"


def span(texts: Iterable[str]) -> str:
    """`h`, or `W_i .. W_c` if there are several."""
    first, *rest = dict.fromkeys(texts) or [""]
    return f"{first} .. {rest[-1]}" if rest else first
