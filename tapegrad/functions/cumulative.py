"""Running sums and products, differences and their inverse, along one axis, under NumPy's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.core.record import holds_tensors, recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import as_tensor, constant, derived, like, normalized_axis, refuse_out, single_axis
from tapegrad.functions.axes import part
from tapegrad.functions.elementwise import add, astype, divide, multiply, not_equal, positive, subtract
from tapegrad.functions.joining import concatenate
from tapegrad.functions.shaping import broadcast_to, ravel, reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, Axis, DTypeLike, TensorLike


def cumsum(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None) -> Tensor:
    """The running sum along `axis`, or of the flattened tensor: z[i] = a[0] + .. + a[i].

    Derivative: the running sum of d from the end.

    >>> tg.cumsum(tg.tensor([1.0, 2.0, 3.0]))
    tensor([1., 3., 6.])
    >>> tg.grad(lambda x: tg.cumsum(x).sum())(np.array([1.0, 2.0, 3.0]))
    array([3., 2., 1.])
    """
    return _running("cumsum", recorded.cumsum, a, axis, dtype, out)


def cumprod(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None) -> Tensor:
    """The running product along `axis`, or of the flattened tensor: z[i] = a[0] .. a[i].

    Derivative: to a[j], the sum over i >= j of d[i] times the product of a[0] .. a[i] without a[j], right also with zeros.

    >>> tg.cumprod(tg.tensor([1.0, 2.0, 3.0]))
    tensor([1., 2., 6.])
    >>> tg.grad(lambda x: tg.cumprod(x).sum())(np.array([1.0, 0.0, 3.0]))
    array([1., 4., 0.])
    """
    return _running("cumprod", recorded.cumprod, a, axis, dtype, out)


def _running(name: str, row: Callable[..., Tensor], x: TensorLike, axis: int | None, dtype: DTypeLike | None,
             out: None) -> Tensor:
    refuse_out(name, out)
    x = x if dtype is None else astype(x, dtype)
    if axis is None:
        x, axis = ravel(x), 0
    return row(x, single_axis(name, x, axis))


def cumulative_sum(x: TensorLike, /, *, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None,
                   include_initial: bool = False) -> Tensor:
    """cumsum of the array API: `axis` may be left out for a vector only (ShapeError); include_initial puts a 0 in front.

    >>> tg.cumulative_sum(tg.tensor([1.0, 2.0, 3.0]), include_initial=True)
    tensor([0., 1., 3., 6.])
    >>> tg.grad(lambda x: tg.cumulative_sum(x).sum())(np.array([1.0, 2.0, 3.0]))
    array([3., 2., 1.])
    """
    return _initial("cumulative_sum", cumsum, 0, x, axis, dtype, out, include_initial)


def cumulative_prod(x: TensorLike, /, *, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None,
                    include_initial: bool = False) -> Tensor:
    """cumprod of the array API: `axis` may be left out for a vector only (ShapeError); include_initial puts a 1 in front.

    >>> tg.cumulative_prod(tg.tensor([2.0, 3.0, 4.0]), include_initial=True)
    tensor([ 1.,  2.,  6., 24.])
    >>> tg.grad(lambda x: tg.cumulative_prod(x).sum())(np.array([2.0, 3.0, 4.0]))
    array([16., 10.,  6.])
    """
    return _initial("cumulative_prod", cumprod, 1, x, axis, dtype, out, include_initial)


def _initial(name: str, running: Callable[..., Tensor], first: int, x: TensorLike, axis: int | None, dtype: DTypeLike | None,
             out: None, include_initial: bool) -> Tensor:
    if axis is None and like(x).ndim != 1:
        raise ShapeError(f"{name}: which axis? {describe(like(x))}")
    axis = single_axis(name, x, axis or 0)
    z = running(x, axis, dtype, out)
    if not include_initial:
        return z
    shape = like(z).shape
    return concatenate([np.full((*shape[:axis], 1, *shape[axis + 1:]), first, like(z).dtype), z], axis)


def unwrap(p: TensorLike, discont: float | None = None, axis: int = -1, *, period: float = 2 * np.pi) -> Tensor:
    """Angles without their jumps: a multiple of the period is added where two neighbours along `axis` differ by more than
    `discont`, half a period by default. Derivative: d.

    >>> tg.unwrap(tg.tensor([350.0, 355.0, 2.0]), period=360)
    tensor([350., 355., 362.])
    >>> tg.grad(lambda p: tg.unwrap(p, period=360).sum())(np.array([350.0, 355.0, 2.0]))
    array([1., 1., 1.])
    """
    return add(p, derived("unwrap", lambda p: np.subtract(np.unwrap(p, discont, axis, period=period), p), p))


def diff(a: TensorLike, n: int = 1, axis: int = -1, prepend: TensorLike | None = None,
         append: TensorLike | None = None) -> Tensor:
    """a[1:] - a[:-1] along `axis`, n times over, after `prepend` and `append` were joined to its ends.

    ValueError for n < 0, ShapeError for a scalar. Linear: to each element, d as many times as it was added, less d as
    many times as it was subtracted.

    >>> tg.diff(tg.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    >>> tg.diff(tg.tensor([1.0, 4.0, 9.0]), n=2, prepend=0.0)
    tensor([2., 2.])
    >>> tg.grad(lambda x: tg.diff(x).sum())(np.array([1.0, 4.0, 9.0]))
    array([-1.,  0.,  1.])
    """
    if n < 0:
        raise ValueError(f"diff: n={n}; the number of differences is at least 0")
    if like(a).ndim == 0:
        raise ShapeError(f"diff: an operand with an axis is needed: {describe(like(a))}")
    axis, shape = single_axis("diff", a, axis), like(a).shape
    ends = [end if end is None or like(end).ndim else broadcast_to(_beside(a, end), shape[:axis] + (1,) + shape[axis + 1:])
            for end in (prepend, append)]
    if n and (prepend is not None or append is not None):
        a = concatenate([end for end in (ends[0], a, ends[1]) if end is not None], axis)
    step = not_equal if like(a).dtype == bool else subtract
    for _ in range(n):
        a = step(part(a, axis, 1, None), part(a, axis, None, -1))
    return as_tensor(a) if n else positive(a)


def ediff1d(ary: TensorLike, to_end: TensorLike | None = None, to_begin: TensorLike | None = None) -> Tensor:
    """The differences of the flattened tensor, with `to_begin` in front of them and `to_end` behind. Derivative as of diff.

    >>> tg.ediff1d(tg.tensor([1.0, 4.0, 9.0]), to_end=[0.0])
    tensor([3., 5., 0.])
    >>> tg.grad(lambda x: tg.ediff1d(x).sum())(np.array([1.0, 4.0, 9.0]))
    array([-1.,  0.,  1.])
    """
    steps = diff(ravel(ary))
    if to_begin is None and to_end is None:
        return steps
    return concatenate([ravel(_like(ary, values)) for values in (to_begin, steps, to_end) if values is not None])


def _like(x: TensorLike, y: Any) -> TensorLike:
    """y, as an array of the dtype of x if it isn't one of its own."""
    if isinstance(y, Tensor) or holds_tensors(y):
        return as_tensor(y)
    if not np.can_cast(np.asarray(y).dtype, like(x).dtype, "same_kind"):
        raise DtypeError(f"ediff1d: ends {y!r} do not fit between elements of {describe(like(x))}; make these floats")
    return y if hasattr(y, "dtype") else np.asarray(y, like(x).dtype)


def _beside(x: TensorLike, y: Any) -> TensorLike:
    """y, a Python number in the dtype of x where that is a float one."""
    return np.asarray(y, like(x).dtype if type(y) in (int, float) and like(x).dtype.kind in "fc" else None) \
        if not isinstance(y, Tensor) else y


def trapezoid(y: TensorLike, x: TensorLike | None = None, dx: TensorLike = 1.0, axis: int = -1) -> Tensor:
    """The integral of y along `axis` by the trapezoidal rule: the sum of (y[i] + y[i+1]) / 2 (x[i+1] - x[i]).

    x   the points, a vector or of the shape of y; without them they are at the distance dx. Derivative: to y, x and dx.

    >>> tg.trapezoid(tg.tensor([1.0, 3.0, 5.0]), dx=0.5)
    tensor(3.)
    >>> tg.grad(lambda y: tg.trapezoid(y, [0.0, 1.0, 3.0]))(np.array([1.0, 3.0, 5.0]))
    array([0.5, 1.5, 1. ])
    """
    axis = single_axis("trapezoid", y, axis)
    if x is not None:
        dx = diff(x, axis=-1 if like(x).ndim == 1 else axis)
        if like(x).ndim == 1:
            dx = reshape(dx, (-1,) + (1,) * (like(y).ndim - axis - 1))
    both = add(part(y, axis, 1, None), part(y, axis, None, -1))
    return recorded.sum(multiply(multiply(both, dx), 0.5), (axis,), False)


def gradient(f: TensorLike, *varargs: TensorLike, axis: Axis = None,
             edge_order: int = 1) -> Any:
    """The slope of samples f along each axis, by second-order central differences inside and one-sided ones at the ends.

    varargs      the distances: one number for all axes, or one number or array of coordinates for each; constants
    axis         None for all axes, an int, or a tuple
    edge_order   1 or 2: the order of accuracy at the ends

    A tensor for one axis, a tuple of tensors for several, each of the shape of f. Linear in f. TypeError for another number of
    distances, ShapeError for coordinates of another length and for fewer than edge_order + 1 samples.

    >>> tg.gradient(tg.tensor([1.0, 2.0, 4.0, 8.0]))
    tensor([1. , 1.5, 3. , 4. ])
    >>> tg.grad(lambda f: tg.gradient(f, 0.5)[1])(np.array([1.0, 2.0, 4.0, 8.0]))
    array([-1.,  0.,  1.,  0.])
    """
    f = f if like(f).dtype.kind in "fc" else astype(f, float)
    axes = normalized_axis("gradient", f, axis)
    axes = tuple(range(like(f).ndim)) if axes is None else axes
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(f"gradient: {len(varargs)} distances for {len(axes)} axes")
    distances = varargs * len(axes) if len(varargs) == 1 and np.ndim(like(varargs[0])) == 0 else varargs
    if distances and len(distances) != len(axes):
        raise TypeError(f"gradient: {len(distances)} distances for {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order={edge_order}; it is 1 or 2")
    slopes = tuple(_slope(f, i, constant("gradient", h), edge_order) for i, h in zip(axes, distances or (1.0,) * len(axes)))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: TensorLike, axis: int, h: Array, edge_order: int) -> Tensor:
    n, kind = like(f).shape[axis], like(f).dtype
    h = h if h.dtype.kind in "fc" else h.astype(float)
    if n < edge_order + 1:
        raise ShapeError(f"gradient: {n} samples along axis {axis}; edge_order {edge_order} needs {edge_order + 1}: "
                         f"{describe(like(f))}")
    if h.ndim not in (0, 1) or h.ndim == 1 and len(h) != n:
        raise ShapeError(f"gradient: coordinates {describe(h)} for {n} samples along axis {axis}")
    steps = np.full(n - 1, h) if h.ndim == 0 else np.diff(h)
    tail = (1,) * (like(f).ndim - axis - 1)

    def rise(start: int, stop: int) -> Tensor:
        """The slopes of the segments start..stop, from each sample to the next."""
        gaps = steps[start:stop].astype(kind).reshape(-1, *tail)
        return divide(subtract(part(f, axis, start + 1, stop + 1), part(f, axis, start, stop)), gaps)

    before, after = (steps[i:n - 2 + i].astype(kind).reshape(-1, *tail) for i in (0, 1))
    parts = [rise(0, 1), rise(n - 2, n - 1)]
    if n > 2:
        slopes = rise(0, n - 1)
        first, second = part(slopes, axis, None, -1), part(slopes, axis, 1, None)
        inside = divide(add(multiply(first, after), multiply(second, before)), before + after)
        if edge_order == 2:
            for k, near, far in ((0, first, second), (-1, second, first)):
                end = slice(0, 1) if k == 0 else slice(n - 3, n - 2)
                near, far = part(near, axis, end.start, end.stop), part(far, axis, end.start, end.stop)
                own = (before if k == 0 else after)[end]
                other = (after if k == 0 else before)[end]
                parts[k] = add(near, multiply(subtract(near, far), own / (own + other)))
        parts.insert(1, inside)
    return concatenate(parts, axis)
