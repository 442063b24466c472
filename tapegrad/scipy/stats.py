"""`tapegrad.scipy.stats`: the names of scipy.stats. Distributions take tensors for values and parameters; other functions are
SciPy's.

A distribution here is SciPy's, with its methods and arguments, shapes first, then loc and scale. Of tensors, pdf or pmf,
their logarithms, cdf, sf, logcdf, logsf, ppf and isf give tensors, with derivatives by the value, loc, scale and the shapes
where there is a formula (special.py says for which parameters there is none: a tensor there that requires a gradient is a
GradientError). What is not among these methods, and discrete quantiles, are SciPy's of the values, and refuse a tensor that
requires a gradient.

Outside of the support a density is 0 and its derivatives are 0; parameters that are not allowed give NaN, as in SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats as theirs

from tapegrad import functions, linalg
from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError
from tapegrad.errors import describe as described
from tapegrad.functions.arguments import all_true, as_tensor, check_constant, constant, floats, value
from tapegrad.functions.elementwise import log as _log
from tapegrad.functions.elementwise import where
from tapegrad.functions.tensor import Tensor
from tapegrad.numpy.dispatch import Names, dispatched, holds_tensor
from tapegrad.scipy import special
from tapegrad.typing import Array, TensorLike

Formula = Callable[..., Any]

ROOT_2PI = math.sqrt(2 * math.pi)
METHODS = ("cdf", "isf", "logcdf", "logpdf", "logpmf", "logsf", "pdf", "pmf", "ppf", "sf")


class Guarded:
    """An object of scipy.stats whose methods are SciPy's of arrays; a tensor that requires a gradient is refused by them."""

    def __init__(self, name: str) -> None:
        self.theirs, self.name = getattr(theirs, name), name
        self.__doc__, self.__wrapped__ = self.theirs.__doc__, self.theirs

    def __getattr__(self, method: str) -> Any:
        if method.startswith("__"):
            raise AttributeError(method)
        found = getattr(self.theirs, method)
        if callable(found):
            found = vars(self)[method] = dispatched(f"scipy.stats.{self.name}.{method}", found, self._of_tensors(method))
        return found

    def _of_tensors(self, method: str) -> Callable[..., Tensor] | None:
        return None

    def __call__(self, *args: Any, **kwds: Any) -> Any:
        return Frozen(self, args, kwds)

    def __repr__(self) -> str:
        return f"<distribution {self.name}>"


