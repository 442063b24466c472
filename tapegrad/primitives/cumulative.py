"""Running sums and products along one axis.

The derivative of a running product may not divide by x, which can be 0. With s_k = d_k + x_(k+1) s_(k+1), counted down
from the end, it is (x_1 .. x_(k-1)) s_k, and s is a linear recurrence: the row `scan`, which is its own derivative.
"""

import numpy as np

from tapegrad.primitives.registry import HOLOMORPHIC, LINEAR, primitive


def reverse(F, x, axis):
    return F.getitem(x, (slice(None),) * axis + (slice(None, None, -1),))


def shift(F, x, axis, first):
    """x moved on by one along `axis`: its last element leaves, and the number `first` comes in front."""
    along = (slice(None),) * axis
    front = F.getitem(x, along + (slice(0, 1),))
    return F.concatenate((F.zeros_like(front) + first, F.getitem(x, along + (slice(None, -1),))), axis)


def _scan(x, a, axis):
    """z_0 = x_0, z_i = x_i + a_i z_(i-1) along `axis`."""
    z = x.astype(np.result_type(x, a))
    rows, steps = np.moveaxis(z, axis, 0), np.moveaxis(a, axis, 0)
    for i in range(1, len(rows)):
        rows[i] += steps[i] * rows[i - 1]
    return z


def _backwards(F, d, a, axis):
    """t_i = d_i + a_(i+1) t_(i+1)"""
    return reverse(F, F.scan(reverse(F, d, axis), shift(F, reverse(F, a, axis), axis, 0.0), axis), axis)


def _cumprod_dx(F, d, z, x, axis):
    return F.strong_multiply(_backwards(F, d, x, axis), shift(F, z, axis, 1.0))


primitive("cumsum", lambda x, axis: np.add.accumulate(x, axis),
          lambda F, d, _z, _x, axis: reverse(F, F.cumsum(reverse(F, d, axis), axis), axis), complex=LINEAR)
primitive("cumprod", lambda x, axis: np.multiply.accumulate(x, axis), _cumprod_dx, complex=HOLOMORPHIC)
primitive("scan", _scan, lambda F, d, _z, _x, a, axis: _backwards(F, d, a, axis),
                         lambda F, d, z, _x, a, axis: F.strong_multiply(_backwards(F, d, a, axis), shift(F, z, axis, 0.0)),
          complex=HOLOMORPHIC)
