"""The registry: one row per primitive, its operator G and its derivatives DG side by side.

    primitive("multiply", np.multiply, lambda F, d, _z, _x, y: d * y,
                                       lambda F, d, _z, x, _y: d * x)

G(*operands, *static) computes z from arrays. DG has one rule per operand, F, d, z, *operands, *static -> contribution
to that operand's delta, where d is the delta of z. A rule is written over the vocabulary F, which holds every primitive
by its name, and says by the names of its parameters what the tape has to keep for it:

    x          the value is kept
    x_shape    only its shape is
    _x         nothing is, the rule gets None

With F = `arrays` (below) the rule is the fast sweep; with F = `recorded` (record.py) it is itself recorded, which makes
derivatives of any order; with F = `nodes` (node.py) it is a part of a graph, to be written out or run. A rule never undoes
broadcasting (sweep.py does), never changes d, and returns None where there is no contribution. A rule that is None says
that the operand has no derivative. In a variadic row, whose operands are a sequence, there is one rule for all of
them, which gets the position of the operand first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import CO_VARARGS
from typing import Any

import numpy as np

from tapegrad.primitives.plan import NOTHING, SHAPE, VALUE, Plan, Rule

ARITY_LIMIT = 16
LINEAR, HOLOMORPHIC = "linear", "holomorphic"          # what rules mean where z is complex: complex_parts.py


vocabularies: list[Vocabulary] = []


class Vocabulary:
    """F: every primitive by its name, at one level: of arrays, recorded tensors, or nodes.

    in_place   rule -> what adds its contribution to an array (Primitive.fast)
    memo       what rules remember until the end of a sweep; an array that is in it can't be written into (tensor.py)
    """

    def __init__(self, of_row: Callable[[Primitive], Any]) -> None:
        self.in_place: dict[Rule, Callable[..., bool]] = {}
        self.memo: dict[Any, Any] = {}
        self._of_row = of_row
        vocabularies.append(self)

    def __getattr__(self, name: str) -> Any:
        # Reached for a primitive that has not been used at this level yet.
        if name.startswith("__") or (row := table.get(name)) is None:
            raise AttributeError(f"there is no primitive {name!r}")
        self.include(row)
        return getattr(self, name)

    def include(self, row: Primitive) -> None:
        """Have the function that a row is at this level under the row's name, whether it stands in the registry or not."""
        setattr(self, row.name, self._of_row(row))


class _Table(dict[str, "Primitive"]):
    """Every primitive's row by its name. `later` loads the families that are not there from the start."""

    later: Callable[[], None] | None = None

    def complete(self) -> _Table:
        """This table, with all families loaded."""
        load, self.later = self.later, None
        if load is not None:
            load()
        return self

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self.later is not None and name in self.complete()

    def __iter__(self) -> Iterator[str]:
        return super(_Table, self.complete()).__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default


table = _Table()
arrays = Vocabulary(of_row=lambda row: row.g)


