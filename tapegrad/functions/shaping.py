"""Shapes: the same elements in another arrangement, under NumPy's names.

Almost all are reshape, transpose, broadcast_to and indexing in other words. The orders are "C", where the last axis varies
fastest, and "F", where the first one does; "A" and "K", which ask for the layout in memory, are a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, like, normalized_axis, single_axis
from tapegrad.functions.elementwise import positive
from tapegrad.functions.indexing import getitem
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Axis, Shape, TensorLike

_reshape: Callable[..., Tensor] = recorded.reshape
_transpose: Callable[..., Tensor] = recorded.transpose
_broadcast_to: Callable[..., Tensor] = recorded.broadcast_to


def reshape(a: TensorLike, /, shape: Shape, order: str = "C", *, copy: bool | None = None) -> Tensor:
    """The same elements in another shape; one length may be -1. ShapeError where the numbers of elements differ.

    order   "C": read and filled with the last axis varying fastest; "F": with the first one
    copy    makes no difference here

    >>> tg.reshape(tg.tensor([1.0, 2.0, 3.0, 4.0]), (2, 2))
    tensor([[1., 2.],
            [3., 4.]])
    >>> tg.reshape(tg.tensor([1.0, 2.0, 3.0, 4.0]), (2, 2), order="F")
    tensor([[1., 3.],
            [2., 4.]])
    >>> tg.grad(lambda x: tg.reshape(x, (2, -1))[0].sum())(np.array([1.0, 2.0, 3.0, 4.0]))
    array([1., 1., 0., 0.])
    """
    counts = tuple(shape) if isinstance(shape, (tuple, list)) else (
        tuple(shape.tolist()) if isinstance(shape, np.ndarray) and shape.ndim == 1 else (shape,))
    if order != "C":
        _check_order("reshape", order)
        return _transpose(_reshape(_transpose(a, None), counts[::-1]), None)
    return _reshape(as_tensor(a), counts)


def ravel(a: TensorLike, order: str = "C") -> Tensor:
    """All elements along one axis: the last axis varying fastest, or with order="F" the first one.

    >>> tg.ravel(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 2., 3., 4.])
    >>> tg.ravel(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), order="F")
    tensor([1., 3., 2., 4.])
    >>> tg.grad(lambda x: tg.ravel(x)[2])(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[0., 0.],
           [1., 0.]])
    """
    if order != "C":
        _check_order("ravel", order)
        a = _transpose(a, None)
    return _reshape(as_tensor(a), (-1,))


def flatten(a: TensorLike, order: str = "C") -> Tensor:
    """`ravel` under the name of the method; values are never shared, as tensors have value semantics.

    >>> tg.flatten(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 2., 3., 4.])
    """
    return ravel(a, order)


def resize(a: TensorLike, new_shape: Shape) -> Tensor:
    """The elements, over again as often as needed, in `new_shape`; zeros where there is none.

    ShapeError for a negative length. Derivative: to each element, the sum of d over its repetitions.

    >>> tg.resize(tg.tensor([1.0, 2.0, 3.0]), (2, 2))
    tensor([[1., 2.],
            [3., 1.]])
    >>> tg.grad(lambda x: tg.resize(x, 4).sum())(np.array([1.0, 2.0, 3.0]))
    array([2., 1., 1.])
    """
    shape = _shape(new_shape)
    size, count = like(a).size, int(np.prod(shape, dtype=int))
    if min(shape, default=0) < 0:
        raise ShapeError(f"resize: a negative length in {shape}")
    if size == 0:
        return Tensor(np.zeros(shape, like(a).dtype))
    return _reshape(getitem(ravel(a), np.arange(count) % size), shape)


def squeeze(a: TensorLike, axis: Axis = None) -> Tensor:
    """Without the axes of length 1, or without those of them named by `axis`. ShapeError where one is longer.

    >>> tg.squeeze(tg.tensor([[[1.0], [2.0]]])).shape
    (2,)
    >>> tg.squeeze(tg.tensor([[[1.0], [2.0]]]), axis=0).shape
    (2, 1)
    """
    shape = like(a).shape
    axes = normalized_axis("squeeze", a, axis)
    if axes is None:
        axes = tuple([i for i, n in enumerate(shape) if n == 1])
    for i in axes:
        if shape[i] != 1:
            raise ShapeError(f"squeeze: axis {i} has length {shape[i]}, not 1: {describe(like(a))}")
    return _reshape(as_tensor(a), tuple([n for i, n in enumerate(shape) if i not in axes]))


def expand_dims(a: TensorLike, axis: int | Sequence[int]) -> Tensor:
    """With new axes of length 1 at `axis`, an int or a tuple of places in the result.

    >>> tg.expand_dims(tg.tensor([1.0, 2.0]), 0)
    tensor([[1., 2.]])
    >>> tg.expand_dims(tg.tensor([1.0, 2.0]), (0, -1)).shape
    (1, 2, 1)
    """
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shape = list(like(a).shape)
    ndim = len(shape) + len(axes)
    for i in sorted(_places("expand_dims", axes, ndim)):
        shape.insert(i, 1)
    return _reshape(as_tensor(a), tuple(shape))


def transpose(a: TensorLike, axes: Axis = None) -> Tensor:
    """The axes in reverse order, or in the order given.

    >>> tg.transpose(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    >>> tg.transpose(tg.zeros((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    return _transpose(a, None if axes is None else normalized_axis("transpose", a, axes))


permute_dims = transpose


def matrix_transpose(x: TensorLike, /) -> Tensor:
    """The last two axes exchanged. ShapeError for fewer than two axes.

    >>> tg.matrix_transpose(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    """
    if like(x).ndim < 2:
        raise ShapeError(f"matrix_transpose: two axes are needed: {describe(like(x))}")
    return swapaxes(x, -1, -2)


def swapaxes(a: TensorLike, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    >>> tg.swapaxes(tg.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    i, j = single_axis("swapaxes", a, axis1), single_axis("swapaxes", a, axis2)
    order = list(range(like(a).ndim))
    order[i], order[j] = j, i
    return _transpose(a, tuple(order))


def moveaxis(a: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The axes `source` (an int or a sequence) at the places `destination`; the others keep their order.

    >>> tg.moveaxis(tg.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    ndim = like(a).ndim
    source = normalized_axis("moveaxis", a, source)
    places = _places("moveaxis", destination if isinstance(destination, (tuple, list)) else (destination,), ndim)
    if len(source) != len(places):
        raise ShapeError(f"moveaxis: {len(source)} axes to {len(places)} places")
    order = [i for i in range(ndim) if i not in source]
    for place, i in sorted(zip(places, source)):
        order.insert(place, i)
    return _transpose(a, tuple(order))


def rollaxis(a: TensorLike, axis: int, start: int = 0) -> Tensor:
    """The axis moved back until it stands before the axis `start`.

    >>> tg.rollaxis(tg.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    ndim = like(a).ndim
    axis = single_axis("rollaxis", a, axis)
    if not -ndim <= start <= ndim:
        raise ShapeError(f"rollaxis: start {start} for an operand with {ndim} axes")
    start = start + ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


def atleast_1d(*arys: TensorLike) -> Any:
    """With at least one axis: a scalar becomes one element. A tuple where several tensors are given.

    >>> tg.atleast_1d(tg.tensor(2.0))
    tensor([2.])
    """
    return _each(arys, lambda x: positive(x) if like(x).ndim >= 1 else _reshape(as_tensor(x), (1,)))


def atleast_2d(*arys: TensorLike) -> Any:
    """With at least two axes: (n,) becomes (1, n). A tuple where several tensors are given.

    >>> tg.atleast_2d(tg.tensor([1.0, 2.0]))
    tensor([[1., 2.]])
    """
    return _each(arys, lambda x: positive(x) if like(x).ndim >= 2 else _reshape(as_tensor(x), (1, -1)))


def atleast_3d(*arys: TensorLike) -> Any:
    """With at least three axes: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1). A tuple where several are given.

    >>> tg.atleast_3d(tg.tensor([1.0, 2.0])).shape
    (1, 2, 1)
    """
    def one(x: TensorLike) -> Any:
        shape = like(x).shape
        if len(shape) >= 3:
            return positive(x)
        return _reshape(as_tensor(x), {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)])

    return _each(arys, one)


def broadcast_to(array: TensorLike, shape: Shape, subok: bool = False) -> Tensor:
    """The array spread to `shape` by NumPy's rules. Derivative: d, summed over what was spread. `subok` makes no difference.

    >>> tg.broadcast_to(tg.tensor([1.0, 2.0]), (2, 2))
    tensor([[1., 2.],
            [1., 2.]])
    >>> tg.grad(lambda x: tg.broadcast_to(x, (3, 2)).sum())(np.array([1.0, 2.0]))
    array([3., 3.])
    """
    return _broadcast_to(array, _shape(shape))


def broadcast_arrays(*args: TensorLike, subok: bool = False) -> tuple[Tensor, ...]:
    """The tensors spread to the one shape that they broadcast to. ShapeError where there is none. `subok` makes no difference.

    >>> tg.broadcast_arrays(tg.tensor([1.0, 2.0]), tg.tensor([[3.0], [4.0]]))
    (tensor([[1., 2.],
            [1., 2.]]), tensor([[3., 3.],
            [4., 4.]]))
    """
    shapes = [like(x).shape for x in args]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ShapeError(f"broadcast_arrays: shapes {', '.join(map(str, shapes))} do not broadcast") from error
    return tuple([_broadcast_to(x, shape) for x in args])


def meshgrid(*xi: TensorLike, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Grids of coordinates from vectors of them, one per vector.

    indexing   "xy": the first vector runs along axis 1, the second along axis 0; "ij": the i-th along axis i
    sparse     leave the grids with length 1 along the axes of the other vectors
    copy       makes no difference here

    >>> tg.meshgrid(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]))
    (tensor([[1., 2.],
            [1., 2.]]), tensor([[3., 3.],
            [4., 4.]]))
    >>> tg.grad(lambda x: tg.meshgrid(x, [0.0, 0.0, 0.0])[0].sum())(np.array([1.0, 2.0]))
    array([3., 3.])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing={indexing!r}; it is 'xy' or 'ij'")
    count = len(xi)
    places = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else range(count)
    grids = [_reshape(as_tensor(x), (1,) * place + (-1,) + (1,) * (count - 1 - place)) for x, place in zip(xi, places)]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def flip(m: TensorLike, axis: Axis = None) -> Tensor:
    """The elements in reverse order along `axis` (None for all, an int, or a tuple).

    >>> tg.flip(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([[3., 4.],
            [1., 2.]])
    >>> tg.grad(lambda x: tg.flip(x)[0])(np.array([1.0, 2.0, 3.0]))
    array([0., 0., 1.])
    """
    axes = normalized_axis("flip", m, axis)
    backwards = slice(None, None, -1)
    return getitem(m, tuple([backwards if axes is None or i in axes else slice(None) for i in range(like(m).ndim)]))


def fliplr(m: TensorLike) -> Tensor:
    """The columns in reverse order: along axis 1.

    >>> tg.fliplr(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 1.],
            [4., 3.]])
    """
    return flip(m, 1)


def flipud(m: TensorLike) -> Tensor:
    """The rows in reverse order: along axis 0.

    >>> tg.flipud(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    return flip(m, 0)


def rot90(m: TensorLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters in the plane of two axes, from the first towards the second.

    >>> tg.rot90(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 4.],
            [1., 3.]])
    """
    first, second = _pair("rot90", m, axes)
    k %= 4
    if k == 0:
        return recorded.alias(m)
    if k == 2:
        return flip(m, (first, second))
    return swapaxes(flip(m, second), first, second) if k == 1 else flip(swapaxes(m, first, second), second)


def roll(a: TensorLike, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """The elements moved by `shift` along `axis` (ints or tuples), what leaves at the end coming in at the start.

    Without `axis`, the elements of the flattened tensor are moved.

    >>> tg.roll(tg.tensor([1.0, 2.0, 3.0]), 1)
    tensor([3., 1., 2.])
    >>> tg.grad(lambda x: tg.roll(x, 1)[0])(np.array([1.0, 2.0, 3.0]))
    array([0., 0., 1.])
    """
    if axis is None:
        return _reshape(roll(ravel(a), int(np.sum(shift)), 0), like(a).shape)
    if type(shift) is type(axis) is int:
        return recorded.roll(a, (shift,), (single_axis("roll", a, axis),))
    named = [single_axis("roll", a, i) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    try:
        shifts, axes = np.broadcast_arrays(shift, named)
    except ValueError as error:
        raise ShapeError(f"roll: shifts {shift} along axes {axis}") from error
    return recorded.roll(a, tuple(shifts.tolist()), tuple(axes.tolist()))


def _check_order(name: str, order: str) -> None:
    if order != "F":
        raise ValueError(f"{name}: order={order!r}; it is 'C', the last axis varying fastest, or 'F', the first one")


def _shape(shape: Shape) -> tuple[int, ...]:
    return tuple(np.atleast_1d(shape).astype(int).tolist())


def _each(xs: tuple[TensorLike, ...], function: Callable[[TensorLike], Any]) -> Any:
    return function(xs[0]) if len(xs) == 1 else tuple([function(x) for x in xs])


def _places(name: str, axes: Sequence[int], ndim: int) -> list[int]:
    """Places in a result with `ndim` axes, counted from 0, each named once."""
    counted = [i % ndim for i in axes if -ndim <= i < ndim]
    if len(set(counted)) < len(axes):
        raise ShapeError(f"{name}: axis {tuple(axes)} of a result with {ndim} axes")
    return counted


def _pair(name: str, x: TensorLike, axes: Sequence[int]) -> tuple[int, ...]:
    if len(axes) != 2:
        raise ShapeError(f"{name}: axes {tuple(axes)}; two are needed")
    return normalized_axis(name, x, tuple(axes))
