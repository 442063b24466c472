"""NumPy's functions: each call is made of NumPy on arrays, of tapegrad, and of NumPy on tensors (its dispatch).

All three give the same values, and the derivatives agree with central differences to second order.
"""

import warnings

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))
Y = rng.normal(size=(3, 4))
V = np.array([0.3, -1.2, 0.8, 2.1, -0.4])
CUBE = rng.normal(size=(2, 3, 4))
POSITIVE = rng.uniform(0.5, 2, size=(3, 4))
MASK = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]], bool)
HOLES = np.where(MASK, X, np.nan)
ZEROS = np.array([[1.5, 0.0, -2.0, 0.5], [0.0, 3.0, 0.0, 1.0], [2.0, -1.0, 0.5, 1.5]])
AT = np.array([0.0, 0.4, 1.0, 1.1, 2.0])
SQUARE = X[:, :3]

DIFFERENTIABLE = [
    # elementwise
    (lambda F, x: F.positive(x), X), (lambda F, x: F.degrees(x), X), (lambda F, x: F.radians(x), X),
    (lambda F, x: F.deg2rad(x), X), (lambda F, x: F.rad2deg(x), X), (lambda F, x: F.sinc(x), X), (lambda F, x: F.abs(x), X),
    (lambda F, x: F.tan(x), X), (lambda F, x: F.asin(x / 4), X), (lambda F, x: F.pow(x, 3), X),
    (lambda F, x: F.atan2(x, 2.0), X),
    (lambda F, x: F.modf(x)[0], X), (lambda F, x: F.divmod(x, 0.7)[1], X), (lambda F, x: x % 0.7, X),
    (lambda F, x: 2.0 % x, POSITIVE),
    (lambda F, x: F.float_power(x, 2), X), (lambda F, x: F.ldexp(x, np.array([1, 0, -2, 3])), X),
    (lambda F, x, y: F.mod(x, y), X, Y), (lambda F, x, y: F.fmod(x, y), X, Y), (lambda F, x, y: F.copysign(x, y), X, Y),
    (lambda F, x, y: F.hypot(x, y), X, Y[0]), (lambda F, x, y: F.logaddexp(x, y), X, Y[:, :1]),
    (lambda F, x: F.nan_to_num(x, nan=1.5), X), (lambda F, x: F.where(x > 0, x * x, 0), X),
    (lambda F, x: F.clip(x, -0.5, 0.5), X), (lambda F, x: F.clip(x, None, 0.5), X), (lambda F, x: F.clip(x, min=0.1), X),
    (lambda F, x, y: F.clip(x, y, y + 0.5), X, Y), (lambda F, x: x.clip(0.1), X), (lambda F, x: F.reciprocal(x), POSITIVE),
    # reductions
    (lambda F, x: F.sum(x, axis=(0, -1), where=MASK, initial=2.0), CUBE), (lambda F, x: F.sum(x, dtype=np.float64), X),
    (lambda F, x: F.prod(x), X), (lambda F, x: F.prod(x, axis=(0, 2), keepdims=True), CUBE),
    (lambda F, x: F.prod(x, axis=1), ZEROS),
    (lambda F, x: F.prod(x, axis=1), ZEROS * [1, 1, 0, 1]), (lambda F, x: F.prod(x, 0, where=MASK, initial=3.0), X),
    (lambda F, x: F.mean(x, axis=-1, where=MASK), X), (lambda F, x: F.mean(x, axis=()), X),
    (lambda F, x: F.prod(x, axis=()), X),
    (lambda F, x: F.max(x, axis=0, initial=0.2), X), (lambda F, x: F.min(x, axis=0, initial=-0.1, where=MASK), X),
    (lambda F, x: F.amax(x), X), (lambda F, x: F.amin(x, keepdims=True), X), (lambda F, x: F.ptp(x, axis=1), X),
    (lambda F, x: F.var(x), X), (lambda F, x: F.var(x, axis=(0, 2), ddof=1, keepdims=True), CUBE),
    (lambda F, x: F.var(x, axis=0, correction=1), CUBE), (lambda F, x: F.std(x, axis=-1, ddof=1), X),
    (lambda F, x: F.std(x, axis=1, where=MASK), X), (lambda F, x: F.var(x, axis=0, where=MASK, keepdims=True), X),
    (lambda F, x: x.std(), X), (lambda F, x: x.prod(axis=1), X), (lambda F, x: x.var(ddof=1, axis=0), X),
    (lambda F, x: F.average(x, axis=0), X), (lambda F, x, w: F.average(x, weights=w), X, POSITIVE),
    (lambda F, x, w: F.average(x, 1, w, keepdims=True), X, POSITIVE[0]),
    (lambda F, x, w: F.average(x, (2, 1), w), CUBE, POSITIVE.T),
    (lambda F, x, w: F.average(x, 0, w, returned=True)[1] * F.average(x, 0, w), X, POSITIVE),
    (lambda F, x: np.add.reduce(x), X), (lambda F, x: np.multiply.reduce(x, axis=1, keepdims=True), X),
    (lambda F, x: np.maximum.reduce(x, axis=(0, 1)), X), (lambda F, x: np.minimum.reduce(x, axis=None), X),
    (lambda F, x: np.add.accumulate(x), X), (lambda F, x: np.multiply.accumulate(x, axis=1), ZEROS),
    # order and running sums
    (lambda F, x: F.sort(x), X), (lambda F, x: F.sort(x, axis=None), X), (lambda F, x: F.sort(x, axis=0, kind="stable"), CUBE),
    (lambda F, x: F.partition(x, 2), X), (lambda F, x: F.partition(x, (0, 2), axis=0), X),
    (lambda F, x: F.median(x), X), (lambda F, x: F.median(x, axis=0, keepdims=True), X),
    (lambda F, x: F.median(x, axis=(0, 2)), CUBE),
    *((lambda F, x, m=m: F.quantile(x, [0.1, 0.5, 0.83], axis=1, method=m), X)
      for m in ("linear", "lower", "higher", "midpoint", "nearest")),
    (lambda F, x: F.quantile(x, 0.3), X), (lambda F, x: F.quantile(x, 1.0, axis=(1, 0), keepdims=True), X),
    (lambda F, x: F.percentile(x, [[10, 20], [30, 100]], axis=-1, keepdims=True), CUBE),
    (lambda F, x: F.cumsum(x), X), (lambda F, x: F.cumsum(x, axis=-1), CUBE), (lambda F, x: x.cumsum(0), X),
    (lambda F, x: F.cumprod(x, axis=0), CUBE), (lambda F, x: F.cumprod(x), ZEROS[0]),
    (lambda F, x: F.cumprod(x, axis=1), ZEROS),
    (lambda F, x: F.diff(x), X), (lambda F, x: F.diff(x, n=2, axis=0), X),
    (lambda F, x: F.diff(x, prepend=0, append=x[:, :2]), X),
    (lambda F, x: F.ediff1d(x, to_begin=1.0, to_end=[2.0, 3.0]), X), (lambda F, x: F.ediff1d(x), X),
    (lambda F, x: F.trapezoid(x), X), (lambda F, x: F.trapezoid(x, dx=0.1, axis=0), X),
    (lambda F, x: F.trapezoid(x, AT[:3], axis=1), CUBE),
    (lambda F, x: F.gradient(x), V), (lambda F, x: F.gradient(x, 0.5, axis=1, edge_order=2), X),
    (lambda F, x: F.gradient(x, AT), V),
    (lambda F, x: F.gradient(x, AT, edge_order=2), V), (lambda F, x: F.gradient(x, 0.5, AT[:4])[1], X),
    (lambda F, x: F.gradient(x, 2.0)[0], X), (lambda F, x: F.gradient(x[:2]), V),
    (lambda F, x: F.interp(x, AT, [1.0, 2.0, 0.0, 5.0, 4.0]), V), (lambda F, x: F.interp(x, AT, V, left=9.0, right=7.0), X),
    (lambda F, f: F.interp(np.array([-1, 0.1, 0.5, 1.05, 1.7, 3]), AT, f), V),
    (lambda F, x: F.cumulative_sum(x, axis=1, include_initial=True), X), (lambda F, x: F.cumulative_prod(x), V),
    (lambda F, x: F.unwrap(x), 3 * V), (lambda F, x: F.cov(x), X), (lambda F, x, y: F.cov(x, y, rowvar=False, ddof=0), X, Y),
    (lambda F, x: F.cov(x), V), (lambda F, x: F.corrcoef(x), X), (lambda F, x, y: F.corrcoef(x, y, rowvar=False), V, V ** 2),
    (lambda F, p, x: F.polyval(p, x), V, X), (lambda F, x: F.vander(x), V), (lambda F, x: F.vander(x, 3, increasing=True), V),
    (lambda F, x: F.linspace(x, 2.0, 4), V), (lambda F, x, y: F.linspace(x, y, 3, endpoint=False, axis=1), X, Y),
    (lambda F, x: F.linspace(0, x, 3, retstep=True)[1] * x, V), (lambda F, x: F.logspace(x, 0.5, 3, base=2), V),
    (lambda F, x, y: F.geomspace(x, y, 4, axis=-1), POSITIVE, POSITIVE[0] + 1),
    (lambda F, x: F.geomspace(x, -2.0, 3), -POSITIVE), (lambda F, x: F.i0(x), 3 * X), (lambda F, x: F.real(x), X),
    (lambda F, x: F.conj(x), X), (lambda F, x: x.conj(), X),
    (lambda F, x: F.real_if_close(x), X),
    (lambda F, x: F.bincount(np.array([1, 0, 3, 1, 1]), weights=x, minlength=6), V),
    # polynomials
    (lambda F, x: F.poly(x), V), (lambda F, x: F.poly(x), SQUARE), (lambda F, p, q: F.polyadd(p, q), V, V[:2]),
    (lambda F, p, q: F.polysub(p[:3], q), V, V ** 2), (lambda F, p, q: F.polymul(p, q), V, V[:3] ** 2),
    (lambda F, p, q: F.polydiv(p, q[:3] + 1)[0], V, V ** 2), (lambda F, p, q: F.polydiv(p, q[:3] + 1)[1], V, V ** 2),
    (lambda F, p: F.polydiv(p, V)[1], V[:2] ** 2), (lambda F, p: F.polyder(p, 2), V), (lambda F, p: F.polyder(p, 0), V),
    (lambda F, p, k: F.polyint(p, 2, k), V, V[:2]), (lambda F, p: F.polyint(p, m=3, k=2.0), V), (lambda F, p: F.polyint(p), V),
    (lambda F, x, y: F.polyfit(x, y, 1), V, V ** 2 + 0.1), (lambda F, y: F.polyfit(AT, y, 1), np.stack([V, V ** 2], 1)),
    (lambda F, x, y, w: F.polyfit(x, y, 1, w=w), V, V ** 2, V ** 2 + 0.5),
    (lambda F, x, y: F.polyfit(x, y, 1, full=True)[1], V, V ** 2), (lambda F, x, y: F.polyfit(x, y, 1, cov=True)[1], V, V ** 2),
    (lambda F, x: F.polyfit(x, V, 2, cov="unscaled")[1], V ** 3),
    (lambda F, y: F.polyfit(AT, y, 1, cov=True)[1], np.stack([V, V ** 2], 1)),
    (lambda F, p: F.abs(F.roots(p)), V), (lambda F, p: F.real(F.roots(F.concatenate([p, [0.0, 0.0]]))), V),
    # applied to slices and parts
    (lambda F, x: F.apply_along_axis(lambda v: v * v[0], 0, x), CUBE), (lambda F, x: F.apply_along_axis(F.sum, 1, x), CUBE),
    (lambda F, x: F.apply_along_axis(lambda v, k: F.outer(v, v[:k]), -2, x, k=2), CUBE),
    (lambda F, x: F.apply_over_axes(F.sum, x * x, (0, -1)), CUBE),
    (lambda F, x, y: F.correlate(x, y[:2]), V, V ** 2), (lambda F, x, y: F.correlate(x, y[:4], "same"), V, V ** 2),
    (lambda F, x, y: F.correlate(x[:2], y[:3], "same"), V, V ** 2), (lambda F, x, y: F.correlate(x[:2], y, "same"), V, V ** 2),
    (lambda F, x, y: F.correlate(x[:3], y, "full"), V, V ** 2), (lambda F, x, y: F.correlate(x[:2], y), V, V ** 2),
    (lambda F, x: F.piecewise(x, [x < 0, x > 1], [lambda v: v * v, F.exp, 2.0]), X),
    (lambda F, x: F.piecewise(x, [x > 0], [lambda v, k: v ** k, lambda v, k: v * k], 3), X),
    (lambda F, x: F.trim_zeros(x * np.array([0, 1, 1, 1, 0], x.dtype)), V),
    (lambda F, x: F.trim_zeros(x * np.array([0, 1, 1, 0, 0], x.dtype), "f"), V),
    (lambda F, x: F.real(F.sort_complex(x)), V),
]

