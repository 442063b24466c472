"""The kernels of kernels/softmax.py, for matrices in float32.

A tile of rows is passed over several times while it stays in the cache: a pass for each step, as the processor then begins a
row while it still adds up another; and the exps of a tile are one loop, with no rest for each row, however short it is.
"""

import numba
import numpy as np
from numba import carray

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.objects import address, elements, fits, length, matrix, python_object, stride, vector
from tapegrad.kernels.jit.sums import REORDERED, plain_sum
from tapegrad.kernels.jit.ufunc import names_in
from tapegrad.kernels.objects import ALIGNED, IN_ORDER

NUMBER = np.float32
TILE = 2048             # elements
formulas = names_in(NUMBER)
decay, order, of_order = formulas["decay"], formulas["order"], formulas["of_order"]
LOWEST, MINUS_ZERO = np.int32(-0x80000000), NUMBER(-0.0)
SCALE, VANISHES = NUMBER(2.0 ** -64), NUMBER(2 * 105)       # of decay; from there on it is 0


@numba.njit
def rows_of(x, z, float32):
    """Whether x is a matrix, and an array as z is."""
    return fits(x, z, float32, 2, IN_ORDER) and 0 < length(x, 1)


@numba.njit
def flat(x):
    return carray(elements(address(x), NUMBER), length(x, 0) * length(x, 1))


@numba.njit(error_model="numpy")
def greatest(x):
    """max(x), by integers that are in the same order: their max is vectorised. Anything where there is NaN: so is the sum."""
    top = LOWEST
    for k in range(x.size):
        top = max(top, np.int32(order(x[k])))
    return of_order(top)


@numba.njit(error_model="numpy")
def drop_below(x, top, z):
    """z = 2 (top - x)"""
    for k in range(x.size):
        drop = top - x[k]
        z[k] = drop + drop


@numba.njit(error_model="numpy", fastmath={"contract"})
def exp_of_drops(z):
    """z = exp(-z / 2), for z >= 0; NaN of NaN."""
    for k in range(z.size):
        drop = VANISHES if VANISHES < z[k] else z[k]
        e = decay(drop, MINUS_ZERO) * SCALE
        z[k] = e if drop == drop else drop


@numba.njit(error_model="numpy")
def shifted_exp(x, z, n, tops, totals):
    """z = exp(x - top), top = max(x), and its sums, of a tile: rows of n elements. What is not finite is as from NumPy."""
    rows = x.size // n
    for r in range(rows):
        tops[r], totals[r] = greatest(x[r * n:r * n + n]), NUMBER(0)
    for low in range(0, n, TILE):                       # a tile of more than TILE elements is one row
        width = min(n - low, TILE)
        for r in range(rows):
            drop_below(x[r * n + low:r * n + low + width], tops[r], z[r * n + low:r * n + low + width])
        exp_of_drops(z[low:low + rows * width])
        for r in range(rows):
            totals[r] += plain_sum(z[r * n + low:r * n + low + width])


@numba.njit(error_model="numpy")
def scaled(z, factor):
    for k in range(z.size):
        z[k] *= factor


@numba.njit(error_model="numpy")
def lowered(x, top, more, z):
    for k in range(z.size):
        z[k] = (x[k] - top) - more


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


@numba.njit(error_model="numpy", forceinline=True)      # called, it would take twice as long
def shares(d, z, w):
    """w = z (d - sum(d z)), row by row."""
    for n in range(z.shape[0]):
        total = product_sum(d[n], z[n])
        if total - total == 0:
            shared(d[n], z[n], total, w[n])
        else:
            strongly_shared(d[n], z[n], w[n])


@numba.njit(error_model="numpy", fastmath={"contract"})
def less_share(d, z, total):
    """z = d - z total, and d where the total is 0."""
    if total == 0:
        for k in range(z.size):
            z[k] = d[k]
    else:
        for k in range(z.size):
            z[k] = d[k] - z[k] * total


