"""Derivatives of functions: against closed forms, central differences, each other, and PyTorch where it is installed."""

import os
import subprocess
import sys
import threading
from collections import namedtuple

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import errors

X = np.array([0.3, 1.2, -0.7])


def f(x):
    return (tg.sin(x) * x ** 3).sum()


def df(x):
    return np.cos(x) * x ** 3 + np.sin(x) * 3 * x ** 2


def d2f(x):
    return -np.sin(x) * x ** 3 + 6 * np.cos(x) * x ** 2 + 6 * np.sin(x) * x


def vector(x):
    return tg.stack([x[0] * x[1], tg.exp(x[2]) * x[0], x.sum()])


JACOBIAN = np.array([[X[1], X[0], 0], [np.exp(X[2]), 0, np.exp(X[2]) * X[0]], [1, 1, 1]])


class TestGrad:
    def test_first_and_second(self):
        np.testing.assert_allclose(tg.grad(f)(X), df(X))
        np.testing.assert_allclose(tg.elementwise_grad(tg.grad(f))(X), d2f(X))
        assert len(tg.tape()) == 0

    @pytest.mark.parametrize("order, wanted", [(1, 32.0), (2, 48.0), (3, 48.0), (4, 24.0), (5, 0.0)])
    def test_any_order(self, order, wanted):
        g = lambda x: x ** 4  # noqa: E731
        for _ in range(order):
            g = tg.grad(g)
        assert g(2.0) == wanted

    def test_value_and_grad(self):
        value, gradient = tg.value_and_grad(f)(X)
        np.testing.assert_allclose(value, (np.sin(X) * X ** 3).sum())
        np.testing.assert_allclose(gradient, df(X))
        assert isinstance(gradient, np.ndarray)

    def test_argnums(self):
        g = lambda x, y: (x * x * y).sum()  # noqa: E731
        np.testing.assert_allclose(tg.grad(g, 1)(X, X + 1), X * X)
        both = tg.grad(g, (0, -1))(X, X + 1)
        assert isinstance(both, tuple)
        np.testing.assert_allclose(both[0], 2 * X * (X + 1))
        np.testing.assert_allclose(both[1], X * X)
        with pytest.raises(TypeError, match="argnums"):
            tg.grad(g, 2)(X, X)

    def test_structures(self):
        Point = namedtuple("Point", "x y")
        tree = {"a": X, "b": [2.0, (np.float32(3), Point(X, 1.5))]}
        g = lambda t, scale: scale * (t["a"] * t["b"][0] * t["b"][1][0] + t["b"][1][1].x * t["b"][1][1].y).sum()  # noqa: E731
        found = tg.grad(g)(tree, 2)
        np.testing.assert_allclose(found["a"], np.full(3, 12.0))
        assert isinstance(found["b"], list) and isinstance(found["b"][1][1], Point)
        assert found["b"][1][0].dtype == np.float32
        np.testing.assert_allclose(found["b"][1][1].y, 2 * X.sum())

    def test_has_aux(self):
        Aux = namedtuple("Aux", "twice text")
        g = lambda x, k=1: ((x ** 3).sum() * k, {"aux": Aux(x * 2, "as it is"), "n": [x.size, None]})  # noqa: E731
        slope, aux = tg.grad(g, has_aux=True)(X)
        np.testing.assert_allclose(slope, 3 * X ** 2)
        assert type(aux["aux"]) is Aux and aux["aux"].text == "as it is" and aux["n"] == [3, None]
        assert isinstance(aux["aux"].twice, np.ndarray)
        np.testing.assert_allclose(aux["aux"].twice, 2 * X)
        (value, aux), (slope,) = tg.value_and_grad(g, (0,), True)(tg.tensor(X), k=2)
        np.testing.assert_allclose(value.data, 2 * (X ** 3).sum())
        assert isinstance(aux["aux"].twice, tg.Tensor) and not aux["aux"].twice.requires_grad
        np.testing.assert_allclose(slope.data, 6 * X ** 2)

    def test_aux_is_differentiated_by_others(self):
        inner = lambda x: sum(tg.grad(lambda y: ((y ** 2).sum(), y * 5), has_aux=True)(x)).sum()  # noqa: E731   2 y + 5 y
        np.testing.assert_allclose(tg.grad(inner)(X), np.full(3, 7.0))

    @pytest.mark.parametrize("g", [lambda x: x.sum(), lambda x: (x.sum(),), lambda x: [x.sum(), 1], lambda x: (x.sum(), 1, 2)])
    def test_without_aux(self, g):
        with pytest.raises(TypeError, match=r"value_and_grad: with has_aux=True the function returns \(value, aux\), not"):
            tg.value_and_grad(g, has_aux=True)(X)

    def test_has_aux_is_that_of_jax(self):
        jax = pytest.importorskip("jax")
        g = lambda x: ((x ** 3).sum(), (x * 2, {"n": 3}))  # noqa: E731
        for ours, theirs in ((tg.grad, jax.grad), (tg.value_and_grad, jax.value_and_grad)):
            mine, other = ours(g, 0, True)(X.astype("f4")), theirs(g, 0, True)(X.astype("f4"))
            assert jax.tree.structure(mine) == jax.tree.structure(other)
            for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(other)):
                np.testing.assert_allclose(a, b, rtol=1e-6)

    def test_tensors_give_tensors(self):
        found = tg.grad(f)(tg.tensor(X))
        assert isinstance(found, tg.Tensor) and not found.requires_grad
        np.testing.assert_allclose(found.data, df(X))

    def test_what_is_read_from_outside_stays_differentiable(self):
        W = tg.tensor(X, requires_grad=True)
        penalty = (tg.grad(lambda x: (W * x * x).sum())(X) ** 2).sum()      # sum (2 W x)^2
        penalty.backward()
        np.testing.assert_allclose(W.grad, 8 * W.data * X * X)

    def test_a_tensor_that_requires_a_gradient_stays_differentiable(self):
        x = tg.tensor(X, requires_grad=True)
        tg.grad(f)(x).sum().backward()
        np.testing.assert_allclose(x.grad, d2f(X))

    def test_leaves_outside_get_no_gradient(self):
        W = tg.tensor(X, requires_grad=True)
        tg.grad(lambda x: (W * x).sum())(X)
        assert W.grad is None

    def test_inside_no_grad(self):
        with tg.no_grad():
            found = tg.grad(f)(tg.tensor(X, requires_grad=True))
            np.testing.assert_allclose(found.data, df(X))
            assert not found.requires_grad

    def test_no_perturbation_confusion(self):
        """Siskind and Pearlmutter (2005): d/dx (x * d/dy (x + y)) = 1, d/dx (x * d/dy (x * y)) = 2 x."""
        assert tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(1.0) == 1
        assert tg.grad(lambda x: x * tg.grad(lambda y: x * y)(2.0))(3.0) == 6
        inner = tg.grad(lambda x: x * tg.jvp(lambda y: x * y, (2.0,), (1.0,))[1])
        assert inner(3.0) == 6

    def test_nested_in_two_threads(self):
        """Nested gradients in threads at the same time: 12, not the 6 that a shared trace level gives."""
        found = []

        def work():
            for _ in range(50):
                found.append(float(tg.grad(lambda x: tg.grad(lambda y: y ** 3)(x))(2.0)))

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert found == [12.0] * 200

    @pytest.mark.parametrize("call, kind", [
        (lambda: tg.grad(lambda x: x * 2)(X), errors.GradientError), (lambda: tg.grad(f)(np.arange(3)), errors.DtypeError),
        (lambda: tg.grad(lambda x: 3.0)(X), errors.GradientError), (lambda: tg.vjp(lambda x: "no", X), errors.DtypeError),
        (lambda: tg.vjp(vector, X)[1](np.ones(2)), errors.ShapeError),
        (lambda: tg.vjp(vector, X)[1]([np.ones(3)]), errors.ShapeError),
        (lambda: tg.jvp(vector, (X,), (np.ones(2),)), errors.ShapeError),
        (lambda: tg.jvp(vector, (X,), ()), errors.ShapeError), (lambda: tg.hvp(f, (X,), ([X],)), errors.ShapeError)])
    def test_bad_calls(self, call, kind):
        with pytest.raises(kind):
            call()
        assert len(tg.tape()) == 0

    @pytest.mark.parametrize("lose", [lambda x: x.sum().item(), lambda x: x.sum().data, lambda x: x.data.sum(),
                                      lambda x: x.detach().numpy().max(), lambda x: int(x.data[0])])
    def test_a_number_whose_gradient_was_lost(self, lose):
        for transform in (tg.grad, tg.value_and_grad, tg.hessian):
            with pytest.raises(errors.GradientError, match="a number without a history: its gradient was lost on the way"):
                transform(lose)(X)

    def test_a_constant_function_has_gradient_zero(self):
        np.testing.assert_array_equal(tg.grad(lambda x: tg.tensor(3.0))(X), np.zeros(3))


