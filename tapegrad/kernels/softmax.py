"""Softmax, its logarithm and cross entropy along the last axis, in float32: a few rows at a time, while they are in the cache,
instead of NumPy's five passes over all of them; and the derivatives, likewise.

float64 uses NumPy, because an exported program repeats it bit for bit. The kernels do not check the classes: the caller must
have done so. All return None if the operands are not float32 and in order, or without numba.
"""

import numpy as np

from tapegrad.kernels.compile import Late

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def _load():
    from tapegrad.kernels.jit import softmax
    return softmax


jit = Late(_load, "softmax", "softmax_derivative", "log_softmax", "log_softmax_derivative", "cross_entropy", "derivative")


def _rows(x):
    """x as a matrix of rows, if it is in order."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous and x.size else x


def _along_last(name):
    """A function of x and one of its delta d, by the kernel of that name and that of its derivative; z is the result."""
    derivative_name = name + "_derivative"

    def forward(x, axis):
        if axis != x.ndim - 1 or x.dtype is not FLOAT32:
            return None
        z = np.empty(x.shape, FLOAT32)
        return z if getattr(jit, name)(FLOAT32, _rows(x), _rows(z)) else None

    def derivative(d, z, axis):
        if axis != z.ndim - 1 or z.dtype is not FLOAT32:
            return None
        w = np.empty(z.shape, FLOAT32)
        return w if getattr(jit, derivative_name)(FLOAT32, _rows(d), _rows(z), _rows(w)) else None

    return forward, derivative


softmax, softmax_derivative = _along_last("softmax")            # exp(x) / sum(exp(x)), z (d - sum(d z))
log_softmax, log_softmax_derivative = _along_last("log_softmax")        # log(softmax(x)), d - exp(z) sum(d)


def cross_entropy(x, classes):
    """-log(softmax(x))[classes] of each row, or None. The classes must be valid."""
    if x.dtype is not FLOAT32:
        return None
    z = np.empty(len(x), FLOAT32)
    return z if jit.cross_entropy(FLOAT32, INT64, x, classes, z) else None


def cross_entropy_derivative(d, x, classes):
    """The contribution of cross_entropy's delta d to the delta of x, or None."""
    if x.dtype is not FLOAT32:
        return None
    w = np.empty(x.shape, FLOAT32)
    return w if jit.derivative(FLOAT32, INT64, d, x, classes, w) else None
