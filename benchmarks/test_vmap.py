"""What vmap saves: Jacobians and gradients of one example each, beside a sweep for each row and a loop over the examples.

    python -m pytest benchmarks/test_vmap.py --benchmark-group-by=func
"""

import numpy as np
import pytest

import tapegrad as tg

RNG = np.random.default_rng(0)
N = 200
V, W, POINT = RNG.normal(size=(N, N)) / 14, RNG.normal(size=(N, N)) / 14, RNG.normal(size=N)
PARAMETERS = {"W": RNG.normal(size=(64, 100)) / 8, "b": np.zeros(100), "U": RNG.normal(size=(100, 10)) / 10}
INPUTS, CLASSES = RNG.normal(size=(64, 64)), RNG.integers(0, 10, 64)


def layers(x):
    return tg.tanh(W @ tg.tanh(V @ x))


def loss(p, x, y):
    return tg.cross_entropy(tg.tanh(x @ p["W"] + p["b"]) @ p["U"], y)


def by_rows(x):
    out, pullback = tg.vjp(layers, x)
    return np.stack([pullback(row)[0] for row in np.eye(len(out))])


@pytest.mark.parametrize("way", [tg.jacobian(layers), by_rows], ids=["jacobian", "a sweep for each row"])
def test_jacobian(benchmark, way):
    benchmark(way, POINT)


@pytest.mark.parametrize("way", [
    tg.vmap(tg.grad(loss), (None, 0, 0)), lambda p, xs, ys: [tg.grad(loss)(p, x, y) for x, y in zip(xs, ys)]],
    ids=["vmap", "a loop"])
def test_gradients_of_examples(benchmark, way):
    benchmark(way, PARAMETERS, INPUTS, CLASSES)