WITH_NAN = [
    lambda F, x: F.nansum(x), lambda F, x: F.nansum(x, axis=1, keepdims=True), lambda F, x: F.nanprod(x, axis=0),
    lambda F, x: F.nanmean(x, axis=1), lambda F, x: F.nanvar(x, axis=1, ddof=1), lambda F, x: F.nanstd(x, axis=0),
    lambda F, x: F.nanmax(x, axis=0), lambda F, x: F.nanmin(x), lambda F, x: F.nanmedian(x, axis=1),
    lambda F, x: F.nanquantile(x, [0.2, 0.7], axis=1), lambda F, x: F.nanpercentile(x, 40, axis=(0, 1)),
    lambda F, x: F.nancumsum(x, axis=0), lambda F, x: F.nancumprod(x, axis=1), lambda F, x: F.nan_to_num(x),
    lambda F, x: F.fmax(x, 0.1), lambda F, x: F.fmin(0.1, x),
]

CONSTANT = [
    lambda F, x: F.sign(x), lambda F, x: F.trunc(x), lambda F, x: F.round(x, 1), lambda F, x: F.around(x, decimals=2),
    lambda F, x: x.round(1), lambda F, x: F.isclose(x, x + 1e-9), lambda F, x: F.all(x > -9), lambda F, x: F.any(x > 0, axis=1),
    lambda F, x: (x > 0).all(axis=0), lambda F, x: F.count_nonzero(x > 0), lambda F, x: F.argsort(x, axis=0),
    lambda F, x: F.argmax(x, axis=1, keepdims=True), lambda F, x: F.searchsorted(AT, x), lambda F, x: F.digitize(x, AT),
    lambda F, x: F.logical_xor(x > 0, x > 1), lambda F, x: (x > 0) & (x < 1) | ~(x > -1) ^ (x == 0), lambda F, x: F.signbit(x),
    lambda F, x: F.isneginf(x), lambda F, x: F.array_equal(x, x), lambda F, x: F.allclose(x, x),
    lambda F, x: F.floor_divide(x, 0.3), lambda F, x: x // 1, lambda F, x: F.where(x > 0)[1],
    lambda F, x: np.logical_or.reduce(x > 1),
    lambda F, x: F.bincount((x > 0).astype(int).reshape(-1)), lambda F, x: F.heaviside(x, 0.5), lambda F, x: F.modf(x)[1],
    lambda F, x: F.zeros_like(x),
    lambda F, x: F.ones_like(x, dtype=int, shape=(2, 5)), lambda F, x: F.imag(x), lambda F, x: F.angle(x),
    lambda F, x: F.isin(x, x[0]),
    lambda F, x: F.argpartition(x, 1), lambda F, x: F.lexsort(x),
    lambda F, x: F.nanargmax(x, axis=0),
]


