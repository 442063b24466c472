"""The LSTM step at four sizes: forward, backward, and the whole, with the peers that are installed beside it.

    pytest benchmarks/test_lstm_step.py --benchmark-group-by=param:size --benchmark-columns=median,iqr,rounds
"""

import numpy as np
import peers
import pytest
from models import SIZES, eager_lstm, functional_lstm

sizes = pytest.mark.parametrize("size", SIZES)
EAGER = {"tapegrad": peers.tapegrad, "torch": peers.torch}
FUNCTIONAL = {"autograd": peers.autograd, "jax": peers.jax}


@sizes
@pytest.mark.parametrize("peer", EAGER)
def test_forward(benchmark, peer, size):
    forward, backward = eager_lstm(EAGER[peer], *SIZES[size])
    backward(forward())
    benchmark(forward)


@sizes
@pytest.mark.parametrize("peer", EAGER)
def test_backward(benchmark, peer, size):
    forward, backward = eager_lstm(EAGER[peer], *SIZES[size])
    backward(forward())
    benchmark.pedantic(backward, setup=lambda: ((forward(),), {}), rounds=50, warmup_rounds=3)


@sizes
@pytest.mark.parametrize("peer", EAGER)
def test_step(benchmark, peer, size):
    forward, backward = eager_lstm(EAGER[peer], *SIZES[size])
    backward(forward())
    benchmark(lambda: backward(forward()))


@sizes
@pytest.mark.parametrize("peer", FUNCTIONAL)
def test_step_of_functional_peers(benchmark, peer, size):
    step = functional_lstm(FUNCTIONAL[peer], *SIZES[size])
    step()
    benchmark(step)


@pytest.mark.parametrize("peer", ["torch", "autograd", "jax"])
def test_the_peers_compute_the_same(peer):
    size = SIZES["N16-D80-H32-M10"]
    forward, backward = eager_lstm(peers.tapegrad, *size)
    if peer == "torch":
        forward_peer, backward_peer = eager_lstm(peers.torch, *size)
        theirs = backward_peer(forward_peer())
    else:
        theirs = functional_lstm(FUNCTIONAL[peer], *size)()
    for ours, other in zip(backward(forward()), theirs, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-6)
