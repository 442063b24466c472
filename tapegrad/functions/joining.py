"""Joining tensors, taking them apart, and making them larger or smaller, under NumPy's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any, Literal, TypeAlias

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import as_tensor, constant, like, refuse_out, single_axis, value
from tapegrad.functions.axes import along
from tapegrad.functions.elementwise import add, astype, positive
from tapegrad.functions.indexing import getitem
from tapegrad.functions.shaping import atleast_1d, atleast_2d, atleast_3d, broadcast_to, moveaxis, ravel
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import DTypeLike, TensorLike

_Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
_PAD_MODES = "constant", "edge", "reflect", "symmetric", "wrap"


def concatenate(arrays: Iterable[TensorLike], /, axis: int | None = 0, out: None = None, *, dtype: DTypeLike | None = None,
                casting: _Casting = "same_kind") -> Tensor:
    """The tensors joined along an axis that they have; axis=None joins them flattened. Derivative: to each, its part of d.

    dtype     of the result, by default that to which the dtypes of the tensors promote
    casting   which conversions to `dtype` are allowed, as numpy.can_cast says; TypeError for others

    >>> tg.concatenate([tg.tensor([1.0, 2.0]), tg.tensor([3.0])])
    tensor([1., 2., 3.])
    >>> tg.grad(lambda x: (tg.concatenate([x, x]) * [1.0, 2.0, 3.0, 4.0]).sum())(np.array([1.0, 2.0]))
    array([4., 6.])
    """
    operands = _sequence("concatenate", arrays)
    if out is not None or dtype is not None:
        operands = _converted("concatenate", operands, out, dtype, casting)
    if axis is None:
        operands, axis = tuple([ravel(x) for x in operands]), 0
    return recorded.concatenate(operands, single_axis("concatenate", operands[0], axis))


concat = concatenate


def stack(arrays: Iterable[TensorLike], axis: int = 0, out: None = None, *, dtype: DTypeLike | None = None,
          casting: _Casting = "same_kind") -> Tensor:
    """Tensors of one shape joined along a new axis. Derivative: to each, its slice of d.

    `dtype` and `casting` as in concatenate. ShapeError for different shapes and for an axis that is not there.

    >>> tg.stack([tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0])], axis=1)
    tensor([[1., 3.],
            [2., 4.]])
    >>> tg.grad(lambda x: (tg.stack([x, x]) * [[1.0], [2.0]]).sum())(np.array([1.0, 2.0]))
    array([3., 3.])
    """
    operands = _sequence("stack", arrays)
    if out is not None or dtype is not None:
        operands = _converted("stack", operands, out, dtype, casting)
    ndim = np.ndim(like(operands[0])) + 1
    if not -ndim <= axis < ndim:
        raise ShapeError(f"stack: axis {axis} of a result with {ndim} axes")
    return recorded.stack(operands, axis % ndim)


def vstack(tup: Iterable[TensorLike], *, dtype: DTypeLike | None = None, casting: _Casting = "same_kind") -> Tensor:
    """Joined along the first axis, vectors as rows.

    >>> tg.vstack([tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0])])
    tensor([[1., 2.],
            [3., 4.]])
    """
    return concatenate([atleast_2d(x) for x in tup], 0, dtype=dtype, casting=casting)


def hstack(tup: Iterable[TensorLike], *, dtype: DTypeLike | None = None, casting: _Casting = "same_kind") -> Tensor:
    """Joined along the second axis; vectors along their only one.

    >>> tg.hstack([tg.tensor([[1.0], [2.0]]), tg.tensor([[3.0], [4.0]])])
    tensor([[1., 3.],
            [2., 4.]])
    """
    operands = [atleast_1d(x) for x in tup]
    return concatenate(operands, 0 if operands and like(operands[0]).ndim == 1 else 1, dtype=dtype, casting=casting)


def dstack(tup: Iterable[TensorLike]) -> Tensor:
    """Joined along the third axis; (n,) counts as (1, n, 1), (m, n) as (m, n, 1).

    >>> tg.dstack([tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0])])
    tensor([[[1., 3.],
             [2., 4.]]])
    """
    return concatenate([atleast_3d(x) for x in tup], 2)


def column_stack(tup: Iterable[TensorLike]) -> Tensor:
    """Vectors as columns, and matrices as they are, side by side.

    >>> tg.column_stack([tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0])])
    tensor([[1., 3.],
            [2., 4.]])
    """
    return concatenate([recorded.reshape(x, (-1, 1)) if like(x).ndim < 2 else x for x in tup], 1)


def block(arrays: Any) -> Tensor:
    """Nested lists of parts put together: the innermost lists along the last axis, the next along the one before, ..

    ShapeError where the nested lists are not all equally deep, or one is empty. Derivative: to each part, its d.

    >>> tg.block([[tg.eye(2), tg.zeros((2, 1))], [tg.ones((1, 2)), 5.0]])
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [1., 1., 5.]])
    """
    def depth(part: Any) -> int:
        return 1 + max(map(depth, part), default=0) if isinstance(part, list) else 0

    def parts(part: Any) -> list[Any]:
        return [one for inner in part for one in parts(inner)] if isinstance(part, list) else [part]

    levels = depth(arrays)
    ndim = max([levels, *[like(part).ndim for part in parts(arrays)]])
    beside = next((part for part in parts(arrays) if hasattr(part, "dtype")), None)

    def join(part: Any, level: int) -> Tensor:
        if level == 0:
            return recorded.reshape(as_tensor(part, beside), (1,) * (ndim - like(part).ndim) + like(part).shape)
        if not isinstance(part, list) or not part:
            raise ShapeError(f"block: the nested lists are not all {levels} deep, or one is empty")
        return concatenate([join(inner, level - 1) for inner in part], -level)

    return join(arrays, levels)


def unstack(x: TensorLike, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of x along `axis`, without it: a tuple.

    >>> tg.unstack(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    (tensor([1., 2.]), tensor([3., 4.]))
    """
    axis = single_axis("unstack", x, axis)
    return tuple([getitem(x, (slice(None),) * axis + (i,)) for i in range(like(x).shape[axis])])


