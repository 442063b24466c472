"""SciPy's special functions: a row per ufunc of scipy.special, with its own derivatives. Loading this file loads SciPy.

They are named special_gammaln, .. , so that a user's primitive may be called gammaln. Where SciPy has no function for the
derivative by a parameter, such as the order of a Bessel function, the rule is None. Sources of the rules: NIST Digital
Library of Mathematical Functions, 5.5, 5.15, 6.2, 7.10, 8.8, 8.17, 8.19, 10.6, 10.29, 25.11; A. Owen (1956) for owens_t.
"""

import math

import numpy as np
from scipy import special

from tapegrad.primitives.densities import like, ratio
from tapegrad.primitives.registry import primitive, table

ROOT_PI, ROOT_2PI = math.sqrt(math.pi), math.sqrt(2 * math.pi)


def _polygamma(n, x):
    kind = x.dtype if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f" else np.dtype(float)
    n = np.asarray(n, float)
    with np.errstate(invalid="ignore"):
        z = np.where(n == 0, special.psi(x), np.where(n % 2 == 1, 1.0, -1.0) * special.gamma(n + 1) * special.zeta(n + 1, x))
    return z.astype(kind)


def _hazard(x):
    """The density of the normal distribution over its distribution function, without underflow."""
    return math.sqrt(2 / math.pi) / special.erfcx(x * -math.sqrt(0.5))


def _hazard_excess(x):
    """hazard(x) + x; below -5 by a continued fraction of -x (NIST 7.9), without cancellation."""
    below = x < -5
    s = np.where(below, -x, 5.0)
    tail = s
    for j in range(40, 0, -1):
        tail = j / (s + tail)
    z = np.where(below, tail, _hazard(x) + x)
    return z.astype(x.dtype) if isinstance(x, (np.ndarray, np.generic)) else z


def _gamma_density(F, d, a, x):
    return F.strong_multiply(d, like(F, F.exp(F.special_log_gamma_density(a, x)), d))


def _gamma_width(F, d, a, z):
    return F.strong_multiply(d, like(F, F.exp(-F.special_log_gamma_density(a, z)), d))


def _beta_density(F, d, a, b, x):
    return F.strong_multiply(d, like(F, F.exp(F.special_log_beta_density(a, b, x)), d))


def _beta_width(F, d, a, b, z, rest):
    """1 / density at z, of which 1 - rest is the same."""
    width = F.where(F.less(z, 0.5), -F.special_log_beta_density(a, b, z), -F.special_log_beta_density(b, a, rest))
    return F.strong_multiply(d, like(F, F.exp(width), d))


def _expn_dx(F, d, z, n, x):
    """-E_(n-1)(x), where E_0(x) = exp(-x) / x."""
    nothing = F.less_equal(n, 0)
    return -F.strong_multiply(d, like(F, F.where(nothing, z * (1 + 1 / x), F.special_expn(F.maximum(n, 1) - 1, x)), d))


def _row(name, *dg):
    return primitive(f"special_{name}", getattr(special, name), *dg)


def _mean(F, name, d, v, x):
    """The two neighbours of a Bessel function of order v, and their mean's sign is left to the rule."""
    function = getattr(F, f"special_{name}")
    return like(F, function(v - 1, x), d), like(F, function(v + 1, x), d)


def _jv_dx(name):
    def rule(F, d, _z, v, x):
        below, above = _mean(F, name, d, v, x)
        return F.strong_multiply(d, 0.5 * (below - above))

    return rule


def _iv_dx(F, d, _z, v, x):
    below, above = _mean(F, "iv", d, v, x)
    return F.strong_multiply(d, 0.5 * (below + above))


def _ive_dx(F, d, z, v, x):
    below, above = _mean(F, "ive", d, v, x)
    return F.strong_multiply(d, 0.5 * (below + above) - F.sign(x) * z)


def _kv_dx(F, d, _z, v, x):
    below, above = _mean(F, "kv", d, v, x)
    return -F.strong_multiply(d, 0.5 * (below + above))


def _kve_dx(F, d, z, v, x):
    below, above = _mean(F, "kve", d, v, x)
    return F.strong_multiply(d, z - 0.5 * (below + above))


def _rgamma_slope(F, z, x):
    """-psi(x) / gamma(x); below 1/2 by reflection, so that it is finite where gamma is not."""
    below = F.less(x, 0.5)
    y = F.where(below, 1 - x, x)
    reflected = F.special_gamma(F.where(below, y, 1.0)) * (F.cos(math.pi * x) - F.sin(math.pi * x) * F.special_psi(y) / math.pi)
    return F.where(below, reflected, -z * F.special_psi(y))