class Distribution(Guarded):
    """A distribution of scipy.stats, for arrays and tensors: SciPy's object, and formulas of the standardised value.

    parameters the names of its shape parameters
    formulas   of log, cdf, sf, logcdf, logsf, ppf, isf: functions of (y, *shapes), y the value, (x - loc) / scale
    low, high  functions of the shapes that give the ends of the support, of y
    open       whether the ends do not belong to it
    valid      a function of the shapes' values: whether they are allowed
    """

    def __init__(self, name: str, parameters: str, example: str, formulas: dict[str, Formula], low: Any = -math.inf,
                 high: Any = math.inf, open: bool = False, valid: Formula | None = None) -> None:
        super().__init__(name)
        self.parameters, self.formulas = parameters.split(), formulas
        self.low, self.high, self.open, self.valid = low, high, open, valid
        self.discrete = hasattr(self.theirs, "pmf")
        self.__doc__ = example

    def _of_tensors(self, method: str) -> Callable[..., Tensor] | None:
        if method not in METHODS or self.discrete and method in ("ppf", "isf"):
            return None
        names = [*self.parameters, "loc"] + ["scale"] * (not self.discrete)

        def function(x: TensorLike, *args: Any, **kwds: Any) -> Tensor:
            given = dict(zip(names, args))
            if len(args) > len(names) or given.keys() & kwds.keys() or kwds.keys() - set(names):
                raise TypeError(f"{self.name}.{method}: it takes a value, {', '.join(names)}; given {len(args)}, {list(kwds)}")
            given |= kwds
            if missing := set(self.parameters) - given.keys():
                raise TypeError(f"{self.name}.{method}: {', '.join(sorted(missing))} missing")
            shapes = [given[name] for name in self.parameters]
            return self._evaluate(method, floats(x), shapes, given.get("loc", 0.0), given.get("scale", 1.0))

        return function

    def _evaluate(self, method: str, x: Tensor, shapes: list[Any], loc: Any, scale: Any) -> Tensor:
        moved, scaled = type(loc) is not float or loc != 0, type(scale) is not float or scale != 1      # from the defaults
        allowed: Any = value(scale) > 0 if scaled else True
        if self.valid is not None:
            allowed = allowed & self.valid(*map(value, shapes))
        if method in ("ppf", "isf"):
            q = value(x)
            inside = (q > 0) & (q < 1) & allowed
            if everywhere := all_true(inside):
                z = self._standard(method, x, shapes)
            else:
                low, high = self._ends(shapes)
                low, high = (low, high) if method == "ppf" else (high, low)
                z = self._standard(method, where(inside, x, 0.5), shapes)
                z = where(q == 0, low, where(q == 1, high, z))
            z = z * scale + loc
            return z if everywhere else where((q >= 0) & (q <= 1) & allowed, z, math.nan)
        y = x - loc if moved else x
        y = y / scale if scaled and not self.discrete else y
        held = value(y)
        low, high = self._ends(shapes)
        inside = (held > low) & (held < high) if self.open else (held >= low) & (held <= high)
        density = method.endswith(("pdf", "pmf"))
        if density and self.discrete:
            inside = inside & (held == np.floor(held))
        everywhere = all_true(inside & allowed)         # as is usual: then there is nothing to choose
        y = y if everywhere else where(inside, y, self._somewhere(low, high).astype(y.dtype))
        if density:
            z = self._standard("log", y, shapes)
            if scaled and not self.discrete:
                z = z - _log(as_tensor(scale, z))
            z = z if everywhere else where(inside, z, -math.inf)
            z = z if method.startswith("log") else functions.exp(z)
        else:
            z = self._standard(method, functions.floor(y) if self.discrete else y, shapes)
            below, above = {"cdf": (0.0, 1.0), "sf": (1.0, 0.0), "logcdf": (-math.inf, 0.0), "logsf": (0.0, -math.inf)}[method]
            z = z if everywhere else where(inside, z, where(held <= low, as_tensor(below, z), as_tensor(above, z)))
        return z if everywhere else where(allowed & ~np.isnan(held), z, math.nan)

    def _ends(self, shapes: list[Any]) -> tuple[Any, Any]:
        low, high = [end(*map(value, shapes)) if callable(end) else end for end in (self.low, self.high)]
        return low, high

    @staticmethod
    def _somewhere(low: Any, high: Any) -> Any:
        """A point of the support, where the formulas have a value: what they give there is not used."""
        low, high = np.broadcast_arrays(np.asarray(low, float), np.asarray(high, float))
        return np.where(np.isinf(high), np.where(np.isinf(low), 0.5, low + 1), low if (low == np.floor(low)).all() and (
            high == np.floor(high)).all() and (high > 1).any() else (low + high) / 2)

    def _standard(self, method: str, y: Tensor, shapes: list[Any]) -> Tensor:
        formula = self.formulas.get(method)
        if formula is not None:
            z: Tensor = formula(y, *shapes)
            return z
        this, other = ("cdf", "sf") if method == "logcdf" else ("sf", "cdf")
        p = self.formulas[this](y, *shapes)
        near = value(p) > 0.5                           # near 1, what is missing to it is exact
        return where(near, functions.log1p(-self.formulas[other](y, *shapes)), _log(where(near, 1.0, p)))


class Frozen:
    """A distribution with its parameters: norm(loc, scale).pdf(x) is norm.pdf(x, loc, scale)."""

    def __init__(self, distribution: Guarded, args: tuple[Any, ...], kwds: dict[str, Any]) -> None:
        self.dist, self.args, self.kwds = distribution, args, kwds

    def __getattr__(self, method: str) -> Any:
        if method.startswith("__"):
            raise AttributeError(method)
        if method in METHODS:
            return lambda x: getattr(self.dist, method)(x, *self.args, **self.kwds)
        found = getattr(self.dist.theirs, method)
        if not callable(found):
            return found
        if holds_tensor([self.args, self.kwds]):
            return lambda **kwds: getattr(self.dist, method)(*self.args, **self.kwds, **kwds)
        return getattr(self.dist.theirs(*self.args, **self.kwds), method)


