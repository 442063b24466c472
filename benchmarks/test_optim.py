"""A step of the optimisers over the parameters of the LSTM, and over one vector, beside PyTorch's implementations of it.

    pytest benchmarks/test_optim.py --benchmark-group-by=param:size,param:optimiser --benchmark-columns=median,iqr,rounds
"""

import numpy as np
import pytest
from models import SIZES, lstm_data

import tapegrad as tg

OPTIMISERS = {"SGD": ("SGD", {}), "momentum": ("SGD", {"momentum": 0.9}), "Adam": ("Adam", {}), "AdamW": ("AdamW", {})}
PEERS = {"tapegrad": None, "torch": {}, "torch-foreach": {"foreach": True}, "torch-fused": {"fused": True}}


def parameters(size):
    if size == "vector":
        return [np.ones(1_000_000, np.float32)]
    return list(lstm_data(*SIZES[size])[2].values())


def optimiser_of(peer, name, options, arrays):
    """An optimiser whose parameters have gradients."""
    if peer == "tapegrad":
        tensors = [tg.tensor(x, requires_grad=True) for x in arrays]
        library, make = tg, np.array
    else:
        library = pytest.importorskip("torch")
        library.set_num_threads(1)
        tensors = [library.tensor(x, requires_grad=True) for x in arrays]
        make, options = library.tensor, options | PEERS[peer]
    random = np.random.default_rng(0)
    for x in tensors:
        x.grad = make(random.normal(size=tuple(x.shape)).astype(np.float32))
    return getattr(library.optim, name)(tensors, lr=1e-4, **options)


@pytest.mark.parametrize("size", [*SIZES, "vector"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("peer", PEERS)
def test_step(benchmark, peer, optimiser, size):
    name, options = OPTIMISERS[optimiser]
    step = optimiser_of(peer, name, options, parameters(size)).step
    step()
    benchmark(step)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_peers_compute_the_same(optimiser):
    name, options = OPTIMISERS[optimiser]
    ours, *others = (optimiser_of(peer, name, options, parameters("N16-D80-H32-M10")) for peer in PEERS)
    for each in (ours, *others):
        each.step()
        each.step()
    for other in others:
        for x, y in zip(ours.parameters, other.param_groups[0]["params"], strict=True):
            np.testing.assert_allclose(x.data, y.detach().numpy(), rtol=1e-5, atol=1e-7)
