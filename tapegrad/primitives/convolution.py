"""Convolution and pooling over the last axes, in any number of dimensions, and the windows that they are made of.

    windows     z[.., k1, k2, o1, o2] = x[.., o1 * stride + k1 * dilation, o2 * stride + k2 * dilation], a view, without a copy
    unwindow    adds windows back into an array of a given size; each is the other's derivative

    convolution          z[n, f, o] = sum over c, k of W[f, c, k] x[n, c, o stride + k dilation - before] + b[f]
    convolution_input    the contribution to x, which is the transposed convolution of d with W; d has the positions of x's size
    convolution_weight   the contribution to W
Each of the three is linear in both operands, and its derivatives are the other two.

    max_pool, sum_pool   the greatest element, and the sum, of each window of the padded x
    unpool_max           the contribution of max_pool to x: elements that tie share d evenly
    picked_max           its derivative: the elements of x that were chosen
    unpool_sum           the contribution of sum_pool

x is (N, channels, *size), W (channels out, channels / groups, *kernel); `widths` are (before, after) for each axis of space,
and padding is 0, or the least number for max_pool. In NumPy, a convolution is a product with the windows, in which offsets come
before positions so that rows of the output lie along rows of the input, and a pooling a reduction of a copy of them. Kernels,
for two axes or one, take the windows of a few examples at a time, in the cache.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tapegrad.kernels import convolution as kernels
from tapegrad.kernels import limits, pooling
from tapegrad.primitives.registry import HOLOMORPHIC, LINEAR, primitive


def _windows(x, kernel, positions, stride, dilation):
    outer = x.ndim - len(kernel)
    steps = x.strides[outer:]
    strides = (*x.strides[:outer], *(s * n for s, n in zip(dilation, steps)), *(s * n for s, n in zip(stride, steps)))
    return as_strided(x, (*x.shape[:outer], *kernel, *positions), strides, writeable=False)


def _unwindow(d, size, stride, dilation):
    n = len(size)
    kernel, positions = d.shape[-2 * n:-n], d.shape[-n:]
    x = np.zeros((*d.shape[:-2 * n], *size), d.dtype)
    for offset in np.ndindex(kernel):
        start = [k * step for k, step in zip(offset, dilation)]
        covered = tuple([slice(low, low + step * count, step) for low, step, count in zip(start, stride, positions)])
        x[(..., *covered)] += d[(..., *offset, *([slice(None)] * n))]
    return x


def _windows_dx(F, d, _z, x_shape, kernel, positions, stride, dilation):
    return F.unwindow(d, x_shape[-len(kernel):], stride, dilation)


def _unwindow_dx(F, d, _z, x_shape, size, stride, dilation):
    n = len(size)
    return F.windows(d, x_shape[-2 * n:-n], x_shape[-n:], stride, dilation)


def _padded(x, widths, fill):
    return np.pad(x, ((0, 0), (0, 0), *widths), constant_values=fill) if any(map(any, widths)) else x


def _positions(size, kernel, stride, widths, dilation):
    """How often a kernel fits in, along each axis."""
    return tuple([(n + before + after - step * (k - 1) - 1) // by + 1
                  for n, k, by, (before, after), step in zip(size, kernel, stride, widths, dilation)])


def _covered(x, kernel, stride, widths, dilation, fill=0):
    """The windows of the padded x, (N, channels, *kernel, *positions)."""
    positions = _positions(x.shape[2:], kernel, stride, widths, dilation)
    return _windows(_padded(x, widths, fill), kernel, positions, stride, dilation)


def _put_back(d, size, stride, widths, dilation):
    """Windows added up to an array of that size, without the padding."""
    full = tuple([before + n + after for n, (before, after) in zip(size, widths)])
    z = _unwindow(d, full, stride, dilation)
    return z[(..., *[slice(before, before + n) for n, (before, _) in zip(size, widths)])]


def _grouped(x, groups, *rest):
    """x with its axis 1 split in groups and then `rest`, or only `rest`."""
    return x.reshape(x.shape[0], *(() if groups == 1 else (groups,)), *rest)


def _weights(W, groups):
    """W as matrices of the channels out by the terms of their sums."""
    count = W.shape[0]
    return W.reshape(*(() if groups == 1 else (groups,)), count // groups, W.size // count)


def _columns(x, kernel, stride, widths, dilation, groups):
    """The windows as matrices of terms by positions, and the positions."""
    covered = _covered(x, kernel, stride, widths, dilation)
    positions = covered.shape[2 + len(kernel):]
    return _grouped(covered, groups, x.shape[1] // groups * math.prod(kernel), math.prod(positions)), positions


def _convolution(x, W, b, stride, widths, dilation, groups):
    columns, positions = _columns(x, W.shape[2:], stride, widths, dilation, groups)
    z = np.matmul(_weights(W, groups), columns).reshape(x.shape[0], W.shape[0], *positions)
    return z + b.reshape((-1,) + (1,) * len(positions)) if isinstance(b, np.ndarray) else z


def _convolution_input(d, W, size, stride, widths, dilation, groups):
    split = _grouped(d, groups, d.shape[1] // groups, math.prod(d.shape[2:]))
    columns = np.matmul(np.swapaxes(_weights(W, groups), -1, -2), split)
    columns = columns.reshape(d.shape[0], groups * W.shape[1], *W.shape[2:], *d.shape[2:])
    return _put_back(columns, size, stride, widths, dilation)


def _convolution_weight(d, x, kernel, stride, widths, dilation, groups):
    columns, positions = _columns(x, kernel, stride, widths, dilation, groups)
    split = _grouped(d, groups, d.shape[1] // groups, math.prod(positions))
    return np.matmul(split, np.swapaxes(columns, -1, -2)).sum(0).reshape(d.shape[1], x.shape[1] // groups, *kernel)


def _fast_convolution(x, W, b, stride, widths, dilation, groups):
    z = kernels.forward(x, W, b, _positions(x.shape[2:], W.shape[2:], stride, widths, dilation), stride, widths, dilation,
                        groups) if x.size >= limits.CONVOLVED else None
    return _convolution(x, W, b, stride, widths, dilation, groups) if z is None else z


def _fast_convolution_input(d, W, size, stride, widths, dilation, groups):
    x_shape = (d.shape[0], groups * W.shape[1], *size)
    found = kernels.derivatives((True, False, False), d, None, W, x_shape, W.shape, stride, widths, dilation, groups) \
        if d.size >= limits.CONVOLVED else None
    return _convolution_input(d, W, size, stride, widths, dilation, groups) if found is None else found[0]


def _fast_convolution_weight(d, x, kernel, stride, widths, dilation, groups):
    W_shape = (d.shape[1], x.shape[1] // groups, *kernel)
    found = kernels.derivatives((False, True, False), d, x, None, x.shape, W_shape, stride, widths, dilation, groups) \
        if d.size >= limits.CONVOLVED else None
    return _convolution_weight(d, x, kernel, stride, widths, dilation, groups) if found is None else found[1]


def _convolution_jointly(wanted, d, _z, x, W, b, stride, widths, dilation, groups):
    if x is not None and W is not None and d.size >= limits.CONVOLVED:
        found = kernels.derivatives(wanted, d, x, W, x.shape, W.shape, stride, widths, dilation, groups)
        if found is not None:
            return found
    return CONVOLUTION.one_by_one(wanted, d, None, x, W, b, stride, widths, dilation, groups)


def _least(dtype):
    """The least number of a dtype."""
    if dtype.kind == "c":
        raise TypeError("complex numbers have no order")
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _max_pool(x, kernel, stride, widths, dilation):
    covered = _covered(x, kernel, stride, widths, dilation, _least(x.dtype))
    return np.maximum.reduce(covered.reshape(*x.shape[:2], math.prod(kernel), *covered.shape[-len(kernel):]), 2)


def _shares(x, kernel, stride, widths, dilation):
    """What part of d each element of a window gets; NaN in a window whose greatest is NaN."""
    covered = _covered(x, kernel, stride, widths, dilation, _least(x.dtype))
    inside = tuple(range(2, 2 + len(kernel)))
    chosen = (covered == covered.max(inside, keepdims=True)).astype(x.dtype)
    return chosen / chosen.sum(inside, keepdims=True)


def _times(d, shares):
    """d spread over shares, or windows times shares; 0 where d is 0."""
    z = d * shares
    return np.where(np.broadcast_to(d, z.shape) == 0, z.dtype.type(0), z)


def _unpool_max(d, x, kernel, stride, widths, dilation):
    shares = _shares(x, kernel, stride, widths, dilation)
    spread = _times(d.reshape(*d.shape[:2], *(1,) * len(kernel), *d.shape[2:]), shares)
    return _put_back(spread, x.shape[2:], stride, widths, dilation)


def _picked_max(d, x, kernel, stride, widths, dilation):
    shares = _shares(x, kernel, stride, widths, dilation)
    return _times(_covered(d, kernel, stride, widths, dilation), shares).sum(tuple(range(2, 2 + len(kernel))))


def _unmoved(F, _d, _z, _y, x, _kernel, _stride, _widths, _dilation):
    """Which elements are chosen does not change with x, but where they tie."""
    return F.zeros_like(x)


_known_positions = lru_cache(256)(_positions)


def _fast(name, plain):
    """The fast version of max_pool or sum_pool."""
    def pool(x, kernel, stride, widths, dilation):
        z = pooling.pool(name, x, kernel, _known_positions(x.shape[2:], kernel, stride, widths, dilation), stride, widths,
                         dilation) if x.size >= limits.POOLED else None
        return plain(x, kernel, stride, widths, dilation) if z is None else z

    return pool


def _fast_unpool_max(d, x, kernel, stride, widths, dilation):
    found = pooling.unpool_max(d, x, kernel, stride, widths, dilation) if x.size >= limits.POOLED else None
    return _unpool_max(d, x, kernel, stride, widths, dilation) if found is None else found


def _sum_pool(x, kernel, stride, widths, dilation):
    covered = _covered(x, kernel, stride, widths, dilation)
    return np.add.reduce(covered.reshape(*x.shape[:2], math.prod(kernel), *covered.shape[-len(kernel):]), 2)


def _unpool_sum(d, size, kernel, stride, widths, dilation):
    spread = np.broadcast_to(d.reshape(*d.shape[:2], *(1,) * len(kernel), *d.shape[2:]),
                             (*d.shape[:2], *kernel, *d.shape[2:]))
    return _put_back(spread, size, stride, widths, dilation)


def _fast_unpool_sum(d, size, kernel, stride, widths, dilation):
    z = pooling.unpool_sum(d, size, kernel, stride, widths, dilation) if d.size >= limits.POOLED else None
    return _unpool_sum(d, size, kernel, stride, widths, dilation) if z is None else z


primitive("windows", _windows, _windows_dx, complex=LINEAR, view=True)
primitive("unwindow", _unwindow, _unwindow_dx, complex=LINEAR)

CONVOLUTION = primitive(
    "convolution", _convolution,
    lambda F, d, _z, x, W, _b, stride, widths, dilation, groups: F.convolution_input(
        d, W, x.shape[2:], stride, widths, dilation, groups),
    lambda F, d, _z, x, W, _b, stride, widths, dilation, groups: F.convolution_weight(
        d, x, W.shape[2:], stride, widths, dilation, groups),
    lambda F, d, _z, _x, _W, _b, stride, widths, dilation, groups: F.sum(d, (0, *range(2, len(d.shape))), False),
    complex=HOLOMORPHIC)
CONVOLUTION.fast(forward=_fast_convolution, jointly=_convolution_jointly)
primitive("convolution_input", _convolution_input,
          lambda F, d, _z, _d, W, size, stride, widths, dilation, groups: F.convolution(
              d, W, 0.0, stride, widths, dilation, groups),
          lambda F, d, _z, y, W, size, stride, widths, dilation, groups: F.convolution_weight(
              y, d, W.shape[2:], stride, widths, dilation, groups), complex=HOLOMORPHIC).fast(forward=_fast_convolution_input)
primitive("convolution_weight", _convolution_weight,
          lambda F, d, _z, _d, x, kernel, stride, widths, dilation, groups: F.convolution(
              x, d, 0.0, stride, widths, dilation, groups),
          lambda F, d, _z, y, x, kernel, stride, widths, dilation, groups: F.convolution_input(
              y, d, x.shape[2:], stride, widths, dilation, groups), complex=HOLOMORPHIC).fast(forward=_fast_convolution_weight)

primitive("max_pool", _max_pool, lambda F, d, _z, x, kernel, stride, widths, dilation: F.unpool_max(
    d, x, kernel, stride, widths, dilation), drops=True).fast(forward=_fast("max_pool", _max_pool), exact="fd")
primitive("unpool_max", _unpool_max, lambda F, d, _z, _d, x, kernel, stride, widths, dilation: F.picked_max(
    d, x, kernel, stride, widths, dilation), _unmoved, drops=True).fast(forward=_fast_unpool_max)
primitive("picked_max", _picked_max, lambda F, d, _z, _d, x, kernel, stride, widths, dilation: F.unpool_max(
    d, x, kernel, stride, widths, dilation), _unmoved, drops=True)
primitive("sum_pool", _sum_pool, lambda F, d, _z, x_shape, kernel, stride, widths, dilation: F.unpool_sum(
    d, x_shape[2:], kernel, stride, widths, dilation), complex=LINEAR).fast(forward=_fast("sum_pool", _sum_pool))
primitive("unpool_sum", _unpool_sum, lambda F, d, _z, _d, size, kernel, stride, widths, dilation: F.sum_pool(
    d, kernel, stride, widths, dilation), complex=LINEAR).fast(forward=_fast_unpool_sum)
