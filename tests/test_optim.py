"""The optimisers against the formulas of their papers, written out, and against PyTorch."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.optim import SGD, Adam


def quadratic(x):
    return ((x - np.arange(3.0)) ** 2 * np.array([1.0, 10.0, 0.1])).sum()


@pytest.mark.parametrize("ours, theirs, options", [
    (SGD, "SGD", {"lr": 0.02}), (SGD, "SGD", {"lr": 0.02, "momentum": 0.9}),
    (Adam, "Adam", {"lr": 0.1}), (Adam, "Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3})])
def test_against_pytorch(ours, theirs, options):
    torch = pytest.importorskip("torch")
    x, t = tg.tensor(np.ones(3), requires_grad=True), torch.ones(3, dtype=torch.float64, requires_grad=True)
    a, b = ours([x], **options), getattr(torch.optim, theirs)([t], **options)
    for _ in range(20):
        a.zero_grad()
        b.zero_grad()
        quadratic(x).backward()
        ((t - torch.arange(3.0)) ** 2 * torch.tensor([1.0, 10.0, 0.1])).sum().backward()
        a.step()
        b.step()
    np.testing.assert_allclose(x.data, t.detach().numpy(), rtol=1e-7)


def test_adam_by_hand():
    x = tg.tensor([1.0], requires_grad=True)
    optimiser = Adam([x], lr=0.5)
    (x * 4).sum().backward()
    optimiser.step()                                    # the first step is lr * sign(g)
    np.testing.assert_allclose(x.data, [0.5], rtol=1e-8)


@pytest.mark.parametrize("make", [lambda p: SGD(p, 0.1, momentum=0.9), Adam])
def test_dtype_and_array_stay(make):
    x = tg.tensor(np.ones(4, "f4"), requires_grad=True)
    held = x.data
    optimiser = make([x])
    for _ in range(3):
        (x * x).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert x.dtype == np.float32 and x.data is held and held[0] < 1 and x.grad is None


def test_a_parameter_without_a_gradient_stays():
    x, y = (tg.tensor([1.0], requires_grad=True) for _ in range(2))
    x.sum().backward()
    SGD([x, y], lr=1.0).step()
    assert x.data == 0 and y.data == 1


def test_bad_parameters():
    with pytest.raises(ValueError, match="leaf"):
        SGD([tg.tensor([1.0])], lr=0.1)
    with pytest.raises(ValueError, match="leaf"):
        SGD([tg.tensor([1.0], requires_grad=True) * 2], lr=0.1)
    with pytest.raises(ValueError, match="negative"):
        SGD([tg.tensor([1.0], requires_grad=True)], lr=-0.1)