def _example(name: str, what: str, call: str, shown: str, by: str, slope: str) -> str:
    """Of the density at a point, and its derivative by an argument."""
    method = "logpmf" if hasattr(getattr(theirs, name), "pmf") else "logpdf"
    first, _, rest = call.partition(", ")
    return (f"{what}\n\n>>> tg.scipy.stats.{name}.{method}(tg.tensor({first}), {rest})\ntensor({shown})\n"
            f">>> tg.grad(tg.scipy.stats.{name}.{method}, {by})({call})\narray({slope})\n").replace(", )", ")")


def _half(df: Any, y: Tensor) -> Any:
    return as_tensor(df, y) * 0.5


norm = Distribution(
    "norm", "", _example("norm", "The normal distribution: exp(-y^2 / 2) / sqrt(2 pi), y = (x - loc) / scale.", "1.0, 0.5, 2.0",
                         "-1.64333571", "2", "-0.46875"),
    {"log": lambda y: -0.5 * (y * y) - math.log(ROOT_2PI), "cdf": lambda y: special.ndtr(y), "sf": lambda y: special.ndtr(-y),
     "logcdf": lambda y: special.log_ndtr(y), "logsf": lambda y: special.log_ndtr(-y), "ppf": lambda q: special.ndtri(q),
     "isf": lambda q: -special.ndtri(q)})
t = Distribution(
    "t", "df", _example("t", "Student's distribution: (1 + y^2 / df)^(-(df + 1) / 2), over its integral.", "1.0, 3.0",
                        "-1.57625299", "1", "0.04930614"),
    {"log": lambda y, df: recorded.special_log_t_density(as_tensor(df, y), y),
     "cdf": lambda y, df: special.stdtr(df, y), "sf": lambda y, df: special.stdtr(df, -y),
     "logcdf": lambda y, df: recorded.special_log_stdtr(constant("t.logcdf", df), y),
     "logsf": lambda y, df: recorded.special_log_stdtr(constant("t.logsf", df), -y),
     "ppf": lambda q, df: special.stdtrit(df, q), "isf": lambda q, df: -special.stdtrit(df, q)}, valid=lambda df: df > 0)
gamma = Distribution(
    "gamma", "a", _example("gamma", "The gamma distribution: y^(a-1) exp(-y) / gamma(a), y = (x - loc) / scale.", "1.5, 2.0",
                           "-1.09453489", "1", "-0.01731923"),
    {"log": lambda y, a: recorded.special_log_gamma_density(as_tensor(a, y), y),
     "cdf": lambda y, a: special.gammainc(a, y), "sf": lambda y, a: special.gammaincc(a, y),
     "logcdf": lambda y, a: recorded.special_log_gammainc(constant("gamma.logcdf", a), y),
     "logsf": lambda y, a: recorded.special_log_gammaincc(constant("gamma.logsf", a), y),
     "ppf": lambda q, a: special.gammaincinv(a, q), "isf": lambda q, a: special.gammainccinv(a, q)},
    low=0.0, valid=lambda a: a > 0)
beta = Distribution(
    "beta", "a b", _example("beta", "The beta distribution: y^(a-1) (1-y)^(b-1) / beta(a, b).", "0.25, 2.0, 3.0", "0.52324814",
                            "0", "1.33333333"),
    {"log": lambda y, a, b: recorded.special_log_beta_density(as_tensor(a, y), as_tensor(b, y), y),
     "cdf": lambda y, a, b: special.betainc(a, b, y), "sf": lambda y, a, b: special.betaincc(a, b, y),
     "logcdf": lambda y, a, b: recorded.special_log_betainc(constant("beta.logcdf", a), constant("beta.logcdf", b), y),
     "logsf": lambda y, a, b: recorded.special_log_betaincc(constant("beta.logsf", a), constant("beta.logsf", b), y),
     "ppf": lambda q, a, b: special.betaincinv(a, b, q), "isf": lambda q, a, b: special.betainccinv(a, b, q)},
    low=0.0, high=1.0, valid=lambda a, b: (a > 0) & (b > 0))
