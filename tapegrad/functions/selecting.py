"""Choosing elements: by position, along diagonals, by condition. Under NumPy's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import as_tensor, constant, derived, like, normalized_axis, refuse_out, single_axis, value
from tapegrad.functions.axes import along
from tapegrad.functions.indexing import getitem
from tapegrad.functions.reductions import sum
from tapegrad.functions.shaping import broadcast_to, moveaxis, ravel
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, DTypeLike, Shape, TensorLike

_Order: TypeAlias = Literal["K", "A", "C", "F"]


def take(a: TensorLike, indices: TensorLike, axis: int | None = None, out: None = None, mode: str = "raise") -> Tensor:
    """The elements at the positions `indices` along `axis`, or of the flattened tensor. Derivative: d added into those places.

    mode   for positions that are not there: "raise" an IndexError, "wrap" around, "clip" to the first and last

    >>> tg.take(tg.tensor([1.0, 2.0, 3.0]), [2, 0, 2])
    tensor([3., 1., 3.])
    >>> tg.grad(lambda x: tg.take(x, [2, 0, 2]).sum())(np.array([1.0, 2.0, 3.0]))
    array([1., 0., 2.])
    """
    refuse_out("take", out)
    if axis is None:
        a, axis = ravel(a), 0
    axis = single_axis("take", a, axis)
    n = like(a).shape[axis]
    ids = derived("positions", lambda ids: _within("take", _integers("take", ids), n, mode), indices)
    return along(a, ids, axis) if ids.ndim or isinstance(ids, Tensor) else getitem(a, (slice(None),) * axis + (int(ids),))


def take_along_axis(arr: TensorLike, indices: TensorLike, axis: int | None = -1) -> Tensor:
    """For each vector along `axis`, its elements at the positions that `indices` has there.

    axis=None stands for the flattened tensor. ShapeError unless `indices` has as many axes as `arr`. Derivative: d added into
    those places.

    >>> tg.take_along_axis(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), axis=1)
    tensor([[2.],
            [3.]])
    >>> tg.grad(lambda x: tg.take_along_axis(x, np.array([[1], [0]]), 1).sum())(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    ids = derived("positions", lambda ids: _integers("take_along_axis", ids), indices)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = single_axis("take_along_axis", arr, axis)
    shape = like(arr).shape
    if ids.ndim != len(shape):
        raise ShapeError(f"take_along_axis: indices of {ids.ndim} axes: {describe(like(arr))}")
    grid: list[Any] = [np.arange(n).reshape((1,) * i + (-1,) + (1,) * (len(shape) - 1 - i)) for i, n in enumerate(shape)]
    grid[axis] = ids
    return getitem(arr, tuple(grid))


def diagonal(a: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements (i, i + offset) of each matrix in two axes, along a new last axis. Derivative: d on that diagonal.

    >>> tg.diagonal(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 4.])
    >>> tg.grad(lambda x: tg.diagonal(x, 1).sum())(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[0., 1.],
           [0., 0.]])
    """
    array = value(a)
    if array.ndim < 2:
        raise ShapeError(f"diagonal: at least two axes are needed: {describe(array)}")
    axes = normalized_axis("diagonal", a, (axis1, axis2))
    if axes != (array.ndim - 2, array.ndim - 1):
        a = moveaxis(a, axes, (-2, -1))
    *rest, rows, columns = like(a).shape
    start = offset if offset >= 0 else -offset * columns
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    flat = recorded.reshape(a, (*rest, rows * columns))
    return recorded.getitem(flat, (Ellipsis, slice(start, start + (count - 1) * (columns + 1) + 1, columns + 1)
                                        if count else slice(0, 0)))


def diag(v: TensorLike, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix; or the matrix that has a vector on its k-th diagonal and 0 elsewhere.

    >>> tg.diag(tg.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    >>> tg.grad(lambda x: tg.diag(x).sum())(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 0.],
           [0., 1.]])
    """
    ndim = like(v).ndim
    if ndim == 2:
        return diagonal(v, k)
    if ndim != 1:
        raise ShapeError(f"diag: a vector or a matrix is needed: {describe(like(v))}")
    return diagflat(v, k)