def values(z):
    return z.data if isinstance(z, tg.Tensor) else z


@pytest.mark.parametrize("call, arrays", [(call, arrays) for call, *arrays in DIFFERENTIABLE])
def test_differentiable(call, arrays):
    expected = call(np, *arrays)
    for F in (tg, np):
        z = call(F, *[tg.tensor(x, requires_grad=True) for x in arrays])
        assert isinstance(z, tg.Tensor) and z.requires_grad and z.dtype == expected.dtype and z.shape == np.shape(expected)
        np.testing.assert_allclose(z.data, expected, rtol=1e-13, atol=1e-14)
    tg.gradcheck(lambda *xs: call(tg, *xs), *arrays, order=2)
    single = call(tg, *[tg.tensor(x, dtype=np.float32, requires_grad=True) for x in arrays])
    np.testing.assert_allclose(single.data, expected, rtol=1e-4, atol=1e-5)


def widens(call, *arrays):
    """Whether NumPy itself widens float32, by a constant in float64."""
    return call(np, *[x.astype(np.float32) for x in arrays]).dtype != np.float32


NARROW = [call for call in DIFFERENTIABLE if not widens(*call)]


@pytest.mark.parametrize("call, arrays", [(call, arrays) for call, *arrays in NARROW])
def test_float32_is_kept(call, arrays):
    arrays = [x.astype(np.float32) for x in arrays]
    xs = [tg.tensor(x, requires_grad=True) for x in arrays]
    z = call(tg, *xs)
    assert z.dtype == np.float32
    tg.sum(z).backward()
    assert all(x.grad.dtype == np.float32 for x in xs)


