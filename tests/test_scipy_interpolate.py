"""tapegrad.scipy.interpolate: SciPy's cubic splines of tensors, with derivatives by values and points."""

import numpy as np
import pytest

pytest.importorskip("scipy")

import scipy.interpolate  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.errors import GradientError, ShapeError  # noqa: E402
from tapegrad.scipy import interpolate  # noqa: E402

X, Y = np.array([0.0, 0.7, 1.5, 2.0, 3.2]), np.random.default_rng(1).normal(size=(2, 5, 3))
POINTS = np.array([[-0.3, 0.2], [1.1, 3.5]])


@pytest.mark.parametrize("bc", ["not-a-knot", "natural", "clamped"])
@pytest.mark.parametrize("axis", [1, -2])
@pytest.mark.parametrize("nu", [0, 1, 2])
def test_values_and_derivatives(bc, axis, nu):
    expected = scipy.interpolate.CubicSpline(X, Y, axis, bc)(POINTS, nu)
    np.testing.assert_array_equal(interpolate.CubicSpline(X, Y, axis, bc)(POINTS, nu), expected)
    for y, t in ((tg.tensor(Y), POINTS), (Y, tg.tensor(POINTS)), (tg.tensor(Y), tg.tensor(POINTS))):
        z = interpolate.CubicSpline(X, y, axis, bc)(t, nu)
        assert isinstance(z, tg.Tensor)
        np.testing.assert_allclose(z.data, expected, rtol=1e-11, atol=1e-12)
    if nu == 0:
        tg.gradcheck(lambda y, t: interpolate.CubicSpline(X, y, axis, bc)(t), Y, POINTS, order=2)


def test_rest_is_scipys():
    assert interpolate.CubicSpline(X, X).integrate(0, 1) == pytest.approx(0.5)
    assert interpolate.interp1d([0.0, 1.0], [0.0, 2.0])(0.5) == 1


@pytest.mark.parametrize("call, kind, words", [
    (lambda y: interpolate.CubicSpline(y, y), GradientError, "CubicSpline"),
    (lambda y: interpolate.CubicSpline(X, y), ShapeError, "5"),
    (lambda y: interpolate.CubicSpline([0.0, 1.0, 2.0], y, bc_type="periodic")(0.5), ValueError, "bc_type"),
    (lambda y: interpolate.make_interp_spline([0.0, 1.0, 2.0], y), GradientError, "make_interp_spline"),
    (lambda y: interpolate.interp1d([0.0, 1.0, 2.0], y), GradientError, "lost"),
])
def test_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call(tg.tensor([1.0, 2.0, 1.0], requires_grad=True))


def test_arrays_may_be_written_to_after_it_is_made():
    x, y = np.arange(4.0), np.array([0.0, 1.0, 8.0, 27.0])
    spline = interpolate.CubicSpline(x, y)
    expected = spline(1.5)
    x += 1
    y[:] = 0
    assert spline(1.5) == expected
    np.testing.assert_allclose(spline(tg.tensor(1.5)).item(), expected, rtol=1e-12)
