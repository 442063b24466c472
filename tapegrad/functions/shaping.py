"""Shapes: the same elements in another arrangement, under NumPy's names.

Almost all are reshape, transpose, broadcast_to and indexing in other words. Where the last axis varies fastest is fixed:
order="C" is the only order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, normalized_axis, single_axis, value
from tapegrad.functions.indexing import getitem
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Axis, Shape, TensorLike

_reshape: Callable[..., Tensor] = recorded.reshape
_transpose: Callable[..., Tensor] = recorded.transpose
_broadcast_to: Callable[..., Tensor] = recorded.broadcast_to


def reshape(x: TensorLike, *shape: Shape, order: str = "C") -> Tensor:
    """The same elements in another shape; one length may be -1. `reshape(x, (2, 3))` or `reshape(x, 2, 3)`.

    >>> tg.reshape(tg.tensor([1.0, 2.0, 3.0, 4.0]), (2, 2))
    tensor([[1., 2.],
            [3., 4.]])
    >>> tg.grad(lambda x: tg.reshape(x, (2, -1))[0].sum())(np.array([1.0, 2.0, 3.0, 4.0]))
    array([1., 1., 0., 0.])
    """
    _in_c_order("reshape", order)
    if len(shape) == 1:
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape
    return _reshape(as_tensor(x), shape)


def ravel(x: TensorLike, order: str = "C") -> Tensor:
    """All elements along one axis, the last axis varying fastest.

    >>> tg.ravel(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 2., 3., 4.])
    >>> tg.grad(lambda x: tg.ravel(x)[2])(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[0., 0.],
           [1., 0.]])
    """
    _in_c_order("ravel", order)
    return _reshape(as_tensor(x), (-1,))


def flatten(x: TensorLike, order: str = "C") -> Tensor:
    """`ravel` under the name of the method; values are never shared, as tensors have value semantics.

    >>> tg.flatten(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 2., 3., 4.])
    """
    _in_c_order("flatten", order)
    return _reshape(as_tensor(x), (-1,))


def resize(x: TensorLike, new_shape: Shape) -> Tensor:
    """The elements of x, over again as often as needed, in `new_shape`; zeros where x has none.

    ShapeError for a negative length. Derivative: to each element, the sum of d over its repetitions.

    >>> tg.resize(tg.tensor([1.0, 2.0, 3.0]), (2, 2))
    tensor([[1., 2.],
            [3., 1.]])
    >>> tg.grad(lambda x: tg.resize(x, 4).sum())(np.array([1.0, 2.0, 3.0]))
    array([2., 1., 1.])
    """
    shape = _shape(new_shape)
    size, count = value(x).size, int(np.prod(shape, dtype=int))
    if min(shape, default=0) < 0:
        raise ShapeError(f"resize: a negative length in {shape}")
    if size == 0:
        return Tensor(np.zeros(shape, value(x).dtype))
    return _reshape(getitem(ravel(x), np.arange(count) % size), shape)


def squeeze(x: TensorLike, axis: Axis = None) -> Tensor:
    """Without the axes of length 1, or without those of them named by `axis`. ShapeError where one is longer.

    >>> tg.squeeze(tg.tensor([[[1.0], [2.0]]])).shape
    (2,)
    >>> tg.squeeze(tg.tensor([[[1.0], [2.0]]]), axis=0).shape
    (2, 1)
    """
    shape = value(x).shape
    axes = normalized_axis("squeeze", x, axis)
    if axes is None:
        axes = tuple([i for i, n in enumerate(shape) if n == 1])
    for i in axes:
        if shape[i] != 1:
            raise ShapeError(f"squeeze: axis {i} has length {shape[i]}, not 1: {describe(value(x))}")
    return _reshape(as_tensor(x), tuple([n for i, n in enumerate(shape) if i not in axes]))


def expand_dims(x: TensorLike, axis: int | Sequence[int]) -> Tensor:
    """With new axes of length 1 at `axis`, an int or a tuple of places in the result.

    >>> tg.expand_dims(tg.tensor([1.0, 2.0]), 0)
    tensor([[1., 2.]])
    >>> tg.expand_dims(tg.tensor([1.0, 2.0]), (0, -1)).shape
    (1, 2, 1)
    """
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shape = list(value(x).shape)
    ndim = len(shape) + len(axes)
    for i in sorted(_places("expand_dims", axes, ndim)):
        shape.insert(i, 1)
    return _reshape(as_tensor(x), tuple(shape))


def transpose(x: TensorLike, *axes: Axis) -> Tensor:
    """The axes in reverse order, or in the order given: `transpose(x, (0, 2, 1))` or `transpose(x, 0, 2, 1)`.

    >>> tg.transpose(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    >>> tg.transpose(tg.zeros((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    order: Any = axes
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        order = axes[0] or ()
    return _transpose(x, normalized_axis("transpose", x, tuple(order)) if order else None)


permute_dims = transpose


def matrix_transpose(x: TensorLike) -> Tensor:
    """The last two axes exchanged. ShapeError for fewer than two axes.

    >>> tg.matrix_transpose(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    """
    if value(x).ndim < 2:
        raise ShapeError(f"matrix_transpose: two axes are needed: {describe(value(x))}")
    return swapaxes(x, -1, -2)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    >>> tg.swapaxes(tg.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    i, j = single_axis("swapaxes", x, axis1), single_axis("swapaxes", x, axis2)
    order = list(range(value(x).ndim))
    order[i], order[j] = j, i
    return _transpose(x, tuple(order))


def moveaxis(x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The axes `source` (an int or a sequence) at the places `destination`; the others keep their order.

    >>> tg.moveaxis(tg.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    ndim = value(x).ndim
    source = normalized_axis("moveaxis", x, source)
    places = _places("moveaxis", destination if isinstance(destination, (tuple, list)) else (destination,), ndim)
    if len(source) != len(places):
        raise ShapeError(f"moveaxis: {len(source)} axes to {len(places)} places")
    order = [i for i in range(ndim) if i not in source]
    for place, i in sorted(zip(places, source)):
        order.insert(place, i)
    return _transpose(x, tuple(order))


def rollaxis(x: TensorLike, axis: int, start: int = 0) -> Tensor:
    """The axis moved back until it stands before the axis `start`.

    >>> tg.rollaxis(tg.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    ndim = value(x).ndim
    axis = single_axis("rollaxis", x, axis)
    if not -ndim <= start <= ndim:
        raise ShapeError(f"rollaxis: start {start} for an operand with {ndim} axes")
    start = start + ndim if start < 0 else start
    return moveaxis(x, axis, start - 1 if axis < start else start)


def atleast_1d(*xs: TensorLike) -> Any:
    """With at least one axis: a scalar becomes one element. A tuple where several tensors are given.

    >>> tg.atleast_1d(tg.tensor(2.0))
    tensor([2.])
    """
    return _each(xs, lambda x: x if value(x).ndim >= 1 else _reshape(as_tensor(x), (1,)))


def atleast_2d(*xs: TensorLike) -> Any:
    """With at least two axes: (n,) becomes (1, n). A tuple where several tensors are given.

    >>> tg.atleast_2d(tg.tensor([1.0, 2.0]))
    tensor([[1., 2.]])
    """
    return _each(xs, lambda x: x if value(x).ndim >= 2 else _reshape(as_tensor(x), (1, -1)))


def atleast_3d(*xs: TensorLike) -> Any:
    """With at least three axes: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1). A tuple where several are given.

    >>> tg.atleast_3d(tg.tensor([1.0, 2.0])).shape
    (1, 2, 1)
    """
    def one(x: TensorLike) -> Any:
        shape = value(x).shape
        if len(shape) >= 3:
            return x
        return _reshape(as_tensor(x), {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)])

    return _each(xs, one)


def broadcast_to(x: TensorLike, shape: Shape) -> Tensor:
    """x spread to `shape` by NumPy's rules. Derivative: d, summed over what was spread.

    >>> tg.broadcast_to(tg.tensor([1.0, 2.0]), (2, 2))
    tensor([[1., 2.],
            [1., 2.]])
    >>> tg.grad(lambda x: tg.broadcast_to(x, (3, 2)).sum())(np.array([1.0, 2.0]))
    array([3., 3.])
    """
    return _broadcast_to(x, _shape(shape))


def broadcast_arrays(*xs: TensorLike) -> tuple[Tensor, ...]:
    """The tensors spread to the one shape that they broadcast to. ShapeError where there is none.

    >>> tg.broadcast_arrays(tg.tensor([1.0, 2.0]), tg.tensor([[3.0], [4.0]]))
    (tensor([[1., 2.],
            [1., 2.]]), tensor([[3., 3.],
            [4., 4.]]))
    """
    shapes = [value(x).shape for x in xs]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ShapeError(f"broadcast_arrays: shapes {', '.join(map(str, shapes))} do not broadcast") from error
    return tuple([_broadcast_to(x, shape) for x in xs])


def meshgrid(*xs: TensorLike, indexing: str = "xy", sparse: bool = False, copy: bool = True) -> tuple[Tensor, ...]:
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
    count = len(xs)
    places = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else range(count)
    grids = [_reshape(as_tensor(x), (1,) * place + (-1,) + (1,) * (count - 1 - place)) for x, place in zip(xs, places)]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def flip(x: TensorLike, axis: Axis = None) -> Tensor:
    """The elements in reverse order along `axis` (None for all, an int, or a tuple).

    >>> tg.flip(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([[3., 4.],
            [1., 2.]])
    >>> tg.grad(lambda x: tg.flip(x)[0])(np.array([1.0, 2.0, 3.0]))
    array([0., 0., 1.])
    """
    axes = normalized_axis("flip", x, axis)
    backwards = slice(None, None, -1)
    return getitem(x, tuple([backwards if axes is None or i in axes else slice(None) for i in range(value(x).ndim)]))


def fliplr(x: TensorLike) -> Tensor:
    """The columns in reverse order: along axis 1.

    >>> tg.fliplr(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 1.],
            [4., 3.]])
    """
    return flip(x, 1)


def flipud(x: TensorLike) -> Tensor:
    """The rows in reverse order: along axis 0.

    >>> tg.flipud(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    return flip(x, 0)


def rot90(x: TensorLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters in the plane of two axes, from the first towards the second.

    >>> tg.rot90(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 4.],
            [1., 3.]])
    """
    first, second = _pair("rot90", x, axes)
    k %= 4
    if k == 0:
        z: Tensor = recorded.alias(x)
        return z
    if k == 2:
        return flip(x, (first, second))
    return swapaxes(flip(x, second), first, second) if k == 1 else flip(swapaxes(x, first, second), second)


def roll(x: TensorLike, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """The elements moved by `shift` along `axis` (ints or tuples), what leaves at the end coming in at the start.

    Without `axis`, the elements of the flattened tensor are moved.

    >>> tg.roll(tg.tensor([1.0, 2.0, 3.0]), 1)
    tensor([3., 1., 2.])
    >>> tg.grad(lambda x: tg.roll(x, 1)[0])(np.array([1.0, 2.0, 3.0]))
    array([0., 0., 1.])
    """
    if axis is None:
        return _reshape(roll(ravel(x), int(np.sum(shift)), 0), value(x).shape)
    named = [single_axis("roll", x, i) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    try:
        shifts, axes = np.broadcast_arrays(shift, named)
    except ValueError as error:
        raise ShapeError(f"roll: shifts {shift} along axes {axis}") from error
    z: Tensor = recorded.roll(x, tuple(shifts.tolist()), tuple(axes.tolist()))
    return z


def _in_c_order(name: str, order: str) -> None:
    if order != "C":
        raise ValueError(f"{name}: order={order!r}; order='C', the last axis varying fastest, is the only one")


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
