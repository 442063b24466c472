"""What networks are made of, forward and backward, and two small ones, beside PyTorch.

    pytest benchmarks/test_networks.py --benchmark-group-by=func,param:name,param:size --benchmark-columns=min,median,rounds

The table of ratios, with the peers in turns, is `python benchmarks/peers.py --parts networks`.
"""

import libraries
import networks
import pytest

peers = pytest.mark.parametrize("peer", ["tapegrad", "torch"])
compilers = pytest.mark.parametrize("peer", ["tapegrad", "tg.compile", "torch", "torch.compile"])


@pytest.mark.parametrize("size", networks.SIZES)
@pytest.mark.parametrize("name", networks.LAYERS)
@peers
def test_layer(benchmark, peer, name, size):
    pytest.importorskip(peer)
    benchmark(networks.layer_step(peer, name, size))


@pytest.mark.parametrize("name", networks.CONVOLUTIONS)
@peers
def test_convolution(benchmark, peer, name):
    pytest.importorskip(peer)
    benchmark(networks.convolution_step(peer, name))


@pytest.mark.parametrize("name", networks.NETWORKS)
@compilers
def test_network(benchmark, peer, name):
    pytest.importorskip(libraries.MODULES[peer])
    benchmark(networks.network_step(peer, name))
