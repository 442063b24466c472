"""Choosing elements: by position, along diagonals, by condition. Under NumPy's names."""

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import constant, normalized_axis, single_axis, value
from tapegrad.functions.indexing import getitem
from tapegrad.functions.joining import along
from tapegrad.functions.shaping import broadcast_to, moveaxis, ravel
from tapegrad.functions.tensor import Tensor


def take(x, indices, axis=None, mode="raise"):
    """x at the positions `indices` along `axis`; of the flattened x where None. Derivative: d added into those places.

    mode   for positions that are not there: "raise" an IndexError, "wrap" around, "clip" to the first and last
    """
    if axis is None:
        x, axis = ravel(x), 0
    axis = single_axis("take", x, axis)
    ids = _within("take", _integers("take", indices), value(x).shape[axis], mode)
    return along(x, ids, axis) if ids.ndim else getitem(x, (slice(None),) * axis + (int(ids),))


def take_along_axis(x, indices, axis=-1):
    """For each vector along `axis`, its elements at the positions that `indices` has there (numpy.take_along_axis)."""
    ids = _integers("take_along_axis", indices)
    if axis is None:
        x, axis = ravel(x), 0
    axis = single_axis("take_along_axis", x, axis)
    shape = value(x).shape
    if ids.ndim != len(shape):
        raise ShapeError(f"take_along_axis: indices of {ids.ndim} axes: {describe(value(x))}")
    grid = [np.arange(n).reshape((1,) * i + (-1,) + (1,) * (len(shape) - 1 - i)) for i, n in enumerate(shape)]
    grid[axis] = ids
    return getitem(x, tuple(grid))


def diagonal(x, offset=0, axis1=0, axis2=1):
    """The elements (i, i + offset) of each matrix in two axes, along a new last axis."""
    array = value(x)
    if array.ndim < 2:
        raise ShapeError(f"diagonal: at least two axes are needed: {describe(array)}")
    axes = normalized_axis("diagonal", x, (axis1, axis2))
    if axes != (array.ndim - 2, array.ndim - 1):
        x = moveaxis(x, axes, (-2, -1))
    *rest, rows, columns = value(x).shape
    start = offset if offset >= 0 else -offset * columns
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    flat = recorded.reshape(x, (*rest, rows * columns))
    return recorded.getitem(flat, (Ellipsis, slice(start, start + (count - 1) * (columns + 1) + 1, columns + 1)
                                   if count else slice(0, 0)))


def diag(x, k=0):
    """The k-th diagonal of a matrix; or the matrix that has a vector on its k-th diagonal and 0 elsewhere."""
    ndim = value(x).ndim
    if ndim == 2:
        return diagonal(x, k)
    if ndim != 1:
        raise ShapeError(f"diag: a vector or a matrix is needed: {describe(value(x))}")
    return diagflat(x, k)


def diagflat(x, k=0):
    """The matrix that has the elements of x on its k-th diagonal and 0 elsewhere."""
    count = value(x).size
    n = count + abs(k)
    start = k if k >= 0 else -k * n
    places = slice(start, start + max(0, count - 1) * (n + 1) + 1, n + 1) if count else slice(0, 0)
    return recorded.reshape(recorded.scatter(ravel(x), places, (n * n,)), (n, n))


def trace(x, offset=0, axis1=0, axis2=1):
    """The sum of the elements (i, i + offset) of each matrix in two axes. Derivative: d on that diagonal."""
    return recorded.sum(diagonal(x, offset, axis1, axis2), (value(x).ndim - 2,), False)


def tril(x, k=0):
    """0 above the k-th diagonal of each matrix in the last two axes, x on and below it."""
    return _where_triangle("tril", x, k, lambda mask: mask)


def triu(x, k=0):
    """0 below the k-th diagonal of each matrix in the last two axes, x on and above it."""
    return _where_triangle("triu", x, k - 1, np.logical_not)


def _where_triangle(name, x, k, choose):
    array = value(x)
    if array.ndim < 1:
        raise ShapeError(f"{name}: at least one axis is needed: {describe(array)}")
    rows = array.shape[-2] if array.ndim > 1 else array.shape[-1]
    return recorded.where(choose(np.tri(rows, array.shape[-1], k, dtype=bool)), x, np.zeros((), array.dtype))


def compress(condition, x, axis=None):
    """The slices of x along `axis` for which `condition`, a vector, is true; of the flattened x where None."""
    condition = value(condition)
    if condition.ndim != 1:
        raise ShapeError(f"compress: the condition is a vector: {describe(condition)}")
    if axis is None:
        x, axis = ravel(x), 0
    ids = np.flatnonzero(condition)
    axis = single_axis("compress", x, axis)
    if ids.size and ids[-1] >= value(x).shape[axis]:
        raise IndexError(f"compress: a condition of {describe(condition)} for axis {axis}: {describe(value(x))}")
    return along(x, ids, axis)


def extract(condition, x):
    """The elements of x where `condition` is true, along one axis."""
    return compress(value(condition).ravel(), x)


def select(condlist, choicelist, default=0):
    """For each element that of the first choice whose condition is true there, `default` where none is."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(f"select: {len(condlist)} conditions for {len(choicelist)} choices; at least one of each is needed")
    z = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        if value(condition).dtype != bool:
            raise DtypeError(f"select: a condition of {value(condition).dtype}; booleans are needed")
        z = recorded.where(condition, choice, z)
    return z


def choose(a, choices, mode="raise"):
    """choices[a[i]][i] for every index i, all broadcast against each other. `mode` as in `take`."""
    ids = _within("choose", _integers("choose", a), len(choices), mode)
    shape = np.broadcast_shapes(ids.shape, *[value(choice).shape for choice in choices])
    z = broadcast_to(choices[0], shape)
    for k, choice in enumerate(choices[1:], 1):
        z = recorded.where(np.equal(ids, k), choice, z)
    return z


def nonzero(x):
    """The indices of the elements that are not 0: a tuple of constants, one per axis."""
    return tuple([Tensor(ids) for ids in np.nonzero(value(x))])


def flatnonzero(x):
    """The positions in the flattened x of the elements that are not 0: a constant."""
    return Tensor(np.flatnonzero(value(x)))


def argwhere(x):
    """The indices of the elements that are not 0, one per row: a constant."""
    return Tensor(np.argwhere(value(x)))


def full_like(x, fill_value, dtype=None, shape=None):
    """A constant of the shape and dtype of x, or of those given, filled with one value."""
    return Tensor(np.full_like(value(x), constant("full_like", fill_value), dtype=dtype, shape=shape))


def empty_like(x, dtype=None, shape=None):
    """A constant of the shape and dtype of x, or of those given, whose elements are not set."""
    return Tensor(np.empty_like(value(x), dtype=dtype, shape=shape))


def _integers(name, indices):
    ids = value(indices)
    if ids.size == 0:
        ids = ids.astype(np.intp)
    if ids.dtype.kind not in "iu":
        raise DtypeError(f"{name}: indices of {ids.dtype}; integers are needed")
    return ids


def _within(name, ids, n, mode):
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"{name}: mode={mode!r}; it is 'raise', 'wrap' or 'clip'")
    if mode == "wrap" and n:
        return ids % n
    if mode == "clip" and n:
        return np.clip(ids, 0, n - 1)
    low = 0 if name == "choose" else -n
    if ids.size and not (low <= ids.min() and ids.max() < n):
        raise IndexError(f"{name}: positions from {ids.min()} to {ids.max()} of {n}")
    return ids
