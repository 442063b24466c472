"""Distributions and derivatives in mpmath, at 30 digits: the oracle of tapegrad.scipy.special and stats.

Import it after pytest.importorskip("mpmath").
"""

from itertools import product

import numpy as np
import scipy.stats
from mpmath import mp

import tapegrad as tg


def exact(function, arguments, orders):
    """A derivative of mpmath's function, of those orders by each argument, at every row of the arguments; integers stay so."""
    found = []
    with mp.workdps(30):
        for row in zip(*arguments):
            at = [mp.mpf(float(x)) if isinstance(x, (float, np.floating)) else int(x) for x in row]
            if any(orders):
                f = getattr(function, "same_derivatives", function)
                z = mp.diff(f, tuple(at), orders)
                if abs(z) < 1e-20:                      # what differences make of a constant
                    z = z if abs(z) > 1e-30 * abs(f(*at)) else 0
            else:
                z = function(*at)
            found.append(float(z))
    return np.array(found)


def normal(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def student(df, t):
    df = mp.mpf(df)
    if abs(t) < 1:
        return (1 + mp.sign(t) * mp.betainc(mp.mpf(1) / 2, df / 2, 0, t * t / (df + t * t), regularized=True)) / 2
    half = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
    return 1 - half if t > 0 else half


def student_density(y, df):
    return mp.exp(mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - (df + 1) / 2 * mp.log1p(y * y / df)) / mp.sqrt(df * mp.pi)


def gamma_density(y, a):
    return mp.exp((a - 1) * mp.log(y) - y - mp.loggamma(a))


def below_gamma(y, a):
    return mp.gammainc(a, 0, y, regularized=True)


def above_gamma(y, a):
    return mp.gammainc(a, y, mp.inf, regularized=True)


def beta_density(y, a, b):
    return mp.exp((a - 1) * mp.log(y) + (b - 1) * mp.log1p(-y) - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(a + b))


def below_beta(y, a, b):
    return mp.betainc(a, b, 0, y, regularized=True)


def binomial(k, n, p):
    return mp.binomial(n, k) * p ** k * (1 - p) ** (n - k)


HALF = [1e-9, 1e-3, 0.7, 5.0, 80.0, 600.0]

# name: (values inside of the support, a grid of each shape; the density, the distribution function and what it lacks to 1, of
# the standardised value and the shapes). Values and shapes that are integers have no derivative.
DISTRIBUTIONS = {
    "norm": ([-37.0, -9.0, -2.0, -1e-3, 0.3, 5.0, 30.0], (), mp.npdf, normal, lambda y: normal(-y)),
    "t": ([-1e6, -40.0, -2.0, 1e-3, 0.3, 5.0, 1e3], ([0.5, 3.0, 1e4],), student_density, lambda y, df: student(df, y),
          lambda y, df: student(df, -y)),
    "gamma": ([*HALF, 1e4], ([0.3, 2.5, 60.0, 1e4],), gamma_density, below_gamma, above_gamma),
    "beta": ([1e-9, 1e-3, 0.3, 0.7, 0.999], ([0.3, 2.5, 400.0], [0.5, 3.5, 900.0]), beta_density, below_beta,
             lambda y, a, b: below_beta(1 - y, b, a)),
    "chi2": ([*HALF, 1e4], ([0.5, 5.0, 1e4],), lambda y, df: gamma_density(y / 2, df / 2) / 2,
             lambda y, df: below_gamma(y / 2, df / 2), lambda y, df: above_gamma(y / 2, df / 2)),
    "expon": (HALF, (), lambda y: mp.exp(-y), lambda y: -mp.expm1(-y), lambda y: mp.exp(-y)),
    "lognorm": (HALF, ([0.2, 0.7, 3.0],), lambda y, s: mp.npdf(mp.log(y) / s) / (s * y), lambda y, s: normal(mp.log(y) / s),
                lambda y, s: normal(-mp.log(y) / s)),
    "uniform": ([1e-9, 0.3, 0.999], (), lambda y: mp.mpf(1), lambda y: y, lambda y: 1 - y),
    "poisson": ([0, 1, 7, 60, 1000, 10000], ([1e-3, 3.3, 60.0, 1e3, 1e4],),
                lambda k, mu: mp.exp(k * mp.log(mu) - mu - mp.loggamma(k + 1)), lambda k, mu: above_gamma(mu, k + 1),
                lambda k, mu: below_gamma(mu, k + 1)),
    "binom": ([0, 1, 4, 5, 50, 199, 200], ([5, 200], [1e-6, 0.05, 0.3, 0.999]), binomial,
              lambda k, n, p: mp.fsum(binomial(j, n, p) for j in range(int(k) + 1)),
              lambda k, n, p: mp.fsum(binomial(j, n, p) for j in range(int(k) + 1, int(n) + 1))),
}
CONTINUOUS = [name for name in DISTRIBUTIONS if name not in ("poisson", "binom")]
LOC_SCALE = (0.25, 1.5)
LEVELS = [1e-6, 1e-3, 0.2, 0.5, 0.9, 0.999]


def methods(name):
    """The methods of a distribution that have derivatives."""
    density = ("pdf", "logpdf") if name in CONTINUOUS else ("pmf", "logpmf")
    return *density, "cdf", "sf", "logcdf", "logsf", *(("ppf", "isf") if name in CONTINUOUS else ())


def theirs(name, method, one=1):
    """mpmath's function of the arguments of a method. With one=0 the same less 1 where it is near that: so it keeps its digits,
    and has the same derivatives.
    """
    _, _, density, *tails = DISTRIBUTIONS[name]
    what = method.removeprefix("log")
    lower, upper = tails if method in ("cdf", "logcdf", "ppf") else tails[::-1]
    scipys = getattr(scipy.stats, name)

    def function(x, *parameters):
        *shapes, loc, scale = parameters if name in CONTINUOUS else (*parameters, 1)
        if method in ("ppf", "isf"):                    # Newton's method, from what SciPy finds
            y = mp.mpf(float(getattr(scipys, method)(float(x), *map(float, shapes))))
            for _ in range(4):
                y -= (lower(y, *shapes) - x) / density(y, *shapes) * (1 if method == "ppf" else -1)
            return y * scale + loc
        y = (x - loc) / scale if name in CONTINUOUS else x - loc
        if what in ("cdf", "sf"):
            if getattr(scipys, what)(float(y), *map(float, shapes)) < 0.6:
                return mp.log(lower(y, *shapes)) if method.startswith("log") else lower(y, *shapes)
            return mp.log1p(-upper(y, *shapes)) if method.startswith("log") else one - upper(y, *shapes)
        z = density(y, *shapes) / scale
        return mp.log(z) if method.startswith("log") else z

    if one:
        function.same_derivatives = theirs(name, method, 0)
    return function


def points(name, method):
    """(arguments, the positions of those with a derivative): the grid of a method."""
    values, shapes = DISTRIBUTIONS[name][:2]
    places = [LOC_SCALE] if name in CONTINUOUS else [(1,)]
    rows = []
    for y, *given, place in product(LEVELS if method in ("ppf", "isf") else values, *shapes, places):
        if name != "binom" or y < given[0] + (method != "logsf"):      # sf is 0 at the end
            x = y if method in ("ppf", "isf") else y * (place[1] if name in CONTINUOUS else 1) + place[0]
            rows.append((x, *given, *place))
    with_derivative = [isinstance(x, float) for x in rows[0]]
    if not method.endswith(("pdf", "pmf")) and name in ("t", "gamma", "beta", "chi2"):
        with_derivative[1:1 + len(shapes)] = [False] * len(shapes)
    return [np.array(column) for column in zip(*rows)], [i for i, wanted in enumerate(with_derivative) if wanted]


def normal_vector(x, y, mean_x, mean_y, xx, xy, yy):
    x, y, determinant = x - mean_x, y - mean_y, xx * yy - xy * xy
    return -(yy * x * x - 2 * xy * x * y + xx * y * y) / determinant / 2 - mp.log(determinant) / 2 - mp.log(2 * mp.pi)


def dirichlet(x, y, a, b, c):
    return ((a - 1) * mp.log(x) + (b - 1) * mp.log(y) + (c - 1) * mp.log(1 - x - y) + mp.loggamma(a + b + c)
            - mp.loggamma(a) - mp.loggamma(b) - mp.loggamma(c))


def stack(*numbers):
    return tg.stack(numbers)


# name: (a function of numbers of its logpdf or pdf, mpmath's of the logarithm, the grid of each number)
VECTORS = {
    "multivariate_normal": (lambda f: lambda x, y, m, n, a, b, c: f(stack(x, y), stack(m, n), stack(stack(a, b), stack(b, c))),
                            normal_vector, ([-3.0, 0.5], [1.0, 30.0], [0.2], [-1.0], [2.0], [0.3, -1.2], [1.0, 1e3])),
    "dirichlet": (lambda f: lambda x, y, a, b, c: f(stack(x, y), stack(a, b, c)), dirichlet,
                  ([1e-6, 0.2], [0.3, 0.79], [0.5, 40.0], [2.5, 400.0], [3.5])),
}


def elementwise(function):
    """The function of numbers, of arrays of them."""
    def of_arrays(*arrays):
        return tg.stack([function(*row) for row in zip(*[x if isinstance(x, tg.Tensor) else tg.tensor(x) for x in arrays])])

    return of_arrays


def exponential(function):
    return lambda *numbers: mp.exp(function(*numbers))
