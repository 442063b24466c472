"""The activations' kernels, forward and derivative, beside NumPy's expressions and PyTorch's kernels."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.primitives import arrays, table

SIZES = [2_048, 16_384, 131_072, 1_000_000]
NUMPY = {
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda d, z: d * z * (1 - z)),
    "tanh": (np.tanh, lambda d, z: d * (1 - z * z)),
    "relu": (lambda x: np.maximum(x, 0), lambda d, z: d * (z > 0)),
}


def compiled(name):
    """The kernel and its derivative, as functions of (x,) and (d, z)."""
    x = tg.tensor(np.ones(2), requires_grad=True)
    getattr(tg, name)(x).sum().backward()
    row = table[name]
    return row.g, lambda d, z: row.array_dg[0](arrays, d, z, None)


def peer(library, name):
    if library == "tapegrad":
        return compiled(name)
    if library == "numpy":
        return NUMPY[name]
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    aten = torch.ops.aten
    backward = {"sigmoid": aten.sigmoid_backward, "tanh": aten.tanh_backward,
                "relu": lambda d, z: aten.threshold_backward(d, z, 0)}[name]
    return getattr(torch, name), backward


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize("library", ["tapegrad", "numpy", "torch"])
def test_forward_and_derivative(benchmark, library, name, dtype, size):
    forward, derivative = peer(library, name)
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=size).astype(dtype), rng.normal(size=size).astype(dtype)
    if library == "torch":
        torch = pytest.importorskip("torch")
        x, d = torch.tensor(x), torch.tensor(d)
    benchmark(lambda: derivative(d, forward(x)))
