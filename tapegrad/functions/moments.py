"""What reductions share: the elements that take part, their number, and their variance as a composition."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError
from tapegrad.functions import elementwise
from tapegrad.functions.arguments import like, value
from tapegrad.functions.elementwise import absolute, add, astype, divide, maximum, multiply, square, subtract
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


def converted(name: str, a: TensorLike, dtype: Any) -> Tensor:
    """a in another dtype; TypeError for what was meant as keepdims."""
    if type(dtype) is bool:
        raise TypeError(f"{name}: dtype={dtype}; what follows the axis is dtype=, and keepdims= is best given by name")
    return astype(a, dtype)


def floating(name: str, a: TensorLike, dtype: Any) -> Tensor:
    """a in another dtype, which has to hold fractions; DtypeError for integers and booleans, in which they are lost."""
    if type(dtype) is not bool and np.dtype(dtype).kind not in "fc":
        raise DtypeError(f"{name}: dtype={np.dtype(dtype)} has no fractions; round the result")
    return converted(name, a, dtype)


def squared_size(x: Tensor) -> Tensor:
    """|x|^2, also of complex numbers."""
    return square(x) if x.dtype.kind != "c" else add(square(recorded.real(x)), square(recorded.imag(x)))


def only(x: TensorLike, where: TensorLike, filler: float) -> TensorLike:
    """x where `where` says, and the filler, which changes nothing, elsewhere."""
    return x if where is True else elementwise.where(where, x, filler)


def counted(x: TensorLike, where: TensorLike, axis: tuple[int, ...] | None, keepdims: bool = False) -> Array:
    """How many elements over `axis` take part, as numbers of the dtype of x."""
    mask = np.broadcast_to(value(where), like(x).shape)
    kind = like(x).real.dtype.newbyteorder("=") if like(x).dtype.kind in "fc" else np.dtype(float)
    n: Array = np.sum(mask, axis, dtype=kind, keepdims=keepdims)
    return n


def variance(x: TensorLike, axis: tuple[int, ...] | None, ddof: float, keepdims: bool, where: TensorLike,
             mean: TensorLike | None = None) -> Tensor:
    """The variance of the elements that take part, as a composition."""
    n = counted(x, where, axis, True)
    if mean is None:
        mean = divide(recorded.sum(only(x, where, 0), axis, True), n)
    off = only(subtract(x, mean), where, 0)
    z = recorded.sum(multiply(off, off) if like(off).dtype.kind != "c" else absolute(off) ** 2, axis, keepdims)
    return divide(z, maximum(counted(x, where, axis, keepdims) - ddof, 0))


def root(x: TensorLike) -> Tensor:
    """sqrt(x) whose derivative at 0 is 0."""
    zero = value(x) == 0
    return elementwise.where(zero, 0.0, elementwise.sqrt(elementwise.where(zero, 1.0, x)))
