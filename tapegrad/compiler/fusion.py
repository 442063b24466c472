"""Which nodes are computed together: the instructions of a program, in their order.

Elementwise nodes of one shape that need each other become one kernel: their values need not be written, unless something else
reads them. A node has a slot: the earliest at which what it reads is there, or, where what it reads is kept until then anyway,
that of its first use: so a derivative of a value that is kept is computed where it is used.
"""

from collections import defaultdict
from math import inf

from tapegrad.compiler import batches, products
from tapegrad.compiler.library import reduction
from tapegrad.compiler.text import form_of, is_elementwise, split_of, values_read
from tapegrad.graph.graph import operands_of

LIMIT = 100             # nodes of a kernel
KERNEL, PRODUCT, BATCH, REDUCE, LOOK_UP = "kernel", "product", "batch", "reduce", "look_up"
PYTHON, JOIN, VIEW = "python", "join", "view"


class Instruction:
    """Nodes that are computed by one instruction, of one of the kinds above.

    nodes     operands first
    results   those of them that something else reads
    operands  what is read, each once
    """

    __slots__ = ("kind", "nodes", "results", "operands")

    def __init__(self, kind, nodes, results):
        self.kind, self.nodes, self.results = kind, nodes, results
        inside = set(nodes)
        self.operands = list(dict.fromkeys([x for node in nodes for x in reads(node) if x not in inside]))


def kind_of(node):
    """How a node is computed. What is neither elementwise nor known otherwise is computed by its row, in Python."""
    name = node.row.name
    if is_elementwise(node):
        return KERNEL
    if products.by_blas(node):
        return PRODUCT
    if node.row is batches.BATCHED:
        return BATCH
    if node.row in (products.LOOK_UP, products.COLLECT, products.TAKE, products.SPREAD):
        return LOOK_UP
    if name in ("getitem", "reshape") and node.static and operands_of(node) and node.operands[0].dtype == node.dtype:
        return VIEW
    if name == "concatenate" and _is_join(node):
        return JOIN
    return REDUCE if reduction(node) else PYTHON


def _is_join(node):
    return (node.static in ((0,), (node.ndim - 1,)) and node.size > 0
            and all([hasattr(x, "row") and x.dtype == node.dtype for x in node.operands]))


def reads(node):
    """The nodes whose values computing this one reads."""
    if is_elementwise(node):
        return values_read(node)
    return [products.base_of(x)[0] for x in node.operands] if products.by_blas(node) else operands_of(node)


def needed_values(graph):
    """The nodes whose value is computed: all but comparisons that kernels compute where they are used."""
    wanted = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node in wanted:
            wanted.update(reads(node))
    return [node for node in graph.nodes if node in wanted]


