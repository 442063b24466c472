"""Logarithms of densities and of their tails, exact where their parts are large or underflow. Loading this file loads SciPy.

(a - 1) log(x) - x - gammaln(a) is a small difference of great terms where a is large; what is left there is the sum of two
deviances and Stirling's errors, which are computed by themselves (C. Loader, Fast and accurate computation of binomial
probabilities, 2000). The logarithm of a tail that underflows is that of the density and of a series or continued fraction
(NIST Digital Library of Mathematical Functions, 8.7.1, 8.9.2, 8.17.22), of which its derivative, the hazard density / tail, is
made as well. special.py and tapegrad.scipy.stats use these rows.
"""

import math

import numpy as np
from scipy import special

from tapegrad.primitives.registry import primitive

LARGE = 16.0                            # of a shape: from here on Loader's form
FAR = 1e-100                            # of a probability: below, SciPy loses digits or underflows


def _as(z, *operands):
    """z in the dtype that a ufunc gives of the operands."""
    kind = np.result_type(*operands)
    if kind.kind == "c":
        raise TypeError(f"not defined for complex numbers: operands {', '.join(str(np.asarray(y).dtype) for y in operands)}")
    return np.asarray(z).astype(kind if kind.kind == "f" else float)


def _deviance(k, m):
    """k log(k / m) + m - k, for k > 0."""
    v = (k - m) / (k + m)
    near = np.abs(v) < 0.1
    square, series = np.where(near, v * v, 0.0), 0.0
    for j in range(8, 0, -1):
        series = square * (series + 1 / (2 * j + 1))
    with np.errstate(divide="ignore", over="ignore"):
        log = np.where(m < 1e-200 * k, np.log(k) - np.log(m), np.log(k / m))       # k / m may overflow
        return np.where(near, (k - m) * v + 2 * k * v * series, k * log + m - k)


def _stirling_error(k):
    """gammaln(k + 1) - (k + 1/2) log(k) + k - log(2 pi) / 2, for large k."""
    square = k * k
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / k


def _log_gamma_density(a, x):
    """(a - 1) log(x) - x - gammaln(a)"""
    wide, x_wide = np.asarray(a, float), np.asarray(x, float)
    z = special.xlogy(wide - 1, x_wide) - x_wide - special.gammaln(wide)
    large = (wide >= LARGE) & (x_wide >= 0)
    if large.any():
        k = np.where(large, wide - 1, LARGE)
        exact = -_stirling_error(k) - _deviance(k, np.where(large, x_wide, 1.0)) - 0.5 * np.log(2 * math.pi * k)
        z = np.where(large & (x_wide < math.inf), exact, z)
    return _as(z, a, x)


def _log_beta(a, b):
    """betaln, for a, b > 0, without the cancellation where one is much larger."""
    small, big = np.minimum(a, b), np.maximum(a, b)
    near = 4 * small <= big
    z = special.betaln(a, b)
    if near.any():
        z = np.where(near, special.gammaln(small) - _polygamma_step(-1, big, np.where(near, small, 0.0)), z)
    return z


def _log_beta_density(a, b, x):
    """(a - 1) log(x) + (b - 1) log(1 - x) - betaln(a, b)"""
    p, q, x_wide = np.asarray(a, float) - 1, np.asarray(b, float) - 1, np.asarray(x, float)
    z = special.xlogy(p, x_wide) + special.xlog1py(q, -x_wide) - _log_beta(p + 1, q + 1)
    large = (np.minimum(p, q) >= LARGE) & (x_wide >= 0) & (x_wide <= 1)
    if large.any():
        p, q, x_wide = np.where(large, p, LARGE), np.where(large, q, LARGE), np.where(large, x_wide, 0.5)
        n = p + q
        exact = (_stirling_error(n) - _stirling_error(p) - _stirling_error(q) + np.log1p(n)
                 + 0.5 * np.log(n / (2 * math.pi * p * q)) - _deviance(p, n * x_wide)
                 - _deviance(q, n * (1 - x_wide)))
        z = np.where(large, exact, z)
    return _as(z, a, b, x)


def _any_polygamma(n, x):
    """polygamma(n, x), and gammaln(x) for n = -1."""
    higher = np.maximum(n, 1)
    z = np.where(higher % 2 == 1, 1.0, -1.0) * special.gamma(higher + 1) * special.zeta(higher + 1, x)
    return np.where(n < 0, special.gammaln(x), np.where(n == 0, special.psi(x), z))


