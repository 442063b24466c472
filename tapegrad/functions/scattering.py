"""Writing at places along an axis, and matrices put together from parts, under PyTorch's names; but dim is called axis.

All return a new tensor. Raises ShapeError for shapes that do not fit, DtypeError for an index that is not integers and for a
source whose dtype the input does not hold, IndexError for a place that is not there.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import as_tensor, constant, derived, like, single_axis, static, value, whole
from tapegrad.functions.elementwise import where
from tapegrad.functions.indexing import getitem
from tapegrad.functions.joining import concatenate, pad
from tapegrad.functions.shaping import moveaxis, reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


def _integers(name: str, index: TensorLike, length: int) -> Array:
    """A copy of an index, which the tape may keep, of places from 0 to length - 1."""
    if like(index).dtype.kind not in "iu":
        raise DtypeError(f"{name}: an index {describe(like(index))}; integers are needed")
    derived("checked", partial(_check_places, name, length), whole(index))
    return static(index)


def _check_places(name: str, length: int, ids: Array) -> bool:
    if ids.size and not (0 <= ids.min() and ids.max() < length):
        raise IndexError(f"{name}: an index from {ids.min()} to {ids.max()} for an axis of length {length}")
    return True


def _source(name: str, x: Tensor, source: TensorLike) -> Tensor:
    number = type(source) in (bool, int, float, complex)
    y = Tensor(source, np.result_type(x.dtype, source)) if number else as_tensor(source)
    if not np.can_cast(y.dtype, x.dtype, "same_kind"):
        raise DtypeError(f"{name}: a source {describe(y)} for an input {describe(x)}; make one of them .astype() of the other")
    return y


def _operands(name: str, input: TensorLike, axis: int, index: TensorLike,
              src: TensorLike) -> tuple[Tensor, tuple[Any, ...], Tensor]:
    """The input, the places that the index names, one for each of its elements, and what comes there."""
    x = as_tensor(input)
    axis = single_axis(name, x, axis)
    ids, y = _integers(name, index, x.shape[axis]), _source(name, x, src)
    fits = ids.ndim == x.ndim and all(n <= m for i, (n, m) in enumerate(zip(ids.shape, x.shape)) if i != axis)
    if not fits or y.ndim and (y.ndim != ids.ndim or any(n > m for n, m in zip(ids.shape, y.shape))):
        raise ShapeError(f"{name}: input {describe(x)}, axis {axis}, index {describe(ids)}, src {describe(y)}; the index has "
                         "as many axes, and is nowhere longer than src, nor, but along the axis, than the input")
    if y.ndim and y.shape != ids.shape:
        y = getitem(y, tuple([slice(None, n) for n in ids.shape]))
    places: list[Array] = list(np.indices(ids.shape, sparse=True))
    places[axis] = ids
    return x, tuple(places), y


def scatter(input: TensorLike, axis: int, index: TensorLike, src: TensorLike) -> Tensor:
    """The input with src[i, j, ..] at [index[i, j, ..], j, ..], for axis 0; so along every axis. `src` may be a number.

    The index has as many axes as the input, and may be shorter than it and than src. Of elements that are written twice the
    last one stays. Derivative: to the input, d where nothing is written; to src, d at what stays.

    >>> tg.scatter(np.zeros(4), 0, [3, 1], tg.tensor([5.0, 6.0]))
    tensor([0., 6., 0., 5.])
    >>> tg.grad(lambda x: (tg.scatter(np.zeros(3), 0, [2], x) * [1.0, 2.0, 3.0]).sum())(np.array([5.0]))
    array([3.])
    """
    x, places, y = _operands("scatter", input, axis, value(index), src)     # what stays depends on the places themselves
    return recorded.setitem(x, y, places)


def scatter_add(input: TensorLike, axis: int, index: TensorLike, src: TensorLike) -> Tensor:
    """The input with src[i, j, ..] added at [index[i, j, ..], j, ..], for axis 0; so along every axis.

    Derivative: to the input, d; to src, d at the place of each element.

    >>> tg.scatter_add(np.zeros(3), 0, [2, 0, 2], tg.tensor([1.0, 2.0, 3.0]))
    tensor([2., 0., 4.])
    >>> tg.grad(lambda x: (tg.scatter_add(np.zeros(3), 0, [2], x) * [1.0, 2.0, 3.0]).sum())(np.array([5.0]))
    array([3.])
    """
    x, places, y = _operands("scatter_add", input, axis, index, src)
    shape = like(places[single_axis("scatter_add", x, axis)]).shape
    y = y if y.ndim else recorded.broadcast_to(y, shape)
    return x + recorded.scatter(y.astype(x.dtype), places, x.shape)


def index_add(input: TensorLike, axis: int, index: TensorLike, source: TensorLike, *, alpha: TensorLike = 1) -> Tensor:
    """The input with alpha times the i-th slice of the source added to its slice index[i] along the axis.

    Derivative: to the input, d; to the source, alpha d[index]; to alpha, the sum of d[index] source.

    >>> tg.index_add(np.zeros((3, 2)), 0, [2, 0, 2], tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    tensor([[3., 4.],
            [0., 0.],
            [6., 8.]])
    """
    x = as_tensor(input)
    axis = single_axis("index_add", x, axis)
    ids, y = _integers("index_add", index, x.shape[axis]), _source("index_add", x, source)
    if ids.ndim != 1 or y.shape != (*x.shape[:axis], len(ids), *x.shape[axis + 1:]):
        raise ShapeError(f"index_add: input {describe(x)}, axis {axis}, index {describe(ids)}, source {describe(y)}; the index "
                         "is a vector, and the source as long as it along the axis, otherwise as the input")
    added = y if type(alpha) is int and alpha == 1 else _source("index_add", x, y * alpha)
    return x + recorded.scatter(added.astype(x.dtype), (*[slice(None)] * axis, ids), x.shape)


def masked_fill(input: TensorLike, mask: TensorLike, value: TensorLike) -> Tensor:
    """The input with a number where the mask, booleans that broadcast against it, is true.

    Derivative: to the input, d where the mask is false; to the value, the sum of d elsewhere.

    >>> tg.masked_fill([1.0, 2.0], [True, False], -np.inf)
    tensor([-inf,   2.])
    """
    x = as_tensor(input)
    if like(mask).dtype.kind != "b":
        raise DtypeError(f"masked_fill: mask {describe(like(mask))}; booleans are needed, as mask != 0")
    filled = _source("masked_fill", x, value)
    if filled.ndim:
        raise ShapeError(f"masked_fill: value {describe(filled)}; it is a single number. For an array, use tg.where")
    return where(mask, filled, x)


def diag_embed(input: TensorLike, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """Matrices of 0 with the last axis of the input on their offset-th diagonal; axis1 and axis2 of the result are theirs.

    Derivative: d on the diagonal.

    >>> tg.diag_embed([1.0, 2.0], 1)
    tensor([[0., 1., 0.],
            [0., 0., 2.],
            [0., 0., 0.]])
    """
    x = as_tensor(input)
    if not x.ndim:
        raise ShapeError(f"diag_embed: {describe(x)}; a vector, or several, are needed")
    offset = int(constant("diag_embed", offset))
    n = x.shape[-1] + abs(offset)
    at = np.arange(x.shape[-1])
    z = recorded.scatter(x, (Ellipsis, at + max(-offset, 0), at + max(offset, 0)), (*x.shape[:-1], n, n))
    return moveaxis(z, (-2, -1), (int(constant("diag_embed", axis1)), int(constant("diag_embed", axis2))))


def block_diag(*tensors: TensorLike) -> Tensor:
    """Matrices along the diagonal of one, and 0 elsewhere; a vector counts as a row, a number as a matrix of one element.

    Derivative: to each, its block of d.

    >>> tg.block_diag(tg.tensor([[1.0, 2.0]]), 3.0)
    tensor([[1., 2., 0.],
            [0., 0., 3.]])
    """
    blocks = [as_tensor(x) for x in tensors]
    for x in blocks:
        if x.ndim > 2:
            raise ShapeError(f"block_diag: {describe(x)}; matrices are needed")
    blocks = [x if x.ndim == 2 else reshape(x, (1, x.size)) for x in blocks] or [Tensor(np.zeros((1, 0)))]
    ends = np.cumsum([x.shape[1] for x in blocks])
    return concatenate([pad(x, ((0, 0), (int(end) - x.shape[1], int(ends[-1] - end)))) for x, end in zip(blocks, ends)], 0)
