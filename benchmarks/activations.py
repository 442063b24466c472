"""The activations' kernels, forward and derivative, of tapegrad and PyTorch, and NumPy's expressions for them."""

import numpy as np

SIZES = [2_048, 16_384, 131_072, 1_000_000]
NUMPY = {
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda d, z: d * z * (1 - z)),
    "tanh": (np.tanh, lambda d, z: d * (1 - z * z)),
    "relu": (lambda x: np.maximum(x, 0), lambda d, z: d * (z > 0)),
}


def compiled(name):
    """tapegrad's kernel and its derivative, as functions of (x,) and (d, z)."""
    import tapegrad as tg
    from tapegrad.primitives import arrays, table

    x = tg.tensor(np.ones(2), requires_grad=True)
    getattr(tg, name)(x).sum().backward()
    row = table[name]
    return row.g, lambda d, z: row.array_dg[0](arrays, d, z, None)


def of_torch(name):
    """PyTorch's kernel and its derivative."""
    import torch

    torch.set_num_threads(1)
    aten = torch.ops.aten
    backward = {"sigmoid": aten.sigmoid_backward, "tanh": aten.tanh_backward,
                "relu": lambda d, z: aten.threshold_backward(d, z, 0)}[name]
    return getattr(torch, name), backward


MAKERS = {"tapegrad": compiled, "numpy": NUMPY.__getitem__, "torch": of_torch}


def activation_step(peer, name, size, dtype):
    """step() computes z of x, and the delta of x from that of z."""
    forward, derivative = MAKERS[peer](name)
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=size).astype(dtype), rng.normal(size=size).astype(dtype)
    if peer == "torch":
        import torch

        x, d = torch.tensor(x), torch.tensor(d)
    return lambda: derivative(d, forward(x))
