"""Losses of distances and distributions, and ctc_loss: against PyTorch, all alignments written out, differences, errors."""

from itertools import product

import numpy as np
import pytest
from torch_oracle import agree

import tapegrad as tg
from tapegrad.errors import DtypeError, ShapeError

rng = np.random.default_rng(0)
X, Y, Z = (rng.normal(size=(4, 5)) for _ in range(3))
P = rng.uniform(0.2, 2.0, (4, 5))
COUNTS = rng.integers(0, 6, (4, 5)).astype(float)
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])

CALLS = [
    ("triplet_margin_loss", [X, Y, Z], {}), ("triplet_margin_loss", [X, Y, Z], {"margin": 2.0, "p": 1, "swap": True}),
    ("triplet_margin_loss", [X[0], Y[0], Z[0]], {"margin": 3.0}), ("cosine_embedding_loss", [X, Y, SIGNS], {}),
    ("cosine_embedding_loss", [X, X + 0.3 * Y, SIGNS], {"margin": 0.2}),
    ("cosine_embedding_loss", [X[0], Y[0], SIGNS[0]], {}),
    ("gaussian_nll_loss", [X, Y, P], {}), ("gaussian_nll_loss", [X, Y, P[:, :1]], {"full": True}),
    ("gaussian_nll_loss", [X, Y, P[:, 0]], {}), ("poisson_nll_loss", [X, COUNTS], {}),
    ("poisson_nll_loss", [P, COUNTS], {"log_input": False}), ("poisson_nll_loss", [X, COUNTS], {"full": True}),
]
TARGETS = {"cosine_embedding_loss": 2, "poisson_nll_loss": 1}
calls = pytest.mark.parametrize("name, arrays, options", CALLS)


def functional():
    return pytest.importorskip("torch").nn.functional


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@calls
def test_losses_agree_with_pytorch(name, arrays, options, reduction):
    agree(lambda *xs: getattr(tg, name)(*xs, reduction=reduction, **options),
          lambda *xs: getattr(functional(), name)(*xs, reduction=reduction, **options),
          arrays, constants=(TARGETS.get(name),))


@calls
def test_derivatives_of_losses_against_differences(name, arrays, options):
    n = TARGETS.get(name, len(arrays))
    assert tg.gradcheck(lambda *xs: getattr(tg, name)(*xs, *arrays[n:], **options), *arrays[:n])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_pairwise_distance_agrees_with_pytorch(p):
    agree(lambda x, y: tg.pairwise_distance(x, y, p), lambda x, y: functional().pairwise_distance(x, y, p), [X, Y])
    assert tg.pairwise_distance(X, Y, keepdim=True).shape == (4, 1)


def test_arguments_have_the_order_of_pytorch():
    from inspect import signature
    for name in {name for name, *_ in CALLS} | {"ctc_loss", "interpolate", "unfold", "fold", "adaptive_avg_pool2d",
                                                "group_norm", "threshold"}:
        theirs = [key for key in signature(getattr(functional(), name)).parameters
                  if key not in ("size_average", "reduce", "antialias", "inplace")]
        assert list(signature(getattr(tg, name)).parameters) == theirs, name


# CTC

TIMES, CLASSES = 7, 4
LOGS = np.log(rng.dirichlet(np.ones(CLASSES), (TIMES, 3)))
LABELS, INPUTS, COUNTED = np.array([[1, 2, 2], [3, 1, 0], [2, 0, 0]]), np.array([7, 5, 6]), np.array([3, 2, 1])


def collapsed(path):
    """What an alignment spells: repetitions and then blanks taken out."""
    return [c for c, before in zip(path, (None, *path)) if c != before and c != 0]


