"""Activations: against PyTorch to second order, extreme values, corners, precision, errors."""

import mpmath
import numpy as np
import pytest
from torch_oracle import agree

import tapegrad as tg
from tapegrad import errors

GRID = np.array([-30.0, -7.0, -3.5, -2.2, -0.8, -1e-3, 1e-3, 0.3, 0.9, 2.2, 3.5, 5.5, 7.0, 30.0])
SAME = ["relu", "sigmoid", "softplus", "logsigmoid", "silu", "mish", "gelu", "elu", "selu", "celu", "leaky_relu", "hardtanh",
        "relu6", "hardswish", "softsign", "tanhshrink"]
OPTIONS = [("softplus", {"beta": 2.0, "threshold": 3.0}), ("gelu", {"approximate": "tanh"}), ("elu", {"alpha": 0.5}),
           ("celu", {"alpha": 0.5}), ("leaky_relu", {"negative_slope": 0.3}), ("hardtanh", {"min_val": -0.5, "max_val": 2.0})]


def functional():
    return pytest.importorskip("torch").nn.functional


@pytest.mark.parametrize("name, options", [(name, {}) for name in SAME] + OPTIONS)
def test_activations_agree_with_pytorch(name, options):
    agree(lambda x: getattr(tg, name)(x, **options), lambda x: getattr(functional(), name)(x, **options), [GRID])


@pytest.mark.parametrize("name", [*SAME, "hardsigmoid", "erf", "erfc", "glu"])
def test_derivatives_against_differences(name):
    assert tg.gradcheck(getattr(tg, name), np.array([-7.0, -2.2, -0.8, 0.3, 2.2, 5.5]), order=2)


def test_hardsigmoid():
    agree(tg.hardsigmoid, lambda x: functional().relu6(x + 3) / 6, [GRID])    # PyTorch's own has no second derivative


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_error_functions_agree_with_pytorch(name):
    agree(getattr(tg, name), lambda x: getattr(pytest.importorskip("torch"), name)(x), [GRID])


@pytest.mark.parametrize("name", [*SAME, "hardsigmoid", "erf", "erfc", "tanh", "softmax", "log_softmax", "logsumexp"])
def test_long_doubles_are_computed_by_numpy(name):
    """The kernels have no loop for them."""
    x = tg.tensor(GRID[2:-2].astype(np.longdouble), requires_grad=True)
    y = tg.tensor(GRID[2:-2], requires_grad=True)
    a, b = getattr(tg, name)(x), getattr(tg, name)(y)
    assert a.dtype == np.longdouble
    np.testing.assert_allclose(a.data, b.data, rtol=1e-13, atol=1e-15)
    a.sum().backward()
    b.sum().backward()
    assert x.grad.dtype == np.longdouble
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("f", [tg.softmax, tg.log_softmax, tg.logsumexp], ids=lambda f: f.__name__)
def test_softmax_of_no_elements(f):
    x = tg.tensor(np.zeros((2, 0)), requires_grad=True)
    z = f(x, axis=1)
    np.testing.assert_array_equal(z.data, np.full(2, -np.inf) if f is tg.logsumexp else np.zeros((2, 0)))
    with np.errstate(invalid="ignore"):
        z.sum().backward()
    assert x.grad.shape == (2, 0)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_glu_agrees_with_pytorch(axis):
    x = np.random.default_rng(0).normal(size=(2, 4, 6))
    agree(lambda x: tg.glu(x, axis), lambda x: functional().glu(x, axis), [x])


@pytest.mark.parametrize("shape, weights", [((5,), 1), ((2, 3), 3), ((2, 3, 4, 2), 3), ((2, 3), 1)])
def test_prelu_agrees_with_pytorch(shape, weights):
    x, weight = np.random.default_rng(0).normal(size=shape), np.linspace(0.1, 0.4, weights)
    agree(tg.prelu, lambda x, w: functional().prelu(x, w), [x, weight])
    assert tg.prelu(2.0, [0.1]).shape == ()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_error_functions_are_accurate(dtype):
    rng = np.random.default_rng(0)
    x = np.r_[rng.uniform(-1, 1, 500), rng.uniform(-6, 6, 500), rng.uniform(0, 9, 200), 1e-300, 0.75, -0.75].astype(dtype)
    for name, units in ("erf", 2), ("erfc", 50):
        z, exact = getattr(tg, name)(x).data, [getattr(mpmath, name)(mpmath.mpf(float(v))) for v in x]
        wrong = [abs((mpmath.mpf(float(a)) - b) / b) if b else 0 for a, b in zip(z, exact)]
        assert z.dtype == dtype and max(wrong) < units * np.finfo(dtype).eps


