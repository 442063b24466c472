"""vmap as users call it: axes, structures, nesting, composition, and what is refused. A loop over the examples is the oracle,
and JAX where it is installed. Functions are in test_vmap_functions.py, every row in test_vmap_table.py."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad import errors

X = np.random.default_rng(0).normal(size=(4, 3))
Y = np.random.default_rng(1).normal(size=(4, 3))
A = np.random.default_rng(2).normal(size=(3, 3))
Pair = namedtuple("Pair", "x y")


def scalar(x):
    return (tg.tanh(A @ x) ** 3).sum()


def vector(x):
    return tg.tanh(A @ x) * x[0]


def loop(f, *xs):
    """[f(x, ..) for x, .. in zip(xs, ..)] as one array."""
    return np.stack([np.asarray(f(*each)) for each in zip(*xs)])


def same(z, wanted, **tolerance):
    np.testing.assert_allclose(np.asarray(z), wanted, **{"rtol": 1e-12, "atol": 1e-14, **tolerance})


class TestAxes:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(-3, 2), st.one_of(st.none(), st.integers(-2, 1)), st.integers(-3, 2))
    def test_of_arguments_and_results(self, first, second, out):
        x = np.random.default_rng(0).normal(size=(2, 3, 4))
        n = x.shape[first]
        y = np.random.default_rng(1).normal(size=4 if second is None else (n, 4) if second % 2 == 0 else (4, n))
        f = lambda x, y: (x + 1.0).T * y.sum()  # noqa: E731
        xs = np.moveaxis(x, first, 0)
        ys = [y] * n if second is None else np.moveaxis(y, second, 0)
        wanted = np.moveaxis(loop(f, xs, ys), 0, out)
        same(tg.vmap(f, (first, second), out)(x, y), wanted)
        same(tg.vmap(f, [first, second], out)(tg.tensor(x), y), wanted)

    def test_structures(self):
        f = lambda p, x, scale: {"z": (p["W"] @ x + p["b"]) * scale[0], "pair": Pair(x, 2.0)}  # noqa: E731
        p = {"W": A, "b": Y[0]}
        z = tg.vmap(f, ({"W": None, "b": None}, 0, (None, None)))(p, X, [3.0, 4.0])
        same(z["z"], (X @ A.T + Y[0]) * 3)
        assert type(z["pair"]) is Pair
        same(z["pair"].x, X)
        same(z["pair"].y, np.full(4, 2.0))
        z = tg.vmap(f, ({"W": None, "b": 0}, 0, None), {"z": 1, "pair": (0, None)})({"W": A, "b": Y}, X, [3.0])
        same(z["z"], ((X @ A.T + Y) * 3).T)
        assert z["pair"].y.shape == ()
        same(tg.vmap(lambda p: p.x * p.y)(Pair(X, Y)), X * Y)

    def test_keyword_arguments_and_none(self):
        same(tg.vmap(lambda x, y, z=None: x * y if z is None else z, (0, 0))(X, Y), X * Y)
        same(tg.vmap(lambda x, nothing, y: x * y if nothing is None else x)(X, None, y=Y), X * Y)

    def test_arrays_for_arrays(self):
        assert isinstance(tg.vmap(scalar)(X), np.ndarray) and isinstance(tg.vmap(scalar)(tg.tensor(X)), tg.Tensor)
        w = tg.tensor(A, requires_grad=True)
        assert tg.vmap(lambda x: w @ x)(X).requires_grad
        same(tg.vmap(lambda x: x.sum())(np.ones((4, 3), "f4")), np.full(4, 3, "f4"))
        assert tg.vmap(lambda x: x * 2.0)(np.ones((4, 3), "f4")).dtype == np.float32

    def test_no_examples(self):
        assert tg.vmap(scalar)(X[:0]).shape == (0,) and tg.vmap(tg.grad(scalar))(X[:0]).shape == (0, 3)

    @pytest.mark.parametrize("axes, args, error, match", [
        (0, (X, X[:3]), errors.ShapeError, "4 examples along axis 0 of float64 \\(4, 3\\), and 3 along axis 0"),
        (2, (X,), errors.ShapeError, "in_axes has 2 for an argument float64 \\(4, 3\\), which has 2 axes"),
        (-3, (X,), errors.ShapeError, "in_axes has -3"),
        (0, (2.0,), errors.ShapeError, "in_axes has 0 for an argument float64 \\(\\)"),
        (None, (X,), ValueError, "no argument has examples"),
        (0, (), ValueError, "no argument has examples"),
        ((0, 0), (X,), ValueError, "in_axes=\\(0, 0\\) for 1 arguments"),
        (({"a": 0},), ({"b": X},), ValueError, "in_axes has {'a': 0} where there is a dict with the keys 'b'"),
        (((0, 0),), ([X],), ValueError, "where there is a list of 1"),
        (("x",), (X,), TypeError, "in_axes has 'x'"),
        ("x", (X,), TypeError, "in_axes='x'"),
        (0, ("text",), errors.DtypeError, "an argument is str, which has no examples"),
    ])
    def test_refused(self, axes, args, error, match):
        with pytest.raises(error, match=match):
            tg.vmap(lambda *xs: xs[0], axes)(*args)

    @pytest.mark.parametrize("out, f, error, match", [
        (2, lambda x: x, errors.ShapeError, "out_axes has 2 for a result float64 \\(3,\\)"),
        (None, lambda x: x, ValueError, "out_axes is None for a result float64 \\(3,\\) that differs by example"),
        ((0, 0), lambda x: x, ValueError, "out_axes has \\(0, 0\\) where the function returned float64 \\(3,\\)"),
        (0, lambda x: "text", errors.DtypeError, "a result is str"),
    ])
    def test_results_refused(self, out, f, error, match):
        with pytest.raises(error, match=match):
            tg.vmap(f, 0, out)(X)

    def test_not_a_function(self):
        with pytest.raises(TypeError, match="vmap: 3 is not a function"):
            tg.vmap(3)


class TestTogether:
    """With the other transforms, inside and outside of it."""

    @pytest.mark.parametrize("f", [
        tg.grad(scalar), tg.jacobian(vector), tg.hessian(scalar), tg.grad(lambda x: (tg.grad(scalar)(x) ** 2).sum()),
        tg.elementwise_grad(tg.sin), tg.grad(tg.checkpoint(scalar)), tg.checkpoint(vector), tg.compile(vector),
        lambda x: tg.value_and_grad(scalar)(x)[0], lambda x: tg.value_and_grad(scalar)(x)[1],
        lambda x: tg.grad(lambda x: (scalar(x), x * 2), has_aux=True)(x)[1],
        lambda x: tg.jvp(vector, (x,), (Y[0],))[1], lambda x: tg.jvp(vector, (Y[0],), (x,))[1],
        lambda x: tg.vjp(vector, x)[1](Y[0])[0], lambda x: tg.vjp(vector, Y[0])[1](x)[0],
        lambda x: tg.hvp(scalar, (x,), (Y[0],))[0], lambda x: tg.grad(lambda w: (tg.tanh(w @ x) ** 2).sum())(A),
        lambda x: tg.vmap(lambda y: tg.sin(x) * y.sum())(Y).sum(0),
        lambda x: tg.vmap(tg.grad(lambda y: (x * y).sum() ** 2))(Y).T,
        tg.custom_root(lambda x, a: x * x * x - a, np.cbrt),
        tg.jacobian(tg.custom_root(lambda x, a: x * x * x - a, np.cbrt)),
        lambda x: tg.custom_fixed_point(lambda z, a: 0.5 * tg.cos(a * z), 1.0, x[0]),
    ])
    def test_inside(self, f):
        same(tg.vmap(f)(X), loop(f, X), rtol=1e-9)
        both = tg.vmap(tg.vmap(f))(np.stack([X, Y]))
        same(both, np.stack([loop(f, X), loop(f, Y)]), rtol=1e-9)

    def test_outside(self):
        slope = loop(tg.grad(scalar), X)
        total = lambda x: tg.vmap(scalar)(x).sum()  # noqa: E731
        same(tg.grad(total)(X), slope)
        same(tg.grad(tg.checkpoint(total))(X), slope)
        same(tg.jacobian(tg.vmap(vector))(X)[1, :, 1], tg.jacobian(vector)(X[1]))
        assert not tg.jacobian(tg.vmap(vector))(X)[1, :, 2].any()
        same(tg.hessian(total)(X)[1, :, 1], tg.hessian(scalar)(X[1]))
        same(tg.jvp(tg.vmap(vector), (X,), (Y,))[1], loop(lambda x, y: tg.jvp(vector, (x,), (y,))[1], X, Y))
        tg.gradcheck(tg.vmap(vector), X, order=2)

    def test_pullback_of_the_outside(self):
        _, pullback = tg.vjp(vector, X[0])
        same(tg.vmap(pullback)(np.eye(3))[0], tg.jacobian(vector)(X[0]))
        same(tg.vmap(tg.vmap(pullback))(np.stack([Y, X]))[0], loop(lambda ys: loop(lambda y: pullback(y)[0], ys), [Y, X]))

    def test_what_is_read_from_outside_gets_its_gradient(self):
        w = tg.tensor(A, requires_grad=True)
        loss = lambda x: (tg.tanh(w @ x) ** 2).sum()  # noqa: E731
        tg.vmap(loss)(X).sum().backward()
        found, w.grad = w.grad, None
        sum(loss(x) for x in X).backward()
        same(found, w.grad)

    def test_per_example_gradients(self):
        def loss(p, x, y):
            return tg.cross_entropy(tg.relu(p["W"] @ x + p["b"]), y)

        p = {"W": A, "b": Y[0]}
        found = tg.vmap(tg.grad(loss), (None, 0, 0))(p, X, np.array([0, 2, 1, 1]))
        each = [tg.grad(loss)(p, x, y) for x, y in zip(X, (0, 2, 1, 1))]
        for key in p:
            same(found[key], np.stack([g[key] for g in each]))

    def test_derivatives_of_per_example_gradients(self):
        slope = tg.grad(lambda w, x: tg.sin(w @ x).sum())
        penalty = lambda w: (tg.vmap(slope, (None, 0))(w, X) ** 2).sum()  # noqa: E731
        same(tg.grad(penalty)(A), tg.grad(lambda w: sum((slope(w, x) ** 2).sum() for x in X))(A))

    @pytest.mark.parametrize("f, wanted", [
        (tg.vmap(vector), lambda x: loop(vector, x)), (tg.vmap(tg.grad(scalar)), lambda x: loop(tg.grad(scalar), x)),
        (tg.vmap(tg.jacobian(vector)), lambda x: loop(tg.jacobian(vector), x)),
        (lambda x: tg.jacobian(vector)(x[0]), lambda x: tg.jacobian(vector)(x[0])),
        (lambda x: tg.hessian(scalar)(x[0]), lambda x: tg.hessian(scalar)(x[0]))])
    def test_compiled(self, f, wanted):
        compiled = tg.compile(f, fallback="error")
        for x in (X, Y, X + Y):
            same(compiled(tg.tensor(x)).data, wanted(x), rtol=1e-9)

    def test_compiled_on_arrays(self):
        """Replayed, with all arrays among the arguments as inputs."""
        slope = tg.grad(lambda w, x: tg.tanh(w @ x).sum())
        compiled = tg.compile(tg.vmap(slope, (None, 0)), fallback="error")
        for w, x in ((A, X), (A * 2, Y), (A.T.copy(), X + Y)):
            same(compiled(w, x), np.stack([slope(w, row) for row in x]))
        assert len(compiled.cache) == 1

    def test_compiled_training(self):
        x, y = X, np.array([0, 2, 1, 1])
        losses = []
        for wrap in (lambda step: step, lambda step: tg.compile(step, fallback="error")):
            w = tg.tensor(A, requires_grad=True)
            optimizer = tg.optim.SGD([w], lr=0.5)

            def step(x, y, w=w, optimizer=optimizer):
                optimizer.zero_grad()
                loss = tg.vmap(lambda x, y: tg.cross_entropy(w @ x, y))(x, y).mean()
                loss.backward()
                optimizer.step()
                return loss

            run = wrap(step)
            losses.append([run(tg.tensor(x), tg.tensor(y)).item() for _ in range(4)])
        same(losses[1], losses[0])
        assert losses[0][-1] < losses[0][0]

    def test_compiled_index(self):
        compiled = tg.compile(tg.vmap(lambda x, i: x[i] ** 2), fallback="error")
        for i in (np.array([0, 1, 2, 2]), np.array([2, 2, 0, 1])):
            same(compiled(tg.tensor(X), tg.tensor(i)).data, X[range(4), i] ** 2)

    def test_networks(self):
        layer = tg.nn.Sequential(tg.nn.Linear(3, 5), tg.nn.LayerNorm(5), tg.nn.Tanh(), tg.nn.Linear(5, 2))
        x = X.astype("f4")
        same(tg.vmap(layer)(x).data, loop(lambda x: layer(tg.tensor(x)).data, x), rtol=1e-5, atol=1e-6)
        images = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype("f4")
        conv = tg.nn.Conv2d(2, 3, 3)
        same(tg.vmap(conv)(images).data, conv(tg.tensor(images)).data, rtol=1e-5, atol=1e-6)


def test_watched():
    for watched in (tg.traced(), tg.detect_anomaly()):
        with watched:
            same(tg.vmap(tg.grad(scalar))(X), loop(tg.grad(scalar), X))
            same(tg.jacobian(tg.sin)(np.arange(6.0)), np.diag(np.cos(np.arange(6.0))))
    with tg.detect_anomaly(), pytest.raises(errors.AnomalyError, match="log"):
        tg.vmap(tg.log)(np.zeros((2, 3)))


class TestRefused:
    @pytest.mark.parametrize("f", [
        lambda x: x if x[0] > 0 else -x, lambda x: float(x[0]), lambda x: x[0].item(), lambda x: x[x > 0], np.array,
        lambda x: x.data, lambda x: x.tolist(), tg.nonzero, tg.unique, lambda x: x.detach().numpy(),
        lambda x: [1, 2, 3][int(x[0])],
        lambda x: tg.repeat(x, tg.astype(x, int)), lambda x: range(tg.argmax(x)), tg.tensor, tg.trim_zeros,
    ])
    def test_looking_at_elements(self, f):
        with pytest.raises(errors.VmapError, match="vmap: the function looks at the elements of .*; they differ by example"):
            tg.vmap(f)(X)

    @pytest.mark.parametrize("f, match", [
        (lambda x: x.sum().backward(), "backward\\(\\) inside of vmap"),
        (lambda x: tg.zeros(3).__setitem__(0, x[0]), "written into a tensor that all examples share"),
        (lambda x: tg.zeros(3).__iadd__(x), "written into a tensor that all examples share"),
        (lambda x: tg.vmap(lambda y: x.__setitem__(0, y[0]))(Y), "of an inner vmap is written into a tensor of an outer one"),
        (lambda x: tg.vmap(lambda y: (x * 1).__setitem__(0, y[0]))(Y), "of an inner vmap is written"),
        (lambda x: setattr(x, "requires_grad", True), "requires_grad of an example"),
        (lambda x: x.register_hook(print), "a hook of one example"), (lambda x: x.retain_grad(), "keeps no gradient"),
        (lambda x: tg.autograd.grad(x.sum(), x), "stands for one example under vmap"),
    ])
    def test_what_can_not_be_done(self, f, match):
        with pytest.raises(errors.VmapError, match=match):
            tg.vmap(f)(X)

    def test_what_gets_out(self):
        kept = []
        tg.vmap(lambda x: kept.append(x) or x)(X)
        with pytest.raises(errors.VmapError, match="vmap has returned"):
            kept[0] + 1
        with pytest.raises(errors.VmapError, match="a run that has ended"):
            tg.vmap(lambda y: kept[0])(Y)
        pulls = []
        tg.vmap(lambda x: pulls.append(tg.vjp(vector, x)[1]) or x)(X)
        with pytest.raises(errors.VmapError, match="vjp: it was made inside of a function under vmap that has returned"):
            pulls[0](Y[0])

    def test_different_shapes(self):
        count = tg.primitive(lambda d, z, x: 0 * x, name="positive_part")(lambda x: np.asarray(x)[np.asarray(x) > 0])
        with pytest.raises(errors.VmapError, match="results of different shapes"):
            tg.vmap(count)(X)

    def test_after_an_error_nothing_is_left(self):
        with pytest.raises(ZeroDivisionError):
            tg.vmap(lambda x: 1 / 0)(X)
        assert not tg.tape().levels
        same(tg.grad(scalar)(X[0]), tg.grad(scalar)(tg.tensor(X[0])).data)

    def test_shapes_are_those_of_an_example(self):
        with pytest.raises(errors.ShapeError, match="matmul"):
            tg.vmap(lambda x: A @ x[:2])(X)

    def test_its_text(self):
        seen = []
        tg.vmap(lambda x: seen.append((repr(x), x.shape, x.ndim, x.size, len(x), x.dtype)) or x)(X)
        assert seen == [("tensor(float64 (3,), one of 4 examples under vmap)", (3,), 1, 3, 3, np.float64)]


class TestJacobians:
    """They are one sweep of many deltas."""

    def test_in_parts(self, monkeypatch):
        from tapegrad.transforms import functional

        wanted = tg.jacobian(vector)(X[0])
        big = lambda x: tg.concatenate([vector(x), tg.sin(x), x.sum()[None]])  # noqa: E731
        whole = tg.jacobian(big)(X[0])
        same(whole[:3], wanted)
        monkeypatch.setattr(functional, "_AT_ONCE", 7 * 6)
        same(tg.jacobian(big)(X[0]), whole)
        monkeypatch.setattr(functional, "_AT_ONCE", 7)
        same(tg.jacobian(big)(X[0]), whole)

    def test_strong_zeros(self):
        """A delta of 0 stops where a derivative is infinite, in the rows of others, too."""
        x = np.array([4.0, 0.0, 1.0, 9.0, 0.0])
        with np.errstate(all="ignore"):
            found = tg.jacobian(lambda x: tg.where(x > 0, x * tg.log(x), 0.0))(x)
        assert np.isfinite(found).all()
        same(np.diag(found), np.where(x > 0, np.log(np.where(x > 0, x, 1)) + 1, 0))

    def test_of_a_checkpoint_that_draws(self):
        tg.manual_seed(0)
        found = tg.jacobian(tg.checkpoint(lambda x: tg.dropout(x * x, 0.5)))(np.arange(1.0, 13.0))
        assert set(np.diag(found) / np.arange(1.0, 13.0)) == {0.0, 4.0} and np.count_nonzero(found) < 12

    def test_structures_and_unused(self):
        f = lambda p, q: {"a": tg.exp(p["x"]) * q[0], "b": q[1] * 2}  # noqa: E731
        z = tg.jacobian(f, (0, 1))({"x": X[0], "y": X[1]}, [Y[0], Y])
        same(z["a"][0]["x"], np.diag(np.exp(X[0]) * Y[0]))
        assert not z["a"][0]["y"].any() and z["b"][1][1].shape == (4, 3, 4, 3)
        same(z["b"][1][1].reshape(12, 12), 2 * np.eye(12))

    def test_of_a_jacobian(self):
        f = lambda x: tg.sin(x) * x.sum()  # noqa: E731
        second = tg.jacobian(tg.jacobian(f))(np.arange(5.0))
        third = lambda i: tg.hessian(lambda x: f(x)[i])(np.arange(5.0))  # noqa: E731
        same(second, np.stack([third(i) for i in range(5)]), rtol=1e-10)


class TestAgainstJax:
    """The API is JAX's."""

    @pytest.mark.parametrize("in_axes, out_axes", [
        (0, 0), ((0, None, 0), 0), ((None, 0, None), 1), ((1, 0, {"a": 1, "b": None}), 0), ((-1, -1, {"a": 1, "b": 0}), -1),
        ((0, 0, None), (0, {"c": 1}))])
    def test_axes(self, in_axes, out_axes):
        jax = pytest.importorskip("jax")
        rng = np.random.default_rng(0)
        args = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), {"a": rng.normal(size=(3, 3)), "b": rng.normal(size=(3, 3))}

        def f(np):
            return lambda x, y, p: (np.sin(x).sum() * y, {"c": np.dot(p["a"], p["b"]) + x})

        theirs = jax.vmap(f(jax.numpy), in_axes, out_axes)(*args)
        ours = tg.vmap(f(tg), in_axes, out_axes)(*args)
        same(ours[0], theirs[0], rtol=1e-5, atol=1e-5)
        same(ours[1]["c"], theirs[1]["c"], rtol=1e-5, atol=1e-5)

    def test_refused_alike(self):
        jax = pytest.importorskip("jax")
        for axes, args in ((None, (X,)), (0, (X, X[:2])), (2, (X,)), ((0, 0), (X,)), (({"a": 0},), ({"b": X},)), (0, (2.0,))):
            for vmap in (jax.vmap, tg.vmap):
                with pytest.raises((ValueError, TypeError)):
                    vmap(lambda *xs: xs[0], axes)(*args)


def test_products_of_nothing():
    """Where the examples have no columns, or no rows."""
    for shape, vector in (((3, 0), (5, 0)), ((0, 2), (5, 2)), ((0, 0), (5, 0))):
        z = tg.vmap(lambda w, shape=shape: tg.zeros(shape) @ w)(np.zeros(vector))
        assert np.shape(z) == (5, shape[0])
