"""Derivatives of NumPy's functions where they are hard: at edges, at large and small numbers, and to the last digits."""

import numpy as np
import pytest

import tapegrad as tg


def gradient(f, x):
    x = tg.tensor(x, requires_grad=True)
    tg.sum(f(x)).backward()
    return x.grad


@pytest.mark.parametrize("f, x, expected", [
    (lambda x: tg.arctan2(x, x), 0.0, 0.0), (lambda x: tg.hypot(x, x), 0.0, 0.0), (lambda x: tg.sinc(x), 0.0, 0.0),
    (lambda x: tg.clip(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0], [0, 1, 1, 1, 0]),
    (lambda x: tg.clip(x, None, 1), [1.0, 2.0, np.nan], [1, 0, 0]),
    (lambda x: tg.clip(np.array([0.0, 1.0, 5.0]), x, 3.0), [1.0, 1.0, 1.0], [1, 0, 0]),
    (lambda x: tg.clip(np.array([0.0, 1.0, 5.0]), 3.0, x), 1.0, 3),
    (lambda x: tg.fmax(x, x), 1.0, 1.0), (lambda x: tg.fmax(x, 1.0), 1.0, 0.5), (lambda x: tg.fmin(x, np.nan), 1.0, 1.0),
    (lambda x: tg.fmax(x, 1.0), np.nan, 0.0),
    (lambda x: tg.max(x, initial=1.0), [1.0, 0.0], [0.5, 0]), (lambda x: tg.ptp(x), [1.0, 1.0], [0, 0]),
    (lambda x: tg.std(x), [2.0, 2.0, 2.0], [0, 0, 0]), (lambda x: tg.std(x, ddof=1), [2.0, 2.0], [0, 0]),
    (lambda x: tg.std(x, where=np.array([True, True, False])), [2.0, 2.0, 7.0], [0, 0, 0]),
    (lambda x: tg.nanstd(x), [2.0, np.nan, 2.0], [0, 0, 0]),
    (lambda x: tg.prod(x), [0.0, 2.0, 3.0], [6, 0, 0]), (lambda x: tg.prod(x), [0.0, 2.0, 0.0], [0, 0, 0]),
    (lambda x: tg.prod(x), 3.0, 1.0), (lambda x: tg.prod(x), [], []), (lambda x: tg.cumprod(x), [0.0, 2.0, 0.0], [3, 0, 0]),
    (lambda x: tg.logaddexp(x, x), -np.inf, 1.0), (lambda x: tg.logaddexp(x, 0.0), -np.inf, 0.0),
    (lambda x: tg.logaddexp(x, 0.0), np.inf, 1.0), (lambda x: tg.logaddexp2(x, 5e3), 5e3, 0.5),
    (lambda x: tg.nan_to_num(x), [np.nan, np.inf, -np.inf, 1.0], [0, 0, 0, 1]),
    (lambda x: tg.where(x > 0, tg.log1p(-1 - x), 0), [-1.0], [0]),
    (lambda x: tg.where(x > 0, 0.0, tg.arccosh(tg.cosh(x)) * 0 + tg.cbrt(x)), [0.0], [np.inf]),
    (lambda x: 0 * tg.cbrt(x) + 0 * tg.arcsin(x + 1) + 0 * tg.reciprocal(x + np.inf), [0.0], [0]),
    (lambda x: tg.median(x), [1.0, 1.0, 1.0], [0, 1, 0]), (lambda x: tg.copysign(x, -1.0), 0.0, 0.0),
    (lambda x: tg.arcsinh(x), 1e200, 1e-200), (lambda x: tg.arctan2(x, 1e200), 1.0, 1e-200),
    (lambda x: tg.hypot(x, 1e200), 1e200, 0.5 ** 0.5), (lambda x: tg.expm1(x), -50.0, np.exp(-50.0)),
    (lambda x: tg.quantile(x, [0.0, 1.0]), [np.inf, 1.0, -np.inf], [1, 0, 1]),
])
def test_conventions_at_edges(f, x, expected):
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(gradient(f, x), expected, rtol=1e-14)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_derivatives_of_sinc_to_the_last_digits(n):
    mpmath = pytest.importorskip("mpmath")
    f = tg.sinc
    for _ in range(n):
        f = tg.elementwise_grad(f)
    x = np.array([0.0, 1e-12, 1e-4, 0.01, 0.3, 0.64, 0.96, 1.0, 1.27, 1.6, 3.5, 20.25, -0.7])
    with mpmath.workdps(60):
        exact = [float(mpmath.diff(mpmath.sincpi, mpmath.mpf(v), n)) for v in x]
    np.testing.assert_allclose(f(tg.tensor(x)).data, exact, rtol=1e-12, atol=1e-13)


