"""Normalisation of rows, which are cut into lines: one each, with a parameter along it, as layer_norm has, or one for each channel
of a group, with a number for a parameter, as group_norm has.

A row has `of_row` lines of `size` elements; W and b are flat, and repeat after `period` lines. Rows are taken pass by pass, some
at a time: the steps of one wait for each other, those of different ones do not. Each pass takes COUNT lines at once, and those
that are left over one by one.
"""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.vectors import COUNT, lanes, over_lines

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}
INLINE = OPTIONS | {"forceinline": True}
ROWS, ROOM = 32, 1 << 12        # so many rows are taken at a time, or as have so many elements: they stay in the cache


def _products(part, x, g, middle, total, first, second):
    u = part.load(x, middle) - middle                   # 0 beyond the end
    return total + u * u, first + g, second + g * u


def _back(part, d, x, dx, W, dw, db, middle, r, shift, slope):
    """dx = d W r - shift - h slope, dw += d h, db += d, with h = (x - middle) r."""
    h, g = (part.load(x) - middle) * r, part.load(d)
    part.add_along(dw, g * h)
    part.add_along(db, g)
    part.store(dx, g * part.along(W) * r - shift - h * slope)
    return ()


def _squares(part, x, middle, total):
    u = part.load(x, middle) - middle
    return total + u * u


def _scaled(part, x, z, middle, factor, shift):
    part.store(z, (part.load(x) - middle) * factor + shift)
    return ()


def _scaled_along(part, x, z, W, b, middle, factor):
    part.store(z, (part.load(x) - middle) * factor * part.along(W) + part.along(b))
    return ()


def _scaled_back(part, d, x, dx, middle, factor, shift, slope):
    part.store(dx, part.load(d) * factor - shift - (part.load(x) - middle) * slope)
    return ()


sums = over_lines(lambda part, x, total: total + part.load(x))
squares = over_lines(_squares)
delta_sums = over_lines(lambda part, d, x, middle, *totals: _products(part, x, part.load(d), middle, *totals))
delta_sums_along = over_lines(
    lambda part, d, x, W, middle, *totals: _products(part, x, part.load(d) * part.along(W), middle, *totals))
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
def to_means(totals, n, of_row, size):
    """From sums of lines to means of rows, for each of their lines."""
    if of_row == 1:
        for i in range(n):
            totals[i] /= size
    else:
        for k in range(0, n, of_row):
            total = 0.0
            for i in range(k, k + of_row):
                total += totals[i]
            for i in range(k, k + of_row):
                totals[i] = total / (size * of_row)


@numba.njit(**INLINE)
def means(x, low, n, several, size, of_row, middle, totals):
    """The means of the rows of n lines from `low` on, for each of the lines."""
    clear(totals, n)
    for i in range(0, several, COUNT):
        sums(True, (x,), (low + i) * size, (), 0, size, (), i, (totals,))
    for i in range(several, n):
        sums(None, (x,), (low + i) * size, (), 0, size, (), i, (totals,))
    to_means(totals, n, of_row, size)
    copy(totals, middle, n)


@numba.njit(**INLINE)
def roots(x, low, n, several, size, of_row, eps, middle, totals):
    """1 / sqrt(variance + eps) of them."""
    clear(totals, n)
    for i in range(0, several, COUNT):
        squares(True, (x,), (low + i) * size, (), 0, size, (middle,), i, (totals,))
    for i in range(several, n):
        squares(None, (x,), (low + i) * size, (), 0, size, (middle,), i, (totals,))
    to_means(totals, n, of_row, size)
    to_roots(totals, n, eps)


@numba.njit(**INLINE)
def to_roots(totals, n, eps):
    for i in range(n):
        totals[i] = 1.0 / np.sqrt(totals[i] + eps)


@numba.njit(**INLINE)
def to_slopes(first, second, r, middle, n):
    """From means of g and g u to r times those of g and g h; whether all is finite."""
    doubt = 0.0
    for i in range(n):
        first[i], second[i] = first[i] * r[i], second[i] * r[i] * r[i]
        doubt += (first[i] - first[i]) + (second[i] - second[i]) + (middle[i] - middle[i])
    return doubt == 0