def append(arr: TensorLike, values: TensorLike, axis: int | None = None) -> Tensor:
    """`values` after `arr` along `axis`; both flattened where axis is None. Derivative: to each, its part of d.

    >>> tg.append(tg.tensor([1.0, 2.0]), 3.0)
    tensor([1., 2., 3.])
    >>> tg.grad(lambda x: (tg.append(x, 3.0) ** 2).sum())(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    beside: Any = value(arr)
    return concatenate([arr, as_tensor(values, beside)], axis)


def array_split(ary: TensorLike, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """A list of parts along `axis`: as many as the int says, the first ones longer by 1; or cut before each index.

    >>> tg.array_split(tg.tensor([1.0, 2.0, 3.0]), 2)
    [tensor([1., 2.]), tensor([3.])]
    """
    axis = single_axis("array_split", ary, axis)
    length = like(ary).shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [index(i) for i in value(indices_or_sections)]
    else:
        sections = index(indices_or_sections)
        if sections <= 0:
            raise ShapeError(f"array_split: {sections} sections; at least one is needed")
        each, longer = divmod(length, sections)
        cuts = [i * each + min(i, longer) for i in range(1, sections)]
    before = (slice(None),) * axis
    return [recorded.getitem(ary, (*before, slice(start, stop))) for start, stop in zip([0, *cuts], [*cuts, length])]


def split(ary: TensorLike, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """A list of parts along `axis`: as many equal ones as the int says, or cut before each index. ShapeError where the int does
    not divide the length.

    >>> tg.split(tg.tensor([1.0, 2.0, 3.0, 4.0]), 2)
    [tensor([1., 2.]), tensor([3., 4.])]
    >>> tg.split(tg.tensor([1.0, 2.0, 3.0, 4.0]), [1])
    [tensor([1.]), tensor([2., 3., 4.])]
    """
    length = like(ary).shape[single_axis("split", ary, axis)]
    if np.ndim(indices_or_sections) == 0 and (indices_or_sections <= 0 or length % indices_or_sections):
        raise ShapeError(f"split: {indices_or_sections} equal parts of axis {axis}: {describe(like(ary))}; see array_split")
    return array_split(ary, indices_or_sections, axis)


def hsplit(ary: TensorLike, indices_or_sections: Any) -> list[Tensor]:
    """split along the second axis; a vector along its only one.

    >>> tg.hsplit(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), 2)
    [tensor([[1.],
            [3.]]), tensor([[2.],
            [4.]])]
    """
    return split(ary, indices_or_sections, 0 if like(ary).ndim == 1 else 1)


def vsplit(ary: TensorLike, indices_or_sections: Any) -> list[Tensor]:
    """split along the first axis of at least two.

    >>> tg.vsplit(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), 2)
    [tensor([[1., 2.]]), tensor([[3., 4.]])]
    """
    return _split_with(2, "vsplit", ary, indices_or_sections, 0)


def dsplit(ary: TensorLike, indices_or_sections: Any) -> list[Tensor]:
    """split along the third axis.

    >>> tg.dsplit(tg.tensor([[[1.0, 2.0]]]), 2)
    [tensor([[[1.]]]), tensor([[[2.]]])]
    """
    return _split_with(3, "dsplit", ary, indices_or_sections, 2)


def _split_with(ndim: int, name: str, x: TensorLike, indices_or_sections: Any, axis: int) -> list[Tensor]:
    if like(x).ndim < ndim:
        raise ShapeError(f"{name}: at least {ndim} axes are needed: {describe(like(x))}")
    return split(x, indices_or_sections, axis)


def tile(A: TensorLike, reps: int | Sequence[int]) -> Tensor:
    """`A` repeated as a block, reps[i] times along axis i. Derivative: d, summed over the blocks.

    ShapeError for a negative number of repetitions.

    >>> tg.tile(tg.tensor([1.0, 2.0]), 2)
    tensor([1., 2., 1., 2.])
    >>> tg.grad(lambda x: tg.tile(x, (3, 2)).sum())(np.array([1.0, 2.0]))
    array([6., 6.])
    """
    reps = tuple(np.atleast_1d(reps).tolist())
    shape = like(A).shape
    reps, shape = (1,) * (len(shape) - len(reps)) + reps, (1,) * (len(reps) - len(shape)) + shape
    if min(reps) < 0:
        raise ShapeError(f"tile: a negative number of repetitions in {reps}")
    blocks = recorded.reshape(A, tuple([n for length in shape for n in (1, length)]))
    blocks = recorded.broadcast_to(blocks, tuple([n for pair in zip(reps, shape) for n in pair]))
    return recorded.reshape(blocks, tuple([rep * length for rep, length in zip(reps, shape)]))


def repeat(a: TensorLike, repeats: TensorLike, axis: int | None = None) -> Tensor:
    """Each element along `axis` (of the flattened tensor where None) `repeats` times: an int, or one for each element.

    Derivative: to each element, the sum of d over its repetitions. ShapeError for negative counts or another number of them.

    >>> tg.repeat(tg.tensor([1.0, 2.0]), 2)
    tensor([1., 1., 2., 2.])
    >>> tg.grad(lambda x: tg.repeat(x, [1, 3]).sum())(np.array([1.0, 2.0]))
    array([1., 3.])
    """
    if axis is None:
        a, axis = ravel(a), 0
    axis = single_axis("repeat", a, axis)
    shape = like(a).shape
    repeats = value(repeats)
    if repeats.ndim > 1 or repeats.size not in (1, shape[axis]) or repeats.dtype.kind not in "biu" or (repeats < 0).any():
        raise ShapeError(f"repeat: repeats {describe(repeats)} for axis {axis}: {describe(like(a))}; it is one count >= 0, or "
                         "one for each element")
    if repeats.size == 1:
        count, after = int(repeats.item()), axis + 1
        spread = recorded.reshape(a, (*shape[:after], 1, *shape[after:]))
        spread = recorded.broadcast_to(spread, (*shape[:after], count, *shape[after:]))
        return recorded.reshape(spread, (*shape[:axis], shape[axis] * count, *shape[after:]))
    return along(a, np.repeat(np.arange(shape[axis]), repeats), axis)


def pad(array: TensorLike, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Tensor:
    """The array with elements before and after along each axis.

    pad_width         an int; (before, after); or one such pair for each axis
    mode              "constant", "edge", "reflect", "symmetric" or "wrap", as in numpy.pad
    constant_values   what to pad with, shaped as pad_width

    Derivative: each element gets d of every place where it stands. ValueError for another mode, ShapeError for a pad_width
    that is negative or of another shape.

    >>> tg.pad(tg.tensor([1.0, 2.0]), (1, 2))
    tensor([0., 1., 2., 0., 0.])
    >>> tg.grad(lambda x: tg.pad(x, 1, mode="edge").sum())(np.array([1.0, 2.0, 3.0]))
    array([2., 1., 2.])
    """
    if mode not in _PAD_MODES:
        raise ValueError(f"pad: mode={mode!r}; it is one of {', '.join(_PAD_MODES)}")
    held = like(array)
    try:
        widths = np.broadcast_to(pad_width, (held.ndim, 2)).tolist()
        if mode != "constant":
            constant_values = 0
        constants = np.broadcast_to(constant("pad", constant_values), (held.ndim, 2))
    except ValueError as error:
        raise ShapeError(f"pad: pad_width={pad_width!r}, constant_values={constant_values!r}: {describe(held)}") from error
    if any(type(n) is not int or n < 0 for pair in widths for n in pair):
        raise ShapeError(f"pad: pad_width={pad_width!r}; integers >= 0 are needed")
    if mode == "constant":
        inside = tuple([slice(before, before + n) for n, (before, _) in zip(held.shape, widths)])
        shape = tuple([n + sum(pair) for n, pair in zip(held.shape, widths)])
        z: Tensor = recorded.scatter(array, inside, shape)
        if not constants.any():
            return z
        around = np.pad(np.zeros(held.shape, held.dtype), widths, constant_values=[tuple(pair) for pair in constants])
        return add(z, around)
    for axis, pair in enumerate(widths):
        if any(pair):
            try:
                array = along(array, np.pad(np.arange(held.shape[axis]), pair, mode), axis)
            except ValueError as error:
                raise ShapeError(f"pad: {error}: {describe(held)}") from error
    return as_tensor(array) if any(map(any, widths)) else positive(array)


def insert(arr: TensorLike, obj: Any, values: TensorLike, axis: int | None = None) -> Tensor:
    """`arr` with `values` before the places `obj` (an int, a slice, a sequence) along `axis`; flattened where None.

    The values are converted to the dtype of `arr`. Derivative: to `arr` and to the values, their part of d.

    >>> tg.insert(tg.tensor([1.0, 2.0]), 1, 5.0)
    tensor([1., 5., 2.])
    >>> tg.grad(lambda x: (tg.insert(x, 1, 5.0) ** 2).sum())(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = single_axis("insert", arr, axis)
    values = astype(as_tensor(values), like(arr).dtype)
    shape = like(arr).shape
    places = np.arange(shape[axis])[obj] if isinstance(obj, slice) else value(obj)
    places = places.astype(np.intp) if places.size == 0 else places
    if places.size == 1:                                # all values go before the one place
        values = recorded.reshape(values, (1,) * (len(shape) - like(values).ndim) + like(values).shape)
        if places.ndim == 0:
            values = moveaxis(values, 0, axis)
        count = like(values).shape[axis]
        where = np.full(count, places.item())
    else:
        count, where = places.size, places
    values = broadcast_to(values, (*shape[:axis], count, *shape[axis + 1:]))
    try:
        order = np.insert(np.arange(shape[axis]), where, np.arange(count) + shape[axis])
    except (ValueError, IndexError) as error:
        raise type(error)(f"insert: {error}: {describe(like(arr))}") from error
    return along(recorded.concatenate((arr, values), axis), order, axis)


def delete(arr: TensorLike, obj: Any, axis: int | None = None) -> Tensor:
    """`arr` without the elements at `obj` (an int, a slice, a sequence, a mask) along `axis`; flattened where None.

    >>> tg.delete(tg.tensor([1.0, 2.0, 3.0]), 1)
    tensor([1., 3.])
    >>> tg.grad(lambda x: tg.delete(x, 1).sum())(np.array([1.0, 2.0, 3.0]))
    array([1., 0., 1.])
    """
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = single_axis("delete", arr, axis)
    if not isinstance(obj, slice):
        obj = value(obj).astype(np.intp) if like(obj).size == 0 else value(obj)
    try:
        left = np.delete(np.arange(like(arr).shape[axis]), obj)
    except (ValueError, IndexError) as error:
        raise type(error)(f"delete: {error}: {describe(like(arr))}") from error
    return along(arr, left, axis)


def _sequence(name: str, arrays: Iterable[TensorLike]) -> tuple[TensorLike, ...]:
    operands = tuple(arrays)
    if not operands:
        raise ShapeError(f"{name}: there is nothing to join")
    return operands


def _converted(name: str, operands: tuple[TensorLike, ...], out: None, dtype: Any,
               casting: _Casting) -> tuple[TensorLike, ...]:
    refuse_out(name, out)
    for x in operands:
        if not np.can_cast(like(x).dtype, dtype, casting):
            raise DtypeError(f"{name}: {describe(like(x))} to {np.dtype(dtype)}, which casting={casting!r} does not allow")
    return tuple([x if like(x).dtype == dtype else astype(x, dtype) for x in operands])
