"""Around the reverse sweep: what it starts with, and the state of the tape while it is walked and afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import wrap
from tapegrad.core.tape import thread
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import ConsumedTapeError, DtypeError, GradientError, ShapeError, ThreadError


class Walk:
    """`with Walk(F, seeds, consume) as walk:` this thread's tape while a sweep walks it.

    tape      from which nothing leaves by itself meanwhile
    leaves    {leaf: its delta so far}; a leaf may be shared by threads, and has no delta of its own

    An entry has the delta that it was seeded with. When an error leaves the block, no entry has one. At the end consumed
    entries leave the tape. A sweep inside of another, in a rule of a user's, finds no deltas but its own: those on the way are
    set aside until it ends.
    """

    __slots__ = ("tape", "leaves", "memo", "seeds", "consume", "before", "pending")

    def __init__(self, F: Any, seeds: Iterable[tuple[Any, Any]], consume: bool) -> None:
        self.tape, self.memo, self.seeds, self.consume = thread.tape, F.memo, seeds, consume
        self.before = self.tape.limit, self.tape.room
        self.leaves: dict[Leaf, Any] = {}
        self.pending: list[tuple[Entry, Any]] = []

    def __enter__(self) -> Walk:
        tape = self.tape
        if tape.limit == inf:
            self.pending = [(entry, entry.delta) for entry in tape.entries if entry.delta is not None]
            for entry, _ in self.pending:
                entry.delta = None
        tape.keep_all()
        try:
            for register, seed in self.seeds:
                if type(register) is Leaf:
                    self.leaves[register] = self.leaves[register] + seed if register in self.leaves else seed
                else:
                    self.check(register)
                    register.delta = seed if register.delta is None else register.delta + seed
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def check(self, entry: Any) -> None:
        """An error where an entry is not on the tape that is walked."""
        if entry.tape is None:
            raise ConsumedTapeError(f"backward: the tape of this result of {entry.g.name} has been consumed by an earlier "
                                    "backward(); give that one retain_graph=True, or detach() what is carried over")
        if entry.tape is not self.tape:
            raise ThreadError(f"backward: this result of {entry.g.name} was recorded by another thread, on its own tape; "
                              "call backward() in the thread that ran the forward pass")

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        tape, (limit, room) = self.tape, self.before
        entries = tape.entries
        if kind is not None:
            for entry in entries:
                entry.delta = None
        self.memo.clear()
        if self.consume and limit < inf:
            entries[:] = [entry for entry in entries if entry.tape is not None]
            if entries:                                 # the next sweep should not walk over what is dead
                tape.reap()
        tape.limit, tape.room = (limit, room) if entries else tape.initial
        for entry, delta in self.pending:
            entry.delta = delta


def as_tensors(entry: Entry) -> tuple[Any, ...]:
    """What an entry saved, as tensors that are still connected to the tape."""
    z, *rest = entry.saved
    tensors = [None if z is None else wrap(z, entry)]
    for value, y in zip(rest, entry.operands):
        tensors.append(wrap(value, y if type(y) in (Entry, Leaf) else None) if type(value) is np.ndarray else value)
    return (*tensors, *entry.static) if not entry.g.variadic else (*tensors[:2], *entry.static)


def replaced(hooks: Iterable[Callable[[Any], Any]], d: Any) -> Any:
    """A delta after hooks, one after the other."""
    for hook in hooks:
        d = hook(d)
    return d


def seed_of(loss: TensorBase, gradient: Any, create_graph: bool = False) -> Any:
    """The delta that a sweep from `loss` starts with: `gradient`, checked, or 1; a tensor with create_graph."""
    seed = _checked_seed(loss, gradient)
    if create_graph:                                    # the tape may save it, and the caller may write into it
        return seed if isinstance(seed, TensorBase) else wrap(seed.copy(), None)
    return seed._value if isinstance(seed, TensorBase) else seed


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
        gradient = np.asarray(gradient)
        if gradient.dtype.kind != "c" or loss.dtype.kind == "c":
            gradient = gradient.astype(loss.dtype, copy=False)
    if gradient.shape != loss.shape:
        raise ShapeError(f"backward: a gradient of shape {gradient.shape} for a result of shape {loss.shape}")
    if gradient.dtype != loss.dtype:
        raise DtypeError(f"backward: a gradient of {gradient.dtype} for a result of {loss.dtype}")
    return gradient
