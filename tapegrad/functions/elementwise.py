"""Functions of each element by itself, and of two broadcast against each other, under NumPy's names."""

import math

import numpy as np

from tapegrad.core.record import recorded, wrap
from tapegrad.errors import DtypeError
from tapegrad.functions.arguments import real_only, value
from tapegrad.functions.tensor import Tensor

add = recorded.add
subtract = recorded.subtract
multiply = recorded.multiply
divide = true_divide = recorded.divide
power = pow = recorded.power
floor_divide = recorded.floor_divide
negative = recorded.negative
matmul = recorded.matmul
positive = recorded.alias
exp = recorded.exp
log = recorded.log
sqrt = recorded.sqrt
square = recorded.square
absolute = abs = recorded.absolute
sin = recorded.sin
cos = recorded.cos
exp2 = recorded.exp2
expm1 = recorded.expm1
log2 = recorded.log2
log10 = recorded.log10
log1p = recorded.log1p
cbrt = recorded.cbrt
reciprocal = recorded.reciprocal
fabs = recorded.fabs
tan = recorded.tan
arcsin = asin = recorded.arcsin
arccos = acos = recorded.arccos
arctan = atan = recorded.arctan
sinh = recorded.sinh
cosh = recorded.cosh
arcsinh = asinh = recorded.arcsinh
arccosh = acosh = recorded.arccosh
arctanh = atanh = recorded.arctanh
arctan2 = atan2 = recorded.arctan2
hypot = recorded.hypot
logaddexp = recorded.logaddexp
logaddexp2 = recorded.logaddexp2
remainder = mod = recorded.remainder
fmod = recorded.fmod
copysign = recorded.copysign
heaviside = recorded.heaviside
fmax = recorded.fmax
fmin = recorded.fmin
maximum = recorded.maximum
minimum = recorded.minimum
floor = recorded.floor
ceil = recorded.ceil
trunc = recorded.trunc
rint = recorded.rint
isnan = recorded.isnan
isinf = recorded.isinf
isfinite = recorded.isfinite
logical_not = recorded.logical_not
logical_and = recorded.logical_and
logical_or = recorded.logical_or
equal = recorded.equal
not_equal = recorded.not_equal
less = recorded.less
less_equal = recorded.less_equal
greater = recorded.greater
greater_equal = recorded.greater_equal


def tanh(x):
    """The hyperbolic tangent. Derivative: d (1 - z^2)."""
    try:
        return recorded.tanh(x)
    except DtypeError:                                  # the kernel is for real numbers
        if value(x).dtype.kind != "c":
            raise
    toward = np.where(value(x).real < 0, 1, -1).astype(value(x).real.dtype)
    fall = expm1(multiply(x, 2 * toward))               # exp(-2 |x|) - 1 has no overflow
    return multiply(divide(fall, add(fall, 2)), toward)


def sign(x):
    """-1, 0 or 1, a constant; of a complex x, x / |x|, and 0 at 0, with the derivative of that."""
    if value(x).dtype.kind != "c":
        return recorded.sign(x)
    size = absolute(x)
    return divide(x, where(value(size) == 0, 1.0, size))


def astype(x, dtype):
    """x in another dtype. Derivative: d in the dtype of x; none through an integer dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "fc":
        return Tensor(value(x), dtype)
    return recorded.astype(x, dtype)


def where(condition, x=None, y=None):
    """x where the condition holds and y elsewhere; of a condition alone, the positions where it holds, as nonzero does.

    Derivative: to x, d where the condition holds; to y, d elsewhere.
    """
    if x is None and y is None:
        return tuple([wrap(positions, None) for positions in np.nonzero(value(condition))])
    if x is None or y is None:
        raise TypeError("where: give both x and y, or neither")
    return recorded.where(condition, x, y)


def zeros_like(x, dtype=None, *, shape=None):
    """Zeros in the shape and dtype of x, where no others are given. Not differentiable."""
    return Tensor(np.zeros_like(value(x), dtype, shape=shape))


def ones_like(x, dtype=None, *, shape=None):
    """Ones in the shape and dtype of x, where no others are given. Not differentiable."""
    return Tensor(np.ones_like(value(x), dtype, shape=shape))


def clip(x, a_min=None, a_max=None, *, min=None, max=None):
    """x, but a_min where it is less and a_max where it is greater; None is no bound. min= and max= are the same bounds.

    Derivative: d to x where it lies within, the bounds included, and to a bound where that is the result.
    """
    if (min is not None or max is not None) and (a_min is not None or a_max is not None):
        raise TypeError("clip: a_min, a_max and min, max are the same bounds; give one pair of them")
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if value(x).dtype.kind != "f":
        for operand in (x, low, high):
            real_only("clip", operand)
        return Tensor(np.clip(value(x), *[b._value if isinstance(b, Tensor) else b for b in (low, high)]))
    return recorded.clip(x, -math.inf if low is None else low, math.inf if high is None else high)


def degrees(x):
    """180 x / pi. Derivative: d * 180 / pi."""
    return multiply(x, 180 / math.pi)


def radians(x):
    """pi x / 180. Derivative: d * pi / 180."""
    return multiply(x, math.pi / 180)


rad2deg, deg2rad = degrees, radians


def sinc(x):
    """sin(pi x) / (pi x), and 1 at 0. Derivative: d * (cos(pi x) - sinc(x)) / x, and 0 at 0."""
    return recorded.sinc(x, 0)


def i0(x):
    """The modified Bessel function of order 0. Derivative: d * I_1(x)."""
    return recorded.i0(x, 0)


def ldexp(x, i):
    """2^i x for integers i, which have no derivative. Derivative: 2^i d."""
    i, one = value(i), np.ones((), np.result_type(value(x), np.float16))
    return multiply(multiply(x, np.ldexp(one, i // 2)), np.ldexp(one, i - i // 2))


def float_power(x, y):
    """x ** y in float64, or complex128."""
    return power(_double(x), _double(y))


def _double(x):
    kind = np.complex128 if value(x).dtype.kind == "c" else np.float64
    return astype(x, kind) if isinstance(x, Tensor) else np.asarray(x, kind)


def divmod(x, y):
    """(floor_divide(x, y), remainder(x, y)). Derivative: that of the remainder."""
    return floor_divide(x, y), remainder(x, y)


def modf(x):
    """(the fractional part of x, the integral part), with the sign of x. Derivative: d of the first."""
    real_only("modf", x)
    x = x if value(x).dtype.kind == "f" else _double(x)
    whole = trunc(x)
    return subtract(x, whole), whole


def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """x with numbers for NaN and the infinities, the greatest of the dtype by default. Derivative: d where x is finite."""
    if not copy:
        raise TypeError("nan_to_num: copy=False would write into a tensor; assign the result")
    array = value(x)
    if array.dtype.kind != "f":
        real_only("nan_to_num", x)
        return Tensor(np.nan_to_num(array, True, nan, posinf, neginf))
    limits = np.finfo(array.dtype)
    for which, number in ((np.isnan, nan), (np.isposinf, limits.max if posinf is None else posinf),
                          (np.isneginf, limits.min if neginf is None else neginf)):
        x = where(which(array), np.asarray(number, array.dtype), x)
    return x
