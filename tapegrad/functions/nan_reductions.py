"""Reductions that leave out NaN. Derivative: that of the reduction over the other elements; 0 to a NaN.

They have the arguments of the reductions they are named after. Where every element is NaN, sums are 0, products 1, and the
rest NaN with NumPy's RuntimeWarning.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.functions import elementwise, reductions
from tapegrad.functions.arguments import all_true, checked, normalized_axis, value
from tapegrad.functions.cumulative import cumprod, cumsum
from tapegrad.functions.elementwise import divide
from tapegrad.functions.moments import counted, floating, root, variance
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, Axis, DTypeLike, TensorLike


def _there(x: TensorLike, where: TensorLike = True) -> Array:
    return np.logical_and(~np.isnan(value(x)), value(where))


def _filled(x: TensorLike, there: Array, filler: float) -> TensorLike:
    return x if all_true(there) else elementwise.where(there, x, filler)


def nansum(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False,
           initial: TensorLike | None = None, where: TensorLike = True) -> Tensor:
    """The sum over `axis` of what is not NaN.

    >>> tg.nansum(tg.tensor([1.0, np.nan, 3.0]))
    tensor(4.)
    >>> tg.grad(tg.nansum)(np.array([1.0, np.nan, 3.0]))
    array([1., 0., 1.])
    """
    return reductions.sum(_filled(a, _there(a), 0), axis, dtype, out, keepdims, initial, where)


def nanprod(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False,
            initial: TensorLike | None = None, where: TensorLike = True) -> Tensor:
    """The product over `axis` of what is not NaN.

    >>> tg.nanprod(tg.tensor([2.0, np.nan, 3.0]))
    tensor(6.)
    >>> tg.grad(tg.nanprod)(np.array([2.0, np.nan, 3.0]))
    array([3., 0., 2.])
    """
    return reductions.prod(_filled(a, _there(a), 1), axis, dtype, out, keepdims, initial, where)


def nancumsum(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None) -> Tensor:
    """The running sum along `axis`, or of the flattened tensor; NaN adds nothing.

    >>> tg.nancumsum(tg.tensor([1.0, np.nan, 3.0]))
    tensor([1., 1., 4.])
    >>> tg.grad(lambda x: tg.nancumsum(x).sum())(np.array([1.0, np.nan, 3.0]))
    array([3., 0., 1.])
    """
    return cumsum(_filled(a, _there(a), 0), axis, dtype, out)


def nancumprod(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None) -> Tensor:
    """The running product along `axis`, or of the flattened tensor; NaN counts as 1.

    >>> tg.nancumprod(tg.tensor([2.0, np.nan, 3.0]))
    tensor([2., 2., 6.])
    >>> tg.grad(lambda x: tg.nancumprod(x).sum())(np.array([2.0, np.nan, 3.0]))
    array([5., 0., 2.])
    """
    return cumprod(_filled(a, _there(a), 1), axis, dtype, out)


def nanmean(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False, *,
            where: TensorLike = True) -> Tensor:
    """The mean over `axis` of what is not NaN.

    >>> tg.nanmean(tg.tensor([1.0, np.nan, 3.0]))
    tensor(2.)
    >>> tg.grad(tg.nanmean)(np.array([1.0, np.nan, 3.0]))
    array([0.5, 0. , 0.5])
    """
    keepdims = checked("nanmean", out, keepdims)
    a = a if dtype is None else floating("nanmean", a, dtype)
    axis, there = normalized_axis("nanmean", a, axis), _there(a, where)
    n = counted(a, there, axis, keepdims)
    if not all_true(n):
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=2)
    return _or_nan(n > 0, divide(recorded.sum(_filled(a, there, 0), axis, keepdims), np.maximum(n, 1)))


def nanvar(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, ddof: float = 0,
           keepdims: bool = False, *, where: TensorLike = True, mean: TensorLike | None = None,
           correction: float | None = None) -> Tensor:
    """The variance over `axis` of what is not NaN. See var; NaN too, with a warning, where n <= ddof.

    >>> tg.nanvar(tg.tensor([1.0, np.nan, 3.0]))
    tensor(1.)
    >>> tg.grad(tg.nanvar)(np.array([1.0, np.nan, 3.0]))
    array([-1.,  0.,  1.])
    """
    keepdims = checked("nanvar", out, keepdims)
    if correction is not None:
        if ddof != 0:
            raise ValueError("nanvar: ddof and correction are the same thing; give one of them")
        ddof = correction
    a = a if dtype is None else floating("nanvar", a, dtype)
    axis, there = normalized_axis("nanvar", a, axis), _there(a, where)
    n = counted(a, there, axis, keepdims)
    if not all_true(n > ddof):
        warnings.warn("Degrees of freedom <= 0 for slice.", RuntimeWarning, stacklevel=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _or_nan(n > ddof, variance(_filled(a, there, 0), axis, ddof, keepdims, there, mean))


def nanstd(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, ddof: float = 0,
           keepdims: bool = False, *, where: TensorLike = True, mean: TensorLike | None = None,
           correction: float | None = None) -> Tensor:
    """The square root of `nanvar`; its derivative is 0 where all elements are equal.

    >>> tg.nanstd(tg.tensor([1.0, np.nan, 3.0]))
    tensor(1.)
    >>> tg.grad(tg.nanstd)(np.array([1.0, np.nan, 3.0]))
    array([-0.5,  0. ,  0.5])
    """
    z = nanvar(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    return root(z)


def nanmax(a: TensorLike, axis: Axis = None, out: None = None, keepdims: bool = False,
           initial: TensorLike | None = None, where: TensorLike = True) -> Tensor:
    """The greatest element over `axis` that is not NaN; elements that tie share d evenly.

    >>> tg.nanmax(tg.tensor([[1.0, np.nan], [3.0, 2.0]]), axis=0)
    tensor([3., 2.])
    >>> tg.grad(tg.nanmax)(np.array([1.0, np.nan, 3.0]))
    array([0., 0., 1.])
    """
    return _nanextremum(reductions.max, -math.inf, a, axis, out, keepdims, initial, where)


def nanmin(a: TensorLike, axis: Axis = None, out: None = None, keepdims: bool = False,
           initial: TensorLike | None = None, where: TensorLike = True) -> Tensor:
    """The least element over `axis` that is not NaN; elements that tie share d evenly.

    >>> tg.nanmin(tg.tensor([[1.0, np.nan], [3.0, 2.0]]), axis=0)
    tensor([1., 2.])
    >>> tg.grad(tg.nanmin)(np.array([1.0, np.nan, 3.0]))
    array([1., 0., 0.])
    """
    return _nanextremum(reductions.min, math.inf, a, axis, out, keepdims, initial, where)


def _nanextremum(reduction: Callable[..., Tensor], worst: float, x: TensorLike, axis: Axis, out: None, keepdims: bool,
                 initial: TensorLike | None, where: TensorLike) -> Tensor:
    there = _there(x, where)
    z = reduction(_filled(x, _there(x), worst), axis, out, keepdims, initial, where)
    if initial is not None:
        return z
    found = np.any(there, normalized_axis(reduction.__name__, x, axis), keepdims=keepdims)
    if not all_true(found):
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=3)
    return _or_nan(found, z)


def _or_nan(found: Array, z: Tensor) -> Tensor:
    return z if all_true(found) else elementwise.where(found, z, math.nan)
