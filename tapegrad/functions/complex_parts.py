"""The parts of complex numbers under NumPy's names. A real tensor is its own real part, and its imaginary part is 0."""

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.functions.arguments import value
from tapegrad.functions.tensor import Tensor


def _is_complex(x):
    return value(x).dtype.kind == "c"


def real(x):
    """The real part. Derivative: d."""
    return recorded.real(x) if _is_complex(x) else recorded.alias(x)


def imag(x):
    """The imaginary part. Derivative: i d; of a real tensor the result is a constant."""
    return recorded.imag(x) if _is_complex(x) else recorded.zeros_like(x)


def conjugate(x):
    """The complex conjugate. Derivative: conj(d)."""
    return recorded.conjugate(x) if _is_complex(x) else recorded.alias(x)


conj = conjugate


def conjugated(x):
    """The complex conjugate, and a real x itself, without an entry on the tape."""
    return recorded.conjugate(x) if _is_complex(x) else x


def angle(x, deg=False):
    """The argument, in degrees if `deg`. Derivative: i d x / |x|^2, and 0 at 0; of a real tensor the result is a constant."""
    if not _is_complex(x):
        return Tensor(np.angle(value(x), deg))
    z = recorded.arctan2(recorded.imag(x), recorded.real(x))
    return recorded.multiply(z, 180 / np.pi) if deg else z


def real_if_close(x, tol=100):
    """The real part where all imaginary parts are next to nothing, up to `tol` times the precision; else x itself."""
    if np.iscomplexobj(np.real_if_close(value(x), tol)):
        return recorded.alias(x)
    return real(x)
