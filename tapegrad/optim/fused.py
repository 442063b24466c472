"""Optimisers whose step is one call of a kernel for all parameters of a group and a precision.

A step writes into the parameters' arrays, or into copies where the tape has saved them (core/tensor.py), so a step in the
middle of a recording leaves the recorded values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from tapegrad.core.tape import changing
from tapegrad.errors import DtypeError, ShapeError, StateError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.kernels.optimisers import fused
from tapegrad.optim.optimizer import Optimizer
from tapegrad.typing import Array


class Part:
    """The parameters of a group that have one real dtype, and what is remembered of them, as the kernels want it.

    kernel     the name of the kernel, or None
    group      the group, with its hyperparameters
    at         the parameters' places among all
    means      running means by name: arrays of all parameters, one behind the other
    more       those that only some hyperparameter asks for, from their first use on
    offsets    those of parameter k are offsets[k] .. offsets[k + 1] of it
    steps      how many each parameter has made
    numbers    what else is remembered by name: a number for each parameter
    """

    def __init__(self, kernel: str | None, group: dict[str, Any], dtype: np.dtype[Any], at: list[int], parameters: list[Tensor],
                 means: Iterable[str], numbers: Mapping[str, float]) -> None:
        self.kernel, self.group, self.dtype, self.at, self.parameters = kernel, group, dtype, at, parameters
        self.nbytes = [parameter._value.nbytes for parameter in parameters]
        self.offsets = np.array([0, *accumulate(n // dtype.itemsize for n in self.nbytes)], np.int64)
        self.means, self.more = {name: np.zeros(self.offsets[-1], dtype) for name in means}, dict[str, Array]()
        self.steps = np.zeros(len(at), np.int64)
        self.numbers = {name: np.full(len(at), start) for name, start in numbers.items()}

    def part(self, name: str, k: int) -> Array:
        """A running mean of parameter k, in its dtype and shape: a view."""
        x, held = self.parameters[k], self.means.get(name)
        if held is None:
            if name not in self.more:
                self.more[name] = np.zeros(self.offsets[-1], self.dtype)
            held = self.more[name]
        mean: Array = held[self.offsets[k]:self.offsets[k + 1]].view(x.dtype).reshape(x.shape)
        return mean


def reals(x: Array) -> Array:
    """x, or the view of a complex x with an axis more for the real and the imaginary part."""
    return x[..., None].view(x.real.dtype) if x.dtype.kind == "c" else x


class FusedOptimizer(Optimizer):
    """An optimiser whose step is one call of a kernel for all parameters of a group and a precision.

    That takes float32, float64 and their complex dtypes, C-contiguous. The others, and all where numba does not work or
    there is no kernel, go through the same formulas on arrays; float16 in float32, where eps is not 0.

    A subclass names its running means, the numbers that it remembers with their values at the start, and its kernel, if it
    has one; then it defines _numbers(group), the last arguments of the kernel. It defines _moved(part, k, t, x, g, *means),
    the new x and means of the k-th parameter of a part at its step t, on arrays of real numbers.

    beyond   the hyperparameter with which a group has no kernel, if there is one
    more     running means by name, with the hyperparameters that ask for them

    With the hyperparameter maximize the steps are those of -g.
    """

    kernel: ClassVar[str | None] = None
    beyond: ClassVar[str | None] = None
    means: ClassVar[tuple[str, ...]]
    more: ClassVar[Mapping[str, str]] = {}
    numbers: ClassVar[Mapping[str, float]] = {}

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        start = len(self.parameters)
        super().add_param_group(param_group)
        group, at = self.param_groups[-1], dict[np.dtype[Any], list[int]]()
        for i, parameter in enumerate(group["params"], start):
            at.setdefault(parameter._value.real.dtype, []).append(i)
        parts = [Part(self.kernel, group, dtype, places, [self.parameters[i] for i in places], self.means, self.numbers)
                 for dtype, places in at.items()]
        known = vars(self)
        known.setdefault("parts", []).extend(parts)
        known.setdefault("_places", {}).update({i: (part, k) for part in parts for k, i in enumerate(part.at)})

    def _means(self, group: Mapping[str, Any]) -> list[str]:
        return [*self.means, *[name for name, wanted in self.more.items() if group[wanted]]]

    def _numbers(self, group: Mapping[str, Any]) -> tuple[float, ...]:
        raise NotImplementedError

    def _moved(self, part: Part, k: int, t: int, x: Array, g: Array, *means: Array) -> Any:
        raise NotImplementedError

    @changing(lambda optimizer, *_: optimizer.parameters)
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient. ShapeError where an array was resized after it was assigned.

        closure   called first, to compute the gradients; the loss that it returns is returned
        """
        loss = None if closure is None else self._called(closure)
        for part in self.parts:
            plain = part.kernel is None or part.group.get(self.beyond)
            kernel = None if plain else fused(part.kernel, part.dtype)
            maximize = part.group.get("maximize")
            arrays: list[Array | None] = []             # the kernel's, in a tuple: x and g by turns, or None twice
            for k, parameter in enumerate(part.parameters):
                g = parameter.grad
                if g is None:
                    arrays += None, None
                    continue
                x = parameter._lend()
                if type(g) is not ndarray or g.base is not None or not g.flags.carray:      # a view might overlap x
                    g = np.array(g._value if isinstance(g, Tensor) else g, x.dtype, order="C")
                if maximize:
                    g = np.asarray(-g)
                if not x.nbytes == g.nbytes == part.nbytes[k]:
                    raise ShapeError(f"{type(self).__name__}: a gradient {describe(g)} for a parameter {describe(x)}")
                if kernel and x.flags.carray:
                    arrays += x, g
                else:
                    arrays += None, None
                    self._step_on_arrays(part, k, x, g)
            if kernel:
                kernel(tuple(arrays), None, part.offsets, *part.means.values(), part.steps, *self._numbers(part.group))
        return loss

    def _step_on_arrays(self, part: Part, k: int, x: Array, g: Array) -> None:
        t = int(part.steps[k]) + 1
        x, g, *means = map(reals, (x, g.reshape(x.shape), *(part.part(name, k) for name in self._means(part.group))))
        wide = np.result_type(x, np.float32)
        news = self._moved(part, k, t, *(array.astype(wide, copy=False) for array in (x, g, *means)))
        for old, new in zip((x, *means), news):
            old[...] = new
        part.steps[k] = t

    def _state(self, i: int) -> dict[str, Any]:
        part, k = self._places[i]
        numbers = {name: float(held[k]) for name, held in part.numbers.items()}
        means = {name: part.part(name, k).copy() for name in self._means(part.group)}
        return {"steps": int(part.steps[k]), **numbers, **means}

    def _check_state(self, i: int, state: Mapping[str, Any], group: Mapping[str, Any], name: str) -> None:
        part, k = self._places[i]
        wanted_names = ("steps", *self.numbers, *self._means(group))
        if set(state) != set(wanted_names):
            raise StateError(f"{name}: parameter {i} has {', '.join(state)}, not {', '.join(wanted_names)}")
        if state["steps"] < 0:
            raise StateError(f"{name}: parameter {i} has made {state['steps']} steps")
        for mean in self._means(group):
            wanted, found = part.part(mean, k), np.asarray(state[mean])
            for error, same in ((ShapeError, found.shape == wanted.shape), (DtypeError, found.dtype == wanted.dtype)):
                if not same:
                    raise error(f"{name}: {mean} of parameter {i} is {describe(found)}, the parameter {describe(wanted)}")

    def _put_state(self, i: int, state: Mapping[str, Any]) -> None:
        part, k = self._places[i]
        part.steps[k] = state["steps"]
        for name in self.numbers:
            part.numbers[name][k] = state[name]
        for mean in state.keys() - {"steps", *self.numbers}:
            part.part(mean, k)[...] = state[mean]
