"""The softmax family, the losses and the row look-up: extreme values, targets of both kinds, errors."""

import mpmath
import numpy as np
import pytest

import tapegrad as tg
from tapegrad import errors
from tapegrad.kernels import softmax as narrow_rows
from tapegrad.kernels.compile import compiler
from tapegrad.primitives import table


def leaf(values, dtype=None):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


LOGITS = [[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0], [-1e5, -1e5, -1e5], [0.0, 700.0, 710.0], [1e-300, 0.0, -1e-300]]


def exact_log_softmax(row):
    with mpmath.workdps(600):
        top = mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(x)) for x in row))
        return [float(mpmath.mpf(x) - top) for x in row], [float(mpmath.exp(mpmath.mpf(x) - top)) for x in row], float(top)


@pytest.mark.parametrize("row", LOGITS, ids=str)
def test_the_softmax_family_is_stable(row):
    logs, shares, top = exact_log_softmax(row)
    x = leaf([row])
    np.testing.assert_allclose(tg.log_softmax(x).data[0], logs, rtol=1e-14, atol=2e-16)
    np.testing.assert_allclose(tg.softmax(x).data[0], shares, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(tg.logsumexp(x, -1).data[0], top, rtol=1e-14)
    for target in range(3):
        x.grad = None
        loss = tg.cross_entropy(x, np.array([target]))
        loss.backward()
        np.testing.assert_allclose(loss.item(), -logs[target], rtol=1e-14, atol=2e-16)
        np.testing.assert_allclose(x.grad[0], np.array(shares) - np.eye(3)[target], rtol=1e-13, atol=1e-15)


def test_infinities():
    assert tg.logsumexp(tg.tensor([-np.inf, -np.inf])).item() == -np.inf
    assert tg.logsumexp(tg.tensor([np.inf, 0.0])).item() == np.inf
    assert np.isnan(tg.softmax(tg.tensor([np.nan, 0.0])).data).all()
    np.testing.assert_array_equal(tg.softmax(tg.tensor([-np.inf, 0.0])).data, [0, 1])


@pytest.mark.parametrize("b", [None, [[0.5], [0.0], [2.0]]], ids=["", "b"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), [1], ()], ids=str)
def test_logsumexp_over_axes(axis, keepdims, b):
    x = leaf(np.random.default_rng(0).normal(size=(2, 3, 4)))
    terms = np.exp(x.data) * (1.0 if b is None else np.array(b))
    total = terms.sum(axis if axis is None else tuple(np.atleast_1d(axis).astype(int)), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact, shares = np.log(total), np.where(total == 0, np.nan, terms / total)
    z = tg.logsumexp(x, axis, b, keepdims)
    assert z.shape == (exact.shape if keepdims else terms.sum(axis if type(axis) is not list else tuple(axis)).shape)
    np.testing.assert_allclose(z.data, exact.reshape(z.shape), rtol=1e-13)
    tg.where(np.isfinite(z.data), z, 0.0).sum().backward()
    np.testing.assert_allclose(x.grad[~np.isnan(shares)], shares[~np.isnan(shares)], rtol=1e-12)


def test_weights_of_logsumexp():
    assert tg.logsumexp([np.inf, 1000.0], b=[0.0, 1.0]).item() == 1000.0
    assert np.isnan(tg.logsumexp([0.0, 0.0], b=[1.0, -2.0]).item())
    tg.gradcheck(lambda a, b: tg.logsumexp(a, 1, b), np.array([[0.3, 2.0], [1.0, -0.5]]), np.array([0.5, 1.5]), order=2)
    assert tg.grad(lambda b: tg.logsumexp([0.0, 0.0], b=b))(np.array([0.0, 1.0])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)])
def test_targets_as_classes_and_as_distributions(shape, reduction):
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 5, shape[:-1])
    x, y = leaf(rng.normal(size=shape)), leaf(np.random.default_rng(0).normal(size=shape))
    y.data = x.data.copy()
    a = tg.cross_entropy(x, classes, reduction)
    b = tg.cross_entropy(y, tg.one_hot(classes, 5), reduction, axis=-1)
    assert a.shape == (() if reduction != "none" else shape[:-1])
    np.testing.assert_allclose(a.data, b.data, rtol=1e-14)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-13, atol=1e-16)


def test_the_target_distribution_gets_a_gradient_too():
    x, p = leaf([[0.5, 1.0, -1.0]]), leaf([[0.2, 0.3, 0.5]])
    tg.cross_entropy(x, p).backward()
    np.testing.assert_allclose(p.grad, -tg.log_softmax(x).data)


