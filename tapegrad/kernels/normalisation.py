"""layer_norm, rms_norm, group_norm and batch_norm: passes for the moments and one for the result, while a row is in the cache.

The derivatives to x, W and b come from one function, which recomputes the moments of a row, rather than having them kept.
All return None where the operands are not C-contiguous arrays of one precision, or without numba; the derivatives, too, if
something is not finite: then it matters which deltas are 0.
"""

from functools import partial
from math import prod

import numpy as np

from tapegrad.kernels.compile import Late, nothing


def _load_rows(number):
    from tapegrad.kernels.jit import lines
    return lines.kernels(number)


def _load_channels(number):
    from tapegrad.kernels.jit import normalisation
    return normalisation.kernels(number)


OF_ROWS = "layer_norm", "layer_norm_derivatives", "group_norm", "group_norm_derivatives"
OF_CHANNELS = "channel_moments", "batch_norm", "batch_norm_derivatives"
jit = {(name, number): kernels for load, names in ((_load_rows, OF_ROWS), (_load_channels, OF_CHANNELS))
       for number in (np.float32, np.float64) for kernels in [Late(partial(load, number), *names)] for name in names}


def _kernel(name, *xs):
    """The kernel for operands that are in order and have one precision, or None; numbers among them count as fitting."""
    dtype = xs[0].dtype
    kernels = jit.get((name, dtype.type)) if dtype.isnative else None
    if kernels is None or not all([type(x) is float or x.dtype is dtype and x.flags.carray for x in xs]):
        return None
    kernel = getattr(kernels, name)
    return None if kernel is nothing else kernel


def _vector(p, size, dtype):
    """A parameter as a vector; a number repeated."""
    return np.full(size, p, dtype) if type(p) is float else p.reshape(size)


def _rows_norm(name, x, W, b, count, *static):
    """z by a kernel that takes flat arrays; W and b have so many elements."""
    kernel = _kernel(name, x, W, b)
    if kernel is None:
        return None
    z = np.empty(x.shape, x.dtype)
    kernel(x.reshape(-1), _vector(W, count, x.dtype), _vector(b, count, x.dtype), z.reshape(-1), *static)
    return z


def _rows_norm_derivatives(name, d, x, W, shape, *static):
    """The contributions to x, W and b, which have that shape."""
    kernel = _kernel(name, x, d, W)
    if kernel is None:
        return None
    dx, dw, db = np.empty(x.shape, x.dtype), np.zeros(shape, x.dtype), np.zeros(shape, x.dtype)
    done = kernel(d.reshape(-1), x.reshape(-1), _vector(W, dw.size, x.dtype), dx.reshape(-1), dw.reshape(-1), db.reshape(-1),
                  *static)
    return (dx, dw, db) if done else None


def layer_norm(x, W, b, n, eps, centred):
    """See primitives/normalisation.py."""
    size = prod(x.shape[x.ndim - n:])
    return _rows_norm("layer_norm", x, W, b, size, size, eps, centred)


def layer_norm_derivatives(d, x, W, n, eps, centred):
    """The contributions to x, W and b."""
    shape = x.shape[x.ndim - n:]
    return _rows_norm_derivatives("layer_norm_derivatives", d, x, W, shape, prod(shape), eps, centred)


def _kernel_of_groups(x, groups):
    """The name of the kernel for group_norm and what it is told of lines: channels, or rows where a channel is one element."""
    channels, size = x.shape[1], prod(x.shape[2:])
    return ("layer_norm", (channels // groups,), (True,)) if size == 1 else ("group_norm", (size, channels // groups), ())


def group_norm(x, W, b, groups, eps):
    """See primitives/normalisation.py."""
    name, lengths, centred = _kernel_of_groups(x, groups)
    return _rows_norm(name, x, W, b, x.shape[1], *lengths, eps, *centred)


def group_norm_derivatives(d, x, W, groups, eps):
    """The contributions to x, W and b."""
    name, lengths, centred = _kernel_of_groups(x, groups)
    return _rows_norm_derivatives(name + "_derivatives", d, x, W, x.shape[1:2], *lengths, eps, *centred)


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
