"""Every row of the table under vmap: values and gradients are those of a loop over the examples."""

import numpy as np
import pytest
from cases import CASES, CONSTANT
from oracle import gradients
from test_table import function

import tapegrad as tg

EXAMPLES = 2
CELLS = [pytest.param(case, shapes, static, id=f"{case.name}-{shapes}-{str(static)[:40]}")
         for case in CASES + CONSTANT for shapes in case.shapes for static in case.static]


def which_differ(n):
    """For each operand, whether it differs by example: all do, or each alone."""
    return [(True,) * n, *([tuple(i == k for i in range(n)) for k in range(n)] if n > 1 else [])]


def drawn(case, shapes, differ):
    """Operands, along a first axis of examples where they differ."""
    found = []
    for k, (draw, shape, mapped) in enumerate(zip(case.operands, shapes, differ)):
        several = [np.asarray(draw(shape, 10 * k + i)) for i in range(EXAMPLES)] if mapped else [draw(shape, 10 * k)]
        found.append(np.stack(several) if mapped else np.asarray(several[0]))
    return found


@pytest.mark.parametrize("case, shapes, static", CELLS)
def test_is_what_a_loop_gives(case, shapes, static):
    f = function(case, static)
    for differ in which_differ(len(shapes)):
        arrays = drawn(case, shapes, differ)

        def loop(*xs, differ=differ):
            return tg.stack([f(*[x[i] if mapped else x for x, mapped in zip(xs, differ)]) for i in range(EXAMPLES)])

        wanted, slopes = gradients(loop, arrays)
        z, found = gradients(tg.vmap(f, tuple(0 if mapped else None for mapped in differ)), arrays)
        assert z.shape == wanted.shape and z.dtype == wanted.dtype
        np.testing.assert_allclose(z.data, wanted.data, rtol=1e-12, atol=1e-14)
        for g, slope in zip(found, slopes):
            assert (g is None) == (slope is None)
            if g is not None:
                np.testing.assert_allclose(g, slope, rtol=1e-10, atol=1e-12)


SMALL = [pytest.param(case, case.shapes[0], case.static[0], id=case.name) for case in CASES]


@pytest.mark.parametrize("case, shapes, static", SMALL)
def test_jacobian_is_that_of_a_loop(case, shapes, static):
    """The rules of a row, for many deltas at once, are those for one after the other."""
    arrays = [np.asarray(draw(shape, k)) for k, (draw, shape) in enumerate(zip(case.operands, shapes))]
    by = tuple(k for k, x in enumerate(arrays) if x.dtype.kind == "f")
    row = function(case, static)

    def f(*floats):
        given = iter(floats)
        return tg.real(row(*[next(given) if k in by else x for k, x in enumerate(arrays)]))

    floats = [arrays[k] for k in by]
    z, pullback = tg.vjp(f, *floats)
    found = tg.jacobian(f, tuple(range(len(by))))(*floats)
    for i in np.ndindex(z.shape):
        seed = np.zeros(z.shape, z.dtype)
        seed[i] = 1
        for matrix, row_of_matrix in zip(found, pullback(seed)):
            np.testing.assert_allclose(matrix[i], row_of_matrix, rtol=1e-10, atol=1e-12)
