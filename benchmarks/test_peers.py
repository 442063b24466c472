"""What peers.py compares computes the same, and the command runs with the peers that are installed."""

import libraries
import numpy as np
import pytest
from models import SIZES, lstm_step, mlp_step, unpacked

SMALLEST = SIZES["N16-D80-H32-M10"]


def same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), atol=1e-6)


@pytest.mark.parametrize("peer", ["torch", "nn.LSTM", "jax", "autograd", "mygrad"])
def test_the_peers_compute_the_same_lstm(peer):
    pytest.importorskip(libraries.MODULES[peer])
    theirs = lstm_step(peer, *SMALLEST)()
    same(lstm_step("tapegrad", *SMALLEST)(), unpacked(theirs) if peer == "nn.LSTM" else theirs)


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("peer", ["torch", "jax", "autograd", "mygrad"])
def test_the_peers_compute_the_same_mlp(peer, one_hot):
    pytest.importorskip(peer)
    same(mlp_step("tapegrad", one_hot)(), mlp_step(peer, one_hot)())


@pytest.mark.parametrize("peer", ["tapegrad", "torch", "autograd", "mygrad", "micrograd"])
def test_the_peers_record_the_same_products(peer):
    pytest.importorskip(peer)
    x, y = np.full(4, 2.0, np.float32), np.full(4, 3.0, np.float32)
    z = lambda x, y: x * y if peer == "micrograd" else (x * y).sum()  # noqa: E731
    for gradient, expected in zip(libraries.load(peer).record(z, x, y)(), (3, 2), strict=True):
        assert np.all(np.asarray(gradient) == expected)
