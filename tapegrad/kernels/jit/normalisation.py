"""The kernels of kernels/normalisation.py, in one precision."""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.sums import REORDERED, row_squares, row_sum

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}
INLINE = OPTIONS | {"forceinline": True}            # called for every row


@numba.njit(**INLINE)
def moments_of(x, eps, centred):
    """The mean (0 if not centred) and 1 / sqrt(variance + eps)."""
    number = x.dtype.type
    middle = number(row_sum(x) / x.size) if centred else number(0)
    return middle, number(1) / np.sqrt(number(row_squares(x, middle) / x.size + eps))


@numba.njit(**INLINE)
def scaled(x, W, b, z, middle, r):
    for j in range(x.size):
        z[j] = (x[j] - middle) * r * W[j] + b[j]


@numba.njit(**REORDERED)
def delta_sums(d, x, W, middle, r):
    """The sums of g and of g h, with g = d W, h = (x - middle) r."""
    first, second = x.dtype.type(0), x.dtype.type(0)
    for j in range(x.size):
        g = d[j] * W[j]
        first += g
        second += g * ((x[j] - middle) * r)
    return first, second


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
    zero = number(0)

    def layer_norm(x, W, b, z, eps, centred):
        for i in range(x.shape[0]):
            middle, r = moments_of(x[i], eps, centred)
            scaled(x[i], W, b, z[i], middle, r)

    def layer_norm_derivatives(d, x, W, dx, dw, db, eps, centred):
        for i in range(x.shape[0]):
            middle, r = moments_of(x[i], eps, centred)
            first, second = delta_sums(d[i], x[i], W, middle, r)
            if (first - first) + (second - second) + (middle - middle) * r != zero:
                return False
            first, second = number(first / x.shape[1]) if centred else zero, number(second / x.shape[1])
            to_x(d[i], x[i], W, dx[i], middle, r, first, second)
            to_parameters(d[i], x[i], dw, db, middle, r)
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