def test_ctc_is_the_sum_over_all_alignments():
    losses = tg.ctc_loss(LOGS, LABELS, INPUTS, COUNTED, reduction="none")
    for k in range(3):
        paths = product(range(CLASSES), repeat=int(INPUTS[k]))
        total = sum(np.exp(LOGS[np.arange(INPUTS[k]), k, list(path)].sum()) for path in paths
                    if collapsed(path) == LABELS[k, :COUNTED[k]].tolist())
        np.testing.assert_allclose(losses.data[k], -np.log(total), rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("behind", [False, True])
def test_ctc_agrees_with_pytorch(reduction, behind):
    """Of scores that log_softmax makes probabilities of: PyTorch's derivative holds for these only."""
    torch = pytest.importorskip("torch")
    labels = np.array([1, 2, 2, 3, 1, 2]) if behind else LABELS
    scores = rng.normal(size=(TIMES, 3, CLASSES))
    x, t = tg.tensor(scores, requires_grad=True), torch.tensor(scores, requires_grad=True)
    z = tg.ctc_loss(tg.log_softmax(x), labels, INPUTS, COUNTED, reduction=reduction)
    u = functional().ctc_loss(torch.log_softmax(t, -1), *map(torch.tensor, (labels, INPUTS, COUNTED)), reduction=reduction)
    np.testing.assert_allclose(z.data, u.detach().numpy(), rtol=1e-12)
    z.sum().backward()
    u.sum().backward()
    np.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_derivative_of_ctc_against_differences():
    assert tg.gradcheck(lambda x: tg.ctc_loss(x, LABELS, INPUTS, COUNTED, reduction="none"), LOGS)


def test_ctc_of_one_example_and_of_no_target():
    one = tg.ctc_loss(LOGS[:, 0], [1, 2, 2], 7, 3)
    np.testing.assert_allclose(one.item(), tg.ctc_loss(LOGS[:, :1], LABELS[:1], [7], [3]).item(), rtol=1e-15)
    none = tg.ctc_loss(LOGS[:, :1], np.zeros((1, 0), int), [7], [0])
    np.testing.assert_allclose(none.item(), -LOGS[:, 0, 0].sum(), rtol=1e-14)
    assert tg.ctc_loss(LOGS[:, 0], [1], 7, 1, reduction="none").shape == ()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_ctc_of_what_is_impossible(dtype):
    """Three labels, two of them equal, take four times."""
    x = tg.tensor(LOGS, dtype=dtype, requires_grad=True)
    losses = tg.ctc_loss(x, LABELS, [3, 5, 6], COUNTED, reduction="none")
    assert losses.data[0] == np.inf and np.isfinite(losses.data[1:]).all() and losses.dtype == dtype
    zeroed = tg.ctc_loss(x, LABELS, [3, 5, 6], COUNTED, reduction="sum", zero_infinity=True)
    np.testing.assert_allclose(zeroed.item(), losses.data[1:].sum(), rtol=1e-6)
    zeroed.backward()
    assert not x.grad[:, 0].any() and np.isfinite(x.grad).all() and x.grad[:, 1].any()


def test_ctc_of_probabilities_of_0():
    logs = LOGS.copy()
    logs[:, :, 3] = -np.inf
    x = tg.tensor(logs, requires_grad=True)
    losses = tg.ctc_loss(x, LABELS, INPUTS, COUNTED, reduction="none")
    assert np.isinf(losses.data).tolist() == [False, True, False]       # the second has a 3
    losses[[0, 2]].sum().backward()
    assert np.isfinite(x.grad).all()


def test_the_variance_has_a_least_value():
    v = tg.tensor([0.0, 1.0], requires_grad=True)
    z = tg.gaussian_nll_loss([1.0, 1.0], [1.0, 1.0], v, eps=0.5, reduction="none")
    z.sum().backward()
    np.testing.assert_allclose(z.data, [0.5 * np.log(0.5), 0])
    np.testing.assert_array_equal(v.grad, [0, 0.5])


@pytest.mark.parametrize("call, error, words", [
    (lambda: tg.triplet_margin_loss(X, Y, Z[:2]), ShapeError, "triplet_margin_loss: anchor float64 \\(4, 5\\)"),
    (lambda: tg.triplet_margin_loss(X, Y, Z, reduction="max"), ValueError, "triplet_margin_loss: reduction='max'"),
    (lambda: tg.cosine_embedding_loss(X, Y, SIGNS[:2]), ShapeError, "cosine_embedding_loss: .* target float64 \\(2,\\)"),
    (lambda: tg.gaussian_nll_loss(X, Y, -P), ValueError, "gaussian_nll_loss: a variance of -"),
    (lambda: tg.gaussian_nll_loss(X, Y, P[:2]), ShapeError, "gaussian_nll_loss: var float64 \\(2, 5\\)"),
    (lambda: tg.poisson_nll_loss(X, Y[:2]), ShapeError, "poisson_nll_loss: .* target"),
    (lambda: tg.ctc_loss(LOGS[0, 0], LABELS, INPUTS, COUNTED), ShapeError, "ctc_loss: log_probs float64 \\(4,\\)"),
    (lambda: tg.ctc_loss(LOGS, LABELS, [8, 5, 6], COUNTED), ValueError, "ctc_loss: input_lengths from 5 to 8"),
    (lambda: tg.ctc_loss(LOGS, LABELS, INPUTS, [3, 2]), ShapeError, "ctc_loss: target_lengths int64 \\(2,\\); 3 integers"),
    (lambda: tg.ctc_loss(LOGS, LABELS + 0.5, INPUTS, COUNTED), DtypeError, "ctc_loss: targets float64"),
    (lambda: tg.ctc_loss(LOGS, LABELS + 3, INPUTS, COUNTED), IndexError, "ctc_loss: targets from 4 to 6 for 4 classes"),
    (lambda: tg.ctc_loss(LOGS, LABELS, INPUTS, [3, 3, 1]), ValueError, "ctc_loss: 0, which is the blank"),
    (lambda: tg.ctc_loss(LOGS, [1, 2], INPUTS, COUNTED), ShapeError, "ctc_loss: targets int64 \\(2,\\)")])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
