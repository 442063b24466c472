"""Losses: against PyTorch to second order, extreme values, options, errors. cross_entropy's basics are in test_network.py."""

import numpy as np
import pytest
from torch_oracle import agree

import tapegrad as tg
from tapegrad import errors

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(4, 5)) * 1.5, rng.normal(size=(4, 5))
P, Q = rng.uniform(0.05, 0.95, (4, 5)), rng.dirichlet(np.ones(5), 4)
SIGNS = np.sign(rng.normal(size=(4, 5)))
CLASSES, WEIGHT = np.array([1, 4, 0, 1]), np.linspace(0.5, 1.5, 5)
REDUCTIONS = ["mean", "sum", "none"]


def functional():
    return pytest.importorskip("torch").nn.functional


@pytest.mark.filterwarnings("ignore:reduction. .mean. divides:UserWarning")     # PyTorch, of kl_div
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, arrays, options", [
    ("mse_loss", [X, Y], {}), ("l1_loss", [X, Y], {}), ("smooth_l1_loss", [X, Y], {}),
    ("smooth_l1_loss", [X, Y], {"beta": 0.3}), ("smooth_l1_loss", [X, Y], {"beta": 0}),
    ("huber_loss", [X, Y], {}), ("huber_loss", [X, Y], {"delta": 0.5}),
    ("binary_cross_entropy", [P, Q], {}), ("binary_cross_entropy_with_logits", [X, P], {}),
    ("kl_div", [np.log(Q), P], {}), ("kl_div", [np.log(Q), X], {"log_target": True}),
    ("hinge_embedding_loss", [X, SIGNS], {"margin": 0.7}), ("soft_margin_loss", [X, SIGNS], {}),
    ("margin_ranking_loss", [X, Y, SIGNS], {"margin": 0.2})])
def test_losses_agree_with_pytorch(name, arrays, options, reduction):
    agree(lambda *xs: getattr(tg, name)(*xs, **options, reduction=reduction),
          lambda *xs: getattr(functional(), name)(*xs, **options, reduction=reduction), arrays,
          constants=[k for k, x in enumerate(arrays) if x is SIGNS])


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights_of_binary_cross_entropy_agree_with_pytorch(reduction):
    weight, positive = np.linspace(0.5, 1.5, 20).reshape(4, 5), np.linspace(1, 3, 5)
    torch = pytest.importorskip("torch")
    agree(lambda p, t: tg.binary_cross_entropy(p, t, weight, reduction),
          lambda p, t: functional().binary_cross_entropy(p, t, torch.tensor(weight), reduction=reduction), [P, Q])
    agree(lambda x, t: tg.binary_cross_entropy_with_logits(x, t, weight, reduction, positive),
          lambda x, t: functional().binary_cross_entropy_with_logits(
              x, t, torch.tensor(weight), reduction=reduction, pos_weight=torch.tensor(positive)), [X, Q])


@pytest.mark.parametrize("f", [
    tg.mse_loss, tg.smooth_l1_loss, tg.huber_loss, tg.binary_cross_entropy, tg.binary_cross_entropy_with_logits, tg.kl_div,
    lambda x, y: tg.l1_loss(x, y + 2) * x.sum(), lambda x, y: tg.margin_ranking_loss(x, y, 1.0, 2.0) * x.sum(),
    lambda x, y: tg.hinge_embedding_loss(x * x, np.sign(Y[:2, :3])) * y.sum(), lambda x, y: tg.soft_margin_loss(x * y, 1.0),
    lambda x, y: tg.cosine_similarity(x, y), lambda x, y: tg.nll_loss(x * y, [0, 2], ignore_index=2),
    lambda x, y: tg.cross_entropy(x * y, np.array([0, 2]), weight=WEIGHT[:3], label_smoothing=0.2)])
def test_derivatives_against_differences(f):
    assert tg.gradcheck(f, P[:2, :3], Q[:2, :3], order=2)


def test_batchmean():
    agree(lambda x, t: tg.kl_div(x, t, "batchmean"),
          lambda x, t: functional().kl_div(x, t, reduction="batchmean"), [np.log(Q), P])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("target", [CLASSES, np.array([1, -100, 0, -100]), Q], ids=["classes", "ignored", "distributions"])
@pytest.mark.parametrize("options", [
    {}, {"weight": WEIGHT}, {"label_smoothing": 0.2}, {"weight": WEIGHT, "label_smoothing": 0.2}])
