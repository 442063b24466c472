"""tg.custom_root and tg.custom_fixed_point: derivatives of any order of what a solver found."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import GradientError, ShapeError

A = np.array([[3.0, 0.5], [0.2, 2.0]])
B = np.array([1.0, 2.0])


def cubic(x, a, b):
    """a x + x^3 = b, an equation for each element, coupled by the matrix a."""
    return a @ x + x ** 3 - b


def newton(a, b):
    x = np.zeros(len(b))
    for _ in range(50):
        x = x - np.linalg.solve(a + np.diag(3 * x ** 2), a @ x + x ** 3 - b)
    return x


root = tg.custom_root(cubic, newton)


def test_value_and_derivatives():
    x = root(tg.tensor(A), tg.tensor(B))
    np.testing.assert_allclose(A @ x.data + x.data ** 3, B, rtol=1e-13)
    assert not x.requires_grad and newton.__name__ == root.__name__
    tg.gradcheck(root, A, B, order=2)
    np.testing.assert_allclose(tg.jacobian(lambda b: root(A, b))(B), np.linalg.inv(A + np.diag(3 * x.data ** 2)), rtol=1e-12)


def test_third_derivative():
    """Of x = sqrt(a): 3/8 a^(-5/2)."""
    square_root = tg.custom_root(lambda x, a: x * x - a, np.sqrt)
    assert float(tg.grad(tg.grad(tg.grad(square_root)))(4.0)) == pytest.approx(3 / 8 / 32, rel=1e-12)


def test_on_the_tape_between_others():
    a, b = tg.tensor(A, requires_grad=True), tg.tensor(B, requires_grad=True)
    z = (tg.exp(root(2 * a, b * b)) * [1.0, 3.0]).sum()
    z.backward()
    expected = tg.grad(lambda a, b: (tg.exp(root(2 * a, b * b)) * [1.0, 3.0]).sum(), (0, 1))(A, B)
    np.testing.assert_allclose(a.grad, expected[0], rtol=1e-13)
    np.testing.assert_allclose(b.grad, expected[1], rtol=1e-13)


def test_structures_and_arguments_without_a_gradient():
    f = tg.custom_root(lambda x, p, n: p["a"] * x ** n - p["b"][0], lambda p, n: (p["b"][0] / p["a"]) ** (1 / n))
    p = {"a": np.array(2.0), "b": [np.array(16.0)]}
    g = tg.grad(f)(p, 3)
    assert float(g["a"]) == pytest.approx(-1 / 3) and float(g["b"][0]) == pytest.approx(1 / 24)
    tg.gradcheck(lambda a: f({"a": a, "b": [tg.tensor(3.0)]}, 3), np.array(2.0), order=2)


def test_fixed_point():
    def layer(x, w, b):
        return tg.tanh(w @ x + b)

    w = A / 5
    x = tg.custom_fixed_point(layer, np.zeros(2), w, B)
    np.testing.assert_allclose(np.tanh(w @ x.data + B), x.data, rtol=1e-14)
    tg.gradcheck(lambda w, b: tg.custom_fixed_point(layer, np.zeros(2), w, b), w, B, order=2)
    single = tg.custom_fixed_point(layer, np.zeros(2, "f4"), w.astype("f4"), B.astype("f4"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.data, x.data, rtol=1e-5)


OUTSIDE = tg.tensor(2.0, requires_grad=True)


@pytest.mark.parametrize("call, kind, words", [
    (lambda a: tg.custom_root(lambda x, a: x * OUTSIDE - a, lambda a: a / 2)(a), GradientError, "not among its arguments"),
    (lambda a: tg.custom_root(lambda x, a: tg.stack([x, x]) - a, lambda a: a)(a), ShapeError, "one equation for each"),
    (lambda a: tg.custom_fixed_point(lambda x, a: 2 * x + a, 1.0, a, maxiter=20), RuntimeError, "after 20 steps"),
    (lambda a: tg.custom_fixed_point(lambda x, a: tg.stack([x, x]), 1.0, a), ShapeError, "custom_fixed_point"),
    (lambda a: tg.custom_root(lambda x, a: 0 * x - 0 * a, lambda a: a * 0)(a).backward(), np.linalg.LinAlgError, "ingular"),
])
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call(tg.tensor(3.0, requires_grad=True))


def test_without_recording():
    with tg.no_grad():
        assert not root(tg.tensor(A, requires_grad=True), B).requires_grad


def test_the_tape_holds_one_entry():
    a = tg.tensor(A, requires_grad=True)
    before = len(tg.tape())
    x = root(a, B)
    assert len(tg.tape()) == before + 1 and "custom_root" in repr(x)


@pytest.mark.parametrize("fixed", [np.array(B), tg.tensor(B)])
def test_what_has_no_gradient_may_be_written_to_before_the_sweep(fixed):
    a, expected = tg.tensor(A, requires_grad=True), tg.tensor(A, requires_grad=True)
    root(expected, B).sum().backward()
    x = root(a, fixed).sum()
    (fixed.data if isinstance(fixed, tg.Tensor) else fixed)[:] = 50.0
    x.backward()
    np.testing.assert_array_equal(a.grad, expected.grad)


def test_one_tensor_as_two_arguments():
    product = tg.custom_root(lambda x, a, b: x * x - a * b, lambda a, b: np.sqrt(a * b))
    assert tg.grad(lambda a: product(a, a))(4.0) == pytest.approx(1.0)


@pytest.mark.parametrize("f", [lambda y: tg.custom_fixed_point(lambda x, y: tg.cos(y * x) * 0.3, np.ones(2), y),
                               lambda y: tg.custom_root(lambda x, y: x * x - y, np.sqrt)(y)], ids=["fixed point", "root"])
def test_an_array_that_was_handed_out_may_be_written_to_before_the_sweep(f):
    found = []
    for written in (False, True):
        x = tg.tensor(B, requires_grad=True)
        y = x * 1
        array = y.data
        z = f(y).sum()
        if written:
            array[:] = 100
        z.backward()
        found.append(x.grad)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("call", [
    lambda b: tg.custom_root(lambda x, a: x * x - a * b, lambda a: np.sqrt(2 * a))(4.0),
    lambda b: tg.custom_fixed_point(lambda x, a: tg.cos(a * x) * b / 2, 1.0, 1.0),
])
def test_a_tensor_that_is_no_argument_is_refused_where_no_argument_has_a_gradient_either(call):
    with pytest.raises(GradientError, match="not among its arguments"):
        tg.grad(lambda b: b * call(b))(2.0)
    with tg.no_grad():
        assert not call(tg.tensor(2.0, requires_grad=True)).requires_grad
