"""Indexing, and its derivative, which adds into the indexed places."""

import math

import numpy as np

from tapegrad.kernels import limits, rows
from tapegrad.primitives.registry import LINEAR, primitive


def _is_array(index, kinds):
    return type(index) is np.ndarray and index.dtype.kind in kinds


def _getitem(x, index):
    if _is_array(index, "i") and x.ndim:
        return x.take(index, 0)                         # the same in a third of the time
    return x[index]


def _scatter(d, index, shape):
    """Zeros of `shape` with d added at `index`; an element that is indexed twice gets both."""
    x = np.zeros(shape, d.dtype)
    add_at(x, d, None, shape, index)
    return x


def _is_basic(index):
    for i in index if type(index) is tuple else (index,):
        if not isinstance(i, (int, slice, type(None), type(Ellipsis))) or i is True or i is False:
            return False
    return True


def _getitem_dx(F, d, _z, x_shape, index):
    return F.scatter(d, index, x_shape)


def add_at(x, d, _z, _x_shape, index):
    """x[index] += d, without making the zeros that `scatter` would put around d."""
    if x.dtype != d.dtype:
        return False
    if _is_basic(index) or _is_array(index, "b"):
        x[index] += d
    elif _is_array(index, "iu") and x.ndim == 2:
        ids, d = index.ravel(), d.reshape(index.size, x.shape[1])
        if d.size < limits.SCATTERED or not rows.add_at(x, ids, d):
            np.add.at(x, ids, d)
    elif type(index) is tuple and len(index) == x.ndim > 1 and x.flags.c_contiguous and d.size >= limits.POINTS and all(
            [_is_array(i, "iu") for i in index]):
        places = np.zeros((), np.intp)                  # in the flattened array, for which add.at takes half of the time
        for i, n in zip(index, x.shape):
            i = i.astype(np.intp)
            places = places * n + np.where(i < 0, i + n, i)
        np.add.at(x.reshape(-1), places.reshape(-1), d.reshape(-1))
    else:
        np.add.at(x, index, d)
    return True


primitive("getitem", _getitem, _getitem_dx, complex=LINEAR, view=True, drops=True).fast(accumulate=(add_at,))
primitive("scatter", _scatter, lambda F, d, _z, _x, index, shape: F.getitem(d, index), complex=LINEAR)


def _at(F, d, y_shape, index):
    """d at the index, where an element that was written twice counts for the last write only."""
    at = F.getitem(d, index)
    if _is_basic(index) or _is_array(index, "b"):
        return at
    last = np.zeros(d.shape, np.intp)
    order = np.arange(1, math.prod(at.shape) + 1).reshape(at.shape)
    last[index] = order
    return F.where(last[index] == order, at, 0.0)


def _setitem(x, y, index):
    z = np.array(x)                                     # a copy, also of a 0-d delta that is a NumPy scalar
    z[index] = y
    return z


primitive("setitem", _setitem, lambda F, d, _z, _x, _y, index: F.setitem(d, 0.0, index),
                               lambda F, d, _z, _x, y_shape, index: _at(F, d, y_shape, index), complex=LINEAR, drops=True)