def test_options_of_cross_entropy_agree_with_pytorch(target, options, reduction):
    torch = pytest.importorskip("torch")
    theirs = {key: torch.tensor(option) if key == "weight" else option for key, option in options.items()}
    agree(lambda x, t: tg.cross_entropy(x, t, reduction, **options),
          lambda x, t: functional().cross_entropy(x, t, reduction=reduction, **theirs), [X, target])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", [{}, {"weight": WEIGHT}, {"ignore_index": 1}, {"weight": WEIGHT, "ignore_index": 1}])
def test_nll_loss_agrees_with_pytorch(options, reduction):
    torch = pytest.importorskip("torch")
    theirs = {key: torch.tensor(option) if key == "weight" else option for key, option in options.items()}
    agree(lambda x: tg.nll_loss(x, CLASSES, reduction=reduction, **options),
          lambda x: functional().nll_loss(x, torch.tensor(CLASSES), reduction=reduction, **theirs), [np.log(Q)])


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize("shape, axis", [((5,), None), ((2, 5), None), ((2, 5, 3), 1), ((2, 5, 3, 5), 1), ((5, 5, 5), 1),
                                         ((2, 3, 5), -1), ((2, 3, 4, 5), -1), ((5, 5, 5), -1), ((4, 3, 5, 2), 2)])
def test_the_axis_of_the_classes(shape, axis, weight):
    torch = pytest.importorskip("torch")
    x, shares = rng.normal(size=shape), np.exp(rng.normal(size=shape))
    at = len(shape) - 1 if axis is None else axis % len(shape)
    classes = rng.integers(0, 5, shape[:at] + shape[at + 1:])
    options = {} if axis is None else {"axis": axis}
    moved = lambda z: z.movedim(at, min(z.ndim - 1, 1))  # noqa: E731
    theirs = {} if weight is None else {"weight": torch.tensor(weight)}
    for target, to_theirs in ((classes, lambda t: t), (shares, moved)):
        agree(lambda x, t: tg.cross_entropy(x, t, weight=weight, **options),
              lambda x, t, f=to_theirs: functional().cross_entropy(moved(x), f(t), **theirs), [x, target])
    agree(lambda x: tg.nll_loss(tg.log_softmax(x, at), classes, weight=weight, **options),
          lambda x: functional().cross_entropy(moved(x), torch.tensor(classes), **theirs), [x])


@pytest.mark.parametrize("loss", [tg.cross_entropy, tg.nll_loss])
def test_classes_of_three_axes_are_where_the_target_says_or_asked_for(loss):
    for shape in ((2, 5, 4), (2, 4, 5)):
        x, axis = rng.normal(size=shape), shape.index(5)
        target = rng.integers(0, 5, (2, 4))
        np.testing.assert_array_equal(loss(x, target).data, loss(x, target, axis=axis).data)
    with pytest.raises(errors.ShapeError, match="axis=1, which is PyTorch's layout, or axis=-1"):
        loss(rng.normal(size=(2, 5, 5)), np.zeros((2, 5), int))
    with pytest.raises(errors.ShapeError, match=r"float64 \(2, 5, 4\) with the classes in axis 2, and target int64 \(3,\)"):
        loss(rng.normal(size=(2, 5, 4)), np.zeros(3, int))


def test_distributions_of_three_axes_ask_for_the_axis():
    with pytest.raises(errors.ShapeError, match="axis=1, which is PyTorch's layout, or axis=-1"):
        tg.cross_entropy(np.ones((2, 3, 4)), np.ones((2, 3, 4)))


def test_a_target_of_the_hinge_loss_that_is_no_sign_counts_as_both():
    agree(lambda x: tg.hinge_embedding_loss(x, np.array([1.0, -1.0, 0.0, 3.0]), 1.0, "none"),
          lambda x: functional().hinge_embedding_loss(
              x, pytest.importorskip("torch").tensor([1.0, -1.0, 0.0, 3.0], dtype=x.dtype), 1.0, reduction="none"),
          [np.array([0.25, 0.25, 0.25, 2.0])])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cosine_similarity_agrees_with_pytorch(axis):
    agree(lambda x, y: tg.cosine_similarity(x, y, axis), lambda x, y: functional().cosine_similarity(x, y, axis),
          [rng.normal(size=(3, 4, 2)), rng.normal(size=(4, 2))[None]])


