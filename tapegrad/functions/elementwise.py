"""Functions of each element by itself, and of two arrays that are broadcast against each other, under NumPy's names.

In what is said of them, x, x1 and x2 are the operands, z the result and d its delta. "Derivative" is the contribution to the
operand's delta, which is summed to the operand's shape; the factor of d is conjugated where it is complex (CONVENTIONS.md).
Results have NumPy's dtypes; a Python number takes the dtype of the other operand. ShapeError where two shapes cannot be
broadcast, DtypeError for a dtype that the function or its derivative does not have.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np

from tapegrad.core.record import recorded, wrap
from tapegrad.errors import DtypeError
from tapegrad.functions.arguments import as_tensor, derived, documented, floats, like, real_only, refuse_out, value
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, Binary, Device, DTypeLike, Order, Shape, TensorLike, Unary

add: Binary = documented(recorded.add, "x1 + x2", "1.0, 2.0", "3.", "d, d", "1. 1.")
subtract: Binary = documented(recorded.subtract, "x1 - x2", "1.0, 2.0", "-1.", "d, -d", "1. -1.")
multiply: Binary = documented(recorded.multiply, "x1 x2", "2.0, 3.0", "6.", "d x2, d x1", "3. 2.")
divide: Binary = documented(recorded.divide, "x1 / x2", "3.0, 2.0", "1.5", "d / x2, -d z / x2", "0.5 -0.75")
power: Binary = documented(recorded.power, "x1^x2", "2.0, 3.0", "8.", "d x2 x1^(x2 - 1), d z log(x1)", "12. 5.54517744")
floor_divide: Binary = documented(recorded.floor_divide, "The greatest integer up to x1 / x2", "[7.0, -7.0], 2.0", "[ 3., -4.]")
negative: Unary = documented(recorded.negative, "-x", "2.0", "-2.", "-d", "-1.")
matmul: Binary = documented(
    recorded.matmul,
    "The matrix product, (.., n, k) @ (.., k, m) -> (.., n, m), over leading axes that are broadcast; (k,) stands for a row on "
    "the left and for a column on the right. One of the two may be a sparse matrix of SciPy, a constant",
    "[[1.0, 2.0]], [3.0, 4.0]", "[11.]", "d @ x2^T, x1^T @ d")
exp: Unary = documented(recorded.exp, "e^x", "1.0", "2.71828183", "d z", "2.71828183")
log: Unary = documented(recorded.log, "The natural logarithm", "2.0", "0.69314718", "d / x", "0.5")
sqrt: Unary = documented(recorded.sqrt, "The square root", "4.0", "2.", "d / (2 z), infinite at 0", "0.25")
square: Unary = documented(recorded.square, "x^2", "3.0", "9.", "2 d x", "6.")
absolute: Unary = documented(
    recorded.absolute, "|x|", "-2.0", "2.", "d sign(x), 0 at 0, where the sign of a complex x is x / |x|", "-1.")
sin: Unary = documented(recorded.sin, "The sine of x in radians", "1.0", "0.84147098", "d cos(x)", "0.54030231")
cos: Unary = documented(recorded.cos, "The cosine of x in radians", "1.0", "0.54030231", "-d sin(x)", "-0.84147098")
exp2: Unary = documented(recorded.exp2, "2^x", "3.0", "8.", "log(2) d z", "5.54517744")
expm1: Unary = documented(recorded.expm1, "e^x - 1, exact where x is small", "1.0", "1.71828183", "d e^x", "2.71828183")
log2: Unary = documented(recorded.log2, "The logarithm to base 2", "8.0", "3.", "d / (x log(2))", "0.18033688")
log10: Unary = documented(recorded.log10, "The logarithm to base 10", "100.0", "2.", "d / (x log(10))", "0.00434294")
log1p: Unary = documented(recorded.log1p, "log(1 + x), exact where x is small", "1.0", "0.69314718", "d / (1 + x)", "0.5")
cbrt: Unary = documented(recorded.cbrt, "The cube root", "8.0", "2.", "d / (3 z^2)", "0.08333333")
reciprocal: Unary = documented(recorded.reciprocal, "1 / x", "4.0", "0.25", "-d z^2", "-0.0625")
fabs: Unary = documented(recorded.fabs, "|x| of real x, in a float dtype", "-2.0", "2.", "d sign(x), 0 at 0", "-1.")
tan: Unary = documented(recorded.tan, "The tangent of x in radians", "1.0", "1.55740772", "d (1 + z^2)", "3.42551882")
arcsin: Unary = documented(recorded.arcsin, "The inverse of sin", "0.6", "0.64350111", "d / sqrt(1 - x^2)", "1.25")
arccos: Unary = documented(recorded.arccos, "The inverse of cos", "0.6", "0.92729522", "-d / sqrt(1 - x^2)", "-1.25")
arctan: Unary = documented(recorded.arctan, "The inverse of tan", "1.0", "0.78539816", "d / (1 + x^2)", "0.5")
sinh: Unary = documented(recorded.sinh, "The hyperbolic sine, (e^x - e^-x) / 2", "1.0", "1.17520119", "d cosh(x)", "1.54308063")
cosh: Unary = documented(
    recorded.cosh, "The hyperbolic cosine, (e^x + e^-x) / 2", "1.0", "1.54308063", "d sinh(x)", "1.17520119")
arcsinh: Unary = documented(recorded.arcsinh, "The inverse of sinh", "0.75", "0.69314718", "d / sqrt(1 + x^2)", "0.8")
arccosh: Unary = documented(recorded.arccosh, "The inverse of cosh", "1.25", "0.69314718", "d / sqrt(x^2 - 1)", "1.33333333")
arctanh: Unary = documented(recorded.arctanh, "The inverse of tanh", "0.6", "0.69314718", "d / (1 - x^2)", "1.5625")
arctan2: Binary = documented(
    recorded.arctan2, "The angle of the point (x2, x1), from -pi to pi",
    "3.0, 4.0", "0.64350111", "d x2 / r^2, -d x1 / r^2, r = hypot(x1, x2); 0 at the origin", "0.16 -0.12")
hypot: Binary = documented(
    recorded.hypot, "sqrt(x1^2 + x2^2), without overflow", "3.0, 4.0", "5.", "d x1 / z, d x2 / z; 0 where z is 0", "0.6 0.8")
logaddexp: Binary = documented(
    recorded.logaddexp, "log(e^x1 + e^x2), without overflow", "1.0, 1.0", "1.69314718", "d e^(x1 - z), d e^(x2 - z)", "0.5 0.5")
logaddexp2: Binary = documented(
    recorded.logaddexp2, "log2(2^x1 + 2^x2), without overflow", "3.0, 3.0", "4.", "d 2^(x1 - z), d 2^(x2 - z)", "0.5 0.5")
remainder: Binary = documented(
    recorded.remainder, "x1 - x2 floor(x1 / x2), with the sign of x2", "-7.0, 3.0", "2.", "d, -d floor(x1 / x2)", "1. 3.")
fmod: Binary = documented(
    recorded.fmod, "x1 - x2 trunc(x1 / x2), with the sign of x1", "-7.0, 3.0", "-1.", "d, -d trunc(x1 / x2)", "1. 2.")
copysign: Binary = documented(
    recorded.copysign, "|x1| with the sign of x2", "3.0, -1.0", "-3.", "d sign(x1) sign(x2), 0", "-1. 0.")
heaviside: Binary = documented(
    recorded.heaviside, "0 where x1 < 0, x2 where x1 is 0, 1 where x1 > 0",
    "[-1.0, 0.0, 2.0], 0.5", "[0. , 0.5, 1. ]", "0, d where x1 is 0")
fmax: Binary = documented(
    recorded.fmax, "The greater of x1 and x2, of a number and NaN the number",
    "[1.0, np.nan], 0.0", "[1., 0.]", "that of maximum")
fmin: Binary = documented(
    recorded.fmin, "The lesser of x1 and x2, of a number and NaN the number", "[np.nan], 2.0", "[2.]", "that of minimum")
maximum: Binary = documented(
    recorded.maximum, "The greater of x1 and x2; NaN where either is",
    "3.0, 2.0", "3.", "d to the greater, half of it to each of two equals", "1. 0.")
minimum: Binary = documented(
    recorded.minimum, "The lesser of x1 and x2; NaN where either is", "2.0, 2.0", "2.", "that of maximum", "0.5 0.5")
floor: Unary = documented(recorded.floor, "The greatest integer up to x", "[-1.5, 1.5]", "[-2., 1.]")
ceil: Unary = documented(recorded.ceil, "The least integer from x", "[-1.5, 1.5]", "[-1., 2.]")
trunc: Unary = documented(recorded.trunc, "x without its fractional part", "[-1.5, 1.5]", "[-1., 1.]")
rint: Unary = documented(recorded.rint, "The nearest integer, of two the even one", "[0.5, 1.5]", "[0., 2.]")
isnan: Unary = documented(recorded.isnan, "Whether x is NaN", "np.nan", "True, dtype=bool")
isinf: Unary = documented(recorded.isinf, "Whether x is infinite", "-np.inf", "True, dtype=bool")
isfinite: Unary = documented(recorded.isfinite, "Whether x is neither infinite nor NaN", "1.0", "True, dtype=bool")
logical_not: Unary = documented(recorded.logical_not, "Whether x is 0", "0.0", "True, dtype=bool")
logical_and: Binary = documented(recorded.logical_and, "Whether neither x1 nor x2 is 0", "1, 2", "True, dtype=bool")
logical_or: Binary = documented(recorded.logical_or, "Whether x1 or x2 is not 0", "0, 2", "True, dtype=bool")
equal: Binary = documented(recorded.equal, "x1 == x2", "2, 2.0", "True, dtype=bool")
not_equal: Binary = documented(recorded.not_equal, "x1 != x2", "1, 2", "True, dtype=bool")
less: Binary = documented(recorded.less, "x1 < x2", "1, 2", "True, dtype=bool")
less_equal: Binary = documented(recorded.less_equal, "x1 <= x2", "1, 2", "True, dtype=bool")
greater: Binary = documented(recorded.greater, "x1 > x2", "2, 1", "True, dtype=bool")
greater_equal: Binary = documented(recorded.greater_equal, "x1 >= x2", "2, 1", "True, dtype=bool")
true_divide, pow, mod, abs, atan2 = divide, power, remainder, absolute, arctan2
asin, acos, atan, asinh, acosh, atanh = arcsin, arccos, arctan, arcsinh, arccosh, arctanh


def positive(x: TensorLike, /) -> Tensor:
    """x. Derivative: d.

    >>> tg.positive(-2.0)
    tensor(-2.)
    """
    return recorded.alias(x)


def tanh(x: TensorLike, /) -> Tensor:
    """The hyperbolic tangent, (e^x - e^-x) / (e^x + e^-x), without overflow. Derivative: d (1 - z^2).

    >>> tg.tanh(1.0)
    tensor(0.76159416)
    >>> tg.grad(tg.tanh)(0.0)
    array(1.)
    """
    try:
        return recorded.tanh(x)
    except DtypeError:                                  # the kernel is for real numbers
        if like(x).dtype.kind != "c":
            raise
    toward = np.where(value(x).real < 0, 1, -1).astype(like(x).real.dtype)
    fall = expm1(multiply(x, 2 * toward))               # exp(-2 |x|) - 1 has no overflow
    return multiply(divide(fall, add(fall, 2)), toward)


def sign(x: TensorLike, /) -> Tensor:
    """-1, 0 or 1, a constant; of a complex x, x / |x|, and 0 at 0, with the derivative of that.

    >>> tg.sign([-2.0, 0.0, 3.0])
    tensor([-1.,  0.,  1.])
    >>> tg.sign(3 + 4j)
    tensor(0.6+0.8j, dtype=complex128)
    """
    if like(x).dtype.kind != "c":
        return recorded.sign(x)
    size = absolute(x)
    return divide(x, where(value(size) == 0, 1.0, size))


def astype(x: TensorLike, dtype: DTypeLike, /, *, copy: bool = True, device: Device = None) -> Tensor:
    """x in another dtype; with copy=False, a tensor that has it already is returned as it is. ValueError for another device.

    Derivative: d in the dtype of x; none through an integer dtype.

    >>> tg.astype([1.5, 2.5], np.float32)
    tensor([1.5, 2.5], dtype=float32)
    """
    dtype = np.dtype(dtype)
    if device not in (None, "cpu"):
        raise ValueError(f"astype: device={device!r}; there is 'cpu' only")
    if not copy and isinstance(x, Tensor) and x.dtype == dtype:
        return x
    if dtype.kind not in "fc":
        held: Any = value(x)                            # of an example under vmap a tensor
        return recorded.astype(held, dtype) if isinstance(held, Tensor) else Tensor(held, dtype)
    return recorded.astype(x, dtype)


@overload
def where(condition: TensorLike, /) -> tuple[Tensor, ...]: ...
@overload
def where(condition: TensorLike, x: TensorLike, y: TensorLike, /) -> Tensor: ...
def where(condition: TensorLike, x: TensorLike | None = None, y: TensorLike | None = None, /) -> Tensor | tuple[Tensor, ...]:
    """x where the condition holds and y elsewhere; of a condition alone, the positions where it holds, as nonzero does.

    The three are broadcast against each other. Derivative: to x, d where the condition holds; to y, d elsewhere; to the
    condition, none.

    >>> tg.where([True, False], 1.0, [2.0, 3.0])
    tensor([1., 3.])
    >>> tg.grad(lambda x: tg.where(x > 0, 2.0 * x, 0.0).sum())(np.array([-1.0, 4.0]))
    array([0., 2.])
    """
    if x is None and y is None:
        return tuple([wrap(positions, None) for positions in np.nonzero(value(condition))])
    if x is None or y is None:
        raise TypeError("where: give both x and y, or neither")
    return recorded.where(condition, x, y)


def zeros_like(a: TensorLike, dtype: DTypeLike | None = None, order: Order = "K", subok: bool = True,
               shape: Shape | None = None, *, device: Device = None) -> Tensor:
    """Zeros in the shape and dtype of a, where no others are given. Not differentiable.

    >>> tg.zeros_like([1.0, 2.0])
    tensor([0., 0.])
    """
    return Tensor(np.zeros_like(like(a), dtype, order, subok, shape, device=device))


def ones_like(a: TensorLike, dtype: DTypeLike | None = None, order: Order = "K", subok: bool = True,
              shape: Shape | None = None, *, device: Device = None) -> Tensor:
    """Ones in the shape and dtype of a, where no others are given. Not differentiable.

    >>> tg.ones_like([3, 4], shape=(3,))
    tensor([1, 1, 1], dtype=int64)
    """
    return Tensor(np.ones_like(like(a), dtype, order, subok, shape, device=device))


def clip(a: TensorLike, a_min: TensorLike | None = None, a_max: TensorLike | None = None, out: None = None, *,
         min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """a, but a_min where it is less and a_max where it is greater; None is no bound. min= and max= are the same bounds.

    Derivative: d to a where it lies within, the bounds included, and to a bound where that is the result. TypeError where
    a bound is given twice, and for out=.

    >>> tg.clip([-1.0, 0.5, 2.0], 0.0, 1.0)
    tensor([0. , 0.5, 1. ])
    >>> tg.grad(lambda x: tg.clip(x, max=1.0).sum())(np.array([-1.0, 1.0, 2.0]))
    array([1., 1., 0.])
    """
    refuse_out("clip", out)
    if (min is not None or max is not None) and (a_min is not None or a_max is not None):
        raise TypeError("clip: a_min, a_max and min, max are the same bounds; give one pair of them")
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    kinds = "".join([like(x).dtype.kind for x in (a, low, high) if x is not None])
    if "f" not in kinds or "c" in kinds:
        for operand in (a, low, high):
            real_only("clip", operand)
        bounds: list[Any] = [bound._value if isinstance(bound, Tensor) else bound for bound in (low, high)]
        clipped = derived("clip", lambda a: np.clip(a, *bounds), a)
        return clipped if isinstance(clipped, Tensor) else Tensor(clipped)
    return recorded.clip(a, -math.inf if low is None else low, math.inf if high is None else high)


def rsqrt(input: TensorLike) -> Tensor:
    """1 / sqrt(x). Derivative: -d z^3 / 2.

    >>> tg.rsqrt([1.0, 4.0])
    tensor([1. , 0.5])
    >>> tg.grad(tg.rsqrt)(4.0)
    array(-0.0625)
    """
    return reciprocal(sqrt(floats(input)))


def degrees(x: TensorLike, /) -> Tensor:
    """180 x / pi: radians in degrees. Derivative: d * 180 / pi.

    >>> tg.degrees(np.pi / 2)
    tensor(90.)
    """
    return multiply(x, 180 / math.pi)


def radians(x: TensorLike, /) -> Tensor:
    """pi x / 180: degrees in radians. Derivative: d * pi / 180.

    >>> tg.radians(90.0)
    tensor(1.57079633)
    """
    return multiply(x, math.pi / 180)


rad2deg, deg2rad = degrees, radians


def sinc(x: TensorLike) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0. Derivative: d * (cos(pi x) - sinc(x)) / x, and 0 at 0.

    >>> tg.sinc([0.0, 0.5])
    tensor([1.        , 0.63661977])
    >>> tg.grad(tg.sinc)(0.5)
    array(-1.27323954)
    """
    return recorded.sinc(x, 0)


