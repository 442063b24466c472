"""A layered drawing in SVG, generated as text: a row per depth, each node near its neighbours, edges as curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from tapegrad.debug.folding import Graph, Node

HEIGHT, GAP_X, GAP_Y, CHARACTER, MARGIN, BEND = 40, 18, 34, 6.7, 16, 4
MOST_BENDS = 20000              # with more, edges are straight lines behind the nodes
STYLE = """
text { font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1b1f24 }
.small { fill: #57606a; font-size: 10px }
rect { stroke: #57606a; stroke-width: 1; rx: 5 } .entry { fill: #ddf4ff } .leaf { fill: #fff8c5 } .constant { fill: #f6f8fa }
path { fill: none; stroke: #57606a; stroke-width: 1 } .back { stroke: #cf222e; stroke-dasharray: 4 3 }
"""


def svg(graph: Graph) -> str:
    """The text of the drawing."""
    width = {node: max(len(line) for line in label(node)) * CHARACTER + 16 for node in graph.nodes}
    ahead = [edge for edge, back in graph.edges.items() if not back]
    bent = sum(end.depth - start.depth for start, end in ahead) < MOST_BENDS
    chains: dict[Any, Sequence[Any]] = {edge: _chain(*edge) if bent else edge for edge in ahead}
    by_depth: dict[int, list[Any]] = {}
    for node in [*graph.nodes, *(bend for chain in chains.values() for bend in chain[1:-1])]:
        by_depth.setdefault(node.depth, []).append(node)
    layers = [by_depth[depth] for depth in sorted(by_depth)]
    x = _places(layers, chains.values(), width)
    y = {node: MARGIN + row * (HEIGHT + GAP_Y) for row, layer in enumerate(layers) for node in layer}
    left = min((x[node] - width.get(node, BEND) / 2 for node in x), default=0) - MARGIN
    right = max((x[node] + width.get(node, BEND) / 2 for node in x), default=0) + MARGIN
    parts = [_path("ahead", _down(chain, x, y)) for chain in chains.values()]
    backs = sorted((edge for edge, back in graph.edges.items() if back), key=lambda edge: edge[0].depth - edge[1].depth)
    lanes: dict[Node, int] = {}
    for start, end in backs:                            # down, around the right side, and up; a lane per start node
        out = right + 10 * lanes.setdefault(start, len(lanes))
        x1, y1, x2, y2 = x[start], y[start] + HEIGHT, x[end] + 8, y[end]
        parts.append(_path("back", f"M{x1:.0f},{y1} C{x1:.0f},{y1 + 26} {out:.0f},{y1 + 26} {out:.0f},{y1 - 8} "
                                   f"L{out:.0f},{y2} C{out:.0f},{y2 - 26} {x2:.0f},{y2 - 26} {x2:.0f},{y2 - 2}"))
    for node in graph.nodes:
        first, *rest = label(node)
        parts.append(f'<g><title>{escape(title(node))}</title><rect class="{node.kind}" x="{x[node] - width[node] / 2:.0f}" '
                     f'y="{y[node]}" width="{width[node]:.0f}" height="{HEIGHT}"/>')
        parts.append(f'<text x="{x[node]:.0f}" y="{y[node] + 17}" text-anchor="middle">{escape(first)}</text>')
        parts += [f'<text class="small" x="{x[node]:.0f}" y="{y[node] + 31}" text-anchor="middle">{escape(line)}</text></g>'
                  for line in rest]
    full = right - left + 10 * len(lanes) + (MARGIN if lanes else 0)
    height = len(layers) * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN + (20 if lanes else 0)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} -12 {full:.0f} {height}" width="{full:.0f}" '
            f'height="{height}"><style>{STYLE}</style><defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" '
            f'markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" style="fill:#57606a;stroke:none"/>'
            f'</marker></defs><rect style="fill:#fff;stroke:none" x="{left:.0f}" y="-12" width="{full:.0f}" '
            f'height="{height}"/>{"".join(parts)}</svg>\n')


class _Bend:
    """The point at which an edge passes a layer between those of its ends."""

    def __init__(self, depth: int) -> None:
        self.depth = depth


def _chain(start: Node, end: Node) -> list[Any]:
    return [start, *(_Bend(depth) for depth in range(start.depth + 1, end.depth)), end]


def _down(chain: Sequence[Any], x: Mapping[Any, float], y: Mapping[Any, int]) -> str:
    """The path of an edge through its bends."""
    at, low = x[chain[0]], y[chain[0]] + HEIGHT
    path = f"M{at:.0f},{low}"
    for node in chain[1:]:
        to, top = x[node], y[node]
        path += f" C{at:.0f},{low + GAP_Y / 2:.0f} {to:.0f},{top - GAP_Y / 2:.0f} {to:.0f},{top - 2 * (node is chain[-1])}"
        at, low = to, top + HEIGHT
        if node is not chain[-1]:
            path += f" L{at:.0f},{low}"
    return path


def _path(kind: str, d: str) -> str:
    return f'<path class="{kind}" d="{d}" marker-end="url(#arrow)"/>'


def label(node: Node) -> tuple[str, str]:
    """The two lines of a node: its text and its shape."""
    times = f" × {node.count}" if node.count > 1 else ""
    return " = ".join(filter(None, [node.name, node.text])) + times, node.shapes


def title(node: Node) -> str:
    """The tooltip of a node."""
    return " ".join(filter(None, [*label(node), node.place]))


def _places(layers: Sequence[Sequence[Any]], chains: Iterable[Sequence[Any]], width: Mapping[Any, float]) -> dict[Any, float]:
    """The x of the centre of every node: in a few rounds, the mean of its neighbours, then spread without overlaps."""
    near: dict[Any, list[Any]] = {node: [] for layer in layers for node in layer}
    for chain in chains:
        for above, below in zip(chain, chain[1:]):
            near[above].append(below)
            near[below].append(above)
    x: dict[Any, float] = {}
    for layer in layers:
        _spread(layer, {node: i for i, node in enumerate(layer)}, width, x)
    for sweep in range(12):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wish = {node: sum(x[other] for other in near[node]) / len(near[node]) if near[node] else x[node] for node in layer}
            _spread(sorted(layer, key=wish.__getitem__), wish, width, x)
    return x


def _spread(layer: Sequence[Any], wish: Mapping[Any, float], width: Mapping[Any, float], x: dict[Any, float]) -> None:
    """Place the nodes of a layer near their wishes, in order, without overlaps; the mean position is the mean wish."""
    position: list[float] = []
    for i, node in enumerate(layer):
        least = position[-1] + (width.get(layer[i - 1], BEND) + width.get(node, BEND)) / 2 + GAP_X if i else wish[node]
        position.append(max(wish[node], least))
    shift = sum(wish[node] - at for node, at in zip(layer, position)) / len(layer)
    x.update({node: at + shift for node, at in zip(layer, position)})