@pytest.mark.parametrize("call", WITH_NAN)
def test_nan_is_left_out(call):
    expected = call(np, HOLES)
    for F in (tg, np):
        x = tg.tensor(HOLES, requires_grad=True)
        z = call(F, x)
        np.testing.assert_allclose(z.data, expected, rtol=1e-13)
        assert z.shape == np.shape(expected) and z.dtype == expected.dtype
        z.sum().backward()
        np.testing.assert_array_equal(x.grad[~MASK], 0)
    step, found = 1e-6, x.grad
    for i in zip(*np.nonzero(MASK)):
        ends = [np.sum(call(np, np.where(np.arange(12).reshape(3, 4) == i[0] * 4 + i[1], HOLES + sign * step, HOLES)))
                for sign in (1, -1)]
        np.testing.assert_allclose(found[i], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("call", CONSTANT)
def test_constant(call):
    expected = call(np, X)
    for F in (tg, np):
        z = call(F, tg.tensor(X))
        np.testing.assert_array_equal(values(z), expected)
        assert not isinstance(z, np.ndarray)
        x = tg.tensor(X, requires_grad=True)
        z = call(F, x)
        if getattr(z, "requires_grad", False):          # a derivative of 0 everywhere
            z.sum().backward()
            assert not x.grad.any()
    assert values(z).dtype == expected.dtype if isinstance(expected, np.ndarray) else type(values(z)) is not tg.Tensor


def test_full():
    x = tg.tensor(3.0, requires_grad=True)
    z = tg.full((2, 3), x)
    assert z.shape == (2, 3) and tg.full(2, 1).dtype == np.int64 and tg.full(2, x, dtype=np.float32).dtype == np.float32
    z.sum().backward()
    assert x.grad == 6


def test_topk():
    x = tg.tensor(X, requires_grad=True)
    z, positions = tg.topk(x, 2)
    np.testing.assert_array_equal(z.data, -np.sort(-X)[:, :2])
    np.testing.assert_array_equal(np.take_along_axis(X, positions.data, -1), z.data)
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, X >= np.sort(X)[:, 2:3])
    np.testing.assert_array_equal(tg.topk(x, 3, axis=0, largest=False)[0].data, np.sort(X, 0)[:3])


