"""Layers: against PyTorch to second order, statistics and randomness, precision, errors."""

from inspect import Parameter, signature

import numpy as np
import pytest
from torch_oracle import agree

import tapegrad as tg
from tapegrad import errors


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def functional():
    return pytest.importorskip("torch").nn.functional


@pytest.mark.parametrize("name", (
    "embedding layer_norm rms_norm batch_norm dropout normalize softmax log_softmax silu mish elu selu celu leaky_relu "
    "hardtanh relu6 hardsigmoid hardswish softsign tanhshrink glu mse_loss l1_loss smooth_l1_loss huber_loss "
    "binary_cross_entropy binary_cross_entropy_with_logits cross_entropy nll_loss kl_div hinge_embedding_loss "
    "margin_ranking_loss soft_margin_loss"
).split())
def test_arguments_have_the_names_and_defaults_of_pytorch(name):
    """But dim is called axis, as NumPy's, and softmax has a default for it; dropout has a generator, and a classifier's loss an
    axis of its own; more may be left out.
    """
    theirs = {key: given.default for key, given in signature(getattr(functional(), name)).parameters.items()}
    ours = {key: given.default for key, given in signature(getattr(tg, name)).parameters.items() if key != "rng"}
    if name in ("cross_entropy", "nll_loss"):
        del ours["axis"]
    if "axis" in ours:
        ours["dim"] = theirs["dim"] if "softmax" in name else ours["axis"]
        del ours["axis"]
    for key, default in ours.items():
        assert key in theirs and theirs[key] in (default, Parameter.empty), key


def test_one_hot_counts_the_classes():
    np.testing.assert_array_equal(tg.one_hot([[0, 2]]).data, np.eye(3)[[[0, 2]]])
    assert tg.one_hot(np.zeros(0, int)).shape == (0, 0) and tg.one_hot([0], 4).shape == (1, 4)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_linear_agrees_with_pytorch(shape):
    arrays = [normal(*shape), normal(5, 4, seed=1), normal(5, seed=2)]
    agree(tg.linear, lambda *xs: functional().linear(*xs), arrays)
    agree(tg.linear, lambda *xs: functional().linear(*xs), arrays[:2])


@pytest.mark.parametrize("padding", [None, 2, -1])
def test_embedding_agrees_with_pytorch(padding):
    ids = np.array([[0, 2, 2], [5, 1, 2]])
    agree(lambda W: tg.embedding(ids, W, padding) ** 2,
          lambda W: functional().embedding(pytest.importorskip("torch").tensor(ids), W, padding) ** 2, [normal(6, 3)])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_layer_norm_and_rms_norm_agree_with_pytorch(shape, count):
    x, parameters = normal(2, 3, 4), [normal(*shape, seed=1), normal(*shape, seed=2)][:count - 1]
    agree(lambda x, *p: tg.layer_norm(x, shape, *p), lambda x, *p: functional().layer_norm(x, shape, *p), [x, *parameters])
    agree(lambda x, *p: tg.rms_norm(x, shape, *p), lambda x, *p: functional().rms_norm(x, shape, *p), [x, *parameters[:1]])


@pytest.mark.parametrize("f", [
    lambda x, w: tg.linear(x, x, w), lambda x, w: tg.embedding([[0, 2], [2, 1]], x) * w,
    lambda x, w: tg.layer_norm(x, 3, w, w), lambda x, w: tg.rms_norm(x, (3, 3), x), lambda x, w: tg.group_norm(x, 1, w, w),
    lambda x, w: tg.batch_norm(x, None, None, w, w, training=True), lambda x, w: tg.batch_norm(x, np.ones(3), np.ones(3), w, w),
    lambda x, w: tg.dropout(x * w, 0.3, rng=0), lambda x, w: tg.normalize(x) * w, lambda x, w: tg.normalize(x, 3.0) * w,
    lambda x, w: tg.scaled_dot_product_attention(x, x + 1, x * w, is_causal=True)])
