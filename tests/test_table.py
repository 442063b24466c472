"""The table that every primitive runs through: see cases/."""

import numpy as np
import pytest
from cases import CASES, CONSTANT
from cases.case import ONE, THREE, TWO
from oracle import differences, gradient_differences, gradients, second_order, weights

import tapegrad as tg
from tapegrad.core.record import recorded
from tapegrad.graph import Capture
from tapegrad.primitives import table
from tapegrad.transforms.extend import users

CELLS = [pytest.param(case, shapes, static, id=f"{case.name}-{shapes}-{str(static)[:40]}")
         for case in CASES for shapes in case.shapes for static in case.static]
ELEMENTWISE = [case for case in CASES if case.static == ((),) and case.shapes in (ONE, TWO, THREE)]


def drawn(case, shapes, dtype=np.float64):
    values = [draw(shape, seed) for seed, (draw, shape) in enumerate(zip(case.operands, shapes))]
    return [np.asarray(value, dtype if np.asarray(value).dtype.kind == "f" else None) for value in values]


def function(case, static):
    """The recorded primitive as a function of its operands."""
    if case.variadic:
        return lambda *xs: getattr(recorded, case.name)(xs, *static)
    return lambda *xs: case.seen(getattr(recorded, case.name)(*xs, *static))


def reference(case, static):
    if case.variadic:
        return lambda *xs: case.reference(xs, *static)
    return lambda *xs: case.seen(case.reference(*xs, *static))


def to_float32(case, static):
    return case.name == "astype" and static[0] == np.float32


def test_every_primitive_has_a_row():
    assert sorted(set(table) - users) == sorted(case.name for case in CASES + CONSTANT)


@pytest.mark.parametrize("case, shapes, static", CELLS)
def test_forward_and_gradient(case, shapes, static):
    arrays = drawn(case, shapes)
    z, found = gradients(function(case, static), arrays)
    expected = reference(case, static)(*arrays)
    np.testing.assert_allclose(z.data, expected, rtol=1e-13, atol=1e-15)
    assert z.shape == np.shape(expected) and z.dtype == np.asarray(expected).dtype
    if to_float32(case, static):
        return                                          # too coarse for differences
    for g, wanted, x in zip(found, differences(reference(case, static), arrays), arrays):
        if wanted is None:
            assert g is None
        else:
            assert g.shape == x.shape and g.dtype == x.dtype
            np.testing.assert_allclose(g, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case, shapes, static", [cell for cell in CELLS if table.get(cell.values[0].name).composition])
def test_compositions(case, shapes, static):
    """One entry, in whose place a graph and a tracer get others that compute the same."""
    xs = [tg.tensor(x, requires_grad=True) for x in drawn(case, shapes)]
    z = function(case, static)(*xs)
    assert [g for _, g, _ in tg.tape()] == [case.name]
    np.testing.assert_array_equal(table.get(case.name).composition(recorded, *xs, *static).data, z.data)
    assert case.name not in {node.row.name for node in Capture(z, "a test").graph.nodes}
    compiled = tg.compile(function(case, static), fallback="error")
    np.testing.assert_allclose(compiled(*xs).data, z.data, rtol=1e-13)
    assert case.name not in str(compiled.program(*xs))


@pytest.mark.parametrize("case, shapes, static", [cell for cell in CELLS if not to_float32(cell.values[0], cell.values[2])])
def test_second_order(case, shapes, static):
    arrays = drawn(case, shapes)
    f = function(case, static)
    for g, wanted in zip(second_order(f, arrays), gradient_differences(f, arrays)):
        np.testing.assert_allclose(g, wanted, rtol=1e-5, atol=1e-6)


# astype, and what SciPy widens where a parameter is an integer
WIDENED = {"astype", *[f"special_{name}" for name in ("expn", "gammainc", "gammaincc", "gammaincinv", "gammainccinv")]}


@pytest.mark.parametrize("case, shapes, static", [cell for cell in CELLS if cell.values[0].name not in WIDENED])
def test_float32_is_kept(case, shapes, static):
    arrays = drawn(case, shapes)
    z, found = gradients(function(case, static), [x.astype("f4") if x.dtype.kind == "f" else x for x in arrays])
    z64, found64 = gradients(function(case, static), arrays)
    assert z.dtype in (np.float32, np.complex64)
    np.testing.assert_allclose(z.data, z64.data, rtol=1e-5, atol=1e-5)
    for g, g64 in zip(found, found64):
        if g64 is not None:
            assert g.dtype == np.float32
            np.testing.assert_allclose(g, g64, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if table.get(case.name).elementwise], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contributions_of_elementwise_rows(case, dtype):
    """The sweep takes it for granted that they have the shape and dtype of z."""
    for shapes in case.shapes:
        with tg.traced(deltas=True) as trace:
            z = function(case, ())(*[tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in drawn(case, shapes, dtype)])
            z.backward(np.ones(z.shape, z.dtype))
        contributions = [c for _, c in trace.notes[0].contributions]
        assert contributions and all(c.shape == z.shape and c.dtype == z.dtype for c in contributions)


@pytest.mark.parametrize("case", ELEMENTWISE, ids=repr)
@pytest.mark.parametrize("layout", [lambda x: np.asfortranarray(x), lambda x: np.repeat(x, 2, axis=1)[:, ::2],
                                    lambda x: x[::-1][::-1], lambda x: np.broadcast_to(x[:1], x.shape)],
                         ids=["fortran", "strided", "reversed", "broadcast"])
def test_layouts(case, layout):
    arrays = drawn(case, [(3, 4)] * len(case.operands))
    expected, wanted = gradients(function(case, ()), [np.ascontiguousarray(layout(x)) for x in arrays])
    xs = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    for x, array in zip(xs, arrays):
        x.data = layout(array)                          # tensor() itself would copy to a contiguous array
    z = function(case, ())(*xs)
    np.testing.assert_array_equal(z.data, expected.data)
    if z.requires_grad:
        (z * weights(z.shape)).sum().backward()
        for x, g in zip(xs, wanted):
            if g is not None:
                np.testing.assert_allclose(x.grad, g, rtol=1e-14)


@pytest.mark.parametrize("case", [case for case in CASES if len(case.operands) == 2 and case.static == ((),)
                                  and None not in table.get(case.name).dg], ids=repr)
def test_aliased_operands(case):
    """f(x, x) has the sum of both contributions."""
    x = drawn(case, [(3, 3), (3, 3)])[0]
    if case.name in ("divide", "power", "strong_multiply"):
        x = np.abs(x) + 0.5
    f = function(case, ())
    _, (both,) = gradients(lambda x: f(x, x), [x])
    _, (first, second) = gradients(f, [x, x])
    np.testing.assert_allclose(both, first + second, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("case", CONSTANT, ids=repr)
def test_constants(case):
    for shapes in case.shapes:
        for static in case.static:
            arrays = drawn(case, shapes)
            z = function(case, static)(*[tg.tensor(x, requires_grad=True) for x in arrays])
            expected = reference(case, static)(*arrays)
            np.testing.assert_allclose(z.data, expected, rtol=1e-13, atol=1e-15)
            assert z.dtype == np.asarray(expected).dtype and not z.requires_grad and z.is_leaf
    assert len(tg.tape()) == 0