def test_all_nan():
    x = tg.tensor([[np.nan, np.nan], [1.0, 2.0]], requires_grad=True)
    for f in (tg.nanmean, tg.nanmax, tg.nanmin, tg.nanmedian, tg.nanvar):
        with pytest.warns(RuntimeWarning):
            z = f(x, axis=1)
        assert np.isnan(z.data[0]) and np.isfinite(z.data[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(tg.median(x, axis=1).data[0])


def test_numpy_functions_of_other_modules_and_of_sequences():
    x = tg.tensor(X, requires_grad=True)
    for z in (np.linalg.norm(x), np.concatenate([x, Y]), np.stack([Y, x]), np.einsum("ij,ij->", x, Y), np.where(x > 0, x, Y),
              np.dot(Y.T, x), np.transpose(x)):
        assert isinstance(z, tg.Tensor) and z.requires_grad


def test_other_types_have_their_say():
    class Other:
        def __array_function__(self, function, types, operands, options):
            return "other"

    assert np.concatenate([tg.tensor(X), Other()]) == "other"


def test_numpy_reads_tensors():
    x = tg.tensor(X, requires_grad=True)
    assert np.shape(x) == (3, 4) and np.ndim(x) == 2 and np.size(x) == 12 and np.result_type(x, 1.0) == np.float64
    assert np.array2string(x) == np.array2string(X)


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: tg.sum(x, 0, True), TypeError, ["sum", "keepdims", "dtype="]),
    (lambda x: tg.sum(x, out=np.ones(4)), TypeError, ["sum", "out="]),
    (lambda x: tg.max(x, where=MASK), ValueError, ["max", "initial="]),
    (lambda x: tg.var(x, ddof=1, correction=1), ValueError, ["var", "correction"]),
    (lambda x: tg.var(x, axis=2), ValueError, ["var", "axis 2", "(3, 4)"]),
    (lambda x: tg.average(x, axis=0, weights=np.ones(4)), ValueError, ["average", "(4,)", "(3, 4)"]),
    (lambda x: tg.average(x, weights=np.zeros((3, 4))), ZeroDivisionError, ["average"]),
    (lambda x: tg.quantile(x, 1.5), ValueError, ["quantile", "0..1"]),
    (lambda x: tg.quantile(x, 0.5, method="hazen"), ValueError, ["hazen", "linear"]),
    (lambda x: tg.median(x[:0]), ValueError, ["median", "(0, 4)"]),
    (lambda x: tg.sort(x, order="f"), TypeError, ["sort"]), (lambda x: tg.topk(x, 5), ValueError, ["topk", "5", "(3, 4)"]),
    (lambda x: tg.clip(x, 0, 1, max=2), TypeError, ["clip"]), (lambda x: tg.diff(x, n=-1), ValueError, ["diff"]),
    (lambda x: tg.gradient(x[:1]), ValueError, ["gradient", "(1, 4)"]),
    (lambda x: tg.cumsum(x, axis=5), ValueError, ["cumsum"]),
    (lambda x: tg.where(x > 0, x), TypeError, ["where", "both"]), (lambda x: x & x, TypeError, ["bitwise_and", "float64"]),
    (lambda x: tg.interp(x, AT, V[:2]), ValueError, ["interp", "(5,)", "(2,)"]),
    (lambda x: tg.exp2(x, out=1), TypeError, ["exp2"]),
    (lambda x: tg.round(x, out=np.ones((3, 4))), TypeError, ["round", "out="]),
    (lambda x: tg.isclose(x, np.ones(3)), ValueError, ["isclose", "(3, 4)", "(3,)"]),
    (lambda x: np.sum(x, axis=0, order=1), TypeError, ["sum", "order"]),
    (lambda x: np.histogram(x), TypeError, ["np.histogram"]),
    (lambda x: np.roots(x), ValueError, ["roots", "(3, 4)"]),
    (lambda x: np.cov(x, fweights=[1, 1]), TypeError, ["cov", "fweights"]),
])
def test_bad_calls(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.tensor(X, requires_grad=True))
    for word in words:
        assert word in str(caught.value)


