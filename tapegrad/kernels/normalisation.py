"""layer_norm, rms_norm and batch_norm: a pass for the moments and one for the result, while a row is in the cache.

The derivatives to x, W and b come from one function, which recomputes the moments of a row, rather than having them kept.
All return None where the operands are not C-contiguous arrays of one precision, or without numba; the derivatives, too, if
something is not finite: then it matters which deltas are 0.
"""

from functools import partial
from math import prod

import numpy as np

from tapegrad.kernels.compile import Late, nothing


def _load(number):
    from tapegrad.kernels.jit import normalisation
    return normalisation.kernels(number)


NAMES = "layer_norm", "layer_norm_derivatives", "channel_moments", "batch_norm", "batch_norm_derivatives"
jit = {number: Late(partial(_load, number), *NAMES) for number in (np.float32, np.float64)}


def _kernel(name, *xs):
    """The kernel for operands that are in order and have one precision, or None; numbers among them count as fitting."""
    dtype = xs[0].dtype
    kernels = jit.get(dtype.type) if dtype.isnative else None
    if kernels is None or not all([type(x) is float or x.dtype is dtype and x.flags.carray for x in xs]):
        return None
    kernel = getattr(kernels, name)
    return None if kernel is nothing else kernel


def _rows(x, n):
    width = prod(x.shape[x.ndim - n:])
    return (x.size // width, width)


def _vector(p, size, dtype):
    """A parameter as a vector; a number repeated."""
    return np.full(size, p, dtype) if type(p) is float else p.reshape(size)


def layer_norm(x, W, b, n, eps, centred):
    """See primitives/normalisation.py."""
    kernel = _kernel("layer_norm", x, W, b)
    if kernel is None:
        return None
    rows = _rows(x, n)
    z = np.empty(x.shape, x.dtype)
    kernel(x.reshape(rows), _vector(W, rows[1], x.dtype), _vector(b, rows[1], x.dtype), z.reshape(rows), eps, centred)
    return z


def layer_norm_derivatives(d, x, W, n, eps, centred):
    """The contributions to x, W and b."""
    kernel = _kernel("layer_norm_derivatives", x, d, W)
    if kernel is None:
        return None
    rows, shape = _rows(x, n), x.shape[x.ndim - n:]
    dx, dw, db = np.empty(x.shape, x.dtype), np.zeros(shape, x.dtype), np.zeros(shape, x.dtype)
    done = kernel(d.reshape(rows), x.reshape(rows), _vector(W, rows[1], x.dtype), dx.reshape(rows), dw.reshape(-1),
                  db.reshape(-1), eps, centred)
    return (dx, dw, db) if done else None


def _channels(x):
    return (*x.shape[:2], prod(x.shape[2:]))


def channel_moments(x):
    """Mean and variance of each channel, (2, channels)."""
    kernel = _kernel("channel_moments", x)
    if kernel is None or x.ndim == 2:                   # NumPy's sums over the first axis are as fast
        return None
    z = np.empty((2, x.shape[1]), x.dtype)
    kernel(x.reshape(_channels(x)), z)
    return z


def batch_norm(x, W, b, moments, eps):
    """See primitives/normalisation.py."""
    kernel = _kernel("batch_norm", x, W, b, moments)
    if kernel is None:
        return None
    z, channels = np.empty(x.shape, x.dtype), x.shape[1]
    kernel(x.reshape(_channels(x)), _vector(W, channels, x.dtype), _vector(b, channels, x.dtype), moments,
           z.reshape(_channels(x)), eps)
    return z


def batch_norm_derivatives(d, x, W, moments, eps):
    """The contributions to x, W and b."""
    kernel = _kernel("batch_norm_derivatives", x, d, W, moments)
    if kernel is None:
        return None
    shape, channels = _channels(x), x.shape[1]
    dx, dw, db = np.empty(x.shape, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    done = kernel(d.reshape(shape), x.reshape(shape), _vector(W, channels, x.dtype), moments, dx.reshape(shape), dw, db, eps)
    return (dx, dw, db) if done else None