@pytest.mark.parametrize("options", [{}, {"ignore_index": 1}, {"ignore_index": 4}, {"label_smoothing": 0.1},
                                     {"weight": np.arange(1.0, 6)}])
@pytest.mark.parametrize("wrapped", [np.asarray, tg.tensor])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kind", ["i8", "i2", "u1"])
def test_a_target_that_is_changed_before_the_sweep(options, wrapped, dtype, kind):
    x, y = (leaf(np.random.default_rng(0).normal(size=(4, 5)).astype(dtype)) for _ in range(2))
    target = wrapped(np.array([1, 2, 0, 3], kind))
    lent = target.data if isinstance(target, tg.Tensor) else target
    loss = tg.cross_entropy(x, target, **options)
    lent[:] = 99
    loss.backward()
    tg.cross_entropy(y, np.array([1, 2, 0, 3], kind), **options).backward()
    np.testing.assert_array_equal(x.grad, y.grad)


@pytest.mark.parametrize("target, kind, words", [
    (np.array([0, 5]), IndexError, ["0 to 5", "5 classes"]), (np.array([-1, 0]), IndexError, ["-1 to 0"]),
    (np.array([0, 1, 2]), errors.ShapeError, ["(2, 5)", "(3,)"]), (np.zeros((2, 4)), errors.ShapeError, ["(2, 4)"]),
    (np.array([True, False]), errors.DtypeError, ["bool"]), (np.array([0.0, 1.0]), errors.ShapeError, ["float64 (2,)"])])
def test_bad_targets(target, kind, words):
    with pytest.raises(kind) as caught:
        tg.cross_entropy(leaf(np.zeros((2, 5))), target)
    for word in ["cross_entropy", *words]:
        assert word in str(caught.value)
    with pytest.raises(ValueError, match="reduction"):
        tg.cross_entropy(leaf(np.zeros((2, 5))), np.array([0, 1]), reduction="avg")


@pytest.mark.parametrize("ids", [[0, 2, 2, 6], [[1, 1], [1, 1]], []])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_row_lookup_adds_up_repeated_rows(ids, dtype):
    ids = np.array(ids, int)
    W = leaf(np.random.default_rng(0).normal(size=(7, 3)), dtype)
    (W[ids] * 2).sum().backward()
    wanted = np.zeros((7, 3))
    np.add.at(wanted, ids, 2.0)
    np.testing.assert_array_equal(W.grad, wanted)
    assert W.grad.dtype == W.dtype


class TestEdges:
    """What a derivative is where the function has none, or more than one; see tapegrad/CONVENTIONS.md."""

    @pytest.mark.parametrize("f, x, wanted", [
        (tg.absolute, 0.0, 0), (tg.relu, 0.0, 0), (tg.relu, -0.0, 0), (tg.sqrt, 0.0, np.inf),
        (lambda x: x.max(), [2.0, 2.0, 1.0], [0.5, 0.5, 0]), (lambda x: x.min(), [2.0, 1.0, 1.0], [0, 0.5, 0.5]),
        (lambda x: tg.maximum(x, 1.0), [0.0, 1.0, 2.0], [0, 0.5, 1]),
        (lambda x: tg.minimum(x, 1.0), [0.0, 1.0, 2.0], [1, 0.5, 0]),
        (lambda x: x ** 0, [0.0, 2.0], [0, 0]), (lambda x: x ** 2, [0.0, 2.0], [0, 4]),
        (lambda x: x ** 1.0, [0.0], [1]), (lambda x: x ** 0.5, [0.0, 4.0], [np.inf, 0.25]),
        (lambda x: x ** tg.tensor([0.0, 2.0, 3.0]), [0.0, 0.0, 2.0], [0, 0, 12]),
        (lambda x: 0.0 ** x, [2.0], [0]),
    ])
    def test_convention(self, f, x, wanted):
        x = leaf(x)
        f(x).sum().backward()
        np.testing.assert_allclose(x.grad, wanted)

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    @pytest.mark.parametrize("f, bad", [
        (tg.log, [0.0, -1.0]), (tg.sqrt, [0.0, -1.0]), (lambda x: 1 / x, [0.0, -0.0]), (tg.exp, [1e5, np.nan]),
        (lambda x: x ** 0.5, [0.0, -1.0]), (lambda x: x ** -1, [0.0, 0.0]),
        (lambda x: x / tg.tensor([0.0, 0.0, 1.0, 1.0]), [1.0, 0.0]),
    ])
    def test_a_delta_of_zero_stops(self, f, bad):
        x = leaf([*bad, 2.0, 3.0])
        y = leaf([*([2.0] * 2), 2.0, 3.0])
        tg.where(np.array([False, False, True, True]), f(x), 0.0).sum().backward()
        f(y).sum().backward()
        np.testing.assert_array_equal(x.grad[:2], [0, 0])
        np.testing.assert_array_equal(x.grad[2:], y.grad[2:])


