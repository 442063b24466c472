"""Convolution over one or two axes without copies of windows, in float32 and float64.

A tile of 8 positions by one or two vectors of channels stays in registers while the terms of its sums are read from where they
are in the input, which has a frame of zeros where there is padding (kernels/jit/tiles.py). So it takes channels out that fill
vectors. The contribution to x is a convolution, too, of d by the turned weights, where the stride is 1; that to W is sums over
positions instead of terms. The processor must have AVX2; with AVX-512 tiles also gain where sums are long.
"""

from functools import lru_cache, partial
from math import prod

import numpy as np

from tapegrad.kernels.compile import Late, nothing


def _load(number):
    from tapegrad.kernels.jit import direct
    return direct.kernels(number)


jit = {number: Late(partial(_load, number), "forward", "weights", "lanes", "terms", "rows")
       for number in (np.float32, np.float64)}
FRAMED = 1 << 18        # elements of an image with its frame, at most: it is to stay in the cache
LEAST = 32              # terms of a sum: with fewer, products with copied windows are as fast


class Frame:
    """Where the windows of an image are, in its planes with a frame of zeros.

    at          the offset of each term of a sum, channel by channel
    to          the offset of each position; the last of both again, up to a multiple of the rows of a tile
    geometry    height and width without frame, with it, and of it before the first row and column
    size        the elements with the frame, if there is one, or 0
    """

    def __init__(self, rows, channels, size, kernel, positions, stride, widths, dilation):
        (height, width), (top, left) = size, [low for low, _ in widths]
        full_height, full_width = [n + before + after for n, (before, after) in zip(size, widths)]
        self.geometry = height, width, full_height, full_width, top, left
        self.size = channels * full_height * full_width if any(map(any, widths)) else 0
        steps = full_height * full_width, full_width, 1
        self.terms, self.places = channels * prod(kernel), prod(positions)
        self.at = _offsets((channels, *kernel), steps, (1, *dilation), rows)
        self.to = _offsets(positions, steps[1:], stride, rows)


def _offsets(counts, steps, factors, rows):
    """Offsets of all places of a grid, in order; that of the last again, up to a multiple of `rows`."""
    total = np.zeros((), np.int64)
    for count, step, factor in zip(counts, steps, factors):
        total = np.add.outer(total, np.arange(count) * (step * factor))
    flat = np.pad(total.reshape(-1), (0, -total.size % rows), mode="edge").astype(np.int64)
    flat.setflags(write=False)
    return flat


_frame = lru_cache(32)(Frame)


def _kernel(name, dtype, channels, axes, count):
    """(the kernel, channels out filled up to vectors), or None where it does not gain, or there is none."""
    size, kernel, _, _, widths, _ = axes
    framed = channels * prod([n + before + after for n, (before, after) in zip(size, widths)])
    terms, kernels = channels * prod(kernel), jit[dtype.type]
    if framed > FRAMED or terms < LEAST:
        return None
    found = getattr(kernels, name)
    if found is nothing or terms > kernels.terms:
        return None
    filled = -(-count // kernels.lanes) * kernels.lanes
    return (found, filled) if 4 * count >= 3 * filled else None


def planes(x):
    return x.reshape(*x.shape[:2], prod(x.shape[2:]))


def _two_axes(size, kernel, positions, stride, widths, dilation):
    """The same with a height of 1, where there is one axis only."""
    if len(size) == 2:
        return size, kernel, positions, stride, widths, dilation
    return (1, *size), (1, *kernel), (1, *positions), (1, *stride), ((0, 0), *widths), (1, *dilation)


def _run(kernel, filled, x, W, b, z, axes):
    """z = the convolution of x with W, (channels out, channels, *kernel)."""
    dtype, count = x.dtype, W.shape[0]
    frame = _frame(jit[dtype.type].rows, x.shape[1], *axes)
    y, shift = np.zeros((frame.terms, filled), dtype), np.zeros(filled, dtype)
    y[:, :count] = W.reshape(count, frame.terms).T
    shift[:count] = b
    kernel(planes(np.ascontiguousarray(x)), y, shift, planes(z), np.zeros(frame.size, dtype), frame.at, frame.to,
           frame.geometry)
    return z


def forward(x, W, b, positions, *steps):
    """The convolution, or None."""
    axes = _two_axes(x.shape[2:], W.shape[2:], positions, *steps)
    found = _kernel("forward", x.dtype, x.shape[1], axes, W.shape[0])
    return None if found is None else _run(*found, x, W, b, np.empty((x.shape[0], W.shape[0], *positions), x.dtype), axes)


def to_input(d, W, x_shape, stride, widths, dilation):
    """The contribution to x, or None."""
    if any([step != 1 for step in stride]):
        return None
    reach = [step * (k - 1) for k, step in zip(W.shape[2:], dilation)]
    before = [n - low for n, (low, _) in zip(reach, widths)]
    after = [n + size - places - low for n, size, places, low in zip(reach, x_shape[2:], d.shape[2:], before)]
    if min(before) < 0 or min(after) < 0:
        return None
    axes = _two_axes(d.shape[2:], W.shape[2:], x_shape[2:], stride, tuple(zip(before, after)), dilation)
    found = _kernel("forward", d.dtype, d.shape[1], axes, x_shape[1])
    if found is None:
        return None
    if not np.isfinite(W).all():                        # the frame's zeros times that would be NaN
        return None
    turned = np.swapaxes(W, 0, 1)[(slice(None), slice(None), *[slice(None, None, -1)] * (W.ndim - 2))]
    return _run(*found, d, turned, 0, np.empty(x_shape, d.dtype), axes)


def to_weights(d, x, W_shape, biased, *steps):
    """The contributions to W, and to b if it is wanted; or None."""
    axes = _two_axes(x.shape[2:], W_shape[2:], d.shape[2:], *steps)
    found = _kernel("weights", d.dtype, x.shape[1], axes, W_shape[0])
    if found is None:
        return None
    kernel, filled = found
    count, dtype = W_shape[0], d.dtype
    frame = _frame(jit[dtype.type].rows, x.shape[1], *axes)
    dw, db = np.zeros((frame.at.size, filled), dtype), np.zeros(count, dtype)
    kernel(planes(np.ascontiguousarray(d)), planes(np.ascontiguousarray(x)), dw, db, np.zeros((frame.places, filled), dtype),
           np.zeros(frame.size, dtype), frame.at, frame.to, biased, frame.geometry)
    return np.ascontiguousarray(dw[:frame.terms, :count].T).reshape(W_shape), db if biased else None
