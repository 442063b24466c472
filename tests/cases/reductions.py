"""Rows of reductions, running sums and products, and order along an axis."""

import numpy as np

from cases.case import Case, distinct, real
from cases.core import AXES

ALONG = ((0,), (1,))
MATRIX = [((3, 4),), ((2, 1),), ((0, 3),)]


def _scan(x, a, axis):
    z = np.array(x)
    for i in range(1, x.shape[axis]):
        now, before = [(slice(None),) * axis + (k,) for k in (i, i - 1)]
        z[now] += a[now] * z[before]
    return z


def few_zeros(shape, seed):
    """A third are 0: some rows have none, some one, some more."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * (rng.random(size=shape) < 2 / 3)


def positions(shape, seed):
    return np.random.default_rng(seed).integers(0, 3, size=shape)


def _add_along_axis(d, i, n, axis):
    places = np.eye(n)[i]                               # one more axis: which of the n places
    return np.moveaxis(np.sum(np.moveaxis(np.expand_dims(d, -1) * places, axis, 0), axis=0), -1, axis)


def _moment(f):
    return lambda x, axis, ddof, keepdims: f(x, axis=axis, ddof=ddof, keepdims=keepdims)


MOMENTS = [(axis, ddof, keepdims) for axis, keepdims in AXES for ddof in (0, 1)]

CASES = [
    Case("prod", (few_zeros,), AXES, lambda x, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims),
         [((3, 4),), ((2, 1),), ((0, 3),), ((4, 5),)]),
    Case("var", (real,), MOMENTS, _moment(np.var), [((3, 4),), ((2, 3),)]),
    Case("std", (real,), MOMENTS, _moment(np.std), [((3, 4),), ((2, 3),)]),
    Case("cumsum", static=ALONG, shapes=MATRIX),
    Case("cumprod", (few_zeros,), ALONG, shapes=[*MATRIX, ((4, 5),)]),
    Case("scan", (real, few_zeros), ALONG, _scan, [((3, 4), (3, 4)), ((2, 1), (2, 1)), ((0, 3), (0, 3))]),
    Case("sort", (distinct,), ALONG, shapes=MATRIX),
    Case("take_along_axis", (real, positions), ALONG, shapes=[((3, 3), (3, 3)), ((0, 3), (0, 3))]),
    Case("add_along_axis", (real, positions), ((3, 0), (4, 1)), _add_along_axis, [((3, 4), (3, 4)), ((2, 1), (2, 1))]),
]

CONSTANT = [Case("argsort", (distinct,), ALONG, shapes=MATRIX)]
