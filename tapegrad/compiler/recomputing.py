"""Recomputation instead of storage: values of the forward sweep that the reverse sweep computes again.

What the outputs need is cut into segments, in the order in which it is computed. Of a segment stays what later segments read.
What only the reverse sweep reads is computed again from that, by copies of the nodes, one segment at a time and as late as
can be (fusion.Schedule): so memory is needed for what stays and for one segment, and the time of one forward sweep more. The
last segment, which the reverse sweep reads first, is kept as it is. The bits are the same: a copy computes what its node does.
Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 12.
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate

from tapegrad.compiler.fusion import PYTHON, kind_of, reads
from tapegrad.compiler.rewriting import with_operands
from tapegrad.compiler.text import is_condition
from tapegrad.graph import Graph
from tapegrad.graph.graph import reached
from tapegrad.primitives.node import Node

TINY = 64               # bytes of a value that is kept
NEAR = 0.4              # of a segment: so far from the middle it may be cut


def recomputed(graph, count, segments):
    """(the graph, the copies in it): the values that its outputs from `count` on read of what the first ones need are computed
    again, but for those of the last of so many segments."""
    early = set(reached(graph.outputs[:count], graph.inputs))
    order = [node for node in graph.nodes if node in early]
    segment, kept = _segments(order, segments), {*graph.inputs, *graph.outputs[:count]}
    kept |= {x for x in order if segment[x] == segments - 1 or not _can_be_copied(x)}
    kept |= {x for node in order for x in reads(node) if x in segment and segment[x] < segment[node] and not is_condition(x)}
    new = {}

    def copy(x):
        """The copy of a node, and of what it needs that is not kept. Without recursion: chains are long."""
        waiting = [x]
        while waiting:
            node = waiting[-1]
            missing = [y for y in node.operands if y in early and y not in kept and y not in new] if node not in new else []
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if node not in new:
                new[node] = Node(node.row, tuple([new.get(y, y) if isinstance(y, Node) else y for y in node.operands]),
                                 node.static, node.shape, node.dtype)
                copies.add(new[node])
        return new[x]

    copies = set()
    for node in graph.nodes:
        if node not in early:
            operands = [copy(x) if isinstance(x, Node) and x in early and x not in kept else new.get(x, x)
                        if isinstance(x, Node) else x for x in node.operands]
            new[node] = with_operands(node, operands)
    outputs = [*graph.outputs[:count], *[copy(z) if z in early and z not in kept else new.get(z, z)
                                         for z in graph.outputs[count:]]]
    return Graph(graph.inputs, outputs), copies


def _segments(order, segments):
    """{node: the number of its segment}, which have about the same number of bytes, and are cut where least is read across."""
    last = {x: at for at, node in enumerate(order) for x in reads(node)}
    change = [0] * (len(order) + 1)
    for at, x in enumerate(order):
        change[at + 1] += _nbytes(x)
        change[last.get(x, at) + 1] -= _nbytes(x)
    crossing = list(accumulate(change))                 # before each node
    sizes, cuts = list(accumulate([_nbytes(node) for node in order])), [0]
    for k in range(1, segments):
        low, high = [bisect_left(sizes, sizes[-1] * (k + part) / segments) for part in (-NEAR, NEAR)]
        cuts.append(min(range(max(low, cuts[-1]), max(high, cuts[-1]) + 1), key=lambda at: crossing[min(at, len(order) - 1)]))
    return {node: bisect_right(cuts, at) - 1 for at, node in enumerate(order)}


def _nbytes(node):
    return node.size * node.dtype.itemsize


def _can_be_copied(node):
    """What the program computes itself: rows that Python runs may be a user's. A condition has no place of its own."""
    return is_condition(node) or _nbytes(node) > TINY and kind_of(node) != PYTHON