def diagflat(v: TensorLike, k: int = 0) -> Tensor:
    """The matrix that has the elements of `v` on its k-th diagonal and 0 elsewhere. Derivative: d on that diagonal.

    >>> tg.diagflat(tg.tensor([1.0, 2.0]), 1)
    tensor([[0., 1., 0.],
            [0., 0., 2.],
            [0., 0., 0.]])
    """
    count = like(v).size
    n = count + abs(k)
    start = k if k >= 0 else -k * n
    places = slice(start, start + max(0, count - 1) * (n + 1) + 1, n + 1) if count else slice(0, 0)
    return recorded.reshape(recorded.scatter(ravel(v), places, (n * n,)), (n, n))


def trace(a: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None,
          out: None = None) -> Tensor:
    """The sum of the elements (i, i + offset) of each matrix in two axes. Derivative: d on that diagonal.

    >>> tg.trace(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    >>> tg.grad(tg.trace)(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 0.],
           [0., 1.]])
    """
    return sum(diagonal(a, offset, axis1, axis2), -1, dtype, out)


def tril(m: TensorLike, k: int = 0) -> Tensor:
    """0 above the k-th diagonal of each matrix in the last two axes, `m` on and below it.

    >>> tg.tril(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 0.],
            [3., 4.]])
    >>> tg.grad(lambda x: tg.tril(x).sum())(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 0.],
           [1., 1.]])
    """
    return _where_triangle("tril", m, k, lambda mask: mask)


def triu(m: TensorLike, k: int = 0) -> Tensor:
    """0 below the k-th diagonal of each matrix in the last two axes, `m` on and above it.

    >>> tg.triu(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [0., 4.]])
    >>> tg.grad(lambda x: tg.triu(x).sum())(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 1.],
           [0., 1.]])
    """
    return _where_triangle("triu", m, k - 1, np.logical_not)


def _where_triangle(name: str, x: TensorLike, k: int, choose: Callable[[Array], Array]) -> Tensor:
    array = value(x)
    if array.ndim < 1:
        raise ShapeError(f"{name}: at least one axis is needed: {describe(array)}")
    rows = array.shape[-2] if array.ndim > 1 else array.shape[-1]
    return recorded.where(choose(np.tri(rows, array.shape[-1], k, dtype=bool)), x, np.zeros((), array.dtype))


def compress(condition: TensorLike, a: TensorLike, axis: int | None = None, out: None = None) -> Tensor:
    """The slices along `axis` for which `condition`, a vector, is true; elements of the flattened tensor without `axis`.

    >>> tg.compress([True, False, True], tg.tensor([1.0, 2.0, 3.0]))
    tensor([1., 3.])
    >>> tg.grad(lambda x: tg.compress([True, False, True], x).sum())(np.array([1.0, 2.0, 3.0]))
    array([1., 0., 1.])
    """
    refuse_out("compress", out)
    condition = value(condition)
    if condition.ndim != 1:
        raise ShapeError(f"compress: the condition is a vector: {describe(condition)}")
    if axis is None:
        a, axis = ravel(a), 0
    ids = np.flatnonzero(condition)
    axis = single_axis("compress", a, axis)
    if ids.size and ids[-1] >= like(a).shape[axis]:
        raise IndexError(f"compress: a condition of {describe(condition)} for axis {axis}: {describe(like(a))}")
    return along(a, ids, axis)


def extract(condition: TensorLike, arr: TensorLike) -> Tensor:
    """The elements of `arr` where `condition` is true, along one axis.

    >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.extract(x > 1.5, x)
    tensor([2., 3., 4.])
    >>> tg.grad(lambda x: tg.extract(x > 1.5, x).sum())(np.array([1.0, 2.0, 3.0]))
    array([0., 1., 1.])
    """
    return compress(value(condition).ravel(), arr)


