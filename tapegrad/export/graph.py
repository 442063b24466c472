"""The forward and the reverse sweep of a tape as a graph of expressions.

The rules are run over the vocabulary of vocabulary.py. The walk, the order in which deltas are added, and the way in which
broadcasting is undone are those of sweep.py, so that what is written comes to the same bits.
"""

import numpy as np

from tapegrad.errors import WengertError
from tapegrad.export.expressions import ATOM, NOTHING, PRODUCT, SUM, Expression, literal, subscript
from tapegrad.export.vocabulary import Writer, unwritten
from tapegrad.primitives.plan import SHAPE, VALUE
from tapegrad.primitives.registry import ARITY_LIMIT


class Graph:
    """The expressions of a part of a tape: of every value, and of the deltas that the leaves named in `wrt` need.

    of          {id of a register or constant: its expression}
    arrays      {id of an array among the static arguments: (its name, itself)}
    deltas      {id of a register: the expression of its delta so far}
    gradients   {leaf's name: the expression of its delta}
    comments    [(order from which on, text)]: which entry the expressions come from
    turn        the order from which on expressions belong to the reverse sweep
    """

    def __init__(self, part, wrt):
        self.part, self.F = part, Writer()
        self.of, self.arrays, self.deltas, self.comments = {}, {}, {}, []
        for leaf in part.leaves:
            self._input(leaf, _stand_in(leaf))
        for constant in part.constants:
            self._input(constant, part.known.get(id(constant), constant._value))
        for entry in part.entries:
            self._forward(entry)
        self.turn = self._comment("")
        needed = {id(leaf) for leaf in part.leaves if part.name(leaf) in wrt}
        for entry in part.entries:
            if any(id(y) in needed for y in entry.operands):
                needed.add(id(entry))
        self._reverse(needed)
        self.gradients = {part.name(leaf): self._gradient(leaf) for leaf in part.leaves if id(leaf) in needed}

    def _input(self, register, value):
        self.of[id(register)] = Expression((), ATOM, value, self.part.name(register))

    def _comment(self, text):
        self.comments.append((Expression((), ATOM, None).order, text))
        return self.comments[-1][0]

    def _operand(self, y):
        return self.of.get(id(y), y)

    def _described(self, entry):
        part = self.part
        return f"{part.name(entry)} = {entry.g.name}({', '.join([part.name(y) for y in entry.operands])})"

    # The two sweeps

    def _forward(self, entry):
        if entry.dtype.kind == "c":
            raise unwritten(entry.g.name, "its result is complex")
        z = self.part.name(entry)
        for key, value in zip((*entry.g.static_names, *["argument"] * ARITY_LIMIT), entry.static):
            for item in value if type(value) is tuple else (value,):
                if isinstance(item, np.ndarray) and id(item) not in self.arrays:
                    self.arrays[id(item)] = self.part.unique(f"{z}_{key}"), item
        self._comment(f"{entry.g.name}, {entry.shape}" if entry.shape else entry.g.name)
        operands = tuple([self._operand(y) for y in entry.operands])
        value = _stand_in(entry)
        try:
            made = self.F.written(entry.g, operands, entry.static, value)
        except TypeError as error:
            raise unwritten(entry.g.name, error) from error
        if entry.g.name == "alias":
            made = Expression(((made, ATOM),), ATOM, value)
        made.name, made.pinned = z, True
        self.of[id(entry)] = made

    def _reverse(self, needed):
        last = self.part.entries[-1]
        one = Expression((f"np.{last.dtype.name}(1)" if not last.shape else
                          f"np.ones({literal(last.shape)[0]}, np.{last.dtype.name})",), ATOM, np.ones(last.shape, last.dtype),
                         f"d_{self.part.name(last)}", pinned=True)
        self.deltas[id(last)] = one
        for entry in reversed(self.part.entries):
            d = self.deltas.pop(id(entry), None)
            if d is None:
                continue
            self._comment(self._described(entry))
            saved = self._saved(entry)
            if entry.plan.hooks:
                raise unwritten(entry.g.name, f"{self.part.name(entry)} has a hook, a function")
            for i, rule in entry.plan.recorded:
                y = entry.ys[i]
                if id(y) not in needed:
                    continue
                if entry.g.name == "getitem" and self._is_lone(y):    # other rules come to the same sum in place
                    self._add_at(y, d, entry.static[0])
                    continue
                c = self._contribution(entry, rule, d, saved)
                if c is not None:
                    self._add(y, self._fit(c, y.shape, y.dtype))

    def _saved(self, entry):
        """What the rules get for (z, y1, .., yk, *static)."""
        keep = entry.plan.keep
        kept = [self._operand(y) if how == VALUE else getattr(y, "shape", ()) if how == SHAPE else None
                for y, how in zip((entry, *entry.operands), keep)]
        return (kept[0], tuple(kept[1:]), *entry.static) if entry.g.variadic else (*kept, *entry.static)

    def _contribution(self, entry, rule, d, saved):
        if any(reads is not None and len(reads) == ARITY_LIMIT for reads in entry.g.reads):
            raise unwritten(entry.g.name, "its derivative is a user's function")
        try:
            return rule(self.F, d, *saved)
        except WengertError:
            raise
        except Exception as error:
            raise unwritten(entry.g.name, f"its derivative can't be run over symbols: {error}") from error

    def _fit(self, c, shape, dtype):
        """What `fit` of sweep.py does."""
        if c.ndim == 2 and shape == c.shape[1:]:
            ones = f"np.ones({len(c)}{'' if c.dtype == np.float64 else f', np.{c.dtype.name}'})"
            c = Expression((f"{ones}.dot(", (c, 0), ")"), ATOM, np.ones(len(c), c.dtype).dot(c.value))
        elif c.shape != shape:
            extra = c.ndim - len(shape)
            axes = tuple(i for i in range(c.ndim) if i < extra or shape[i - extra] == 1 != c.shape[i])
            c = self.F.sum(c, axes, False) if axes else c
            c = c if c.shape == shape else self.F.reshape(c, shape)
        if c.dtype.kind == "c" != dtype.kind:
            c = self.F.real(c)
        return c if c.dtype == dtype else self.F.astype(c, dtype)

    def _add(self, y, c):
        name, held = f"d_{self.part.name(y)}", self.deltas.get(id(y))
        if held is not None:
            c = Expression(((held, SUM), " + ", (c, PRODUCT)), SUM, held.value + c.value, name, pinned=True, held=held)
        elif c.name is None:
            c.name = name
        self.deltas[id(y)] = c

    def _is_lone(self, y):
        """What `lone` is in the sweep: whether the delta of y so far is held by nothing but y, and is no view."""
        held = self.deltas.get(id(y))
        if held is None or not held.fresh or not held.ndim:
            return False
        return sum(_owner(d) is held for d in self.deltas.values()) == 1

    def _add_at(self, y, d, index):
        """What the rule of getitem does in place: an element that is indexed twice gets both, one after the other."""
        held = self.deltas[id(y)]
        self.deltas[id(y)] = Expression(((held, ATOM), *subscript(index), (d, NOTHING)), ATOM, held.value,
                                        f"d_{self.part.name(y)}", pinned=True, held=held, index=index)

    def _gradient(self, leaf):
        """The delta of a leaf, under its name: a copy, where it is also that of something else."""
        name, d = f"d_{self.part.name(leaf)}", self.deltas.get(id(leaf))
        self._comment("")
        if leaf.hooks:
            raise WengertError(f"export_numpy: the leaf {self.part.name(leaf)} has a hook, a function, which can't be written")
        if d is None:
            d = Expression((f"np.zeros({literal(leaf.shape)[0]}, np.{leaf.dtype.name})",), ATOM, None, name)
        elif d.name != name or not d.fresh:
            d = Expression(((d, ATOM), ".copy()"), ATOM, d.value, name)
        d.pinned = True
        return d


def _owner(d):
    """The expression whose array a view shows."""
    while not d.fresh and d.operands and isinstance(d.operands[0], Expression):
        d = d.operands[0]
    return d


def _stand_in(register):
    """Some array of the shape and dtype of a register. As a matrix it has an inverse and a Cholesky factor."""
    value = np.random.default_rng(0).uniform(0.9, 1.1, register.shape)
    value = np.asarray(value, register.dtype)
    return value + np.eye(*value.shape[-2:], dtype=value.dtype) if value.ndim >= 2 else value
