"""The formulas of exp, sigmoid, tanh, relu, erf and gelu, and the functions that derivatives use, as scalar functions of one
precision.

Why rational functions. LLVM doesn't vectorise calls of exp and tanh, so the formulas are straight-line arithmetic. With
k = round(x log2 e) and r = x - k ln 2, exp(x) = 2^k exp(r), |r| <= ln(2)/2. ln 2 is subtracted in two parts (Cody and Waite),
and adding a large "shifter" rounds to k and leaves it in the low bits; a bit shift moves it into the exponent. With
p / q = tanh(r/2), p = r + r^3 P(r^2), q = Q(r^2), P and Q minimax (Remez), exp(r) = (q + p) / (q - p): the one division that
sigmoid and tanh need anyway makes both polynomials short. See Muller, Elementary Functions, and Cephes.

erf and gelu. For y >= 0, erfc(y) = exp(-y^2) far(y), far a polynomial that kernels/error_function.py explains. The rounding
of y^2 would be multiplied by y^2: so y is cut to half of its digits, whose square is exact, and what is missing is added to r.

Why no fused multiply-add in float64. It omits a rounding that NumPy does, and not every machine has it. Without it, each
operation is one of IEEE 754: the result has the same bits on every machine, and the same formula in NumPy gives them, too
(export/program.py). In float32, sigmoid and tanh use it: without it they would take 1.2 times as long.

Why integers. Vector comparisons, min and max raise the invalid flag for NaN, which NumPy reports as a RuntimeWarning. Those
here work on the bits of the numbers, at the same cost; x == x, which raises no flag, restores NaN at the end.
"""

import math
from types import SimpleNamespace

import numpy as np

from tapegrad.kernels.error_function import FAR, NEAR, NEAR_LIMIT


