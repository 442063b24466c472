"""Draws the flowcharts of the texts, in Mermaid's notation, as SVG: by tapegrad's own drawing of graphs, without JavaScript."""

import re
from graphlib import TopologicalSorter

from tapegrad.debug.folding import Graph, Node
from tapegrad.debug.svg import svg

NODE = re.compile(r'^ *(\w+)\["([^"<]+)(?:<br>([^"]+))?"\]$', re.MULTILINE)
EDGE = re.compile(r"^ *(\w+) --> (\w+)$", re.MULTILINE)


def drawn(text):
    """The SVG of a flowchart of nodes `name["text<br>more"]` and edges `a --> b`, each a above all of its b."""
    nodes = {name: Node("entry", first, "", more) for name, first, more in NODE.findall(text)}
    edges = EDGE.findall(text)
    above = {name: {a for a, b in edges if b == name} for name in nodes}
    for name in TopologicalSorter(above).static_order():
        nodes[name].depth = max([nodes[a].depth + 1 for a in above[name]], default=0)
    return svg(Graph(list(nodes.values()), {(nodes[a], nodes[b]): False for a, b in edges}))
