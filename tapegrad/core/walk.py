"""Around the reverse sweep: what it starts with, and the state of the tape while it is walked and afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, partial
from math import inf
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import append, wrap
from tapegrad.core.reduction import Reduction
from tapegrad.core.tape import TapeBase, thread, tracer
from tapegrad.core.tensor import TensorBase, elements
from tapegrad.errors import ConsumedTapeError, DtypeError, GradientError, ShapeError, ThreadError
from tapegrad.primitives import Primitive, arrays, table
from tapegrad.primitives.registry import LINEAR
from tapegrad.primitives.zeros import has_nan, masked, stopped

LONG = 4096             # elements


class Part:
    """A part of the tape, for a sweep that ends where it ends.

    entries    those that are walked
    consumed   those that belonged to it, and that a backward() has consumed
    wanted     the registers from outside whose delta is wanted; what flows to others from outside is not computed
    """

    __slots__ = ("entries", "consumed", "wanted")

    def __init__(self, entries: Sequence[Entry], consumed: Collection[Any], wanted: Collection[Any]) -> None:
        self.entries, self.consumed, self.wanted = entries, consumed, wanted


class Walk:
    """`with Walk(F, seeds, consume, part, reduction) as walk:` this thread's tape while a sweep walks it, or a part of it.

    tape      from which nothing leaves by itself meanwhile
    mark      what `entry.tape` is for the entries that are walked: the tape, or, for a part, an object of this walk
    entries   those that are walked
    alarm     not empty while contributions are to be looked at: see `looked_at`
    unseen    long seeds, whose zeros are looked for when the first weak row is met, which most sweeps do not
    leaves    {leaf: its delta so far}; a leaf may be shared by threads, and has no delta of its own. For a part, also
              {wanted register from outside: its delta so far}

    An entry has the delta that it was seeded with. When an error leaves the block, no entry has one. At the end consumed
    entries leave the tape. A sweep inside of another, in a rule of a user's, finds no deltas but its own: those on the way are
    set aside until it ends.
    """

    __slots__ = ("tape", "mark", "entries", "leaves", "memo", "seeds", "consume", "part", "before", "pending", "F",
                 "alarm", "unseen", "errors", "reduction")

    def __init__(self, F: Any, seeds: Iterable[tuple[Any, Any]], consume: bool, part: Part | None = None,
                 reduction: Reduction | None = None) -> None:
        self.tape, self.memo, self.seeds, self.consume, self.part = thread.tape, F.memo, seeds, consume, part
        self.F, self.reduction = F, reduction
        self.alarm: list[str] = []
        self.unseen: list[Any] = []
        self.errors = np.errstate(all="ignore")         # an infinite derivative is no news
        self.before = self.tape.limit, self.tape.room
        self.mark: Any = self.tape if part is None else object()
        self.entries = self.tape.entries if part is None else part.entries
        self.leaves: dict[Any, Any] = {}
        self.pending: list[tuple[Entry, Any, Any]] = []

    def __enter__(self) -> Walk:
        tape = self.tape
        if self.part is not None:
            self.pending = [(entry, entry.tape, entry.delta) for entry in self.entries if entry.tape is not None]
            for entry, _, _ in self.pending:
                entry.tape, entry.delta = self.mark, None
        elif tape.limit == inf:
            self.pending = [(entry, entry.tape, entry.delta) for entry in tape.entries if entry.delta is not None]
            for entry, _, _ in self.pending:
                entry.delta = None
        tape.keep_all()
        self.errors.__enter__()
        try:
            if tape.watch is not None:
                self.alarm.append("watched")
            for register, seed in self.seeds:
                value = seed if type(seed) is np.ndarray else elements(seed)
                if value.size > LONG:
                    self.unseen.append(value)
                elif not value.item() if value.size == 1 else np.count_nonzero(value) < value.size:
                    self.zeros_matter()
                if type(register) is not Leaf and register.tape is self.mark:
                    register.delta = seed if register.delta is None else register.delta + seed
                elif type(register) is Leaf or self.wants(register):
                    self.leaves[register] = self.leaves[register] + seed if register in self.leaves else seed
            if self.unseen:
                self.alarm.append("seeds")
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def downwards(self) -> Iterator[Entry]:
        """The entries from the last one."""
        return reversed(self.entries) if self.reduction is None else self.reduction.downwards(self.entries, self.leaves)

    def wants(self, entry: Any) -> bool:
        """Whether the delta of an entry is wanted that is not among those that are walked. An error where it had to be one."""
        if self.part is not None and entry not in self.part.consumed:
            return entry in self.part.wanted
        if entry.tape is None:
            raise ConsumedTapeError(f"backward: the tape of this result of {entry.g.name} has been consumed by an earlier "
                                    "backward(); give that one retain_graph=True, or detach() what is carried over")
        if not isinstance(entry.tape, TapeBase):
            raise GradientError(f"backward: this result of {entry.g.name} belongs to a sweep that has not ended: a hook or a "
                                "derivative can't call backward() on the graph that it is part of")
        if entry.tape is not self.tape:
            raise ThreadError(f"backward: this result of {entry.g.name} was recorded by another thread, on its own tape; "
                              "call backward() in the thread that ran the forward pass")
        return False

    def prepared(self, entry: Entry, d: Any) -> Any:
        """What the rules of an entry get for its delta: that after hooks, or, with a rule for all operands, what that gives."""
        plan = entry.plan
        if entry.g.drops:
            self.zeros_matter()
        d = replaced(plan.hooks, d) if plan.hooks else d
        if plan.jointly is not None and self.F is arrays and entry.dtype.kind != "c":
            return Deltas((*plan.jointly(d, *entry.saved), d))
        if plan.whole is None:
            return d
        return Deltas((*plan.whole(self.F, d, *(entry.saved if self.F is arrays else as_tensors(entry))), d))

    def zeros_matter(self) -> None:
        """From here on, a delta may be exactly 0 where a value is NaN or infinite."""
        if "zeros" not in self.alarm:
            self.alarm.append("zeros")

    def looked_at(self, entry: Entry, i: int, rule: Any, d: Any, saved: Any, c: Any) -> Any:
        """A contribution, 0 where d is (primitives/zeros.py); seen by who watches the tape.

        It is looked at after a row that drops what is not finite, or a seed with zeros. Otherwise a delta of 0 at a value
        that is NaN belongs to a function whose result is NaN, too.
        """
        if "seeds" in self.alarm:
            self.alarm.remove("seeds")
            if any([(seed == 0).any() for seed in self.unseen]):        # count_nonzero is not vectorised for floats
                self.zeros_matter()
        if "zeros" in self.alarm and entry.g.weak and not (entry.plan.observed and self.F is arrays):
            if self.F is arrays:
                c = masked(c, d) if has_nan(c) else c   # type: ignore[no-untyped-call]
            elif not (_is_settled(c) or _made_strong(c, d)):
                c = stopped(self.F, rule, d, saved, c)
        if self.tape.watch is not None:
            self.tape.watch(entry, entry.ys[i], c)
        return c

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.errors.__exit__(None, None, None)
        if self.reduction is not None and kind is not None:
            self.reduction.abandon(sys.exception())
        tape, (limit, room) = self.tape, self.before
        entries = tape.entries
        if kind is not None:
            for entry in self.entries:
                entry.delta = None
        self.memo.clear()
        tape.limit, tape.room = limit, room
        if self.consume and limit < inf:
            tape.drop_consumed()
            if entries:                                 # the next sweep should not walk over what is dead
                tape.reap()
        tape.limit, tape.room = (limit, room) if entries or limit == inf else tape.initial
        lost = None
        for entry, before, delta in self.pending:
            if entry.tape is not None:
                entry.tape, entry.delta = before, delta
            elif delta is not None:
                lost = entry
        if kind is None and self.reduction is not None:
            self.reduction.finish(self.leaves)
        if lost is not None and kind is None:
            raise ConsumedTapeError(f"backward: called in the middle of another sweep, it has consumed a result of "
                                    f"{lost.g.name} that the other has yet to walk; give it retain_graph=True")


def _is_settled(c: Any) -> bool:
    """Whether a contribution is as good as strong: without NaN, and nobody differentiates it, or computes it again."""
    return c._register is None and tracer() is None and not has_nan(elements(c))     # type: ignore[no-untyped-call]


def directly(loss: TensorBase, gradient: Any) -> dict[Leaf, Any] | None:
    """{leaf: delta} as of a sweep that consumes the tape, from its last entry, of a row that needs no sweep (Plan.direct), if
    the operands are leaves: most steps of a compiled function. Else None, and nothing has been done."""
    entry: Any = loss._register
    tape = thread.tape
    if entry.tape is not tape or tape.entries[-1] is not entry or tape.watch is not None or tape.marks or tape.limit == inf:
        return None
    for y in entry.ys:
        if type(y) is not Leaf:
            return None
    simple = gradient is None and entry.shape == () and entry.dtype.kind == "f"
    seed = _one(entry.dtype) if simple else seed_of(loss, gradient)
    found: dict[Leaf, Any] = {}
    for leaf, d in zip(entry.ys, entry.plan.direct(seed, *entry.saved)):
        if d is not None:
            found[leaf] = found[leaf] + d if leaf in found else d
    entry.tape, entry.saved, entry.ys = None, None, ()
    tape.entries.pop()
    if tape.entries:
        tape.reap()
    else:
        tape.limit, tape.room = tape.initial
    return found


@cache
def _one(dtype: Any) -> Any:
    """The seed of a number; nobody may write to it."""
    one = np.ones((), dtype)
    one.setflags(write=False)
    return one


def _made_strong(c: Any, d: Any) -> bool:
    """Whether a recorded contribution is d times something; then that product is strong from now on.

    The values are the same as long as none is NaN. What is different are the derivatives.
    """
    made, multiply = c._register, table["multiply"]
    if type(made) is not Entry or made.g is not multiply or has_nan(elements(c)):    # type: ignore[no-untyped-call]
        return False
    plan = made.plan.observed or made.plan
    if made.ys[0] is not (d if d._register is None else d._register) or plan not in multiply.plans:
        return False
    made.g = table["strong_multiply"]
    made.plan = made.g.planned()[multiply.plans.index(plan)]
    return True


def as_tensors(entry: Entry) -> tuple[Any, ...]:
    """What an entry saved, as tensors that are still connected to the tape."""
    z, *rest = entry.saved
    tensors = [None if z is None else wrap(z, entry)]
    for value, y in zip(rest, entry.operands):
        tensors.append(wrap(value, y if type(y) in (Entry, Leaf) else None) if type(value) is np.ndarray else value)
    return (*tensors, *entry.static) if not entry.g.variadic else (*tensors[:2], *entry.static)


class Deltas(tuple[Any, ...]):
    """What a rule for all operands gave, and at the end the delta that it was given."""

    __slots__ = ()


_gradient = Primitive("alias", lambda x: x, (lambda F, d, _z, _x: d,), complex=LINEAR)


def linked(gradient: Any, register: Any) -> Any:
    """A gradient on the tape as a function of the register that it is by: where it does not change with it, as the gradient
    of a piecewise linear function does not, its derivative is zeros, and not that of something unconnected."""
    x = gradient.detach()._data
    known = gradient._register
    entry = append(_gradient, _gradient.plan([known is not None]), (gradient if known is None else known,), (None, None), x)
    entry.ys, entry.plan = (*entry.ys, register), entry.plan.joined(1, partial(_unmoved, register))
    return wrap(x, entry)


def _unmoved(register: Any, F: Any, d: Any, *saved: Any) -> Any:
    """Zeros where they end; what is beyond an entry gets none."""
    if type(register) is not Leaf and register not in thread.tape.wanted:
        return None
    zeros = np.zeros(register.shape, register.dtype)
    return zeros if F is arrays else wrap(zeros, None)


def replaced(hooks: Iterable[Callable[[Any], Any]], d: Any) -> Any:
    """A delta after hooks, one after the other."""
    for hook in hooks:
        d = hook(d)
    return d


def seed_of(loss: TensorBase, gradient: Any, create_graph: bool = False) -> Any:
    """The delta that a sweep from `loss` starts with: `gradient`, checked, or 1; a tensor with create_graph."""
    seed = _checked_seed(loss, gradient)
    if create_graph or tracer() is not None:
        return seed if isinstance(seed, TensorBase) else wrap(seed, None)
    return seed.detach()._value if isinstance(seed, TensorBase) else seed       # and not an array that is lent


def _checked_seed(loss: TensorBase, gradient: Any) -> Any:
    if gradient is None:
        if loss.size != 1:
            raise GradientError(f"backward: without a gradient it needs a scalar, and this result has shape {loss.shape}; sum "
                                "it, or pass the gradient of what comes after as backward(gradient)")
        if loss.dtype.kind == "c":
            raise GradientError(f"backward: without a gradient it needs a real scalar, and this result is {loss.dtype}; take "
                                "its real part or absolute value, or pass the gradient of what comes after as "
                                "backward(gradient)")
        return np.ones(loss.shape, loss.dtype)
    if not isinstance(gradient, TensorBase):
        gradient = np.array(gradient)                   # the caller may write into it; tape, hooks and watchers keep it
        if gradient.dtype.kind != "c" or loss.dtype.kind == "c":
            gradient = gradient.astype(loss.dtype, copy=False)
    if gradient.shape != loss.shape:
        raise ShapeError(f"backward: a gradient of shape {gradient.shape} for a result of shape {loss.shape}")
    if gradient.dtype != loss.dtype:
        raise DtypeError(f"backward: a gradient of {gradient.dtype} for a result of {loss.dtype}")
    return gradient