SAME_IN_PYTORCH = [
    (lambda F, x: F.sort(x, axis=-1), lambda T, x: T.sort(x, -1).values),
    (lambda F, x: F.prod(x, axis=1), lambda T, x: x.prod(1)),
    (lambda F, x: F.cumprod(x, axis=1), lambda T, x: x.cumprod(1)),
    (lambda F, x: F.cumsum(x, axis=0), lambda T, x: x.cumsum(0)),
    (lambda F, x: F.std(x, axis=0, ddof=1), lambda T, x: x.std(0)),
    (lambda F, x: F.var(x, axis=1), lambda T, x: x.var(1, correction=0)),
    (lambda F, x: F.quantile(x, 0.3, axis=1), lambda T, x: T.quantile(x, 0.3, 1)),
    (lambda F, x: F.amax(x, axis=1), lambda T, x: T.amax(x, 1)),
    (lambda F, x: F.topk(x, 2)[0], lambda T, x: T.topk(x, 2).values),
    (lambda F, x: F.clip(x, -1, 1), lambda T, x: x.clamp(-1, 1)),
    (lambda F, x: F.clip(x, x * 0.5, x[::-1]), lambda T, x: x.clamp(x * 0.5, x.flip(0))),
    (lambda F, x: F.diff(x), lambda T, x: T.diff(x)),
    (lambda F, x: F.arctan2(x, x + 3), lambda T, x: T.atan2(x, x + 3)),
    (lambda F, x: F.mod(x, x[0] + 9), lambda T, x: T.remainder(x, x[0] + 9)),
    (lambda F, x: F.nansum(x, axis=0), lambda T, x: T.nansum(x, 0)), (lambda F, x: F.sinc(x), lambda T, x: T.sinc(x)),
    (lambda F, x: F.maximum(x, x[::-1]), lambda T, x: T.maximum(x, x.flip(0))),
    (lambda F, x: F.fmod(x, 1.5), lambda T, x: T.fmod(x, 1.5)),
    (lambda F, x: F.gradient(x, axis=0), lambda T, x: T.gradient(x, dim=0)[0]), (lambda F, x: F.abs(x), lambda T, x: T.abs(x)),
    (lambda F, x: F.trapezoid(x), lambda T, x: T.trapezoid(x)), (lambda F, x: F.expm1(x), lambda T, x: T.expm1(x)),
]