def test_derivatives_against_differences(f):
    assert tg.gradcheck(f, normal(3, 3), normal(3, seed=1), order=2)


@pytest.mark.parametrize("count", [3, 60])              # of rows: without a kernel, and with one
@pytest.mark.parametrize("f", [lambda x, W: tg.layer_norm(x, 4, W), lambda x, W: tg.rms_norm(x, 4, W),
                               lambda x, W: tg.batch_norm(x, weight=W, training=True), lambda x, W: tg.group_norm(x, 2, W)])
def test_an_infinite_weight_does_not_matter_where_its_results_are_left_out(f, count):
    x, used = normal(count, 4), np.array([False, True, True, True])
    derivative = tg.grad(lambda x, W: tg.where(used, f(x, W), 0.0).sum() ** 2, (0, 1))
    found, expected = (derivative(x, np.array([first, 1.0, 2.0, 3.0])) for first in (np.inf, 5.0))
    for c, e in zip(found, expected):
        np.testing.assert_allclose(c, e, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("f", [
    lambda x, w: tg.layer_norm(x, 3, w, 1j * w), lambda x, w: tg.rms_norm(x, 3, w), lambda x, w: tg.group_norm(x, 3, w, w),
    lambda x, w: tg.batch_norm(x, None, None, w, 1j * w, training=True)])
def test_real_numbers_times_complex_weights(f):
    assert tg.gradcheck(f, normal(4, 3), normal(3, seed=1) + 1j * normal(3, seed=2))


def test_normalized_shape_may_be_a_number():
    x = normal(2, 4)
    np.testing.assert_array_equal(tg.layer_norm(x, 4).data, tg.layer_norm(x, (4,)).data)
    np.testing.assert_allclose(tg.layer_norm(x, 4, eps=0.0).data.std(-1), 1)


SPREADS = {                                             # rows that are hard on sums
    "large mean": lambda x: 1e3 + x, "tiny": lambda x: 1e-12 * x, "huge": lambda x: 1e12 * x,
    "an outlier": lambda x: np.where(np.arange(x.shape[1]) == 0, 1e4, x)}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("rows, of_row, size", [
    (150, 1, 1), (51, 1, 3), (9, 3, 5), (7, 1, 100), (4, 5, 64), (3, 2, 1200), (40, 3, 1)])
def test_norms_of_rows_in_higher_precision(spread, rows, of_row, size):
    """layer_norm and group_norm in float32 against themselves, as they are written, in long double, for widths of any kind."""
    groups = 1 if of_row == 1 else 2
    x = SPREADS[spread](normal(rows * groups, of_row * size)).astype("f4")
    d, (W, b) = normal(*x.shape, seed=1).astype("f4"), normal(2, size if of_row == 1 else groups * of_row, seed=2).astype("f4")
    if of_row == 1:
        full_W, full_b = (np.broadcast_to(p, x.shape).astype("g") for p in (W, b))
        f, given, leaves = lambda x, W, b: tg.layer_norm(x, size, W, b), x, (0,)
    else:
        full_W, full_b = (np.tile(np.repeat(p, size).reshape(groups, -1), (rows, 1)).astype("g") for p in (W, b))
        f, given, leaves = lambda x, W, b: tg.group_norm(x, groups, W, b), x.reshape(rows, groups * of_row, size), (0, 2)
    x, g = x.astype("g"), d * full_W
    u = x - x.mean(1, keepdims=True)
    r = 1 / np.sqrt((u * u).mean(1, keepdims=True) + np.longdouble(1e-5))
    h = u * r
    expected = [h * full_W + full_b, r * (g - g.mean(1, keepdims=True) - h * (g * h).mean(1, keepdims=True)),
                (d * h).reshape(given.shape).sum(leaves), d.astype("g").reshape(given.shape).sum(leaves)]
    tensors = [tg.tensor(p, requires_grad=True) for p in (given, W, b)]
    z = f(*tensors)
    z.backward(d.reshape(given.shape))
    for found, e, scale in zip((z.data, *(p.grad for p in tensors)), expected, (1, r * abs(g).max(), rows, rows)):
        mean_error = 1e-6 * np.max(abs(x.mean(1, keepdims=True)) * r)           # u is as exact as the elements are
        np.testing.assert_allclose(found, e.reshape(found.shape).astype("d"), rtol=1e-5,
                                   atol=float((2e-6 + mean_error) * np.max(scale) * (1 + np.max(abs(h)))))


@pytest.mark.parametrize("f", [lambda x: tg.layer_norm(x, (6, 7)), lambda x: tg.rms_norm(x, 7), lambda x: tg.group_norm(x, 2),
                               lambda x: tg.group_norm(x, 6), lambda x: tg.batch_norm(x, training=True)])
def test_norms_without_parameters(f):
    """With a kernel for the derivative by x alone, in float32, against the rules in float64."""
    x, d = normal(5, 6, 7), normal(5, 6, 7, seed=1)
    for dtype in ("f4", "f8"):
        given = tg.tensor(x.astype(dtype), requires_grad=True)
        f(given).backward(d.astype(dtype))
        expected = tg.autograd.grad(f(y := tg.tensor(x, requires_grad=True)), y, d, create_graph=True)[0]
        np.testing.assert_allclose(given.grad, expected.data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (2, 3, 4, 2)])
