"""tapegrad.scipy.linalg and .signal: SciPy's values, and derivatives against differences."""

import numpy as np
import pytest

pytest.importorskip("scipy")

import scipy  # noqa: E402
import scipy.linalg  # noqa: E402
import scipy.signal  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.errors import DtypeError, GradientError, ShapeError  # noqa: E402

rng = np.random.default_rng(3)
M = 0.3 * rng.normal(size=(3, 3)) + 2 * np.eye(3)
N, Q = 0.3 * rng.normal(size=(2, 2)) + np.eye(2), rng.normal(size=(3, 2))
B, V, W, IMAGE = rng.normal(size=3), rng.normal(size=7), rng.normal(size=4), rng.normal(size=(4, 5))
BANDS = rng.normal(size=(4, 5)) + [[0], [3], [0], [0]]


CALLS = [
    *(lambda S, m, b, t=t, lower=lower, unit=unit: S.linalg.solve_triangular(m, b, t, lower, unit)
      for t in (0, "T") for lower in (True, False) for unit in (True, False)),
    lambda S, m, b: S.linalg.cholesky(m @ m.T), lambda S, m, b: S.linalg.cholesky(m @ m.T, lower=True),
    lambda S, m, b: S.linalg.cho_solve(S.linalg.cho_factor(m @ m.T), b),
    lambda S, m, b: S.linalg.cho_solve(S.linalg.cho_factor(m @ m.T, True), b), lambda S, m, b: S.linalg.expm(m),
    lambda S, m, b: S.linalg.logm(m), lambda S, m, b: S.linalg.sqrtm(m), lambda S, m, b: S.linalg.det(m),
    lambda S, m, b: S.linalg.inv(m, check_finite=False), lambda S, m, b: S.linalg.svdvals(m), lambda S, m, b: S.linalg.norm(m),
    lambda S, m, b: S.linalg.solve(m, b), lambda S, m, b: S.linalg.solve(m, b, transposed=True),
    lambda S, m, b: S.linalg.norm(b, 1),
    lambda S, m, b: S.linalg.block_diag(m, b, 2.0), lambda S, m, b: S.linalg.toeplitz(b),
    lambda S, m, b: S.linalg.toeplitz(b, m[0]),
]
MORE = [
    (lambda S, a, b, q: S.linalg.solve_sylvester(a, b, q), M, N, Q),
    (lambda S, ab, b: S.linalg.solve_banded((2, 1), ab, b), BANDS, IMAGE.T),
    (lambda S, ab, b: S.linalg.solve_banded((0, 0), ab, b), BANDS[1:2], V[:5]),
    (lambda S, a: S.linalg.toeplitz(a[:2], a), V),
    *((lambda S, x, y, mode=mode: S.signal.convolve(x, y, mode), x, y) for mode in ("full", "same", "valid")
      for x, y in ((V, W), (W, V), (IMAGE, IMAGE[:2, :3]))),
    *((lambda S, x, y, mode=mode: S.signal.fftconvolve(x, y, mode, axes=1), IMAGE, IMAGE[:, :2])
      for mode in ("full", "same", "valid")),
    (lambda S, x, y: S.signal.fftconvolve(x, y, "same", axes=[0, 1]), IMAGE, IMAGE[:3]),
    (lambda S, x, y: S.signal.convolve(x, y, method="fft"), V, W),
    (lambda S, b, a, x: S.signal.lfilter(b, a, x), W, np.array([1.5, 0.3, -0.2]), V),
    (lambda S, b, a, x: S.signal.lfilter(b, a, x, axis=0), W[:2], np.array([1.5, 0.3, -0.2]), IMAGE),
    (lambda S, b, x: S.signal.lfilter(b, 1.0, x), W, V), (lambda S, x: S.signal.lfilter([1.0, 2.0], [2.0, 0.5], x), IMAGE),
]


@pytest.mark.parametrize("call, arrays", [*((call, (M, B)) for call in CALLS), *((call, arrays) for call, *arrays in MORE)])
def test_values_and_derivatives(call, arrays):
    expected = call(scipy, *arrays)
    np.testing.assert_array_equal(call(tg.scipy, *arrays), expected)
    z = call(tg.scipy, *map(tg.tensor, arrays))
    assert isinstance(z, tg.Tensor) and z.shape == np.shape(expected)
    np.testing.assert_allclose(z.data, expected, rtol=1e-11, atol=1e-13)
    tg.gradcheck(lambda *xs: call(tg.scipy, *xs), *arrays, order=2)


X = tg.tensor(M, requires_grad=True)


@pytest.mark.parametrize("call, kind, words", [
    (lambda S: S.linalg.eig(X), GradientError, "scipy.linalg.eig"), (lambda S: S.linalg.schur(X), GradientError, "schur"),
    (lambda S: S.linalg.solve_triangular(X, np.ones(2)), ShapeError, "solve_triangular"),
    (lambda S: S.linalg.logm(-X), DtypeError, "complex"),
    (lambda S: S.linalg.solve(X, B, assume_a="pos"), TypeError, "cho_factor"),
    (lambda S: S.linalg.solve_sylvester(X, X, np.ones((2, 3))), ShapeError, "solve_sylvester"),
    (lambda S: S.linalg.solve_banded((1, 0), X, B), ShapeError, "2 rows"),
    (lambda S: S.linalg.sqrtm(X, True), TypeError, "sqrtm"),
    (lambda S: S.linalg.solve_triangular(X, B, "x"), ValueError, "trans"),
    (lambda S: S.signal.lfilter(X, 1.0, B), ShapeError, "lfilter"),
    (lambda S: S.signal.lfilter([1.0], 1.0, X, zi=[0.0]), TypeError, "zi="),
    (lambda S: S.signal.medfilt(X), GradientError, "medfilt"),
    (lambda S: S.signal.convolve(X, B), ShapeError, "axes"), (lambda S: S.signal.convolve(X, X, "some"), ValueError, "mode"),
    (lambda S: S.signal.fftconvolve(X[:2], X[:, :2], "valid"), ShapeError, "inside"),
    (lambda S: S.linalg.hilbert(3) @ X, None, ""),
])
def test_refused(call, kind, words):
    if kind is None:
        assert call(tg.scipy).requires_grad
        return
    with pytest.raises(kind, match=words):
        call(tg.scipy)
