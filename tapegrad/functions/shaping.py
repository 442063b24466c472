"""Shapes: the same elements in another arrangement, under NumPy's names.

Almost all are reshape, transpose, broadcast_to and indexing in other words. Where the last axis varies fastest is fixed:
order="C" is the only order.
"""

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, normalized_axis, single_axis, value
from tapegrad.functions.indexing import getitem


def reshape(x, *shape, order="C"):
    """The same elements in another shape; one length may be -1. `reshape(x, (2, 3))` or `reshape(x, 2, 3)`."""
    _in_c_order("reshape", order)
    if len(shape) == 1:
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape
    return recorded.reshape(as_tensor(x), shape)


def ravel(x, order="C"):
    """All elements along one axis, the last axis varying fastest."""
    _in_c_order("ravel", order)
    return recorded.reshape(as_tensor(x), (-1,))


def flatten(x, order="C"):
    """`ravel` under the name of the method; values are never shared, as tensors have value semantics."""
    _in_c_order("flatten", order)
    return recorded.reshape(as_tensor(x), (-1,))


def resize(x, new_shape):
    """The elements of x, over again as often as needed, in `new_shape`; zeros where x has none (numpy.resize)."""
    shape = _shape(new_shape)
    size, count = value(x).size, int(np.prod(shape, dtype=int))
    if min(shape, default=0) < 0:
        raise ShapeError(f"resize: a negative length in {shape}")
    if size == 0:
        return recorded.zeros_like(recorded.broadcast_to(np.zeros((), value(x).dtype), shape))
    return recorded.reshape(getitem(ravel(x), np.arange(count) % size), shape)


def squeeze(x, axis=None):
    """Without the axes of length 1, or without those of them named by `axis`. ShapeError where one is longer."""
    shape = value(x).shape
    axes = normalized_axis("squeeze", x, axis)
    if axes is None:
        axes = [i for i, n in enumerate(shape) if n == 1]
    for i in axes:
        if shape[i] != 1:
            raise ShapeError(f"squeeze: axis {i} has length {shape[i]}, not 1: {describe(value(x))}")
    return recorded.reshape(as_tensor(x), tuple([n for i, n in enumerate(shape) if i not in axes]))


def expand_dims(x, axis):
    """With new axes of length 1 at `axis`, an int or a tuple of places in the result."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shape = list(value(x).shape)
    ndim = len(shape) + len(axes)
    for i in sorted(_places("expand_dims", axes, ndim)):
        shape.insert(i, 1)
    return recorded.reshape(as_tensor(x), tuple(shape))


def transpose(x, *axes):
    """The axes in reverse order, or in the order given: `transpose(x, (0, 2, 1))` or `transpose(x, 0, 2, 1)`."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = axes[0] or ()
    return recorded.transpose(x, normalized_axis("transpose", x, tuple(axes)) if axes else None)


permute_dims = transpose


def matrix_transpose(x):
    """The last two axes exchanged."""
    if value(x).ndim < 2:
        raise ShapeError(f"matrix_transpose: two axes are needed: {describe(value(x))}")
    return swapaxes(x, -1, -2)


def swapaxes(x, axis1, axis2):
    """Two axes exchanged."""
    i, j = single_axis("swapaxes", x, axis1), single_axis("swapaxes", x, axis2)
    order = list(range(value(x).ndim))
    order[i], order[j] = j, i
    return recorded.transpose(x, tuple(order))


def moveaxis(x, source, destination):
    """The axes `source` (an int or a sequence) at the places `destination`; the others keep their order."""
    ndim = value(x).ndim
    source = normalized_axis("moveaxis", x, source)
    places = _places("moveaxis", destination if isinstance(destination, (tuple, list)) else (destination,), ndim)
    if len(source) != len(places):
        raise ShapeError(f"moveaxis: {len(source)} axes to {len(places)} places")
    order = [i for i in range(ndim) if i not in source]
    for place, i in sorted(zip(places, source)):
        order.insert(place, i)
    return recorded.transpose(x, tuple(order))


def rollaxis(x, axis, start=0):
    """The axis moved back until it stands before the axis `start`."""
    ndim = value(x).ndim
    axis = single_axis("rollaxis", x, axis)
    if not -ndim <= start <= ndim:
        raise ShapeError(f"rollaxis: start {start} for an operand with {ndim} axes")
    start = start + ndim if start < 0 else start
    return moveaxis(x, axis, start - 1 if axis < start else start)


