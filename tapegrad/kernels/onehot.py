"""Products with an indicator matrix (zeros, and a few ones per row, such as one-hot rows), computed as look-ups of rows.

    x @ y       row n is the sum of the rows y[k] with x[n, k] = 1
    x.T @ d     row k is the sum of the rows d[n] with x[n, k] = 1

The bits are those of a dense product that sums in order: products with 1 are exact, and products with 0 add nothing, except 0
times infinity or NaN, so the dense product is used if y or d is not finite. x needs no annotation: most dense matrices are
recognised by their first elements, and an indicator matrix in one pass, which takes a small part of the time of the product.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np

from tapegrad.kernels.compile import Late, nothing
from tapegrad.kernels.limits import SPARSE


def _load(number):
    from tapegrad.kernels.jit import onehot
    return onehot.kernels(number)


jit = {np.dtype(number): Late(partial(_load, number), "look_up", "collect") for number in (np.float32, np.float64)}


_used = {}                              # {dtype: kernels}, filled when a matrix of the dtype may be an indicator matrix
_NONE = SimpleNamespace(look_up=nothing, collect=nothing)


def _kernels(x):
    """The kernels for the dtype of x, if x may be an indicator matrix: numba is not loaded for dense matrices."""
    kernels, (n, k) = jit.get(x.dtype, _NONE), x.shape
    if kernels is not _NONE and np.count_nonzero(x) <= max(n * max(1, k // SPARSE), k * max(1, n // SPARSE)):
        return _used.setdefault(x.dtype, kernels)
    return _NONE


def product(x, y):
    """x @ y if x or x.T is an indicator matrix and numba is available, else None. x must have LOOKED_UP or more elements."""
    if x.item(0) and x.item(1) or x.item(-2) not in (0, 1):     # so for most dense matrices
        return None
    dtype = x.dtype
    kernels = _used.get(dtype) or _kernels(x)
    z = np.empty((len(x), y.shape[1]), dtype)
    if kernels.look_up(dtype, x, y, z):
        return z
    if not x.flags.f_contiguous:
        return None
    z[...] = 0
    return z if kernels.collect(dtype, x.T, y, z) else None


def add_product(w, x, d):
    """w += x.T @ d, returns True, if x is an indicator matrix and numba is available; else returns False, w unchanged."""
    if x.item(0) and x.item(1):
        return False
    dtype = x.dtype
    return (_used.get(dtype) or _kernels(x)).collect(dtype, x, d, w)
