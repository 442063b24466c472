"""The error function erf(x) = 2/sqrt(pi) int_0^x exp(-t^2) dt, erfc(x) = 1 - erf(x), which is exact where erf rounds to 1,
and gelu, in NumPy, which has none of them; and their polynomials, which the kernels (formulas.py) share, fitted with
mpmath.chebyfit to less than the rounding error:
    |x| < 3/4    erf(x) = x P(x^2)
    y >= 0       Phi(-y) = erfc(y / sqrt(2)) / 2 = exp(-y^2 / 2) Q(t) / (y + c), t = (y - c) / (y + c), c = 17/4
The form of the second is close to Schonfelder's (Chebyshev expansions for the error and related functions, 1978). In NumPy, an
array is walked in blocks that stay in the cache, since each power is one pass over it.
"""

import math

import numpy as np

NEAR = {
    np.float64: (1.1472499701094692e-8, -1.5940066854661717e-7, 1.6430684179741549e-6, -1.4924196305569617e-5,
                 0.00012055289567541707, -0.00085483261887597527, 0.0052239776154205387, -0.026866170644428484,
                 0.11283791670952596, -0.37612638903183717, 1.1283791670955126),
    np.float32: (9.47046178e-5, -0.000835692792, 0.00521678949, -0.0268647718, 0.112837786, -0.376126384, 1.12837917),
}
TAIL = {
    np.float64: (-9.810125910266627e-10, -4.2463048032878915e-09, 9.711109864643038e-10, 3.3124717587986224e-08,
                 3.1351425972622476e-08, -1.5893505552477513e-07, -2.9641711072447993e-07, 6.765085292923623e-07,
                 2.0033040707641797e-06, -3.1962138177839193e-06, -1.2619435384668665e-05, 2.0648841863966342e-05,
                 7.800533946087648e-05, -0.0001921229536844878, -0.00040445622869813674, 0.0021493826834355,
                 -0.0007453379432624965, -0.019358324077462803, 0.08527207614563939, -0.22051601745279692,
                 0.41822752582252903, -0.6251297770834485, 0.7595542082672071),
    np.float32: (-0.000231793703, -0.000358297082, 0.00218800502, -0.000753715867, -0.0193694998, 0.0852723718, -0.220514774,
                 0.418227553, -0.625129819, 0.759554207),
}
NEAR_LIMIT, FAR_LIMIT, TAIL_MIDDLE = 0.75, 30.0, 4.25
BLOCK = 4096
DENSITY = 1 / math.sqrt(2 * math.pi)
LINEAR_TERM, CUBIC_TERM = math.sqrt(8 / math.pi), 0.044715 * math.sqrt(8 / math.pi)     # gelu_tanh(x) = x sigmoid(a x + b x^3)


def _polynomial(x, coefficients):
    z = x * coefficients[0]
    z += coefficients[1]
    for c in coefficients[2:]:
        z *= x
        z += c
    return z


def _near(x):
    x = np.clip(x, -NEAR_LIMIT, NEAR_LIMIT)
    return x * _polynomial(x * x, NEAR[x.dtype.type])


def _far(y):
    y = np.minimum(y, FAR_LIMIT)
    z = y * y.dtype.type(math.sqrt(2))
    v = 1 / (z + TAIL_MIDDLE)
    return 2 * np.exp(-y * y) * (_polynomial(2 * (z * v) - 1, TAIL[y.dtype.type]) * v)


def _erf(x):
    y = np.abs(x)
    near = (y < NEAR_LIMIT).astype(x.dtype)
    return near * _near(x) + (1 - near) * np.copysign(1 - _far(y), x)


def _erfc(x):
    sign = np.copysign(x.dtype.type(1), x)
    return (1 - sign) + sign * _far(np.abs(x))


def _erf_slope(x):
    y = np.minimum(np.abs(x), FAR_LIMIT)
    return x.dtype.type(2 / math.sqrt(math.pi)) * np.exp(-y * y)


def _gelu(x):
    x = np.maximum(x, -50)                              # where it is -0, also of -inf
    return x * (x.dtype.type(0.5) * _erfc(x * x.dtype.type(-math.sqrt(0.5))))


def _gelu_slope(x):
    half, y = x.dtype.type(0.5), np.minimum(np.abs(x), 50)
    return half * _erfc(x * x.dtype.type(-math.sqrt(0.5))) + np.copysign(y * np.exp(-half * y * y) * DENSITY, x)


def _in_blocks(f):
    """f of float32 or float64 blocks, as a function of any array of real numbers: half floats go through float32."""

    def g(x, out=None):
        x = np.asarray(x)
        kept = x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.dtype(np.float64)
        if x.dtype.kind == "c":
            raise TypeError("not defined for complex numbers")
        flat = x.astype(np.float32 if kept.itemsize <= 4 else np.float64, copy=False).ravel()
        z = np.empty(flat.shape, kept)
        for low in range(0, flat.size, BLOCK):
            z[low:low + BLOCK] = f(flat[low:low + BLOCK])
        z = z.reshape(x.shape)
        return z if out is None else np.positive(z, out=out)

    return g


PLAIN = {"erf": _in_blocks(_erf), "erfc": _in_blocks(_erfc), "erf_slope": _in_blocks(_erf_slope), "gelu": _in_blocks(_gelu),
         "gelu_slope": _in_blocks(_gelu_slope)}