# Gamma and beta functions
_row("gamma", lambda F, d, z, x: F.strong_multiply(d, z * F.special_psi(x)))
_row("gammaln", lambda F, d, _z, x: F.strong_multiply(d, F.special_psi(x)))
_row("gammasgn", None)
_row("rgamma", lambda F, d, z, x: F.strong_multiply(d, _rgamma_slope(F, z, x)))
_row("psi", lambda F, d, _z, x: F.strong_multiply(d, F.special_polygamma(1, x)))
primitive("special_polygamma", _polygamma, None, lambda F, d, _z, n, x: F.strong_multiply(d, F.special_polygamma(n + 1, x)))
_row("beta", lambda F, d, z, a, b: -F.strong_multiply(d, z * F.special_polygamma_step(0, a, b)),
             lambda F, d, z, a, b: -F.strong_multiply(d, z * F.special_polygamma_step(0, b, a)))
_row("betaln", lambda F, d, _z, a, b: -F.strong_multiply(d, F.special_polygamma_step(0, a, b)),
               lambda F, d, _z, a, b: -F.strong_multiply(d, F.special_polygamma_step(0, b, a)))
_row("poch", lambda F, d, z, a, m: F.strong_multiply(d, z * F.special_polygamma_step(0, a, m)),
             lambda F, d, z, a, m: F.strong_multiply(d, z * F.special_psi(a + m)))
_row("binom", lambda F, d, z, n, k: F.strong_multiply(d, z * F.special_polygamma_step(0, n - k + 1, k)),
              lambda F, d, z, n, k: F.strong_multiply(d, z * (F.special_psi(n - k + 1) - F.special_psi(k + 1))))
_row("gammainc", None, lambda F, d, _z, a, x: _gamma_density(F, d, a, x))
_row("gammaincc", None, lambda F, d, _z, a, x: -_gamma_density(F, d, a, x))
_row("gammaincinv", None, lambda F, d, z, a, _y: _gamma_width(F, d, a, z))
_row("gammainccinv", None, lambda F, d, z, a, _y: -_gamma_width(F, d, a, z))
_row("betainc", None, None, lambda F, d, _z, a, b, x: _beta_density(F, d, a, b, x))
_row("betaincc", None, None, lambda F, d, _z, a, b, x: -_beta_density(F, d, a, b, x))
_row("betaincinv", None, None, lambda F, d, z, a, b, y: _beta_width(F, d, a, b, z, F.special_betainccinv(b, a, y)))
_row("betainccinv", None, None, lambda F, d, z, a, b, y: -_beta_width(F, d, a, b, z, F.special_betaincinv(b, a, y)))

# The error function and the normal distribution
_row("erfcx", lambda F, d, z, x: F.strong_multiply(d, 2 * x * z - 2 / ROOT_PI))
_row("erfi", lambda F, d, _z, x: F.strong_multiply(d, (2 / ROOT_PI) * F.exp(x * x)))
_row("dawsn", lambda F, d, z, x: d * (1 - 2 * x * z))
_row("erfinv", lambda F, d, z, _x: F.strong_multiply(d, (ROOT_PI / 2) * F.exp(z * z)))
_row("erfcinv", lambda F, d, z, _x: F.strong_multiply(d, (-ROOT_PI / 2) * F.exp(z * z)))
_row("ndtr", lambda F, d, _z, x: d * (F.exp(-0.5 * (x * x)) / ROOT_2PI))
_row("log_ndtr", lambda F, d, _z, x: F.strong_multiply(d, F.special_hazard(x)))
_row("ndtri", lambda F, d, z, _x: F.strong_multiply(d, ROOT_2PI * F.exp(0.5 * (z * z))))
_row("ndtri_exp", lambda F, d, z, _x: F.strong_multiply(d, 1 / F.special_hazard(z)))
primitive("special_hazard", _hazard, lambda F, d, z, x: -F.strong_multiply(d, z * F.special_hazard_excess(x)))
primitive("special_hazard_excess", _hazard_excess,
          lambda F, d, z, x: F.strong_multiply(d, 1 - F.special_hazard(x) * z))
_row("owens_t", lambda F, d, _z, h, a: -d * ((F.special_ndtr(a * h) - 0.5) * F.exp(-0.5 * (h * h)) / ROOT_2PI),
                lambda F, d, _z, h, a: d * (F.exp(-0.5 * (h * h) * (1 + a * a)) / (2 * math.pi * (1 + a * a))))
