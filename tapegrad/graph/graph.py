"""A graph of a computation."""

from collections import Counter

from tapegrad.errors import describe
from tapegrad.primitives.node import Node


class Graph:
    """The nodes between inputs and outputs.

    inputs    nodes whose values are given when it is run
    outputs   nodes whose values it computes
    nodes     the nodes that the outputs depend on, without the inputs, each after its operands
    names     {node: its name}; names are optional
    """

    __slots__ = ("inputs", "outputs", "nodes", "names")

    def __init__(self, inputs, outputs, names=None):
        self.inputs, self.outputs, self.names = list(inputs), list(outputs), names or {}
        self.nodes = reached(self.outputs, self.inputs)

    def __str__(self):
        """A line per node: `z3 = tanh(z2)`. A row with a `body` is followed by its text."""
        names = dict(self.names)
        for letter, group in ("x", self.inputs), ("z", self.nodes):
            for number, node in enumerate(group, start=1):
                names.setdefault(node, f"{letter}{number}")

        def shown(x):
            return names[x] if isinstance(x, Node) else describe(x) if hasattr(x, "shape") else repr(x)

        lines = []
        for node in self.nodes:
            lines.append(f"{names[node]} = {node.row.name}({', '.join(map(shown, (*node.operands, *node.static)))})")
            if hasattr(node.row, "body"):
                lines += ["    " + line for line in str(node.row).splitlines()]
        return "\n".join(lines)


def operands_of(node):
    return [x for x in node.operands if isinstance(x, Node)]


def uses_of(graph):
    """How often each node is an operand, or an output."""
    return Counter([*graph.outputs, *[x for node in graph.nodes for x in operands_of(node)]])


def reached(outputs, inputs=()):
    """The nodes that the outputs depend on, without the inputs, in the order of their creation."""
    seen, waiting = set(inputs), [*outputs]
    found = []
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            found.append(node)
            waiting += operands_of(node)
    return sorted(found, key=lambda node: node.serial)
