"""The kernels of kernels/softmax.py, for matrices of few columns in float32."""

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.objects import address, elements, fits, length, matrix, python_object, stride, vector
from tapegrad.kernels.limits import CLASSES
from tapegrad.kernels.objects import ALIGNED, IN_ORDER

NUMBER = np.float32


@numba.njit
def narrow(x, z, float32):
    """Whether x is a matrix of few columns, and an array as z is."""
    return fits(x, z, float32, 2, IN_ORDER) and 0 < length(x, 1) <= CLASSES


@numba.njit(error_model="numpy")
def shifted_exp(x, n, z):
    """(max(x[n]), sum(z)) with z = exp(x[n] - max(x[n])). NaN and infinities come out as from NumPy."""
    top, total = x[n, 0], NUMBER(0)
    for k in range(1, x.shape[1]):
        if x[n, k] > top or x[n, k] != x[n, k]:
            top = x[n, k]
    for k in range(x.shape[1]):
        z[k] = np.exp(x[n, k] - top)
        total += z[k]
    return top, total


def _softmax(float32, x, z):
    if not narrow(x, z, float32):
        return False
    x, z = matrix(x, NUMBER), matrix(z, NUMBER)
    for n in range(x.shape[0]):
        _, total = shifted_exp(x, n, z[n])
        for k in range(x.shape[1]):
            z[n, k] /= total
    return True


def _cross_entropy(float32, int64, x, classes, z):
    if not (narrow(x, z, float32) and fits(classes, z, int64, 1, IN_ORDER)):
        return False
    x, classes, z = matrix(x, NUMBER), vector(classes, np.int64), vector(z, NUMBER)
    exps = np.empty(x.shape[1], NUMBER)
    for n in range(x.shape[0]):
        top, total = shifted_exp(x, n, exps)
        z[n] = np.log(total) - (x[n, classes[n]] - top)
    return True


def _derivative(float32, int64, d, x, classes, w):
    """w[n] = d[n] (softmax(x[n]) - onehot(classes[n]))"""
    if not (narrow(x, w, float32) and fits(classes, w, int64, 1, IN_ORDER) and fits(d, w, float32, 1, ALIGNED)):
        return False
    step = stride(d, 0) // 4
    d, x, classes, w = elements(address(d), NUMBER), matrix(x, NUMBER), vector(classes, np.int64), matrix(w, NUMBER)
    for n in range(x.shape[0]):
        delta = d[n * step]
        if delta == 0:                                  # even if x[n] is not finite
            w[n] = 0
            continue
        _, total = shifted_exp(x, n, w[n])
        for k in range(x.shape[1]):
            w[n, k] = delta * (w[n, k] / total - NUMBER(k == classes[n]))
    return True


softmax = compiled(_softmax, numba.boolean(*[python_object] * 3))
cross_entropy = compiled(_cross_entropy, numba.boolean(*[python_object] * 5))
derivative = compiled(_derivative, numba.boolean(*[python_object] * 6))