def i0(x: TensorLike) -> Tensor:
    """The modified Bessel function of the first kind and order 0. Derivative: d * I_1(x).

    >>> tg.i0(1.0)
    tensor(1.26606588)
    >>> tg.grad(tg.i0)(1.0)
    array(0.5651591)
    """
    return recorded.i0(x, 0)


def ldexp(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """2^x2 x1 for integers x2, which have no derivative. Derivative: 2^x2 d to x1.

    >>> tg.ldexp([1.0, 1.5], [3, -1])
    tensor([8.  , 0.75])
    """
    one = np.ones((), np.result_type(like(x1), np.float16))
    halves = [derived("ldexp", g, x2) for g in (lambda n: np.ldexp(one, n // 2), lambda n: np.ldexp(one, n - n // 2))]
    return multiply(multiply(x1, halves[0]), halves[1])


def float_power(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """x1^x2 in float64, or complex128. Derivatives: those of power.

    >>> tg.float_power([2, 3], -1)
    tensor([0.5       , 0.33333333])
    """
    return power(_double(x1), _double(x2))


def _double(x: TensorLike) -> Tensor | Array:
    kind = np.result_type(value(x), np.float64)
    return np.asarray(x, kind) if isinstance(x, np.ndarray) else astype(x, kind)


def divmod(x1: TensorLike, x2: TensorLike, /) -> tuple[Tensor, Tensor]:
    """(floor_divide(x1, x2), remainder(x1, x2)). Derivative: that of the remainder.

    >>> tg.divmod(7.0, 3.0)
    (tensor(2.), tensor(1.))
    """
    return floor_divide(x1, x2), remainder(x1, x2)


def modf(x: TensorLike, /) -> tuple[Tensor, Tensor]:
    """(the fractional part of x, the integral part), with the sign of x. Derivative: d of the first.

    >>> tg.modf([1.5, -1.5])
    (tensor([ 0.5, -0.5]), tensor([ 1., -1.]))
    """
    real_only("modf", x)
    real = x if like(x).dtype.kind == "f" else _double(x)
    whole = trunc(real)
    return subtract(real, whole), whole


def nan_to_num(x: TensorLike, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """x with numbers for NaN and the infinities, the greatest of the dtype by default. Derivative: d where x is finite.

    TypeError for copy=False, which would write into x.

    >>> tg.nan_to_num([1.0, np.nan, -np.inf], neginf=-9.0)
    tensor([ 1.,  0., -9.])
    """
    if not copy:
        raise TypeError("nan_to_num: copy=False would write into a tensor; assign the result")
    array = value(x)
    if array.dtype.kind != "f":
        real_only("nan_to_num", x)
        return Tensor(np.nan_to_num(array, True, nan, posinf, neginf))
    limits, z = np.finfo(array.dtype), as_tensor(x)
    for which, number in ((np.isnan, nan), (np.isposinf, limits.max if posinf is None else posinf),
                          (np.isneginf, limits.min if neginf is None else neginf)):
        z = where(which(array), np.asarray(number, array.dtype), z)
    return z
