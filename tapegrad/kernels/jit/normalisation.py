"""The kernels of kernels/normalisation.py, in one precision."""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.sums import BLOCK, REORDERED, row_squares, row_sum

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}
INLINE = OPTIONS | {"forceinline": True}            # called for every row
ROWS, ROOM = 32, 1 << 12        # so many rows are taken at a time, or as have so many elements: they stay in the cache


@numba.njit(**INLINE)
def together(x):
    """How many rows are taken at a time."""
    return max(1, min(ROWS, ROOM // max(1, x.shape[1])))


# Step by step for several rows: the steps of one row wait for each other, those of different rows do not.

@numba.njit(**INLINE)
def means_of(x, low, centred, middle):
    """The means (0 if not centred) of the rows from `low` on, as many as `middle` has room for; their number."""
    n = min(middle.size, x.shape[0] - low)
    for i in range(n):
        middle[i] = row_sum(x[low + i]) / x.shape[1] if centred else 0.0
    return n


@numba.njit(**INLINE)
def roots_of(r, n, size, eps):
    """r = 1 / sqrt(variance + eps) of n rows whose sums of squares are in r."""
    for i in range(n):
        r[i] = 1.0 / np.sqrt(r[i] / size + eps)


@numba.njit(**INLINE)
def scaled(x, W, b, z, middle, r):
    for j in range(x.size):
        z[j] = (x[j] - middle) * r * W[j] + b[j]


@numba.njit(**REORDERED)
def delta_sums(d, x, W, middle):
    """The sums of u u, of g and of g u, with u = x - middle, g = d W."""
    squares, first, second = x.dtype.type(0), x.dtype.type(0), x.dtype.type(0)
    for j in range(x.size):
        u, g = x[j] - middle, d[j] * W[j]
        squares += u * u
        first += g
        second += g * u
    return squares, first, second


# LLVM does not vectorise a loop over all six arrays: it would have to compare too many addresses.

@numba.njit(**INLINE)
def to_x(d, x, W, dx, middle, r, first, second):
    slope, shift, scale = r * r * second, r * first, r
    for j in range(x.size):
        dx[j] = d[j] * W[j] * scale - shift - (x[j] - middle) * slope


@numba.njit(**INLINE)
def to_parameters(d, x, dw, db, middle, r):
    for j in range(x.size):
        dw[j] += d[j] * ((x[j] - middle) * r)
        db[j] += d[j]


@numba.njit(**REORDERED)
def row_products_off(d, x, middle):
    total = x.dtype.type(0)
    for p in range(x.size):
        total += d[p] * (x[p] - middle)
    return total


def kernels(number):
    """The kernels for float32 or float64."""
    def layer_norm(x, W, b, z, eps, centred):
        middle, r = np.empty(together(x), number), np.empty(together(x))
        for low in range(0, x.shape[0], r.size):
            n = means_of(x, low, centred, middle)
            for i in range(n):
                r[i] = row_squares(x[low + i], middle[i])
            roots_of(r, n, x.shape[1], eps)
            for i in range(n):
                scaled(x[low + i], W, b, z[low + i], middle[i], number(r[i]))

    def layer_norm_derivatives(d, x, W, dx, dw, db, eps, centred):
        middle, r, size = np.empty(together(x), number), np.empty(together(x)), x.shape[1]
        first, second = np.empty(r.size), np.empty(r.size)
        for low in range(0, x.shape[0], r.size):
            n = means_of(x, low, centred, middle)
            for i in range(n):
                r[i], first[i], second[i] = 0.0, 0.0, 0.0
                for j in range(0, size, BLOCK):
                    sums = delta_sums(d[low + i, j:j + BLOCK], x[low + i, j:j + BLOCK], W[j:j + BLOCK], middle[i])
                    r[i], first[i], second[i] = r[i] + sums[0], first[i] + sums[1], second[i] + sums[2]
            roots_of(r, n, size, eps)
            for i in range(n):
                first[i], second[i] = first[i] / size if centred else 0.0, second[i] / size * r[i]
                if (first[i] - first[i]) + (second[i] - second[i]) + (middle[i] - middle[i]) * r[i] != 0:
                    return False
            for i in range(n):
                to_x(d[low + i], x[low + i], W, dx[low + i], middle[i], number(r[i]), number(first[i]), number(second[i]))
                to_parameters(d[low + i], x[low + i], dw, db, middle[i], number(r[i]))
        return True

    def channel_moments(x, z):
        count = x.shape[0] * x.shape[2]
        for c in range(x.shape[1]):
            total = 0.0
            for n in range(x.shape[0]):
                total += row_sum(x[n, c])
            middle, total = number(total / count), 0.0
            for n in range(x.shape[0]):
                total += row_squares(x[n, c], middle)
            z[0, c], z[1, c] = middle, number(total / count)

    def batch_norm(x, W, b, moments, z, eps):
        scale, C = np.empty(x.shape[1], number), x.shape[1]
        for c in range(C):
            scale[c] = number(1 / np.sqrt(moments[1, c] + eps)) * W[c]
        for n in range(x.shape[0]):
            if x.shape[2] == 1:
                for c in range(C):
                    z[n, c, 0] = (x[n, c, 0] - moments[0, c]) * scale[c] + b[c]
            else:
                for c in range(C):
                    middle, r, shift = moments[0, c], scale[c], b[c]
                    for p in range(x.shape[2]):
                        z[n, c, p] = (x[n, c, p] - middle) * r + shift

    def batch_norm_derivatives(d, x, W, moments, dx, dw, db, eps):
        count = x.shape[0] * x.shape[2]
        for c in range(x.shape[1]):
            middle, r = moments[0, c], number(1 / np.sqrt(moments[1, c] + eps))
            first, second = 0.0, 0.0
            for n in range(x.shape[0]):
                first += row_sum(d[n, c])
                second += row_products_off(d[n, c], x[n, c], middle)
            if (first - first) + (second - second) + (middle - middle) * r + (W[c] - W[c]) != 0:
                return False
            dw[c], db[c] = number(second) * r, number(first)
            scale, mean, slope = r * W[c], number(first / count), number(second / count) * r * r
            for n in range(x.shape[0]):
                for p in range(x.shape[2]):
                    dx[n, c, p] = (d[n, c, p] - mean - (x[n, c, p] - middle) * slope) * scale
        return True

    real = numba.from_dtype(np.dtype(number))
    line, plane, cube, eps, flag = real[::1], real[:, ::1], real[:, :, ::1], numba.float64, numba.boolean
    return SimpleNamespace(
        layer_norm=compiled(layer_norm, numba.void(plane, line, line, plane, eps, flag), **OPTIONS),
        layer_norm_derivatives=compiled(
            layer_norm_derivatives, flag(plane, plane, line, plane, line, line, eps, flag), **OPTIONS),
        channel_moments=compiled(channel_moments, numba.void(cube, plane), **OPTIONS),
        batch_norm=compiled(batch_norm, numba.void(cube, line, line, plane, cube, eps), **OPTIONS),
        batch_norm_derivatives=compiled(
            batch_norm_derivatives, flag(cube, cube, line, plane, cube, line, line, eps), **OPTIONS))
