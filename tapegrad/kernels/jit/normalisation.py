"""The kernels of kernels/normalisation.py for channels, in one precision."""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.sums import REORDERED, row_squares, row_sum

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}


@numba.njit(**REORDERED)
def row_products_off(d, x, middle):
    total = x.dtype.type(0)
    for p in range(x.size):
        total += d[p] * (x[p] - middle)
    return total


def kernels(number):
    """The kernels for float32 or float64."""
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
        channel_moments=compiled(channel_moments, numba.void(cube, plane), **OPTIONS),
        batch_norm=compiled(batch_norm, numba.void(cube, line, line, plane, cube, eps), **OPTIONS),
        batch_norm_derivatives=compiled(
            batch_norm_derivatives, flag(cube, cube, line, plane, cube, line, line, eps), **OPTIONS))
