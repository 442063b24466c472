"""The symbolic reverse walk, the only one. Its result is nodes, too.

    delta[output] = seed
    for z, g, (y1, .., yk) in the nodes, last to first:
        delta[yi] += DG[g][i](delta[z], z, y1, .., yk)

Deltas are added in the order in which the reverse sweep of eager tensors (core/sweep.py) adds them, and broadcasting is
undone by the same `fit`, so running the graph over arrays gives the same bits. A contribution is either

    expanded    the derivative rule, run over nodes: rows of the registry, which can be written out, optimised, differentiated
    whole       one node of a row Derivative: run.py runs the row's rule for arrays

A row with `expand(*operands)`, which returns its result as nodes of other rows, is replaced by these. A row with `together`
gives the contributions to all its operands at once (compiler/loop.py).
"""

from bisect import bisect_right
from functools import partial

import numpy as np

from tapegrad.core.sweep import fit
from tapegrad.graph.graph import operands_of, reached
from tapegrad.primitives import Primitive
from tapegrad.primitives.complex_parts import rule_of_complex
from tapegrad.primitives.indexing import add_at
from tapegrad.primitives.node import Node, node_of, nodes
from tapegrad.primitives.plan import SHAPE, VALUE
from tapegrad.primitives.zeros import stopped, strong
from tapegrad.transforms.extend import users


def _added_at(held, d, index):
    z = held.copy()
    add_at(z, d, None, None, index)
    return z


# held + scatter(d), without allocating the zeros
ADD_AT = Primitive("add_at", _added_at, (lambda F, d, _z, _held, _d, index: d,
                                         lambda F, d, _z, _held, _d, index: F.getitem(d, index)))
ONES = Primitive("ones", np.ones, ())


class Reverse:
    """The deltas of a graph's last output, or of several: `seed` is then {a node of the graph, or an input: its delta}.

    deltas    {node: the node of its delta}, for the nodes in `wrt` that a delta reaches
    needed    the nodes through which a delta can reach one of `wrt`, and these
    sums      {node that adds a contribution to a delta: the delta before}
    delta_of  {node: the node whose delta, or part of a delta, it is}; the first, if several
    zeros     whether a row has been walked, or is outside, that chooses element by element and leaves out NaN: rules are strong
              then
    marks     [(first serial, the node whose derivative the nodes from there on belong to)]
    """

    def __init__(self, graph, wrt, seed=None, whole=False, zeros=False):
        self.deltas, self.sums, self.delta_of, self.marks, self.zeros = {}, {}, {}, [], zeros
        self.contribution = _expanded_but_users if whole == "users" else _whole if whole else _expanded
        self.needed = needed(graph.nodes, wrt)
        seeds = seed if isinstance(seed, dict) else {graph.outputs[-1]: seed}
        seeds = {z: d for z, d in seeds.items() if z in self.needed}
        if seeds:
            self._mark(next(reversed(seeds)))
            self._walk(list(graph.nodes), set(wrt), {
                z: node_of(ONES, (), (z.shape, z.dtype)) if d is None else d for z, d in seeds.items()})

    def origin(self, node, among=None):
        """The node whose derivative a node of the reverse graph belongs to; with `among`, the one of these it came from."""
        at = bisect_right(self.marks, node.serial, key=lambda mark: mark[0]) - 1
        while among is not None and self.marks[at][1] not in among:
            at -= 1
        return self.marks[at][1]

    def _mark(self, z):
        self.marks.append((Node(None, (), (), (), None).serial, z))

    def _walk(self, waiting, wrt, deltas):
        self.delta_of.update({d: z for z, d in deltas.items()})
        while waiting:
            z = waiting.pop()
            d = deltas.get(z) if z in wrt else deltas.pop(z, None)
            if d is None:
                continue
            self._mark(z)
            if (expand := getattr(z.row, "expand", None)) is not None:
                inner = expand(*z.operands)
                more = reached([inner], operands_of(z))
                self.needed |= needed(more, self.needed)
                waiting += more
                deltas[inner] = d if inner not in deltas else self._sum(deltas[inner], d)
                continue
            self.zeros = self.zeros or getattr(z.row, "drops", False) and z.row.pointwise
            if (together := getattr(z.row, "together", None)) is not None:
                for y, c, total in together(z, d, self.needed, deltas):
                    deltas[y] = c if total or y not in deltas else self._sum(deltas[y], c)
                    self.delta_of.setdefault(deltas[y], y)
                continue
            for i, y in enumerate(z.operands):
                if isinstance(y, Node) and y in self.needed:
                    self._add(deltas, y, z, i, d)
        self.deltas = {node: deltas[node] for node in wrt if node in deltas}

    def _add(self, deltas, y, z, i, d):
        held = deltas.get(y)
        if self.contribution is not _whole and z.row.name == "getitem" and z.static and _is_lone(held, d, deltas):
            deltas[y] = node_of(ADD_AT, (held, d), z.static)
            self.sums[deltas[y]] = held
        elif (c := self.contribution(z, i, d, self.zeros and z.row.weak)) is not None:
            deltas[y] = c if held is None else self._sum(held, c)
        if y in deltas:
            self.delta_of.setdefault(deltas[y], y)

    def _sum(self, held, c):
        total = held + c
        self.sums[total] = held
        return total


