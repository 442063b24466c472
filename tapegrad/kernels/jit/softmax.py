"""The kernels of kernels/softmax.py, for matrices in float32."""

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.objects import address, elements, fits, length, matrix, python_object, stride, vector
from tapegrad.kernels.jit.sums import REORDERED
from tapegrad.kernels.jit.ufunc import names_in
from tapegrad.kernels.limits import CLASSES
from tapegrad.kernels.objects import ALIGNED, IN_ORDER

NUMBER = np.float32
formulas = names_in(NUMBER)
exp, order, from_bits, MAGNITUDE = formulas["exp"], formulas["order"], formulas["from_bits"], np.int32(0x7fffffff)


@numba.njit
def rows_of(x, z, float32):
    """Whether x is a matrix, and an array as z is."""
    return fits(x, z, float32, 2, IN_ORDER) and 0 < length(x, 1)


@numba.njit(error_model="numpy")
def greatest(x):
    """max(x), by integers that are in the same order: their max is vectorised. Anything where there is NaN: so is the sum."""
    top = order(x[0])
    for k in range(1, x.size):
        top = max(top, order(x[k]))
    return from_bits(top ^ ((top >> np.int32(31)) & MAGNITUDE))


@numba.njit(**REORDERED)
def exp_of_row(x, top, z):
    """sum(z) with z = exp(x - top)."""
    total = NUMBER(0)
    for k in range(x.size):
        z[k] = exp(x[k] - top)
        total += z[k]
    return total


@numba.njit(error_model="numpy")
def shifted_exp(x, z):
    """(max(x), sum(z)) with z = exp(x - max(x)). NaN and infinities come out as from NumPy."""
    if x.size > CLASSES:
        top = greatest(x)
        return top, exp_of_row(x, top, z)
    top, total = x[0], NUMBER(0)
    for k in range(1, x.size):
        if x[k] > top or x[k] != x[k]:
            top = x[k]
    for k in range(x.size):
        z[k] = np.exp(x[k] - top)
        total += z[k]
    return top, total


@numba.njit(error_model="numpy")
def scaled(z, factor):
    for k in range(z.size):
        z[k] *= factor


@numba.njit(**REORDERED)
def product_sum(d, z):
    total = NUMBER(0)
    for k in range(z.size):
        total += d[k] * z[k]
    return total


@numba.njit(error_model="numpy", fastmath={"contract"})
def shared(d, z, total, w):
    for k in range(z.size):
        w[k] = z[k] * (d[k] - total)


@numba.njit(error_model="numpy")
def strongly_shared(d, z, w):
    """The same where something is not finite: what is 0 stops."""
    total = NUMBER(0)
    for k in range(z.size):
        total += NUMBER(0) if d[k] == 0 else d[k] * z[k]
    for k in range(z.size):
        g = d[k] - total
        w[k] = g if g == 0 else g * z[k]


def _softmax(float32, x, z):
    if not rows_of(x, z, float32):
        return False
    x, z = matrix(x, NUMBER), matrix(z, NUMBER)
    for n in range(x.shape[0]):
        _, total = shifted_exp(x[n], z[n])
        scaled(z[n], NUMBER(1) / total)
    return True


def _softmax_derivative(float32, d, z, w):
    if not (rows_of(d, w, float32) and rows_of(z, w, float32)):
        return False
    d, z, w = matrix(d, NUMBER), matrix(z, NUMBER), matrix(w, NUMBER)
    for n in range(z.shape[0]):
        total = product_sum(d[n], z[n])
        if total - total == 0:
            shared(d[n], z[n], total, w[n])
        else:
            strongly_shared(d[n], z[n], w[n])
    return True


def _cross_entropy(float32, int64, x, classes, z):
    if not (rows_of(x, z, float32) and fits(classes, z, int64, 1, IN_ORDER)):
        return False
    x, classes, z = matrix(x, NUMBER), vector(classes, np.int64), vector(z, NUMBER)
    exps = np.empty(x.shape[1], NUMBER)
    for n in range(x.shape[0]):
        top, total = shifted_exp(x[n], exps)
        z[n] = np.log(total) - (x[n, classes[n]] - top)
    return True


def _derivative(float32, int64, d, x, classes, w):
    """w[n] = d[n] (softmax(x[n]) - onehot(classes[n]))"""
    if not (rows_of(x, w, float32) and fits(classes, w, int64, 1, IN_ORDER) and fits(d, w, float32, 1, ALIGNED)):
        return False
    step = stride(d, 0) // 4
    d, x, classes, w = elements(address(d), NUMBER), matrix(x, NUMBER), vector(classes, np.int64), matrix(w, NUMBER)
    for n in range(x.shape[0]):
        delta = d[n * step]
        if delta == 0:                                  # even if x[n] is not finite
            w[n] = 0
            continue
        _, total = shifted_exp(x[n], w[n])
        k = classes[n]
        chosen = delta * (w[n, k] / total - NUMBER(1))
        scaled(w[n], delta / total)
        w[n, k] = chosen
    return True


softmax = compiled(_softmax, numba.boolean(*[python_object] * 3))
softmax_derivative = compiled(_softmax_derivative, numba.boolean(*[python_object] * 4))
cross_entropy = compiled(_cross_entropy, numba.boolean(*[python_object] * 5))
derivative = compiled(_derivative, numba.boolean(*[python_object] * 6))