def test_cosine_similarity_of_nothing():
    x = tg.tensor(np.zeros((2, 3)), requires_grad=True)
    z = tg.cosine_similarity(x, np.zeros((2, 3)))
    z.sum().backward()
    np.testing.assert_array_equal(z.data, 0)
    np.testing.assert_array_equal(x.grad, 0)


@pytest.mark.parametrize("x", [-800.0, -40.0, -1e-8, 0.0, 3.0, 40.0, 800.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_cross_entropy_with_logits_is_exact(x, target):
    logit = tg.tensor(x, requires_grad=True)
    loss = tg.binary_cross_entropy_with_logits(logit, target)
    loss.backward()
    sign = 1 - 2 * target
    np.testing.assert_allclose(loss.item(), np.logaddexp(0, sign * x), rtol=1e-14)
    np.testing.assert_allclose(logit.grad, sign * np.exp(-np.logaddexp(0, -sign * x)), rtol=1e-13)


def test_certain_probabilities():
    p = tg.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    loss = tg.binary_cross_entropy(p, np.array([0.0, 1.0, 1.0, 0.0]), reduction="none")
    np.testing.assert_allclose(loss.data, [0, 0, 100, 100])
    loss.sum().backward()
    np.testing.assert_allclose(p.grad, [1, -1, 0, 0])


def test_kl_div_of_impossible_classes():
    x, t = tg.tensor(np.log([0.5, 0.5]), requires_grad=True), tg.tensor([0.0, 1.0], requires_grad=True)
    tg.kl_div(x, t, "sum").backward()
    np.testing.assert_allclose(x.grad, [0, -1])
    np.testing.assert_allclose(t.grad, [0, 1 + np.log(2)])


def test_float32_and_one_number_as_target():
    x = tg.tensor(P, dtype="f4", requires_grad=True)
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "kl_div",
                 "binary_cross_entropy_with_logits", "hinge_embedding_loss", "soft_margin_loss"):
        x.grad = None
        loss = getattr(tg, name)(x, P.astype("f4"))
        loss.backward()
        assert loss.dtype == x.grad.dtype == np.float32, name
        assert getattr(tg, name)(x, 1.0).dtype == np.float32, name
    assert tg.cross_entropy(x, CLASSES, weight=WEIGHT, label_smoothing=0.1).dtype == np.float32
    assert tg.nll_loss(x, CLASSES, ignore_index=1).dtype == np.float32


@pytest.mark.parametrize("call, kind, words", [
    *((lambda x, name=name: getattr(tg, name)(x, np.ones(3)), errors.ShapeError, [name, "(4, 5)", "(3,)"]) for name in (
        "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
        "kl_div", "hinge_embedding_loss", "soft_margin_loss", "nll_loss")),
    (lambda x: tg.cross_entropy(x, [0] * len(x), np.ones(3)), ValueError,
     ["cross_entropy: reduction=float64 (3,); it is 'mean'"]),
    *((lambda x, name=name: getattr(tg, name)(x, P, reduction="avg"), ValueError, [name, "'avg'", "'mean'"]) for name in (
        "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
        "kl_div", "hinge_embedding_loss", "soft_margin_loss", "cross_entropy", "nll_loss")),
    (lambda x: tg.margin_ranking_loss(x, P, np.ones(3)), errors.ShapeError, ["margin_ranking_loss", "target", "(3,)"]),
    (lambda x: tg.smooth_l1_loss(x, P, beta=-1), ValueError, ["beta=-1"]),
    (lambda x: tg.huber_loss(x, P, delta=0), ValueError, ["delta=0"]),
    (lambda x: tg.binary_cross_entropy(x * 10, P), ValueError, ["probability"]),
    (lambda x: tg.cross_entropy(x, CLASSES, weight=np.ones(4)), errors.ShapeError, ["(4,)", "5 classes"]),
    (lambda x: tg.cross_entropy(x, CLASSES, label_smoothing=2), ValueError, ["label_smoothing=2"]),
    (lambda x: tg.nll_loss(x, CLASSES.astype(float)), errors.DtypeError, ["nll_loss", "float64"]),
    (lambda x: tg.nll_loss(x, CLASSES + 4), IndexError, ["nll_loss", "4 to 8", "5 classes"]),
    (lambda x: tg.cosine_similarity(x, np.ones((4, 2))), errors.ShapeError, ["(4, 5)", "(4, 2)"]),
    (lambda x: tg.cosine_similarity(x, x, 2), errors.ShapeError, ["cosine_similarity", "axis 2"])])
def test_errors(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.tensor(X))
    for word in words:
        assert word in str(caught.value)
