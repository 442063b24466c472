"""Gradient descent: each optimiser moves its parameters, tensors, against their `.grad`.

A step writes into the parameters' arrays, or into copies where the tape has saved them (see tensor.py), so a step in
the middle of a recording leaves the recorded values alone.

The hyperparameters are attributes and may be changed between steps. A parameter without a gradient stays, and its steps
are not counted, as in PyTorch. A complex parameter counts as its real and imaginary parts, as there.

    optimizer = tg.optim.Adam([W, b], lr=1e-3)
    for x, y in batches:
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from tapegrad.core.tape import changing, effect
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.kernels import steps
from tapegrad.kernels.optimisers import fused
from tapegrad.typing import Array

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]


class Optimizer:
    """The parameters of a model, and what is common to all ways of moving them. A subclass defines move(i, x, g).

    parameters   tensors, leaves that require a gradient
    lr           the learning rate, at least 0

    TypeError for parameters that are not a list of tensors; ValueError for an empty list, for a tensor that is given twice,
    is no leaf or requires no gradient, and for a hyperparameter out of its range.

    >>> class SignDescent(tg.optim.Optimizer):
    ...     def move(self, i, x, g):
    ...         x -= self.lr * np.sign(g)
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SignDescent([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data
    array([ 0.5, -1.5])
    """

    lr: float

    def __init__(self, parameters: Iterable[Tensor], lr: float, **others: Any) -> None:
        name = type(self).__name__
        if isinstance(parameters, Tensor):
            raise TypeError(f"{name}: the parameters are a list of tensors, not one tensor")
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError(f"{name}: the list of parameters is empty")
        for parameter in self.parameters:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: {describe(parameter)} among the parameters, which are tensors")
            if not (parameter.requires_grad and parameter.is_leaf):
                raise ValueError(f"{name}: {parameter!r} is not a leaf that requires a gradient")
        if len(set(map(id, self.parameters))) < len(self.parameters):
            raise ValueError(f"{name}: a parameter is given twice")
        self.hyperparameters = "lr", *others
        self._check(lr=lr, **others)
        vars(self).update(lr=lr, **others)

    def _check(self, betas: Sequence[float] = (0, 0), nesterov: bool = False, **others: float) -> None:
        name = type(self).__name__
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{name}: betas={betas}; they are two numbers from 0 to less than 1")
        for key, value in others.items():
            if not 0 <= value < inf:
                raise ValueError(f"{name}: {key}={value} is negative or not finite")
        if nesterov and not others["momentum"]:
            raise ValueError(f"{name}: nesterov={nesterov} with momentum={others['momentum']}; it needs a momentum")

    @effect
    def zero_grad(self) -> None:
        """Forget the gradients of all parameters: `.grad` is None again.

        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> tg.optim.SGD([x], lr=0.1).zero_grad()
        >>> print(x.grad)
        None
        """
        for parameter in self.parameters:
            parameter.grad = None

    @changing(lambda optimizer: optimizer.parameters)
    def step(self) -> None:
        """Move every parameter that has a gradient.

        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> tg.optim.SGD([x], lr=0.5).step()
        >>> x.item()
        0.0
        """
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                self.move(i, parameter.data, parameter.grad)

    def move(self, i: int, x: Array, g: Array) -> None:
        """Write into x, the array of parameter i, whose gradient is g."""
        raise NotImplementedError


class Group:
    """The parameters of one real dtype, and what is remembered of them, as the kernels want it.

    at         the parameters' places among all
    means      running means by name: arrays of all parameters, one behind the other
    offsets    those of parameter k are offsets[k] .. offsets[k + 1] of it
    steps      how many each parameter has made
    """

    def __init__(self, dtype: np.dtype[Any], at: list[int], parameters: list[Tensor], means: Iterable[str]) -> None:
        self.dtype, self.at, self.parameters = dtype, at, parameters
        self.nbytes = [parameter._value.nbytes for parameter in parameters]
        self.offsets = np.array([0, *accumulate(n // dtype.itemsize for n in self.nbytes)], np.int64)
        self.means = {name: np.zeros(self.offsets[-1], dtype) for name in means}
        self.steps = np.zeros(len(at), np.int64)

    def part(self, name: str, k: int) -> Array:
        """A running mean of parameter k, in its dtype and shape: a view."""
        x = self.parameters[k]
        mean: Array = self.means[name][self.offsets[k]:self.offsets[k + 1]].view(x.dtype).reshape(x.shape)
        return mean


def reals(x: Array) -> Array:
    """x, or the view of a complex x with an axis more for the real and the imaginary part."""
    return x[..., None].view(x.real.dtype) if x.dtype.kind == "c" else x


class FusedOptimizer(Optimizer):
    """An optimiser whose step is one call of a kernel for all parameters of a precision.

    That takes float32, float64 and their complex dtypes, C-contiguous. The others, and all where numba does not work, go
    through the same formulas on arrays; float16 in float32, where eps is not 0. A subclass names its kernel and its running
    means, and defines _numbers(), the last arguments of the kernel, and _moved(t, x, g, *means), the new x and means of one
    parameter at its step t, on arrays of real numbers.
    """

    kernel: ClassVar[str]
    means: ClassVar[tuple[str, ...]]

    def __init__(self, parameters: Iterable[Tensor], lr: float, **others: Any) -> None:
        super().__init__(parameters, lr, **others)
        at: dict[np.dtype[Any], list[int]] = {}
        for i, parameter in enumerate(self.parameters):
            at.setdefault(parameter._value.real.dtype, []).append(i)
        self.groups = [Group(dtype, places, [self.parameters[i] for i in places], self.means) for dtype, places in at.items()]

    def _numbers(self) -> tuple[float, ...]:
        raise NotImplementedError

    def _moved(self, t: int, x: Array, g: Array, *means: Array) -> Any:
        raise NotImplementedError

    @changing(lambda optimizer: optimizer.parameters)
    def step(self) -> None:
        """Move every parameter that has a gradient. ShapeError where an array was resized after it was assigned."""
        for group in self.groups:
            kernel = fused(self.kernel, group.dtype)
            arrays: list[Array | None] = []             # the kernel's, in a tuple: x and g by turns, or None twice
            for k, parameter in enumerate(group.parameters):
                g = parameter.grad
                if g is None:
                    arrays += None, None
                    continue
                x = parameter._lend()
                if type(g) is not ndarray or g.base is not None or not g.flags.carray:      # a view might overlap x
                    g = np.array(g._value if isinstance(g, Tensor) else g, x.dtype, order="C")
                if not x.nbytes == g.nbytes == group.nbytes[k]:
                    raise ShapeError(f"{type(self).__name__}: a gradient {describe(g)} for a parameter {describe(x)}")
                if kernel and x.flags.carray:
                    arrays += x, g
                else:
                    arrays += None, None
                    self._step_on_arrays(group, k, x, g)
            if kernel:
                kernel(tuple(arrays), None, group.offsets, *group.means.values(), group.steps, *self._numbers())

    def _step_on_arrays(self, group: Group, k: int, x: Array, g: Array) -> None:
        t = int(group.steps[k]) + 1
        x, g, *means = map(reals, (x, g.reshape(x.shape), *(group.part(name, k) for name in self.means)))
        wide = np.result_type(x, np.float32)
        news = self._moved(t, *(array.astype(wide, copy=False) for array in (x, g, *means)))
        for old, new in zip((x, *means), news):
            old[...] = new
        group.steps[k] = t

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict() goes on from: {"hyperparameters": by name, "state": a dictionary per parameter, in order}.

        The latter are the number of its steps and copies of its running means.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> tg.optim.SGD([x], lr=0.1, momentum=0.9).state_dict()
        {'hyperparameters': {'lr': 0.1, 'momentum': 0.9, 'weight_decay': 0.0, 'nesterov': False},
         'state': [{'steps': 0, 'velocity': array([0., 0.])}]}
        """
        state: list[Any] = [None] * len(self.parameters)
        for group in self.groups:
            for k, i in enumerate(group.at):
                state[i] = {"steps": int(group.steps[k])} | {name: group.part(name, k).copy() for name in self.means}
        return {"hyperparameters": {name: getattr(self, name) for name in self.hyperparameters}, "state": state}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what state_dict() gave. What does not fit raises, and nothing is changed.

        ValueError for hyperparameters of another optimiser and another number of parameters, ShapeError and DtypeError for
        other arrays.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = tg.optim.Adam([x], lr=0.1)
        >>> optimizer.load_state_dict(tg.optim.Adam([x], lr=0.01).state_dict())
        >>> optimizer.lr
        0.01
        """
        name, hyperparameters, state = f"{type(self).__name__}.load_state_dict", saved["hyperparameters"], saved["state"]
        if set(hyperparameters) != set(self.hyperparameters):
            raise ValueError(f"{name}: hyperparameters {', '.join(hyperparameters)}, not {', '.join(self.hyperparameters)}")
        if len(state) != len(self.parameters):
            raise ValueError(f"{name}: {len(state)} parameters; there are {len(self.parameters)}")
        self._check(**hyperparameters)
        places = [(group, k, state[i], i) for group in self.groups for k, i in enumerate(group.at)]
        for group, k, of, i in places:
            if set(of) != {"steps", *self.means}:
                raise ValueError(f"{name}: parameter {i} has {', '.join(of)}, not steps, {', '.join(self.means)}")
            if of["steps"] < 0:
                raise ValueError(f"{name}: parameter {i} has made {of['steps']} steps")
            for mean in self.means:
                wanted, found = group.part(mean, k), np.asarray(of[mean])
                if found.shape != wanted.shape:
                    raise ShapeError(f"{name}: {mean} of parameter {i} is {describe(found)}, the parameter {describe(wanted)}")
                if found.dtype != wanted.dtype:
                    raise DtypeError(f"{name}: {mean} of parameter {i} is {describe(found)}, the parameter {describe(wanted)}")
        for group, k, of, _ in places:
            group.steps[k] = of["steps"]
            for mean in self.means:
                group.part(mean, k)[...] = of[mean]
        vars(self).update(hyperparameters)


class SGD(FusedOptimizer):
    """x -= lr * g, with a momentum x -= lr * v, where v = momentum * v + g, or, with nesterov, x -= lr * (g + momentum * v).

    weight_decay   adds weight_decay * x to g
    Source: Robbins and Monro (1951); Polyak (1964) for the momentum; Sutskever et al., On the importance of initialization
    and momentum in deep learning (2013) for nesterov, in PyTorch's form, whose v is not multiplied by lr.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([x], lr=0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> x.data
    array([0., 0.])
    """

    kernel, means = "sgd", ("velocity",)
    momentum: float
    weight_decay: float
    nesterov: bool

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.0, weight_decay: float = 0.0,
                 nesterov: bool = False) -> None:
        super().__init__(parameters, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def _numbers(self) -> tuple[float, ...]:
        return float(self.lr), float(self.weight_decay), float(self.momentum), float(bool(self.nesterov))

    def _moved(self, t: int, x: Array, g: Array, *means: Array) -> Any:
        (v,) = means
        lr, weight_decay, momentum, nesterov = self._numbers()
        if momentum:
            return steps.momentum_sgd(x, g, v, lr, weight_decay, momentum, nesterov)
        return steps.sgd(x, g, lr, weight_decay), v


class Adam(FusedOptimizer):
    """x -= lr * m' / (sqrt(v') + eps), where m' and v' are the running means of g and g^2 without their bias to 0.

    m = beta1 * m + (1 - beta1) * g, m' = m / (1 - beta1^t) at the parameter's step t, and so for v, with beta2.
    weight_decay   adds weight_decay * x to g
    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.

    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adam([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data.round(6)
    array([ 0.5, -1.5])
    """

    kernel, means = "adam", ("m", "v")
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(self, parameters: Iterable[Tensor], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _numbers(self) -> tuple[float, ...]:
        beta1, beta2 = self.betas
        return float(self.lr), float(beta1), float(beta2), float(self.eps), *self.decay()

    def decay(self) -> tuple[float, float]:
        """What is added to g times x, and what x shrinks to."""
        return float(self.weight_decay), 1.0

    def _moved(self, t: int, x: Array, g: Array, *means: Array) -> Any:
        m, v = means
        lr, beta1, beta2, eps, weight_decay, shrink = self._numbers()
        rate, floor = steps.without_bias(t, lr, beta1, beta2, eps)
        return steps.adam(x, g, m, v, rate, floor, beta1, 1 - beta1, beta2, 1 - beta2,
                                                       weight_decay, shrink)


class AdamW(Adam):
    """Adam with decoupled weight decay: x shrinks to (1 - lr * weight_decay) * x first, and g stays.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2, in PyTorch's form, whose decay
    is multiplied by lr.

    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.AdamW([x], lr=0.5, weight_decay=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data.round(6)
    array([ 0.45, -1.4 ])
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.01) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def decay(self) -> tuple[float, float]:
        return 0.0, 1 - float(self.lr) * float(self.weight_decay)
