"""Shapes and joining: the same elements in another arrangement."""

import numpy as np

from tapegrad.primitives.registry import primitive


def _transpose_dx(F, d, _z, _x, axes):
    return F.transpose(d, None if axes is None else tuple(sorted(range(len(axes)), key=axes.__getitem__)))


def _concatenate_dx(i, F, d, _z, shapes, axis):
    start = sum(shape[axis] for shape in shapes[:i])
    return F.getitem(d, (slice(None),) * axis + (slice(start, start + shapes[i][axis]),))


primitive("alias", lambda x: x, lambda F, d, _z, _x: d)
primitive("reshape", lambda x, shape: x.reshape(shape), lambda F, d, _z, x_shape, shape: F.reshape(d, x_shape))
primitive("transpose", lambda x, axes: x.transpose(axes), _transpose_dx)
primitive("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), lambda F, d, _z, _x, shape: d)
primitive("concatenate", np.concatenate, _concatenate_dx, variadic=True)
primitive("stack", np.stack, lambda i, F, d, _z, _xs, axis: F.getitem(d, (slice(None),) * axis + (i,)), variadic=True)
primitive("roll", np.roll, lambda F, d, _z, _x, shift, axis: F.roll(d, tuple([-n for n in shift]), axis))
