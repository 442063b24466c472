"""tapegrad.scipy.stats: SciPy's values, and derivatives by the value and every parameter against mpmath at 30 digits."""

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("mpmath")

import scipy.stats  # noqa: E402
from mpmath import mp  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.errors import GradientError, ShapeError  # noqa: E402
from tapegrad.scipy import stats  # noqa: E402

LINE, HALF, UNIT, COUNTS = [-40.0, -2.0, 0.3, 5.0], [-1.0, 0.0, 1e-3, 0.7, 5.0, 80.0], [-0.5, 0.0, 1e-3, 0.4, 0.9, 1.0, 1.5], [
    -1.0, 0.0, 1.0, 2.5, 4.0, 5.0, 9.0]


def scaled(density):
    return lambda x, *rest: mp.log(density((x - rest[-2]) / rest[-1], *rest[:-2]) / rest[-1])


# name: (values, shapes, the logarithm of the density of x, shapes, loc and scale; of a discrete one without scale)
DISTRIBUTIONS = {
    "norm": (LINE, (), scaled(lambda y: mp.npdf(y))),
    "t": (LINE, (3.0,), scaled(lambda y, df: mp.gamma((df + 1) / 2) / mp.gamma(df / 2) / mp.sqrt(df * mp.pi)
                               * (1 + y * y / df) ** (-(df + 1) / 2))),
    "gamma": (HALF, (2.5,), scaled(lambda y, a: y ** (a - 1) * mp.exp(-y) / mp.gamma(a))),
    "beta": (UNIT, (2.5, 3.5), scaled(lambda y, a, b: y ** (a - 1) * (1 - y) ** (b - 1) / mp.beta(a, b))),
    "chi2": (HALF, (5.0,), scaled(lambda y, df: y ** (df / 2 - 1) * mp.exp(-y / 2) / mp.gamma(df / 2) / 2 ** (df / 2))),
    "expon": (HALF, (), scaled(lambda y: mp.exp(-y))),
    "lognorm": (HALF, (0.7,), scaled(lambda y, s: mp.npdf(mp.log(y) / s) / (s * y))),
    "uniform": (UNIT, (), scaled(lambda y: mp.mpf(1))),
    "poisson": (COUNTS, (3.3,), lambda k, mu, loc: (k - loc) * mp.log(mu) - mu - mp.loggamma(k - loc + 1)),
    "binom": (COUNTS, (5, 0.3), lambda k, n, p, loc: mp.log(mp.binomial(n, k - loc)) + (k - loc) * mp.log(p)
              + (n - k + loc) * mp.log(1 - p)),
}
CONTINUOUS = [name for name in DISTRIBUTIONS if name not in ("poisson", "binom")]
LOC_SCALE = (0.25, 1.5)