def select(condlist: Sequence[TensorLike], choicelist: Sequence[TensorLike], default: TensorLike = 0) -> Tensor:
    """For each element that of the first choice whose condition is true there, `default` where none is.

    Derivative: to each choice and to the default, d where it was chosen. ShapeError unless there are as many choices as
    conditions, DtypeError for conditions that are not boolean.

    >>> x = tg.tensor([-2.0, 0.5, 3.0])
    >>> tg.select([x < 0, x > 1], [-x, x ** 2])
    tensor([2., 0., 9.])
    >>> tg.grad(lambda x: tg.select([x < 0, x > 1], [-x, x ** 2]).sum())(np.array([-2.0, 0.5, 3.0]))
    array([-1.,  0.,  6.])
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(f"select: {len(condlist)} conditions for {len(choicelist)} choices; at least one of each is needed")
    z = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        if like(condition).dtype != bool:
            raise DtypeError(f"select: a condition of {like(condition).dtype}; booleans are needed")
        z = recorded.where(condition, choice, z)
    return as_tensor(z)


def choose(a: TensorLike, choices: Sequence[TensorLike], out: None = None, mode: str = "raise") -> Tensor:
    """choices[a[i]][i] for every index i, all broadcast against each other. `mode` as in `take`.

    Derivative: to each choice, d where it was chosen.

    >>> tg.choose(np.array([0, 1, 0]), [tg.tensor([1.0, 2.0, 3.0]), 10.0])
    tensor([ 1., 10.,  3.])
    >>> tg.grad(lambda x: tg.choose(np.array([0, 1, 0]), [x, 10.0]).sum())(np.array([1.0, 2.0, 3.0]))
    array([1., 0., 1.])
    """
    refuse_out("choose", out)
    ids = _within("choose", _integers("choose", a), len(choices), mode)
    shape = np.broadcast_shapes(ids.shape, *[like(choice).shape for choice in choices])
    z = broadcast_to(choices[0], shape)
    for k, choice in enumerate(choices[1:], 1):
        z = recorded.where(np.equal(ids, k), choice, z)
    return z


def nonzero(a: TensorLike) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0: a tuple of constants, one per axis.

    >>> tg.nonzero(tg.tensor([[0.0, 2.0], [3.0, 0.0]]))
    (tensor([0, 1], dtype=int64), tensor([1, 0], dtype=int64))
    """
    return tuple([Tensor(ids) for ids in np.nonzero(value(a))])


def flatnonzero(a: TensorLike) -> Tensor:
    """The positions in the flattened tensor of the elements that are not 0: a constant.

    >>> tg.flatnonzero(tg.tensor([[0.0, 2.0], [3.0, 0.0]]))
    tensor([1, 2], dtype=int64)
    """
    return Tensor(np.flatnonzero(value(a)))


def argwhere(a: TensorLike) -> Tensor:
    """The indices of the elements that are not 0, one per row: a constant.

    >>> tg.argwhere(tg.tensor([[0.0, 2.0], [3.0, 0.0]]))
    tensor([[0, 1],
            [1, 0]], dtype=int64)
    """
    return Tensor(np.argwhere(value(a)))


def full_like(a: TensorLike, fill_value: TensorLike, dtype: DTypeLike | None = None, order: _Order = "K", subok: bool = True,
              shape: Shape | None = None) -> Tensor:
    """A constant of the shape and dtype of `a`, or of those given, filled with one value.

    GradientError for a fill_value that requires a gradient.

    >>> tg.full_like(tg.tensor([1.0, 2.0]), 7.0)
    tensor([7., 7.])
    """
    return Tensor(np.full_like(value(a), constant("full_like", fill_value), dtype, order, subok, shape))


def empty_like(prototype: TensorLike, /, dtype: DTypeLike | None = None, order: _Order = "K", subok: bool = True,
               shape: Shape | None = None) -> Tensor:
    """A constant of the shape and dtype of `prototype`, or of those given, whose elements are not set.

    >>> tg.empty_like(tg.tensor([1.0, 2.0])).shape
    (2,)
    """
    return Tensor(np.empty_like(like(prototype), dtype, order, subok, shape))


def _integers(name: str, indices: TensorLike) -> Array:
    ids = value(indices)
    if ids.size == 0:
        ids = ids.astype(np.intp)
    if ids.dtype.kind not in "iu":
        raise DtypeError(f"{name}: indices of {ids.dtype}; integers are needed")
    return ids


def _within(name: str, ids: Array, n: int, mode: str) -> Array:
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
