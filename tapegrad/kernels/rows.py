"""x[ids] += rows, where repeated ids accumulate: the derivative of indexing rows; and which rows of such a delta are not 0."""

import math

import numpy as np

from tapegrad.kernels.compile import Late


def _load():
    from tapegrad.kernels.jit import rows
    return rows


jit = Late(_load, "float32", "float64", "any_float32", "any_float64")
NAMES = {np.dtype(name): name for name in ("float32", "float64")}


def add_at(x, ids, rows):
    """x[ids] += rows, in order; returns True, or False with x unchanged if there is no kernel for x."""
    name = NAMES.get(x.dtype)                           # native byte order only
    if name is None or x.dtype != rows.dtype or not x.flags.carray:
        return False
    ids = ids.astype(np.int64, copy=False)
    return getattr(jit, name)(x, ids if ids.flags.carray else ids.copy(), rows if rows.flags.carray else rows.copy())


def any_of(x):
    """Which x[i] have an element that is not 0, as booleans. x has at least one axis."""
    x = x.reshape(len(x), math.prod(x.shape[1:]))
    name, found = NAMES.get(x.dtype), np.empty(len(x), bool)
    if name is None or not x.flags.carray or not getattr(jit, f"any_{name}")(x, found):
        return (x != 0).any(axis=1)
    return found
