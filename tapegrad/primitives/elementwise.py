"""Elementwise functions of one array and of two, choices between arrays, and those without a derivative."""

import math

import numpy as np

from tapegrad.primitives.registry import HOLOMORPHIC, LINEAR, primitive

LN2, LN10 = math.log(2), math.log(10)


def _share(F, d, x, y):
    """The part of d that goes to x where x wins over y: all of it where x != y chooses x, half where they are equal."""
    return F.where(F.equal(x, y), d * 0.5, d)


def _turn(F, d, x, y):
    """d * y / (x * x + y * y), without overflow; 0 at the origin."""
    r = F.hypot(x, y)
    return F.strong_multiply(d, F.direction(F.direction(y, r), r))


def _log_share(F, x, y, z, exp):
    """The part of exp(x) in exp(z) = exp(x) + exp(y); where z is infinite, all to the greater, half each of equals."""
    won = 0.5 * (F.astype(F.greater(x, y), z.dtype) + F.astype(F.greater_equal(x, y), z.dtype))
    mine, other = exp(x - z), exp(y - z)                # off by the rounding of z, which the quotient takes out again
    return F.where(F.isinf(z), won, mine / (mine + other))


def _direction(x, r):
    return x / np.where(np.equal(r, 0), 1, r)


def _is_complex(x):
    return hasattr(x, "dtype") and x.dtype.kind == "c"


def _absolute_dx(F, d, _z, x):
    """d sign(x), where the sign of a complex number is x / |x|; 0 at 0."""
    if not _is_complex(x):
        return d * F.sign(x)
    return d * F.direction(x, F.absolute(x))


def _arcsinh_dx(F, d, _z, x):
    return d / (F.sqrt(1 + x * x) if _is_complex(x) else F.hypot(x, 1.0))