def needed(order, wrt):
    """Those of the nodes through which a delta can reach one of `wrt`, and these."""
    found = set(wrt)
    for node in order:
        if not found.isdisjoint(operands_of(node)):
            found.add(node)
    return found


class Derivative:
    """The rule of operand i of a row, as a row: (d, z, y1, .., yk) -> the contribution, in the shape and dtype of yi.

    strong     whether it is the strong twin of the rule (primitives/zeros.py)
    plain      whether the rule is row.array_dg[i], unchanged
    by_user    whether it is a user's rule, which may write to d
    writes     whether it has written to d
    """

    __slots__ = ("row", "i", "name", "dtype", "strong", "plain", "by_user", "writes")
    variadic = elementwise = pointwise = weak = drops = False
    arity = None

    def __init__(self, row, i, dtype, strong):
        self.row, self.i, self.name, self.dtype, self.strong = row, i, f"derivative {i} of {row.name}", dtype, strong
        self.plain = not row.variadic and dtype is None and not strong
        self.by_user, self.writes = getattr(row, "by_user", False), False

    def rule(self):
        """The rule for arrays; a row may replace it by a compiled one on first use."""
        rule = partial(self.row.dg[0], self.i) if self.row.variadic else self.row.array_dg[self.i]
        rule = strong(rule) if self.strong else rule
        return rule if self.dtype is None else rule_of_complex(self.row, self.dtype, rule)


def rule_of(z, i):
    """The rule of operand i of a node over nodes; None if there is none."""
    row = z.row
    if row.variadic:
        rule = row.dg[0] and partial(row.dg[0], i)
    else:
        rule = row.dg[i] if i < len(row.dg) else None
    return rule_of_complex(row, z.dtype, rule) if rule is not None and z.dtype.kind == "c" else rule


def read(z, i):
    """(z, y1, .., yk) as the rule of operand i reads them: each the node, its shape, or None."""
    row, how = z.row, z.row.reads[0 if z.row.variadic else i]
    if row.variadic:
        return _kept(z, how[0]), tuple([_kept(y, SHAPE) for y in z.operands])
    return [_kept(x, kind) for x, kind in zip((z, *z.operands), how)]


def _kept(x, how):
    return x if how == VALUE else getattr(x, "shape", ()) if how == SHAPE else None


def delta_dtype(dtype):
    """The dtype of the delta of a value with this dtype: float64 for integers."""
    return dtype if dtype.kind in "fc" else np.dtype(float)


def _expanded(z, i, d, stops):
    rule, y = rule_of(z, i), z.operands[i]
    if rule is None:
        return None
    saved = *read(z, i), *z.static
    c = rule(nodes, d, *saved)
    if stops and c is not None and not _is_strong(c):
        c = stopped(nodes, rule, d, saved, c)
    return None if c is None else fit(nodes, c, y.shape, delta_dtype(y.dtype))


def _is_strong(c):
    """Whether it is a strong product, or minus one."""
    return c.row is not None and (c.row.name == "strong_multiply" or c.row.name == "negative" and _is_strong(c.operands[0]))


def _whole(z, i, d, stops):
    if rule_of(z, i) is None:
        return None
    y, row = z.operands[i], Derivative(z.row, i, z.dtype if z.dtype.kind == "c" else None, stops)
    return Node(row, (d, *read(z, i)), z.static, y.shape, delta_dtype(y.dtype))


def _expanded_but_users(z, i, d, stops):
    """Expanded, but for rules of users, which may be for arrays only."""
    return (_whole if z.row.name in users else _expanded)(z, i, d, stops)


def _is_lone(held, d, deltas):
    """Whether the sweep would add to this delta in place: nothing else holds its array, and it is not a view."""
    if held is None or not held.ndim or held.dtype != d.dtype or held.row is None or held.row.view:
        return False
    return sum(_owner(delta) is held for delta in deltas.values()) == 1


def _owner(node):
    """The node that owns the array of a view."""
    while node.row is not None and node.row.view and isinstance(node.operands[0], Node):
        node = node.operands[0]
    return node