class TestProducts:
    def test_vjp(self):
        out, pullback = tg.vjp(vector, X)
        np.testing.assert_allclose(out, vector(tg.tensor(X)).data)
        for u in np.eye(3):
            np.testing.assert_allclose(pullback(u)[0], u @ JACOBIAN)

    def test_jvp(self):
        t = np.array([1.0, -2.0, 0.5])
        out, moved = tg.jvp(vector, (X,), (t,))
        np.testing.assert_allclose(out, vector(tg.tensor(X)).data)
        np.testing.assert_allclose(moved, JACOBIAN @ t)

    def test_structured_vjp_and_jvp(self):
        def g(p, y):
            return {"sum": (p["x"] * y).sum(), "square": p["x"] ** 2}

        y = np.array([1.0, 2.0, 3.0])
        out, pullback = tg.vjp(g, {"x": X}, y)
        dp, dy = pullback({"sum": 1.0, "square": np.ones(3)})
        np.testing.assert_allclose(dp["x"], y + 2 * X)
        np.testing.assert_allclose(dy, X)
        _, moved = tg.jvp(g, ({"x": X}, y), ({"x": np.ones(3)}, np.zeros(3)))
        np.testing.assert_allclose(moved["sum"], y.sum())
        np.testing.assert_allclose(moved["square"], 2 * X)

    def test_derivatives_of_vjp_and_jvp(self):
        np.testing.assert_allclose(tg.grad(lambda x: tg.vjp(vector, x)[1](np.ones(3))[0].sum())(X),
                                   tg.grad(lambda x: tg.jvp(vector, (x,), (np.ones(3),))[1].sum())(X))
        u = np.array([0.5, 2.0, -1.0])
        np.testing.assert_allclose(tg.grad(lambda u: (tg.vjp(vector, X)[1](u)[0] * u).sum())(u),
                                   (JACOBIAN + JACOBIAN.T) @ u)

    @pytest.mark.parametrize("g", [lambda w, d: tg.vjp(lambda x: tg.sin(x * w), X)[1](d)[0],
                                   lambda w, d: tg.jvp(lambda x: tg.sin(x * w), (X,), (d,))[1],
                                   lambda w, d: tg.hvp(lambda x: tg.sin(x * w).sum(), (X,), (d,))[0]],
                             ids=["vjp", "jvp", "hvp"])
    @pytest.mark.parametrize("made", [np.copy, tg.tensor])
    def test_a_vector_may_be_written_to_before_the_result_is_differentiated(self, g, made):
        found = []
        for written in (False, True):
            w, d = tg.tensor(X, requires_grad=True), made(X)
            z = g(w, d).sum()
            if written:
                (d.data if made is tg.tensor else d)[:] = 100.0
            z.backward()
            found.append(w.grad)
        np.testing.assert_array_equal(*found)

    def test_jacobian_and_hessian(self):
        np.testing.assert_allclose(tg.jacobian(vector)(X), JACOBIAN)
        np.testing.assert_allclose(tg.hessian(f)(X), np.diag(d2f(X)), atol=1e-12)
        blocks = tg.hessian(lambda p: (p["a"] * p["b"]).sum())({"a": X, "b": X})
        np.testing.assert_allclose(blocks["a"]["b"], np.eye(3))
        np.testing.assert_allclose(blocks["a"]["a"], np.zeros((3, 3)))
        assert tg.jacobian(lambda x: x.reshape(3, 1) * np.ones((1, 2)))(X).shape == (3, 2, 3)
        assert tg.jacobian(lambda x: x[:0])(X).shape == (0, 3)

    def test_hvp(self):
        t = np.array([1.0, -2.0, 0.5])
        np.testing.assert_allclose(tg.hvp(f, (X,), (t,))[0], d2f(X) * t)
        np.testing.assert_allclose(tg.hvp(lambda x, y: (x * y * y).sum(), (X, X), (t, t))[1], 4 * X * t)