def _sinc(x, n):
    """The n-th derivative of sin(u) / u, u = pi x: its series where u is small, else u f(n) = sin(u + n pi / 2) - n f(n-1)."""
    if n == 0:
        return np.sinc(x)
    x, dtype = np.asarray(x, np.result_type(x, np.float64)), np.asarray(x).dtype        # its series has great terms
    u = np.pi * x
    small = np.abs(u) <= n + 1
    away = np.where(small, 1.0, u)
    turns = np.sin(away), np.cos(away), -np.sin(away), -np.cos(away)
    far = turns[0] / away
    for k in range(1, n + 1):
        far = (turns[k % 4] - k * far) / away
    near = np.where(small, u, 0.0)
    series = sum((-1) ** k * math.perm(2 * k, n) / math.factorial(2 * k + 1) * near ** (2 * k - n)
                 for k in range((n + 1) // 2, n + 14))
    return (np.pi ** n * np.where(small, series, far)).astype(dtype)


def _bessel(x, n):
    """I_n(x), the mean of exp(x cos t) cos(n t) over a half circle: with so many equal steps, exact but for rounding.

    exp(x) is taken out of it, in two halves, so that it overflows where I_n does, after 713; and 1, whose mean is 0.
    """
    if n == 0:
        return np.i0(x)
    x = np.asarray(x)
    y = np.minimum(np.abs(x), 720).astype(np.result_type(x, np.float64))
    steps = 16 + n + math.ceil(5 * math.sqrt(np.max(y, initial=0.0, where=~np.isnan(y))))
    total = np.expm1(-2 * y) * ((-1) ** n / 2)          # at t = pi; at 0 it is 0
    for t in [math.pi * k / steps for k in range(1, steps)]:
        total += np.expm1(y * (math.cos(t) - 1)) * math.cos(n * t)
    with np.errstate(over="ignore"):
        z = total * np.exp(y / 2) / steps * np.exp(y / 2)
        return np.where(x < 0, (-1) ** n * z, z).astype(x.dtype)


primitive("exp", np.exp, lambda F, d, z, _x: F.strong_multiply(d, z), complex=HOLOMORPHIC)
primitive("log", np.log, lambda F, d, _z, x: F.strong_multiply(d, 1 / x), complex=HOLOMORPHIC)
primitive("sqrt", np.sqrt, lambda F, d, z, _x: F.strong_multiply(d, 0.5 / z), complex=HOLOMORPHIC)
primitive("square", np.square, lambda F, d, _z, x: d * (2 * x), complex=HOLOMORPHIC)
primitive("absolute", np.absolute, _absolute_dx)
primitive("sin", np.sin, lambda F, d, _z, x: d * F.cos(x), complex=HOLOMORPHIC)
primitive("cos", np.cos, lambda F, d, _z, x: -d * F.sin(x), complex=HOLOMORPHIC)

primitive("exp2", np.exp2, lambda F, d, z, _x: F.strong_multiply(d, LN2 * z), complex=HOLOMORPHIC)
primitive("expm1", np.expm1, lambda F, d, _z, x: F.strong_multiply(d, F.exp(x)), complex=HOLOMORPHIC)
primitive("log2", np.log2, lambda F, d, _z, x: F.strong_multiply(d, 1 / (LN2 * x)), complex=HOLOMORPHIC)
primitive("log10", np.log10, lambda F, d, _z, x: F.strong_multiply(d, 1 / (LN10 * x)), complex=HOLOMORPHIC)
primitive("log1p", np.log1p, lambda F, d, _z, x: F.strong_multiply(d, 1 / (1 + x)), complex=HOLOMORPHIC)
primitive("cbrt", np.cbrt, lambda F, d, z, _x: F.strong_multiply(d, 1 / (3 * z * z)))
primitive("reciprocal", np.reciprocal, lambda F, d, z, _x: -F.strong_multiply(d, z * z), complex=HOLOMORPHIC)
primitive("fabs", np.fabs, lambda F, d, _z, x: d * F.sign(x))
primitive("tan", np.tan, lambda F, d, z, _x: d * (1 + z * z), complex=HOLOMORPHIC)
primitive("arcsin", np.arcsin, lambda F, d, _z, x: F.strong_multiply(d, 1 / F.sqrt((1 - x) * (1 + x))), complex=HOLOMORPHIC)
primitive("arccos", np.arccos, lambda F, d, _z, x: -F.strong_multiply(d, 1 / F.sqrt((1 - x) * (1 + x))), complex=HOLOMORPHIC)
primitive("arctan", np.arctan, lambda F, d, _z, x: d / (1 + x * x), complex=HOLOMORPHIC)
primitive("sinh", np.sinh, lambda F, d, _z, x: F.strong_multiply(d, F.cosh(x)), complex=HOLOMORPHIC)
primitive("cosh", np.cosh, lambda F, d, _z, x: F.strong_multiply(d, F.sinh(x)), complex=HOLOMORPHIC)
primitive("arcsinh", np.arcsinh, _arcsinh_dx, complex=HOLOMORPHIC)
primitive("arccosh", np.arccosh, lambda F, d, _z, x: F.strong_multiply(d, 1 / (F.sqrt(x - 1) * F.sqrt(x + 1))),
          complex=HOLOMORPHIC)
primitive("arctanh", np.arctanh, lambda F, d, _z, x: F.strong_multiply(d, 1 / ((1 - x) * (1 + x))), complex=HOLOMORPHIC)
primitive("sinc", _sinc, lambda F, d, _z, x, n: d * F.sinc(x, n + 1), pointwise=True)
primitive("i0", _bessel, lambda F, d, _z, x, n: d * (F.i0(x, 1) if n == 0 else 0.5 * (F.i0(x, n - 1) + F.i0(x, n + 1))),
          pointwise=True)

primitive("arctan2", np.arctan2, lambda F, d, _z, x, y: _turn(F, d, x, y),
                                 lambda F, d, _z, x, y: -_turn(F, d, y, x))
primitive("hypot", np.hypot, lambda F, d, z, x, _y: d * F.direction(x, z),
                             lambda F, d, z, _x, y: d * F.direction(y, z))
# x / r, and 0 where the length r is 0, which has no derivative there: it is infinite or NaN.
primitive("direction", _direction, lambda F, d, _z, _x, r: F.strong_multiply(d, 1 / r),
                                   lambda F, d, z, _x, r: -F.strong_multiply(d, z / r), complex=HOLOMORPHIC)
primitive("logaddexp", np.logaddexp, lambda F, d, z, x, y: d * _log_share(F, x, y, z, F.exp),
                                     lambda F, d, z, x, y: d * _log_share(F, y, x, z, F.exp))
primitive("logaddexp2", np.logaddexp2, lambda F, d, z, x, y: d * _log_share(F, x, y, z, F.exp2),
                                       lambda F, d, z, x, y: d * _log_share(F, y, x, z, F.exp2))
primitive("remainder", np.remainder, lambda F, d, _z, _x, _y: d,
                                     lambda F, d, _z, x, y: -F.strong_multiply(d, F.floor_divide(x, y)))
primitive("fmod", np.fmod, lambda F, d, _z, _x, _y: d,
                           lambda F, d, _z, x, y: -F.strong_multiply(d, F.trunc(x / y)))
primitive("copysign", np.copysign, lambda F, d, z, x, _y: d * (F.sign(x) * F.sign(z)),
                                   lambda F, d, _z, _x, _y: F.zeros_like(d), drops=True)
primitive("heaviside", np.heaviside, lambda F, d, _z, _x, _y: F.zeros_like(d),
                                     lambda F, d, _z, x, _y: F.where(F.equal(x, 0), d, 0.0))

primitive("maximum", np.maximum, lambda F, d, _z, x, y: F.where(F.greater_equal(x, y), _share(F, d, x, y), F.zeros_like(d)),
                                 lambda F, d, _z, x, y: F.where(F.less_equal(x, y), _share(F, d, x, y), F.zeros_like(d)),
          drops=True)
primitive("minimum", np.minimum, lambda F, d, _z, x, y: F.where(F.less_equal(x, y), _share(F, d, x, y), F.zeros_like(d)),
                                 lambda F, d, _z, x, y: F.where(F.greater_equal(x, y), _share(F, d, x, y), F.zeros_like(d)),
          drops=True)
# fmax and fmin leave out NaN: where one operand is NaN, the other gets d.
primitive("fmax", np.fmax,
          lambda F, d, _z, x, y: F.where(F.logical_or(F.greater_equal(x, y), F.isnan(y)), _share(F, d, x, y), 0.0),
          lambda F, d, _z, x, y: F.where(F.logical_or(F.less_equal(x, y), F.isnan(x)), _share(F, d, x, y), 0.0), drops=True)
primitive("fmin", np.fmin,
          lambda F, d, _z, x, y: F.where(F.logical_or(F.less_equal(x, y), F.isnan(y)), _share(F, d, x, y), 0.0),
          lambda F, d, _z, x, y: F.where(F.logical_or(F.greater_equal(x, y), F.isnan(x)), _share(F, d, x, y), 0.0), drops=True)
# At a bound, x gets d; where low > high, the result is high.
primitive("clip", np.clip,
          lambda F, d, _z, x, low, high: F.where(F.logical_and(F.greater_equal(x, low), F.less_equal(x, high)), d, 0.0),
          lambda F, d, _z, x, low, high: F.where(F.logical_and(F.less(x, low), F.less(low, high)), d, 0.0),
          lambda F, d, _z, x, low, high: F.where(
              F.logical_or(F.greater(x, high), F.logical_and(F.less(x, low), F.less_equal(high, low))), d, 0.0), drops=True)
primitive("where", np.where, None,
                             lambda F, d, _z, c, _x, _y: F.where(c, d, F.zeros_like(d)),
                             lambda F, d, _z, c, _x, _y: F.where(c, F.zeros_like(d), d), complex=LINEAR, pointwise=True,
          drops=True)
primitive("astype", lambda x, dtype: x.astype(dtype), lambda F, d, _z, _x, dtype: d, complex=LINEAR)

for name in ("sign", "floor", "ceil", "rint", "trunc", "isnan", "isinf", "isfinite", "logical_not", "zeros_like", "ones_like"):
    primitive(name, getattr(np, name), None)
for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or",
             "floor_divide"):
    primitive(name, getattr(np, name), None, None)