@pytest.mark.parametrize("ours, theirs", SAME_IN_PYTORCH)
def test_against_pytorch(ours, theirs):
    """Zeros and ties included."""
    torch = pytest.importorskip("torch")
    x, t = tg.tensor(ZEROS, requires_grad=True), torch.tensor(ZEROS, requires_grad=True)
    z, w = ours(tg, x), theirs(torch, t)
    np.testing.assert_allclose(z.data, w.detach().numpy(), rtol=1e-13)
    (z * z).sum().backward()
    (w * w).sum().backward()
    np.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["square", "normalize", "kl_div", "sin"])
def test_a_ufunc_of_another_library_is_not_taken_for_the_function_of_its_name(name):
    class Ufunc:
        __name__ = name

    for method in ("__call__", "reduce"):
        with pytest.raises(DtypeError, match=f"the ufunc {name} is not NumPy's.*tg.primitive"):
            X = tg.tensor([1.0, 2.0])
            X.__array_ufunc__(Ufunc(), method, X)


def test_numpy_s_own_ufuncs_are_found_under_each_of_their_names():
    x = tg.tensor([0.25, 0.5])
    for name in dir(np):
        if isinstance(getattr(np, name), np.ufunc) and getattr(np, name).nin == 1 and hasattr(tg, name):
            ours = getattr(np, name)
            try:
                with np.errstate(invalid="ignore"):
                    wanted, results = ours(x.data), ours(x)
            except TypeError:
                continue
            for z, w in zip(*(r if isinstance(r, tuple) else (r,) for r in (results, wanted))):
                assert isinstance(z, tg.Tensor)
                np.testing.assert_allclose(z.data, w, rtol=1e-14)


def test_unique_has_its_gradient_at_the_first_of_equals():
    x = np.array([3.0, 1.0, 3.0, 2.0])
    np.testing.assert_array_equal(tg.grad(lambda x: (tg.unique(x) * [1.0, 10.0, 100.0]).sum())(x), [100, 1, 0, 10])
    z, index, inverse, counts = tg.unique(x, return_index=True, return_inverse=True, return_counts=True)
    for ours, numpys in zip((z, index, inverse, counts), np.unique(x, True, True, True)):
        np.testing.assert_array_equal(ours.data, numpys)
    rows = np.array([[2.0, 1.0], [0.0, 1.0], [2.0, 1.0]])
    np.testing.assert_array_equal(tg.unique(rows, axis=0).data, np.unique(rows, axis=0))
    np.testing.assert_array_equal(tg.unique(rows.T, axis=-1).data, np.unique(rows.T, axis=-1))
    np.testing.assert_array_equal(tg.grad(lambda x: tg.unique(x, axis=0).sum())(rows), [[1, 1], [1, 1], [0, 0]])


