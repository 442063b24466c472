"""Order along one axis: sorting, and taking elements at positions that other elements decide.

The positions are operands without a derivative, so a list that is evaluated again on other values sorts again.
"""

import numpy as np

from tapegrad.primitives.registry import LINEAR, primitive


def _sort_dx(F, d, _z, x, axis):
    inverse = F.argsort(F.argsort(x, axis), axis)
    return F.take_along_axis(d, inverse, axis)


def _add_along_axis(d, i, n, axis):
    """Zeros, n long along `axis`, with d added at the positions i; a position that comes twice gets both."""
    x = np.zeros(d.shape[:axis] + (n,) + d.shape[axis + 1:], d.dtype)
    places = list(np.indices(i.shape, sparse=True))
    places[axis] = i
    np.add.at(x, tuple(places), d)
    return x


primitive("argsort", lambda x, axis: np.argsort(x, axis, "stable"), None)
primitive("sort", lambda x, axis: np.sort(x, axis, "stable"), _sort_dx)
primitive("take_along_axis", lambda x, i, axis: np.take_along_axis(x, i, axis),
          lambda F, d, _z, x_shape, i, axis: F.add_along_axis(d, i, x_shape[axis], axis), None, complex=LINEAR, drops=True)
primitive("add_along_axis", _add_along_axis, lambda F, d, _z, _d, i, _n, axis: F.take_along_axis(d, i, axis), None,
          complex=LINEAR)
