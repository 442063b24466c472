"""Putting the arguments of NumPy's functions in order."""

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.tensor import Tensor


def value(x):
    """The array of a tensor, or x as an array."""
    return x._value if isinstance(x, Tensor) else np.asarray(x)


def as_tensor(x, beside=None):
    """x itself if it is a tensor, else a constant with its value: a Python number in the dtype of the tensor `beside`."""
    if isinstance(x, Tensor):
        return x
    return Tensor(x, beside.dtype if type(x) in (int, float) and beside is not None and beside.dtype.kind == "f" else None)


def normalized_axis(name, x, axis):
    """None, or a tuple of axes counted from 0; an error that names the operation where there is no such axis."""
    if axis is None:
        return None
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = np.ndim(value(x))
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
