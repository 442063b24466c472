"""x[ids] += rows, where repeated ids accumulate: the derivative of indexing rows."""

import numpy as np

from tapegrad.kernels.compile import Late


def _load():
    from tapegrad.kernels.jit import rows
    return rows


jit = Late(_load, "float32", "float64")
NAMES = {np.dtype(name): name for name in ("float32", "float64")}


def add_at(x, ids, rows):
    """x[ids] += rows, in order; returns True, or False with x unchanged if there is no kernel for x."""
    name = NAMES.get(x.dtype)                           # native byte order only
    if name is None or x.dtype != rows.dtype or not x.flags.carray:
        return False
    ids = ids.astype(np.int64, copy=False)
    return getattr(jit, name)(x, ids if ids.flags.carray else ids.copy(), rows if rows.flags.carray else rows.copy())
