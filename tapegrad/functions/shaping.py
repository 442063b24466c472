"""Shapes and joining, under NumPy's names."""

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.functions.arguments import normalized_axis, single_axis, value
from tapegrad.record import recorded


def reshape(x, *shape):
    """The same elements in another shape; one length may be -1. `reshape(x, (2, 3))` or `reshape(x, 2, 3)`."""
    if len(shape) == 1:
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else (shape[0],)
    return recorded.reshape(x, shape)


def transpose(x, *axes):
    """The axes in reverse order, or in the order given: `transpose(x, (0, 2, 1))` or `transpose(x, 0, 2, 1)`."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = axes[0] or ()
    return recorded.transpose(x, normalized_axis("transpose", x, tuple(axes)) if axes else None)


def broadcast_to(x, shape):
    """x spread to `shape` by NumPy's rules. Derivative: d, summed over what was spread."""
    return recorded.broadcast_to(x, tuple(np.atleast_1d(shape).tolist()))


def concatenate(xs, axis=0):
    """The tensors joined along an axis that they have. Derivative: to each, its part of d."""
    xs = _sequence("concatenate", xs)
    return recorded.concatenate(xs, single_axis("concatenate", xs[0], axis))


def stack(xs, axis=0):
    """Tensors of one shape joined along a new axis. Derivative: to each, its slice of d."""
    xs = _sequence("stack", xs)
    ndim = np.ndim(value(xs[0])) + 1
    if not -ndim <= axis < ndim:
        raise ShapeError(f"stack: axis {axis} of a result with {ndim} axes")
    return recorded.stack(xs, axis % ndim)


def _sequence(name, xs):
    xs = tuple(xs)
    if not xs:
        raise ShapeError(f"{name}: there is nothing to join")
    return xs