def atleast_1d(*xs):
    """With at least one axis: a single number becomes one element. A tuple where several tensors are given."""
    return _each(xs, lambda x: x if value(x).ndim >= 1 else recorded.reshape(as_tensor(x), (1,)))


def atleast_2d(*xs):
    """With at least two axes: (n,) becomes (1, n). A tuple where several tensors are given."""
    return _each(xs, lambda x: x if value(x).ndim >= 2 else recorded.reshape(as_tensor(x), (1, -1)))


def atleast_3d(*xs):
    """With at least three axes: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1). A tuple where several are given."""
    def one(x):
        shape = value(x).shape
        if len(shape) >= 3:
            return x
        return recorded.reshape(as_tensor(x), {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)])

    return _each(xs, one)


def broadcast_to(x, shape):
    """x spread to `shape` by NumPy's rules. Derivative: d, summed over what was spread."""
    return recorded.broadcast_to(x, _shape(shape))


def broadcast_arrays(*xs):
    """The tensors spread to the one shape that they broadcast to."""
    shapes = [value(x).shape for x in xs]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ShapeError(f"broadcast_arrays: shapes {', '.join(map(str, shapes))} do not broadcast") from error
    return tuple([recorded.broadcast_to(x, shape) for x in xs])


def meshgrid(*xs, indexing="xy", sparse=False, copy=True):
    """Grids of coordinates from vectors of them, one per vector (numpy.meshgrid). `copy` makes no difference here."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing={indexing!r}; it is 'xy' or 'ij'")
    count = len(xs)
    places = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else range(count)
    grids = [recorded.reshape(as_tensor(x), (1,) * place + (-1,) + (1,) * (count - 1 - place)) for x, place in zip(xs, places)]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def flip(x, axis=None):
    """The elements in reverse order along `axis` (None for all, an int, or a tuple)."""
    axes = normalized_axis("flip", x, axis)
    backwards = slice(None, None, -1)
    return recorded.getitem(x, tuple([backwards if axes is None or i in axes else slice(None) for i in range(value(x).ndim)]))


def fliplr(x):
    """The columns in reverse order: along axis 1."""
    return flip(x, 1)


def flipud(x):
    """The rows in reverse order: along axis 0."""
    return flip(x, 0)


def rot90(x, k=1, axes=(0, 1)):
    """Turned by k quarters in the plane of two axes, from the first towards the second."""
    first, second = _pair("rot90", x, axes)
    k %= 4
    if k == 0:
        return recorded.alias(x)
    if k == 2:
        return flip(x, (first, second))
    return swapaxes(flip(x, second), first, second) if k == 1 else flip(swapaxes(x, first, second), second)


def roll(x, shift, axis=None):
    """The elements moved by `shift` along `axis`, what leaves at the end coming in at the start; ints or tuples."""
    if axis is None:
        return recorded.reshape(roll(ravel(x), int(np.sum(shift)), 0), value(x).shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [single_axis("roll", x, i) for i in axes]
    try:
        shifts, axes = np.broadcast_arrays(shift, axes)
    except ValueError as error:
        raise ShapeError(f"roll: shifts {shift} along axes {axis}") from error
    return recorded.roll(x, tuple(shifts.tolist()), tuple(axes.tolist()))


def _in_c_order(name, order):
    if order != "C":
        raise ValueError(f"{name}: order={order!r}; order='C', the last axis varying fastest, is the only one")


def _shape(shape):
    return tuple(np.atleast_1d(shape).astype(int).tolist())


def _each(xs, function):
    return function(xs[0]) if len(xs) == 1 else tuple([function(x) for x in xs])


def _places(name, axes, ndim):
    """Places in a result with `ndim` axes, counted from 0, each named once."""
    counted = [i % ndim if -ndim <= i < ndim else None for i in axes]
    if None in counted or len(set(counted)) < len(counted):
        raise ShapeError(f"{name}: axis {tuple(axes)} of a result with {ndim} axes")
    return counted


def _pair(name, x, axes):
    if len(axes) != 2:
        raise ShapeError(f"{name}: axes {tuple(axes)}; two are needed")
    return normalized_axis(name, x, tuple(axes))
