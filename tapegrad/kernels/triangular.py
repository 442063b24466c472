"""Triangular systems by substitution: NumPy's solve factorises every matrix, which takes three to five times as long.

    z = x^-1 y, x lower or upper triangular         n^2 multiplications a column, against n^3 / 3 more for the factors

That x is triangular is seen from its elements, in a pass that ends at the first one that is in the wrong half. The OpenBLAS
that NumPy ships computes z (cblas_strsm, cblas_dtrsm, for a vector cblas_strsv, cblas_dtrsv); with another BLAS, NumPy's solve.
Source: Dongarra et al., A set of level 3 basic linear algebra subprograms (1990).
"""

import ctypes
from functools import cache

import numpy as np

from tapegrad.kernels import blas, limits

ROW_MAJOR, LEFT, UPPER, LOWER, PLAIN, TRANSPOSED, NON_UNIT = 101, 141, 121, 122, 111, 112, 131      # values from cblas.h
BLOCK = 64


def solve(x, y):
    """np.linalg.solve(x, y) of a large triangular matrix and a vector or matrix of its dtype, float32 or float64.

    None where it is something else, or not finite: NumPy's solve says what comes of an infinite element, or of a 0 on the
    diagonal.
    """
    if x.ndim != 2 or not 1 <= y.ndim <= 2 or not x.shape[0] == x.shape[1] == y.shape[0] >= limits.TRIANGULAR:
        return None
    if x.dtype != y.dtype or x.dtype.char not in "fd" or not (x.dtype.isnative and x.flags.aligned and x.flags.forc):
        return None
    by_rows = x if x.flags.c_contiguous else x.T
    half = LOWER if _is_lower(by_rows) else UPPER if _is_lower(by_rows.T) else None
    substitute = _functions(x.dtype.char, y.ndim)
    if half is None or substitute is None or not _is_finite(by_rows):
        return None
    z = np.array(y, order="C")
    substitute(half, PLAIN if by_rows is x else TRANSPOSED, by_rows, z)
    return z if _is_finite(z) else None


def _is_finite(x):
    """Whether the sum is, which takes no array of its own; not so of elements whose sum overflows, either."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(x.sum())


def _is_lower(x):
    """Whether all above the diagonal is 0."""
    for i in range(0, x.shape[0], BLOCK):
        rows = x[i:i + BLOCK]
        if rows[:, i + BLOCK:].any() or np.triu(rows[:, i:i + BLOCK], 1).any():
            return False
    return True


@cache
def _functions(char, ndim):
    """substitute(half, transposed, x, z), which overwrites z; None if the BLAS has no such function."""
    name = f"scipy_cblas_{'s' if char == 'f' else 'd'}trs{'vm'[ndim - 1]}64_"
    function = getattr(blas.library(), name, None)
    if function is None:
        return None
    flag, size, array = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
    function.restype = None
    if ndim == 1:
        function.argtypes = [flag] * 4 + [size, array, size, array, size]
        return lambda half, transposed, x, z: function(
            ROW_MAJOR, half, transposed, NON_UNIT, len(z), x.ctypes.data, len(x), z.ctypes.data, 1)
    function.argtypes = [flag] * 5 + [size] * 2 + [ctypes.c_float if char == "f" else ctypes.c_double] + [array, size] * 2
    return lambda half, transposed, x, z: function(
        ROW_MAJOR, LEFT, half, transposed, NON_UNIT, *z.shape, 1.0, x.ctypes.data, len(x), z.ctypes.data, max(z.shape[1], 1))
