"""Derivatives of gradients: zeros where a gradient does not change, errors only where nothing is connected."""

import numpy as np
import pytest
from cases import CASES

import tapegrad as tg
from tapegrad import errors
from tapegrad.core.record import recorded

X = np.array([0.5, -1.0, 2.0])
PIECEWISE_LINEAR = {
    "relu": tg.relu, "abs": tg.abs, "leaky_relu": tg.leaky_relu, "hardtanh": tg.hardtanh, "max": tg.max, "sort": tg.sort,
    "clip": lambda x: tg.clip(x, -0.7, 0.7), "maximum": lambda x: tg.maximum(x, 0.3), "where": lambda x: tg.where(X > 0, x, -x),
    "times a constant": lambda x: x * 2, "itself": lambda x: x, "floor": lambda x: x + tg.floor(x), "constant": lambda x: x - x,
    "getitem": lambda x: x[::2], "cumsum": tg.cumsum, "median": tg.median, "checkpoint": tg.checkpoint(tg.relu),
}


def T(v):
    return tg.tensor(v, requires_grad=True)


@pytest.mark.parametrize("leaf", (True, False))
@pytest.mark.parametrize("name, f", PIECEWISE_LINEAR.items())
def test_second_derivatives_of_piecewise_linear_functions_are_zeros(name, f, leaf):
    x = T(X)
    h = x if leaf else tg.sin(x)
    g, = tg.autograd.grad(f(h).sum(), h, create_graph=True)
    assert g.requires_grad
    for total in (g.sum(), (g * g).sum()):
        second, = tg.autograd.grad(total, h, retain_graph=True)
        np.testing.assert_array_equal(second.data, np.zeros(3))
    third, = tg.autograd.grad(g.sum(), h, create_graph=True)
    np.testing.assert_array_equal(tg.autograd.grad(third.sum(), h)[0].data, np.zeros(3))


@pytest.mark.parametrize("name, f", PIECEWISE_LINEAR.items())
def test_those_of_backward_and_grad(name, f):
    x = T(X)
    f(x).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    np.testing.assert_array_equal(tg.autograd.grad(first.sum(), x)[0].data, np.zeros(3))
    y = T(X)
    g = tg.grad(lambda y: f(y).sum())(y)
    np.testing.assert_array_equal(tg.autograd.grad(g.sum(), y)[0].data, np.zeros(3))


def test_a_penalty_on_a_gradient_leaves_zeros():
    x, w = T(X), T(X)
    g, = tg.autograd.grad((tg.relu(x) * w).sum(), x, create_graph=True)
    (g * g).sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros(3))
    np.testing.assert_array_equal(w.grad, 2 * X * (X > 0))


def test_what_is_not_connected_is_still_refused():
    x, y = T(X), T(X)
    g, = tg.autograd.grad(tg.relu(x).sum() + (y * y).sum(), x, create_graph=True)
    with pytest.raises(errors.GradientError, match="do not depend on input 0"):
        tg.autograd.grad(g.sum(), y, retain_graph=True)
    assert tg.autograd.grad(g.sum(), [x, y], allow_unused=True)[1] is None


def test_zeros_end_at_the_input_that_was_asked_for():
    """They do not go beyond a result, where 0 times an infinite derivative would be NaN."""
    w = T(np.zeros(3))
    h = tg.sqrt(w)
    g, = tg.autograd.grad((tg.relu(h) * w).sum(), h, create_graph=True)
    g.sum().backward()
    np.testing.assert_array_equal(w.grad, np.zeros(3))


@pytest.mark.parametrize("case", [case for case in CASES if not case.variadic], ids=lambda case: case.name)
def test_every_row_gives_what_nested_gradients_give(case):
    xs = [np.asarray(draw(shape, seed)) for seed, (draw, shape) in enumerate(zip(case.operands, case.shapes[0]))]
    if any(x.dtype.kind != "f" for x in xs):
        return

    def total(*xs):
        z = getattr(recorded, case.name)(*xs, *case.static[0])
        return (tg.real(z) if z.dtype.kind == "c" else z).sum()

    ts = list(map(T, xs))
    if total(*ts).dtype.kind != "f" or not total(*ts).requires_grad:
        return
    for t, g in zip(ts, tg.autograd.grad(total(*ts), ts, create_graph=True, allow_unused=True)):
        if g is not None:
            i = [t is other for other in ts].index(True)
            nested = tg.grad(lambda *xs, i=i: tg.grad(total, i)(*xs).sum(), i)(*xs)
            np.testing.assert_allclose(tg.autograd.grad(g.sum(), t, retain_graph=True)[0].data, nested)


class TestInputs:
    def test_the_same_input_twice(self):
        x = T(X)
        h = x * 2
        for create in (False, True):
            found = tg.autograd.grad((h * h).sum(), [x, h, x, h], retain_graph=True, create_graph=create)
            for g, wanted in zip(found, (8 * X, 8 * X / 2, 8 * X, 8 * X / 2)):
                np.testing.assert_array_equal(g.data, wanted)

        def f(x):
            one, other = tg.autograd.grad((x * x).sum(), [x, x], create_graph=True)
            return (one * other).sum()

        np.testing.assert_array_equal(tg.grad(f)(X), 8 * X)

    @pytest.mark.parametrize("derivative", (tg.grad, tg.value_and_grad, tg.elementwise_grad, tg.jacobian))
    def test_the_same_argument_twice_is_refused(self, derivative):
        for argnums in ((0, 0), (1, -1), [0, 1, 0]):
            with pytest.raises(ValueError, match="same argument twice"):
                derivative(lambda x, y: (x * y).sum(), argnums)(X, X)
        for argnums in (1.0, "0", None, ("a",)):
            with pytest.raises(TypeError, match="argnums"):
                derivative(lambda x, y: (x * y).sum(), argnums)(X, X)

    @pytest.mark.parametrize("shape", ((3, 0), (0, 3), (3, 0, 2), (0,), (0, 0)))
    @pytest.mark.parametrize("uses", (1, 2))
    def test_rows_of_empty_tensors(self, shape, uses):
        x = T(np.ones(shape))
        ids = np.array([0, 2] if shape[0] else [], int)
        sum((x[ids].sum() for _ in range(uses)), x.sum()).backward()
        assert x.grad.shape == shape

    def test_integers_to_negative_powers(self):
        for power in (lambda: tg.tensor([1, 2]) ** -1, lambda: tg.power([1, 2], [-1, 2]), lambda: 2 ** tg.tensor([-1])):
            with pytest.raises(ValueError, match="a float") as caught:
                power()
            assert type(caught.value) is ValueError


@pytest.mark.parametrize("beta", (1.0, 3.0))
def test_softplus_of_long_doubles(beta):
    x = np.array([-200.0, -3.0, 0.0, 2.0, 100.0], np.longdouble)
    f = lambda x: tg.softplus(x, beta).sum()  # noqa: E731
    first, second = tg.grad(f)(x), tg.grad(lambda x: tg.grad(f)(x).sum())(x)
    s = 1 / (1 + np.exp(-beta * x))
    assert first.dtype == second.dtype == np.longdouble
    np.testing.assert_allclose(first, s, rtol=1e-8)
    np.testing.assert_allclose(second, np.where(beta * x > 20, 0, beta * s * (1 - s)), rtol=1e-7, atol=1e-12)
