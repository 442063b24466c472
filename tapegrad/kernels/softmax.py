"""Softmax and cross entropy along rows of few classes, in float32: one pass instead of NumPy's five.

With many classes NumPy is faster, because its exp is vectorised. float64 uses NumPy, because an exported program repeats it
bit for bit. The kernels do not check the classes: the caller must have done so.
"""

import numpy as np

from tapegrad.kernels.compile import Late

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def _load():
    from tapegrad.kernels.jit import softmax
    return softmax


jit = Late(_load, "softmax", "cross_entropy", "derivative")


def softmax(x, axis):
    """exp(x) / sum(exp(x)) along the last axis; None if x is not a float32 matrix of few columns, or without numba."""
    if axis != 1 or x.dtype is not FLOAT32:
        return None
    z = np.empty(x.shape, FLOAT32)
    return z if jit.softmax(FLOAT32, x, z) else None


def cross_entropy(x, classes):
    """-log(softmax(x))[classes] of each row; None as in softmax. The classes must be valid."""
    if x.dtype is not FLOAT32:
        return None
    z = np.empty(len(x), FLOAT32)
    return z if jit.cross_entropy(FLOAT32, INT64, x, classes, z) else None


def cross_entropy_derivative(d, x, classes):
    """The contribution of cross_entropy's delta d to the delta of x; None as in softmax."""
    if x.dtype is not FLOAT32:
        return None
    w = np.empty(x.shape, FLOAT32)
    return w if jit.derivative(FLOAT32, INT64, d, x, classes, w) else None
