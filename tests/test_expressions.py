"""Random expressions of shared subexpressions: every gradient against PyTorch's, or central differences without it."""

import os

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tapegrad as tg

try:
    import torch
except ImportError:
    torch = None

EXAMPLES = int(os.environ.get("TAPEGRAD_EXPRESSIONS", "300"))

UNARY = ["tanh", "sigmoid", "sin", "exp", "square", "negative", "softplus", "abs", "relu", "log1p", "sqrt", "softmax", "sum",
         "mean", "transpose", "row", "flip", "cumsum", "max", "stack", "power", "pick", "prod"]
BINARY = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "where", "matmul", "concatenate"]


class Ours:
    F = tg
    tanh, sigmoid, sin, square, relu, softplus = tg.tanh, tg.sigmoid, tg.sin, tg.square, tg.relu, tg.softplus
    exp, log, sqrt, maximum, minimum, where = tg.exp, tg.log, tg.sqrt, tg.maximum, tg.minimum, tg.where

    @staticmethod
    def apply(name, x):
        return {"softmax": lambda: tg.softmax(x), "sum": lambda: tg.sum(x, 0, keepdims=True),
                "mean": lambda: tg.mean(x, 1, keepdims=True),
                "flip": lambda: tg.flip(x, 1), "cumsum": lambda: tg.cumsum(x, 0), "max": lambda: tg.max(x, 1, keepdims=True),
                "stack": lambda: tg.stack([x, x * 2]).sum(0),
                "prod": lambda: tg.prod(x, 0, keepdims=True)}[name]()

    @staticmethod
    def concatenate(x, y):
        return tg.concatenate([x, y])[1:4]


class Theirs:
    if torch is not None:
        tanh, sigmoid, sin, square, relu = torch.tanh, torch.sigmoid, torch.sin, torch.square, torch.relu
        exp, log, sqrt, maximum, minimum, where = torch.exp, torch.log, torch.sqrt, torch.maximum, torch.minimum, torch.where
        softplus = torch.nn.functional.softplus

    @staticmethod
    def apply(name, x):
        return {"softmax": lambda: torch.softmax(x, -1), "sum": lambda: x.sum(0, keepdim=True),
                "mean": lambda: x.mean(1, keepdim=True), "flip": lambda: torch.flip(x, [1]),
                "cumsum": lambda: torch.cumsum(x, 0),
                "max": lambda: x.max(1, keepdim=True).values, "stack": lambda: torch.stack([x, x * 2]).sum(0),
                "prod": lambda: x.prod(0, keepdim=True)}[name]()

    @staticmethod
    def concatenate(x, y):
        return torch.concatenate([x, y])[1:4]


def unary(F, name, x):
    if name in ("tanh", "sigmoid", "sin", "square", "relu", "softplus"):
        return getattr(F, name)(x)
    simple = {
        "negative": lambda: -x, "abs": lambda: abs(x), "exp": lambda: F.exp(x * 0.3), "log1p": lambda: F.log(x * x + 1.5),
        "sqrt": lambda: F.sqrt(x * x + 0.5), "transpose": lambda: x.T, "row": lambda: x[1:2] * x,
        "power": lambda: (x * x + 0.5) ** 1.5, "pick": lambda: x[np.array([0, 2, 2])]}
    return simple[name]() if name in simple else F.apply(name, x)


def binary(F, name, x, y):
    return {"add": lambda: x + y, "subtract": lambda: x - y, "multiply": lambda: x * y, "divide": lambda: x / (y * y + 1.0),
            "maximum": lambda: F.maximum(x, y), "minimum": lambda: F.minimum(x, y), "where": lambda: F.where(x > y, x * y, y),
            "matmul": lambda: F.tanh(x @ y), "concatenate": lambda: F.concatenate(x + 0 * y, y + 0 * x)}[name]()


def run(F, steps, leaves):
    """A number computed by the steps, each of which reads two of the values so far (all kept near 3 x 3)."""
    values = list(leaves)
    for name, i, j in steps:
        x, y = values[i % len(values)], values[j % len(values)]
        z = unary(F, name, x) if name in UNARY else binary(F, name, x, y)
        if z.shape != x.shape:                          # reduced: spread again
            z = z + x * 0.25
        values.append(F.tanh(z * 0.5))
    total = 0
    for k, value in enumerate(values[len(leaves):]):
        total = total + (value * (0.5 + k)).sum()
    return total


steps = st.lists(st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.integers(0, 10**6))
def test_random_expressions(steps, seed):
    arrays = [np.random.default_rng([seed, k]).normal(size=(3, 3)) for k in range(3)]
    ours = [tg.tensor(x, requires_grad=True) for x in arrays]
    z = run(Ours, steps, ours)
    z.backward()
    if torch is not None:
        theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
        t = run(Theirs, steps, theirs)
        t.backward()
        np.testing.assert_allclose(z.item(), t.item(), rtol=1e-9, atol=1e-9)
        for x, w in zip(ours, theirs):
            wanted = np.zeros((3, 3)) if w.grad is None else w.grad.numpy()
            np.testing.assert_allclose(np.zeros((3, 3)) if x.grad is None else x.grad, wanted, rtol=1e-8, atol=1e-9)
    else:
        directions = [np.random.default_rng([seed, 9, k]).normal(size=(3, 3)) for k in range(3)]
        ends = [run(Ours, steps, [tg.tensor(x + h * v) for x, v in zip(arrays, directions)]).item() for h in (1e-6, -1e-6)]
        slope = sum(np.sum(x.grad * v) for x, v in zip(ours, directions) if x.grad is not None)
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, slope, rtol=1e-5, atol=1e-4)
