"""tapegrad.scipy.optimize: SciPy's results with tapegrad's derivatives, and implicit derivatives by the arguments."""

import numpy as np
import pytest

pytest.importorskip("scipy")

import scipy.optimize  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.errors import GradientError  # noqa: E402
from tapegrad.scipy import optimize  # noqa: E402

START, A = np.array([1.3, 0.7, 0.8]), np.array([1.1, 0.9])


def rosen(x, a):
    return tg.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2) + tg.sum(0.1 * (x - 0.5) ** 2)


def plain(x, a):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2) + np.sum(0.1 * (x - 0.5) ** 2)


@pytest.mark.parametrize("method", [None, "Nelder-Mead", "CG", "BFGS", "L-BFGS-B", "Newton-CG", "trust-ncg", "trust-exact",
                                    "dogleg", "trust-krylov", "TNC", "SLSQP", "Powell"])
def test_minimize(method):
    start = START if method != "dogleg" else np.array([1.0, 1.0, 1.0])
    options = {"maxiter": 5000} if method in ("Nelder-Mead", "Powell") else None
    found = optimize.minimize(rosen, start, (A,), method, options=options)
    wanted = scipy.optimize.minimize(plain, start, (A,), "BFGS", tol=1e-9)
    assert found.success and isinstance(found.x, np.ndarray)
    np.testing.assert_allclose(found.x, wanted.x, rtol=2e-3)
    if method in (None, "BFGS", "CG"):
        assert found.nfev < 200 and np.abs(found.jac).max() < 1e-5


def test_minimize_is_differentiable():
    def least(a):
        return optimize.minimize(rosen, START, (a,), "trust-exact", options={"gtol": 1e-12}).x

    tg.gradcheck(least, A, rtol=1e-6, atol=1e-7)
    tg.gradcheck(tg.grad(lambda a: least(a)[2]), A, rtol=1e-5, atol=1e-6)
    a = tg.tensor(A, requires_grad=True)
    found = optimize.minimize(rosen, START, (a,), "trust-exact", options={"gtol": 1e-12})
    found.fun.backward()
    np.testing.assert_allclose(a.grad, 2 * (A - found.x.data[:-1]), rtol=1e-8)      # the envelope: the partial derivative


def test_what_gives_no_tensor_is_scipys():
    def norm(x):
        return float(np.sum(np.asarray(x.data if isinstance(x, tg.Tensor) else x) ** 2))

    ours, theirs = optimize.minimize(norm, START), scipy.optimize.minimize(norm, START)
    np.testing.assert_array_equal(ours.x, theirs.x)
    ours = optimize.minimize(plain, START, (A,), jac="2-point")
    np.testing.assert_array_equal(ours.x, scipy.optimize.minimize(plain, START, (A,), jac="2-point").x)


def equations(x, a):
    return tg.stack([x[0] + x[1] ** 3 - a[0], x[0] * x[1] - a[1]])


@pytest.mark.parametrize("method", ["hybr", "lm", "krylov", "df-sane"])
def test_root(method):
    found = optimize.root(equations, np.array([1.0, 1.0]), (np.array([2.0, 1.0]),), method)
    np.testing.assert_allclose(found.x, [1, 1], rtol=1e-4)
    if method in ("hybr", "lm"):
        tg.gradcheck(lambda a: optimize.root(equations, np.array([1.0, 1.5]), (a,), method, tol=1e-14).x, np.array([3.0, 1.0]),
                     order=1, rtol=1e-6)


def test_least_squares():
    t = np.linspace(0, 2, 9)
    y = 1.5 * np.exp(-0.7 * t) + 0.02 * np.cos(5 * t)

    def residuals(x, y, scale=1.0):
        return scale * (x[0] * tg.exp(-x[1] * t) - y)

    found = optimize.least_squares(residuals, np.ones(2), args=(y,))
    expected = scipy.optimize.least_squares(lambda x: x[0] * np.exp(-x[1] * t) - y, np.ones(2))
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-6)

    def fit(y):
        return optimize.least_squares(residuals, np.ones(2), args=(y,), kwargs={"scale": 2.0}, xtol=1e-15, ftol=1e-15,
                                      gtol=1e-15).x

    tg.gradcheck(fit, y, eps=1e-3, rtol=1e-4, atol=1e-6)
    with pytest.raises(GradientError, match="bound is active"):
        optimize.least_squares(residuals, np.ones(2), "2-point", (0, [1.2, 3.0]), args=(tg.tensor(y, requires_grad=True),))


@pytest.mark.parametrize("name", ["bisect", "brenth", "brentq", "ridder"])
def test_bracketing(name):
    search = getattr(optimize, name)

    def f(x, a):
        return tg.exp(x) - a

    assert search(f, 0.0, 3.0, 5.0) == getattr(scipy.optimize, name)(lambda x: np.exp(x) - 5, 0.0, 3.0)
    x, report = search(f, 0.0, 3.0, 5.0, full_output=True)
    assert x == pytest.approx(np.log(5)) and report.converged
    slope = tg.grad(lambda a: search(f, 0.0, 3.0, a, xtol=1e-14))
    assert float(slope(5.0)) == pytest.approx(0.2) and float(tg.grad(slope)(5.0)) == pytest.approx(-0.04)
    z, report = search(f, 0.0, 3.0, tg.tensor(5.0, requires_grad=True), full_output=True)
    assert z.requires_grad and report.converged


X = tg.tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize("call, words", [
    (lambda: optimize.minimize(lambda x, a: float(np.sum(tg.tensor(x).data ** 2)), np.ones(2), (X,)), "no tensor"),
    (lambda: optimize.minimize(lambda x, a: tg.sum((x - a) ** 2), np.ones(2), (X,), bounds=[(0, 1)] * 2), "bounds"),
    (lambda: optimize.minimize(lambda x: tg.sum(x * x), X), "minimize: there is no derivative by the argument"),
    (lambda: optimize.minimize(lambda x: tg.sum((x - X) ** 2), np.ones(2)), "lost"),
    (lambda: optimize.brentq(lambda x: x - 1.0, X[0], 3.0), "no derivative"),
    (lambda: optimize.root(lambda x, a: x - a, np.ones(2), (X,), jac=lambda x, a: np.eye(2)), "jac="),
    (lambda: optimize.linear_sum_assignment(tg.reshape(X, (2, 1))), "linear_sum_assignment"),
])
def test_refused(call, words):
    with pytest.raises(GradientError, match=words):
        call()


@pytest.mark.parametrize("call", [
    lambda b: optimize.minimize(lambda x: tg.sum((x - b) ** 2), np.ones(1), method="Nelder-Mead").x[0],
    lambda b: optimize.root(lambda x: x * x - b, np.ones(1)).x[0],
    lambda b: optimize.least_squares(lambda x: x - b, np.ones(1)).x[0],
    lambda b: optimize.brentq(lambda x: x * x - b, 0.0, 4.0),
], ids=["minimize", "root", "least_squares", "brentq"])
def test_a_tensor_that_is_no_argument_is_refused(call):
    with pytest.raises(GradientError, match="not among its arguments"):
        tg.grad(lambda b: b * call(b))(2.0)
