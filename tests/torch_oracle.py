"""PyTorch as an oracle: values, first and second derivatives of the same function in both libraries."""

import numpy as np
import pytest

import tapegrad as tg


def agree(ours, theirs, arrays, constants=(), rtol=1e-9, atol=1e-11):
    """Compare z = f(*arrays), the gradients of sum(w z), and the gradients of sum(v gradient), for fixed random w and v.

    Operands of integers and booleans are constants, and those at the positions `constants`. A second derivative that one
    library finds to be a constant is 0.
    """
    torch = pytest.importorskip("torch")
    floating = [k for k, x in enumerate(arrays) if x.dtype.kind == "f" and k not in constants]
    rng = np.random.default_rng(1)

    xs = [tg.tensor(x, requires_grad=k in floating) for k, x in enumerate(arrays)]
    us = [torch.tensor(x, requires_grad=k in floating) for k, x in enumerate(arrays)]
    z, y = ours(*xs), theirs(*us)
    assert z.shape == tuple(y.shape) and z.dtype == y.numpy(force=True).dtype
    np.testing.assert_allclose(z.data, y.numpy(force=True), rtol, atol)

    w = rng.uniform(0.5, 1.5, z.shape)
    leaves, sources = [xs[k] for k in floating], [us[k] for k in floating]
    first = tg.autograd.grad((z * w).sum(), leaves, create_graph=True)
    wanted = torch.autograd.grad((y * torch.tensor(w)).sum(), sources, create_graph=True)
    for g, h in zip(first, wanted):
        np.testing.assert_allclose(g.data, h.numpy(force=True), rtol, atol)

    vs = [rng.uniform(0.5, 1.5, g.shape) for g in first]
    total = sum((g * v).sum() for g, v in zip(first, vs))
    expected = sum((h * torch.tensor(v)).sum() for h, v in zip(wanted, vs))
    second = tg.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else [None] * len(leaves)
    wanted = (torch.autograd.grad(expected, sources, allow_unused=True) if expected.requires_grad else [None] * len(leaves))
    for x, g, h in zip(leaves, second, wanted):
        np.testing.assert_allclose(np.zeros(x.shape) if g is None else g.data,
                                   np.zeros(x.shape) if h is None else h.numpy(force=True), rtol, atol)
