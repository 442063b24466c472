# ruff: noqa: F821 -- the kernels' free names are bound in _compiled()
"""Softmax and cross entropy along rows of few classes, in float32: one pass in place of NumPy's five short ones.

With many classes NumPy's passes are the faster ones, because its exp is a vector's; in float64 an exported program repeats
them to the last bit.
"""

import sys
from functools import cache

import numpy as np

from tapegrad import kernels

MOST_CLASSES = 32


def shifted_exp(x, n, z):
    """(max(x[n]), sum(z)) with z = exp(x[n] - max(x[n])). NaN and infinities come out as from NumPy."""
    top, total = x[n, 0], np.float32(0)
    for k in range(1, x.shape[1]):
        if x[n, k] > top or x[n, k] != x[n, k]:
            top = x[n, k]
    for k in range(x.shape[1]):
        z[k] = np.exp(x[n, k] - top)
        total += z[k]
    return top, total


def softmax_kernel(x, z):
    for n in range(x.shape[0]):
        _, total = shifted_exp(x, n, z[n])
        for k in range(x.shape[1]):
            z[n, k] /= total


def cross_entropy_kernel(x, classes, z):
    exps = np.empty(x.shape[1], np.float32)
    for n in range(x.shape[0]):
        top, total = shifted_exp(x, n, exps)
        z[n] = np.log(total) - (x[n, classes[n]] - top)


@cache
def _compiled():
    """The kernels (softmax, cross entropy), or None."""
    with kernels.lock:
        numba = kernels.compiler()
        if numba is None:
            return None
        names = {"np": np, "shifted_exp": numba.njit(error_model="numpy")(shifted_exp)}
        number = numba.float32
        made = [kernels.compiled(kernels.bound(kernel, names), numba.void(*types)) for kernel, types in (
            (softmax_kernel, (number[:, ::1], number[:, ::1])),
            (cross_entropy_kernel, (number[:, ::1], numba.int64[::1], number[::1])))]
        return None if None in made else made


def _kernels_for(x):
    """The kernels, where x is a matrix that they take, and numba is loaded anyway."""
    if x.dtype.char != "f" or x.ndim != 2 or not 0 < x.shape[1] <= MOST_CLASSES or not x.flags.carray:
        return None
    return _compiled() if "numba" in sys.modules else None


def softmax(x, axis):
    """exp(x) / sum(exp(x)) along the last axis; None where x is not a float32 matrix of few columns."""
    found = _kernels_for(x) if axis == 1 else None
    if found is None:
        return None
    z = np.empty(x.shape, x.dtype)
    found[0](x, z)
    return z


def cross_entropy(x, classes):
    """-log(softmax(x))[classes] of each row; None where x is not a float32 matrix of few columns. The classes are there."""
    found = _kernels_for(x) if classes.dtype.char == "l" and classes.flags.carray else None
    if found is None:
        return None
    z = np.empty(len(x), x.dtype)
    found[1](x, classes, z)
    return z


def or_else(plain, fast):
    """The operator that is `fast` where that gives a result, and `plain` elsewhere; an exported program has the latter."""
    def operator(x, static):
        z = fast(x, static)
        return plain(x, static) if z is None else z

    operator.plain = plain
    return operator