@numba.njit(**INLINE)
def taken_together(lines, size, of_row):
    """How many lines are taken at a time: those of whole rows."""
    return min(lines, of_row * max(1, min(ROWS, ROOM // (size * of_row))))


def kernels(number):
    """layer_norm and group_norm, and their derivatives, for float32 or float64."""
    LONG = COUNT * lanes(number)

    def layer_norm(x, W, b, z, size, eps, centred):
        lines, period = x.size // size, W.size // size
        block = taken_together(lines, size, 1)
        middle, factor, totals = np.zeros(block, number), np.empty(block, number), np.empty(block)
        for low in range(0, lines, block):
            n = min(block, lines - low)
            several = n - n % COUNT if period == 1 and size < LONG else 0
            if centred:
                means(x, low, n, several, size, 1, middle, totals)
            roots(x, low, n, several, size, 1, eps, middle, totals)
            copy(totals, factor, n)
            for i in range(0, several, COUNT):
                scaled_along(True, (x, z), (low + i) * size, (W, b), 0, size, (middle, factor), i, ())
            for i in range(several, n):
                scaled_along(None, (x, z), (low + i) * size, (W, b), (low + i) % period * size, size, (middle, factor), i, ())

    def layer_norm_derivatives(d, x, W, dx, dw, db, size, eps, centred):
        lines, period = x.size // size, W.size // size
        block = taken_together(lines, size, 1)
        middle, shift = np.zeros(block, number), np.zeros(block, number)
        root, slope = np.empty(block, number), np.empty(block, number)
        r, first, second = np.empty(block), np.empty(block), np.empty(block)
        for low in range(0, lines, block):
            n = min(block, lines - low)
            several = n - n % COUNT if period == 1 and size < LONG else 0
            if centred:
                means(x, low, n, several, size, 1, middle, r)
            clear(r, n)
            clear(first, n)
            clear(second, n)
            for i in range(0, several, COUNT):
                delta_sums_along(True, (d, x), (low + i) * size, (W,), 0, size, (middle,), i, (r, first, second))
            for i in range(several, n):
                delta_sums_along(None, (d, x), (low + i) * size, (W,), (low + i) % period * size, size, (middle,), i,
                                 (r, first, second))
            to_means(r, n, 1, size)
            to_means(first, n, 1, size)
            to_means(second, n, 1, size)
            to_roots(r, n, eps)
            if not to_slopes(first, second, r, middle, n):
                return False
            if centred:
                copy(first, shift, n)
            copy(r, root, n)
            copy(second, slope, n)
            for i in range(0, several, COUNT):
                back(True, (d, x, dx), (low + i) * size, (W, dw, db), 0, size, (middle, root, shift, slope), i, ())
            for i in range(several, n):
                back(None, (d, x, dx), (low + i) * size, (W, dw, db), (low + i) % period * size, size,
                     (middle, root, shift, slope), i, ())
        return True

    def group_norm(x, W, b, z, size, of_row, eps):
        lines, period = x.size // size, W.size
        block = taken_together(lines, size, of_row)
        middle, factor, shift, totals = np.empty(block, number), np.empty(block, number), np.empty(block, number), np.empty(block)
        for low in range(0, lines, block):
            n = min(block, lines - low)
            several, c = n - n % COUNT if size < LONG else 0, low % period
            means(x, low, n, several, size, of_row, middle, totals)
            roots(x, low, n, several, size, of_row, eps, middle, totals)
            for i in range(n):
                factor[i], shift[i] = totals[i] * W[c], b[c]
                c = c + 1 if c + 1 < period else 0
            for i in range(0, several, COUNT):
                scaled(True, (x, z), (low + i) * size, (), 0, size, (middle, factor, shift), i, ())
            for i in range(several, n):
                scaled(None, (x, z), (low + i) * size, (), 0, size, (middle, factor, shift), i, ())

    def group_norm_derivatives(d, x, W, dx, dw, db, size, of_row, eps):
        lines, period = x.size // size, W.size
        block = taken_together(lines, size, of_row)
        middle, factor = np.empty(block, number), np.empty(block, number)
        shift, slope = np.empty(block, number), np.empty(block, number)
        r, first, second, to_W, to_b = np.empty(block), np.empty(block), np.empty(block), np.zeros(period), np.zeros(period)
        for low in range(0, lines, block):
            n = min(block, lines - low)
            several, c = n - n % COUNT if size < LONG else 0, low % period
            means(x, low, n, several, size, of_row, middle, r)
            clear(r, n)
            clear(first, n)
            clear(second, n)
            for i in range(0, several, COUNT):
                delta_sums(True, (d, x), (low + i) * size, (), 0, size, (middle,), i, (r, first, second))
            for i in range(several, n):
                delta_sums(None, (d, x), (low + i) * size, (), 0, size, (middle,), i, (r, first, second))
            to_means(r, n, of_row, size)
            to_roots(r, n, eps)
            for i in range(n):
                to_W[c], to_b[c] = to_W[c] + second[i] * r[i], to_b[c] + first[i]
                first[i], second[i], factor[i] = first[i] * W[c], second[i] * W[c], r[i] * W[c]
                c = c + 1 if c + 1 < period else 0
            to_means(first, n, of_row, size)
            to_means(second, n, of_row, size)
            if not to_slopes(first, second, r, middle, n):
                return False
            copy(first, shift, n)
            for i in range(n):
                slope[i] = second[i] * r[i]
            for i in range(0, several, COUNT):
                scaled_back(True, (d, x, dx), (low + i) * size, (), 0, size, (middle, factor, shift, slope), i, ())
            for i in range(several, n):
                scaled_back(None, (d, x, dx), (low + i) * size, (), 0, size, (middle, factor, shift, slope), i, ())
        copy(to_W, dw, period)
        copy(to_b, db, period)
        return True

    real = numba.from_dtype(np.dtype(number))
    line, whole, eps, flag = real[::1], numba.int64, numba.float64, numba.boolean
    return SimpleNamespace(
        layer_norm=compiled(layer_norm, numba.void(*[line] * 4, whole, eps, flag), **OPTIONS),
        layer_norm_derivatives=compiled(layer_norm_derivatives, flag(*[line] * 6, whole, eps, flag), **OPTIONS),
        group_norm=compiled(group_norm, numba.void(*[line] * 4, whole, whole, eps), **OPTIONS),
        group_norm_derivatives=compiled(group_norm_derivatives, flag(*[line] * 6, whole, whole, eps), **OPTIONS))
