"""The kernels of kernels/direct.py, in one precision. Planes are (N, channels, height * width)."""

from types import SimpleNamespace

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.convolution import INLINE, OPTIONS, place
from tapegrad.kernels.jit.sums import row_sum
from tapegrad.kernels.jit.tiles import MOST, ROWS, TERMS, WIDTH, tile, tile_pair, turned, turned_back


@numba.njit(**OPTIONS)
def framed(x, z, geometry):
    """Copy the planes x into z, with its frame of zeros."""
    height, width, full_height, full_width, top, left = geometry
    for c in range(x.shape[0]):
        for i in range(height):
            row = (c * full_height + top + i) * full_width + left
            for j in range(width):
                z[row + j] = x[c, i * width + j]


@numba.njit(**OPTIONS)
def image(x, n, frame, geometry):
    """The address of the planes of x[n], or of those in the frame, if there is one."""
    if frame.size:
        framed(x[n], frame, geometry)
        return place(frame)
    return place(x[n])


@numba.njit(**INLINE)
def tiled(vectors, source, terms, count, positions, first, y, step, sums, one):
    """sums = the tile of the positions from `first` on, by one or two vectors, of so many terms: x at both offsets times y."""
    if vectors == 1:
        tile(source, place(terms), count, place(positions) + 8 * first, y, step, place(sums), MOST * WIDTH, one)
    else:
        tile_pair(source, place(terms), count, place(positions) + 8 * first, y, step, place(sums), MOST * WIDTH, one)


def kernels(number):
    """forward and weights for float32 or float64."""
    one, size = number(1), number().itemsize
    lanes = WIDTH // size

    def forward(x, y, b, z, frame, at, to, geometry):
        terms, step, count, places = y.shape[0], y.shape[1] * size, z.shape[1], z.shape[2]
        sums, part = np.empty((ROWS, MOST * lanes), number), np.empty((lanes, ROWS), number)
        for n in range(x.shape[0]):
            source = image(x, n, frame, geometry)
            f = 0
            while f < count:
                vectors = MOST if f + lanes < count else 1
                for p in range(0, places, ROWS):
                    tiled(vectors, source, at, terms, to, p, place(y) + f * size, step, sums, one)
                    for v in range(vectors):
                        low = f + v * lanes
                        results = place(z) + ((n * count + low) * places + p) * size
                        if p + ROWS <= places and low + lanes <= count:
                            turned(place(sums) + v * WIDTH, MOST * WIDTH, results, places * size, place(b) + low * size, one)
                        else:
                            turned(place(sums) + v * WIDTH, MOST * WIDTH, place(part), ROWS * size, place(b) + low * size, one)
                            for k in range(min(lanes, count - low)):
                                for i in range(min(ROWS, places - p)):
                                    z[n, low + k, p + i] = part[k, i]
                f += vectors * lanes

    def weights(d, x, dw, db, deltas, frame, at, to, to_b, geometry):
        terms, step, count, places = dw.shape[0], dw.shape[1] * size, d.shape[1], d.shape[2]
        sums = np.empty((ROWS, MOST * lanes), number)
        for n in range(x.shape[0]):
            source = image(x, n, frame, geometry)
            for f in range(count):
                if to_b:
                    db[f] += number(row_sum(d[n, f]))
            for low in range(0, count, lanes):
                for p in range(0, places, ROWS):
                    if p + ROWS <= places and low + lanes <= count:
                        turned_back(place(d) + ((n * count + low) * places + p) * size, places * size,
                                    place(deltas) + p * step + low * size, step, one)
                    else:
                        for f in range(low, min(low + lanes, count)):
                            for i in range(p, min(p + ROWS, places)):
                                deltas[i, f] = d[n, f, i]
            f = 0
            while f < count:
                vectors = MOST if f + lanes < count else 1
                for t in range(0, terms, ROWS):
                    tiled(vectors, source, to, places, at, t, place(deltas) + f * size, step, sums, one)
                    for i in range(ROWS):
                        for k in range(vectors * lanes):
                            dw[t + i, f + k] += sums[i, k]
                f += vectors * lanes

    real, number_of, flag = numba.from_dtype(np.dtype(number)), numba.int64, numba.boolean
    line, plane, cube, offsets = real[::1], real[:, ::1], real[:, :, ::1], numba.types.Array(number_of, 1, "C", readonly=True)
    numbers = numba.types.UniTuple(number_of, 6)
    return SimpleNamespace(
        lanes=lanes, terms=TERMS, rows=ROWS,
        forward=compiled(forward, numba.void(cube, plane, line, cube, line, offsets, offsets, numbers), **OPTIONS),
        weights=compiled(weights, numba.void(cube, cube, plane, line, plane, line, offsets, offsets, flag, numbers), **OPTIONS))
