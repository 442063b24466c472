"""tapegrad.scipy.stats: SciPy's values, and derivatives by the value and every parameter against mpmath at 30 digits."""

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("mpmath")

import scipy.stats  # noqa: E402
from mpmath_oracle import CONTINUOUS, DISTRIBUTIONS, LOC_SCALE, exact, methods, points, theirs  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.errors import GradientError, ShapeError  # noqa: E402
from tapegrad.scipy import stats  # noqa: E402

LINE, HALF, UNIT, COUNTS = [-40.0, -2.0, 0.3, 5.0], [-1.0, 0.0, 1e-3, 0.7, 5.0, 80.0], [-0.5, 0.0, 1e-3, 0.4, 0.9, 1.0, 1.5], [
    -1.0, 0.0, 1.0, 2.5, 4.0, 5.0, 9.0]
# name: (values inside of the support, at its edges and outside; shapes)
VALUES = {"norm": (LINE, ()), "t": (LINE, (3.0,)), "gamma": (HALF, (2.5,)), "beta": (UNIT, (2.5, 3.5)), "chi2": (HALF, (5.0,)),
          "expon": (HALF, ()), "lognorm": (HALF, (0.7,)), "uniform": (UNIT, ()), "poisson": (COUNTS, (3.3,)),
          "binom": (COUNTS, (5, 0.3))}


def at(name):
    """(values, parameters) of a distribution: its standardised values, moved."""
    values, shapes = VALUES[name]
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


def compare(name, method, arguments, wanted, exactness=1e-11):
    """Values, first and second derivatives by the wanted arguments, with mpmath's; beside its zeros with the greatest."""
    function, exact_function = getattr(getattr(stats, name), method), theirs(name, method)
    none = (0,) * len(arguments)
    with np.errstate(all="ignore"):
        z = function(*[tg.tensor(x) if i in wanted else x for i, x in enumerate(arguments)])
        np.testing.assert_allclose(getattr(z, "data", z), exact(exact_function, arguments, none), rtol=exactness)
        for i in wanted:
            slope = function
            for order, rtol, atol in ((1, exactness, 1e-13), (2, 1e-8, 1e-11)):
                slope = tg.elementwise_grad(slope, i)
                expected = exact(exact_function, arguments, tuple(order * (k == i) for k in range(len(arguments))))
                np.testing.assert_allclose(slope(*arguments), expected, rtol=rtol, atol=atol * np.abs(expected).max(),
                                           err_msg=f"order {order} by argument {i}")


@pytest.mark.parametrize("name, method", [(name, method) for name in DISTRIBUTIONS for method in methods(name)])
def test_against_mpmath(name, method):
    """At some points of the grid of benchmarks/accuracy.py, which shows all of them."""
    arguments, wanted = points(name, method)
    some = np.unique(np.linspace(0, len(arguments[0]) - 1, 4).astype(int))
    compare(name, method, [x[some] for x in arguments], wanted)


@pytest.mark.parametrize("name, method, at, by", [
    ("t", "pdf", (-2.0, 1e3, 0.25, 1.5), (0, 1, 2, 3)), ("gamma", "pdf", (1.03e4, 1e4, 0.0, 1.0), (0, 1, 3)),
    ("chi2", "logpdf", (1e4, 9.8e3, 0.0, 1.0), (0, 1)), ("beta", "pdf", (0.3, 400.0, 900.0, 0.0, 1.0), (0, 1, 2)),
    ("beta", "pdf", (1e-3, 2.5, 900.0, 0.0, 1.0), (0, 1, 2)), ("poisson", "pmf", (1000, 1010.0, 0), (1,)),
    ("binom", "pmf", (52, 1000, 0.05, 0), (2,)), ("binom", "logpmf", (0, 5, 1e-6, 0), (2,))])
def test_densities_of_large_shapes(name, method, at, by):
    """They are small differences of great terms."""
    compare(name, method, [np.array([x]) for x in at], by)