_row("stdtr", None, lambda F, d, _z, df, x: F.strong_multiply(d, like(F, F.exp(F.special_log_t_density(df, x)), d)))
_row("stdtrit", None, lambda F, d, z, df, _p: F.strong_multiply(d, like(F, F.exp(-F.special_log_t_density(df, z)), d)))

# Logistic functions and entropies
_row("expit", lambda F, d, z, x: d * (z * F.special_expit(-x)))
_row("logit", lambda F, d, _z, x: F.strong_multiply(d, 1 / (x * (1 - x))))
_row("log_expit", lambda F, d, _z, x: d * F.special_expit(-x))
_row("xlogy", lambda F, d, _z, _x, y: F.strong_multiply(d, F.log(y)),
              lambda F, d, _z, x, y: F.strong_multiply(d, ratio(F, x, y)))
_row("xlog1py", lambda F, d, _z, _x, y: F.strong_multiply(d, F.log1p(y)),
                lambda F, d, _z, x, y: F.strong_multiply(d, ratio(F, x, 1 + y)))
_row("entr", lambda F, d, _z, x: -F.strong_multiply(d, F.log(x) + 1))
_row("rel_entr", lambda F, d, _z, x, y: F.strong_multiply(d, F.log(ratio(F, x, y)) + 1),
                 lambda F, d, _z, x, y: -F.strong_multiply(d, ratio(F, x, y)))
_row("kl_div", lambda F, d, _z, x, y: F.strong_multiply(d, F.log(ratio(F, x, y))),
               lambda F, d, _z, x, y: F.strong_multiply(d, 1 - ratio(F, x, y)))
_row("exp10", lambda F, d, z, _x: F.strong_multiply(d, math.log(10) * z))
_row("cosm1", lambda F, d, _z, x: -d * F.sin(x))
_row("boxcox", lambda F, d, _z, x, p: F.strong_multiply(d, like(F, x ** (p - 1), d)), None)

# Bessel functions
_row("j0", lambda F, d, _z, x: -d * F.special_j1(x))
_row("j1", lambda F, d, _z, x: d * (0.5 * (F.special_j0(x) - F.special_jv(2, x))))
_row("y0", lambda F, d, _z, x: -F.strong_multiply(d, F.special_y1(x)))
_row("y1", lambda F, d, _z, x: F.strong_multiply(d, 0.5 * (F.special_y0(x) - F.special_yv(2, x))))
_row("i0", lambda F, d, _z, x: F.strong_multiply(d, F.special_i1(x)))
_row("i1", lambda F, d, _z, x: F.strong_multiply(d, 0.5 * (F.special_i0(x) + F.special_iv(2, x))))
_row("i0e", lambda F, d, z, x: d * (F.special_i1e(x) - F.sign(x) * z))
_row("i1e", lambda F, d, z, x: d * (0.5 * (F.special_i0e(x) + F.special_ive(2, x)) - F.sign(x) * z))
_row("k0", lambda F, d, _z, x: -F.strong_multiply(d, F.special_k1(x)))
_row("k1", lambda F, d, _z, x: F.strong_multiply(d, -0.5 * (F.special_k0(x) + F.special_kv(2, x))))
_row("k0e", lambda F, d, z, x: F.strong_multiply(d, z - F.special_k1e(x)))
_row("k1e", lambda F, d, z, x: F.strong_multiply(d, z - 0.5 * (F.special_k0e(x) + F.special_kve(2, x))))
_row("jv", None, _jv_dx("jv"))
_row("yv", None, _jv_dx("yv"))
_row("iv", None, _iv_dx)
_row("kv", None, _kv_dx)
_row("ive", None, _ive_dx)
_row("kve", None, _kve_dx)

# Integrals and the zeta function
_row("expi", lambda F, d, _z, x: F.strong_multiply(d, F.exp(x) / x))
_row("exp1", lambda F, d, _z, x: -F.strong_multiply(d, F.exp(-x) / x))
_row("expn", None, _expn_dx)
_row("zeta", None, lambda F, d, _z, x, q: F.strong_multiply(d, like(F, -x * F.special_zeta(x + 1, q), d)))

# The row of each of SciPy's ufuncs; of some of them NumPy's or tapegrad's own. kn and yn have no float32.
ROWS = {row.plain: row for name, row in table.items() if name.startswith("special_")}
ROWS |= {getattr(special, name): table.get(row) for name, row in {
    "erf": "erf", "erfc": "erfc", "exp2": "exp2", "expm1": "expm1", "log1p": "log1p", "cbrt": "cbrt",
    "kn": "special_kv", "yn": "special_yv", "jve": "special_jv"}.items()}
