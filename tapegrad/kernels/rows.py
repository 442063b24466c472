"""x[ids] += rows, where repeated ids accumulate: the derivative of indexing rows; and which rows of such a delta are in use."""

import math

import numpy as np

from tapegrad.kernels.compile import Late


def _load():
    from tapegrad.kernels.jit import rows
    return rows


jit = Late(_load, "float32", "float64", "used_32", "used_64")
NAMES = {np.dtype(name): name for name in ("float32", "float64")}


def add_at(x, ids, rows):
    """x[ids] += rows, in order; returns True, or False with x unchanged if there is no kernel for x."""
    name = NAMES.get(x.dtype)                           # native byte order only
    if name is None or x.dtype != rows.dtype or not x.flags.carray:
        return False
    ids = ids.astype(np.int64, copy=False)
    return getattr(jit, name)(x, ids if ids.flags.carray else ids.copy(), rows if rows.flags.carray else rows.copy())


def used(x):
    """The i for which x[i] has an element that is not +0, in order: one of which any bit is set."""
    bits = np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:])).view(f"u{min(x.itemsize, 8)}")
    if not (bits.itemsize >= 4 and bits.size and bits.flags.carray and jit.load()):
        return np.flatnonzero(bits.any(axis=1))
    rows = np.empty(len(bits) + 1, np.int64)
    return rows[:(jit.used_32 if bits.itemsize == 4 else jit.used_64)(bits, rows)]
