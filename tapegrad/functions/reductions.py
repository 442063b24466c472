"""Reductions over axes, under NumPy's names and with its arguments.

a         a tensor or an array
axis      None for all axes, an int, or a tuple
dtype     that the elements are converted to first; by default the result has the dtype that NumPy gives it
keepdims  keep the reduced axes, with length 1
initial   what the reduction starts from
where     booleans: which elements take part

The result has the shape of `a` without the reduced axes. out= is an error: assign the result instead. ShapeError for an axis
that is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import all_true, checked, floats, like, normalized_axis, number, single_axis, value
from tapegrad.functions.elementwise import add, astype, divide, maximum, minimum, multiply, subtract
from tapegrad.functions.moments import converted, counted, floating, only, root, variance
from tapegrad.functions.shaping import reshape, transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Axis, Binary, DTypeLike, TensorLike


def _of_dtype(z: Tensor, dtype: DTypeLike | None) -> Tensor:
    """The result in the dtype that was asked for: sums of small integers and booleans are made in a wider one."""
    return z if dtype is None or z.dtype == dtype else astype(z, dtype)


def sum(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False,
        initial: TensorLike | None = None, where: TensorLike = True) -> Tensor:
    """The sum over `axis`. Derivative: d, spread over the summed axes.

    >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    >>> tg.grad(tg.sum)(np.array([1.0, 2.0]))
    array([1., 1.])
    """
    keepdims = checked("sum", out, keepdims)
    if dtype is None is initial and where is True:
        return recorded.sum(a, normalized_axis("sum", a, axis), keepdims)
    a = only(a if dtype is None else converted("sum", a, dtype), where, 0)
    z = recorded.sum(a, normalized_axis("sum", a, axis), keepdims)
    return _of_dtype(z if initial is None else add(z, initial), dtype)


def prod(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False,
         initial: TensorLike | None = None, where: TensorLike = True) -> Tensor:
    """The product over `axis`. Derivative: d times the product of all the other elements, also where some are 0.

    >>> tg.prod(tg.tensor([2.0, 3.0, 4.0]))
    tensor(24.)
    >>> tg.grad(tg.prod)(np.array([2.0, 0.0, 4.0]))
    array([0., 8., 0.])
    """
    keepdims = checked("prod", out, keepdims)
    a = only(a if dtype is None else converted("prod", a, dtype), where, 1)
    z = recorded.prod(a, normalized_axis("prod", a, axis), keepdims)
    return _of_dtype(z if initial is None else multiply(z, initial), dtype)


def mean(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False, *,
         where: TensorLike = True) -> Tensor:
    """The arithmetic mean over `axis`: the sum divided by the number n of elements. Derivative: d / n, spread over them.

    >>> tg.mean(tg.tensor([[1.0, 2.0], [3.0, 6.0]]), axis=1, keepdims=True)
    tensor([[1.5],
            [4.5]])
    >>> tg.grad(tg.mean)(np.array([1.0, 2.0, 3.0, 4.0]))
    array([0.25, 0.25, 0.25, 0.25])
    """
    keepdims = checked("mean", out, keepdims)
    a = a if dtype is None else converted("mean", a, dtype)
    axis = normalized_axis("mean", a, axis)
    if where is True:
        return _of_dtype(recorded.mean(a, axis, keepdims), dtype)
    z = divide(recorded.sum(only(a, where, 0), axis, keepdims), counted(a, where, axis, keepdims))
    return _of_dtype(z, dtype)


def max(a: TensorLike, axis: Axis = None, out: None = None, keepdims: bool = False, initial: TensorLike | None = None,
        where: TensorLike = True) -> Tensor:
    """The greatest element over `axis`; NaN where one is NaN. Derivative: d to the greatest; elements that tie share it evenly.

    With where=, `initial` must say what the result is where no element takes part: ValueError without it.

    >>> tg.max(tg.tensor([[1.0, 5.0], [7.0, 3.0]]), axis=1)
    tensor([5., 7.])
    >>> tg.grad(tg.max)(np.array([1.0, 5.0, 5.0]))
    array([0. , 0.5, 0.5])
    """
    return _extremum("max", maximum, -math.inf, a, axis, out, keepdims, initial, where)


def min(a: TensorLike, axis: Axis = None, out: None = None, keepdims: bool = False, initial: TensorLike | None = None,
        where: TensorLike = True) -> Tensor:
    """The least element over `axis`; NaN where one is NaN. Derivative: d to the least; elements that tie share it evenly.

    With where=, `initial` must say what the result is where no element takes part: ValueError without it.

    >>> tg.min(tg.tensor([[1.0, 5.0], [7.0, 3.0]]), axis=1)
    tensor([1., 3.])
    >>> tg.grad(tg.min)(np.array([1.0, 1.0, 5.0]))
    array([0.5, 0.5, 0. ])
    """
    return _extremum("min", minimum, math.inf, a, axis, out, keepdims, initial, where)


amax, amin = max, min


def _extremum(name: str, two: Binary, worst: Any, x: TensorLike, axis: Axis, out: None, keepdims: bool,
              initial: TensorLike | None, where: TensorLike) -> Tensor:
    keepdims = checked(name, out, keepdims)
    axis = normalized_axis(name, x, axis)
    row: Callable[..., Tensor] = getattr(recorded, name)
    if initial is None:
        if where is not True:
            raise ValueError(f"{name}: with where=, say by initial= what the result is where no element takes part")
        return row(x, axis, keepdims)
    if where is not True or like(x).size == 0:
        worst = worst if like(x).dtype.kind == "f" else initial
        if like(x).size == 0:
            kept = np.sum(value(x), axis, keepdims=keepdims)
            return add(Tensor(np.zeros_like(kept, like(x).dtype)), initial)
        x = only(x, where, worst)
    return two(row(x, axis, keepdims), initial)


def ptp(a: TensorLike, axis: Axis = None, out: None = None, keepdims: bool = False) -> Tensor:
    """The greatest element less the least, over `axis` ("peak to peak"). Derivative: that of max - min.

    >>> tg.ptp(tg.tensor([3.0, 8.0, 5.0]))
    tensor(5.)
    >>> tg.grad(tg.ptp)(np.array([3.0, 8.0, 5.0]))
    array([-1.,  1.,  0.])
    """
    return subtract(max(a, axis, out, keepdims), min(a, axis, out, keepdims))


def var(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, ddof: float = 0,
        keepdims: bool = False, *, where: TensorLike = True, mean: TensorLike | None = None,
        correction: float | None = None) -> Tensor:
    """The variance over `axis`: sum(|a - mean(a)|^2) / (n - ddof), where n is the number of elements.

    mean         taken for mean(a) where it is given; it has the reduced axes, with length 1
    correction   the array API's name of ddof; ValueError where both are given

    Derivative: 2 d (a - mean(a)) / (n - ddof).

    >>> tg.var(tg.tensor([1.0, 2.0, 3.0, 6.0]))
    tensor(3.5)
    >>> tg.var(tg.tensor([1.0, 2.0, 3.0]), ddof=1)
    tensor(1.)
    >>> tg.grad(tg.var)(np.array([1.0, 2.0, 3.0, 6.0]))
    array([-1. , -0.5,  0. ,  1.5])
    """
    return _moment("var", recorded.var, a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def std(a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, ddof: float = 0,
        keepdims: bool = False, *, where: TensorLike = True, mean: TensorLike | None = None,
        correction: float | None = None) -> Tensor:
    """The standard deviation over `axis`: the square root of `var`, whose arguments it has.

    Derivative: d (a - mean(a)) / ((n - ddof) std), and 0 where all elements are equal.

    >>> tg.std(tg.tensor([1.0, 1.0, 5.0, 5.0]))
    tensor(2.)
    >>> tg.grad(tg.std)(np.array([1.0, 1.0, 5.0, 5.0]))
    array([-0.25, -0.25,  0.25,  0.25])
    """
    return _moment("std", recorded.std, a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def _moment(name: str, row: Callable[..., Tensor], x: TensorLike, axis: Axis, dtype: DTypeLike | None, out: None,
            ddof: float, keepdims: bool, where: TensorLike, given: TensorLike | None, correction: float | None) -> Tensor:
    keepdims = checked(name, out, keepdims)
    if correction is not None:
        if ddof != 0:
            raise ValueError(f"{name}: ddof and correction are the same thing; give one of them")
        ddof = correction
    ddof = ddof if type(ddof) in (int, float) else number(name, ddof)
    x = x if dtype is None else floating(name, x, dtype)
    axis = normalized_axis(name, x, axis)
    if where is True and given is None:
        return row(x, axis, ddof, keepdims)
    z = variance(x, axis, ddof, keepdims, where, given)
    return z if name == "var" else root(z)


def average(a: TensorLike, axis: Axis = None, weights: TensorLike | None = None, returned: bool = False, *,
            keepdims: bool = False) -> Any:
    """The weighted mean sum(w a) / sum(w) over `axis`; without weights, the mean.

    weights    w, of the shape of `a`, or of that of its `axis` (one axis or several); ShapeError otherwise
    returned   return (the average, the sum of the weights)

    Derivative: to `a`, d w / sum(w); to w, d (a - average) / sum(w). ZeroDivisionError where weights sum to 0.

    >>> tg.average(tg.tensor([1.0, 2.0, 6.0]), weights=[1.0, 2.0, 1.0])
    tensor(2.75)
    >>> tg.grad(lambda w: tg.average([1.0, 2.0, 6.0], weights=w))(np.array([1.0, 2.0, 1.0]))
    array([-0.4375, -0.1875,  0.8125])
    """
    keepdims, axis = bool(keepdims), normalized_axis("average", a, axis)
    if weights is None:
        z = recorded.mean(a, axis, keepdims)
        total = Tensor(np.full(z.shape, like(a).size / np.maximum(like(z).size, 1), z.dtype))
        return (z, total) if returned else z
    shape, given = like(a).shape, like(weights).shape
    if given != shape:
        if axis is None or given != tuple(shape[i] for i in axis):
            raise ShapeError(f"average: weights {describe(like(weights))} for {describe(like(a))} and axis {axis}; "
                             "they have the shape of the operand, or of the axes that are averaged over")
        weights = reshape(transpose(weights, tuple(np.argsort(axis).tolist())),
                          tuple(n if i in axis else 1 for i, n in enumerate(shape)))
    a, weights = (floats(x) if like(x).dtype.kind in "biu" else x for x in (a, weights))
    total = recorded.sum(multiply(weights, np.ones(shape, like(weights).dtype)), axis, keepdims)
    if not all_true(total):
        raise ZeroDivisionError("average: the weights sum to 0")
    z = divide(recorded.sum(multiply(a, weights), axis, keepdims), total)
    return (z, total) if returned else z


def _flat_or_single(name: str, x: TensorLike, axis: int | None) -> int | None:
    return None if axis is None or not normalized_axis(name, x, int(axis)) else single_axis(name, x, axis)


def argmax(a: TensorLike, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Tensor:
    """The position of the greatest element, in the flattened tensor or along `axis`; the first where several tie.

    Not differentiable: the result is a constant tensor of integers.

    >>> tg.argmax(tg.tensor([[1.0, 5.0], [7.0, 3.0]]))
    tensor(2, dtype=int64)
    >>> tg.argmax(tg.tensor([[1.0, 5.0], [7.0, 3.0]]), axis=1)
    tensor([1, 0], dtype=int64)
    """
    keepdims = checked("argmax", out, keepdims)
    return recorded.argmax(a, _flat_or_single("argmax", a, axis), keepdims)


def argmin(a: TensorLike, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Tensor:
    """The position of the least element, in the flattened tensor or along `axis`; the first where several tie.

    Not differentiable: the result is a constant tensor of integers.

    >>> tg.argmin(tg.tensor([[1.0, 5.0], [7.0, 3.0]]))
    tensor(0, dtype=int64)
    >>> tg.argmin(tg.tensor([[1.0, 5.0], [7.0, 3.0]]), axis=1)
    tensor([0, 1], dtype=int64)
    """
    keepdims = checked("argmin", out, keepdims)
    return recorded.argmin(a, _flat_or_single("argmin", a, axis), keepdims)