chi2 = Distribution(
    "chi2", "df", _example("chi2", "The chi-squared distribution: that of 2 y, y of the gamma distribution with a = df / 2.",
                           "1.5, 3.0", "-1.46620598", "1", "-0.16208602"),
    {"log": lambda y, df: recorded.special_log_gamma_density(_half(df, y), 0.5 * y) - math.log(2),
     "cdf": lambda y, df: special.gammainc(_half(df, y), 0.5 * y), "sf": lambda y, df: special.gammaincc(_half(df, y), 0.5 * y),
     "logcdf": lambda y, df: recorded.special_log_gammainc(constant("chi2.logcdf", _half(df, y)), 0.5 * y),
     "logsf": lambda y, df: recorded.special_log_gammaincc(constant("chi2.logsf", _half(df, y)), 0.5 * y),
     "ppf": lambda q, df: 2 * special.gammaincinv(_half(df, q), q),
     "isf": lambda q, df: 2 * special.gammainccinv(_half(df, q), q)}, low=0.0, valid=lambda df: df > 0)
expon = Distribution(
    "expon", "", _example("expon", "The exponential distribution: exp(-y), y = (x - loc) / scale.", "1.5, 0.0, 2.0",
                      "-1.44314718", "2", "-0.125"),
    {"log": lambda y: -y, "cdf": lambda y: -functions.expm1(-y), "sf": lambda y: functions.exp(-y), "logsf": lambda y: -y,
     "ppf": lambda q: -functions.log1p(-q), "isf": lambda q: -_log(q)}, low=0.0)
lognorm = Distribution(
    "lognorm", "s", _example("lognorm", "That of exp(s z), z normal: exp(-log(y)^2 / (2 s^2)) / (s y sqrt(2 pi)).", "1.5, 0.5",
                             "-0.96006037", "1", "-0.68478437"),
    {"log": lambda y, s: -0.5 * functions.square(_log(y) / s) - _log(y) - _log(as_tensor(s, y)) - math.log(ROOT_2PI),
     "cdf": lambda y, s: special.ndtr(_log(y) / s), "sf": lambda y, s: special.ndtr(-_log(y) / s),
     "logcdf": lambda y, s: special.log_ndtr(_log(y) / s), "logsf": lambda y, s: special.log_ndtr(-_log(y) / s),
     "ppf": lambda q, s: functions.exp(special.ndtri(q) * s), "isf": lambda q, s: functions.exp(-special.ndtri(q) * s)},
    low=0.0, open=True, valid=lambda s: s > 0)
uniform = Distribution(
    "uniform", "", _example("uniform", "The uniform distribution on [loc, loc + scale].", "1.5, 0.0, 2.0", "-0.69314718",
                        "2", "-0.5"),
    {"log": lambda y: 0 * y, "cdf": lambda y: y, "sf": lambda y: 1 - y,
     "logcdf": lambda y: _log(y), "logsf": lambda y: functions.log1p(-y), "ppf": lambda q: q, "isf": lambda q: 1 - q},
    low=0.0, high=1.0)
poisson = Distribution(
    "poisson", "mu", _example("poisson", "The Poisson distribution: mu^k exp(-mu) / k!", "2.0, 1.5", "-1.38221696", "1",
                              "0.33333333"),
    {"log": lambda k, mu: recorded.special_log_gamma_density(k + 1, as_tensor(mu, k)),
     "cdf": lambda k, mu: special.gammaincc(value(k) + 1, as_tensor(mu)),
     "sf": lambda k, mu: special.gammainc(value(k) + 1, as_tensor(mu)),
     "logcdf": lambda k, mu: recorded.special_log_gammaincc(value(k) + 1, as_tensor(mu)),
     "logsf": lambda k, mu: recorded.special_log_gammainc(value(k) + 1, as_tensor(mu))},
    low=0.0, valid=lambda mu: mu >= 0)


def _below(k: Tensor, n: Any) -> tuple[Array, Array, Array]:
    """(k + 1, n - k) for k < n, and whether it is: for k = n the sum is complete."""
    below = value(k) < value(n)
    held = np.where(below, value(k), 0)
    return held + 1, np.where(below, value(n) - held, 1), below


