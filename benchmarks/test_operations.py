"""What one recorded operation costs beyond the arithmetic: four float32 numbers, so that all of it is overhead."""

import libraries
import numpy as np
import pytest

EAGER = ["tapegrad", "torch", "mygrad"]
OPERATIONS = {"multiply": lambda F, x, y: x * y, "add": lambda F, x, y: x + y, "tanh": lambda F, x, y: F.tanh(x)}
N = 1000


@pytest.mark.parametrize("operation", OPERATIONS)
def test_numpy(benchmark, operation):
    x, y = np.ones(4, np.float32), np.ones(4, np.float32)
    benchmark(OPERATIONS[operation], np, x, y)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("peer", EAGER)
def test_recorded(benchmark, peer, operation):
    pytest.importorskip(peer)
    F = libraries.load(peer)
    x, y = F.parameter(np.ones(4, np.float32)), F.parameter(np.ones(4, np.float32))
    f = OPERATIONS[operation]
    f(F, x, y)
    benchmark(f, F, x, y)


@pytest.mark.parametrize("peer", EAGER)
def test_backward_through_1000_entries(benchmark, peer):
    pytest.importorskip(peer)
    F = libraries.load(peer)
    x, y = F.parameter(np.ones(4, np.float32)), F.parameter(np.ones(4, np.float32))

    def forward():
        z = x
        for _ in range(N - 1):
            z = z * y
        return (z.sum(),), {}

    benchmark.pedantic(lambda loss: F.backward(loss, [x, y]), setup=forward, rounds=50, warmup_rounds=3)