@pytest.mark.parametrize("name, method, at, by", [
    ("gamma", "logsf", (800.0, 2.5, 0.0, 1.0), (0, 3)), ("gamma", "logcdf", (1e-3, 160.0, 0.0, 1.0), (0, 3)),
    ("chi2", "logcdf", (5.0, 1e4, 0.0, 1.0), (0, 3)), ("beta", "logsf", (0.7, 0.3, 900.0, 0.0, 1.0), (0, 3)),
    ("beta", "logcdf", (0.1, 400.0, 3.5, 0.0, 1.0), (0, 4)), ("t", "logcdf", (-40.0, 1e4, 0.0, 1.0), (0, 3)),
    ("t", "logsf", (1e3, 500.0, 0.0, 1.0), (0, 3)), ("poisson", "logsf", (150, 1e-3, 0), (1,)),
    ("poisson", "logcdf", (3, 1e4, 0), (1,)), ("binom", "logcdf", (1, 1000, 0.999, 0), (2,)),
    ("binom", "logsf", (900, 1000, 1e-4, 0), (2,))])
def test_tails_that_underflow(name, method, at, by):
    """The logarithm of a probability that is 0 in float64, and its derivatives."""
    probability = method.removeprefix("log")
    assert getattr(getattr(scipy.stats, name), probability)(*at) == 0
    compare(name, method, [np.array([x]) for x in at], by, 1e-12)


def test_at_the_end_of_the_support():
    """The logarithm of 0, and its derivative."""
    with np.errstate(all="ignore"):
        for function, shapes in ((stats.gamma.logcdf, (2.5,)), (stats.beta.logcdf, (2.5, 0.5)), (stats.chi2.logcdf, (5.0,))):
            assert function(tg.tensor(0.0), *shapes).item() == -np.inf and tg.grad(function)(0.0, *shapes) == np.inf


@pytest.mark.parametrize("call", [
    (stats.gamma.logcdf, 0.0, 0.5), (stats.gamma.logsf, np.inf, 0.5), (stats.chi2.logsf, np.inf, 3.0),
    (stats.beta.logcdf, 0.0, 0.5, 2.0), (stats.beta.logsf, 1.0, 2.0, 0.5), (stats.t.logcdf, -np.inf, 3.0),
    (stats.t.logsf, np.inf, 3.0)])
def test_tails_beyond_an_end_are_0(call):
    """Also where the density is infinite there, or the end is."""
    function, x, *shapes = call
    with np.errstate(all="ignore"):
        assert function(tg.tensor(x), *shapes).item() == -np.inf


def test_densities_next_to_0():
    """Loader's form divides by the value there."""
    at = np.array([1e-310, 1e-307, 1e-250])
    np.testing.assert_allclose(stats.gamma.logpdf(tg.tensor(at), 40.0).data, scipy.stats.gamma.logpdf(at, 40.0), rtol=1e-14)
    np.testing.assert_allclose(stats.beta.logpdf(tg.tensor(at), 40.0, 50.0).data, scipy.stats.beta.logpdf(at, 40.0, 50.0),
                               rtol=1e-13)


@pytest.mark.parametrize("name, method", [(name, method) for name in DISTRIBUTIONS for method in methods(name)])
def test_dtypes_and_values_do_not_depend_on_others(name, method):
    """Where all are inside of the support there is a short way."""
    function, parameters = getattr(getattr(stats, name), method), VALUES[name][1] + ((0, 1) if name in CONTINUOUS else ())
    for dtype in (np.float32, np.float64):
        x = np.array([0.25, 0.75] if name in CONTINUOUS else [1, 3], dtype)
        with np.errstate(all="ignore"):
            alone, beside = [function(tg.tensor(z), *parameters).data for z in (x, np.append(x, dtype(-5)))]
        assert alone.dtype == beside.dtype and (dtype == alone.dtype or "pdf" not in method)
        np.testing.assert_allclose(alone, beside[:2], rtol=4 * np.finfo(dtype).eps)


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


def test_a_list_of_tensors_as_the_mean():
    mean = [tg.tensor(0.5, requires_grad=True), 1.0, tg.tensor(2.0, requires_grad=True)]
    stats.multivariate_normal.logpdf(POINTS[0], mean, COVARIANCE).backward()
    slope = np.linalg.solve(COVARIANCE, POINTS[0] - np.array([0.5, 1.0, 2.0]))
    np.testing.assert_allclose([mean[0].grad, mean[2].grad], slope[[0, 2]], rtol=1e-12)


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