def formulas(number):
    """The functions by name, for np.float32 or np.float64. Coefficients of polynomials start with the highest power."""
    if number is np.float32:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int32, np.uint32, 23, 127, 64, -105, 18, 9.1
        least, most, vanishes = -104, 89, 10.5
        ln2 = 0.693359375, -2.12194440054690583e-4
        p, q = (0.016646777286589142,), (0.19996009829016862, 2.0)
    else:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int64, np.uint64, 52, 1023, 600, -747, 40, 19.5
        least, most, vanishes = -746, 710, 27.5
        ln2 = 6.93145751953125e-1, 1.42860682030941723212e-6
        p, q = (6.6088684849888828e-5, 0.027774842785598326), (1.9835400564217346e-3, 0.22221635223786044, 2.0)
    shifter, log2e = 1.5 * 2.0 ** mantissa, math.log2(math.e)
    WIDTH, MANTISSA, ONE = signed(8 * number().itemsize - 1), signed(mantissa), number(1)
    LOG2E, TWO_LOG2E = number(log2e), number(2 * log2e)
    LN2_HIGH, LN2_LOW = number(ln2[0]), number(ln2[1])
    SHIFTER, SHIFTER_TO_ONE = number(shifter), number(shifter + bias)
    P, Q = tuple(map(number, p)), tuple(map(number, q))
    SMALL_P, SMALL_Q = (tuple([number(2.0 ** -small * c) for c in coefficients]) for coefficients in ((*p, 1), q))
    TOP, BOTTOM, LIMIT = number(high).view(signed), number(low).view(unsigned), number(limit).view(signed)
    LEAST, MOST, VANISHES = number(least).view(unsigned), number(most).view(signed), number(vanishes).view(signed)
    ZERO, NO_BITS, ONE_BIT, SHIFTER_BITS = number(0), signed(0), signed(1), number(shifter).view(signed)
    FLAT, BIAS = number(vanishes * math.sqrt(2)).view(signed), signed(bias)
    UPPER, NEAR_BITS = signed(-1 << (mantissa + 2) // 2), number(NEAR_LIMIT).view(signed)
    NEAR_TERMS, FAR_TERMS = tuple(map(number, NEAR[number])), tuple(map(number, FAR[number]))
    HALF, THREE, ROOT_HALF, DENSITY, SLOPE = map(
        number, (0.5, 3, math.sqrt(0.5), 1 / math.sqrt(2 * math.pi), 2 / math.sqrt(math.pi)))
    MAGNITUDE, INFINITY = signed(np.iinfo(signed).max), number(np.inf).view(unsigned)

    def bits(x):
        return number(x).view(signed)

    def unsigned_bits(b):
        return unsigned(signed(b))

    def from_bits(b):
        return signed(b).view(number)

    def select(c, x, y):
        return x if c else y

    def polynomial(w, coefficients):
        p = coefficients[0]
        for i in range(1, len(coefficients)):
            p = p * w + coefficients[i]
        return p

    def exp_parts(x, more):
        # two factors of exp(x + more), `more` small: 2^k is taken in two steps, for infinity and for denormals, which are then
        # rounded once, by whoever multiplies by the second factor last
        t = SHIFTER + x * LOG2E
        k = t - SHIFTER
        r = x - k * LN2_HIGH - k * LN2_LOW + more
        w = r * r
        p = polynomial(w, P) * (w * r) + r
        q = polynomial(w, Q)
        k = bits(t) - SHIFTER_BITS
        half = k >> ONE_BIT
        return (ONE + (p + p) / (q - p)) * from_bits((half + BIAS) << MANTISSA), from_bits((k - half + BIAS) << MANTISSA)

    def exp(x):
        e, scale = exp_parts(from_bits(np.minimum(unsigned_bits(np.minimum(bits(x), MOST)), LEAST)), ZERO)
        return select(x == x, e * scale, x)

    def far(y):
        t = (y - THREE) / (y + THREE)
        return (ONE + (ONE + t) * polynomial(t, FAR_TERMS)) / (ONE + (y + y))

    def erf(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, VANISHES))
        s = from_bits(bits(y) & UPPER)
        e, scale = exp_parts(-(s * s), -((y - s) * (y + s)))
        z = select(bits(y) < NEAR_BITS, y * polynomial(y * y, NEAR_TERMS), ONE - e * far(y) * scale)
        return select(x == x, np.copysign(z, x), x)

    def erfc(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, VANISHES))
        s = from_bits(bits(y) & UPPER)
        e, scale = exp_parts(-(s * s), -((y - s) * (y + s)))
        z = e * far(y) * scale
        return select(x == x, select(bits(x) < NO_BITS, ONE + ONE - z, z), x)

    def erf_slope(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, VANISHES))
        s = from_bits(bits(y) & UPPER)
        e, scale = exp_parts(-(s * s), -((y - s) * (y + s)))
        return select(x == x, SLOPE * e * scale, x)

    def gelu(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, FLAT))
        s = from_bits(bits(y) & UPPER)
        e, scale = exp_parts(-(s * s) * HALF, -((y - s) * (y + s)) * HALF)
        tail = select(bits(y) < FLAT, e * far(y * ROOT_HALF) * HALF, ZERO)
        negative = bits(x) < NO_BITS
        return x * select(negative, tail, ONE - tail * scale) * select(negative, scale, ONE)

    def gelu_slope(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, FLAT))
        s = from_bits(bits(y) & UPPER)
        e, scale = exp_parts(-(s * s) * HALF, -((y - s) * (y + s)) * HALF)
        tail = e * (far(y * ROOT_HALF) * HALF - y * DENSITY) * scale
        return select(x == x, select(bits(x) < NO_BITS, tail, ONE - tail), x)

    def sigmoid(x):
        # a / (a + 2^k b) with x = r - k ln 2, exp(-r) = b / a, a = q + p, b = q - p. P and Q are scaled by 2^-64
        # (float64: 2^-600), so that all stays normal even where the result is denormal.
        y = from_bits(np.minimum(unsigned_bits(np.minimum(bits(x), TOP)), BOTTOM))
        t = SHIFTER - y * LOG2E
        k = t - SHIFTER
        r = y + k * LN2_HIGH + k * LN2_LOW
        w = r * r
        p = polynomial(w, SMALL_P) * r
        q = polynomial(w, SMALL_Q)
        a = q + p
        z = a / (a + from_bits(bits(q - p) + (bits(t) << MANTISSA)))
        return select(x == x, z, x)

    def tanh(x):
        # a / (a + 2 b) with 2 |x| = r + k ln 2, s = 2^k and exp(2 |x|) - 1 = a / b, where b = q - p and
        # a = s (q + p) - (q - p), put so that it is accurate for small x.
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, LIMIT))
        t = y * TWO_LOG2E + SHIFTER_TO_ONE
        k = t - SHIFTER_TO_ONE
        r = (y + y) - k * LN2_HIGH - k * LN2_LOW
        s = from_bits(bits(t) << MANTISSA)
        w = r * r
        p = polynomial(w, P) * (w * r) + r
        q = polynomial(w, Q)
        a = (s - ONE) * q + (s + ONE) * p
        b = q - p
        z = np.copysign(a / (a + (b + b)), x)
        return select(x == x, z, x)

    def relu(x):
        return number(0) if positive(-x) else x

    def positive(x):
        return unsigned(number(x).view(unsigned) - unsigned(1)) < INFINITY   # leaves out zeros, NaN and what has a sign bit

    def order(x):
        # integers that compare as the numbers do; x + 0 joins the two zeros
        b = number(x + number(0)).view(signed)
        return b ^ ((b >> WIDTH) & MAGNITUDE)

    def greater(x, y):
        return (order(x) > order(y)) & (x == x) & (y == y)

    def where(c, x, y):
        # by min with all ones or none: LLVM would load x under the mask c, which is slow in large arrays
        c = unsigned(signed(0) - signed(c))
        return unsigned(min(number(x).view(unsigned), c) | min(number(y).view(unsigned), unsigned(~c))).view(number)

    return SimpleNamespace(**{f.__name__: f for f in (
        bits, unsigned_bits, from_bits, select, polynomial, exp_parts, exp, far, erf, erfc, erf_slope, gelu, gelu_slope,
        sigmoid, tanh, relu, positive, order, greater, where)})
