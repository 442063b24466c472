"""Recomputation instead of storage: values of the forward sweep that the reverse sweep computes again.

`spared`, always: what takes next to no time. Elementwise values of others that are kept, if nothing else that is kept depends
on them element by element, as the states of a recurrence do; and inputs, concatenated. In an LSTM h = o tanh(c) and tanh(c)
are computed from o and c, just before the deltas are written over these.

`recomputed`, under a budget of memory. What the outputs need is cut into segments, in the order in which it is computed. Of a
segment stays what later segments read. What only the reverse sweep reads is computed again from that, by copies of the nodes,
one segment at a time and as late as can be (fusion.Schedule): so memory is needed for what stays and for one segment, and the
time of one forward sweep more. The last segment, which the reverse sweep reads first, is kept as it is. The bits are the same:
a copy computes what its node does.
Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 12.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from itertools import accumulate

from tapegrad.compiler.fusion import JOIN, KERNEL, PYTHON, VIEW, kind_of, reads
from tapegrad.compiler.rewriting import with_operands
from tapegrad.compiler.text import is_condition
from tapegrad.graph import Graph
from tapegrad.graph.graph import reached
from tapegrad.primitives.node import Node

TINY = 64               # bytes of a value that is kept
LEAST = 1024            # bytes of a value that is computed again though memory is not short
ARITHMETIC = {"add", "subtract", "multiply", "negative", "square", "relu", "absolute"}
CHEAP = {*ARITHMETIC, "divide", "sqrt", "exp", "sigmoid", "tanh"}   # what kernels compute of several elements at once
MOST = 6                # operations that such a value takes, one of them no arithmetic
NEAR = 0.4              # of a segment: so far from the middle it may be cut


def recomputed(graph, count, segments, copies):
    """(the graph, the copies in it, and those that were there): the values that its outputs from `count` on read of what the
    first ones need are computed again, but for those of the last of so many segments."""
    early = set(reached(graph.outputs[:count], graph.inputs))
    order = [node for node in graph.nodes if node in early]
    segment, kept = _segments(order, segments), {*graph.inputs, *graph.outputs[:count]}
    kept |= {x for x in order if segment[x] == segments - 1 or not _can_be_copied(x)}
    kept |= {x for node in order for x in reads(node) if x in segment and segment[x] < segment[node] and not is_condition(x)}
    return _with_copies(graph, count, early, kept, copies)


def _with_copies(graph, count, early, kept, before=frozenset()):
    """(the graph, the copies in it): of the nodes in `early`, those that the outputs from `count` on need and that are not kept
    are copied."""
    new, copies = {}, set()

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

    for node in graph.nodes:
        if node not in early:
            operands = [copy(x) if isinstance(x, Node) and x in early and x not in kept else new.get(x, x)
                        if isinstance(x, Node) else x for x in node.operands]
            new[node] = with_operands(node, operands)
    outputs = [*graph.outputs[:count], *[copy(z) if z in early and z not in kept else new.get(z, z)
                                         for z in graph.outputs[count:]]]
    return Graph(graph.inputs, outputs), copies.union([new.get(node, node) for node in before])


def spared(graph, count):
    """(the graph, the copies in it): of what the first `count` outputs need, cheap values that the others read, too, are
    computed again for them."""
    early, given = set(reached(graph.outputs[:count], graph.inputs)), set(graph.inputs)
    kinds = {node: kind_of(node) for node in early}

    def base(x):
        """What holds the elements of a node."""
        while kinds.get(x) == VIEW:
            x = x.operands[0]
        return x

    late = [x for node in graph.nodes if node not in early for x in reads(node)]
    held = {x for x in map(base, (*late, *graph.outputs)) if x in early}
    there = held | given
    cones = {x: _cone(x, base, there, kinds) for x in held if kinds[x] == KERNEL}
    users = defaultdict(list)
    for x, (_, sources) in cones.items():
        for y in sources - given:
            users[y].append(x)
    again, stays = {}, set(graph.outputs)
    for x in sorted(held, key=lambda node: node.serial, reverse=True):
        if x in stays or _nbytes(x) < LEAST:
            continue
        nodes, sources = cones.get(x, ((x,) if kinds[x] == JOIN and given.issuperset(x.operands) else (), set()))
        if nodes and (not users[x] or len(sources - given) == 1 and all([y in again for y in users[x]])):
            again[x] = nodes
            if users[x]:                                # a chain of such values ends here
                stays.update(sources)
    if not again:
        return graph, frozenset()
    return _with_copies(graph, count, early, {*given, *early}.difference(*again.values()))


def _cone(x, base, there, kinds):
    """(the nodes that compute x element by element from values that are there anyway, if cheap; else none; these values)"""
    nodes, sources, waiting, cheap = {x: None}, set(), [x], True
    while waiting:
        for y in reads(waiting.pop()):
            of = base(y)
            if of in there:
                sources.add(of)
            elif kinds.get(y) != KERNEL:
                cheap = False
            elif y not in nodes:
                nodes[y] = None
                waiting.append(y)
    names = [node.row.name for node in nodes]
    cheap = cheap and len(nodes) <= MOST and CHEAP.issuperset(names) and sum([name not in ARITHMETIC for name in names]) <= 1
    return (nodes if cheap else ()), sources


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
