"""Indexing, and its derivative, which adds into the indexed places."""

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
