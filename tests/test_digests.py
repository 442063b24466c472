"""Digests: arrays as the explorer's page has them, in full, or as heat maps, histograms and sums."""

import base64
import json

import numpy as np
import pytest
from explored import strict

from tapegrad.debug.digest import INFINITY, LEVELS, MINUS_INFINITY, NAN, ZERO, Digests


def test_small_arrays_are_there_in_full():
    digests = Digests(10)
    x = np.array([[1.5, np.nan], [np.inf, -np.inf]])
    assert digests.digests[digests.of(x)]["full"] == [1.5, "nan", "inf", "-inf"]
    assert digests.of(x.copy()) == digests.of(x) == 0
    for y, full in [(np.zeros((0, 3)), []), (np.array([1 + 2j]), [[1.0, 2.0]]), (np.array([True]), [True]),
                    (np.array([2 ** 60, 3]), [str(2 ** 60), 3]), (np.array(2.0, "f2"), [2.0])]:
        assert digests.digests[digests.of(y)]["full"] == full


@pytest.mark.parametrize("shape", [(96, 128), (24, 32), (5, 6, 32), (640,), (1000, 3)])
def test_heat_maps_are_means_of_blocks(shape):
    x = np.random.default_rng(0).normal(size=shape)
    digests = Digests(1)
    digest = digests.digests[digests.of(x)]
    codes = np.frombuffer(base64.b64decode(digest["heat"]), np.uint8)
    cells = (codes.astype(float) - ZERO) / LEVELS * digest["scale"]
    table = x.reshape(-1, shape[-1]) if len(shape) > 1 else x[None]
    columns = digest["columns"]
    rows = len(cells) // columns
    ends = [[n * i // most for i in range(most + 1)] for n, most in zip(table.shape, (rows, columns))]
    means = [table[a:b, c:d].mean() for a, b in zip(ends[0], ends[0][1:]) for c, d in zip(ends[1], ends[1][1:])]
    assert rows <= digests.rows
    np.testing.assert_allclose(cells, means, atol=digest["scale"] / LEVELS)


def test_histograms_and_statistics():
    x = np.random.default_rng(0).normal(size=1000)
    digests = Digests(1)
    digest = digests.digests[digests.of(x)]
    counts, edges = np.histogram(x, bins=24)
    assert digest["counts"] == counts.tolist()
    np.testing.assert_allclose([digest["low"], digest["high"]], [edges[0], edges[-1]], rtol=1e-5)
    np.testing.assert_allclose([digest[name] for name in ("min", "max", "mean", "norm")],
                               [x.min(), x.max(), x.mean(), np.linalg.norm(x)], rtol=1e-5)


def test_what_is_not_finite():
    x = np.ones((10, 10))
    x[0, 0], x[1, 1], x[2, 2] = np.nan, np.inf, -np.inf
    digests = Digests(1)
    digest = digests.digests[digests.of(x)]
    codes = np.frombuffer(base64.b64decode(digest["heat"]), np.uint8).reshape(10, 10)
    assert [codes[i, i] for i in range(4)] == [NAN, INFINITY, MINUS_INFINITY, ZERO + LEVELS]
    assert digest["nans"] == 1 and digest["infs"] == 2 and "counts" not in digest
    for x in (np.full(100, np.nan), np.zeros(100), np.full((9, 9), 1e308), np.full(100, 1 + 1j), np.ones(100, bool)):
        strict(json.dumps(digests.digests[digests.of(x)], allow_nan=False))


def test_many_arrays_get_small_maps():
    x = np.ones((200, 200))
    few, many = Digests(10), Digests(60_000)
    sizes = [len(digests.digests[digests.of(x)]["heat"]) for digests in (few, many)]
    assert sizes[0] == 1024 and sizes[1] <= 24
