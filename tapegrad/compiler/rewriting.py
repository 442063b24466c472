"""How passes make a graph anew: node by node, or with groups of nodes computed together.

Nodes are not changed. What is the same stays the same node; the rest is made again, operands first, so that serial numbers
order the new graph, too.
"""

from tapegrad.graph import Graph
from tapegrad.primitives.node import Node


def with_operands(node, operands):
    """The node with other operands of the same shapes and dtypes."""
    if all([x is y for x, y in zip(operands, node.operands)]):
        return node
    return Node(node.row, tuple(operands), node.static, node.shape, node.dtype)


def mapped(graph, change):
    """The graph with change(node, its new operands) in the place of each node."""
    new = {}
    for node in graph.nodes:
        new[node] = change(node, [new.get(x, x) if isinstance(x, Node) else x for x in node.operands])
    return _graph(graph, new)


def _graph(graph, new):
    outputs = [new.get(node, node) for node in graph.outputs]
    names = {}
    for node, name in graph.names.items():
        if isinstance(at := new.get(node, node), Node):
            names.setdefault(at, name)
    made = Graph(graph.inputs, outputs)
    alive = {*made.nodes, *made.inputs}
    made.names = {node: name for node, name in names.items() if node in alive}
    return made


class Group:
    """Nodes that are computed together.

    members    the nodes
    operands   all nodes that have to be there before
    build      a function of {node: its new node}, which returns {member: its new node}
    """

    def __init__(self, members, operands, build):
        self.members, self.operands, self.build = members, operands, build


def regrouped(graph, groups):
    """The graph with the groups computed together. A group one of whose operands depends on one of its members would depend
    on itself: such groups are left out."""
    while True:
        of = {node: group for group in groups for node in group.members}
        new, cyclic = _emitted(graph, of)
        if cyclic is None:
            return _graph(graph, new)
        groups = [group for group in groups if group not in cyclic]


def _emitted(graph, of):
    """({node: its new node}, None), or ({}, the groups on a cycle). Depth first, without recursion."""
    new, inputs, entered, path = {}, set(graph.inputs), set(), []
    for start in graph.nodes:
        waiting = [(of.get(start, start), False)]
        while waiting:
            unit, ready = waiting.pop()
            group = unit if isinstance(unit, Group) else None
            if (group.members[0] if group else unit) in new:
                continue
            if ready:
                path.pop()
                if group:
                    new.update(group.build(new))
                else:
                    new[unit] = with_operands(unit, [new.get(x, x) if isinstance(x, Node) else x for x in unit.operands])
                continue
            if unit in entered:
                start = next(i for i, x in enumerate(path) if x is unit)        # x == y of nodes is a node
                return {}, {x for x in path[start:] if isinstance(x, Group)}
            entered.add(unit)
            path.append(unit)
            waiting.append((unit, True))
            for x in group.operands if group else unit.operands:
                if isinstance(x, Node) and x not in inputs and x not in new:
                    waiting.append((of.get(x, x), False))
    return new, None