def at(name):
    """(values, parameters) of a distribution: its standardised values, moved."""
    values, shapes, _ = DISTRIBUTIONS[name]
    if name in CONTINUOUS:
        return np.array(values) * LOC_SCALE[1] + LOC_SCALE[0], (*shapes, *LOC_SCALE)
    return np.array(values) + 1.0, (*shapes, 1.0)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_values(name):
    """Those of SciPy, inside of the support, at its edges and outside; without a tensor, SciPy's own."""
    x, parameters = at(name)
    ours, theirs = getattr(stats, name), getattr(scipy.stats, name)
    q = np.array([-0.1, 0.0, 1e-6, 0.4, 0.999, 1.0, np.nan])
    with np.errstate(all="ignore"):
        for method in ("cdf", "sf", "logcdf", "logsf", *(("pdf", "logpdf") if name in CONTINUOUS else ("pmf", "logpmf"))):
            expected = getattr(theirs, method)(x, *parameters)
            found = getattr(ours, method)(tg.tensor(x), *parameters)
            assert isinstance(found, tg.Tensor)
            np.testing.assert_allclose(found.data, expected, rtol=3e-12, atol=1e-300, err_msg=method)
            np.testing.assert_array_equal(getattr(ours, method)(x, *parameters), expected)
            np.testing.assert_array_equal(getattr(ours(*parameters), method)(tg.tensor(x)).data, found.data)
            bad = [*parameters[:-1], -1.0] if name in CONTINUOUS else [*parameters[:-2], -1.0, 0.0]
            assert np.isnan(getattr(ours, method)(tg.tensor(x), *bad).data).all()
        for method in ("ppf", "isf") if name in CONTINUOUS else ():
            found = getattr(ours, method)(tg.tensor(q), *parameters)
            np.testing.assert_allclose(found.data, getattr(theirs, method)(q, *parameters), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_log_density_against_mpmath(name):
    """First and second derivatives of the logarithm by the value and every parameter."""
    x, parameters = at(name)
    log_density = DISTRIBUTIONS[name][2]
    method = getattr(getattr(stats, name), "logpdf" if name in CONTINUOUS else "logpmf")
    whole = {"binom": {1}}.get(name, set()) | (set() if name in CONTINUOUS else {0, len(parameters)})
    inside = [v for v, z in zip(x, method(x, *parameters)) if np.isfinite(z)]
    assert len(inside) > 2
    for i in range(len(parameters) + 1):
        if i in whole or name == "uniform" and i < 2:
            continue
        for v in inside:
            arguments = [v, *parameters]
            once = tg.grad(method, i)
            with mp.workdps(30), np.errstate(all="ignore"):
                orders = [tuple(k * (j == i) for j in range(len(arguments))) for k in (1, 2)]
                first, second = (float(mp.diff(log_density, tuple(map(mp.mpf, arguments)), order)) for order in orders)
            assert float(once(*map(np.float64, arguments))) == pytest.approx(first, rel=1e-11, abs=1e-12)
            twice = tg.grad(once, i)(*map(np.float64, arguments))
            assert float(twice) == pytest.approx(second, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution_functions(name):
    """The derivative of cdf is pdf, that of sf its negative, those of quantiles the inverses; moved by loc and scale, too."""
    x, parameters = at(name)
    ours = getattr(stats, name)
    density = ours.pdf(x, *parameters)
    some = (density > 1e-8) & (ours.cdf(x, *parameters) > 1e-8) & (ours.sf(x, *parameters) > 1e-8)
    x, density = x[some], density[some]
    assert x.size > 1
    one = tg.elementwise_grad
    np.testing.assert_allclose(one(ours.cdf)(x, *parameters), density, rtol=1e-10)
    np.testing.assert_allclose(one(ours.sf)(x, *parameters), -density, rtol=1e-10)
    np.testing.assert_allclose(one(ours.logcdf)(x, *parameters), density / ours.cdf(x, *parameters), rtol=1e-10)
    np.testing.assert_allclose(one(ours.logsf)(x, *parameters), -density / ours.sf(x, *parameters), rtol=1e-10)
    np.testing.assert_allclose(one(ours.ppf)(ours.cdf(x, *parameters), *parameters), 1 / density, rtol=1e-8)
    np.testing.assert_allclose(one(ours.isf)(ours.sf(x, *parameters), *parameters), -1 / density, rtol=1e-8)
    loc, scale = len(parameters) - 1, len(parameters)
    full = [np.full(x.shape, float(p)) for p in parameters]
    np.testing.assert_allclose(one(ours.cdf, loc)(x, *full), -density, rtol=1e-10)
    np.testing.assert_allclose(one(ours.cdf, scale)(x, *full), -density * (x - LOC_SCALE[0]) / LOC_SCALE[1], rtol=1e-10,
                               atol=1e-14)
    np.testing.assert_allclose(one(one(ours.cdf))(x, *parameters), one(ours.pdf)(x, *parameters), rtol=1e-9, atol=1e-13)


def test_discrete_distribution_functions():
    """Their derivatives by the parameter are those of the sums of the mass."""
    for name, shapes, i in (("poisson", (3.3,), 1), ("binom", (5, 0.3), 2)):
        ours = getattr(stats, name)
        for k in range(6):
            mass = sum(float(tg.grad(ours.pmf, i)(float(j), *shapes)) for j in range(k + 1))
            assert float(tg.grad(ours.cdf, i)(float(k), *shapes)) == pytest.approx(mass, rel=1e-10, abs=1e-12)
            assert float(tg.grad(ours.sf, i)(float(k), *shapes)) == pytest.approx(-mass, rel=1e-10, abs=1e-12)


def test_outside_of_the_support():
    with np.errstate(all="ignore"):
        assert tg.grad(stats.gamma.pdf)(-1.0, 2.0) == 0 and tg.grad(stats.gamma.pdf, 1)(-1.0, 2.0) == 0
        assert tg.grad(stats.beta.cdf)(1.5, 2.0, 2.0) == 0 and tg.grad(stats.expon.sf, 2)(-1.0, 0.0, 2.0) == 0
        assert tg.grad(stats.gamma.pdf)(0.0, 3.0) == 0


COVARIANCE = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.2], [0.1, -0.2, 0.7]])
POINTS = np.array([[0.3, -1.0, 2.0], [1.0, 0.0, 0.5]])