@pytest.mark.parametrize("x", (tg.tensor(X, requires_grad=True), tg.tensor(X), X), ids=("recorded", "tensor", "array"))
def test_a_jacobian_without_rows_is_of_the_kind_of_its_argument(x):
    for f in (lambda x: x[:0], lambda x: (x * 2)[:0], lambda x: tg.zeros((0, 2))):
        found, like = tg.jacobian(f)(x), tg.jacobian(lambda x: x * 2)(x)
        assert type(found) is type(like) and found.dtype == like.dtype and found.shape == (*f(tg.tensor(X)).shape, 3)


class TestAutogradGrad:
    def test_pytorch_form(self):
        x, y = (tg.tensor(v, requires_grad=True) for v in (X, X + 1))
        h = x * y
        z = (h * h).sum()
        gx, gh = tg.autograd.grad(z, [x, h], retain_graph=True)
        np.testing.assert_allclose(gh.data, 2 * h.data)
        np.testing.assert_allclose(gx.data, 2 * h.data * y.data)
        assert x.grad is None and y.grad is None and not gx.requires_grad
        z.backward()
        np.testing.assert_allclose(x.grad, gx.data)
        with pytest.raises(errors.ConsumedTapeError):
            tg.autograd.grad(z, x)

    def test_several_outputs_and_second_order(self):
        x = tg.tensor(X, requires_grad=True)
        (g,) = tg.autograd.grad([x ** 3, tg.sin(x)], x, grad_outputs=[np.ones(3), 2 * np.ones(3)], create_graph=True)
        np.testing.assert_allclose(g.data, 3 * X ** 2 + 2 * np.cos(X))
        (g2,) = tg.autograd.grad(g.sum(), x)
        np.testing.assert_allclose(g2.data, 6 * X - 2 * np.sin(X))

    def test_what_a_copy_was_made_of(self):
        x = tg.tensor(X, requires_grad=True)
        y = tg.positive(x)
        gy, gx = tg.autograd.grad((y * y).sum(), [y, x])
        np.testing.assert_allclose(gy.data, 2 * X)
        np.testing.assert_allclose(gx.data, 2 * X)

    def test_unused_and_bad_inputs(self):
        x, y = (tg.tensor(X, requires_grad=True) for _ in range(2))
        with pytest.raises(errors.GradientError, match="allow_unused"):
            tg.autograd.grad((x * x).sum(), [x, y])
        assert tg.autograd.grad((x * x).sum(), [x, y], allow_unused=True)[1] is None
        with pytest.raises(errors.GradientError, match="input 0"):
            tg.autograd.grad((x * x).sum(), tg.tensor(X))
        with pytest.raises(errors.GradientError, match="scalar"):
            tg.autograd.grad(x * x, x)


