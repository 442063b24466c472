"""Checkpointing: memory for time. A run is forgotten, and made again when its derivative is wanted.

On the tape a checkpointed call is one entry per result, whose operands are the arguments and whatever else the function
read that requires a gradient. Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from zlib import crc32

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.record import append, wrap
from tapegrad.core.tape import thread, tracer
from tapegrad.errors import GradientError
from tapegrad.functions.random import generator
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive, arrays
from tapegrad.primitives.registry import LINEAR
from tapegrad.transforms.autograd import deltas, own
from tapegrad.transforms.batched import open_levels, outside_of
from tapegrad.transforms.runs import Run, snapshot
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import Tree


class _Call:
    """A call to be run again, with the random numbers of the first run. `read` is what that read: see _signature.

    The arguments are kept as they were: the function may write into those of the caller's at first, and into copies later.
    """

    def __init__(self, fun: Callable[..., Tree], args: Tree, kwargs: dict[str, Any]) -> None:
        self.fun, self.args, self.kwargs = fun, snapshot(args), snapshot(kwargs)
        self.read: tuple[Any, ...] = ()
        self.random = generator().bit_generator.state

    def run(self, own: Callable[[Any], Tensor | None]) -> Run:
        return Run(self.fun, snapshot(self.args), snapshot(self.kwargs), own)

    def again(self, own: Callable[[Any], Tensor | None]) -> Run:
        """Run it once more; afterwards this thread's generator is where it was."""
        numbers = generator().bit_generator
        before, numbers.state = numbers.state, self.random
        try:
            return self.run(own)
        finally:
            numbers.state = before

    def __repr__(self) -> str:
        return getattr(self.fun, "__name__", "a function")


def _fresh(x: Any) -> Tensor | None:
    """A leaf with the value of an argument that requires a gradient."""
    if isinstance(x, Tensor) and x._register is not None:
        return wrap(x.detach()._data, Leaf(x.shape, x.dtype))
    return None


def _connected(x: Any) -> Tensor | None:
    return own(x) if isinstance(x, Tensor) and x._register is not None else None


def _dx(F: Any, d: Any, z: Any, _xs: None, call: _Call, place: int) -> list[Any]:
    """The deltas of all operands, from the function run again."""
    with outside_of(open_levels()):                     # it was run for no example of a Jacobian's
        run = call.again(_fresh if F is arrays else _connected)
    out = leaves(run.output)[place]
    if not np.array_equal(out._value, getattr(z, "_value", z), equal_nan=True) or _signature(run) != call.read:
        raise GradientError(f"checkpoint: {call!r} gave another value, or read another one, when it was run again: it is "
                            "random, by another generator than tg.generator(), or an array or tensor that it reads has changed "
                            "since")
    found = deltas([out], [d], [x._register for x in run.inputs] + run.outside, F is not arrays,
                   part=run.part(wanted=run.outside))
    if F is arrays:
        run.forget()
    return found


def _signature(run: Run) -> tuple[Any, ...]:
    """What a run did, and checksums of the values from outside, its inputs apart, that its derivatives read."""
    inside, inputs = run.leaves.union(run.entries), {x._register for x in run.inputs}
    found: list[Any] = []
    for entry in run.used:
        if entry in inputs:
            continue
        read = entry.static if entry.g.variadic else [
            value for value, y in zip(entry.saved[1:], entry.operands) if y not in inside] + list(entry.static)
        found.append((entry.g.name, *map(_checksum, leaves(list(read)))))
    return len(run.outside), *found


def _checksum(x: Any) -> Any:
    if isinstance(x, _Call):
        return x.read
    x = x._value if isinstance(x, Tensor) else x
    if not isinstance(x, np.ndarray) or x.dtype.hasobject:
        return x if type(x) in (int, float, complex, bool, str) else type(x)
    return x.shape, crc32(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)


_row = Primitive("checkpoint", None, (lambda i, F, d, z, _xs, call, place: d[i],), variadic=True, complex=LINEAR, drops=True)


def checkpoint(fun: Callable[..., Tree]) -> Callable[..., Tree]:
    """`fun`, of which the tape keeps the arguments and results only; backward() runs it again. Also a decorator.

    fun   takes and returns tensors, or structures of them, and computes the same when it is run again: backward() raises
          GradientError if it does not, or if an array or tensor that it reads from outside has changed. Arrays among its
          arguments are copied

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
        if not thread.tape.recording or tracer() is not None or thread.tape.levels:
            return fun(*args, **kwargs)
        call = _Call(fun, args, kwargs)
        run = Run(fun, args, kwargs, _fresh)
        call.read = _signature(run)
        outs = run.outputs("checkpoint")
        registers = [x._register for x in leaves(call.args) if isinstance(x, Tensor) and x._register is not None] + run.outside
        run.forget()
        if not registers:
            return rebuild(run.output, iter([z.detach() for z in outs]))
        plan, shapes = _row.plan([True] * len(registers)).by(_dx), tuple(register.shape for register in registers)
        results = []
        for place, z in enumerate(outs):
            zd = z.detach()._data
            results.append(wrap(zd, append(_row, plan, tuple(registers), (zd, shapes, call, place), zd)))
        return rebuild(run.output, iter(results))

    return checkpointed
