"""A graph: what is computed from what, as nodes."""

from tapegrad.primitives.node import Node


class Graph:
    """Nodes between inputs and outputs.

    inputs    nodes whose values are given
    outputs   nodes whose values are wanted
    nodes     those between, which the outputs need, each after its operands
    names     {node: its name}; a node need not have one
    """

    __slots__ = ("inputs", "outputs", "nodes", "names")

    def __init__(self, inputs, outputs, names=None):
        self.inputs, self.outputs, self.names = list(inputs), list(outputs), names or {}
        self.nodes = reached(self.outputs, self.inputs)

    def __str__(self):
        """A line per node: `z3 = tanh(z2)`."""
        names = dict(self.names)
        for number, node in enumerate(self.nodes, start=1):
            names.setdefault(node, f"n{number}")
        return "\n".join([f"{names[node]} = {node.row.name}({', '.join([shown(x, names) for x in node.operands])})"
                          for node in self.nodes])


def shown(x, names):
    return names.get(x, "?") if isinstance(x, Node) else repr(x) if not hasattr(x, "shape") else f"<{x.dtype} {x.shape}>"


def operands_of(node):
    return [x for x in node.operands if isinstance(x, Node)]


def reached(outputs, inputs=()):
    """The nodes that the outputs depend on, in the order in which they were made, without the inputs."""
    seen, waiting = set(inputs), [*outputs]
    found = []
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            found.append(node)
            waiting += operands_of(node)
    return sorted(found, key=lambda node: node.serial)
