"""Reductions over axes, under NumPy's names and with its arguments.

x         a tensor or an array
axis      None for all axes, an int, or a tuple
dtype     of the sum or product, where it is not that of x
keepdims  keep the reduced axes, with length 1
initial   what the reduction starts from
where     booleans: which elements take part

What NumPy has between axis and keepdims is given by name. out= is an error: assign the result instead. ShapeError for an
axis that is not there.
"""

import math

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions import elementwise
from tapegrad.functions.arguments import normalized_axis, single_axis, value
from tapegrad.functions.elementwise import absolute, add, astype, divide, maximum, minimum, multiply, subtract
from tapegrad.functions.shaping import reshape, transpose
from tapegrad.functions.tensor import Tensor


def checked(name, out, keepdims=False):
    if out is not None:
        raise TypeError(f"{name}: out= would write into a tensor; assign the result")
    if type(keepdims) is not bool:
        raise TypeError(f"{name}: keepdims={keepdims!r}; it is True or False, and dtype= and out= are given by name")


def _only(x, where, filler):
    """x where `where` says, and the filler, which changes nothing, elsewhere."""
    return x if where is True else elementwise.where(where, x, filler)


def counted(x, where, axis, keepdims=False):
    """How many elements over `axis` take part, as numbers of the dtype of x."""
    mask = np.broadcast_to(value(where), value(x).shape)
    kind = value(x).real.dtype if value(x).dtype.kind in "fc" else np.dtype(float)
    return np.add.reduce(mask, axis, dtype=kind, keepdims=keepdims)


def sum(x, axis=None, keepdims=False, *, dtype=None, out=None, initial=None, where=True):
    """The sum over `axis`. Derivative: d, spread over the summed axes."""
    checked("sum", out, keepdims)
    x = _only(x if dtype is None else astype(x, dtype), where, 0)
    z = recorded.sum(x, normalized_axis("sum", x, axis), keepdims)
    return z if initial is None else add(z, initial)


def prod(x, axis=None, keepdims=False, *, dtype=None, out=None, initial=None, where=True):
    """The product over `axis`. Derivative: d times the product of all the other elements, zeros or not."""
    checked("prod", out, keepdims)
    x = _only(x if dtype is None else astype(x, dtype), where, 1)
    z = recorded.prod(x, normalized_axis("prod", x, axis), keepdims)
    return z if initial is None else multiply(z, initial)


def mean(x, axis=None, keepdims=False, *, dtype=None, out=None, where=True):
    """The arithmetic mean over `axis`. Derivative: d / n, spread over the n elements."""
    checked("mean", out, keepdims)
    x = x if dtype is None else astype(x, dtype)
    axis = normalized_axis("mean", x, axis)
    if where is True:
        return recorded.mean(x, axis, keepdims)
    return divide(recorded.sum(_only(x, where, 0), axis, keepdims), counted(x, where, axis, keepdims))


def max(x, axis=None, keepdims=False, *, out=None, initial=None, where=True):
    """The greatest element over `axis`. Derivative: d to the greatest; elements that tie share it evenly."""
    return _extremum("max", maximum, -math.inf, x, axis, out, keepdims, initial, where)


def min(x, axis=None, keepdims=False, *, out=None, initial=None, where=True):
    """The least element over `axis`. Derivative: d to the least; elements that tie share it evenly."""
    return _extremum("min", minimum, math.inf, x, axis, out, keepdims, initial, where)


amax, amin = max, min


def _extremum(name, two, worst, x, axis, out, keepdims, initial, where):
    checked(name, out, keepdims)
    axis = normalized_axis(name, x, axis)
    row = getattr(recorded, name)
    if initial is None:
        if where is not True:
            raise ValueError(f"{name}: with where=, say by initial= what the result is where no element takes part")
        return row(x, axis, keepdims)
    if where is not True or value(x).size == 0:
        worst = worst if value(x).dtype.kind == "f" else initial
        if value(x).size == 0:
            kept = np.add.reduce(value(x), axis, keepdims=keepdims)
            return add(Tensor(np.zeros_like(kept, value(x).dtype)), initial)
        x = _only(x, where, worst)
    return two(row(x, axis, keepdims), initial)