@pytest.mark.parametrize("name", "sum prod max min any all argmax argmin nansum nanmax count_nonzero squeeze".split())
@pytest.mark.parametrize("axis", [0, -1])
def test_a_scalar_has_an_axis_to_reduce_over_as_in_numpy(name, axis):
    z = getattr(tg, name)(tg.tensor(3.5, requires_grad=True), axis=axis)
    assert z.shape == () and z.item() == getattr(np, name)(np.array(3.5), axis=axis)
    if z.requires_grad:
        z.backward()
    for call in (lambda: getattr(tg, name)(3.5, axis=1), lambda: tg.sort(tg.tensor(3.5), axis=0)):
        with pytest.raises(ValueError, match=r"axis \d (of an operand with 0 axes|is out of bounds)"):
            call()


@pytest.mark.parametrize("dtype", [int, np.int8, bool])
@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd", "nanmean"])
def test_a_dtype_without_fractions_is_refused_where_numpy_loses_them(name, dtype):
    with pytest.raises(DtypeError, match=rf"{name.replace('std', 'var') if 'nan' in name else name}: dtype={np.dtype(dtype)}"):
        getattr(tg, name)([1.0, 2.0, 4.0], dtype=dtype)


def test_lists_of_tensors_as_ends_and_as_what_fills():
    assert tg.gradcheck(lambda t, u: tg.ediff1d([1.0, 4.0], to_begin=[t], to_end=[u, 2.0, t * u]), 2.0, 3.0)
    assert tg.gradcheck(lambda t, u: tg.full((3, 2), [t, u]) * np.arange(6.0).reshape(3, 2), 2.0, 3.0)
    with pytest.raises(OverflowError):
        tg.full(2, -5, dtype=np.uint8)


@pytest.mark.parametrize("ends", [(1, np.int8(8)), (np.float16(1), 8.0), (1.0, np.array(8, "f4")), (np.uint8(2), np.uint8(200)),
                                  (True, 8), (-1.0, -8.0)])
def test_geomspace_computes_in_the_dtype_of_its_result(ends):
    z, wanted = tg.geomspace(*ends, 4), np.geomspace(*ends, 4)
    assert z.dtype == wanted.dtype == np.float64
    np.testing.assert_allclose(z.data, wanted, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["i1", "?", "f2", "F", "g"])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_powers_of_matrices_keep_their_dtype(dtype, n):
    a = np.array([[1, 1], [0, 1]]).astype(dtype)
    z, wanted = tg.linalg.matrix_power(a, n), np.linalg.matrix_power(a, n)
    assert z.dtype == wanted.dtype
    np.testing.assert_array_equal(z.data, wanted)
    tg.gradcheck(lambda x, y: abs(tg.linalg.matrix_power(x + 1j * y, 3)), np.eye(2) + 0.5, np.ones((2, 2)))


def test_a_product_with_a_number_is_a_shape_error():
    for call in (lambda: tg.matmul(2.0, np.ones((2, 2))), lambda: tg.tensor([[1.0]]) @ 2, lambda: tg.matmul(2.0, 3.0)):
        with pytest.raises(tg.errors.ShapeError, match="matmul"):
            call()


def test_nextafter_of_a_number_takes_the_dtype_of_the_array():
    for x in (np.float32(1), np.array([1.0, 2.0], "f2"), 1.0):
        z, wanted = tg.nextafter(x, 2.0), np.nextafter(x, 2.0)
        assert z.dtype == wanted.dtype
        np.testing.assert_array_equal(z.data, wanted)


def test_least_squares_of_float32_beside_float64_are_those_of_float64():
    a, b = rng.normal(size=(4, 2)).astype("f4"), rng.normal(size=4)
    np.testing.assert_allclose(tg.linalg.lstsq(a, b)[0].data, np.linalg.lstsq(a, b)[0], rtol=1e-12)


def test_the_shape_may_be_an_array():
    x = tg.tensor(np.arange(4.0))
    for order in "CF":
        np.testing.assert_array_equal(tg.reshape(x, np.array([2, 2]), order).data, np.arange(4.0).reshape((2, 2), order=order))
