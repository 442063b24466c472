"""Putting the arguments of NumPy's functions in order."""

import numpy as np

from tapegrad.core.tape import thread
from tapegrad.errors import DtypeError, GradientError, ShapeError, describe
from tapegrad.functions.tensor import Tensor


def value(x):
    """The array of a tensor, or x as an array."""
    return x._value if isinstance(x, Tensor) else np.asarray(x)


def constant(name, x):
    """The array of an argument that has no derivative; GradientError where one would be expected of it."""
    if isinstance(x, Tensor) and x.requires_grad and thread.tape.recording:
        raise GradientError(f"{name}: there is no derivative by the argument {describe(x)}, which requires one; .detach() it")
    return value(x)


def as_tensor(x, beside=None):
    """x itself if it is a tensor, else a constant with its value: a Python number in the dtype of the tensor `beside`."""
    if isinstance(x, Tensor):
        return x
    return Tensor(x, beside.dtype if type(x) in (int, float) and beside is not None and beside.dtype.kind in "fc" else None)


def real_only(name, x):
    """An error where x is complex and requires a gradient, which the function would lose."""
    if isinstance(x, Tensor) and x.requires_grad and x.dtype.kind == "c":
        raise DtypeError(f"{name}: no derivative for {describe(x)}; apply it to tg.real(x) and tg.imag(x)")


def normalized_axis(name, x, axis):
    """None, or a tuple of axes counted from 0; an error that names the operation where there is no such axis."""
    if axis is None:
        return None
    ndim = value(x).ndim
    if type(axis) is int and -ndim <= axis < ndim:      # most are, and the rest takes four times as long
        return axis % ndim,
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for i in axes:
        if not -ndim <= i < ndim:
            raise ShapeError(f"{name}: axis {i} of an operand with {ndim} axes: {describe(value(x))}")
    counted = tuple([int(i) % ndim for i in axes])
    if len(set(counted)) < len(counted):
        raise ShapeError(f"{name}: axis {tuple(axes)} names an axis twice: {describe(value(x))}")
    return counted


def single_axis(name, x, axis):
    """An axis counted from 0."""
    return normalized_axis(name, x, int(axis))[0]
