"""Shapes and joining: the same elements in another arrangement."""

import math

import numpy as np

from tapegrad.primitives.registry import LINEAR, primitive


def _broadcast_to(x, shape):
    if x.ndim == 0 and math.prod(shape) <= 4096:        # the delta of a small sum: a view takes four times as long
        z = np.empty(shape, x.dtype)
        z.fill(x)
        return z
    return np.broadcast_to(x, shape)


def _transpose_dx(F, d, _z, _x, axes):
    return F.transpose(d, None if axes is None else tuple(sorted(range(len(axes)), key=axes.__getitem__)))


def _stack(xs, axis):
    """np.stack, in half of its time."""
    index = (slice(None),) * axis + (None,)
    return np.concatenate([np.asarray(x)[index] for x in xs], axis)


def _concatenate_dx(i, F, d, _z, shapes, axis):
    start = sum(shape[axis] for shape in shapes[:i])
    return F.getitem(d, (slice(None),) * axis + (slice(start, start + shapes[i][axis]),))


primitive("alias", lambda x: x, lambda F, d, _z, _x: d, complex=LINEAR, view=True)
primitive("reshape", lambda x, shape: x.reshape(shape), lambda F, d, _z, x_shape, shape: F.reshape(d, x_shape),
          complex=LINEAR, view=True)
primitive("transpose", lambda x, axes: x.transpose(axes), _transpose_dx, complex=LINEAR, view=True)
primitive("broadcast_to", _broadcast_to, lambda F, d, _z, _x, shape: d, complex=LINEAR, view=True)
primitive("concatenate", np.concatenate, _concatenate_dx, variadic=True, complex=LINEAR)
primitive("stack", _stack, lambda i, F, d, _z, _xs, axis: F.getitem(d, (slice(None),) * axis + (i,)), variadic=True,
          complex=LINEAR)
primitive("roll", np.roll, lambda F, d, _z, _x, shift, axis: F.roll(d, tuple([-n for n in shift]), axis), complex=LINEAR)