def test_batch_norm_agrees_with_pytorch(shape, training):
    torch = pytest.importorskip("torch")
    held = [normal(3), np.abs(normal(3, seed=1)) + 0.5]
    theirs = [torch.tensor(x) for x in held]
    ours = [held[0].copy(), tg.tensor(held[1])]
    agree(lambda x, w, b: tg.batch_norm(x, *ours, w, b, training, momentum=0.3),        # which calls each function once
          lambda x, w, b: functional().batch_norm(x, *theirs, w, b, training, momentum=0.3),
          [normal(*shape), normal(3, seed=2), normal(3, seed=3)])
    np.testing.assert_allclose(ours[0], theirs[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours[1].data, theirs[1].numpy(), rtol=1e-12)
    if not training:
        np.testing.assert_array_equal(ours[0], held[0])


def test_moving_statistics_leaves_recorded_gradients_alone():
    mean, variance = np.zeros(3), np.ones(3)
    x = tg.tensor(normal(4, 3), requires_grad=True)
    z = tg.batch_norm(x, mean, variance).sum()
    tg.batch_norm(x, mean, variance, training=True, momentum=1.0)
    z.backward()
    np.testing.assert_allclose(x.grad, 1 / np.sqrt(1 + 1e-5))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_normalize_agrees_with_pytorch(p, axis):
    agree(lambda x: tg.normalize(x, p, axis), lambda x: functional().normalize(x, p, axis), [normal(3, 4, 2)])


def test_normalize_of_zeros():
    x = tg.tensor(np.zeros((2, 3)), requires_grad=True)
    z = tg.normalize(x)
    z.sum().backward()
    np.testing.assert_array_equal(z.data, 0)
    np.testing.assert_allclose(x.grad, 1e12)            # as PyTorch: x / eps


class TestDropout:
    def test_what_is_kept_is_scaled(self):
        x = tg.tensor(np.full((100, 100), 2.0), requires_grad=True)
        z = tg.dropout(x, 0.25, rng=0)
        kept = z.data != 0
        assert abs(kept.mean() - 0.75) < 0.02
        np.testing.assert_allclose(z.data[kept], 2 / 0.75)
        z.sum().backward()
        np.testing.assert_allclose(x.grad, kept / 0.75)

    def test_generators_and_seeds(self):
        x = np.ones(50)
        one, other = tg.dropout(x, rng=3), tg.dropout(x, rng=np.random.default_rng(3))
        np.testing.assert_array_equal(one.data, other.data)
        rng = np.random.default_rng(3)
        assert (tg.dropout(x, rng=rng).data != tg.dropout(x, rng=rng).data).any()
        assert (tg.dropout(x).data != tg.dropout(x).data).any()

    @pytest.mark.parametrize("p, training, wanted", [(0, True, 1), (0.5, False, 1), (1, True, 0), (1, False, 1)])
    def test_all_or_nothing(self, p, training, wanted):
        x = tg.tensor(np.ones((2, 3), "f4"), requires_grad=True)
        z = tg.dropout(x, p, training)
        z.sum().backward()
        np.testing.assert_array_equal(z.data, wanted)
        np.testing.assert_array_equal(x.grad, wanted)
        assert z.dtype == x.grad.dtype == np.float32

    @pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
    def test_probabilities(self, p):
        with pytest.raises(ValueError, match="dropout: p="):
            tg.dropout(np.ones(2), p)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}])
