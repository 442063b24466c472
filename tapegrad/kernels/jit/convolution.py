"""The kernels of kernels/convolution.py, in one precision. Planes are (N, channels, height * width)."""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.gemm import gemm
from tapegrad.kernels.jit.objects import copied
from tapegrad.kernels.jit.sums import row_sum
from tapegrad.kernels.opcodes import PLAIN, ROW_MAJOR, TRANSPOSED

OPTIONS = {"error_model": "numpy"}
INLINE = OPTIONS | {"forceinline": True}            # called for every plane, which may have 16 elements


@numba.njit(**OPTIONS)
def inside(offset, step, length, count):
    """Those of `count` positions, from low up to high, whose place i * step + offset is from 0 up to `length`."""
    low = min(count, max(0, (step - 1 - offset) // step))
    return low, max(low, min(count, (length - offset + step - 1) // step))


@numba.njit(**OPTIONS)
def every(z, x, step):
    for i in range(z.size):
        z[i] = x[i * step]


@numba.njit(**OPTIONS)
def added(z, x):
    for i in range(x.size):
        z[i] += x[i]


@numba.njit(**OPTIONS)
def added_every(z, x, step):
    for i in range(x.size):
        z[i * step] += x[i]


@numba.njit(**INLINE)
def cleared(z, low, high):
    for i in range(low, high):
        z[i] = 0


@numba.njit(**INLINE)
def beside(z, width, low, high):
    """Zeros in each row of z before column `low`, and from `high` on."""
    for column in range(low):
        i = column
        while i < z.size:
            z[i] = 0
            i += width
    for column in range(high, width):
        i = column
        while i < z.size:
            z[i] = 0
            i += width


@numba.njit(**OPTIONS)
def covered(geometry, ky, kx):
    """What the place (ky, kx) of the kernel covers, as take and put need it: of each axis the first place that it covers, and
    the positions, from one up to another, at which it is inside; and whether it covers a plane as a whole, moved by `shift`, as
    where the kernel moves as far as the input is wide: then from `start` up to `end`.
    """
    height, width, _, _, rows, columns, step_y, step_x, before_y, before_x, spread_y, spread_x = geometry
    top, left = ky * spread_y - before_y, kx * spread_x - before_x
    first, last = inside(top, step_y, height, rows)
    low, high = inside(left, step_x, width, columns)
    flat, shift = step_y == 1 and step_x == 1 and columns == width, top * width + left
    start = min(last * width, max(first * width, -shift))
    end = max(start, min(last * width, height * width - shift))
    return flat, shift, start, end, first, last, low, high, top * width + left, step_y * width, step_x, columns


@numba.njit(**INLINE)
def take(x, z, place):
    """z = what is covered of the plane x, and zeros."""
    flat, shift, start, end, first, last, low, high, offset, step, step_x, columns = place
    if flat:
        cleared(z, 0, start)
        copied(z.ctypes.data + start * z.itemsize, x.ctypes.data + (start + shift) * z.itemsize, (end - start) * z.itemsize)
        cleared(z, end, z.size)
        if low > 0 or high < columns:
            beside(z, columns, low, high)
        return
    cleared(z, 0, first * columns)
    for i in range(first, last):
        row, at = i * columns + low, i * step + low * step_x + offset
        if step_x == 1:
            copied(z.ctypes.data + row * z.itemsize, x.ctypes.data + at * z.itemsize, (high - low) * z.itemsize)
        else:
            every(z[row:row + high - low], x[at:], step_x)
    cleared(z, last * columns, z.size)
    if low > 0 or high < columns:
        beside(z, columns, low, high)


@numba.njit(**INLINE)
def put(x, z, place):
    """x += z where x is covered; what covers nothing of z is overwritten."""
    flat, shift, start, end, first, last, low, high, offset, step, step_x, columns = place
    if flat:
        if low > 0 or high < columns:
            beside(z, columns, low, high)
        added(x[start + shift:end + shift], z[start:end])
        return
    for i in range(first, last):
        row, at = z[i * columns + low:i * columns + high], i * step + low * step_x + offset
        if step_x == 1:
            added(x[at:], row)
        else:
            added_every(x[at:], row, step_x)


@numba.njit(**OPTIONS)
def place(x):
    return x.ctypes.data


@numba.njit(**OPTIONS)
def gather(x, first, count, columns, places, geometry, back):
    """columns = the windows of `count` examples from `first` on; or, with `back`, x += what is in them."""
    size = geometry[2] * geometry[3]
    for k in range(size):
        part = covered(geometry, k // geometry[3], k % geometry[3])
        for c in range(x.shape[1]):
            for i in range(count):
                plane, row = x[first + i, c], columns[c * size + k, i * places:(i + 1) * places]
                if back:
                    put(plane, row, part)
                else:
                    take(plane, row, part)


def kernels(number):
    """forward and derivatives for float32 or float64."""
    one, zero = number(1), number(0)

    def forward(at, x, W, b, z, columns, products, block, geometry):
        _, _, rows, width, _, _, step_y, step_x, before_y, before_x, _, _ = geometry
        count, terms, places = z.shape[1], W.shape[1], z.shape[2]
        alone = rows * width * step_y * step_x == 1 and before_y == 0 and before_x == 0 and places == x.shape[2]
        for first in range(0, x.shape[0], block):
            n = min(block, x.shape[0] - first)
            if alone and block == 1:
                windows, step = place(x[first]), places
            else:
                gather(x, first, n, columns, places, geometry, False)
                windows, step = place(columns), columns.shape[1]
            if block == 1:
                gemm(at, ROW_MAJOR, PLAIN, PLAIN, count, places, terms, one, place(W), terms, windows, step, zero,
                     place(z[first]), places)
            else:
                gemm(at, ROW_MAJOR, PLAIN, PLAIN, count, n * places, terms, one, place(W), terms, windows, step, zero,
                     place(products), products.shape[1])
            for i in range(n):
                for f in range(count):
                    result, shift = z[first + i, f], b[f]
                    source = result if block == 1 else products[f, i * places:(i + 1) * places]
                    for p in range(places):
                        result[p] = source[p] + shift

    def derivatives(at, d, x, W, dx, dw, db, columns, products, block, to_x, to_w, to_b, geometry):
        terms, count, places = dw.shape[0], dw.shape[1], d.shape[2]
        for first in range(0, d.shape[0], block):
            n = min(block, d.shape[0] - first)
            if block == 1:
                deltas, step = place(d[first]), places
            else:
                for f in range(count):
                    for i in range(n):
                        copied(place(products[f]) + i * places * d.itemsize, place(d[first + i, f]), places * d.itemsize)
                deltas, step = place(products), products.shape[1]
            if to_b:
                for i in range(n):
                    for f in range(count):
                        db[f] += number(row_sum(d[first + i, f]))
            if to_w:
                gather(x, first, n, columns, places, geometry, False)
                gemm(at, ROW_MAJOR, PLAIN, TRANSPOSED, terms, count, n * places, one, place(columns), columns.shape[1], deltas,
                     step, one, place(dw), count)
            if to_x:
                gemm(at, ROW_MAJOR, TRANSPOSED, PLAIN, terms, n * places, count, one, place(W), terms, deltas, step, zero,
                     place(columns), columns.shape[1])
                for i in range(n):
                    for c in range(dx.shape[1]):
                        cleared(dx[first + i, c], 0, dx.shape[2])
                gather(dx, first, n, columns, places, geometry, True)

    real, size, flag = numba.from_dtype(np.dtype(number)), numba.int64, numba.boolean
    line, plane, cube, numbers = real[::1], real[:, ::1], real[:, :, ::1], numba.types.UniTuple(size, 12)
    return SimpleNamespace(
        forward=compiled(forward, numba.void(size, cube, plane, line, cube, plane, plane, size, numbers), **OPTIONS),
        derivatives=compiled(derivatives, numba.void(
            size, cube, cube, plane, cube, plane, line, plane, plane, size, flag, flag, flag, numbers), **OPTIONS))
