"""Registers: what the names in a Wengert list stand for.

A recorded operation z = g(y1, .., yk) is an `Entry`, and the entry is also the register of z: the operands of later
entries are the entries that made them. A tensor that the user made and wants the gradient of has a `Leaf`. A constant
needs no register: it stands in an entry's operands as itself.

A register does not hold the tensor, and an entry does not hold its value: only the arrays that the derivatives read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

if TYPE_CHECKING:
    from tapegrad.core.tape import TapeBase
    from tapegrad.primitives.plan import Plan
    from tapegrad.primitives.registry import Primitive


class Entry:
    """One recorded operation.

    g       the primitive's row (primitives/registry.py)
    ys      the registers of the operands: Entry, Leaf, or a constant (a tensor or a Python number)
    plan    which derivatives are wanted and what they read (primitives/plan.py): made by the row
    saved   (z, y1, .., yk, *static), with None where no derivative reads the value
    shape, dtype   of the result, and so of its delta
    delta   what the sweep has accumulated for the result
    tape    the tape that holds the entry; None once a backward() has consumed it
    name    the name that the user gave to the result (not set without one)
    where   the user's line that recorded it, or a trace's note of it (set while the thread is watched only)
    """

    __slots__ = ("g", "ys", "plan", "saved", "shape", "dtype", "delta", "tape", "name", "where")

    g: Primitive
    ys: tuple[Any, ...]
    plan: Plan
    saved: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    delta: Any
    tape: TapeBase | None
    name: str | None
    where: Any

    @property
    def operands(self) -> tuple[Any, ...]:
        """The registers of the operands (`ys` may end with leaves that retain the delta)."""
        return self.ys[:len(self.plan.keep) - 1]

    @property
    def static(self) -> Any:
        """The arguments that are not operands: axes, shapes, indices."""
        return self.saved[2 if self.g.arity is None else 1 + self.g.arity:]

    def retain(self, leaf: Leaf) -> None:
        """Give `leaf` the delta of this entry, too: it becomes one more operand, whose derivative is 1."""
        self.ys, self.plan = (*self.ys, leaf), self.plan.joined(len(self.ys), _whole_delta)

    def hook(self, function: Callable[[Any], Any]) -> None:
        """Have `function` replace the delta before the derivatives read it, after the hooks that are there."""
        self.plan = self.plan.hooked(function)


def _whole_delta(F: Any, d: Any, *saved: Any) -> Any:
    return d[-1] if isinstance(d, tuple) else d         # that of a rule for all operands is walk.py's Deltas


class Leaf:
    """The register of a tensor made by the user that requires a gradient: there the gradient accumulates.

    hooks    functions that a sweep applies to the delta of the leaf
    tensor   a weak reference to the tensor, or None. With the tensor goes the gradient: one that is on the tape itself
             (create_graph) depends on the leaf, and the tape would keep the two for ever
    """

    __slots__ = ("shape", "dtype", "grad", "name", "hooks", "tensor", "__weakref__")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], name: str | None = None) -> None:
        self.shape, self.dtype, self.name = shape, dtype, name
        self.grad: Any = None
        self.hooks: tuple[Callable[[Any], Any], ...] = ()
        self.tensor: ref[Any] | None = None

    def belongs_to(self, tensor: Any) -> None:
        """Be the leaf of a tensor, for as long as that lives."""
        self.tensor = ref(tensor, partial(_forsaken, ref(self)))

    def hook(self, function: Callable[[Any], Any]) -> None:
        """Have `function` replace the delta at the end of a sweep."""
        self.hooks = (*self.hooks, function)


def _forsaken(leaf: ref[Leaf], _tensor: Any) -> None:
    if (living := leaf()) is not None:
        living.grad = None


class Handle:
    """What a user's variable holds: the base of Tensor, so that a listing can find the variable of a register."""

    __slots__ = ()
