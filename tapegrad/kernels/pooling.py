"""Pooling over one or two axes, in float32 and float64, with kernels for windows of 2 x 2 side by side, the most common, and
for all others. All return None if there is no kernel for the operands."""

from functools import lru_cache, partial
from math import prod

import numpy as np

from tapegrad.kernels.compile import Late, nothing


def _load(number):
    from tapegrad.kernels.jit import pooling
    return pooling.kernels(number)


jit = {np.dtype(number): Late(partial(_load, number), "max_pool", "unpool_max", "sum_pool", "unpool_sum")
       for number in (np.float32, np.float64)}


def _kernel(name, x, d=None):
    dtype = x.dtype
    kernels = jit.get(dtype) if x.ndim in (3, 4) and x.size else None
    if kernels is None or d is not None and d.dtype is not dtype:
        return None
    kernel = getattr(kernels, name)
    return None if kernel is nothing else kernel


def _images(x):
    """(N, channels, height, width), with a height of 1 where there is one axis only."""
    x = np.ascontiguousarray(x)
    return x if x.ndim == 4 else x[:, :, None]


@lru_cache(256)
def _geometry(kernel, stride, widths, dilation):
    """Kernel, stride, padding before and dilation, each for both axes."""
    before = tuple([low for low, _ in widths])
    if len(kernel) == 1:
        kernel, stride, before, dilation = (1, *kernel), (1, *stride), (0, *before), (1, *dilation)
    return (*kernel, *stride, *before, *dilation)


def pool(name, x, kernel, positions, stride, widths, dilation):
    """The greatest element of each window, or its sum: "max_pool" or "sum_pool"."""
    f = _kernel(name, x)
    if f is None or min(positions) < 1:
        return None
    z = np.empty((*x.shape[:2], *positions), x.dtype)
    f(_images(x), _images(z), *_geometry(kernel, stride, widths, dilation))
    return z


def unpool_max(d, x, kernel, stride, widths, dilation):
    """The contribution of max_pool to x."""
    f = _kernel("unpool_max", d, x)
    if f is None:
        return None
    dx = np.zeros(x.shape, x.dtype)
    f(_images(d), _images(x), _images(dx), *_geometry(kernel, stride, widths, dilation))
    return dx


def unpool_sum(d, size, kernel, stride, widths, dilation):
    """The contribution of sum_pool to x."""
    f = _kernel("unpool_sum", d)
    if f is None or not prod(size):
        return None
    dx = np.zeros((*d.shape[:2], *size), d.dtype)
    f(_images(d), _images(dx), *_geometry(kernel, stride, widths, dilation))
    return dx
