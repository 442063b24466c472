"""The parts of complex numbers under NumPy's names. A real tensor is its own real part, and its imaginary part is 0."""

from __future__ import annotations

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.functions.arguments import value
from tapegrad.functions.elementwise import multiply, positive
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def _is_complex(x: TensorLike) -> bool:
    return value(x).dtype.kind == "c"


def real(x: TensorLike) -> Tensor:
    """The real part. Derivative: d.

    >>> tg.real([1 + 2j, 3.0])
    tensor([1., 3.])
    """
    z: Tensor = recorded.real(x) if _is_complex(x) else recorded.alias(x)
    return z


def imag(x: TensorLike) -> Tensor:
    """The imaginary part. Derivative: i d; of a real tensor the result is a constant.

    >>> tg.imag([1 + 2j, 3.0])
    tensor([2., 0.])
    >>> tg.grad(tg.imag)(1 + 2j)
    array(0.+1.j)
    """
    z: Tensor = recorded.imag(x) if _is_complex(x) else recorded.zeros_like(x)
    return z


def conjugate(x: TensorLike) -> Tensor:
    """The complex conjugate. Derivative: conj(d).

    >>> tg.conjugate(1 + 2j)
    tensor(1.-2.j, dtype=complex128)
    """
    z: Tensor = recorded.conjugate(x) if _is_complex(x) else recorded.alias(x)
    return z


conj = conjugate


def conjugated(x: TensorLike) -> TensorLike:
    """The complex conjugate, and a real x itself, without an entry on the tape."""
    return conjugate(x) if _is_complex(x) else x


def angle(x: TensorLike, deg: bool = False) -> Tensor:
    """The argument, from -pi to pi, or in degrees if `deg`.

    Derivative: i d x / |x|^2, and 0 at 0; of a real tensor the result is a constant.

    >>> tg.angle([1j, -1.0], deg=True)
    tensor([ 90., 180.])
    """
    if not _is_complex(x):
        return Tensor(np.angle(value(x), deg))
    z: Tensor = recorded.arctan2(recorded.imag(x), recorded.real(x))
    return multiply(z, 180 / np.pi) if deg else z


def real_if_close(x: TensorLike, tol: float = 100) -> Tensor:
    """The real part where all imaginary parts are next to nothing, up to `tol` times the precision; else x itself.

    >>> tg.real_if_close([1 + 1e-15j, 2.0])
    tensor([1., 2.])
    """
    return positive(x) if np.iscomplexobj(np.real_if_close(value(x), tol)) else real(x)
