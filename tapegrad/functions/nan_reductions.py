"""Reductions that leave out NaN. Derivative: that of the reduction over the other elements; 0 to a NaN.

They have the arguments of the reductions they are named after. Where every element is NaN, sums are 0, products 1, and the
rest NaN with NumPy's RuntimeWarning.
"""

import math
import warnings

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.functions import elementwise, reductions
from tapegrad.functions.arguments import normalized_axis, value
from tapegrad.functions.cumulative import cumprod, cumsum
from tapegrad.functions.elementwise import divide
from tapegrad.functions.reductions import checked, counted, root, variance


def _there(x, where=True):
    return np.logical_and(~np.isnan(value(x)), value(where))


def _filled(x, there, filler):
    return x if there.all() else elementwise.where(there, x, filler)


def nansum(x, axis=None, keepdims=False, *, dtype=None, out=None, initial=None, where=True):
    """The sum over `axis` of what is not NaN."""
    return reductions.sum(_filled(x, _there(x), 0), axis, keepdims, dtype=dtype, out=out, initial=initial, where=where)


def nanprod(x, axis=None, keepdims=False, *, dtype=None, out=None, initial=None, where=True):
    """The product over `axis` of what is not NaN."""
    return reductions.prod(_filled(x, _there(x), 1), axis, keepdims, dtype=dtype, out=out, initial=initial, where=where)


def nancumsum(x, axis=None, dtype=None, out=None):
    """The running sum, to which NaN adds nothing."""
    return cumsum(_filled(x, _there(x), 0), axis, dtype, out)


def nancumprod(x, axis=None, dtype=None, out=None):
    """The running product, which NaN does not change."""
    return cumprod(_filled(x, _there(x), 1), axis, dtype, out)


def nanmean(x, axis=None, keepdims=False, *, dtype=None, out=None, where=True):
    """The mean over `axis` of what is not NaN."""
    checked("nanmean", out, keepdims)
    x = x if dtype is None else elementwise.astype(x, dtype)
    axis, there = normalized_axis("nanmean", x, axis), _there(x, where)
    n = counted(x, there, axis, keepdims)
    if not np.all(n):
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=2)
    return _or_nan(n > 0, divide(recorded.sum(_filled(x, there, 0), axis, keepdims), np.maximum(n, 1)))


def nanvar(x, axis=None, *, dtype=None, out=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    """The variance over `axis` of what is not NaN."""
    checked("nanvar", out, keepdims)
    if correction is not None:
        if ddof != 0:
            raise ValueError("nanvar: ddof and correction are the same thing; give one of them")
        ddof = correction
    x = x if dtype is None else elementwise.astype(x, dtype)
    axis, there = normalized_axis("nanvar", x, axis), _there(x, where)
    n = counted(x, there, axis, keepdims)
    if np.any(n <= ddof):
        warnings.warn("Degrees of freedom <= 0 for slice.", RuntimeWarning, stacklevel=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _or_nan(n > ddof, variance(_filled(x, there, 0), axis, ddof, keepdims, there, mean))


def nanstd(x, axis=None, *, dtype=None, out=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    """The square root of `nanvar`; its derivative is 0 where all elements are equal."""
    z = nanvar(x, axis, dtype=dtype, out=out, ddof=ddof, keepdims=keepdims, where=where, mean=mean, correction=correction)
    return root(z)


def nanmax(x, axis=None, keepdims=False, *, out=None, initial=None, where=True):
    """The greatest element over `axis` that is not NaN; elements that tie share d evenly."""
    return _nanextremum(reductions.max, -math.inf, x, axis, out, keepdims, initial, where)


def nanmin(x, axis=None, keepdims=False, *, out=None, initial=None, where=True):
    """The least element over `axis` that is not NaN; elements that tie share d evenly."""
    return _nanextremum(reductions.min, math.inf, x, axis, out, keepdims, initial, where)


def _nanextremum(reduction, worst, x, axis, out, keepdims, initial, where):
    there = _there(x, where)
    z = reduction(_filled(x, _there(x), worst), axis, keepdims, out=out, initial=initial, where=where)
    if initial is not None:
        return z
    found = np.logical_or.reduce(there, normalized_axis(reduction.__name__, x, axis), keepdims=keepdims)
    if not np.all(found):
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=3)
    return _or_nan(found, z)


def _or_nan(found, z):
    return z if np.all(found) else elementwise.where(found, z, math.nan)
