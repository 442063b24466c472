"""Every row of the table through tg.compile: a recording and its replay have the values and gradients of eager calls."""

import numpy as np
import pytest
from cases import CASES, CONSTANT
from compiled_calls import without_kernels
from test_table import CELLS, drawn, function

import tapegrad as tg

FIRST = [pytest.param(case, case.shapes[0], case.static[0], id=case.name) for case in CASES]
CONSTANTS = [pytest.param(case, shapes, static, id=f"{case.name}-{shapes}-{str(static)[:40]}")
             for case in CONSTANT for shapes in case.shapes for static in case.static]


def outcome(f, arrays):
    """(value, gradients) of f at tensors, with weights as deltas."""
    xs = [tg.tensor(x, requires_grad=x.dtype.kind in "fc") for x in arrays]
    z = f(*xs)
    if z.requires_grad:
        z.backward(np.random.default_rng(9).normal(size=z.shape).astype(z.dtype))
    return z.data, [x.grad for x in xs]


def assert_same(found, expected, tolerance):
    (z, gradients), (wanted, wanted_gradients) = found, expected
    assert z.dtype == wanted.dtype and z.shape == wanted.shape
    for x, y in zip([z, *gradients], [wanted, *wanted_gradients]):
        assert (x is None) == (y is None)
        if x is not None:
            assert x.dtype == y.dtype and x.shape == y.shape
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * np.max(np.abs(y), initial=0))


def assert_replayed(f, arrays, tolerance):
    compiled = tg.compile(f, fallback="error")
    first = outcome(compiled, arrays)
    assert_same(first, outcome(f, arrays), tolerance)
    assert_same(outcome(compiled, arrays), first, 0)
    recorded, = compiled.cache
    assert recorded.replays == 1


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 0), (np.float32, 2e-6)])
@pytest.mark.parametrize("case, shapes, static", [cell for cell in CELLS + CONSTANTS if "logm" not in cell.id])
def test_a_replay_is_what_the_function_is(case, shapes, static, dtype, tolerance, monkeypatch):
    """Node by node, without kernels: these have the bits of eager calls in float64. (SciPy's logm draws random numbers.)"""
    without_kernels(monkeypatch)
    assert_replayed(function(case, static), drawn(case, shapes, dtype), tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("case, shapes, static", FIRST)
def test_a_program_is_what_the_function_is(case, shapes, static):
    assert_replayed(function(case, static), drawn(case, shapes), 1e-11)
