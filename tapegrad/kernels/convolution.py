"""Convolution over one or two axes, in float32 and float64: directly (kernels/direct.py) where that gains, else by products.

The windows of a few examples are copied side by side, as many as stay in the cache with the result, and multiplied by the
weights in one call of BLAS: a call for each example takes three times as long where images are small, and the windows of a
whole batch do not stay in the cache. The derivatives read d once, and take the windows again rather than having them kept.
"""

from functools import partial
from math import prod

import numpy as np

from tapegrad.kernels import blas, direct
from tapegrad.kernels.compile import Late, nothing
from tapegrad.kernels.direct import planes


def _load(number):
    from tapegrad.kernels.jit import convolution
    return convolution.kernels(number)


jit = {number: Late(partial(_load, number), "forward", "derivatives") for number in (np.float32, np.float64)}
ROOM = 1 << 15                          # elements of the windows, and of the result, that are taken at a time


def _fits(groups, ndim, *xs):
    """Whether there are kernels for such operands."""
    dtype = xs[0].dtype
    return groups == 1 and ndim in (3, 4) and dtype.isnative and dtype.type in jit \
        and all([x is None or type(x) is float or x.dtype is dtype for x in xs])


def _kernel(name, dtype):
    """(the kernel, the address of the product), or None."""
    gemm, kernel = blas.gemm("s" if dtype.type is np.float32 else "d"), getattr(jit[dtype.type], name)
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


def forward(x, W, b, positions, stride, widths, dilation, groups):
    """The convolution, or None if there is no kernel for it."""
    if not _fits(groups, x.ndim, x, W, b) or min(positions) < 1 or not W.size:
        return None
    z = direct.forward(x, W, b, positions, stride, widths, dilation)
    found = _kernel("forward", x.dtype) if z is None else None
    if found is None:
        return z
    kernel, gemm = found
    n, count, places = x.shape[0], W.shape[0], prod(positions)
    terms, z = W.size // count, np.empty((n, count, *positions), x.dtype)
    block = _together(n, terms, places, count)
    columns = np.empty((terms, block * places), x.dtype)
    products = np.empty((count, block * places if block > 1 else 0), x.dtype)
    kernel(gemm, planes(np.ascontiguousarray(x)), np.ascontiguousarray(W).reshape(count, terms),
           np.zeros(count, x.dtype) if type(b) is float else np.ascontiguousarray(b), planes(z), columns, products, block,
           _geometry(x.shape[2:], W.shape[2:], positions, stride, widths, dilation))
    return z


def derivatives(wanted, d, x, W, x_shape, W_shape, stride, widths, dilation, groups):
    """The contributions to x, W and b, None for those not wanted; None if there is no kernel. The contribution to x does not
    need x, nor that to W W."""
    if not _fits(groups, d.ndim, d, x, W) or not d.size or not prod(x_shape):
        return None
    to_x, to_w, to_b = map(bool, wanted[:3])
    dx = direct.to_input(d, W, x_shape, stride, widths, dilation) if to_x else None
    dw, db = (to_w and direct.to_weights(d, x, W_shape, to_b, stride, widths, dilation)) or (None, None)
    rest = to_x and dx is None, to_w and dw is None, to_b and db is None
    if not any(rest):
        return dx, dw, db
    found = _kernel("derivatives", d.dtype)
    if found is None:
        return None
    by_products = _derivatives(*found, rest, d, x, W, x_shape, W_shape, stride, widths, dilation)
    return tuple([new if old is None else old for old, new in zip((dx, dw, db), by_products)])


def _derivatives(kernel, gemm, wanted, d, x, W, x_shape, W_shape, stride, widths, dilation):
    n, count, places = d.shape[0], d.shape[1], prod(d.shape[2:])
    terms, dtype = prod(W_shape[1:]), d.dtype
    block = _together(n, terms, places, count)
    dx = np.empty(x_shape if wanted[0] else (n, x_shape[1], 0), dtype)
    dw, db = np.zeros((terms, count), dtype), np.zeros(count, dtype)    # transposed: the product is then a third faster
    x = np.ascontiguousarray(x) if wanted[1] else np.empty((0, 0, 0), dtype)
    W = np.ascontiguousarray(W).reshape(count, terms) if wanted[0] else np.empty((0, 0), dtype)
    columns = np.empty((terms, block * places), dtype)
    products = np.empty((count, block * places if block > 1 else 0), dtype)
    kernel(gemm, planes(np.ascontiguousarray(d)), planes(x), W, planes(dx), dw, db, columns, products, block,
           *wanted, _geometry(x_shape[2:], W_shape[2:], d.shape[2:], stride, widths, dilation))
    dw = np.ascontiguousarray(dw.T).reshape(W_shape)
    return dx if wanted[0] else None, dw if wanted[1] else None, db if wanted[2] else None
