"""Sorting and order statistics along axes, under NumPy's names.

They take elements at positions that the values decide. Derivative: d to the elements that were taken; of elements that
are equal, those that a stable sort puts there. NaN counts as greater than all else when sorting, and makes a quantile NaN.
A quantile of no elements is a ShapeError.
"""

import math
import warnings

import numpy as np

from tapegrad.core.record import recorded, wrap
from tapegrad.errors import ShapeError, describe
from tapegrad.functions import elementwise
from tapegrad.functions.arguments import normalized_axis, single_axis, value
from tapegrad.functions.elementwise import add, astype, multiply, subtract
from tapegrad.functions.reductions import checked
from tapegrad.functions.shaping import moveaxis, ravel, reshape, transpose

METHODS = {
    "linear": lambda low, weight: weight,
    "lower": lambda low, weight: np.zeros_like(weight),
    "higher": lambda low, weight: np.ceil(weight),
    "midpoint": lambda low, weight: np.where(weight > 0, 0.5, 0.0),
    "nearest": lambda low, weight: np.rint(low + weight) - low,
}


def sort(x, axis=-1, kind=None, order=None, *, stable=None):
    """The elements in ascending order along `axis`; None sorts the flattened tensor. The sort is stable of any `kind`."""
    if order is not None:
        raise TypeError("sort: order= names fields, which tensors don't have")
    x, axis = _axis("sort", x, axis)
    return recorded.sort(x, axis)


def partition(x, kth, axis=-1, kind="introselect", order=None):
    """The elements with those that sorting puts at `kth` (an int or a sequence) in place: before them, none is greater."""
    if order is not None:
        raise TypeError("partition: order= names fields, which tensors don't have")
    x, axis = _axis("partition", x, axis)
    return recorded.take_along_axis(x, np.argpartition(value(x), kth, axis), axis)


def topk(x, k, axis=-1, largest=True):
    """(the k greatest elements along `axis` in descending order, their positions); with largest=False, the least, ascending."""
    axis = single_axis("topk", x, axis)
    n = value(x).shape[axis]
    if not 0 <= k <= n:
        raise ShapeError(f"topk: {k} of the {n} elements along axis {axis}: {describe(value(x))}")
    order = np.moveaxis(np.argsort(value(x), axis, stable=True), axis, 0)
    positions = np.ascontiguousarray(np.moveaxis(order[::-1][:k] if largest else order[:k], 0, axis))
    return recorded.take_along_axis(x, positions, axis), wrap(positions, None)


def _axis(name, x, axis):
    return (ravel(x), 0) if axis is None else (x, single_axis(name, x, axis))


def quantile(x, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
    """The q-quantile over `axis`, at the place q (n - 1) of the n sorted elements, between two of them if need be.

    q        in 0..1, a number or an array, whose shape comes first in the result; a constant
    method   "linear" (between the neighbours), "lower", "higher", "midpoint" or "nearest"
    """
    return _quantile("quantile", x, q, axis, out, method, keepdims)


def percentile(x, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
    """The q/100-quantile over `axis`. See quantile."""
    return _quantile("percentile", x, np.true_divide(value(q), 100), axis, out, method, keepdims)


def median(x, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The middle element over `axis`, or the mean of the two in the middle."""
    return _quantile("median", x, 0.5, axis, out, "linear", keepdims)


def nanquantile(x, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
    """The q-quantile over `axis` of what is not NaN. See quantile."""
    return _quantile("nanquantile", x, q, axis, out, method, keepdims, skip_nan=True)


def nanpercentile(x, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
    """The q/100-quantile over `axis` of what is not NaN. See quantile."""
    return _quantile("nanpercentile", x, np.true_divide(value(q), 100), axis, out, method, keepdims, skip_nan=True)


def nanmedian(x, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The middle element over `axis` of what is not NaN, or the mean of the two in the middle."""
    return _quantile("nanmedian", x, 0.5, axis, out, "linear", keepdims, skip_nan=True)


def _quantile(name, x, q, axis, out, method, keepdims, skip_nan=False):
    checked(name, out, keepdims)
    if method not in METHODS:
        raise ValueError(f"{name}: method={method!r}; there are {', '.join(METHODS)}")
    q = np.asarray(value(q), float)
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError(f"{name}: quantiles lie in 0..1, percentiles in 0..100")
    axes, shape = normalized_axis(name, x, axis), value(x).shape
    axes = tuple(range(len(shape))) if axes is None else axes
    others = tuple(i for i in range(len(shape)) if i not in axes)
    rest, n = tuple(shape[i] for i in others), math.prod(shape[i] for i in axes)
    if n == 0:
        raise ShapeError(f"{name}: no elements over axis {axes}: {describe(value(x))}")
    x = astype(x, float) if value(x).dtype == bool else x
    rows = reshape(transpose(x, *others, *axes), (*rest, n)) if shape else reshape(x, (1,))
    low, high, weight = _places(name, value(rows), q.ravel(), METHODS[method], skip_nan)
    below, above = (recorded.take_along_axis(rows, at, len(rest)) for at in (low, high))
    with np.errstate(invalid="ignore"):                 # between two infinities
        between = add(below, multiply(subtract(above, below), weight))
    z = moveaxis(elementwise.where(weight == 0, below, between), -1, 0)
    return reshape(z, q.shape + (tuple(1 if i in axes else m for i, m in enumerate(shape)) if keepdims else rest))


def _places(name, rows, q, weigh, skip_nan):
    """For each row and q: the positions in the row of the neighbours below and above, and the weight of the latter."""
    n, kind = rows.shape[-1], rows.dtype if rows.dtype.kind == "f" else np.dtype(float)
    order = np.argsort(rows, -1, stable=True)
    numbers = np.count_nonzero(~np.isnan(rows), axis=-1)[..., None]
    if skip_nan and not np.all(numbers):
        warnings.warn(f"{name}: All-NaN slice encountered", RuntimeWarning, stacklevel=4)
    last = np.maximum((numbers if skip_nan else n) - 1, 0)
    place = last * q
    low = np.floor(place)
    weight = weigh(low, place - low)
    low = low.astype(np.intp)
    if not skip_nan:
        low, weight = np.where(numbers < n, n - 1, low), np.where(numbers < n, 0.0, weight)
    high = np.minimum(low + 1, last)
    return np.take_along_axis(order, low, -1), np.take_along_axis(order, high, -1), weight.astype(kind)