@numba.njit(error_model="numpy")
def softmax_of_rows(x, n, z):
    """z = softmax(x), for the rows of n elements that x and z are, one after the other."""
    rows = max(1, TILE // n)
    tops, totals = np.empty(rows, NUMBER), np.empty(rows, NUMBER)
    for low in range(0, x.size, rows * n):
        tile = z[low:low + rows * n]
        shifted_exp(x[low:low + rows * n], tile, n, tops, totals)
        for r in range(tile.size // n):
            scaled(tile[r * n:r * n + n], NUMBER(1) / totals[r])


def _softmax(float32, x, z):
    if not rows_of(x, z, float32):
        return False
    softmax_of_rows(flat(x), length(x, 1), flat(z))
    return True


def _softmax_derivative(float32, d, z, w):
    if not (rows_of(d, w, float32) and rows_of(z, w, float32)):
        return False
    shares(matrix(d, NUMBER), matrix(z, NUMBER), matrix(w, NUMBER))
    return True


def _log_softmax(float32, x, z):
    if not rows_of(x, z, float32):
        return False
    n, rows, x, z = length(x, 1), max(1, TILE // length(x, 1)), flat(x), flat(z)
    tops, totals = np.empty(rows, NUMBER), np.empty(rows, NUMBER)
    for low in range(0, x.size, rows * n):
        here, tile = x[low:low + rows * n], z[low:low + rows * n]
        shifted_exp(here, tile, n, tops, totals)
        for r in range(tile.size // n):
            lowered(here[r * n:r * n + n], tops[r], np.log(totals[r]), tile[r * n:r * n + n])
    return True


def _log_softmax_derivative(float32, d, z, w):
    """w = d - exp(z) sum(d)"""
    if not (rows_of(d, w, float32) and rows_of(z, w, float32)):
        return False
    n, rows, d, z, w = length(z, 1), max(1, TILE // length(z, 1)), flat(d), flat(z), flat(w)
    for low in range(0, z.size, rows * n):
        delta, tile = d[low:low + rows * n], w[low:low + rows * n]
        drop_below(z[low:low + rows * n], NUMBER(0), tile)
        exp_of_drops(tile)
        for start in range(0, tile.size, n):
            row = delta[start:start + n]
            less_share(row, tile[start:start + n], plain_sum(row))
    return True


def _cross_entropy(float32, int64, x, classes, z):
    if not (rows_of(x, z, float32) and fits(classes, z, int64, 1, IN_ORDER)):
        return False
    n, rows, x, classes, z = length(x, 1), max(1, TILE // length(x, 1)), flat(x), vector(classes, np.int64), vector(z, NUMBER)
    exps, tops, totals = np.empty(rows * n, NUMBER), np.empty(rows, NUMBER), np.empty(rows, NUMBER)
    for low in range(0, z.size, rows):
        high = min(low + rows, z.size)
        shifted_exp(x[low * n:high * n], exps[:(high - low) * n], n, tops, totals)
        for r in range(low, high):
            z[r] = np.log(totals[r - low]) - (x[r * n + classes[r]] - tops[r - low])
    return True


def _derivative(float32, int64, d, x, classes, w):
    """w[n] = d[n] (softmax(x[n]) - onehot(classes[n]))"""
    if not (rows_of(x, w, float32) and fits(classes, w, int64, 1, IN_ORDER) and fits(d, w, float32, 1, ALIGNED)):
        return False
    step, n, rows, classes = stride(d, 0) // 4, length(x, 1), max(1, TILE // length(x, 1)), vector(classes, np.int64)
    d, x, w, tops, totals = elements(address(d), NUMBER), flat(x), flat(w), np.empty(rows, NUMBER), np.empty(rows, NUMBER)
    for low in range(0, classes.size, rows):
        high = min(low + rows, classes.size)
        shifted_exp(x[low * n:high * n], w[low * n:high * n], n, tops, totals)
        for r in range(low, high):
            delta, row, total = d[r * step], w[r * n:r * n + n], totals[r - low]
            chosen = delta * (row[classes[r]] / total - NUMBER(1))
            scaled(row, delta / total)
            row[classes[r]] = chosen
            if delta == 0:                              # even if x[n] is not finite
                for k in range(n):
                    row[k] = NUMBER(0)
    return True


softmax = compiled(_softmax, numba.boolean(*[python_object] * 3))
softmax_derivative = compiled(_softmax_derivative, numba.boolean(*[python_object] * 4))
log_softmax = compiled(_log_softmax, numba.boolean(*[python_object] * 3))
log_softmax_derivative = compiled(_log_softmax_derivative, numba.boolean(*[python_object] * 4))
cross_entropy = compiled(_cross_entropy, numba.boolean(*[python_object] * 5))
derivative = compiled(_derivative, numba.boolean(*[python_object] * 6))
