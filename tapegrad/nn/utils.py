"""Gradients held within bounds, and parameters as one vector, under PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tapegrad.errors import GradientError, ShapeError, describe
from tapegrad.functions.arguments import as_tensor, value
from tapegrad.functions.joining import concatenate
from tapegrad.functions.shaping import ravel
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for parameter in given:
        if not isinstance(parameter, Tensor):
            raise TypeError(f"clip_grad: {describe(parameter)} among the parameters, which are tensors")
    return [parameter for parameter in given if parameter.grad is not None]


def _size(g: Array, p: float) -> float:
    """The p-norm of an array, in float64 where that is a sum of float32."""
    x = np.abs(g.ravel())
    x = x.astype(np.float32) if x.itemsize < 4 else x   # the squares of float16 are soon infinite
    if not x.size:
        return 0.0
    if p == math.inf:
        return float(x.max())
    if p == 2:
        return math.sqrt(float(np.add.reduce(x * x, dtype=np.float64)))
    return math.pow(np.add.reduce(x ** p, dtype=np.float64), 1 / p)


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False) -> Tensor:
    """Multiply all gradients by max_norm / norm where the norm of all of them, as one vector, is greater; returns the norm.

    norm_type            p of the norm, or infinity for the greatest |g|
    error_if_nonfinite   GradientError where the norm is not finite; otherwise the gradients then become NaN or 0

    The factor is max_norm / (norm + 1e-6), as PyTorch's.

    >>> x = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> tg.nn.utils.clip_grad_norm_([x], 1.0)
    tensor(10.)
    >>> x.grad.round(4)
    array([0.6, 0.8])
    """
    p, found = float(norm_type), _with_gradients(parameters)
    if not p > 0:
        raise ValueError(f"clip_grad_norm_: norm_type={norm_type}; it is greater than 0")
    norm = _size(np.array([_size(value(x.grad), p) for x in found]), p)
    if error_if_nonfinite and not math.isfinite(norm):
        raise GradientError(f"clip_grad_norm_: the norm of the gradients is {norm}; error_if_nonfinite=False to go on")
    factor = float(max_norm) / (norm + 1e-6)
    if not factor >= 1:
        with np.errstate(invalid="ignore"):             # an infinite gradient times 0
            for x in found:
                x.grad = x.grad * x.dtype.type(factor)
    return Tensor(norm, dtype=np.result_type(*[x.dtype.type(0).real for x in found]) if found else np.float64)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Hold every element of the gradients between -clip_value and clip_value.

    >>> x = tg.tensor([3.0, -0.25], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> tg.nn.utils.clip_grad_value_([x], 1.0)
    >>> x.grad
    array([ 1. , -0.5])
    """
    bound = float(clip_value)
    if not bound >= 0:
        raise ValueError(f"clip_grad_value_: clip_value={clip_value}; it is at least 0")
    for x in _with_gradients(parameters):
        x.grad = x.grad.clip(-bound, bound)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, one behind the other, as a vector. Derivative: to each, its part of d.

    >>> tg.nn.utils.parameters_to_vector([tg.ones((2, 2)), tg.zeros(1)])
    tensor([1., 1., 1., 1., 0.])
    """
    return concatenate([ravel(x) for x in parameters])


def vector_to_parameters(vec: TensorLike, parameters: Iterable[Tensor]) -> None:
    """Write the parts of a vector into the parameters; the inverse of parameters_to_vector. Nothing is recorded.

    >>> x = tg.nn.Parameter(np.zeros((2, 2)))
    >>> tg.nn.utils.vector_to_parameters(np.arange(4.0), [x])
    >>> x.tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    found, held = list(parameters), value(as_tensor(vec))
    sizes: Any = [x.size for x in found]
    if held.shape != (sum(sizes),):
        raise ShapeError(f"vector_to_parameters: {describe(held)} for {sum(sizes)} numbers")
    for x, part in zip(found, np.split(held, np.cumsum(sizes)[:-1])):
        x.data[...] = part.reshape(x.shape)
