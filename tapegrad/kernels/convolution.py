"""Convolution over one or two axes by matrix products, in float32 and float64.

The windows of a few examples are copied side by side, as many as stay in the cache with the result, and multiplied by the
weights in one call of BLAS: a call for each example takes three times as long where images are small, and the windows of a
whole batch do not stay in the cache. The derivatives read d once, and take the windows again rather than having them kept.
Direct loops were tried: LLVM does not keep their sums in registers, and they reach a fifth of what BLAS does.
"""

from functools import partial
from math import prod

import numpy as np

from tapegrad.kernels import blas
from tapegrad.kernels.compile import Late, nothing


def _load(number):
    from tapegrad.kernels.jit import convolution
    return convolution.kernels(number)


jit = {number: Late(partial(_load, number), "forward", "derivatives") for number in (np.float32, np.float64)}
ROOM = 1 << 15                          # elements of the windows, and of the result, that are taken at a time


def _kernel(name, groups, ndim, *xs):
    """(the kernel, the address of the product), or None."""
    dtype = xs[0].dtype
    kernels = jit.get(dtype.type) if dtype.isnative and groups == 1 and ndim in (3, 4) else None
    if kernels is None or not all([x is None or type(x) is float or x.dtype is dtype for x in xs]):
        return None
    gemm = blas.gemm("s" if dtype.type is np.float32 else "d")
    kernel = getattr(kernels, name)
    return None if gemm is None or kernel is nothing else (kernel, gemm)


def _geometry(size, kernel, positions, stride, widths, dilation):
    """The numbers that a kernel takes, with a height of 1 where there is one axis only: those of size, kernel and positions,
    stride, the padding before, and dilation."""
    before = [low for low, _ in widths]
    if len(size) == 1:
        return 1, *size, 1, *kernel, 1, *positions, 1, *stride, 0, *before, 1, *dilation
    return *size, *kernel, *positions, *stride, *before, *dilation


def _together(n, terms, places, count):
    """How many of n examples are taken at a time."""
    return max(1, min(n, ROOM // max(terms * places, count * places, 1)))


def _planes(x):
    return x.reshape(*x.shape[:2], prod(x.shape[2:]))


def forward(x, W, b, positions, stride, widths, dilation, groups):
    """The convolution, or None if there is no kernel for it."""
    found = _kernel("forward", groups, x.ndim, x, W, b)
    if found is None or min(positions) < 1 or not W.size:
        return None
    kernel, gemm = found
    n, count, places = x.shape[0], W.shape[0], prod(positions)
    terms, z = W.size // count, np.empty((n, count, *positions), x.dtype)
    block = _together(n, terms, places, count)
    columns = np.empty((terms, block * places), x.dtype)
    products = np.empty((count, block * places if block > 1 else 0), x.dtype)
    kernel(gemm, _planes(np.ascontiguousarray(x)), np.ascontiguousarray(W).reshape(count, terms),
           np.zeros(count, x.dtype) if type(b) is float else np.ascontiguousarray(b), _planes(z), columns, products, block,
           _geometry(x.shape[2:], W.shape[2:], positions, stride, widths, dilation))
    return z


def derivatives(wanted, d, x, W, x_shape, W_shape, stride, widths, dilation, groups):
    """The contributions to x, W and b, None for those not wanted; None if there is no kernel. The contribution to x does not
    need x, nor that to W W."""
    found = _kernel("derivatives", groups, d.ndim, d, x, W)
    if found is None or not d.size or not prod(x_shape):
        return None
    kernel, gemm = found
    n, count, places = d.shape[0], d.shape[1], prod(d.shape[2:])
    terms, dtype = prod(W_shape[1:]), d.dtype
    block = _together(n, terms, places, count)
    dx = np.empty(x_shape if wanted[0] else (n, x_shape[1], 0), dtype)
    dw, db = np.zeros((terms, count), dtype), np.zeros(count, dtype)    # transposed: the product is then a third faster
    x = np.ascontiguousarray(x) if wanted[1] else np.empty((0, 0, 0), dtype)
    W = np.ascontiguousarray(W).reshape(count, terms) if wanted[0] else np.empty((0, 0), dtype)
    columns = np.empty((terms, block * places), dtype)
    products = np.empty((count, block * places if block > 1 else 0), dtype)
    kernel(gemm, _planes(np.ascontiguousarray(d)), _planes(x), W, _planes(dx), dw, db, columns, products, block,
           *map(bool, wanted[:3]), _geometry(x_shape[2:], W_shape[2:], d.shape[2:], stride, widths, dilation))
    dw = np.ascontiguousarray(dw.T).reshape(W_shape)
    return dx if wanted[0] else None, dw if wanted[1] else None, db if wanted[2] else None
