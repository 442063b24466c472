"""The parts of complex numbers under NumPy's names. A real tensor is its own real part, and its imaginary part is 0."""

from __future__ import annotations

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.functions.arguments import like, value
from tapegrad.functions.elementwise import arctan2, degrees, positive
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def _is_complex(x: TensorLike) -> bool:
    return like(x).dtype.kind == "c"


def real(val: TensorLike) -> Tensor:
    """The real part. Derivative: d.

    >>> tg.real([1 + 2j, 3.0])
    tensor([1., 3.])
    """
    return recorded.real(val) if _is_complex(val) else recorded.alias(val)


def imag(val: TensorLike) -> Tensor:
    """The imaginary part. Derivative: i d; of a real tensor the result is a constant.

    >>> tg.imag([1 + 2j, 3.0])
    tensor([2., 0.])
    >>> tg.grad(tg.imag)(1 + 2j)
    array(0.+1.j)
    """
    return recorded.imag(val) if _is_complex(val) else recorded.zeros_like(val)


def conjugate(x: TensorLike, /) -> Tensor:
    """The complex conjugate. Derivative: conj(d).

    >>> tg.conjugate(1 + 2j)
    tensor(1.-2.j, dtype=complex128)
    """
    return recorded.conjugate(x) if _is_complex(x) else recorded.alias(x)


conj = conjugate


def angle(z: TensorLike, deg: bool = False) -> Tensor:
    """The argument, from -pi to pi, or in degrees if `deg`.

    Derivative: i d z / |z|^2, and 0 at 0; of a real tensor the result is a constant.

    >>> tg.angle([1j, -1.0], deg=True)
    tensor([ 90., 180.])
    """
    if not _is_complex(z):
        return Tensor(np.angle(value(z), deg))
    radians = arctan2(imag(z), real(z))
    return degrees(radians) if deg else radians


def real_if_close(a: TensorLike, tol: float = 100) -> Tensor:
    """The real part where all imaginary parts are next to nothing, up to `tol` times the precision; else a itself.

    Derivative: d, which is real where the real part is taken.

    >>> tg.real_if_close([1 + 1e-15j, 2.0])
    tensor([1., 2.])
    """
    return positive(a) if np.iscomplexobj(np.real_if_close(value(a), tol)) else real(a)