def _binom_tail(method: str, tail: Callable[..., Tensor], complete: float) -> Formula:
    """The tail of the beta distribution that cdf, sf or its logarithm is, and what that is for k = n."""
    def function(k: Tensor, n: Any, p: Any) -> Tensor:
        a, b, below = _below(k, constant(f"binom.{method}", n))
        return where(below, tail(a, b, as_tensor(p)), complete)

    return function


def _binom_log(k: Tensor, n: Any, p: Any) -> Any:
    n, p = as_tensor(n, k), as_tensor(p, k)
    z = recorded.special_log_beta_density(k + 1, n - k + 1, p) - functions.log1p(n)
    at_end = (value(k) == 0) | (value(k) == value(n))   # the coefficient is 1
    return where(at_end, special.xlogy(k, p) + special.xlog1py(n - k, -p), z)


binom = Distribution(
    "binom", "n p", _example("binom", "The binomial distribution: n! / (k! (n-k)!) p^k (1-p)^(n-k).", "2.0, 5, 0.25",
                      "-1.33304985", "2", "4."),
    {"log": _binom_log, "cdf": _binom_tail("cdf", special.betaincc, 1.0), "sf": _binom_tail("sf", special.betainc, 0.0),
     "logcdf": _binom_tail("logcdf", recorded.special_log_betaincc, 0.0),
     "logsf": _binom_tail("logsf", recorded.special_log_betainc, -math.inf)}, low=0.0, high=lambda n, p: n,
    valid=lambda n, p: (n >= 0) & (n == np.floor(n)) & (p >= 0) & (p <= 1))


class Multivariate(Guarded):
    """A distribution of vectors of scipy.stats: logpdf, pdf and some entropies of tensors, the rest SciPy's of the values."""

    def __init__(self, name: str, logpdf: Callable[..., Tensor], example: str,
                 entropy: Callable[..., Tensor] | None = None) -> None:
        super().__init__(name)
        self.log_density, self.entropy_of_tensors, self.__doc__ = logpdf, entropy, example

    def _of_tensors(self, method: str) -> Callable[..., Tensor] | None:
        if method == "pdf":
            return lambda *args, **kwds: functions.exp(self.log_density(*args, **kwds))
        return {"logpdf": self.log_density, "entropy": self.entropy_of_tensors}.get(method)

    def __call__(self, *args: Any, **kwds: Any) -> Any:
        return Frozen(self, args, kwds) if holds_tensor([args, kwds]) else self.theirs(*args, **kwds)


