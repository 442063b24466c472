"""The LSTM step at four sizes: forward, backward, and the whole, with the peers that are installed beside it.

    pytest benchmarks/test_lstm_step.py --benchmark-group-by=param:size --benchmark-columns=median,iqr,rounds
"""

import libraries
import pytest
from models import SIZES, lstm_problem, lstm_step

sizes = pytest.mark.parametrize("size", SIZES)
eager = pytest.mark.parametrize("peer", ["tapegrad", "torch"])


def lstm_sweeps(peer, size):
    pytest.importorskip(peer)
    forward, backward = libraries.load(peer).sweeps(*lstm_problem(*SIZES[size]))
    backward(forward())
    return forward, backward


@sizes
@eager
def test_forward(benchmark, peer, size):
    forward, _ = lstm_sweeps(peer, size)
    benchmark(forward)


@sizes
@eager
def test_backward(benchmark, peer, size):
    forward, backward = lstm_sweeps(peer, size)
    benchmark.pedantic(backward, setup=lambda: ((forward(),), {}), rounds=50, warmup_rounds=3)


@sizes
@pytest.mark.parametrize("peer", ["tapegrad", "tg.compile", "torch", "nn.LSTM", "jax", "autograd", "mygrad"])
def test_step(benchmark, peer, size):
    pytest.importorskip(libraries.MODULES[peer])
    step = lstm_step(peer, *SIZES[size])
    step()
    benchmark(step)
