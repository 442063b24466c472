"""Reductions over axes. `axis` is None or a tuple of axes counted from 0, as functions.py hands it on."""

import math

import numpy as np

from tapegrad.primitives.registry import primitive


def kept(F, value, x_shape, axis, keepdims):
    """A result of reducing over `axis`, with the reduced axes put back as length 1, so that it broadcasts against x."""
    if keepdims:
        return value
    axes = range(len(x_shape)) if axis is None else axis
    return F.reshape(value, tuple(1 if i in axes else n for i, n in enumerate(x_shape)))


def _spread(F, d, x_shape, axis, keepdims):
    return F.broadcast_to(kept(F, d, x_shape, axis, keepdims), x_shape)


def _mean_dx(F, d, _z, x_shape, axis, keepdims):
    count = math.prod(x_shape if axis is None else [x_shape[i] for i in axis])
    return _spread(F, d / count, x_shape, axis, keepdims)


def _extremum_dx(F, d, z, x, axis, keepdims):
    """Ties share evenly."""
    chosen = F.astype(F.equal(x, kept(F, z, x.shape, axis, keepdims)), d.dtype)
    share = chosen / F.sum(chosen, axis, True)
    return kept(F, d, x.shape, axis, keepdims) * share


primitive("sum", lambda x, axis, keepdims: np.add.reduce(x, axis, None, None, keepdims),
          lambda F, d, _z, x_shape, axis, keepdims: _spread(F, d, x_shape, axis, keepdims))
primitive("mean", lambda x, axis, keepdims: np.mean(x, axis, keepdims=keepdims), _mean_dx)
primitive("max", lambda x, axis, keepdims: np.maximum.reduce(x, axis, None, None, keepdims), _extremum_dx)
primitive("min", lambda x, axis, keepdims: np.minimum.reduce(x, axis, None, None, keepdims), _extremum_dx)
primitive("argmax", lambda x, axis, keepdims: np.argmax(x, axis, keepdims=keepdims), None)
primitive("argmin", lambda x, axis, keepdims: np.argmin(x, axis, keepdims=keepdims), None)