class Schedule:
    """The instructions of a graph, those that the first `count` outputs need before all others.

    late             nodes of the second part that are computed as late as can be: copies (recomputing.py)
    sparing          whether values are to be alive for a short time, even if fewer nodes are computed together
    first, second    the two parts
    kinds            {node: its kind}
    """

    def __init__(self, graph, count, late=frozenset(), sparing=False):
        self.late, self.sparing = set(late), sparing
        order = needed_values(graph)
        self.kinds = {node: kind_of(node) for node in order}
        self.splits = {node: split_of(node) for node in order if self.kinds[node] == KERNEL}
        early = self._needed(order, graph.outputs[:count])
        for node in order:                              # late values, side by side
            if (node not in early and self.kinds[node] in (JOIN, VIEW) and any([x in self.late for x in reads(node)])
                    and all([x.row is None or x in self.late or x in early for x in reads(node)])):
                self.late.add(node)
        self.users = defaultdict(list)
        for node in order:
            for x in reads(node):
                self.users[x].append(node)
        self._align(order)
        self.kept = set(graph.outputs)
        self.always = self.kept | self.late             # and inputs, turned or side by side, that are read often
        for node in order:
            if all([x.row is None or x in self.always for x in reads(node)]) and (
                    len(self.users[node]) >= products.OFTEN and self.kinds[node] in (JOIN, VIEW)
                    or node.row is products.TURNED):
                self.always.add(node)
        self.first = self._instructions([node for node in order if node in early])
        self.second = self._instructions([node for node in order if node not in early])

    def _align(self, order):
        """Have kernels count their rows as those next to them do, which have no choice: then they can be one. What may be a
        part of something else, without order, is left as it is."""
        free = [node for node in order if self.kinds[node] == KERNEL and node.ndim > 2 and not any(
            [self.kinds.get(x) in (JOIN, VIEW) for x in (*reads(node), *self.users[node])])]
        for nodes, near in ((free, reads), (free[::-1], self.users.__getitem__)):
            for node in nodes:
                for split in [self.splits[x] for x in near(node) if self.kinds.get(x) == KERNEL and x.shape == node.shape]:
                    if split < self.splits[node] and all([form_of(y.shape, node.shape, split) for y in reads(node)]):
                        self.splits[node] = split

    def _needed(self, order, outputs):
        found = set(outputs)
        for node in reversed(order):
            if node in found:
                found.update(reads(node))
        return found

    def _instructions(self, order):
        slots = self._earliest(order)
        self._delay(order, slots)
        self._postpone(order, slots)
        kernels, others = defaultdict(list), []
        for node in order:
            if self.kinds[node] == KERNEL:
                kernels[slots[node], node.shape, node.dtype, self.splits[node]].append(node)
            else:
                others.append((slots[node], self.kinds[node] in (JOIN, VIEW), node.serial, self._one(self.kinds[node], [node])))
        for (slot, *_), nodes in kernels.items():
            for part in self._connected(nodes):
                others.append((slot, False, part[0].serial, self._one(KERNEL, part)))
        return self._with_joins_late([instruction for *_, instruction in sorted(others, key=lambda item: item[:3])])

    def _with_joins_late(self, order):
        """Concatenations of late values, of which some are copied, just before what reads them."""
        for one in [one for one in reversed(order) if one.kind == JOIN and one.nodes[0] in self.late]:
            readers = set(self.users[one.nodes[0]])
            order = [other for other in order if other is not one]
            at = next(i for i, other in enumerate(order) if not readers.isdisjoint(other.nodes))
            order.insert(at, one)
        return order

    def _one(self, kind, nodes):
        inside = set(nodes)
        results = [node for node in nodes if node in self.kept or any([user not in inside for user in self.users[node]])]
        return Instruction(kind, nodes, results)

    def _earliest(self, order):
        slots = {}
        for node in order:
            kind = self.kinds[node]
            if node in self.late:
                slots[node] = -1
            elif kind == KERNEL:
                slots[node] = max([slots.get(x, -1) + (not self._fused(x, node)) for x in reads(node)], default=0)
            else:
                slots[node] = max([slots.get(x, -1) for x in reads(node)], default=-1) + (kind not in (VIEW, JOIN))
        return slots

    def _fused(self, x, node):
        return (self.kinds.get(x) == KERNEL == self.kinds[node] and x.shape == node.shape and x.dtype == node.dtype
                and self.splits[x] == self.splits[node])

    def _delay(self, order, slots):
        """Move elementwise nodes, if `sparing` all, to the first use of their value, where what they read is kept till then."""
        inside = set(order)
        for node in reversed(order):
            moves = self.kinds[node] == KERNEL or self.sparing and self.kinds[node] != JOIN
            if not moves or node in self.kept or node in self.late or not self.users[node]:
                continue
            latest = min([slots.get(user, slots[node]) - (not self._fused(node, user)) for user in self.users[node]])
            free = self.sparing and self.kinds[node] == VIEW
            if latest > slots[node] and (free or all([self._outlives(x, node, slots, inside) for x in reads(node)])):
                slots[node] = latest

    def _postpone(self, order, slots):
        """Have late nodes computed just before their first use, or, kernels, when what they read is read last, if earlier."""
        turns = self._turns(order, slots)
        for node in reversed(order):
            if node in self.late:
                first = min([slots[user] - (self.kinds[user] not in (VIEW, JOIN) and not self._fused(node, user))
                             for user in self.users[node] if user in slots], default=slots[node])
                slots[node] = min(first, turns.get(node, first))

    def _turns(self, order, slots):
        """{late elementwise node of several values: the slot in which others read these for the last time}: from then on it is
        less than they are."""
        sources, turns = {}, {}
        for node in order:
            if node in self.late and self.kinds[node] == KERNEL:
                found = [sources.get(x, {x}) for x in reads(node) if x.row is not None]
                found = sources[node] = set().union(*found)
                if len(found) > 1 and found.isdisjoint(self.late):
                    turns[node] = max([slots[user] for x in found for user in self.users[x]
                                       if user in slots and user not in self.late], default=inf)
        return turns

    def _outlives(self, x, node, slots, inside, depth=8):
        """Whether x is kept after its slot for another reason than `node`, or can be computed later itself."""
        others = [user for user in self.users[x] if user is not node]
        if self.sparing:
            if x not in inside or x in self.always or any([slots.get(user, inf) > slots[node] for user in others]):
                return True
            if others or not depth or self.kinds[x] == JOIN:
                return False
            return all([self._outlives(y, x, slots, inside, depth - 1) for y in reads(x)])
        if self.kinds.get(x) != KERNEL or x in self.kept or x not in inside or slots[x] < slots[node]:
            return True
        later = [user not in inside or self.kinds[user] != KERNEL or slots[user] > slots[x] for user in others]
        if others or not depth:
            return any(later)
        return all([self._outlives(y, x, slots, inside, depth - 1) for y in reads(x)])

    def _connected(self, nodes):
        """Nodes of one slot and shape, by which need each other, or read the same, cut into pieces that compile fast."""
        above = {}

        def top(x):
            while above.setdefault(x, x) is not x:
                above[x] = above[above[x]]
                x = above[x]
            return x

        inside = set(nodes)
        for node in nodes:
            for x in reads(node):
                if x in inside or x.row is not None and x.shape == node.shape:
                    above[top(x)] = top(node)
        wholes = defaultdict(list)
        for node in nodes:
            wholes[top(node)].append(node)
        return [whole[i:i + LIMIT] for whole in wholes.values() for i in range(0, len(whole), LIMIT)]
