"""The discrete Fourier transforms, which are linear: the delta of each goes back through another of them.

x has as many elements along the axes as are transformed; fft.py pads and cuts. `norm` is "backward", "ortho" or "forward":
which of a transform and its inverse is divided by n. The adjoint of fft is ifft without the division that fft does not
do, either, so with the other norm.

The half spectrum that rfft gives stands for the whole: all of its elements but the first, and the middle one of an even
n, stand for themselves and for their conjugate. irfft counts these twice, so its adjoint does, too, and that of rfft
counts them half.
"""

from functools import lru_cache

import numpy as np

from tapegrad.primitives.registry import LINEAR, primitive

ADJOINT = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


@lru_cache
def _multiplicity(n, axis, ndim, double, dtype):
    """1 where an element of the half spectrum of n stands for itself only, `double` elsewhere; along `axis`."""
    weights = np.full(n // 2 + 1, double, dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    weights.flags.writeable = False
    return weights.reshape((-1,) + (1,) * (ndim - 1 - axis))


def _rfft_dx(F, d, _z, x_shape, axis, norm):
    n = x_shape[axis]
    half = _multiplicity(n, axis, len(x_shape), 0.5, d.dtype.char.lower())
    return F.irfft(d * half, n, axis, ADJOINT[norm])


def _irfft_dx(F, d, _z, x_shape, n, axis, norm):
    return F.rfft(d, axis, ADJOINT[norm]) * _multiplicity(n, axis, len(x_shape), 2, d.dtype)


primitive("fft", lambda x, axes, norm: np.fft.fftn(x, axes=axes, norm=norm),
          lambda F, d, _z, _x, axes, norm: F.ifft(d, axes, ADJOINT[norm]), complex=LINEAR)
primitive("ifft", lambda x, axes, norm: np.fft.ifftn(x, axes=axes, norm=norm),
          lambda F, d, _z, _x, axes, norm: F.fft(d, axes, ADJOINT[norm]), complex=LINEAR)
primitive("rfft", lambda x, axis, norm: np.fft.rfft(x, axis=axis, norm=norm), _rfft_dx, complex=LINEAR)
primitive("irfft", lambda x, n, axis, norm: np.fft.irfft(x, n, axis, norm), _irfft_dx)