@pytest.mark.parametrize("outer", [(), (2,), (2, 3)])
def test_attention_agrees_with_pytorch(outer, options):
    arrays = [normal(*outer, 4, 5), normal(*outer, 6, 5, seed=1), normal(*outer, 6, 3, seed=2)]
    agree(lambda *xs: tg.scaled_dot_product_attention(*xs, **options),
          lambda *xs: functional().scaled_dot_product_attention(*xs, **options), arrays)


@pytest.mark.parametrize("mask", [normal(4, 6), np.tri(4, 6, 1, dtype=bool), np.tri(4, 6, -2, dtype=bool)],
                         ids=["added", "booleans", "rows that see nothing"])
def test_masked_attention_agrees_with_pytorch(mask):
    arrays = [normal(2, 4, 5), normal(2, 6, 5, seed=1), normal(2, 6, 3, seed=2), mask]
    agree(tg.scaled_dot_product_attention, lambda *xs: functional().scaled_dot_product_attention(*xs), arrays)


def test_float32_is_kept():
    x, w = (tg.tensor(normal(*shape), dtype="f4", requires_grad=True) for shape in ((3, 4), (4,)))
    for f in (lambda: tg.layer_norm(x, 4, w, w), lambda: tg.rms_norm(x, 4, w), lambda: tg.batch_norm(x, None, None, w, w, True),
              lambda: tg.dropout(x, 0.3) * w, lambda: tg.normalize(x) * w, lambda: tg.normalize(x, 3.0) * w,
              lambda: tg.linear(x, w.reshape(1, 4), np.ones(1, "f4")), lambda: tg.embedding([0, 1], x, 1) * w,
              lambda: tg.scaled_dot_product_attention(x, x, x * w, is_causal=True)):
        x.grad = w.grad = None
        z = f()
        z.sum().backward()
        assert z.dtype == x.grad.dtype == w.grad.dtype == np.float32


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: tg.one_hot([-1, 2], 3), IndexError, ["one_hot", "-1 to 2", "3 classes"]),
    (lambda x: tg.one_hot([3], 3), IndexError, ["one_hot", "3 to 3"]),
    (lambda x: tg.batch_norm(x, [0.0] * 4, np.ones(4), training=True), errors.DtypeError, ["batch_norm", "list"]),
    (lambda x: tg.batch_norm(x, np.zeros(4, int), np.ones(4), training=True), errors.DtypeError, ["batch_norm", "int64 (4,)"]),
    (lambda x: tg.batch_norm(x, np.zeros(4), np.ones(4), training=True, momentum=None), TypeError, ["NoneType"]),
    (lambda x: tg.scaled_dot_product_attention(x, x, x, np.ones((2, 3), bool)), errors.ShapeError, ["bool (2, 3)", "(3, 3)"]),
    (lambda x: tg.linear(x, np.ones((5, 2))), errors.ShapeError, ["linear", "(3, 4)", "(5, 2)"]),
    (lambda x: tg.linear(x, np.ones(4)), errors.ShapeError, ["linear", "(4,)", "(out, in)"]),
    (lambda x: tg.linear(x, np.ones((5, 4)), np.ones(4)), errors.ShapeError, ["linear", "bias float64 (4,)"]),
    (lambda x: tg.embedding([0.5], x), errors.DtypeError, ["embedding", "float64"]),
    (lambda x: tg.embedding([0, 3], x), IndexError, ["embedding", "0 to 3", "3 rows"]),
    (lambda x: tg.embedding([-1], x), IndexError, ["embedding", "-1"]),
    (lambda x: tg.embedding([1], x, 3), IndexError, ["padding_idx=3", "3 rows"]),
    (lambda x: tg.embedding([1], x[0]), errors.ShapeError, ["embedding", "(4,)"]),
    (lambda x: tg.layer_norm(x, 3), errors.ShapeError, ["layer_norm", "(3,)", "(3, 4)"]),
    (lambda x: tg.layer_norm(x, ()), errors.ShapeError, ["layer_norm", "()"]),
    (lambda x: tg.layer_norm(x, 4, np.ones(3)), errors.ShapeError, ["layer_norm", "(3,)", "(4,)"]),
    (lambda x: tg.rms_norm(x, (2, 4)), errors.ShapeError, ["rms_norm", "(2, 4)", "(3, 4)"]),
    (lambda x: tg.batch_norm(x), ValueError, ["batch_norm", "training=True"]),
    (lambda x: tg.batch_norm(x, np.ones(4)), ValueError, ["batch_norm", "running_var"]),
    (lambda x: tg.batch_norm(x, np.ones(3), np.ones(3)), errors.ShapeError, ["batch_norm", "(3,)", "4 channels"]),
    (lambda x: tg.batch_norm(x[0], training=True), errors.ShapeError, ["batch_norm", "(4,)", "channels"]),
    (lambda x: tg.batch_norm(x[:1], training=True), ValueError, ["batch_norm", "1 values per channel"]),
    (lambda x: tg.normalize(x, 0), ValueError, ["normalize", "p=0"]),
    (lambda x: tg.normalize(x, axis=2), errors.ShapeError, ["normalize", "axis 2"]),
    (lambda x: tg.scaled_dot_product_attention(x, x, x, np.ones((3, 3), int)), errors.DtypeError,
     ["scaled_dot_product_attention", "int64 (3, 3)", "mask != 0"]),
    (lambda x: tg.masked_softmax(x, [1, 0, 1, 1]), errors.DtypeError, ["masked_softmax", "int64 (4,)", "mask != 0"]),
    (lambda x: tg.vmap(tg.nn.BatchNorm1d(4))(np.ones((2, 3, 4))), errors.VmapError, ["running statistics", "by example"]),
    (lambda x: tg.scaled_dot_product_attention(x, x, x[:2]), errors.ShapeError, ["(2, 4)", "(..., S, V)"]),
    (lambda x: tg.scaled_dot_product_attention(x, x[:, :2], x), errors.ShapeError, ["(3, 2)"]),
    (lambda x: tg.scaled_dot_product_attention(x, x, x, np.ones((3, 3)), is_causal=True), ValueError, ["not both"])])
def test_errors(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.tensor(normal(3, 4)))
    for word in words:
        assert word in str(caught.value)


def test_a_query_that_numbers_mask_entirely_gets_zeros_and_no_gradient():
    q, k, v = (tg.tensor(np.random.default_rng(i).normal(size=(2, 3)), requires_grad=True) for i in range(3))
    mask = np.array([[-np.inf, -np.inf], [0.0, -np.inf]])
    z = tg.scaled_dot_product_attention(q, k, v, mask)
    np.testing.assert_array_equal(z.data, [np.zeros(3), v.data[0]])
    z.sum().backward()
    assert not np.isnan(np.array([q.grad, k.grad, v.grad])).any() and not q.grad[0].any()
    same = tg.scaled_dot_product_attention(q, k, v, mask == 0)
    np.testing.assert_array_equal(same.data, z.data)
