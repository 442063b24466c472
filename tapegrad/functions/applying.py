"""Functions applied to slices and to parts of a tensor, correlation, and what NumPy has beside: compositions, under NumPy's
names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, conjugated, like, normalized_axis, real_only, single_axis, value
from tapegrad.functions.convolution import convolve
from tapegrad.functions.elementwise import astype, zeros_like
from tapegrad.functions.indexing import getitem
from tapegrad.functions.joining import stack
from tapegrad.functions.selecting import take_along_axis
from tapegrad.functions.shaping import expand_dims, moveaxis, reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: TensorLike, *args: Any, **kwargs: Any) -> Tensor:
    """What func1d(vector, *args, **kwargs) makes of each vector along `axis`, with its axes in the place of that one.

    ShapeError where there is no vector. Derivative: that of func1d.

    >>> tg.apply_along_axis(lambda v: v[0] * v, 1, tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[ 1.,  2.],
            [ 9., 12.]])
    """
    axis = single_axis("apply_along_axis", arr, axis)
    rows = moveaxis(arr, axis, -1)
    around = rows.shape[:-1]
    found = [as_tensor(func1d(getitem(rows, index), *args, **kwargs)) for index in np.ndindex(around)]
    if not found:
        raise ShapeError(f"apply_along_axis: there is no vector along axis {axis} of {describe(rows)}")
    z = reshape(stack(found), (*around, *found[0].shape))
    places = tuple(range(found[0].ndim))
    return moveaxis(z, [len(around) + i for i in places], [axis + i for i in places])


def apply_over_axes(func: Callable[[Any, int], Any], a: TensorLike, axes: int | Sequence[int]) -> Tensor:
    """func(x, axis) for one axis after the other, each of which the result keeps with length 1 where func drops it.

    >>> tg.apply_over_axes(tg.sum, tg.tensor([[1.0, 2.0], [3.0, 4.0]]), [0, 1])
    tensor([[10.]])
    """
    z = as_tensor(a)
    for axis in normalized_axis("apply_over_axes", z, axes):
        ndim, z = z.ndim, as_tensor(func(z, axis))
        if z.ndim == ndim - 1:
            z = expand_dims(z, axis)
        if z.ndim != ndim:
            raise ShapeError(f"apply_over_axes: the function returned {describe(z)} for {ndim} axes; it may drop one axis")
    return z


def correlate(a: TensorLike, v: TensorLike, mode: str = "valid") -> Tensor:
    """z[k] = sum over n of a[n + k] conj(v[n]): the correlation of two vectors. See convolve for `mode`.

    >>> tg.correlate(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5]))
    tensor([3.5])
    """
    a, v = as_tensor(a), as_tensor(v)
    turned = getitem(conjugated(v), slice(None, None, -1))
    if mode == "same" and v.size > a.size:              # the middle is counted from the other end then
        return getitem(convolve(getitem(turned, slice(None, None, -1)), getitem(a, slice(None, None, -1)), mode),
                       slice(None, None, -1))
    return convolve(a, turned, mode)


def piecewise(x: TensorLike, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Tensor:
    """funclist[i](x[condlist[i]], *args, **kw) where condition i holds, 0 where none does; an item may be a number, too.

    One function more than conditions is for where none holds. Where several hold, the last one counts. In the dtype of x.

    >>> x = tg.tensor([-2.0, 0.5, 3.0])
    >>> tg.piecewise(x, [x < 0, x > 1], [lambda x: -x, lambda x: x ** 2, 7.0])
    tensor([2., 7., 9.])
    >>> tg.grad(lambda x: tg.piecewise(x, [x < 0], [lambda x: x ** 2]).sum())(np.array([-2.0, 3.0]))
    array([-4.,  0.])
    """
    x = as_tensor(x)
    if np.ndim(value(condlist)) == 0 or np.ndim(value(condlist[0])) == 0 and x.ndim:
        condlist = [condlist]
    conditions = [value(condition).astype(bool) for condition in condlist]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    if len(funclist) != len(conditions):
        raise ShapeError(f"piecewise: {len(conditions)} conditions and {len(funclist)} functions; as many are needed, or one "
                         "more")
    z = zeros_like(x)
    for condition, part in zip(conditions, funclist):
        if callable(part):
            chosen = getitem(x, condition)
            if not chosen.size:
                continue
            part = part(chosen, *args, **kw)
        z = recorded.setitem(z, astype(part, x.dtype), condition)
    return z


def trim_zeros(filt: TensorLike, trim: str = "fb", axis: Any = None) -> Tensor:
    """The part without the zeros at its front ("f" in `trim`) and back ("b"), along all axes or those given.

    >>> tg.trim_zeros(tg.tensor([0.0, 1.0, 0.0, 2.0, 0.0]))
    tensor([1., 0., 2.])
    """
    trim = trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"trim_zeros: trim={trim!r}; it is 'fb', 'f' or 'b'")
    held = value(filt)
    axes = normalized_axis("trim_zeros", filt, axis)
    places = np.argwhere(held)
    index = []
    for i, n in enumerate(held.shape):
        start, stop = (int(places[:, i].min()), int(places[:, i].max()) + 1) if len(places) else (n, n if trim == "f" else 0)
        if axes is not None and i not in axes:
            start, stop = 0, n
        index.append(slice(start if "f" in trim else 0, stop if "b" in trim else n))
    return getitem(filt, tuple(index))


def sort_complex(a: TensorLike) -> Tensor:
    """Sorted along the last axis by the real part, then the imaginary one, as complex numbers.

    >>> tg.sort_complex(tg.tensor([3.0, 1.0]))
    tensor([1.+0.j, 3.+0.j], dtype=complex128)
    """
    real_only("sort_complex", a)
    order = np.argsort(value(a), -1, kind="stable")
    kind = like(a).dtype
    return astype(take_along_axis(a, order, -1), kind if kind.kind == "c" else np.complex64 if kind.char in "bhBH" else complex)