class Primitive:
    """A row of the registry.

    g        computes the result from arrays, as fast as can be; a kernel's compiled ufunc after its first call
    plain    the G that the row was written with; its rules are in dg, those that run over arrays in array_dg
    exact    the dtypes, by their characters, in which what is fast gives the bits of what is plain; else it rounds otherwise
    plans    a Plan for each combination of wanted derivatives; a variadic row makes one when it is first asked for
    arity    the number of operands, None for a variadic row
    elementwise   whether G is a ufunc: then the contributions, too, have the shape and dtype of z
    complex  LINEAR or HOLOMORPHIC where the rules hold for a complex z, else None
    view     whether z may share the memory of an operand
    fresh    whether it certainly does not, as where G is a ufunc
    pointwise   whether an element of z depends on one element of each operand only, as where G is a ufunc
    weak     whether contributions may be NaN where d is 0: they are d times something, element by element, and not said to
             be `strong` (zeros.py)
    drops    whether z may be finite where an operand is not, because it chooses among elements
    lifted   of a row that was made from one with static arguments that are operands now: that row, and its static arguments
    composition   of a row that does in few passes what others do in more: a function(F, *operands, *static) that computes z by
             those. Who looks at more of an operation than its value and its derivatives, as a graph does, gets them instead
    doc      what z is; a row with it is public as it is: tapegrad has a function of its name
    """

    __slots__ = ("name", "g", "plain", "dg", "array_dg", "accumulate", "jointly", "exact", "arity", "plans", "static_names",
                 "variadic", "reads", "elementwise", "has_no_derivative", "complex", "view", "fresh", "pointwise", "weak",
                 "drops", "doc", "lifted", "composition")

    g: Any
    arity: Any
    plans: Any
    reads: list[Any]
    accumulate: Sequence[Any]
    jointly: Any
    lifted: Any
    static_names: tuple[str, ...]

    def __init__(self, name: str, g: Any, dg: Sequence[Any], variadic: bool = False, complex: str | None = None,
                 view: bool = False, fresh: bool = False, pointwise: bool = False, drops: bool = False,
                 strong: bool = False, doc: str | None = None, composition: Any = None) -> None:
        self.complex, self.view, self.drops, self.doc, self.lifted = complex, view, drops, doc, None
        self.composition = composition
        self.name, self.g, self.plain, self.dg, self.variadic = name, g, g, dg, variadic
        self.array_dg, self.accumulate, self.jointly, self.exact = dg, (None,) * len(dg), None, ""
        self.elementwise = isinstance(g, np.ufunc)
        self.fresh, self.pointwise = fresh or self.elementwise, pointwise or self.elementwise
        self.weak = self.pointwise and complex is not LINEAR and not strong
        self.arity, self.has_no_derivative = None if variadic else len(dg), dg == (None,) * len(dg)
        self.reads = [None if rule is None else _reads(rule, variadic) for rule in dg]
        names = next((parameters(rule) for rule in dg if rule is not None), ())
        self.static_names = names[5:] if variadic else names[3 + len(dg):]
        if self.has_no_derivative and hasattr(g, "__code__"):
            self.static_names = parameters(g)[len(dg):]
        if variadic and any(how == VALUE for how in self.reads[0][1:2]):
            raise TypeError(f"{name}: a variadic row's rule may read its operands' shapes only, not their values")
        self.plans = {} if variadic else None

    def planned(self) -> Any:
        """The plans, made when a recorder first asks for them: most rows are never used."""
        if self.plans is None:
            self.plans = [self.plan([bool(mask >> i & 1) for i in range(self.arity)]) for mask in range(1 << self.arity)]
        return self.plans

    def plan(self, wanted: Sequence[bool]) -> Plan:
        """The plan for a call in which the operands that are True in `wanted` need their delta."""
        if self.variadic:
            each = self.reads[0][1]
            rules = tuple([(i, partial(self.dg[0], i)) for i, want in enumerate(wanted) if want])
            return Plan(rules, rules, (self.reads[0][0], *[each] * len(wanted)), drops=self.drops)
        keep = [NOTHING] * (1 + self.arity)
        for want, reads in zip(wanted, self.reads):
            if want and reads is not None:
                keep = [_stricter(self.name, before, more) for before, more in zip(keep, reads)]
        arrays, recorded = (tuple([(i, rule) for i, (rule, want) in enumerate(zip(rules, wanted)) if want and rule is not None])
                            for rules in (self.array_dg, self.dg))
        if self.jointly is None or len(arrays) < 2:
            return Plan(arrays, recorded, tuple(keep), drops=self.drops)
        return Plan(tuple([(i, _picked(i, rule)) for i, rule in arrays]), recorded, tuple(keep), drops=self.drops,
                    jointly=partial(self.jointly, tuple(wanted)))

    def plan_of(self, n: int, mask: int) -> Plan:
        """The plan of a variadic row with n operands, for those whose bit is in the mask."""
        plan: Plan | None = self.plans.get((n, mask))
        if plan is None:
            plan = self.plans[n, mask] = self.plan([bool(mask >> i & 1) for i in range(n)])
        return plan

    def fast(self, forward: Any = None, rules: Sequence[Any] = (), accumulate: Sequence[Any] = (), jointly: Any = None,
             exact: str = "") -> Primitive:
        """Give the row faster ways to compute over arrays what it says; tests compare each with what is plain.

        forward      a G. It calls the plain one, as each rule does, for operands that it has no faster way for
        rules        a rule per operand, or None for the row's own
        accumulate   per operand, None or a function(held, d, z, *operands, *static) that adds the contribution to the array
                     `held`, of the operand's shape and dtype, and returns True; False, with `held` as it was, where it can't
        jointly      a function(wanted, d, z, *operands, *static) -> a contribution per operand, None for one that is not
                     wanted: what the rules give, in one pass, where the deltas of several operands are wanted
        exact        see the class
        """
        if forward is not None:
            self.g = forward
            vars(arrays).pop(self.name, None)
        if rules or jointly is not None:
            self.array_dg = tuple([fast or rule for fast, rule in zip(rules, self.dg)]) if rules else self.array_dg
            self.jointly = jointly or self.jointly
            if self.plans is not None:
                self.plans = None
                self.planned()
        if accumulate:
            self.accumulate = accumulate
            arrays.in_place |= {rule: add for rule, add in zip(self.array_dg, accumulate) if add is not None}
        self.exact = exact
        return self

    def one_by_one(self, wanted: Sequence[bool], d: Any, z: Any, *saved: Any) -> list[Any]:
        """What `jointly` gives, by the rules as they were written."""
        return [rule(arrays, d, z, *saved) if want and rule is not None else None for want, rule in zip(wanted, self.dg)]

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _picked(i: int, rule: Any) -> Callable[..., Any]:
    """The rule of operand i, or its contribution where `jointly` has given all of them in the place of d."""
    return lambda F, d, *saved: d[i] if isinstance(d, tuple) else rule(F, d, *saved)


def parameters(rule: Any) -> Any:
    return rule.__code__.co_varnames[:rule.__code__.co_argcount]


def _reads(rule: Any, variadic: bool) -> list[int]:
    """What a rule has the tape keep of (z, y1, .., yk), from its parameters' names (all statics are passed anyway)."""
    if rule.__code__.co_flags & CO_VARARGS:             # a rule made from a user's function reads everything
        return [VALUE] * ARITY_LIMIT
    first = 3 if variadic else 2
    return [NOTHING if name.startswith("_") else SHAPE if name.endswith(("shape", "shapes")) else VALUE
            for name in parameters(rule)[first:]]


def _stricter(name: str, before: int, more: int) -> int:
    if {before, more} == {VALUE, SHAPE}:
        raise TypeError(f"{name}: one rule reads an operand's shape and another its value; let both read the value")
    return max(before, more)


def primitive(name: str, g: Any, *dg: Any, **facts: Any) -> Primitive:
    """Add a row to the registry: the operator `g`, one derivative rule, or None, per operand, and facts (see Primitive)."""
    return add_row(Primitive(name, g, dg, **facts))


def add_row(row: Primitive) -> Primitive:
    """Enter a row, under its name, in the registry."""
    table[row.name] = row
    for F in vocabularies:
        vars(F).pop(row.name, None)                     # a user may define a primitive of his own again
    return row
