"""Sorting and order statistics along axes, under NumPy's names.

They take elements at positions that the values decide. Derivative: d to the elements that were taken; of elements that
are equal, those that a stable sort puts there. NaN counts as greater than all else when sorting, and makes a quantile NaN.
A quantile of no elements is a ShapeError.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from tapegrad.core.record import recorded, wrap
from tapegrad.errors import ShapeError, describe
from tapegrad.functions import elementwise
from tapegrad.functions.arguments import all_true, checked, constant, floats, like, normalized_axis, single_axis, value
from tapegrad.functions.elementwise import add, multiply, subtract
from tapegrad.functions.shaping import moveaxis, ravel, reshape, transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, Axis, TensorLike

_METHODS = {
    "linear": lambda low, weight: weight,
    "lower": lambda low, weight: np.zeros_like(weight),
    "higher": lambda low, weight: np.ceil(weight),
    "midpoint": lambda low, weight: np.where(weight > 0, 0.5, 0.0),
    "nearest": lambda low, weight: np.rint(low + weight) - low,
}


def sort(a: TensorLike, axis: int | None = -1, kind: str | None = None, order: None = None, *,
         stable: bool | None = None) -> Tensor:
    """The elements in ascending order along `axis`; None sorts the flattened tensor. The sort is stable, of any `kind`.

    >>> tg.sort(tg.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    >>> tg.grad(lambda x: (tg.sort(x) * [1.0, 10.0, 100.0]).sum())(np.array([3.0, 1.0, 2.0]))
    array([100.,   1.,  10.])
    """
    if order is not None:
        raise TypeError("sort: order= names fields, which tensors don't have")
    a, axis = _axis("sort", a, axis)
    return recorded.sort(a, axis)


def partition(a: TensorLike, kth: int | Sequence[int], axis: int | None = -1, kind: str = "introselect",
              order: None = None) -> Tensor:
    """The elements with those that sorting puts at `kth` (an int or a sequence) in place: before them, none is greater.

    The order of the others is not defined.

    >>> tg.partition(tg.tensor([3.0, 1.0, 2.0]), 1)
    tensor([1., 2., 3.])
    >>> tg.grad(lambda x: tg.partition(x, 0)[0])(np.array([3.0, 1.0, 2.0]))
    array([0., 1., 0.])
    """
    if order is not None:
        raise TypeError("partition: order= names fields, which tensors don't have")
    a, axis = _axis("partition", a, axis)
    return recorded.take_along_axis(a, np.argpartition(value(a), kth, axis), axis)


def topk(x: TensorLike, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
    """(the k greatest elements along `axis` in descending order, their positions); with largest=False, the least, ascending.

    PyTorch's torch.topk, with NumPy's `axis`. ShapeError for a k that is not in 0..n.

    >>> values, positions = tg.topk(tg.tensor([3.0, 1.0, 2.0]), 2)
    >>> print(values, positions)
    tensor([3., 2.]) tensor([0, 2], dtype=int64)
    >>> tg.grad(lambda x: tg.topk(x, 2)[0].sum())(np.array([3.0, 1.0, 2.0]))
    array([1., 0., 1.])
    """
    axis = single_axis("topk", x, axis)
    n = like(x).shape[axis]
    if not 0 <= k <= n:
        raise ShapeError(f"topk: {k} of the {n} elements along axis {axis}: {describe(like(x))}")
    order = np.moveaxis(np.argsort(value(x), axis, stable=True), axis, 0)
    positions = np.ascontiguousarray(np.moveaxis(order[::-1][:k] if largest else order[:k], 0, axis))
    return recorded.take_along_axis(x, positions, axis), wrap(positions, None)


def _axis(name: str, x: TensorLike, axis: int | None) -> tuple[TensorLike, int]:
    return (ravel(x), 0) if axis is None else (x, single_axis(name, x, axis))


def quantile(a: TensorLike, q: TensorLike, axis: Axis = None, out: None = None, overwrite_input: bool = False,
             method: str = "linear", keepdims: bool = False) -> Tensor:
    """The q-quantile over `axis`, at the place q (n - 1) of the n sorted elements, between two of them if need be.

    q        in 0..1, a number or an array, whose shape comes first in the result; a constant. ValueError outside of 0..1
    method   "linear" (between the neighbours), "lower", "higher", "midpoint" or "nearest"; ValueError for another

    `overwrite_input` makes no difference. Method "linear" is definition 7 of Hyndman and Fan, Sample quantiles in statistical
    packages, The American Statistician 50 (1996).

    >>> tg.quantile(tg.tensor([1.0, 2.0, 4.0, 8.0]), [0.0, 0.5])
    tensor([1., 3.])
    >>> tg.grad(lambda x: tg.quantile(x, 0.25))(np.array([1.0, 2.0, 4.0, 8.0]))
    array([0.25, 0.75, 0.  , 0.  ])
    """
    return _quantile("quantile", a, q, axis, out, method, keepdims)


def percentile(a: TensorLike, q: TensorLike, axis: Axis = None, out: None = None, overwrite_input: bool = False,
               method: str = "linear", keepdims: bool = False) -> Tensor:
    """The q/100-quantile over `axis`. See quantile.

    >>> tg.percentile(tg.tensor([1.0, 2.0, 4.0, 8.0]), 50)
    tensor(3.)
    >>> tg.grad(lambda x: tg.percentile(x, 25))(np.array([1.0, 2.0, 4.0, 8.0]))
    array([0.25, 0.75, 0.  , 0.  ])
    """
    return _quantile("percentile", a, np.true_divide(constant("percentile", q), 100), axis, out, method, keepdims)


def median(a: TensorLike, axis: Axis = None, out: None = None, overwrite_input: bool = False,
           keepdims: bool = False) -> Tensor:
    """The middle element over `axis`, or the mean of the two in the middle.

    >>> tg.median(tg.tensor([[1.0, 7.0, 3.0], [4.0, 4.0, 6.0]]), axis=1)
    tensor([3., 4.])
    >>> tg.grad(tg.median)(np.array([1.0, 7.0, 3.0, 5.0]))
    array([0. , 0. , 0.5, 0.5])
    """
    return _quantile("median", a, 0.5, axis, out, "linear", keepdims)


def nanquantile(a: TensorLike, q: TensorLike, axis: Axis = None, out: None = None, overwrite_input: bool = False,
                method: str = "linear", keepdims: bool = False) -> Tensor:
    """The q-quantile over `axis` of what is not NaN; NaN, with a warning, where all are. See quantile.

    >>> tg.nanquantile(tg.tensor([1.0, np.nan, 4.0, 8.0]), 0.5)
    tensor(4.)
    >>> tg.grad(lambda x: tg.nanquantile(x, 0.25))(np.array([1.0, np.nan, 4.0, 8.0]))
    array([0.5, 0. , 0.5, 0. ])
    """
    return _quantile("nanquantile", a, q, axis, out, method, keepdims, skip_nan=True)


def nanpercentile(a: TensorLike, q: TensorLike, axis: Axis = None, out: None = None, overwrite_input: bool = False,
                  method: str = "linear", keepdims: bool = False) -> Tensor:
    """The q/100-quantile over `axis` of what is not NaN; NaN, with a warning, where all are. See quantile.

    >>> tg.nanpercentile(tg.tensor([1.0, np.nan, 4.0, 8.0]), 50)
    tensor(4.)
    >>> tg.grad(lambda x: tg.nanpercentile(x, 25))(np.array([1.0, np.nan, 4.0, 8.0]))
    array([0.5, 0. , 0.5, 0. ])
    """
    q = np.true_divide(constant("nanpercentile", q), 100)
    return _quantile("nanpercentile", a, q, axis, out, method, keepdims, skip_nan=True)


def nanmedian(a: TensorLike, axis: Axis = None, out: None = None, overwrite_input: bool = False,
              keepdims: bool = False) -> Tensor:
    """The middle element over `axis` of what is not NaN, or the mean of the two in the middle.

    NaN, with a warning, where all elements are NaN.

    >>> tg.nanmedian(tg.tensor([1.0, np.nan, 4.0, 8.0]))
    tensor(4.)
    >>> tg.grad(tg.nanmedian)(np.array([1.0, np.nan, 4.0, 8.0]))
    array([0., 0., 1., 0.])
    """
    return _quantile("nanmedian", a, 0.5, axis, out, "linear", keepdims, skip_nan=True)


def _quantile(name: str, x: TensorLike, q: TensorLike, axis: Axis, out: None, method: str, keepdims: bool,
              skip_nan: bool = False) -> Tensor:
    keepdims = checked(name, out, keepdims)
    if method not in _METHODS:
        raise ValueError(f"{name}: method={method!r}; there are {', '.join(_METHODS)}")
    q = np.asarray(constant(name, q), float)
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError(f"{name}: quantiles lie in 0..1, percentiles in 0..100")
    axes, shape = normalized_axis(name, x, axis), like(x).shape
    axes = tuple(range(len(shape))) if axes is None else axes
    others = tuple(i for i in range(len(shape)) if i not in axes)
    rest, n = tuple(shape[i] for i in others), math.prod(shape[i] for i in axes)
    if n == 0:
        raise ShapeError(f"{name}: no elements over axis {axes}: {describe(like(x))}")
    x = floats(x)
    rows = reshape(transpose(x, (*others, *axes)), (*rest, n)) if shape else reshape(x, (1,))
    low, high, weight = _places(name, value(rows), q.ravel(), _METHODS[method], skip_nan)
    below, above = (recorded.take_along_axis(rows, at, len(rest)) for at in (low, high))
    with np.errstate(invalid="ignore"):                 # between two infinities
        between = add(below, multiply(subtract(above, below), weight))
    z = moveaxis(elementwise.where(weight == 0, below, between), -1, 0)
    return reshape(z, q.shape + (tuple(1 if i in axes else m for i, m in enumerate(shape)) if keepdims else rest))


def _places(name: str, rows: Array, q: Array, weigh: Callable[[Array, Array], Array],
            skip_nan: bool) -> tuple[Array, Array, Array]:
    """For each row and q: the positions in the row of the neighbours below and above, and the weight of the latter."""
    n, kind = rows.shape[-1], rows.dtype if rows.dtype.kind == "f" else np.dtype(float)
    order = np.argsort(rows, -1, stable=True)
    numbers = np.count_nonzero(~np.isnan(rows), axis=-1)[..., None]
    if skip_nan and not all_true(numbers):
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
