"""Sums of a row, in an order that LLVM may choose, so that they are vectorised: blocks of BLOCK, and these in float64."""

import numba

BLOCK = 1024
REORDERED = {"error_model": "numpy", "fastmath": {"reassoc", "contract"}, "forceinline": True}


@numba.njit(**REORDERED)
def plain_sum(x):
    """In the precision of x, without blocks."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@numba.njit(**REORDERED)
def _squares(x, middle):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += (x[i] - middle) * (x[i] - middle)
    return total


@numba.njit(error_model="numpy", forceinline=True)
def row_sum(x):
    if x.size <= BLOCK:
        return float(plain_sum(x))
    total = 0.0
    for low in range(0, x.size, BLOCK):
        total += plain_sum(x[low:low + BLOCK])
    return total


@numba.njit(error_model="numpy", forceinline=True)
def row_squares(x, middle):
    if x.size <= BLOCK:
        return float(_squares(x, middle))
    total = 0.0
    for low in range(0, x.size, BLOCK):
        total += _squares(x[low:low + BLOCK], middle)
    return total
