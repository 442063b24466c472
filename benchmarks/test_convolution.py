"""A convolution and a pooling, forward and backward, beside PyTorch, in a small network and in a larger one."""

import libraries
import numpy as np
import pytest

import tapegrad as tg

EAGER = ["tapegrad", "torch"]
LAYERS = {"28x28": ((32, 16, 28, 28), (32, 16, 3, 3)), "56x56": ((8, 64, 56, 56), (64, 64, 3, 3))}


def functions(peer):
    return tg if peer == "tapegrad" else pytest.importorskip("torch").nn.functional


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("peer", EAGER)
def test_conv2d(benchmark, peer, layer):
    pytest.importorskip(peer)
    F, rng = libraries.load(peer), np.random.default_rng(0)
    x, W = (F.parameter(rng.normal(size=shape).astype("f4")) for shape in LAYERS[layer])
    b = F.parameter(np.zeros(W.shape[0], "f4"))
    conv2d = functions(peer).conv2d
    benchmark(lambda: F.backward(conv2d(x, W, b, padding=1).sum(), [x, W, b]))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("pool", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("peer", EAGER)
def test_pool(benchmark, peer, pool, layer):
    pytest.importorskip(peer)
    F = libraries.load(peer)
    x = F.parameter(np.random.default_rng(0).normal(size=LAYERS[layer][0]).astype("f4"))
    pool2d = getattr(functions(peer), pool)
    benchmark(lambda: F.backward(pool2d(x, 2).sum(), [x]))
