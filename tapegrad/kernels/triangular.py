"""Triangular systems by substitution: NumPy's solve factorises every matrix, which takes three to five times as long.

    z = x^-1 y, x lower or upper triangular         n^2 multiplications a column, against n^3 / 3 more for the factors
    y x^-1, x lower triangular                      in the place of y, as the derivative of a Cholesky factor needs it

That x is triangular is seen from its elements, in a pass that ends at the first one that is in the wrong half. The OpenBLAS
that NumPy ships computes z (cblas_strsm, cblas_dtrsm, for a vector cblas_strsv, cblas_dtrsv); with another BLAS, NumPy's solve.
Source: Dongarra et al., A set of level 3 basic linear algebra subprograms (1990).
"""

import ctypes
from functools import cache
from math import isfinite

import numpy as np

from tapegrad.kernels import blas, limits

ROW_MAJOR, LEFT, RIGHT, UPPER, LOWER, PLAIN, TRANSPOSED, NON_UNIT = 101, 141, 142, 121, 122, 111, 112, 131   # of cblas.h
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
    if half is None or substitute is None or not is_finite(by_rows):
        return None
    z = np.array(y, order="C")
    substitute(half, PLAIN if by_rows is x else TRANSPOSED, by_rows, z)
    return z if is_finite(z) else None


def divide(y, x):
    """y x^-1 in the place of y: matrices of one dtype, float32 or float64, whose rows are contiguous; x is lower triangular,
    and what is above its diagonal is not read."""
    divided = _right(x.dtype.char)
    if divided is None:
        y[...] = np.linalg.solve(np.tril(x).T, y.T).T
    else:
        divided(y, x)


def is_finite(x):
    """Whether the sum of squares is, which takes no array of its own; not so of elements whose squares overflow, either."""
    flat = x.ravel("K")
    with np.errstate(over="ignore", invalid="ignore"):
        return isfinite(flat.dot(flat))


def _is_lower(x):
    """Whether all above the diagonal is 0."""
    for i in range(0, x.shape[0], BLOCK):
        rows = x[i:i + BLOCK]
        if rows[:, i + BLOCK:].any() or rows[:, i:i + BLOCK][_above(len(rows))].any():
            return False
    return True


@cache
def _above(n):
    """Where a block of n rows is above its diagonal."""
    return ~np.tri(n, dtype=bool)


@cache
def _functions(char, ndim):
    """substitute(half, transposed, x, z), which overwrites z; None if the BLAS has no such function."""
    name = f"scipy_cblas_{'s' if char == 'f' else 'd'}trsv64_"
    function = getattr(blas.library(), name, None) if ndim == 1 else _trsm(char)
    if function is None:
        return None
    if ndim == 1:
        flag, size, array = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
        function.restype, function.argtypes = None, [flag] * 4 + [size, array, size, array, size]
        return lambda half, transposed, x, z: function(
            ROW_MAJOR, half, transposed, NON_UNIT, len(z), x.ctypes.data, len(x), z.ctypes.data, 1)
    return lambda half, transposed, x, z: function(
        ROW_MAJOR, LEFT, half, transposed, NON_UNIT, *z.shape, 1.0, x.ctypes.data, len(x), z.ctypes.data, max(z.shape[1], 1))


@cache
def _right(char):
    """divided(y, x), which overwrites y; None if the BLAS has no such function."""
    function = _trsm(char)
    return function and (lambda y, x: function(
        ROW_MAJOR, RIGHT, LOWER, PLAIN, NON_UNIT, *y.shape, 1.0, x.ctypes.data, x.strides[0] // x.itemsize,
        y.ctypes.data, y.strides[0] // y.itemsize))


@cache
def _trsm(char):
    function = getattr(blas.library(), f"scipy_cblas_{'s' if char == 'f' else 'd'}trsm64_", None)
    if function is not None:
        flag, size, array = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
        function.restype = None
        function.argtypes = [flag] * 5 + [size] * 2 + [ctypes.c_float if char == "f" else ctypes.c_double] + [array, size] * 2
    return function
