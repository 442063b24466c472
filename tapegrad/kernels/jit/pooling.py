"""The kernels of kernels/pooling.py, in one precision. They get (N, channels, height, width), and loop over all images."""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.convolution import inside

OPTIONS = {"error_model": "numpy"}
INLINE = OPTIONS | {"forceinline": True}            # so that its first argument is a constant


@numba.njit
def together(x):
    """(N channels, height, width)"""
    return x.reshape((x.shape[0] * x.shape[1], x.shape[2], x.shape[3]))


@numba.njit(**OPTIONS)
def side_by_side(x, z, ky, kx, sy, sx, py, px, dy, dx):
    """Whether windows of x are 2 x 2, side by side, without padding."""
    return (ky == 2 and kx == 2 and sy == 2 and sx == 2 and py == 0 and px == 0 and dy == 1 and dx == 1
            and 2 * z.shape[1] <= x.shape[1] and 2 * z.shape[2] <= x.shape[2])


@numba.njit(**OPTIONS)
def greater(x, y):
    return y if y > x or y != y else x              # NaN is the greatest, as for NumPy


@numba.njit(**INLINE)
def pool(greatest, start, x, z, ky, kx, sy, sx, py, px, dy, dx):
    """z = the sum of `start` and the elements of each window, or the greatest of them."""
    for n in range(x.shape[0]):
        for i in range(z.shape[1]):
            first, last = inside(i * sy - py, dy, x.shape[1], ky)
            for j in range(z.shape[2]):
                low, high = inside(j * sx - px, dx, x.shape[2], kx)
                found = start
                for a in range(first, last):
                    for b in range(low, high):
                        element = x[n, i * sy - py + a * dy, j * sx - px + b * dx]
                        found = greater(found, element) if greatest else found + element
                z[n, i, j] = found


# Windows of 2 x 2 side by side: no slices, which take longer than a short row.

@numba.njit(**OPTIONS)
def max_of_squares(x, z):
    for n in range(z.shape[0]):
        for i in range(z.shape[1]):
            for j in range(z.shape[2]):
                z[n, i, j] = greater(greater(x[n, 2 * i, 2 * j], x[n, 2 * i, 2 * j + 1]),
                                     greater(x[n, 2 * i + 1, 2 * j], x[n, 2 * i + 1, 2 * j + 1]))


@numba.njit(**OPTIONS)
def shared_by_squares(d, x, w):
    zero, one = d.dtype.type(0), d.dtype.type(1)
    for n in range(d.shape[0]):
        for i in range(d.shape[1]):
            for j in range(d.shape[2]):
                delta, top = d[n, i, j], greater(greater(x[n, 2 * i, 2 * j], x[n, 2 * i, 2 * j + 1]),
                                                 greater(x[n, 2 * i + 1, 2 * j], x[n, 2 * i + 1, 2 * j + 1]))
                a = one if x[n, 2 * i, 2 * j] == top else zero
                b = one if x[n, 2 * i, 2 * j + 1] == top else zero
                e = one if x[n, 2 * i + 1, 2 * j] == top else zero
                f = one if x[n, 2 * i + 1, 2 * j + 1] == top else zero
                share = zero if delta == zero else delta / (a + b + e + f)
                w[n, 2 * i, 2 * j], w[n, 2 * i, 2 * j + 1] = a * share, b * share
                w[n, 2 * i + 1, 2 * j], w[n, 2 * i + 1, 2 * j + 1] = e * share, f * share


@numba.njit(**OPTIONS)
def sums_of_squares(x, z):
    for n in range(z.shape[0]):
        for i in range(z.shape[1]):
            for j in range(z.shape[2]):
                z[n, i, j] = (x[n, 2 * i, 2 * j] + x[n, 2 * i, 2 * j + 1]
                              + x[n, 2 * i + 1, 2 * j] + x[n, 2 * i + 1, 2 * j + 1])


@numba.njit(**OPTIONS)
def spread_to_squares(d, w):
    for n in range(d.shape[0]):
        for i in range(d.shape[1]):
            for j in range(d.shape[2]):
                delta = d[n, i, j]
                w[n, 2 * i, 2 * j], w[n, 2 * i, 2 * j + 1] = delta, delta
                w[n, 2 * i + 1, 2 * j], w[n, 2 * i + 1, 2 * j + 1] = delta, delta


def kernels(number):
    """The kernels for float32 or float64."""
    zero, least = number(0), number(-np.inf)

    def max_pool(x, z, ky, kx, sy, sx, py, px, dy, dx):
        x, z = together(x), together(z)
        if side_by_side(x, z, ky, kx, sy, sx, py, px, dy, dx):
            return max_of_squares(x, z)
        pool(True, least, x, z, ky, kx, sy, sx, py, px, dy, dx)

    def sum_pool(x, z, ky, kx, sy, sx, py, px, dy, dx):
        x, z = together(x), together(z)
        if side_by_side(x, z, ky, kx, sy, sx, py, px, dy, dx):
            return sums_of_squares(x, z)
        pool(False, zero, x, z, ky, kx, sy, sx, py, px, dy, dx)

    def unpool_max(d, x, w, ky, kx, sy, sx, py, px, dy, dx):
        d, x, w = together(d), together(x), together(w)
        if side_by_side(x, d, ky, kx, sy, sx, py, px, dy, dx):
            return shared_by_squares(d, x, w)
        for n in range(x.shape[0]):
            for i in range(d.shape[1]):
                first, last = inside(i * sy - py, dy, x.shape[1], ky)
                for j in range(d.shape[2]):
                    delta, top = d[n, i, j], least
                    if delta == zero:
                        continue
                    low, high = inside(j * sx - px, dx, x.shape[2], kx)
                    for a in range(first, last):
                        for b in range(low, high):
                            top = greater(top, x[n, i * sy - py + a * dy, j * sx - px + b * dx])
                    ties = ky * kx - (last - first) * (high - low) if top == least else 0       # padding ties, too
                    for a in range(first, last):
                        for b in range(low, high):
                            ties += x[n, i * sy - py + a * dy, j * sx - px + b * dx] == top
                    share = delta / number(ties)
                    for a in range(first, last):
                        for b in range(low, high):
                            y, c = i * sy - py + a * dy, j * sx - px + b * dx
                            w[n, y, c] += share if x[n, y, c] == top else zero * share

    def unpool_sum(d, w, ky, kx, sy, sx, py, px, dy, dx):
        d, w = together(d), together(w)
        if side_by_side(w, d, ky, kx, sy, sx, py, px, dy, dx):
            return spread_to_squares(d, w)
        for n in range(d.shape[0]):
            for i in range(d.shape[1]):
                first, last = inside(i * sy - py, dy, w.shape[1], ky)
                for j in range(d.shape[2]):
                    low, high = inside(j * sx - px, dx, w.shape[2], kx)
                    for a in range(first, last):
                        for b in range(low, high):
                            w[n, i * sy - py + a * dy, j * sx - px + b * dx] += d[n, i, j]

    images = numba.from_dtype(np.dtype(number))[:, :, :, ::1]
    made = {f.__name__: compiled(f, numba.void(*[images] * count, *[numba.int64] * 8), **OPTIONS)
            for f, count in ((max_pool, 2), (unpool_max, 3), (sum_pool, 2), (unpool_sum, 2))}
    return SimpleNamespace(**made)
