"""Running sums and products, differences and their inverse, along one axis, under NumPy's names."""

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import constant, normalized_axis, single_axis, value
from tapegrad.functions.elementwise import add, astype, divide, multiply, not_equal, subtract
from tapegrad.functions.joining import concatenate
from tapegrad.functions.reductions import checked
from tapegrad.functions.shaping import broadcast_to, ravel, reshape


def cumsum(x, axis=None, dtype=None, out=None):
    """The running sum along `axis`, or of the flattened tensor. Derivative: the running sum of d from the end."""
    return _running("cumsum", recorded.cumsum, x, axis, dtype, out)


def cumprod(x, axis=None, dtype=None, out=None):
    """The running product along `axis`, or of the flattened tensor. The derivative is right with zeros."""
    return _running("cumprod", recorded.cumprod, x, axis, dtype, out)


def _running(name, row, x, axis, dtype, out):
    checked(name, out)
    x = x if dtype is None else astype(x, dtype)
    if axis is None:
        x, axis = ravel(x), 0
    return row(x, single_axis(name, x, axis))


def cumulative_sum(x, *, axis=None, dtype=None, out=None, include_initial=False):
    """cumsum of the array API: `axis` may be left out for a vector only; include_initial puts a 0 in front."""
    return _initial("cumulative_sum", cumsum, 0, x, axis, dtype, out, include_initial)


def cumulative_prod(x, *, axis=None, dtype=None, out=None, include_initial=False):
    """cumprod of the array API: `axis` may be left out for a vector only; include_initial puts a 1 in front."""
    return _initial("cumulative_prod", cumprod, 1, x, axis, dtype, out, include_initial)


def _initial(name, running, first, x, axis, dtype, out, include_initial):
    if axis is None and value(x).ndim != 1:
        raise ShapeError(f"{name}: which axis? {describe(value(x))}")
    axis = single_axis(name, x, axis or 0)
    z = running(x, axis, dtype, out)
    if not include_initial:
        return z
    shape = value(z).shape
    return concatenate([np.full((*shape[:axis], 1, *shape[axis + 1:]), first, value(z).dtype), z], axis)


def unwrap(p, discont=None, axis=-1, *, period=2 * np.pi):
    """Angles without their jumps: a multiple of the period is added where two neighbours differ by more than `discont`,
    half a period by default. Derivative: d.
    """
    return add(p, np.subtract(np.unwrap(value(p), discont, axis, period=period), value(p)))


def part(x, axis, *bounds):
    """x[.., start:stop:step, ..] along one axis."""
    return recorded.getitem(x, (slice(None),) * axis + (slice(*bounds),))


def diff(x, n=1, axis=-1, prepend=None, append=None):
    """x[1:] - x[:-1] along `axis`, n times over, after `prepend` and `append` were joined to its ends."""
    if n < 0:
        raise ValueError(f"diff: n={n}; the number of differences is at least 0")
    if value(x).ndim == 0:
        raise ShapeError(f"diff: an operand with an axis is needed: {describe(value(x))}")
    axis, shape = single_axis("diff", x, axis), value(x).shape
    ends = [end if end is None or value(end).ndim else broadcast_to(_like(x, end), shape[:axis] + (1,) + shape[axis + 1:])
            for end in (prepend, append)]
    if n and (prepend is not None or append is not None):
        x = concatenate([end for end in (ends[0], x, ends[1]) if end is not None], axis)
    step = not_equal if value(x).dtype == bool else subtract
    for _ in range(n):
        x = step(part(x, axis, 1, None), part(x, axis, None, -1))
    return x


def ediff1d(x, to_end=None, to_begin=None):
    """The differences of the flattened tensor, with `to_begin` in front of them and `to_end` behind."""
    steps = diff(ravel(x))
    if to_begin is None and to_end is None:
        return steps
    return concatenate([ravel(_like(x, values)) for values in (to_begin, steps, to_end) if values is not None])


def _like(x, y):
    """y, as an array of the dtype of x if it isn't one of its own."""
    return y if hasattr(y, "dtype") else np.asarray(y, value(x).dtype)


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of y along `axis` by the trapezoidal rule, at the points x or at the distance dx."""
    axis = single_axis("trapezoid", y, axis)
    if x is not None:
        dx = diff(x, axis=-1 if value(x).ndim == 1 else axis)
        if value(x).ndim == 1:
            dx = reshape(dx, (-1,) + (1,) * (value(y).ndim - axis - 1))
    both = add(part(y, axis, 1, None), part(y, axis, None, -1))
    return recorded.sum(multiply(multiply(both, dx), 0.5), (axis,), False)


def gradient(f, *varargs, axis=None, edge_order=1):
    """The slope of samples f along each axis, by second-order central differences inside and one-sided ones at the ends.

    varargs      the distances: one number for all axes, or one number or array of coordinates for each; constants
    axis         None for all axes, an int, or a tuple
    edge_order   1 or 2: the order of accuracy at the ends

    A tensor for one axis, a tuple of tensors for several. Linear in f.
    """
    f = f if value(f).dtype.kind in "fc" else astype(f, float)
    axes = normalized_axis("gradient", f, axis)
    axes = tuple(range(value(f).ndim)) if axes is None else axes
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(f"gradient: {len(varargs)} distances for {len(axes)} axes")
    distances = varargs * len(axes) if len(varargs) == 1 and np.ndim(value(varargs[0])) == 0 else varargs
    if distances and len(distances) != len(axes):
        raise TypeError(f"gradient: {len(distances)} distances for {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order={edge_order}; it is 1 or 2")
    slopes = tuple(_slope(f, i, constant("gradient", h), edge_order) for i, h in zip(axes, distances or (1.0,) * len(axes)))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f, axis, h, edge_order):
    n, kind = value(f).shape[axis], value(f).dtype
    if n < edge_order + 1:
        raise ShapeError(f"gradient: {n} samples along axis {axis}; edge_order {edge_order} needs {edge_order + 1}: "
                         f"{describe(value(f))}")
    if h.ndim not in (0, 1) or h.ndim == 1 and len(h) != n:
        raise ShapeError(f"gradient: coordinates {describe(h)} for {n} samples along axis {axis}")
    steps = np.full(n - 1, h) if h.ndim == 0 else np.diff(h)
    tail = (1,) * (value(f).ndim - axis - 1)

    def rise(start, stop):
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