@pytest.mark.skipif(compiler() is None, reason="numba is missing or switched off")
class TestNarrowRows:
    """Softmax and cross entropy of few classes in float32, which have kernels of their own."""

    @pytest.mark.parametrize("shape", [(1, 1), (64, 5), (150, 33), (0, 4), (3, 500), (2, 5000)])
    @pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
    def test_the_exact_values(self, shape, scale):
        random = np.random.default_rng(0)
        x, classes = (random.normal(size=shape) * scale).astype("f4"), random.integers(0, shape[1], shape[0])
        shifted = x.astype(np.longdouble) - x.max(axis=1, keepdims=True).astype(np.longdouble)
        exps = np.exp(shifted)
        z, logs, losses = narrow_rows.softmax(x, 1), narrow_rows.log_softmax(x, 1), narrow_rows.cross_entropy(x, classes)
        assert z.dtype == losses.dtype == np.float32
        np.testing.assert_allclose(z, exps / exps.sum(axis=1, keepdims=True), rtol=1e-5, atol=1e-37)   # x - max(x) is rounded
        np.testing.assert_allclose(logs, shifted - np.log(exps.sum(axis=1, keepdims=True)), rtol=1e-6, atol=1e-6)
        wanted = np.log(exps.sum(axis=1)) - shifted[np.arange(len(x)), classes]
        np.testing.assert_allclose(losses, wanted, rtol=1e-6, atol=3e-7)

    @np.errstate(all="ignore")
    def test_what_is_not_finite_comes_out_as_from_numpy(self):
        inf, nan = np.inf, np.nan
        x = np.array([[nan, 1, 2], [1, nan, 2], [inf, 1, 2], [-inf, 1, 2], [-inf] * 3, [inf, inf, -inf], [1, 2, nan]], "f4")
        wide = np.hstack([x, np.zeros((7, 60), "f4")])
        wide[4, 3:] = -inf
        wide[0, 0] = -wide[0, 0]
        for name in ("softmax", "log_softmax"):
            np.testing.assert_allclose(table[name].g(wide, 1), table[name].plain(wide, 1), rtol=1e-6)
        x = np.tile(x, (3, 1))
        family = (1, table["softmax"]), (1, table["log_softmax"]), (np.zeros(21, int), table["softmax_cross_entropy"])
        for axis, row in family:
            np.testing.assert_allclose(row.g(x, axis), row.plain(x, axis), rtol=1e-6)

    def test_other_arrays_are_left_to_numpy(self):
        x = np.ones((4, 33), "f4")
        for other in (x[:, :4], x[:, :4].astype("f8"), np.ones((4, 0), "f4"), np.ones((2, 3, 8), "f4")[..., ::2]):
            assert narrow_rows.softmax(other, other.ndim - 1) is None
        assert narrow_rows.softmax(np.ones((4, 4), "f4"), 0) is None
        assert narrow_rows.cross_entropy(np.ones((4, 4), "f4"), np.zeros(4, np.int32)) is None

    @pytest.mark.parametrize("shape", [(1, 1), (64, 5), (150, 33), (0, 4), (3, 500), (2, 5000)])
    @pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
    @pytest.mark.parametrize("delta", ["of its own", "spread", "every second", "backwards"])
    def test_the_exact_derivative(self, shape, scale, delta):
        random, n = np.random.default_rng(0), shape[0]
        x, classes = (random.normal(size=shape) * scale).astype("f4"), random.integers(0, shape[1], n)
        d = random.normal(size=2 * n + 1).astype("f4")
        d = {"of its own": d[:n], "spread": np.broadcast_to(d[0], n), "every second": d[::2][:n],
             "backwards": d[:n][::-1]}[delta]
        exps = np.exp(x.astype(np.longdouble) - x.max(axis=1, keepdims=True))
        wanted = d[:, None] * (exps / exps.sum(axis=1, keepdims=True) - np.eye(shape[1])[classes])
        found = narrow_rows.cross_entropy_derivative(d, x, classes)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=3e-7)

    def test_derivatives_that_are_left_to_numpy(self):
        d, x, classes = np.ones(4, "f4"), np.ones((4, 4), "f4"), np.zeros(4, int)
        for arguments in ((d.astype("f8"), x, classes), (d[0], x, classes), (d, x.T[:, :3], classes),
                          (d, x, classes.astype("i4")), (d, x, np.zeros(8, int)[::2]), (d, x.astype("f8"), classes),
                          (d[None], x, classes)):
            assert narrow_rows.cross_entropy_derivative(*arguments) is None
