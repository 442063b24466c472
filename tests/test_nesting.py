"""Sweeps inside of others, runs inside of runs: each delta is seen once, nothing from outside is touched."""

import time

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import errors
from tapegrad.tree import leaves

X = np.array([0.5, -1.0, 2.0])


def T(v):
    return tg.tensor(v, requires_grad=True)


class TestCheckpoint:
    @pytest.mark.parametrize("order", (1, 2))
    @pytest.mark.parametrize("leaf", (True, False))
    def test_hooks_of_what_it_reads_run_once_per_sweep(self, leaf, order):
        def gradient(again):
            w, x, seen = T(X), T(X), []
            h = w if leaf else w * 1.0
            h.register_hook(lambda d: seen.append(1) or d * 10)
            loss = (again(lambda x: x * h * h)(x) + h).sum()
            g = tg.autograd.grad(loss, [w, x], create_graph=order == 2)
            if order == 2:
                g = tg.autograd.grad(g[0].sum(), [w, x])
            return [d.data for d in g], len(seen)

        (plain, often), (found, seen) = gradient(lambda f: f), gradient(tg.checkpoint)
        assert seen == often == order
        np.testing.assert_allclose(found, plain)

    def test_every_sweep_gives_its_own_delta(self):
        """Nothing is remembered of the delta before, whether it stands in the same array or not."""
        x, seed = T(X), np.zeros(3)
        z = tg.checkpoint(lambda x: x * x)(x)
        scale = [1.0]
        z.register_hook(lambda d: d * scale[0])
        rows = []
        for i in range(3):
            seed[:] = 0
            seed[i] = 1
            rows.append(tg.autograd.grad(z, x, grad_outputs=seed, retain_graph=True)[0].data)
        np.testing.assert_array_equal(rows, np.diag(2 * X))
        scale[0] = 10.0
        np.testing.assert_array_equal(tg.autograd.grad(z, x, np.ones(3))[0].data, 20 * X)

        seed = np.zeros(3)
        _, pullback = tg.vjp(tg.checkpoint(lambda x: x * x), X)
        for i in range(3):
            seed[:] = 0
            seed[i] = 1
            assert pullback(seed)[0][i] == 2 * X[i]

    def test_retained_deltas_of_its_results(self):
        x = T(X)
        z = tg.checkpoint(lambda x: x * x)(x)
        z.retain_grad()
        (z * 3).sum().backward()
        np.testing.assert_array_equal(z.grad, [3, 3, 3])
        np.testing.assert_array_equal(x.grad, 6 * X)

    @pytest.mark.parametrize("leaf", (True, False))
    def test_returning_what_it_was_not_given(self, leaf):
        x, w = T(X), T(X)
        h = w if leaf else w * 1.0
        a, b = tg.checkpoint(lambda x: (x * 2, h))(x)
        (a.sum() + (b * 3).sum()).backward()
        np.testing.assert_array_equal(w.grad, [3, 3, 3])
        np.testing.assert_array_equal(x.grad, [2, 2, 2])

    def test_a_sweep_inside_that_consumes_what_is_around(self):
        x, w = T(X), T(X)
        a, b = w * 2, w * 3
        other = (w * 5).sum()

        def f(x):
            if other._register.tape is not None:
                other.backward()
            return x * 7

        z = tg.checkpoint(f)(x)
        (z * a + b).sum().backward()
        np.testing.assert_array_equal(w.grad, 5 + 14 * X + 3)
        np.testing.assert_array_equal(x.grad, 14 * X)

    def test_consuming_a_part_of_itself_is_noticed(self):
        def f(x):
            h = x * 2
            h.sum().backward()
            return (h * x).sum()

        for differentiated in (tg.grad(f), lambda v: tg.checkpoint(f)(T(v)).backward()):
            with pytest.raises(errors.ConsumedTapeError):
                differentiated(X)

    def test_what_it_gives_away_cannot_be_walked_back(self):
        leaked = []
        tg.checkpoint(lambda x: leaked.append(x * 2) or x * 3)(T(X))
        with pytest.raises(errors.ConsumedTapeError):
            leaked[0].sum().backward()

    @pytest.mark.parametrize("before", (0, 125, 127, 130))
    def test_what_it_computes_in_vain_does_not_matter(self, before):
        """Such entries leave the tape when it is long, at the first run or at the second."""
        def f(x):
            for _ in range(5):
                x * w
            return x * 3

        x, w = T(X), T(X)
        living = [x * 1 for _ in range(before)]
        tg.checkpoint(f)(x).sum().backward()
        np.testing.assert_array_equal(x.grad, np.full_like(X, 3))
        assert w.grad is None and len(living) == before

    @pytest.mark.parametrize("how", ("argument", "keyword", "structure"))
    def test_arrays_given_to_it_are_its_own(self, how):
        x, a = T(np.zeros(3)), np.ones(3)
        f = tg.checkpoint(lambda x, a: x * (a[0] if isinstance(a, list) else a))
        z = f(x, a) if how == "argument" else f(x, a=a) if how == "keyword" else f(x, [a])
        a[:] = 100
        z.sum().backward()
        np.testing.assert_array_equal(x.grad, [1, 1, 1])

    @pytest.mark.parametrize("name, read", {
        "array": lambda x, a: x * a,
        "constant tensor": lambda x, a: x * tg.tensor(a),
        "condition": lambda x, a: tg.where(tg.tensor(a) > 1, x * 2, x * 3),
        "branch": lambda x, a: x * 2 if a[0] > 1 else tg.sin(x),
        "index": lambda x, a: x[a.astype(int) // 100],
        "inner checkpoint": lambda x, a: tg.checkpoint(lambda x: x * a)(x),
    }.items())
    def test_arrays_that_it_reads_have_not_changed_or_it_says_so(self, name, read):
        """At 0 the values are the same whatever the derivative."""
        a = np.ones(3)
        x = T(np.zeros(3))
        z = tg.checkpoint(lambda x: read(x, a))(x)
        z.sum().backward(retain_graph=True)
        a[:] = 100
        with pytest.raises(errors.GradientError, match="changed"):
            z.sum().backward()

    def test_parameters_that_it_reads_have_not_changed_or_it_says_so(self):
        x, w = T(np.zeros(3)), T(np.ones(3))
        z = tg.checkpoint(lambda x: x * w)(x)
        w.data[:] = 5
        with pytest.raises(errors.GradientError, match="changed"):
            z.sum().backward()


class TestInnerGradients:
    def inner(self, outer, differentiate):
        w = T(np.ones(3))
        h = w * 1.0
        for _ in range(outer):
            h = h + w
        differentiate(h)
        best = min(self.timed(differentiate, h) for _ in range(30))
        return best

    def timed(self, f, h):
        start = time.perf_counter()
        for _ in range(5):
            f(h)
        return time.perf_counter() - start

    @pytest.mark.parametrize("differentiate", (
        lambda h: tg.grad(lambda x: (x * 2).sum())(X),
        lambda h: tg.grad(lambda x: (x * h).sum())(X),
        lambda h: tg.jvp(lambda x: x * x, (X,), (X,)),
        lambda h: tg.vjp(lambda x: x * x, X)[1](X),
    ), ids=("grad", "grad reading the outer", "jvp", "vjp"))
    def test_they_cost_what_they_touch(self, differentiate):
        assert any(self.inner(10_000, differentiate) < 2 * self.inner(10, differentiate) for _ in range(3))

    def test_a_derivative_that_uses_vjp_on_a_long_tape(self):
        w = T(X)

        @tg.primitive(lambda d, z, x: tg.vjp(lambda x: x * tg.sin(w), x)[1](d)[0], name="nested_rule")
        def f(x):
            return x * np.sin(X)

        for create in (False, True):
            h = w
            for _ in range(600):
                h = f(h)
            g, = tg.autograd.grad(h.sum(), w, create_graph=create)
            np.testing.assert_allclose(g.data, np.sin(X) ** 600)

    def test_consumed_results_from_outside_are_constants_to_it(self):
        w = T(X)
        h = tg.tanh(w)
        h.sum().backward()
        np.testing.assert_array_equal(tg.grad(lambda a: (a * h).sum())(X).data, h.detach().data)
        np.testing.assert_array_equal(tg.vjp(lambda a: a * h, X)[1](np.ones(3))[0].data, h.detach().data)
        with pytest.raises(errors.ConsumedTapeError):
            (tg.checkpoint(lambda a: a * h)(T(X)) * 2).sum().backward()

    def test_outer_hooks_are_not_called_by_inner_sweeps(self):
        w, seen = T(X), []
        w.register_hook(seen.append)
        h = w * 2
        h.register_hook(seen.append)
        g = tg.grad(lambda x: (x * h * w).sum())(X)
        assert seen == []
        g.sum().backward()
        assert len(seen) == 2

    def test_second_derivatives_through_what_is_read_from_outside(self):
        def f(w):
            h = tg.sin(w)
            inner = tg.grad(lambda x: (x * x * h).sum())(X * 1.0)
            return (inner * h).sum()

        np.testing.assert_allclose(tg.grad(f)(X), 2 * X * 2 * np.sin(X) * np.cos(X))
        assert tg.gradcheck(f, X, order=2)


def test_traced_checkpoints_note_the_delta_itself():
    with tg.traced() as t:
        tg.checkpoint(lambda x: x * x)(T(X)).sum().backward()
    note, = [note for note in t.notes if note.g == "checkpoint"]
    assert str(note.delta) == "1 .. 1 (1)"


class TestWrites:
    """A function may write into its argument, and its caller into what it gets: neither changes what is differentiated by."""

    WRITES = {"*=": lambda a: a.__imul__(3), "[...]=": lambda a: a.__setitem__(..., a * 3),
              "[i]=": lambda a: [a.__setitem__(i, a[i] * 3) for i in range(len(a))]}

    def function(self, write):
        def f(a):
            write(a)
            return a * a

        return f

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    @pytest.mark.parametrize("differentiate, wanted", (
        (lambda f, x: tg.grad(lambda a: f(a).sum())(x), 18 * X),
        (lambda f, x: tg.elementwise_grad(f)(x), 18 * X),
        (lambda f, x: tg.jvp(f, (x,), (X,))[1], 18 * X * X),
        (lambda f, x: tg.vjp(f, x)[1](X)[0], 18 * X * X),
        (lambda f, x: tg.hvp(lambda a: f(a).sum(), (x,), (X,))[0], 18 * X),
        (lambda f, x: tg.jacobian(f)(x), np.diag(18 * X)),
        (lambda f, x: tg.hessian(lambda a: f(a).sum())(x), 18 * np.eye(3)),
        (lambda f, x: tg.autograd.grad(tg.checkpoint(lambda a: f(a * 1))(x).sum(), x)[0], 18 * X),
    ), ids=("grad", "elementwise_grad", "jvp", "vjp", "hvp", "jacobian", "hessian", "checkpoint"))
    def test_a_function_that_writes_into_its_argument(self, differentiate, wanted, write):
        x = T(X) * 1
        np.testing.assert_allclose(differentiate(self.function(write), x).data, wanted)
        np.testing.assert_array_equal(x.data, X)

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    @pytest.mark.parametrize("x", (T(X), T(X).detach()), ids=("recorded", "constant"))
    def test_a_pullback_after_a_write_to_what_came_with_it(self, x, write):
        out, pullback = tg.vjp(lambda a: a * a, x)
        write(out)
        np.testing.assert_array_equal(pullback(np.ones(3))[0].data, 2 * X)


    @pytest.mark.parametrize("f", (lambda a, b: (a, b), lambda a, b: a + b, lambda a, b: tg.sin(a + b), lambda a, b: (a, a)))
    def test_derivatives_are_tensors_of_their_own(self, f):
        x, u = T(X) * 1, T(X + 5)
        out, pullback = tg.vjp(f, x, x * 2)
        outs = out if isinstance(out, tuple) else (out,)
        gradients = pullback((u,) * len(outs) if isinstance(out, tuple) else u)
        moved = tg.jvp(f, (x, x * 2), (u, u))[1]
        both = tg.grad(lambda a, b: sum(z.sum() for z in leaves(f(a, b))), (0, 1))(x, x)
        for found in (gradients, moved, both):
            tensors = [u, *leaves(found)]
            before = [x.tolist() for x in tensors]
            for i, z in enumerate(tensors[1:], 1):
                z += 1
                before[i] = (np.array(before[i]) + 1).tolist()
                assert [x.tolist() for x in tensors] == before
            assert u.is_leaf


class TestUnderNoGrad:
    """create_graph=True records the sweep wherever it is called; a pullback gives constants where nothing is recorded."""

    def test_backward(self):
        x = T(X)
        x.register_hook(lambda d: d * 2)
        loss = (x ** 3).sum()
        with tg.no_grad():
            loss.backward(create_graph=True)
            loss.backward(create_graph=True)
            assert not (x * 2).requires_grad
        g, x.grad = x.grad, None
        np.testing.assert_allclose(g.data, 12 * X * X)
        g.sum().backward()
        np.testing.assert_allclose(x.grad, 48 * X)

    def test_autograd_grad(self):
        x = T(X)
        with tg.no_grad():
            g, = tg.autograd.grad(self.loss(x), x, create_graph=True)
        np.testing.assert_allclose(tg.autograd.grad(g.sum(), x)[0].data, 6 * X)

    def loss(self, x):
        with tg.enable_grad():
            return (x ** 3).sum()

    @pytest.mark.parametrize("seed", (np.ones(3), T(np.ones(3))), ids=("array", "recorded"))
    @pytest.mark.parametrize("x", (T(X), T(X) * 1, T(X).detach()), ids=("leaf", "result", "constant"))
    def test_a_pullback(self, x, seed):
        _, pullback = tg.vjp(lambda a: a ** 3, x)
        with tg.no_grad():
            g, = pullback(seed)
        assert not g.requires_grad
        np.testing.assert_allclose(g.data, 3 * X * X)


class TestConsumed:
    @pytest.mark.parametrize("consume", (lambda out, x: out.sum().backward(), lambda out, x: tg.autograd.grad(out.sum(), x)),
                             ids=("backward", "autograd.grad"))
    @pytest.mark.parametrize("f", (lambda a: a * a, tg.checkpoint(lambda a: a * a), lambda a: (a * a)[1:]))
    def test_a_pullback_whose_run_has_been_consumed_says_so(self, f, consume):
        x = T(X)
        out, pullback = tg.vjp(f, x)
        seed = np.ones(out.shape)
        before, = pullback(seed)
        consume(out, x)
        with pytest.raises(errors.ConsumedTapeError, match="retain_graph=True"):
            pullback(seed)
        out, pullback = tg.vjp(f, x)
        out.sum().backward(retain_graph=True)
        np.testing.assert_array_equal(pullback(seed)[0].data, before.data)


@pytest.mark.parametrize("kind", (lambda x: x, tg.tensor), ids=("array", "tensor"))
def test_a_checkpointed_function_may_write_into_its_constants(kind):
    """Into the caller's, as without a checkpoint, and into copies when it is run again."""
    def f(a, c):
        c += 1
        return a * c

    x, c = T(X), kind(np.ones(3))
    z = tg.checkpoint(f)(x, c).sum()
    np.testing.assert_array_equal(np.asarray(c), [2, 2, 2])
    for _ in range(2):
        x.zero_grad()
        z.backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad, [2, 2, 2])
    np.testing.assert_array_equal(np.asarray(c), [2, 2, 2])