@pytest.mark.parametrize("arguments", [
    (POINTS, np.array([0.1, 0.2, 0.3]), COVARIANCE), (POINTS[0], np.zeros(3), COVARIANCE),
    (POINTS[0], None, COVARIANCE),
    (POINTS, np.ones(3), np.array([0.5, 1.0, 2.0])), (POINTS, np.ones(3), 2.0), (POINTS[0], 0.5, 2.0),
    (np.array(0.3), 0.5, 2.0),
    (POINTS[:, :1], 0.1, 1.5)])
def test_normal_vectors(arguments):
    normal = stats.multivariate_normal
    expected = scipy.stats.multivariate_normal.logpdf(*arguments)
    given = [tg.tensor(x) if isinstance(x, np.ndarray) else x for x in arguments]
    np.testing.assert_allclose(normal.logpdf(*given).data, expected, rtol=1e-13)
    np.testing.assert_allclose(normal.pdf(*given).data, np.exp(expected), rtol=1e-12)
    np.testing.assert_array_equal(normal.logpdf(*arguments), expected)
    np.testing.assert_allclose(normal(*given[1:]).logpdf(given[0]).data, expected, rtol=1e-13) if len(given) > 1 else None
    arrays = [i for i, x in enumerate(arguments) if isinstance(x, np.ndarray)]

    def function(*xs):
        moved = list(arguments)
        for i, x in zip(arrays, xs):
            moved[i] = (x + x.T) * 0.5 if np.ndim(arguments[i]) == 2 and i == 2 else x
        return normal.logpdf(*moved)

    tg.gradcheck(function, *[arguments[i] for i in arrays], order=2)


def test_dirichlet():
    alpha = np.array([1.5, 2.5, 3.5])
    for x in (np.array([0.2, 0.3, 0.5]), np.array([0.2, 0.3]), np.array([[0.2, 0.1], [0.3, 0.6], [0.5, 0.3]])):
        expected = scipy.stats.dirichlet.logpdf(x, alpha)
        np.testing.assert_allclose(stats.dirichlet.logpdf(tg.tensor(x), alpha).data, expected, rtol=1e-13)
        np.testing.assert_allclose(stats.dirichlet.pdf(x, tg.tensor(alpha)).data, np.exp(expected), rtol=1e-13)
        tg.gradcheck(lambda a, x=x: stats.dirichlet.logpdf(x, a), alpha, order=2)
    tg.gradcheck(lambda x: stats.dirichlet.logpdf(x, alpha), np.array([0.2, 0.3]), order=2)