def _polygamma_step(n, x, h):
    """polygamma(n, x + h) - polygamma(n, x), by Taylor's series where h is small beside x; of gammaln for n = -1."""
    order, at, step = np.broadcast_arrays(np.asarray(n, float), np.asarray(x, float), np.asarray(h, float))
    with np.errstate(invalid="ignore"):
        z = _any_polygamma(order, at + step) - _any_polygamma(order, at)
    near = (at > 0) & (at < math.inf) & (4 * np.abs(step) <= at)
    if near.any():
        order, at, step = order[near], at[near], step[near]
        ratio = max(np.max(np.abs(step) / at, initial=0.0), 1e-9)
        series, power = 0.0, 1.0
        for k in range(1, 4 + int(np.max(order, initial=0.0)) + math.ceil(37 / -math.log(ratio))):
            power = power * step / k
            series = series + power * _any_polygamma(order + k, at)
        z = np.array(z)
        z[near] = series
    return _as(z, n, x, h)


def _fraction(term):
    """b0 + a1 / (b1 + a2 / (b2 + ..)) of term(j) = (aj, bj), by Lentz's method."""
    z = c = _not_zero(term(0)[1])
    d = np.zeros_like(z)
    for j in range(1, 100_000):
        a, b = term(j)
        d = 1 / _not_zero(b + a * d)
        c = _not_zero(b + a / c)
        z = z * (c * d)
        if not np.any(np.abs(c * d - 1) > 1e-15):
            break
    return z


def _not_zero(x):
    return np.where(x == 0, 1e-300, x)


def _gammainc_far(a, x):
    """gammainc(a, x) over the density, for x far below a."""
    series, term, j = np.ones_like(x), np.ones_like(x), 0
    while np.any(term > 1e-17 * series):
        j += 1
        term = term * x / (a + j)
        series = series + term
    return x / a * series


def _gammaincc_far(a, x):
    """gammaincc(a, x) over the density, for x far above a."""
    return x / _fraction(lambda j: (j * (a - j), x + 2 * j + 1 - a))


def _beta_fraction(a, b, x):
    def term(j):
        m, one = j // 2, np.ones_like(x)
        if j % 2 == 1:
            return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), one
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) if m else one, one

    return _fraction(term)


def _betainc_far(a, b, x):
    """betainc(a, b, x) over the density, for x far below a / (a + b)."""
    return x * (1 - x) / a / _beta_fraction(a, b, x)


def _betaincc_far(a, b, x):
    return _betainc_far(b, a, 1 - x)


def _stdtr_far(df, t):
    """stdtr(df, t) over the density, for t far below 0."""
    return -t / df / _beta_fraction(df * 0.5, np.full_like(df, 0.5), df / (df + t * t))


def _log_t_density(df, x):
    """-(df + 1) / 2 log(1 + x^2 / df) - betaln(df / 2, 1 / 2) - log(df) / 2"""
    wide, x_wide = np.asarray(df, float), np.asarray(x, float)
    z = (_polygamma_step(-1, wide * 0.5, 0.5) - 0.5 * np.log(wide * math.pi)
         - (wide + 1) * 0.5 * np.log1p(x_wide * x_wide / wide))
    return _as(z, df, x)


def _tail(p, rest, far, log_density, operands, hazard):
    """log(p), or the hazard, density / p; rest is 1 - p, and far(*operands) is p / density where p is far in a tail."""
    p, rest, *wide = np.broadcast_arrays(*[np.asarray(x, float) for x in (p, rest, *operands)])
    low = p < FAR
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if hazard:
            z = np.exp(log_density(*wide)) / p
        else:
            z = np.where(p > 0.5, np.log1p(-np.minimum(rest, 0.5)), np.log(p))
        if low.any():
            z, wide = np.array(z), [x[low] for x in wide]
            exact = 1 / far(*wide) if hazard else log_density(*wide) + np.log(far(*wide))
            z[low] = np.where(np.isnan(exact), z[low], exact)       # inf - inf at an end of the support, where p is 0
    return _as(z, *operands)


def _log_gammainc(a, x, hazard=False):
    return _tail(special.gammainc(a, x), special.gammaincc(a, x), _gammainc_far, _log_gamma_density, (a, x), hazard)


def _log_gammaincc(a, x, hazard=False):
    return _tail(special.gammaincc(a, x), special.gammainc(a, x), _gammaincc_far, _log_gamma_density, (a, x), hazard)


def _log_betainc(a, b, x, hazard=False):
    return _tail(special.betainc(a, b, x), special.betaincc(a, b, x), _betainc_far, _log_beta_density, (a, b, x), hazard)


def _log_betaincc(a, b, x, hazard=False):
    return _tail(special.betaincc(a, b, x), special.betainc(a, b, x), _betaincc_far, _log_beta_density, (a, b, x), hazard)


def _log_stdtr(df, x, hazard=False):
    return _tail(special.stdtr(df, x), special.stdtr(df, -np.asarray(x)), _stdtr_far, _log_t_density, (df, x), hazard)


