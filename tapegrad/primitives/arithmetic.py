"""Arithmetic with broadcasting: + - * / ** and what comes with them."""

import operator

import numpy as np

from tapegrad.kernels import blas, limits
from tapegrad.primitives.registry import HOLOMORPHIC, LINEAR, primitive
from tapegrad.primitives.zeros import has_nan


def _strong_multiply(x, y):
    z = np.multiply(x, y)
    return np.where(np.equal(x, 0), np.zeros_like(z), z) if has_nan(z) else z


def _strong_multiply_dy(F, d, _z, x, _y):
    return F.where(F.equal(x, 0), F.zeros_like(d), F.strong_multiply(d, x))


def _fast_strong_multiply_dy(F, d, z, x, y):
    c = np.multiply(d, x)
    return _strong_multiply_dy(F, d, z, x, y) if has_nan(c) else c


def _whole_delta(F, d, _z, _x, _y):
    return d


def _add_whole_delta(held, d, *saved):
    if held.shape != d.shape:
        return d.size >= limits.ADDED and blas.add_rows(held, d)
    if held.dtype is not d.dtype:
        return False
    held += d
    return True


def _divide_dx(F, d, _z, _x, y):
    return d / y if type(y) in (int, float) else F.strong_multiply(d, 1 / y)


def _power_dx(F, d, _z, x, y):
    if type(y) in (int, float):
        if y == 0:
            return F.zeros_like(d)
        return d if y == 1 else d * (2 * x) if y == 2 else F.strong_multiply(d, y * x ** (y - 1))
    return F.strong_multiply(d, F.where(F.equal(y, 0), F.zeros_like(d), y * F.power(x, y - 1)))


def _power_dy(F, d, z, x, _y):
    safe = F.where(F.equal(x, 0), F.ones_like(x), x)
    if hasattr(z, "dtype") and z.dtype.kind == "c":
        safe = F.astype(safe, z.dtype)                  # a negative number has a complex logarithm
    return F.strong_multiply(d, z * F.log(safe))


primitive("add", np.add, _whole_delta, _whole_delta, complex=LINEAR).fast(accumulate=(_add_whole_delta, _add_whole_delta))
primitive("subtract", np.subtract, lambda F, d, _z, _x, _y: d,
                                   lambda F, d, _z, _x, _y: -d, complex=LINEAR)
primitive("multiply", np.multiply, lambda F, d, _z, _x, y: d * y,
                                   lambda F, d, _z, x, _y: d * x, complex=HOLOMORPHIC)
primitive("divide", np.divide, _divide_dx,
                               lambda F, d, z, _x, y: -F.strong_multiply(d, z / y), complex=HOLOMORPHIC)
primitive("power", operator.pow, _power_dx, _power_dy, complex=HOLOMORPHIC, fresh=True, pointwise=True,
          drops=True)                                   # NaN ** 0 is 1
primitive("negative", np.negative, lambda F, d, _z, _x: -d, complex=LINEAR)

# x * y that is 0 wherever x is exactly 0, whatever y is: for a delta times a derivative that may be infinite or NaN.
primitive("strong_multiply", _strong_multiply,
          lambda F, d, _z, _x, y: F.strong_multiply(d, y),
          _strong_multiply_dy,
          complex=HOLOMORPHIC, drops=True, strong=True).fast(rules=(None, _fast_strong_multiply_dy))