class TestCheckpoint:
    def model(self, wrapped):
        W = tg.tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)

        def cell(h, c, scale):
            h = tg.tanh(h @ W + c) * scale
            return {"h": h, "c": h * c}

        cell = wrapped(cell)
        h, c = (tg.tensor(np.full((2, 3), v), requires_grad=True) for v in (1.0, 0.3))
        state = {"h": h, "c": c}
        for _ in range(4):
            state = cell(state["h"], state["c"], 0.9)
        entries = len(tg.tape())
        (state["h"] * state["c"]).sum().backward()
        return entries, (W.grad, h.grad, c.grad)

    def test_same_gradients_from_fewer_entries(self):
        entries, plain = self.model(lambda cell: cell)
        fewer, checkpointed = self.model(tg.checkpoint)
        assert (entries, fewer) == (20, 8)
        for a, b in zip(plain, checkpointed):
            np.testing.assert_allclose(a, b, rtol=1e-13)
        assert len(tg.tape()) == 0

    def test_second_order_and_nesting(self):
        g = lambda x: tg.sin(x) * x  # noqa: E731
        for again in (tg.checkpoint(g), tg.checkpoint(tg.checkpoint(g))):
            np.testing.assert_allclose(tg.jacobian(tg.elementwise_grad(again))(X), tg.hessian(lambda x: g(x).sum())(X))

    def test_a_function_that_changes_is_noticed(self):
        x, rng = tg.tensor(X, requires_grad=True), np.random.default_rng(0)
        z = tg.checkpoint(lambda x: x * rng.normal())(x).sum()
        with pytest.raises(errors.GradientError, match="another value"):
            z.backward()


class TestGradcheck:
    def test_right_and_wrong(self):
        assert tg.gradcheck(f, X, order=3) and tg.gradcheck(lambda p: (p["x"] * 2).sum(), {"x": X})
        with pytest.raises(errors.GradcheckError, match=r"element \(0,\) of argument 0"):
            tg.gradcheck(lambda x: x * x.detach(), X)
        assert tg.gradcheck(f, X.astype("f4"))


