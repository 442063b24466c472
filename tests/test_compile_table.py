"""Every row of the table through tg.compile: a recording and its replay have the values and gradients of eager calls."""

import numpy as np
import pytest
from cases import CONSTANT
from test_table import CELLS, drawn, function

import tapegrad as tg

CONSTANTS = [pytest.param(case, shapes, static, id=f"{case.name}-{shapes}-{str(static)[:40]}")
             for case in CONSTANT for shapes in case.shapes for static in case.static]


def outcome(f, arrays):
    """(value, gradients) of f at tensors, with weights as deltas."""
    xs = [tg.tensor(x, requires_grad=x.dtype.kind in "fc") for x in arrays]
    z = f(*xs)
    if z.requires_grad:
        z.backward(np.random.default_rng(9).normal(size=z.shape).astype(z.dtype))
    return z.data, [x.grad for x in xs]


def assert_same(found, expected, exact=True):
    (z, gradients), (wanted, wanted_gradients) = found, expected
    assert z.dtype == wanted.dtype and z.shape == wanted.shape
    for x, y in zip([z, *gradients], [wanted, *wanted_gradients]):
        assert (x is None) == (y is None)
        if x is not None:
            assert x.dtype == y.dtype and x.shape == y.shape
            if exact:
                np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-11 * np.max(np.abs(y), initial=0))
            else:
                np.testing.assert_allclose(x, y, rtol=2e-6, atol=2e-6 * np.max(np.abs(y), initial=0))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case, shapes, static", CELLS + CONSTANTS)
def test_a_replay_is_what_the_function_is(case, shapes, static, dtype):
    arrays, f = drawn(case, shapes, dtype), function(case, static)
    compiled = tg.compile(f, fallback="error")
    expected = outcome(f, arrays)
    assert_same(outcome(compiled, arrays), expected)
    assert_same(outcome(compiled, arrays), expected, dtype == np.float64)
    recording, = compiled.cache
    assert recording.replays == 1
