"""The gradient that most ask for: by arrays, on an empty tape, inside of no other derivative.

functional.py is for all others: there a run has to tell its entries from those of others. Here all that the tape holds when the
function returns is the run's, so that a sweep over the whole tape is one over the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import wrap
from tapegrad.core.sweep import sweep
from tapegrad.core.tape import LIMIT, thread
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import arrays
from tapegrad.tree import leaves, rebuild

_ARRAYS = frozenset({np.ndarray, float, np.float64, np.float32})


class Outermost:
    """A run of fun(*args, **kwargs) on leaves in the place of the arguments at the positions.

    arrays      their arrays
    registers   theirs
    leaves      these, and those of derivatives that were asked for meanwhile
    output      what the function returned
    consumed    the entries made meanwhile that a backward() has consumed
    """

    __slots__ = ("arrays", "consumed", "leaves", "output", "registers")

    def __init__(self, fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], positions: Sequence[int],
                 runs: Any) -> None:
        """`runs` is where this thread's innermost run is noted."""
        given = list(args)
        self.arrays: list[Any] = []
        self.registers: list[Leaf] = []
        for i in positions:
            x = args[i]
            given[i] = self._input(x) if type(x) in _ARRAYS else rebuild(x, iter([self._input(leaf) for leaf in leaves(x)]))
        self.leaves: set[Any] = set(self.registers)
        runs.run = self
        try:
            with thread.tape.marked() as mark:
                self.output = fun(*given, **kwargs)
        finally:
            runs.run = None
        self.consumed = mark.consumed

    def _input(self, x: Any) -> Tensor:
        data = np.array(x)
        leaf = Leaf(data.shape, data.dtype)
        self.registers.append(leaf)
        self.arrays.append(data)
        return wrap(data, leaf)

    def inputs(self) -> list[Tensor]:
        """The tensors as they were passed: the function may have written into its argument, which is then a result."""
        return [wrap(data, leaf) for data, leaf in zip(self.arrays, self.registers)]

    def deltas(self, z: Tensor, seed: Any) -> list[Any] | None:
        """The deltas of the inputs for that of the output z; None, and nothing has been done, where there is more to do."""
        if not self._is_apart(z):
            return None
        found = {} if z._register is None else sweep(arrays, [(z._register, seed)], False)
        return [np.array(found[leaf]) if leaf in found else np.zeros(leaf.shape, leaf.dtype) for leaf in self.registers]

    def _is_apart(self, z: Tensor) -> bool:
        """Whether nothing is recorded that reads what is from outside, and no hook is there, which might look around."""
        tape, own = thread.tape, self.leaves
        for leaf in self.registers:
            if leaf.hooks:
                return False
        for entry in tape.entries:
            if entry.plan.hooks:
                return False
            for y in entry.ys:
                if type(y) is Entry and y.tape is not tape or type(y) is Leaf and y not in own:
                    return False
        last = z._register
        return last.tape is tape if type(last) is Entry else last is None or last in own


def outermost(args: Sequence[Any], positions: Sequence[int], runs: Any) -> bool:
    """Whether the gradient by these arguments is such a one."""
    tape = thread.tape
    if runs.run is not None or not tape.recording or tape.tracer is not None or tape.marks:
        return False
    for i in positions:
        x = args[i]
        if not (_has_gradient(x) or isinstance(x, (dict, list, tuple)) and all(map(_has_gradient, leaves(x)))):
            return False
    if 0 < len(tape.entries) <= LIMIT:
        tape.reap()
    return not tape.entries


def _has_gradient(x: Any) -> bool:
    return type(x) in _ARRAYS and (type(x) is not np.ndarray or x.dtype.kind in "fc")
