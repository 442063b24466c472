"""The functions of tensors under NumPy's names: arguments are put in order here, and the rows do the rest."""

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.record import recorded
from tapegrad.tensor import Tensor

add = recorded.add
subtract = recorded.subtract
multiply = recorded.multiply
divide = true_divide = recorded.divide
power = recorded.power
floor_divide = recorded.floor_divide
negative = recorded.negative
matmul = recorded.matmul
exp = recorded.exp
log = recorded.log
sqrt = recorded.sqrt
square = recorded.square
absolute = recorded.absolute
sin = recorded.sin
cos = recorded.cos
tanh = recorded.tanh
maximum = recorded.maximum
minimum = recorded.minimum
where = recorded.where
sign = recorded.sign
floor = recorded.floor
ceil = recorded.ceil
rint = recorded.rint
isnan = recorded.isnan
isinf = recorded.isinf
isfinite = recorded.isfinite
logical_not = recorded.logical_not
logical_and = recorded.logical_and
logical_or = recorded.logical_or
equal = recorded.equal
not_equal = recorded.not_equal
less = recorded.less
less_equal = recorded.less_equal
greater = recorded.greater
greater_equal = recorded.greater_equal
zeros_like = recorded.zeros_like
ones_like = recorded.ones_like


def value(x):
    """The array of a tensor, or x as an array."""
    return x._value if isinstance(x, Tensor) else np.asarray(x)


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


def sum(x, axis=None, keepdims=False):
    """The sum over `axis` (None for all, an int, or a tuple). Derivative: d, spread over the summed axes."""
    return recorded.sum(x, normalized_axis("sum", x, axis), keepdims)


def mean(x, axis=None, keepdims=False):
    """The arithmetic mean over `axis`. Derivative: d / n, spread over the n elements."""
    return recorded.mean(x, normalized_axis("mean", x, axis), keepdims)


def max(x, axis=None, keepdims=False):
    """The greatest element over `axis`. Derivative: d to the greatest; elements that tie share it evenly."""
    return recorded.max(x, normalized_axis("max", x, axis), keepdims)


def min(x, axis=None, keepdims=False):
    """The least element over `axis`. Derivative: d to the least; elements that tie share it evenly."""
    return recorded.min(x, normalized_axis("min", x, axis), keepdims)


def argmax(x, axis=None, keepdims=False):
    """The position of the greatest element, in the flattened tensor or along `axis`. Not differentiable."""
    return recorded.argmax(x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    """The position of the least element, in the flattened tensor or along `axis`. Not differentiable."""
    return recorded.argmin(x, axis, keepdims)


def reshape(x, *shape):
    """The same elements in another shape; one length may be -1. `reshape(x, (2, 3))` or `reshape(x, 2, 3)`."""
    if len(shape) == 1:
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else (shape[0],)
    return recorded.reshape(x, shape)


def transpose(x, *axes):
    """The axes in reverse order, or in the order given: `transpose(x, (0, 2, 1))` or `transpose(x, 0, 2, 1)`."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = axes[0] or ()
    return recorded.transpose(x, normalized_axis("transpose", x, tuple(axes)) if axes else None)


def broadcast_to(x, shape):
    """x spread to `shape` by NumPy's rules. Derivative: d, summed over what was spread."""
    return recorded.broadcast_to(x, tuple(np.atleast_1d(shape).tolist()))


def concatenate(xs, axis=0):
    """The tensors joined along an axis that they have. Derivative: to each, its part of d."""
    xs = _sequence("concatenate", xs)
    return recorded.concatenate(xs, single_axis("concatenate", xs[0], axis))


def stack(xs, axis=0):
    """Tensors of one shape joined along a new axis. Derivative: to each, its slice of d."""
    xs = _sequence("stack", xs)
    ndim = np.ndim(value(xs[0])) + 1
    if not -ndim <= axis < ndim:
        raise ShapeError(f"stack: axis {axis} of a result with {ndim} axes")
    return recorded.stack(xs, axis % ndim)


def _sequence(name, xs):
    xs = tuple(xs)
    if not xs:
        raise ShapeError(f"{name}: there is nothing to join")
    return xs


def astype(x, dtype):
    """x in another dtype. Derivative: d in the dtype of x; none through an integer dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "fc":
        return Tensor(value(x), dtype)
    return recorded.astype(x, dtype)


def getitem(x, index):
    """`x[index]` with any of NumPy's indices. Derivative: d added into the indexed places; twice where indexed twice."""
    return recorded.getitem(x, _plain(index))


def _plain(index):
    """An index without tensors or lists, and without arrays that the caller could change under the tape."""
    if isinstance(index, tuple):
        return tuple([_plain(i) for i in index])
    if isinstance(index, (Tensor, np.ndarray, list)):
        array = np.array(value(index))
        if array.size == 0 and isinstance(index, list):
            array = array.astype(np.intp)
        if array.dtype.kind not in "biu":
            raise DtypeError(f"getitem: an index of {array.dtype}; integers or booleans are needed")
        return array
    return index
