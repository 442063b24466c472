"""Normalisation of rows, which are cut into lines: one each, with a parameter along it, as layer_norm has, or one for each
channel of a group, with a number for a parameter, as group_norm has.

A row has `of_row` lines of `size` elements; W and b are flat, and are taken from the start again where they end. Rows are
taken pass by pass, some at a time: the steps of one wait for each other, those of different ones do not. Each pass fetches its
place in the next rows, by `ahead`: it is too short for the processor to see a stream.
"""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.vectors import WIDTH, over_lines

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}
INLINE = OPTIONS | {"forceinline": True}
ROWS, ROOM = 32, 1 << 11        # so many rows are taken at a time, or as have so many elements: they stay in the cache


def _products(part, d, x, g, middle, total, rest, first, second):
    u = part.load(x, middle) - middle                   # 0 beyond the end
    part.fetch(x)
    part.fetch(d)
    return total + u * u, rest + u, first + g, second + g * u


def _back(part, d, x, dx, W, dw, db, middle, r, shift, slope):
    """dx = d W r - shift - h slope, dw += d h, db += d, with h = (x - middle) r."""
    h, g = (part.load(x) - middle) * r, part.load(d)
    part.fetch(dx)
    part.add_along(dw, g * h)
    part.add_along(db, g)
    part.store(dx, g * part.along(W) * r - shift - h * slope)
    return ()


def _squares(part, x, middle, total, rest):
    u = part.load(x, middle) - middle
    part.fetch(x)
    return total + u * u, rest + u


def _scaled(part, x, z, middle, factor, shift):
    part.fetch(z)
    part.store(z, (part.load(x) - middle) * factor + shift)
    return ()


def _scaled_along(part, x, z, W, b, middle, factor):
    part.fetch(z)
    part.store(z, (part.load(x) - middle) * factor * part.along(W) + part.along(b))
    return ()


def _scaled_back(part, d, x, dx, middle, r, factor, shift, slope):
    """dx = d factor - shift - h slope."""
    part.fetch(dx)
    part.store(dx, part.load(d) * factor - shift - (part.load(x) - middle) * r * slope)
    return ()


sums = over_lines(lambda part, x, total: total + part.load(x))
squares = over_lines(_squares)
delta_sums = over_lines(lambda part, d, x, middle, *totals: _products(part, d, x, part.load(d), middle, *totals))
delta_sums_along = over_lines(
    lambda part, d, x, W, middle, *totals: _products(part, d, x, part.load(d) * part.along(W), middle, *totals))
scaled, scaled_along, scaled_back, back = (over_lines(body) for body in (_scaled, _scaled_along, _scaled_back, _back))


@numba.njit(**INLINE)
def clear(x, n):
    for i in range(n):
        x[i] = 0


@numba.njit(**INLINE)
def copy(x, z, n):
    for i in range(n):
        z[i] = x[i]


