"""What users' functions return, keep and change: derivatives of primitives, their arguments, hooks."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import errors

X = np.array([0.5, -1.0, 2.0])


def T(v):
    return tg.tensor(v, requires_grad=True)


def lent(v):
    """A tensor of the array itself, into which the caller may write."""
    x = tg.tensor(np.zeros_like(v))
    x.data = v
    return x


class TestWhatADerivativeReturns:
    @pytest.mark.parametrize("uses", (1, 2, 3))
    @pytest.mark.parametrize("name, d_square", {
        "arrays": lambda d, z, x: d * 2 * x,
        "tapegrad": lambda d, z, x: tg.multiply(d, tg.multiply(x, 2.0)),
        "a tensor of its own": lambda d, z, x: tg.tensor(2.0) * (d * x),
    }.items())
    def test_tensors_and_arrays_at_any_order(self, name, d_square, uses):
        square = tg.primitive(d_square, name="square_in_a_test")(lambda x: x * x)
        x = T(X)
        total = sum((square(x) for _ in range(uses)), square(x)).sum()
        total.backward(retain_graph=True)
        assert type(x.grad) is np.ndarray
        np.testing.assert_allclose(x.grad, (uses + 1) * 2 * X)
        g, = tg.autograd.grad(total, x, create_graph=True)
        np.testing.assert_allclose(tg.autograd.grad(g.sum(), x)[0].data, (uses + 1) * np.full(3, 2.0))
        total.backward()
        np.testing.assert_allclose(x.grad, (uses + 1) * 4 * X)

    @pytest.mark.parametrize("returned", (3.0, 3, np.float64(3.0), np.float32(3.0), [3.0], np.array([3.0])))
    @pytest.mark.parametrize("shape", ((), (3,), (2, 3)))
    def test_a_number_is_the_contribution_to_every_element(self, shape, returned):
        if isinstance(returned, (list, np.ndarray)) and shape == ():
            return
        f = tg.primitive(lambda d, z, x: returned, name="constant_slope_in_a_test")(lambda x: 3 * x)
        for create in (False, True):
            x = T(np.ones(shape))
            g, = tg.autograd.grad((f(x) + x).sum(), x, create_graph=create)
            np.testing.assert_array_equal(g.data, np.full(shape, 4.0))
            assert g.dtype == np.float64

    @pytest.mark.parametrize("returned", (np.ones(2), np.ones((3, 1)), np.array(["a"] * 3), "text"))
    def test_what_does_not_fit_is_refused_with_its_name(self, returned):
        f = tg.primitive(lambda d, z, x: returned, name="misfit_in_a_test")(lambda x: 3 * x)
        for create in (False, True):
            with pytest.raises(errors.ShapeError, match="misfit_in_a_test: the derivative of argument 0"):
                f(T(X)).sum().backward(create_graph=create)

    def test_a_buffer_that_is_used_again(self):
        buffer = np.empty(3)
        f = tg.primitive(lambda d, z, x: np.multiply(d, 2 * x, out=buffer), name="buffered_in_a_test")(
            lambda x: np.multiply(x, x, out=buffer))
        x, y = T(X), T(X + 1)
        u, v = f(x), f(y)
        np.testing.assert_array_equal(u.data, X * X)
        (u + v).sum().backward()
        np.testing.assert_array_equal(x.grad, 2 * X)
        np.testing.assert_array_equal(y.grad, 2 * (X + 1))


class TestWhatTheyAreGiven:
    """Arrays can't be written into; what happens to a tensor happens to a tensor of the user's own."""

    @pytest.mark.parametrize("i", range(4), ids=("delta", "out", "x", "static"))
    def test_a_derivative(self, i):
        def write(*args):
            args[i][...] = 7
            return args[0]

        f = tg.primitive(write, name="writing_in_a_test")(lambda x, a: x * 1)
        x, w, seed = T(X), T(X), np.ones(3)
        h = x * 1
        z = w + f(h, np.ones(3)) + h * h
        with pytest.raises(ValueError, match="read-only"):
            z.backward(seed, retain_graph=True)
        assert x.grad is w.grad is None
        np.testing.assert_array_equal(seed, np.ones(3))
        if i < 3:
            g = tg.autograd.grad(z, [x, w], seed, create_graph=True)
            np.testing.assert_array_equal(g[0].data, [7, 7, 7] + 2 * X if i == 0 else 1 + 2 * X)
            np.testing.assert_array_equal(g[1].data, np.ones(3))
        np.testing.assert_array_equal(h.data, X)

    @pytest.mark.parametrize("i", range(4), ids=("x", "static", "structure", "keyword"))
    def test_a_function(self, i):
        def f(x, a, b, c=None):
            (x, a, b[0], c)[i][...] = 7
            return x * 1

        f = tg.primitive(lambda d, z, *args, c=None: d, name="writing_in_a_test")(f)
        x, a, b, c = T(X) * 1, np.ones(3), [np.ones(3)], np.ones(3)
        with pytest.raises(ValueError, match="read-only"):
            f(x, a, b, c=c)
        np.testing.assert_array_equal([x.data, a, b[0], c], [X, np.ones(3), np.ones(3), np.ones(3)])

    def test_numbers_stay_what_they_are(self):
        given, kinds = (2, 2.0, np.float64(2), np.int64(2), "a", None, (np.int64(1), [np.float32(2)])), []
        f = tg.primitive(lambda d, z, x, a: d, name="numbers_in_a_test")(lambda x, a: kinds.append(a) or x * 1)
        for a in given:
            f(T(X), a)
        assert str(kinds) == str([*given]) and [type(a) for a in kinds] == [type(a) for a in given]
        assert type(kinds[-1][0]) is np.int64 and type(kinds[-1][1][0]) is np.float32

    @pytest.mark.parametrize("create", (False, True))
    @pytest.mark.parametrize("leaf", (False, True))
    def test_a_hook(self, create, leaf):
        def write(d):
            if create:
                d *= 0
            else:
                with pytest.raises(ValueError, match="read-only"):
                    d *= 0

        x, w, seed = T(X), T(X), np.ones(3)
        h = x if leaf else x * 1
        h.register_hook(write)
        g = tg.autograd.grad(w + h, [x, w], seed, create_graph=create)
        np.testing.assert_array_equal([d.data for d in g] + [seed], np.ones((3, 3)))


    @pytest.mark.parametrize("given", [lambda seed: seed, lent], ids=["array", "lent by a tensor"])
    @pytest.mark.parametrize("pull", [
        lambda f, x, seed: f(x).backward(seed), lambda f, x, seed: tg.autograd.grad(f(x), x, seed),
        lambda f, x, seed: tg.vjp(f, x.data)[1](seed)], ids=["backward", "grad", "vjp"])
    def test_a_hook_keeps_what_the_caller_writes_into_afterwards(self, pull, given):
        """The seed goes through a sum as it is."""
        kept, seed = [], np.ones(3)

        def f(x):
            h = x * 2
            h.register_hook(lambda d: kept.append(d))
            return h + x

        pull(f, T(X), given(seed))
        seed[:] = 9
        np.testing.assert_array_equal(kept, [np.ones(3)])


class TestArgumentsWithoutADerivative:
    @pytest.mark.parametrize("how", ("static", "keyword", "structure", "tensor"))
    def test_they_may_be_written_to_afterwards(self, how):
        def scale(a):
            a = a["a"][0] if isinstance(a, dict) else a
            return np.asarray(a)

        f = tg.primitive(lambda d, z, x, a: d * scale(a), name="scaled_in_a_test")(lambda x, a: x * scale(a))
        x, a = T(X), np.ones(3)
        t = tg.tensor(a)
        z = f(x, a=a) if how == "keyword" else f(x, {"a": [a]} if how == "structure" else t if how == "tensor" else a)
        a[:] = 100
        t.data[:] = 100
        z.sum().backward()
        np.testing.assert_array_equal(x.grad, np.ones(3))

    def test_one_that_requires_a_gradient_is_refused(self):
        f = tg.primitive(lambda d, z, x, a: d, name="refusing_in_a_test")(lambda x, a: x)
        for call in (lambda: f(T(X), T(X)), lambda: f(T(X), a=[T(X)])):
            with pytest.raises(errors.GradientError, match="refusing_in_a_test: an argument without a derivative"):
                call()
        with tg.no_grad():
            f(T(X), T(X))


class TestHooks:
    @pytest.mark.parametrize("create", (False, True))
    @pytest.mark.parametrize("name, hook", {
        "array": lambda d: np.asarray(getattr(d, "data", d)) * 2, "tensor": lambda d: tg.multiply(d, 2.0),
    }.items())
    def test_they_may_return_arrays_or_tensors(self, name, hook, create):
        x = T(X)
        h = x * 1.0
        x.register_hook(hook)
        h.register_hook(hook)
        (h * 3 + x).sum().backward(create_graph=create)
        assert type(x.grad) is (tg.Tensor if create else np.ndarray)
        np.testing.assert_array_equal(getattr(x.grad, "data", x.grad), np.full(3, 14.0))

    def test_they_may_return_a_buffer_that_they_use_again(self):
        buffer, x, y = np.empty(3), T(X), T(X)
        for t in (x, y):
            t.register_hook(lambda d: np.multiply(d, 2, out=buffer))
        (x * 3 + y * 5).sum().backward()
        np.testing.assert_array_equal([x.grad, y.grad], [[6] * 3, [10] * 3])

    @pytest.mark.parametrize("leaf", (True, False))
    def test_backward_of_its_own_graph(self, leaf):
        x = T(X)
        h = x if leaf else x * 2
        loss = (h * h).sum()
        remove = h.register_hook(lambda d: loss.backward(retain_graph=True))
        with pytest.raises(errors.GradientError, match="hook has called backward"):
            loss.backward(retain_graph=True)
        remove()
        loss.backward()
        np.testing.assert_array_equal(x.grad, (1 if leaf else 4) * 2 * X)

    def test_consuming_what_the_sweep_has_yet_to_walk(self):
        x = T(X)
        u = x * 2
        h = tg.sin(u)
        h.register_hook(lambda d: u.sum().backward())
        with pytest.raises(errors.ConsumedTapeError):
            (h * u).sum().backward()

    def test_another_graph_inside_of_a_hook(self):
        x, y = T(X), T(X)
        other = (y * y).sum()
        h = x * 2
        h.register_hook(lambda d: other.backward())
        (h * h).sum().backward()
        np.testing.assert_array_equal(y.grad, 2 * X)
        np.testing.assert_array_equal(x.grad, 8 * X)


class TestRetainedGradients:
    def test_item_assignment_moves_them_to_the_new_value(self):
        for again in (False, True):
            x = T(X)
            y = x * 2
            y.retain_grad()
            y[0] = 5.0
            if again:
                y.retain_grad()
            (y * y).sum().backward()
            np.testing.assert_array_equal(y.grad, [10.0, 2 * -2.0, 8.0])
            np.testing.assert_array_equal(x.grad, [0.0, -8.0, 16.0])

    def test_assignment_that_detaches(self):
        y = T(X) * 2
        y.retain_grad()
        with tg.no_grad():
            y[:] = 1.0
        assert y.grad is None
