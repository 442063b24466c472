"""The error function erf(x) = 2/sqrt(pi) int_0^x exp(-t^2) dt, erfc(x) = 1 - erf(x), which is exact where erf rounds to 1,
and gelu, in NumPy, which has none of them; and their polynomials, which the kernels (formulas.py) share, fitted with
mpmath.chebyfit to less than the rounding error:
    |x| < 3/4    erf(x) = x P(x^2)
    y >= 0       erfc(y) = exp(-y^2) (1 + (1 + t) Q(t)) / (1 + 2 y), t = (y - 3) / (y + 3), for y up to 30, where it is 0
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
FAR = {
    np.float64: (-3.1710798758744219e-9, -3.0787972894783375e-9, 3.3546191003636916e-8, 5.0404126684447524e-8,
                 -1.8018637184965673e-7, -4.1287716394715534e-7, 7.6337677745134211e-7, 2.6905087471868825e-6,
                 -3.4207269555806864e-6, -1.6670633722357669e-5, 2.1620489806136363e-5, 0.00010347591777001996,
                 -0.00020863601301165462, -0.00057119566024749632, 0.0024598860958202401, 6.9505646105065545e-5,
                 -0.023840020574433464, 0.092148047923522717, -0.21142171133824864, 0.34106687004084541,
                 -0.3886291643943093, 0.2530080582697297),
    np.float32: (5.28793345e-5, -0.000174461841, -0.000511464702, 0.00243702379, 3.82658212e-5, -0.0238327054, 0.0921552179,
                 -0.211422753, 0.34106628, -0.388629119, 0.253008066),
}
NEAR_LIMIT, FAR_LIMIT = 0.75, 30.0
BLOCK = 4096
DENSITY = 1 / math.sqrt(2 * math.pi)


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
    t = (y - 3) / (y + 3)
    return np.exp(-y * y) * (1 + (1 + t) * _polynomial(t, FAR[y.dtype.type])) / (1 + 2 * y)


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
