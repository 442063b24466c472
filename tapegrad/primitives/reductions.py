"""Reductions over axes. `axis` is None or a tuple of axes counted from 0, as functions/ hands it on."""

import math
from functools import lru_cache

import numpy as np

from tapegrad.kernels import limits
from tapegrad.primitives.cumulative import reverse, shift
from tapegrad.primitives.node import nodes
from tapegrad.primitives.registry import HOLOMORPHIC, LINEAR, Primitive, arrays, primitive

PAIRWISE = 8            # elements from which NumPy adds those of a row in another order than from the left


def kept(F, value, x_shape, axis, keepdims):
    """A result of reducing over `axis`, with the reduced axes put back as length 1, so that it broadcasts against x."""
    if keepdims or axis is None and value.ndim == 0:
        return value
    axes = range(len(x_shape)) if axis is None else axis
    return F.reshape(value, tuple(1 if i in axes else n for i, n in enumerate(x_shape)))


def _spread(F, d, x_shape, axis, keepdims):
    return F.broadcast_to(kept(F, d, x_shape, axis, keepdims), x_shape)


def _count(x_shape, axis):
    return math.prod(x_shape if axis is None else [x_shape[i] for i in axis])


def _mean(x, axis, keepdims):
    if x.dtype.char not in "fd":
        return np.mean(x, axis, keepdims=keepdims)
    z = np.add.reduce(x, axis, None, None, keepdims)    # what np.mean does, without a layer of Python
    return z / x.dtype.type(_count(x.shape, axis))


def _mean_dx(F, d, _z, x_shape, axis, keepdims):
    return _spread(F, d / _count(x_shape, axis), x_shape, axis, keepdims)


@lru_cache
def _ones(n, dtype):
    return np.ones(n, dtype)


def _sum_rows(x):
    return _ones(len(x), x.dtype).dot(x)                # a quarter of the time of add.reduce


def _extremum_dx(F, d, z, x, axis, keepdims):
    """Ties share evenly."""
    chosen = F.astype(F.equal(x, kept(F, z, x.shape, axis, keepdims)), d.dtype)
    share = chosen / F.sum(chosen, axis, True)
    return F.strong_multiply(kept(F, d, x.shape, axis, keepdims), share)


def _prod_dx(F, d, _z, x, axis, keepdims):
    """The product of all the others, from the left and from the right, without a division: x may be 0."""
    shape = x.shape
    axes = tuple(range(len(shape))) if axis is None else axis
    order, last = tuple(i for i in range(len(shape)) if i not in axes) + axes, len(shape) - len(axes)
    moved = tuple(shape[i] for i in order)
    row = F.reshape(F.transpose(x, order), moved[:last] + (math.prod(moved[last:]),))
    left = F.cumprod(shift(F, row, last, 1.0), last)
    right = reverse(F, F.cumprod(shift(F, reverse(F, row, last), last, 1.0), last), last)
    others = F.transpose(F.reshape(left * right, moved), tuple(sorted(range(len(order)), key=order.__getitem__)))
    return F.strong_multiply(kept(F, d, shape, axis, keepdims), others)


def _deviation(F, x, axis, ddof):
    """(x - mean) / (n - ddof)"""
    degrees = _count(x.shape, axis) - ddof
    return (x - F.mean(x, axis, True)) * (1 / degrees if degrees > 0 else math.nan)


def _var_dx(F, d, _z, x, axis, ddof, keepdims):
    return F.strong_multiply(kept(F, 2 * d, x.shape, axis, keepdims), _deviation(F, x, axis, ddof))


def _std_dx(F, d, z, x, axis, ddof, keepdims):
    """The gradient is 0 where all elements are equal."""
    constant = F.equal(z, 0)
    scaled = F.strong_multiply(F.where(constant, 0.0, d), 1 / F.where(constant, 1.0, z))
    return F.strong_multiply(kept(F, scaled, x.shape, axis, keepdims), _deviation(F, x, axis, ddof))


def _sum(x, axis, keepdims):
    return np.add.reduce(x, axis, None, None, keepdims)


def _fast_sum(x, axis, keepdims):
    """Of rows of a few elements column by column, or over another axis than the last of such rows with this axis first: NumPy
    takes ten times as long. In its order, with its bits."""
    if x.size < limits.COLUMNS or axis is None or len(axis) != 1 or not (
            1 < x.shape[-1] < PAIRWISE and x.dtype.char in "fd" and x.dtype.isnative and x.flags.c_contiguous):
        return np.add.reduce(x, axis, None, None, keepdims)
    if axis[0] < x.ndim - 1:
        z = x if axis[0] == 0 else np.ascontiguousarray(x.swapaxes(0, axis[0]))
        z = np.ascontiguousarray(np.add.reduce(z, 0, None, None, True).swapaxes(0, axis[0]))
        return z if keepdims else z.reshape(x.shape[:axis[0]] + x.shape[axis[0] + 1:])
    z = x[..., 0] + x[..., 1]
    for i in range(2, x.shape[-1]):
        z += x[..., i]
    z += 0.0                                            # NumPy starts with it, of which the sum of -0 is 0
    return z[..., None] if keepdims else z


primitive("sum", _sum, lambda F, d, _z, x_shape, axis, keepdims: _spread(F, d, x_shape, axis, keepdims),
          complex=LINEAR).fast(forward=_fast_sum, exact="fd")
primitive("mean", _mean, _mean_dx, complex=LINEAR)
primitive("max", lambda x, axis, keepdims: np.maximum.reduce(x, axis, None, None, keepdims), _extremum_dx, drops=True)
primitive("min", lambda x, axis, keepdims: np.minimum.reduce(x, axis, None, None, keepdims), _extremum_dx, drops=True)
primitive("prod", lambda x, axis, keepdims: np.multiply.reduce(x, axis, None, None, keepdims), _prod_dx, complex=HOLOMORPHIC)
primitive("var", lambda x, axis, ddof, keepdims: np.var(x, axis, ddof=ddof, keepdims=keepdims), _var_dx)
primitive("std", lambda x, axis, ddof, keepdims: np.std(x, axis, ddof=ddof, keepdims=keepdims), _std_dx)
primitive("argmax", lambda x, axis, keepdims: np.argmax(x, axis, keepdims=keepdims), None)
primitive("argmin", lambda x, axis, keepdims: np.argmin(x, axis, keepdims=keepdims), None)

# The sum of the rows of a matrix: for the delta of a bias, in arrays and in graphs.
for F in (arrays, nodes):
    F.include(Primitive("sum_rows", _sum_rows, (lambda F, d, _z, x_shape: F.broadcast_to(d, x_shape),)))