class TestUserPrimitives:
    def test_one_argument(self):
        @tg.primitive(lambda delta, out, x: delta * 3 * x ** 2, check=(X,))
        def cubed(x):
            """x^3"""
            return x ** 3

        x = tg.tensor(X, requires_grad=True)
        z = cubed(x)
        assert tg.tape().wengert() == [("z", "cubed", ("x",))] and cubed.__doc__ == "x^3"
        z.sum().backward()
        np.testing.assert_allclose(x.grad, 3 * X ** 2)
        np.testing.assert_allclose(tg.hessian(lambda x: cubed(x).sum())(X), np.diag(6 * X))

    def test_broadcasting_and_other_arguments(self):
        @tg.primitive(lambda d, out, x, y, k, shift=0.0: d * y * k, lambda d, out, x, y, k, shift=0.0: d * x * k)
        def scaled_product(x, y, k, shift=0.0):
            return x * y * k + shift

        x, y = tg.tensor(X, requires_grad=True), tg.tensor(np.ones((2, 1)), requires_grad=True)
        z = scaled_product(x, y, 2, shift=1.0)
        assert z.shape == (2, 3)
        z.sum().backward()
        np.testing.assert_allclose(x.grad, np.full(3, 4.0))
        np.testing.assert_allclose(y.grad, np.full((2, 1), 2 * X.sum()))

    def test_an_argument_without_a_derivative(self):
        @tg.primitive(lambda d, out, x, n: d * n, None)
        def times(x, n):
            return x * n

        x = tg.tensor(X, requires_grad=True)
        times(x, tg.tensor(np.full(3, 2.0), requires_grad=True)).sum().backward()
        np.testing.assert_allclose(x.grad, np.full(3, 2.0))

    def test_a_formula_of_numbers_becomes_kernels(self):
        @tg.primitive(lambda d, out, x, y: d * (3 * x * x if x > 0 else 0.0) * y,
                      lambda d, out, x, y: d * (x ** 3 if x > 0 else 0.0), scalar=True)
        def cubed_ramp(x, y):
            return x ** 3 * y if x > 0 else 0.0

        for dtype in ("f4", "f8"):
            x = tg.tensor(np.array([[-1.0, 2.0], [3.0, -4.0]]), dtype, requires_grad=True)
            y = tg.tensor([1.0, 2.0], dtype, requires_grad=True)
            z = cubed_ramp(x, y)
            assert z.dtype == x.dtype and z.tolist() == [[0, 16], [27, 0]]
            z.sum().backward()
            assert x.grad.dtype == x.dtype and x.grad.tolist() == [[0, 24], [27, 0]] and y.grad.tolist() == [27, 8]
            assert tg.gradcheck(cubed_ramp, np.array([0.5, -2.0]), np.array([1.5, 1.0]))

    def test_a_formula_of_numbers_without_numba(self):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "becomes_kernels"]
        run = subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True)
        assert run.stdout.splitlines()[-1].startswith("1 passed")

    @pytest.mark.parametrize("shape", [(), (3,), (5000,), (7, 9)])
    def test_what_a_formula_of_numbers_raises(self, shape):
        @tg.primitive(lambda d, out, x: d / x, scalar=True)
        def positive_log(x):
            if x < 0:
                raise ValueError("a negative number")
            return np.log(x)

        x = np.ones(shape)
        np.testing.assert_array_equal(positive_log(x).data, np.zeros(shape))
        x.reshape(-1)[-1] = -1
        for given in (x, x.T, np.repeat(x.reshape(-1), 2)[::2]):
            with pytest.raises(ValueError, match="a negative number"):
                positive_log(given)

    def test_bad_definitions(self):
        with pytest.raises(errors.GradcheckError):
            @tg.primitive(lambda d, out, x: d * x, check=(X,))
            def wrong_square(x):
                return x * x
        with pytest.raises(ValueError, match="already"):
            @tg.primitive(lambda d, out, x: d)
            def tanh(x):
                return x
        with pytest.raises(TypeError, match="derivative"):
            tg.primitive()
        with pytest.raises(TypeError, match="derivatives first"):
            tg.primitive(lambda x: x)(tg.tensor([1.0]))


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.autograd.functional

    def ours(x):
        return (tg.tanh(x @ x.T) * tg.exp(x[0, 0])).sum()

    def theirs(x):
        return (torch.tanh(x @ x.T) * torch.exp(x[0, 0])).sum()

    x = np.random.default_rng(0).normal(size=(3, 2))
    v = np.random.default_rng(1).normal(size=(3, 2))
    t, tv = torch.tensor(x), torch.tensor(v)
    np.testing.assert_allclose(tg.hessian(ours)(x), functional.hessian(theirs, t).numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(tg.hvp(ours, (x,), (v,))[0], functional.hvp(theirs, t, tv)[1].numpy(), rtol=1e-10)
    np.testing.assert_allclose(tg.jvp(ours, (x,), (v,))[1], functional.jvp(theirs, t, tv)[1].numpy(), rtol=1e-10)
