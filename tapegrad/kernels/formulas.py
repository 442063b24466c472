"""The formulas of exp, sigmoid, silu, tanh, relu, erf and gelu, and the functions that derivatives use, as scalar functions of
one precision.

Why rational functions. LLVM doesn't vectorise calls of exp and tanh, so the formulas are straight-line arithmetic. With
k = round(x log2 e) and r = x - k ln 2, exp(x) = 2^k exp(r), |r| <= ln(2)/2. ln 2 is subtracted in two parts (Cody and Waite),
and adding a large "shifter" rounds to k and leaves it in the low bits; a bit shift moves it into the exponent. With
p / q = tanh(r/2), p = r + r^3 P(r^2), q = Q(r^2), P and Q minimax (Remez), exp(r) = (q + p) / (q - p): the one division that
sigmoid and tanh need anyway makes both polynomials short. Where there is none, in float32, exp(r) is a polynomial. See Muller,
Elementary Functions, and Cephes.

erf and gelu. For y >= 0, Phi(-y) = exp(-y^2 / 2) far(y), far a polynomial that kernels/error_function.py explains. The rounding
of y^2 would be multiplied by y^2: so y is cut to half of its digits, whose square is exact, and what is missing is added to r.

Why no fused multiply-add in float64. It omits a rounding that NumPy does, and not every machine has it. Without it, each
operation is one of IEEE 754: the result has the same bits on every machine, and the same formula in NumPy gives them, too
(export/program.py). float32 uses it: without it sigmoid and tanh would take 1.2 times as long, polynomials twice.

Why integers. Vector comparisons, min and max raise the invalid flag for NaN, which NumPy reports as a RuntimeWarning. Those
here work on the bits of the numbers, at the same cost; x == x, which raises no flag, restores NaN at the end.
"""

import math
from types import SimpleNamespace

import numpy as np

from tapegrad.kernels.error_function import CUBIC_TERM, LINEAR_TERM, NEAR, NEAR_LIMIT, TAIL, TAIL_MIDDLE


