"""Products with an indicator matrix: zeros and a few ones in a row, as one-hot rows have. They are look-ups.

    x @ y       row n is the sum of the rows y[k] with x[n, k] = 1
    x.T @ d     row k is the sum of the rows d[n] with x[n, k] = 1

They come to the bits of a dense product that adds up in order: products with ones are exact, and zeros add nothing. Only 0
times infinity, or NaN, would, so a y or d that is not finite is left to the dense product. Nobody has to say what x is: that
it is dense shows in its first elements, and that it is an indicator matrix in one pass, which takes a small part of the time
of the product.
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


_used = {}                              # dtype: its kernels, once a matrix of it has looked like an indicator matrix
_NONE = SimpleNamespace(look_up=nothing, collect=nothing)


def _kernels(x):
    """The kernels for the dtype of x, where x may be an indicator matrix: numba is not loaded for one that is dense."""
    kernels, (n, k) = jit.get(x.dtype, _NONE), x.shape
    if kernels is not _NONE and np.count_nonzero(x) <= max(n * max(1, k // SPARSE), k * max(1, n // SPARSE)):
        return _used.setdefault(x.dtype, kernels)
    return _NONE


def product(x, y):
    """x @ y, where x or x.T is an indicator matrix and numba is there; None otherwise. x has LOOKED_UP or more elements."""
    if x.item(0) and x.item(1):                         # most dense matrices are told from that
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
    """w += x.T @ d, and True, where x is such an indicator matrix and numba is there; False, with w as it was, otherwise."""
    if x.item(0) and x.item(1):
        return False
    dtype = x.dtype
    return (_used.get(dtype) or _kernels(x)).collect(dtype, x, d, w)