@numba.njit(**INLINE)
def aligned(x):
    """Zeros for what lies along lines, at the start of a cache line: arrays of NumPy's are not."""
    z = np.zeros(x.size + WIDTH // x.itemsize, x.dtype)
    start = -z.ctypes.data % WIDTH // x.itemsize
    return z[start:start + x.size]


@numba.njit(**INLINE)
def to_means(totals, n, size):
    for i in range(n):
        totals[i] /= size


@numba.njit(**INLINE)
def settle(totals, rests, n, size, eps, middle):
    """1 / sqrt(variance + eps) in totals, from the sums of u u and of u, and the means of u in rests; these are the rounding
    errors of the means in `middle`, which are corrected: those of equal numbers are exact then."""
    for i in range(n):
        rest = rests[i] / size
        variance = totals[i] / size - rest * rest
        totals[i], rests[i] = 1.0 / np.sqrt((0.0 if variance < 0.0 else variance) + eps), rest
        middle[i] += rest


@numba.njit(**INLINE)
def means(x, low, n, size, middle, totals, ahead):
    """The means of n lines from `low` on."""
    clear(totals, n)
    sums(n, (x,), low, size, (), 1, (), (totals,), ahead)
    to_means(totals, n, size)
    copy(totals, middle, n)


@numba.njit(**INLINE)
def roots(x, low, n, size, eps, centred, middle, totals, rests, ahead):
    """1 / sqrt(variance + eps) of them."""
    clear(totals, n)
    clear(rests, n)
    squares(n, (x,), low, size, (), 1, (middle,), (totals, rests), ahead)
    if not centred:
        clear(rests, n)
    settle(totals, rests, n, size, eps, middle)


@numba.njit(**INLINE)
def to_slopes(first, second, r, middle, n):
    """From means of g and g u to r times those of g and g h; whether all is finite."""
    doubt = 0.0
    for i in range(n):
        first[i], second[i] = first[i] * r[i], second[i] * r[i] * r[i]
        doubt += (first[i] - first[i]) + (second[i] - second[i]) + (middle[i] - middle[i])
    return doubt == 0


@numba.njit(**INLINE)
def taken_together(rows, size):
    """How many rows are taken at a time."""
    return min(rows, max(1, min(ROWS, ROOM // size)))


def kernels(number):
    """layer_norm and group_norm, and their derivatives, for float32 or float64."""
    def layer_norm(x, W, b, z, size, eps, centred):
        lines, period = x.size // size, W.size // size
        block = taken_together(lines, size)
        ahead = block * size
        middle, factor, totals, rests = np.zeros(block, number), np.empty(block, number), np.empty(block), np.empty(block)
        w, c = aligned(W), aligned(b)
        copy(W, w, W.size)
        copy(b, c, b.size)
        for low in range(0, lines, block):
            n = min(block, lines - low)
            if centred:
                means(x, low, n, size, middle, totals, ahead)
            roots(x, low, n, size, eps, centred, middle, totals, rests, ahead)
            copy(totals, factor, n)
            scaled_along(n, (x, z), low, size, (w, c), period, (middle, factor), (), ahead)

    def layer_norm_derivatives(d, x, W, dx, dw, db, size, eps, centred):
        lines, period = x.size // size, W.size // size
        block = taken_together(lines, size)
        ahead = block * size
        middle, shift = np.zeros(block, number), np.zeros(block, number)
        root, slope = np.empty(block, number), np.empty(block, number)
        r, rests, first, second = np.empty(block), np.empty(block), np.empty(block), np.empty(block)
        w, to_W, to_b = aligned(W), aligned(W), aligned(W)
        copy(W, w, W.size)
        for low in range(0, lines, block):
            n = min(block, lines - low)
            if centred:
                means(x, low, n, size, middle, r, ahead)
            clear(r, n)
            clear(rests, n)
            clear(first, n)
            clear(second, n)
            delta_sums_along(n, (d, x), low, size, (w,), period, (middle,), (r, rests, first, second), ahead)
            if not centred:
                clear(rests, n)
            settle(r, rests, n, size, eps, middle)
            to_means(first, n, size)
            to_means(second, n, size)
            for i in range(n):
                second[i] -= rests[i] * first[i]
            if not to_slopes(first, second, r, middle, n):
                return False
            if centred:
                copy(first, shift, n)
            copy(r, root, n)
            copy(second, slope, n)
            back(n, (d, x, dx), low, size, (w, to_W, to_b), period, (middle, root, shift, slope), (), ahead)
        copy(to_W, dw, W.size)
        copy(to_b, db, W.size)
        return True

    def group_norm(x, W, b, z, size, of_row, eps):
        count, c = size * of_row, 0                     # c: the first channel of a row
        rows = x.size // count
        block = taken_together(rows, count)
        ahead = block * count
        centre, totals, rests = np.empty(block, number), np.empty(block), np.empty(block)
        middle = np.empty(block * of_row, number)
        factor, shift = np.empty(block * of_row, number), np.empty(block * of_row, number)
        for low in range(0, rows, block):
            n = min(block, rows - low)
            means(x, low, n, count, centre, totals, ahead)
            roots(x, low, n, count, eps, True, centre, totals, rests, ahead)
            for k in range(n):
                for j in range(of_row):
                    i = k * of_row + j
                    middle[i], factor[i], shift[i] = centre[k], totals[k] * W[c + j], b[c + j]
                c = (c + of_row) % W.size
            scaled(n * of_row, (x, z), low * of_row, size, (), 1, (middle, factor, shift), (), ahead)

    def group_norm_derivatives(d, x, W, dx, dw, db, size, of_row, eps):
        count, c = size * of_row, 0                     # c: the first channel of a row
        rows = x.size // count
        block = taken_together(rows, count)
        ahead = block * count
        lines = block * of_row
        centre, middle, shift = np.empty(block, number), np.empty(lines, number), np.empty(lines, number)
        root, factor, slope = np.empty(lines, number), np.empty(lines, number), np.empty(lines, number)
        r, rests, first, second = np.empty(lines), np.empty(lines), np.empty(lines), np.empty(lines)
        deltas, products = np.empty(block), np.empty(block)
        to_W, to_b = np.zeros(W.size), np.zeros(W.size)
        for low in range(0, rows, block):
            m, start = min(block, rows - low), low * of_row
            n = m * of_row
            means(x, low, m, count, centre, r, ahead)
            for k in range(m):
                for i in range(k * of_row, (k + 1) * of_row):
                    middle[i] = centre[k]
            clear(r, n)
            clear(rests, n)
            clear(first, n)
            clear(second, n)
            delta_sums(n, (d, x), start, size, (), 1, (middle,), (r, rests, first, second), ahead)
            for k in range(m):
                total = rest = 0.0
                for i in range(k * of_row, (k + 1) * of_row):
                    total, rest = total + r[i], rest + rests[i]
                r[k], rests[k] = total, rest
            settle(r, rests, m, count, eps, centre)
            for k in range(m):
                delta = product = 0.0
                for j in range(of_row):
                    i = k * of_row + j
                    more = second[i] - rests[k] * first[i]
                    to_W[c + j], to_b[c + j] = to_W[c + j] + more * r[k], to_b[c + j] + first[i]
                    delta, product = delta + first[i] * W[c + j], product + more * W[c + j]
                    middle[i], root[i], factor[i] = centre[k], r[k], r[k] * W[c + j]
                c = (c + of_row) % W.size
                deltas[k], products[k] = delta / count, product / count
            if not to_slopes(deltas, products, r, centre, m):
                return False
            for k in range(m):
                for i in range(k * of_row, (k + 1) * of_row):
                    shift[i], slope[i] = deltas[k], products[k]
            numbers = middle, root, factor, shift, slope
            scaled_back(n, (d, x, dx), start, size, (), 1, numbers, (), ahead)
        copy(to_W, dw, W.size)
        copy(to_b, db, W.size)
        return True

    real = numba.from_dtype(np.dtype(number))
    line, whole, eps, flag = real[::1], numba.int64, numba.float64, numba.boolean
    return SimpleNamespace(
        layer_norm=compiled(layer_norm, numba.void(*[line] * 4, whole, eps, flag), **OPTIONS),
        layer_norm_derivatives=compiled(layer_norm_derivatives, flag(*[line] * 6, whole, eps, flag), **OPTIONS),
        group_norm=compiled(group_norm, numba.void(*[line] * 4, whole, whole, eps), **OPTIONS),
        group_norm_derivatives=compiled(group_norm_derivatives, flag(*[line] * 6, whole, whole, eps), **OPTIONS))