def formulas(number):
    """The functions by name, for np.float32 or np.float64. Coefficients of polynomials start with the highest power."""
    if number is np.float32:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int32, np.uint32, 23, 127, 64, -105, 18, 9.1
        least, most, vanishes = -104, 89, 10.5
        ln2 = 0.693359375, -2.12194440054690583e-4
        series = 2.1759883750e-5, -2.6135289844e-4, 2.6041596125e-3, -0.020833220375, 0.125, -0.5, 1
        p, q = (0.016646777286589142,), (0.19996009829016862, 2.0)
    else:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int64, np.uint64, 52, 1023, 600, -747, 40, 19.5
        least, most, vanishes = -746, 710, 27.5
        ln2 = 6.93145751953125e-1, 1.42860682030941723212e-6
        series = ()
        p, q = (6.6088684849888828e-5, 0.027774842785598326), (1.9835400564217346e-3, 0.22221635223786044, 2.0)
    shifter, log2e = 1.5 * 2.0 ** mantissa, math.log2(math.e)
    WIDTH, MANTISSA, ONE = signed(8 * number().itemsize - 1), signed(mantissa), number(1)
    LOG2E, TWO_LOG2E = number(log2e), number(2 * log2e)
    LN2_HIGH, LN2_LOW = number(ln2[0]), number(ln2[1])
    SHIFTER, SHIFTER_TO_ONE, SHIFTER_TO_SCALE = map(number, (shifter, shifter + bias, shifter + small))
    P, Q, SERIES = (tuple(map(number, coefficients)) for coefficients in (p, q, series))
    SCALE, TWO_SCALES, HALF_LOG2E = map(number, (2.0 ** -small, 2.0 ** -small * 2, log2e / 2))
    TWO_LN2_HIGH, TWO_LN2_LOW = LN2_HIGH + LN2_HIGH, LN2_LOW + LN2_LOW
    SMALL_P, SMALL_Q = (tuple([number(2.0 ** -small * c) for c in coefficients]) for coefficients in ((*p, 1), q))
    TOP, BOTTOM, LIMIT = number(high).view(signed), number(low).view(unsigned), number(limit).view(signed)
    LEAST, MOST, VANISHES = number(least).view(unsigned), number(most).view(signed), number(vanishes).view(signed)
    NO_BITS, ONE_BIT, SHIFTER_BITS = signed(0), signed(1), number(shifter).view(signed)
    FLAT, BIAS = number(vanishes * math.sqrt(2)).view(signed), signed(bias)
    UPPER, NEAR_BITS = signed(-1 << (mantissa + 2) // 2), number(NEAR_LIMIT).view(signed)
    NEAR_TERMS, TAIL_TERMS, MIDDLE = tuple(map(number, NEAR[number])), tuple(map(number, TAIL[number])), number(TAIL_MIDDLE)
    MINUS_HALF, MINUS_ZERO, ROOT_TWO = number(-0.5), number(-0.0), number(math.sqrt(2))
    LINEAR, CUBIC = number(LINEAR_TERM), number(CUBIC_TERM)
    DENSITY, SLOPE = number(1 / math.sqrt(2 * math.pi)), number(2 / math.sqrt(math.pi))
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

    if number is np.float32:
        def exp_half(r):
            return polynomial(r, SERIES)            # a division takes the time of five fused multiply-adds
    else:
        def exp_half(r):
            r = r * MINUS_HALF
            w = r * r
            p = polynomial(w, P) * (w * r) + r
            q = polynomial(w, Q)
            return ONE + (p + p) / (q - p)

    def exp(x):
        # 2^k is taken in two steps, for infinity and for denormals, which the second one rounds, once
        y = from_bits(np.minimum(unsigned_bits(np.minimum(bits(x), MOST)), LEAST))
        t = SHIFTER + y * LOG2E
        k = t - SHIFTER
        r = k * TWO_LN2_HIGH - (y + y) + k * TWO_LN2_LOW
        k = bits(t) - SHIFTER_BITS
        half = k >> ONE_BIT
        e = exp_half(r) * from_bits((half + BIAS) << MANTISSA) * from_bits((k - half + BIAS) << MANTISSA)
        return select(x == x, e, x)

    def decay(square, more):
        # exp(-(square + more) / 2) / SCALE, down to where exp is 0, `more` small: normal where exp is denormal, which is
        # then rounded once, by whoever multiplies by SCALE last
        t = SHIFTER_TO_SCALE - square * HALF_LOG2E
        k = t - SHIFTER_TO_SCALE
        r = square + k * TWO_LN2_HIGH + k * TWO_LN2_LOW + more
        return from_bits(bits(exp_half(r)) + (bits(t) << MANTISSA))

    def far(y):
        # Phi(-y) exp(y^2 / 2); t is exact where y is near 0, and where y is large, its rounding takes out that of v
        v = ONE / (y + MIDDLE)
        u = v * y
        return polynomial(u + u - ONE, TAIL_TERMS) * v

    def erf(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, VANISHES))
        s = from_bits(bits(y) & UPPER)
        e = decay((s + s) * s, (y - s) * (y + s + y + s))
        z = select(bits(y) < NEAR_BITS, y * polynomial(y * y, NEAR_TERMS), ONE - e * far(y * ROOT_TWO) * TWO_SCALES)
        return select(x == x, np.copysign(z, x), x)

    def erfc(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, VANISHES))
        s = from_bits(bits(y) & UPPER)
        z = decay((s + s) * s, (y - s) * (y + s + y + s)) * far(y * ROOT_TWO) * TWO_SCALES
        return select(x == x, select(bits(x) < NO_BITS, ONE + ONE - z, z), x)

    def erf_slope(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, VANISHES))
        s = from_bits(bits(y) & UPPER)
        return select(x == x, SLOPE * decay((s + s) * s, (y - s) * (y + s + y + s)) * SCALE, x)

    def gelu(x):
        # max(x, 0) - y Phi(-y), y = |x|, by terms that gelu_slope has, too: compiled together, they are computed once
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, FLAT))
        s = from_bits(bits(y) & UPPER)
        v = ONE / (y + MIDDLE)
        u = v * y
        tail = decay(s * s, (y - s) * (y + s)) * (polynomial(u + u - ONE, TAIL_TERMS) * u)
        return select(x == x, select(bits(x) < NO_BITS, MINUS_ZERO, x) - tail * SCALE, x)

    def gelu_slope(x):
        y = from_bits(np.minimum(bits(x) & MAGNITUDE, FLAT))
        s = from_bits(bits(y) & UPPER)
        tail = decay(s * s, (y - s) * (y + s)) * (far(y) - y * DENSITY) * SCALE
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

    def silu(x):
        return x * sigmoid(x)

    def gelu_tanh(x):
        # (1 + tanh(v / 2)) / 2 = sigmoid(v)
        return x * sigmoid(x * (LINEAR + CUBIC * (x * x)))

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

    def of_order(b):
        return from_bits(b ^ ((b >> WIDTH) & MAGNITUDE))

    def greater(x, y):
        return (order(x) > order(y)) & (x == x) & (y == y)

    def where(c, x, y):
        # by min with all ones or none: LLVM would load x under the mask c, which is slow in large arrays
        c = unsigned(signed(0) - signed(c))
        return unsigned(min(number(x).view(unsigned), c) | min(number(y).view(unsigned), unsigned(~c))).view(number)

    return SimpleNamespace(**{f.__name__: f for f in (
        bits, unsigned_bits, from_bits, select, polynomial, exp_half, exp, decay, far, erf, erfc, erf_slope, gelu, gelu_slope,
        sigmoid, silu, gelu_tanh, tanh, relu, positive, order, of_order, greater, where)})