def _gammainc_hazard(a, x):
    return _log_gammainc(a, x, True)


def _gammaincc_hazard(a, x):
    return _log_gammaincc(a, x, True)


def _betainc_hazard(a, b, x):
    return _log_betainc(a, b, x, True)


def _betaincc_hazard(a, b, x):
    return _log_betaincc(a, b, x, True)


def _stdtr_hazard(df, x):
    return _log_stdtr(df, x, True)


def like(F, c, d):
    """c in the dtype of d: integer parameters make float32 wider."""
    return c if c.dtype == d.dtype else F.astype(c, d.dtype)


def ratio(F, x, y):
    """x / y, and x where both are 0."""
    return x / F.where(F.logical_and(F.equal(x, 0), F.equal(y, 0)), 1.0, y)


def _gamma_slope(F, a, x):
    return ratio(F, a - 1, x) - 1


def _beta_slope(F, a, b, x):
    return ratio(F, a - 1, x) - ratio(F, b - 1, 1 - x)


def _t_slope(df, x):
    return -(df + 1) * x / (df + x * x)


def _t_slope_by_df(F, df, x):
    square = x * x
    return 0.5 * (F.special_polygamma_step(0, df * 0.5, 0.5) - 1 / df - F.log1p(square / df)
                  + (df + 1) * square / (df * (df + square)))


def _row(name, *dg):
    return primitive(f"special_{name}", *dg, pointwise=True, strong=True)


_row("polygamma_step", _polygamma_step, None,
     lambda F, d, _z, n, x, h: F.strong_multiply(d, F.special_polygamma_step(n + 1, x, h)),
     lambda F, d, _z, n, x, h: F.strong_multiply(d, F.special_polygamma(n + 1, x + h)))
_row("log_gamma_density", _log_gamma_density,
     lambda F, d, _z, a, x: F.strong_multiply(d, F.log(x) - F.special_psi(a)),
     lambda F, d, _z, a, x: F.strong_multiply(d, like(F, _gamma_slope(F, a, x), d)))
_row("log_beta_density", _log_beta_density,
     lambda F, d, _z, a, b, x: F.strong_multiply(d, F.log(x) + F.special_polygamma_step(0, a, b)),
     lambda F, d, _z, a, b, x: F.strong_multiply(d, F.log1p(-x) + F.special_polygamma_step(0, b, a)),
     lambda F, d, _z, a, b, x: F.strong_multiply(d, like(F, _beta_slope(F, a, b, x), d)))
_row("log_t_density", _log_t_density,
     lambda F, d, _z, df, x: F.strong_multiply(d, _t_slope_by_df(F, df, x)),
     lambda F, d, _z, df, x: F.strong_multiply(d, like(F, _t_slope(df, x), d)))

# Logarithms of tails, and the hazards that are their derivatives
_row("log_gammainc", _log_gammainc, None,
     lambda F, d, _z, a, x: F.strong_multiply(d, like(F, F.special_gammainc_hazard(a, x), d)))
_row("log_gammaincc", _log_gammaincc, None,
     lambda F, d, _z, a, x: -F.strong_multiply(d, like(F, F.special_gammaincc_hazard(a, x), d)))
_row("log_betainc", _log_betainc, None, None,
     lambda F, d, _z, a, b, x: F.strong_multiply(d, like(F, F.special_betainc_hazard(a, b, x), d)))
_row("log_betaincc", _log_betaincc, None, None,
     lambda F, d, _z, a, b, x: -F.strong_multiply(d, like(F, F.special_betaincc_hazard(a, b, x), d)))
_row("log_stdtr", _log_stdtr, None,
     lambda F, d, _z, df, x: F.strong_multiply(d, like(F, F.special_stdtr_hazard(df, x), d)))
_row("gammainc_hazard", _gammainc_hazard, None,
     lambda F, d, z, a, x: F.strong_multiply(d, like(F, z * (_gamma_slope(F, a, x) - z), d)))
_row("gammaincc_hazard", _gammaincc_hazard, None,
     lambda F, d, z, a, x: F.strong_multiply(d, like(F, z * (_gamma_slope(F, a, x) + z), d)))
_row("betainc_hazard", _betainc_hazard, None, None,
     lambda F, d, z, a, b, x: F.strong_multiply(d, like(F, z * (_beta_slope(F, a, b, x) - z), d)))
_row("betaincc_hazard", _betaincc_hazard, None, None,
     lambda F, d, z, a, b, x: F.strong_multiply(d, like(F, z * (_beta_slope(F, a, b, x) + z), d)))
_row("stdtr_hazard", _stdtr_hazard, None,
     lambda F, d, z, df, x: F.strong_multiply(d, like(F, z * (_t_slope(df, x) - z), d)))
