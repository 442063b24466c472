"""Writing into a tensor, under NumPy's names: the tensor becomes the result, as x[index] = y makes it (functions/indexing.py).

Derivative: to what is written, d where it stands; to the tensor, d elsewhere. DtypeError where an array is to be written
into, for a tensor would lose its gradient there; GradientError for a leaf that requires a gradient.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import as_tensor, like, single_axis, value
from tapegrad.functions.elementwise import astype
from tapegrad.functions.indexing import getitem, setitem
from tapegrad.functions.shaping import broadcast_to, ravel
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


def _target(name: str, x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise DtypeError(f"{name}: a tensor cannot be written into {describe(x)}; make that a tensor, tg.tensor(..)")
    return x


def _write(x: Tensor, places: Array, y: TensorLike) -> None:
    """Write the flat y, repeated as often as needed, to these places of the flattened x."""
    if places.size and like(y).size:
        flat = ravel(as_tensor(y))
        setitem(x, np.unravel_index(places, x.shape), astype(getitem(flat, np.arange(places.size) % flat.size), x.dtype))


def put(a: Tensor, ind: TensorLike, v: TensorLike, mode: Literal["raise", "wrap", "clip"] = "raise") -> None:
    """Write v, repeated where it is too short, to the places `ind` of the flattened tensor. `mode` as in take.

    >>> x = tg.tensor([1.0, 2.0, 3.0])
    >>> tg.put(x, [0, 2], [7.0, 9.0])
    >>> x
    tensor([7., 2., 9.])
    """
    x, places = _target("put", a), np.ravel(value(ind))
    places = places.astype(np.intp) if places.size == 0 else places
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"put: mode={mode!r}; it is 'raise', 'wrap' or 'clip'")
    if mode == "clip":
        places = np.clip(places, 0, x.size - 1)
    elif mode == "raise" and places.size and not (-x.size <= places.min() and places.max() < x.size):
        raise IndexError(f"put: places from {places.min()} to {places.max()} of {x.size}")
    _write(x, places % max(x.size, 1), v)


def putmask(a: Tensor, /, mask: TensorLike, values: TensorLike) -> None:
    """Write values[i] to each place i of the flattened tensor where the mask is true; i starts again where they end.

    >>> x = tg.tensor([1.0, 2.0, 3.0])
    >>> tg.putmask(x, x > 1.5, [10.0, 20.0])
    >>> x
    tensor([ 1., 20., 10.])
    """
    x, chosen = _target("putmask", a), np.flatnonzero(_mask("putmask", a, mask))
    if like(values).size:
        _write(x, chosen, getitem(ravel(as_tensor(values)), chosen % like(values).size))


def place(arr: Tensor, mask: TensorLike, vals: TensorLike) -> None:
    """Write the first of `vals` to the first place where the mask is true, the second to the second, and so on.

    >>> x = tg.tensor([1.0, 2.0, 3.0])
    >>> tg.place(x, x > 1.5, [10.0, 20.0])
    >>> x
    tensor([ 1., 10., 20.])
    """
    x, chosen = _target("place", arr), np.flatnonzero(_mask("place", arr, mask))
    if chosen.size and not like(vals).size:
        raise ShapeError("place: there is nothing to write")
    _write(x, chosen, vals)


def _mask(name: str, x: Tensor, mask: TensorLike) -> Array:
    if like(mask).size != x.size:
        raise ShapeError(f"{name}: a mask {describe(like(mask))} for {describe(x)}")
    return value(mask).astype(bool)


def put_along_axis(arr: Tensor, indices: TensorLike, values: TensorLike, axis: int | None) -> None:
    """For each vector along `axis`, write `values` to the positions that `indices` has there: what take_along_axis reads.

    >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.put_along_axis(x, np.array([[1], [0]]), 9.0, 1)
    >>> x
    tensor([[1., 9.],
            [9., 4.]])
    """
    x, ids = _target("put_along_axis", arr), value(indices)
    if axis is None:
        if ids.ndim != 1:
            raise ShapeError(f"put_along_axis: indices {describe(ids)} for the flattened tensor; a vector is needed")
        setitem(x, np.unravel_index(ids, x.shape), values)
        return
    axis = single_axis("put_along_axis", x, axis)
    if ids.ndim != x.ndim:
        raise ShapeError(f"put_along_axis: indices {describe(ids)} for {describe(x)}; as many axes are needed")
    grid: list[Any] = list(np.ogrid[tuple([slice(n) for n in x.shape])])
    grid[axis] = ids
    setitem(x, tuple(grid), values)


def fill_diagonal(a: Tensor, val: TensorLike, wrap: bool = False) -> None:
    """Write `val`, repeated where it is too short, to the main diagonal; with wrap=True, again below in a tall matrix.

    >>> x = tg.zeros((2, 2))
    >>> tg.fill_diagonal(x, [1.0, 2.0])
    >>> x
    tensor([[1., 0.],
            [0., 2.]])
    """
    x = _target("fill_diagonal", a)
    if x.ndim < 2 or x.ndim > 2 and len(set(x.shape)) > 1:
        raise ShapeError(f"fill_diagonal: {describe(x)}; at least two axes, and more of one length, are needed")
    counted = np.zeros(x.shape, bool)
    np.fill_diagonal(counted, True, wrap)
    _write(x, np.flatnonzero(counted), val)


def copyto(dst: Tensor, src: TensorLike, casting: Any = "same_kind", where: TensorLike = True) -> None:
    """Write `src`, broadcast to the shape of the tensor, where the condition is true. TypeError for a cast that is not allowed.

    >>> x = tg.tensor([1.0, 2.0, 3.0])
    >>> tg.copyto(x, 0.0, where=x > 1.5)
    >>> x
    tensor([1., 0., 0.])
    """
    x = _target("copyto", dst)
    kind = like(src).dtype
    if type(src) not in (int, float, bool, complex) and not np.can_cast(kind, x.dtype, casting):
        raise DtypeError(f"copyto: {kind} into {describe(x)}, which casting={casting!r} does not allow")
    mask = np.broadcast_to(value(where), x.shape)
    setitem(x, mask, getitem(broadcast_to(as_tensor(src), x.shape), mask))
