"""x[ids] += rows, with repeated ids added up: the derivative of a look-up of rows."""

import numpy as np

from tapegrad.kernels.compile import Late


def _load():
    from tapegrad.kernels.jit import rows
    return rows


jit = Late(_load, "float32", "float64")
NAMES = {np.dtype(name): name for name in ("float32", "float64")}


def add_at(x, ids, rows):
    """Add to the rows of a matrix, in order, and True; False, with x as it was, where there is no kernel for it."""
    name = NAMES.get(x.dtype)                           # which is native
    if name is None or x.dtype != rows.dtype or not x.flags.carray:
        return False
    ids = ids.astype(np.int64, copy=False)
    return getattr(jit, name)(x, ids if ids.flags.carray else ids.copy(), rows if rows.flags.carray else rows.copy())
