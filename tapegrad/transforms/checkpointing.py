"""Checkpointing: memory for time. A run is forgotten, and made again when its derivative is wanted.

On the tape a checkpointed call is one entry per result, whose operands are the arguments and whatever else the function
read that requires a gradient. Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.record import append, wrap
from tapegrad.core.tape import thread
from tapegrad.errors import GradientError
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive, arrays
from tapegrad.primitives.registry import LINEAR
from tapegrad.transforms.autograd import deltas, own
from tapegrad.transforms.functional import Run
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import Tree


class _Call:
    """A call to be run again. `found`: the delta asked for last, of which result, and the deltas that came of it."""

    def __init__(self, fun: Callable[..., Tree], args: Tree, kwargs: dict[str, Any]) -> None:
        self.fun, self.args, self.kwargs = fun, args, kwargs
        self.found: tuple[Any, Any, list[Any]] = None, None, []

    def run(self, own: Callable[[Any], Tensor | None]) -> Run:
        return Run(self.fun, self.args, self.kwargs, own)

    def __repr__(self) -> str:
        return getattr(self.fun, "__name__", "a function")


def _fresh(x: Any) -> Tensor | None:
    """A leaf with the value of an argument that requires a gradient."""
    if isinstance(x, Tensor) and x._register is not None:
        leaf: Tensor = wrap(x.detach()._data, Leaf(x.shape, x.dtype))
        return leaf
    return None


def _connected(x: Any) -> Tensor | None:
    return own(x) if isinstance(x, Tensor) and x._register is not None else None


def _dx(i: int, F: Any, d: Any, z: Any, _xs: None, call: _Call, place: int) -> Any:
    """The delta of operand i, from the function run again."""
    if call.found[0] is not d or call.found[1] != place:
        run = call.run(_fresh if F is arrays else _connected)
        out = leaves(run.output)[place]
        if not np.array_equal(out._value, getattr(z, "_value", z), equal_nan=True):
            raise GradientError(f"checkpoint: {call!r} gave another value when it was run again: it is random, or what it "
                                "reads has changed since")
        call.found = d, place, deltas([out], [d], [x._register for x in run.inputs] + run.outside, F is not arrays)
        _forget(run, F)
    return call.found[2][i]


def _forget(run: Run, F: Any = arrays) -> None:
    if F is arrays:
        del thread.tape.entries[len(thread.tape.entries) - sum(1 for _ in run.made()):]


_row = Primitive("checkpoint", None, (_dx,), variadic=True, complex=LINEAR)


def checkpoint(fun: Callable[..., Tree]) -> Callable[..., Tree]:
    """`fun`, of which the tape keeps the arguments and results only; backward() runs it again. Also a decorator.

    fun   takes and returns tensors, or structures of them, and computes the same when it is run again: backward() raises
          GradientError if it does not

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> z = tg.checkpoint(lambda x: (x * x * x).sum())(x)
    >>> len(tg.tape())
    1
    >>> z.backward()
    >>> x.grad
    array([ 3., 12.])
    """
    @wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Tree:
        if not thread.tape.recording:
            return fun(*args, **kwargs)
        args = rebuild(args, iter([wrap(x.detach()._data, x._register) if isinstance(x, Tensor) else x for x in leaves(args)]))
        call = _Call(fun, args, kwargs)
        run = call.run(_fresh)
        outs = run.outputs("checkpoint")
        registers = [x._register for x in leaves(args) if isinstance(x, Tensor) and x._register is not None] + run.outside
        _forget(run)
        if not registers:
            return rebuild(run.output, iter([z.detach() for z in outs]))
        plan, shapes = _row.plan([True] * len(registers)), tuple(register.shape for register in registers)
        results = []
        for place, z in enumerate(outs):
            zd = z.detach()._data
            results.append(wrap(zd, append(_row, plan, tuple(registers), (zd, shapes, call, place), zd)))
        return rebuild(run.output, iter(results))

    return checkpointed
