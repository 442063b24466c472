"""Indexing, and its derivative, which adds into the indexed places."""

import math

import numpy as np

from tapegrad.primitives.registry import primitive


def _is_array(index, kinds):
    return type(index) is np.ndarray and index.dtype.kind in kinds


def _scatter(d, index, shape):
    """Zeros of `shape` with d added at `index`; an element that is indexed twice gets both."""
    x = np.zeros(shape, d.dtype)
    if _is_basic(index) or _is_array(index, "b"):
        x[index] = d
    elif _is_array(index, "iu") and x.ndim == 2:
        _add_rows(x, index.ravel(), d.reshape(-1, shape[1]))
    else:
        np.add.at(x, index, d)
    return x


def _add_rows(x, ids, rows):
    """x[ids] += rows, with repeated ids added up: sorted by id, each run of equal ids is one sum."""
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if ids.size else ids
    if ids.size:
        x[ids[starts]] = np.add.reduceat(rows[order], starts, axis=0)


def _is_basic(index):
    return all(isinstance(i, (int, slice, type(None), type(Ellipsis))) and not isinstance(i, bool)
               for i in (index if type(index) is tuple else (index,)))


primitive("getitem", lambda x, index: x[index], lambda F, d, _z, x_shape, index: F.scatter(d, index, x_shape))
primitive("scatter", _scatter, lambda F, d, _z, _x, index, shape: F.getitem(d, index))


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
    z = x.copy()
    z[index] = y
    return z


primitive("setitem", _setitem, lambda F, d, _z, _x, _y, index: F.setitem(d, 0.0, index),
                               lambda F, d, _z, _x, y_shape, index: _at(F, d, y_shape, index))