def test_derivatives_of_i0_to_the_last_digits():
    mpmath = pytest.importorskip("mpmath")
    x = np.array([0.0, 1e-5, 0.5, -3.0, 8.0, 30.0, 200.0])
    first, second = tg.elementwise_grad(tg.i0), tg.elementwise_grad(tg.elementwise_grad(tg.i0))
    np.testing.assert_allclose(first(x).data, [float(mpmath.besseli(1, v)) for v in x], rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(second(x).data, [float(mpmath.besseli(0, v) + mpmath.besseli(2, v)) / 2 for v in x], rtol=1e-13)


@pytest.mark.parametrize("dtype, rtol", [("f8", 1e-13), ("f4", 2e-7)])
@np.errstate(over="ignore")
def test_the_derivative_of_i0_over_all_magnitudes(dtype, rtol):
    """Whose cost does not grow with the argument: at 1e14 it would never end."""
    mpmath = pytest.importorskip("mpmath")
    x = np.concatenate([np.geomspace(1e-3, 1e10, 53), -np.geomspace(1e-3, 700, 20), [1e14, -1e14]]).astype(dtype)
    with np.errstate(over="ignore"):
        exact = np.array([float(mpmath.besseli(1, v)) if abs(v) < 800 else np.copysign(np.inf, v) for v in x]).astype(dtype)
    found = tg.elementwise_grad(tg.i0)(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, exact, rtol=rtol)


@pytest.mark.parametrize("name, x", [
    (name, x) for names, x in (
        ("exp2 expm1 cosh sinh arcsinh arctan tan cbrt", [-3.0, -1.0, -1e-8, 1e-8, 0.5, 3.0]),
        ("log2 log10 log1p reciprocal", [1e-10, 0.1, 1.0, 50.0]),
        ("arcsin arccos arctanh", [-0.99999, -0.5, 1e-9, 0.3, 0.99999]),
        ("arccosh", [1 + 1e-9, 1.5, 1e5])) for name in names.split()])
def test_derivatives_to_the_last_digits(name, x):
    mpmath = pytest.importorskip("mpmath")
    names = {"arcsinh": "asinh", "arctan": "atan", "arcsin": "asin", "arccos": "acos", "arctanh": "atanh", "arccosh": "acosh"}
    exact = {"exp2": lambda x: mpmath.power(2, x), "log2": lambda x: mpmath.log(x, 2), "reciprocal": lambda x: 1 / x,
             "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x))}.get(name) or getattr(mpmath, names.get(name, name))
    with mpmath.workdps(50):
        wanted = [float(mpmath.diff(exact, mpmath.mpf(v))) for v in x]
    np.testing.assert_allclose(gradient(getattr(tg, name), x), wanted, rtol=3e-15)


@pytest.mark.parametrize("dtype, at", [("float32", 1e6), ("float64", 1e20), ("float64", -1e300), ("float32", 3e38)])
@pytest.mark.parametrize("f", [
    lambda x: tg.logsumexp(x), lambda x: tg.logsumexp(x, axis=0), lambda x: tg.logsumexp(x, axis=(0,), keepdims=True),
    lambda x: tg.logaddexp(x[0], x[1]), lambda x: tg.logaddexp2(x[0], x[1]), lambda x: tg.logsumexp(x, b=[2.0, 2.0])])
def test_large_equal_numbers_share_a_logarithm_of_a_sum_exactly(f, dtype, at):
    np.testing.assert_array_equal(gradient(f, np.full(2, at, dtype)), [0.5, 0.5])


@pytest.mark.parametrize("f", [
    lambda x: tg.hypot(x[0], x[1]), lambda x: tg.arctan2(x[0], x[1]), lambda x: abs(x[0] + 1j * x[1]),
    lambda x: tg.linalg.norm(x), lambda x: tg.linalg.vector_norm(x)])
def test_hessians_at_the_tip_of_a_cone_are_not_made_up(f):
    np.testing.assert_array_equal(gradient(f, np.zeros(2)), [0, 0])
    with np.errstate(all="ignore"):
        assert not np.isfinite(tg.hessian(f)(np.zeros(2))).any()
        masked = tg.hessian(lambda x: tg.where(x[0] > 0, f(x), 0.0))(np.zeros(2))
    np.testing.assert_array_equal(masked, 0)
    assert np.isfinite(tg.hessian(f)(np.array([0.0, 2.0]))).all()
