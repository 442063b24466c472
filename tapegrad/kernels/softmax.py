# ruff: noqa: F821 -- the kernels' free names are bound in _compiled()
"""Softmax and cross entropy along rows of few classes, in float32: one pass in place of NumPy's five short ones.

With many classes NumPy's passes are the faster ones, because its exp is a vector's; in float64 an exported program repeats
them to the last bit. The kernels get arrays by their addresses, say whether they took them, and find the classes checked.
"""

import sys
from functools import cache

import numpy as np
from numpy import ndarray

from tapegrad.kernels import elementwise as kernels
from tapegrad.kernels import ndarray as addresses

MOST_CLASSES = 32
FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def narrow(x, descr):
    """Whether the object at x is a matrix of few columns."""
    return fits(x, descr, 2, IN_ORDER) and 0 < word(word(x + DIMENSIONS) + 8) <= MOST_CLASSES


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


def softmax_kernel(descr, x, z):
    if not narrow(x, descr):
        return False
    x, z = matrix(x), matrix(z)
    for n in range(x.shape[0]):
        _, total = shifted_exp(x, n, z[n])
        for k in range(x.shape[1]):
            z[n, k] /= total
    return True


def cross_entropy_kernel(descr, descr_of_classes, x, classes, z):
    if not (narrow(x, descr) and fits(classes, descr_of_classes, 1, IN_ORDER)):
        return False
    x, classes, z = matrix(x), integers(classes + DATA), elements(z + DATA)
    exps = np.empty(x.shape[1], np.float32)
    for n in range(x.shape[0]):
        top, total = shifted_exp(x, n, exps)
        z[n] = np.log(total) - (x[n, classes[n]] - top)
    return True


def derivative_kernel(descr, descr_of_classes, d, x, classes, w):
    """w[n] = d[n] (softmax(x[n]) - onehot(classes[n]))"""
    if not (narrow(x, descr) and fits(classes, descr_of_classes, 1, IN_ORDER) and fits(d, descr, 1, ALIGNED)):
        return False
    x, classes, w, step = matrix(x), integers(classes + DATA), matrix(w), word(word(d + STRIDES))
    for n in range(x.shape[0]):
        delta = elements(d + DATA)[n * step // 4]
        _, total = shifted_exp(x, n, w[n])
        for k in range(x.shape[1]):
            w[n, k] = delta * (w[n, k] / total - np.float32(k == classes[n]))
    return True


@cache
def _compiled():
    """The kernels (softmax, cross entropy, its derivative)."""
    with kernels.lock:
        numba = kernels.compiler()
        if numba is None or not addresses.known_layout():
            return (kernels.nothing,) * 3
        names = addresses.tools(numba, np.float32) | {"np": np, "MOST_CLASSES": MOST_CLASSES}
        names["integers"] = addresses.reader(numba, numba.types.CPointer(numba.int64))
        for helper in (narrow, shifted_exp):
            names[helper.__name__] = numba.njit(error_model="numpy")(kernels.bound(helper, names))
        made = [kernels.compiled(kernels.bound(kernel, names), numba.boolean(*[numba.int64] * count)) or kernels.nothing
                for kernel, count in ((softmax_kernel, 3), (cross_entropy_kernel, 5), (derivative_kernel, 6))]
        return made


def softmax(x, axis):
    """exp(x) / sum(exp(x)) along the last axis; None where x is not a float32 matrix of few columns, or numba is not loaded."""
    if axis != 1 or x.dtype is not FLOAT32 or "numba" not in sys.modules:
        return None
    z = np.empty(x.shape, FLOAT32)
    return z if _compiled()[0](id(FLOAT32), id(x), id(z)) else None


def cross_entropy(x, classes):
    """-log(softmax(x))[classes] of each row; None as in softmax. The classes are there."""
    if x.dtype is not FLOAT32 or "numba" not in sys.modules:
        return None
    z = np.empty(len(x), FLOAT32)
    return z if _compiled()[1](id(FLOAT32), id(INT64), id(x), id(classes), id(z)) else None


def cross_entropy_derivative(d, x, classes):
    """What cross_entropy's delta d comes to for x; None as in softmax."""
    if x.dtype is not FLOAT32 or type(d) is not ndarray or "numba" not in sys.modules:
        return None
    w = np.empty(x.shape, FLOAT32)
    return w if _compiled()[2](id(FLOAT32), id(INT64), id(d), id(x), id(classes), id(w)) else None


def or_else(plain, fast):
    """The operator that is `fast` where that gives a result, and `plain` elsewhere; an exported program has the latter."""
    def operator(x, static):
        z = fast(x, static)
        return plain(x, static) if z is None else z

    operator.plain = plain
    return operator