def ptp(x, axis=None, keepdims=False, *, out=None):
    """The greatest element less the least, over `axis`. Derivative: that of max - min."""
    checked("ptp", out, keepdims)
    return subtract(max(x, axis, keepdims=keepdims), min(x, axis, keepdims=keepdims))


def var(x, axis=None, *, dtype=None, out=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    """The mean of |x - mean(x)|^2 over `axis`, with n - ddof for n; `correction` is another name of ddof.

    Derivative: 2 d (x - mean(x)) / (n - ddof). `mean` is taken for the mean where it is given.
    """
    return _moment("var", recorded.var, x, axis, dtype, out, ddof, keepdims, where, mean, correction)


def std(x, axis=None, *, dtype=None, out=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    """The square root of `var`. Derivative: d (x - mean(x)) / ((n - ddof) std), and 0 where all elements are equal."""
    return _moment("std", recorded.std, x, axis, dtype, out, ddof, keepdims, where, mean, correction)


def _moment(name, row, x, axis, dtype, out, ddof, keepdims, where, given, correction):
    checked(name, out, keepdims)
    if correction is not None:
        if ddof != 0:
            raise ValueError(f"{name}: ddof and correction are the same thing; give one of them")
        ddof = correction
    x = x if dtype is None else astype(x, dtype)
    axis = normalized_axis(name, x, axis)
    if where is True and given is None:
        return row(x, axis, ddof, keepdims)
    z = variance(x, axis, ddof, keepdims, where, given)
    return z if name == "var" else root(z)


def variance(x, axis, ddof, keepdims, where, mean=None):
    """The variance of the elements that take part, as a composition."""
    n = counted(x, where, axis, True)
    if mean is None:
        mean = divide(recorded.sum(_only(x, where, 0), axis, True), n)
    off = _only(subtract(x, mean), where, 0)
    z = recorded.sum(multiply(off, off) if value(off).dtype.kind != "c" else absolute(off) ** 2, axis, keepdims)
    return divide(z, maximum(counted(x, where, axis, keepdims) - ddof, 0))


def root(x):
    """sqrt(x) whose derivative at 0 is 0."""
    zero = value(x) == 0
    return elementwise.where(zero, 0.0, elementwise.sqrt(elementwise.where(zero, 1.0, x)))


def average(x, axis=None, weights=None, returned=False, keepdims=False):
    """sum(w x) / sum(w) over `axis`, and the sum of the weights too if `returned`. The weights have the shape of x, or
    that of its `axis` (one axis or several). Derivative: to x, d w / sum(w); to w, d (x - average) / sum(w).
    """
    axis = normalized_axis("average", x, axis)
    if weights is None:
        z = recorded.mean(x, axis, keepdims)
        total = Tensor(np.full(z.shape, value(x).size / np.maximum(value(z).size, 1), z.dtype))
        return (z, total) if returned else z
    shape, given = value(x).shape, value(weights).shape
    if given != shape:
        if axis is None or given != tuple(shape[i] for i in axis):
            raise ShapeError(f"average: weights {describe(value(weights))} for {describe(value(x))} and axis {axis}; "
                             "they have the shape of the operand, or of the axes that are averaged over")
        weights = reshape(transpose(weights, tuple(np.argsort(axis).tolist())),
                          tuple(n if i in axis else 1 for i, n in enumerate(shape)))
    total = recorded.sum(multiply(weights, np.ones(shape, value(weights).dtype)), axis, keepdims)
    if not value(total).all():
        raise ZeroDivisionError("average: the weights sum to 0")
    z = divide(recorded.sum(multiply(x, weights), axis, keepdims), total)
    return (z, total) if returned else z


def argmax(x, axis=None, keepdims=False, *, out=None):
    """The position of the greatest element, in the flattened tensor or along `axis`. Not differentiable."""
    checked("argmax", out, keepdims)
    return recorded.argmax(x, axis if axis is None else single_axis("argmax", x, axis), keepdims)


def argmin(x, axis=None, keepdims=False, *, out=None):
    """The position of the least element, in the flattened tensor or along `axis`. Not differentiable."""
    checked("argmin", out, keepdims)
    return recorded.argmin(x, axis if axis is None else single_axis("argmin", x, axis), keepdims)