def test_the_error_functions_at_the_ends():
    x = np.array([np.inf, -np.inf, np.nan, -0.0, 0.0, 1e300, -1e300])
    np.testing.assert_array_equal(tg.erf(x).data, [1, -1, np.nan, -0.0, 0, 1, -1])
    assert np.signbit(tg.erf(x).data[3])
    np.testing.assert_array_equal(tg.erfc(x).data, [0, 2, np.nan, 1, 1, 0, 2])
    assert tg.erf(1).dtype == np.float64 and tg.erf(np.float16(1)).dtype == np.float16
    with pytest.raises(errors.DtypeError, match="erf.*complex"):
        tg.erf(1j)


@pytest.mark.parametrize("x", [-800.0, -100.0, -40.0, -5.0, -1e-9, 0.0, 1e-9, 5.0, 40.0, 100.0])
def test_tails_are_exact(x):
    with mpmath.workdps(400):
        exact = {"softplus": mpmath.log1p(mpmath.exp(x)), "logsigmoid": -mpmath.log1p(mpmath.exp(-x)),
                 "gelu": x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2, "silu": x / (1 + mpmath.exp(-x))}
        for name, wanted in exact.items():
            rtol = 1e-8 if name == "softplus" and x > 20 else 1e-13 if x > -30 else 1e-9
            np.testing.assert_allclose(float(getattr(tg, name)(x)), float(wanted), rtol=rtol, atol=1e-300)


def test_float32_and_single_numbers():
    for name in [*SAME, "hardsigmoid", "erf", "erfc"]:
        x = tg.tensor(GRID, dtype="f4", requires_grad=True)
        z = getattr(tg, name)(x)
        z.sum().backward()
        assert z.dtype == x.grad.dtype == np.float32, name
        assert np.isfinite(x.grad).all()
        assert getattr(tg, name)(tg.tensor(1.0)).shape == () and getattr(tg, name)(np.zeros((0, 2))).shape == (0, 2)
        assert np.isnan(getattr(tg, name)([np.nan]).data[0]), name


def test_integers_become_floats():
    for name in ("softplus", "elu", "gelu", "silu", "softsign", "erf"):
        assert getattr(tg, name)([1, 2]).dtype == np.float64


@pytest.mark.parametrize("f, x, wanted", [
    (tg.hardtanh, [-1.0, 1.0], [0, 0]), (tg.relu6, [0.0, 6.0], [0, 0]), (tg.hardswish, [-3.0, 3.0], [0, 1]),
    (tg.leaky_relu, [0.0, -0.0], [0.01, 0.01]), (tg.elu, [0.0], [1]), (tg.softsign, [0.0], [1])])
def test_corners(f, x, wanted):
    x = tg.tensor(x, requires_grad=True)
    f(x).sum().backward()
    np.testing.assert_allclose(x.grad, wanted)


@pytest.mark.parametrize("name, options", [("hardshrink", {}), ("softshrink", {}), ("softshrink", {"lambd": 0.0}),
                                           ("threshold", {"threshold": 0.5, "value": 2.0})])
def test_nan_and_infinity_pass_through(name, options):
    torch = pytest.importorskip("torch")
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 0.5, -0.5, 3.0])
    np.testing.assert_array_equal(getattr(tg, name)(x, **options).data,
                                  getattr(torch.nn.functional, name)(torch.tensor(x), **options).numpy())


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: tg.softplus(x, beta=0), ValueError, ["softplus", "beta=0"]),
    (lambda x: tg.gelu(x, approximate="sigmoid"), ValueError, ["gelu", "'sigmoid'"]),
    (lambda x: tg.celu(x, alpha=0), ValueError, ["celu", "alpha=0"]),
    (lambda x: tg.hardtanh(x, 1, 1), ValueError, ["hardtanh", "min_val=1"]),
    (lambda x: tg.glu(x), errors.ShapeError, ["glu", "(2, 3)", "odd"]),
    (lambda x: tg.glu(x, 2), errors.ShapeError, ["glu", "axis 2"]),
    (lambda x: tg.prelu(x, np.ones(2)), errors.ShapeError, ["prelu", "(2, 3)", "(2,)", "3 weights"])])
def test_errors(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.tensor(np.ones((2, 3))))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("dtype", ["<f2", ">f2"])
def test_half_floats_stay_half_floats(name, dtype):
    x = tg.tensor(np.array([-2.0, 0.5, 3.0], dtype), requires_grad=True)
    z = getattr(tg, name)(x)
    assert z.dtype == np.float16 == getattr(tg, name)(x[0]).dtype
    z.sum().backward()
    assert x.grad.dtype.char == "e"
    np.testing.assert_allclose(x.grad, tg.grad(lambda x: getattr(tg, name)(x).sum())(x.data.astype(float)), atol=2e-3)
