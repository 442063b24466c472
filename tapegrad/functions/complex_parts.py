"""The parts of complex numbers under NumPy's names, of real tensors, whose imaginary part is 0.

DtypeError for a complex tensor that requires a gradient: the derivative of its parts is not defined here. A complex
constant has its parts.
"""

import numpy as np

from tapegrad.errors import DtypeError
from tapegrad.functions.arguments import value
from tapegrad.record import recorded
from tapegrad.tensor import Tensor


def _part(name, of_real):
    function = getattr(np, name)

    def op(x):
        if value(x).dtype.kind != "c":
            return of_real(x)
        if isinstance(x, Tensor) and x.requires_grad:
            raise DtypeError(f"{name}: no derivative for {value(x).dtype}; only real tensors have one here")
        return Tensor(function(value(x)))

    op.__name__ = op.__qualname__ = name
    return op


real = _part("real", recorded.alias)
imag = _part("imag", recorded.zeros_like)
conj = conjugate = _part("conjugate", recorded.alias)
real_if_close = _part("real_if_close", recorded.alias)
angle = _part("angle", lambda x: Tensor(np.angle(value(x))))
real.__doc__ = "The real part: of a real tensor, itself. Derivative: d."
imag.__doc__ = "The imaginary part: of a real tensor, zeros, which are constant."
conj.__doc__ = "The complex conjugate: of a real tensor, itself. Derivative: d."
real_if_close.__doc__ = "Without an imaginary part that is next to nothing: a real tensor itself. Derivative: d."
angle.__doc__ = "The argument: of a real tensor 0, or pi where it is negative. Not differentiable."