X = np.array([0.5, 1.5])


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: stats.gamma.cdf(1.0, x), GradientError, "gammainc"), (lambda x: stats.norm.rvs(x), GradientError, "norm.rvs"),
    (lambda x: stats.poisson.ppf(0.5, x), GradientError, "poisson.ppf"),
    (lambda x: stats.t.cdf(0.5, x), GradientError, "stdtr"),
    (lambda x: stats.norm.pdf(x, 0, 1, 2), TypeError, "norm.pdf"), (lambda x: stats.gamma.pdf(x), TypeError, "a missing"),
    (lambda x: stats.norm.pdf(x, mean=1.0), TypeError, "mean"),
    (lambda x: stats.ttest_1samp(x, 0.0), GradientError, "ttest_1samp"),
    (lambda x: stats.cauchy.pdf(x), GradientError, "cauchy.pdf"), (lambda x: stats.norm(x).rvs(), GradientError, "rvs"),
    (lambda x: stats.multivariate_normal.logpdf(x, x, np.eye(3)), ValueError, "multivariate_normal"),
    (lambda x: stats.multivariate_normal.cdf(x), GradientError, "cdf"),
])
def test_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call(tg.tensor(X, requires_grad=True))


def test_scipys_own():
    assert stats.norm(1.0, 2.0).mean() == 1.0 and stats.norm.mean(1.0, 2.0) == 1.0 and stats.norm.shapes is None
    assert stats.linregress([0, 1, 2], [0, 1, 2]).slope == 1 and "norm" in dir(stats)


def test_entropy_of_normal_vectors():
    A = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]])
    for arguments in ((np.zeros(3), A), (None, A), (np.zeros(2), 2.0), (np.zeros(2), np.array([1.0, 2.0]))):
        found = stats.multivariate_normal.entropy(*[x if x is None else tg.tensor(x) for x in arguments])
        np.testing.assert_allclose(found.data, scipy.stats.multivariate_normal.entropy(*arguments), rtol=1e-14)
    assert tg.gradcheck(lambda a: stats.multivariate_normal.entropy(cov=(a + a.T) / 2), A)


def test_normal_vectors_in_a_subspace():
    """With allow_singular=True the density is on the range of the covariances, and -inf beside it."""
    cov = np.diag([2.0, 1.0, 0.0])
    inside, beside, mean = np.array([[0.5, 1.0, 3.0], [1.0, -1.0, 3.0]]), np.array([0.5, 1.0, 4.0]), np.array([0.0, 1.0, 3.0])
    for x in (inside, beside):
        found = stats.multivariate_normal.logpdf(tg.tensor(x), mean, cov, allow_singular=True)
        expected = scipy.stats.multivariate_normal.logpdf(x, mean, cov, allow_singular=True)
        np.testing.assert_allclose(found.data, expected, rtol=1e-12)
    gradient = tg.grad(lambda x, m: stats.multivariate_normal.logpdf(x, m, cov, True).sum(), (0, 1))(inside, mean)
    np.testing.assert_allclose(gradient[0], -(inside - mean) / [2.0, 1.0, np.inf])
    np.testing.assert_allclose(gradient[1], -gradient[0].sum(0))
    with pytest.raises(GradientError, match="allow_singular"):
        tg.grad(lambda c: stats.multivariate_normal.logpdf(beside, mean, c, True))(cov)


@pytest.mark.parametrize("method, x", [("logpdf", (np.zeros(3),)), ("entropy", ())])
@pytest.mark.parametrize("cov", [np.eye(2), np.ones((2, 3)), np.ones((3, 3, 3))], ids=np.shape)
def test_covariances_that_do_not_fit(method, x, cov):
    with pytest.raises(ShapeError, match=f"{method}: 3 means"):
        getattr(stats.multivariate_normal, method)(*x, np.zeros(3), tg.tensor(cov))