def _normal_logpdf(x: TensorLike, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Tensor:
    x, cov = floats(x), floats(cov)
    if allow_singular:
        check_constant("multivariate_normal.logpdf with allow_singular=True", cov)
    n = value(mean).size if mean is not None else cov.shape[0] if cov.ndim else 1
    cov = _covariances("multivariate_normal.logpdf", cov, n)
    if x.ndim and x.shape[-1] != n and (n != 1 or x.ndim > 1):
        raise ShapeError(f"multivariate_normal.logpdf: {described(x)}, {n} means, covariances {described(cov)}")
    x = functions.reshape(x, (*x.shape, 1)) if n == 1 and (x.ndim == 0 or x.shape[-1] != 1 or x.ndim == 1) else x
    if mean is not None:
        mean = as_tensor(mean)
    away = x if mean is None else x - (mean if mean.shape == (n,) else functions.reshape(mean, (n,)))
    if allow_singular:
        return _singular_logpdf(away, cov._value)
    factor = linalg.cholesky(cov)
    if away.ndim > 1:
        flat = linalg.solve(factor, functions.transpose(away if away.ndim == 2 else functions.reshape(away, (-1, n))))
    else:
        flat = linalg.solve(factor, away)
    z = -0.5 * functions.sum(flat * flat, 0) - (functions.sum(_log(functions.diagonal(factor))) + n * math.log(ROOT_2PI))
    return z if away.ndim < 3 and 1 not in z.shape else functions.squeeze(functions.reshape(z, away.shape[:-1]))


def _covariances(name: str, cov: Tensor, n: int) -> Tensor:
    """The matrix (n, n) that is given as a number, a diagonal or as it is."""
    matrix = cov if cov.ndim > 1 else cov * np.eye(n) if cov.ndim == 0 else functions.diag(cov)
    if matrix.shape != (n, n):
        raise ShapeError(f"{name}: {n} means, covariances {described(cov)}")
    return matrix


def _singular_logpdf(away: Tensor, cov: Array) -> Tensor:
    """On the range of cov, with its pseudoinverse and pseudodeterminant; -inf elsewhere. The cutoff is SciPy's."""
    lengths, axes = np.linalg.eigh(cov)
    cutoff = {"f": 1e3, "d": 1e6}[lengths.dtype.char] * np.finfo(lengths.dtype).eps * np.abs(lengths).max()
    within = lengths > cutoff
    flat = (away @ axes[:, within]) / np.sqrt(lengths[within])
    z = -0.5 * functions.sum(flat * flat, -1) - 0.5 * (np.log(lengths[within]).sum() + within.sum() * math.log(2 * math.pi))
    outside = np.linalg.norm(away._value @ axes[:, ~within], axis=-1) >= 1e3 * cutoff
    return where(outside, -math.inf, z)


def _normal_entropy(mean: Any = None, cov: Any = 1) -> Tensor:
    n = value(mean).size if mean is not None else value(cov).shape[0] if value(cov).ndim else 1
    factor = linalg.cholesky(_covariances("multivariate_normal.entropy", floats(cov), n))
    return functions.sum(_log(functions.diagonal(factor))) + 0.5 * n * (1 + math.log(2 * math.pi))


def _dirichlet_logpdf(x: TensorLike, alpha: Any) -> Tensor:
    theirs.dirichlet.logpdf(value(x), value(alpha))     # which checks that it is a point of the simplex
    x, alpha = floats(x), floats(alpha)
    if x.shape[0] == alpha.shape[0] - 1:
        x = functions.concatenate([x, 1 - functions.sum(x, 0, keepdims=True)])
    powers = alpha - 1 if x.ndim == 1 else functions.reshape(alpha - 1, (-1, 1))
    scale = special.gammaln(functions.sum(alpha)) - functions.sum(special.gammaln(alpha))
    return functions.sum(special.xlogy(powers, x), 0) + scale  # type: ignore[no-any-return]


multivariate_normal = Multivariate("multivariate_normal", _normal_logpdf, """The normal distribution of vectors.

logpdf(x, mean, cov) is -(|z|^2 + n log(2 pi)) / 2 - log |L|, cov = L L^T and L z = x - mean. Derivative: to all
three; with allow_singular=True to x and mean.

>>> tg.scipy.stats.multivariate_normal.logpdf(tg.tensor([1.0, 2.0]), [0.0, 0.0], np.eye(2))
tensor(-4.33787707)
>>> tg.grad(tg.scipy.stats.multivariate_normal.logpdf, 1)(np.array([1.0, 2.0]), np.zeros(2), np.eye(2))
array([1., 2.])
>>> tg.scipy.stats.multivariate_normal.entropy(cov=tg.tensor(np.eye(2)))
tensor(2.83787707)
""", _normal_entropy)
dirichlet = Multivariate("dirichlet", _dirichlet_logpdf, """The Dirichlet distribution on the simplex.

logpdf(x, alpha) is the sum of (alpha - 1) log(x), over its integral. Derivative: to x and to alpha.

>>> tg.scipy.stats.dirichlet.logpdf(tg.tensor([0.25, 0.75]), np.array([2.0, 3.0]))
tensor(0.52324814)
>>> tg.grad(tg.scipy.stats.dirichlet.logpdf, 1)(np.array([0.25, 0.75]), np.array([2.0, 3.0]))
array([-0.30296103,  0.29565126])
""")

__all__ = list(theirs.__all__)
_names = Names(globals(), theirs, "scipy.stats", lambda name: None)
__dir__ = _names.dir


def __getattr__(name: str) -> Any:
    if hasattr(getattr(theirs, name, None), "rvs") and not isinstance(getattr(theirs, name), type):
        found = globals()[name] = Guarded(name)
        return found
    return _names.get(name)
