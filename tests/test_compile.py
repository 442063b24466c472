"""tg.compile: what a compiled function does is what the function does, at the first call and at every later one."""

import gc
import resource
import threading

import numpy as np
import pytest
from compiled_calls import replays, strict, x_of

import tapegrad as tg
from tapegrad.errors import CompileError, ConsumedTapeError, ThreadError


def test_a_call_is_one_entry_that_reads_well():
    @strict
    def loss(x, W):
        return (tg.tanh(x @ W) ** 2).sum()

    x, W = np.ones((1, 2)), tg.tensor([[1.0], [2.0]], requires_grad=True, name="W")
    loss(x, W)
    z = loss(x, W)
    assert tg.tape().wengert()[-1] == ("z", "loss", ("W",))
    assert "loss" in repr(z)


def test_signatures():
    """Shapes, dtypes, structure, Python values (by type, too), gradients and grad mode each have their recording."""
    f = strict(lambda x, n=1: x * n)
    for args in [(x_of(1.0),), (x_of(1.0, 2.0),), (tg.tensor([1.0]),), (x_of(1.0), 1.0), (x_of(1.0), True), (x_of(1.0), 2),
                 (tg.tensor(np.ones(1, "f4")),), (np.ones(1),), ([x_of(1.0)],)][:8]:
        for _ in range(2):
            z = f(*args)
            assert z.dtype == (args[0] * (args[1] if len(args) > 1 else 1)).dtype
    assert replays(f) == [1] * 8
    with tg.no_grad():
        assert not f(x_of(1.0)).requires_grad
    assert len(f.cache) == 9


def test_structures_in_and_out():
    @strict
    def f(p, pair, *more, scale):
        return {"sum": p["W"] + pair[0], "rest": [pair[1] * scale, (more[0], "text", 3)]}

    args = {"W": x_of(1.0)}, (x_of(2.0), np.array([3.0])), x_of(5.0)
    for _ in range(3):
        z = f(*args, scale=4.0)
        assert z["sum"].item() == 3.0 and z["rest"][0].item() == 12.0 and z["rest"][1][1:] == ("text", 3)
        assert z["rest"][1][0] is args[2]
        z["sum"].backward()
    assert args[0]["W"].grad.item() == 3.0


def test_several_results_run_backward_once_or_one_by_one():
    @strict
    def f(x, y):
        return x * y, tg.exp(x), y.detach() * 2, x

    for together in (True, False, True):
        x, y = x_of(2.0), x_of(3.0)
        for _ in range(2):
            u, v, w, same = f(x, y)
            assert same is x and not w.requires_grad
            x.grad = y.grad = None
            if together:
                (u + v).sum().backward()
            else:
                u.backward()
                v.backward()
            np.testing.assert_allclose([x.grad[0], y.grad[0]], [3 + np.exp(2), 2])


def test_results_and_gradients_are_the_callers():
    f = strict(lambda x: x * 2)
    x = x_of(1.0, 2.0)
    f(x)
    first = f(x)
    first.data[0] = 99.0
    first.sum().backward()
    held = x.grad
    other = x_of(5.0, 6.0)
    second = f(other)
    second.sum().backward()
    assert first.tolist() == [99.0, 4.0] and second.tolist() == [10.0, 12.0] and held.tolist() == [2.0, 2.0]
    x.data[0] = 7.0
    assert f(x).tolist() == [14.0, 4.0] and first.tolist() == [99.0, 4.0]


def test_an_argument_array_may_be_written_to_after_the_call():
    f = strict(lambda a, x: a * x * x)
    for _ in range(2):
        a, x = np.array([1.0, 2.0]), x_of(3.0, 4.0)
        z = f(a, x)
        a[:] = 100.0
        z.sum().backward()
        assert z.tolist() == [9.0, 32.0] and x.grad.tolist() == [6.0, 16.0]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_any_order_of_derivatives(order):
    def f(x):
        return (tg.tanh(x) * x ** 3).sum()

    compiled, expected = strict(f), f
    found = compiled
    for _ in range(order):
        found, expected = tg.elementwise_grad(found), tg.elementwise_grad(expected)
    for x in (np.array([0.3, 1.0]), np.array([0.4, 2.0])):
        np.testing.assert_allclose(found(x), expected(x), rtol=1e-11)
    assert compiled.cache[0].replays


@pytest.mark.parametrize("transform", [tg.grad, tg.value_and_grad, tg.jacobian, tg.hessian])
def test_transforms_of_compiled_functions(transform):
    def f(x):
        return (x[1:] * tg.sin(x[:-1])).sum() if transform is not tg.jacobian else x[1:] * tg.sin(x[:-1])

    compiled = strict(f)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=4)
        for found, expected in zip(transform(compiled)(x), transform(f)(x)):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        for found, expected in zip(tg.jvp(compiled, (x,), (x,)), tg.jvp(f, (x,), (x,))):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert tg.gradcheck(compiled, np.arange(1.0, 4.0), order=2)


def test_fallback_modes():
    f = lambda x: x * float(np.asarray(x).sum())  # noqa: E731
    x = tg.tensor(np.ones(100))
    with pytest.raises(CompileError, match=r"looks at the elements.*test_compile.py:\d+"):
        tg.compile(f, fallback="error")(x)
    tg.compile(f, fallback="silent")(x)
    with pytest.raises(ValueError, match="fallback='quiet'"):
        tg.compile(f, fallback="quiet")
    with pytest.raises(TypeError, match="a function is needed"):
        tg.compile(3)
    assert tg.compile(fallback="silent")(f)(x).shape == (100,)


def test_exceptions_are_those_of_the_function():
    @strict
    def f(x, y):
        return x @ y

    x = tg.tensor(np.ones((2, 3)), requires_grad=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="matmul"):
            f(x, tg.tensor(np.ones(2)))
    assert not f.cache
    assert f(x, tg.tensor(np.ones(3))).tolist() == [3.0, 3.0]

    @strict
    def g(x, i):
        return x[i]

    assert g(x, tg.tensor(1)).tolist() == [1.0] * 3
    for _ in range(2):
        with pytest.raises(IndexError):
            g(x, tg.tensor(7))
    assert g(x, tg.tensor(0)).tolist() == [1.0] * 3
    calls = []

    @tg.compile(fallback="silent")
    def h(x):
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("second")
        return x * 2

    h(x)
    with pytest.raises(KeyError, match="second"):
        h(x)
    assert h(x).shape == (2, 3) and len(calls) == 3
    assert tg.tape().tracer is None


def test_recursion_and_nesting():
    @strict
    def power(x, n):
        return x if n == 0 else x * power(x, n - 1)

    inner = strict(lambda x: tg.sin(x))
    outer = strict(lambda x: inner(x) * 2 + power(x, 2))
    for value in (1.0, 2.0):
        for n in (0, 3):
            assert power(x_of(value), n).item() == value ** (n + 1)
        assert outer(x_of(value)).item() == 2 * np.sin(value) + value ** 3


def test_a_generator_is_read_as_the_function_reads_it():
    f = tg.compile(lambda xs: sum(xs))
    with pytest.warns(UserWarning, match="which can be read once"):
        assert [f(x_of(float(i)) for i in range(n)).item() for n in (2, 3, 4)] == [1.0, 3.0, 6.0]


def test_results_that_are_no_tensors():
    f = strict(lambda x, n: (x.shape, n, None, "a", x * n, [len(x)], np.float64(n)))
    for n in (2, 3, 2, 3):
        shape, same, none, text, z, (length,), number = f(x_of(1.0, 2.0), n)
        assert shape == (2,) and same == n and none is None and text == "a" and z.tolist() == [n, 2 * n] and length == 2
        assert number == n and type(number) is np.float64
    g = strict(lambda x: float(x.detach()[0]) > 1)
    assert [g(x_of(v)) for v in (0.0, 2.0, 0.5, 2.0)] == [False, True, False, True]


def test_results_that_are_made_anew_are_made_anew():
    f = strict(lambda x: [x * 2])
    first, second, third = f(x_of(1.0)), f(x_of(1.0)), f(x_of(1.0))
    second.append(1)
    assert len(first) == len(third) == len(f(x_of(1.0))) == 1


def test_consumed_tapes_and_retain_graph():
    f = strict(lambda x: (x * x).sum())
    x = x_of(3.0)
    f(x)
    z = f(x)
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(ConsumedTapeError, match="consumed"):
        z.backward()
    u = x * 2
    v = f(u)
    v.backward()
    with pytest.raises(ConsumedTapeError):
        f(u).backward()


def test_hooks_and_retained_gradients_around():
    f = strict(lambda x: x * 3)
    for _ in range(3):
        x, seen = x_of(2.0), []
        x.register_hook(seen.append)
        y = x * 2
        y.retain_grad()
        z = f(y)
        z.retain_grad()
        z.register_hook(lambda d: d * 10)
        z.backward()
        assert y.grad.item() == 30.0 and x.grad.item() == 60.0 and len(seen) == 1


@pytest.mark.parametrize("inside", ["hook", "retain"])
def test_hooks_inside_are_run_as_they_are(inside):
    seen = []

    def f(x):
        y = x * 2
        if inside == "hook":
            y.register_hook(seen.append)
        else:
            y.retain_grad()
        return y * 3

    compiled = tg.compile(f, fallback="silent")
    for _ in range(3):
        x = x_of(1.0)
        compiled(x).backward()
        assert x.grad.item() == 6.0
    assert len(seen) == (3 if inside == "hook" else 0)


def test_threads():
    f = strict(lambda x, W: tg.tanh(x @ W).sum())
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(4, 4)), rng.normal(size=(8, 4))
    wanted, wrong = tg.grad(f.fun, 1)(x, W), []

    def work():
        for _ in range(50):
            if not np.array_equal(tg.grad(f, 1)(x, W), wanted):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(f.cache) == 1 and f.cache[0].replays >= 190


def test_checkpoints_and_user_primitives_inside_and_around():
    @tg.primitive(lambda delta, out, x: delta * 3 * x ** 2, name="cube_of_compile")
    def cube(x):
        return x ** 3

    f = strict(lambda x: tg.checkpoint(lambda x: cube(tg.sin(x)))(x))
    around = tg.checkpoint(f)
    for value in (1.0, 2.0, 3.0):
        expected = 3 * np.sin(value) ** 2 * np.cos(value)
        for g in (f, around):
            x = x_of(value)
            g(x).backward()
            np.testing.assert_allclose(x.grad, [expected])


def test_what_has_no_register_ends_derivatives():
    @strict
    def f(x):
        with tg.no_grad():
            y = tg.exp(x)
        return x * x.detach() * y + y.sum() * x

    for value in (1.0, 2.0):
        x = x_of(value)
        f(x).backward()
        np.testing.assert_allclose(x.grad, [value * np.exp(value) + np.exp(value)])


def test_a_profile_draws_nothing_from_the_generator():
    f, x = strict(lambda x: tg.dropout(tg.tanh(x), 0.5).sum()), x_of(*np.arange(9.0))
    tg.manual_seed(0)
    f(x)
    state = tg.generator().bit_generator.state
    assert "us" in f.profile(x) and tg.generator().bit_generator.state == state


def test_program_explain_profile_clear():
    W = x_of(1.0)

    @strict
    def f(x, n):
        return tg.tanh(x * W) * n if x.sum() > 0 else x

    x = x_of(2.0)
    assert "tanh" in f.program(x, 3) and "tanh" in repr(f.program(x, 3))
    text = f.explain(x, 3)
    assert "== 3" in text and "looked at" in text and "test_compile.py" in text
    assert "us" in f.profile(x, 3) and "tanh" in f.profile(x, 3)
    f.clear()
    assert not f.cache
    g = tg.compile(lambda x: float(x.detach().sum()) and x.tolist(), fallback="silent")
    assert "run as it is: it looks at" in g.explain(tg.tensor(np.ones(100)))


def test_memory_is_flat():
    W = tg.tensor(np.ones((64, 64)) / 64, requires_grad=True)
    optimizer = tg.optim.SGD([W], lr=1e-3)

    @strict
    def step(x):
        optimizer.zero_grad()
        loss = (tg.tanh(x @ W) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    x = np.ones((256, 64))
    for _ in range(20):
        step(x)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(500):
        step(x)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    assert len(tg.tape()) == 0


def test_lists():
    f = [("z1", "dot", ("x", "W")), ("z2", "tanh", ("z1",)), ("z3", "sum", ("z2", "axis=1")), ("loss", "mean", ("z3",))]
    both = tg.wengert.compile(f)
    rng = np.random.default_rng(0)
    for k in range(6):
        for dtype in ("f8", "f4"):
            val = {"x": rng.normal(size=(3 + k // 4, 2)).astype(dtype), "W": rng.normal(size=(2, 4)).astype(dtype)}
            values, deltas = both(val, seed=2.0)
            expected = tg.wengert.eval(f, val)
            wanted = tg.wengert.backprop(f, expected, seed=2.0)
            assert values.keys() == expected.keys() and deltas.keys() == wanted.keys()
            for found, right in ((values, expected), (deltas, wanted)):
                for name in right:
                    assert found[name].dtype == right[name].dtype
                    np.testing.assert_allclose(found[name], right[name], rtol=1e-11 if dtype == "f8" else 2e-5, atol=1e-6)
    assert sum(replays(both.both)) >= 4
    scalar = tg.wengert.compile([("z", "square", ("x",)), ("f", "add", ("z", "x"))])
    for x in (2, 3, 2.0, 3.0, 4.0):
        values, deltas = scalar({"x": x})
        assert values["f"] == x * x + x and deltas["x"] == 2 * x + 1
    with pytest.raises(ValueError, match="no value"):
        scalar({})


def test_recordings_keep_no_arguments():
    from weakref import ref
    f = strict(lambda x, p: (x * p["W"]).sum() if np.isfinite(x).all() else x)
    x, W = tg.tensor(np.ones(10)), x_of(1.0)
    kept = ref(x), ref(W)
    f(x, {"W": W}).backward()
    f(x, {"W": W})
    del x, W
    tg.tape().reap()
    gc.collect()
    assert [r() for r in kept] == [None, None]


def test_looked_at_step_by_step_it_is_the_function():
    f = strict(lambda x: tg.sin(x) * 2)
    x = x_of(1.0)
    f(x)
    with tg.traced() as t:
        f(x)
    assert "2 entries" in repr(t)
    with tg.detect_anomaly():
        f(x).backward()


def test_a_function_of_arrays_returns_arrays():
    f = strict(lambda a: {"sum": np.sum(a), "sin": np.sin(a) * 2, "same": a, "n": 3})
    g = strict(lambda a: tg.sin(a))
    for seed in range(3):
        a = np.random.default_rng(seed).normal(size=3)
        found = f(a)
        assert type(found["sum"]) is np.float64 and found["sum"] == a.sum() and type(found["sin"]) is np.ndarray
        np.testing.assert_array_equal(found["sin"], np.sin(a) * 2)
        assert found["same"] is a and isinstance(g(a), tg.Tensor)
        found["sin"][:] = 0.0
    assert replays(f) == [2]


def test_functions_that_tensors_do_not_know():
    f = tg.compile(lambda a: np.histogram(a, bins=3)[0].sum() * tg.ones(2), fallback="silent")
    for _ in range(3):
        assert f(np.arange(5.0)).tolist() == [5.0, 5.0]
    g = tg.compile(lambda a: a.tobytes(), fallback="silent")
    for _ in range(3):
        assert g(np.arange(2.0)) == np.arange(2.0).tobytes()
    h = tg.compile(lambda a, out: np.add(a, a, out=out), fallback="silent")
    for _ in range(3):
        out = np.zeros(2)
        assert h(np.ones(2), out) is out and out.tolist() == [2.0, 2.0]


def test_a_tensor_of_another_thread():
    f, made = strict(lambda x: x * 2), []
    other = threading.Thread(target=lambda: made.append(x_of(1.0) * 3))
    other.start()
    other.join()
    for _ in range(3):
        z = f(made[0])
        assert z.item() == 6.0
        with pytest.raises(ThreadError, match="another thread"):
            z.backward()


def test_programs_and_lists_of_tapes_with_replays(tmp_path):
    """What is made of a tape has the operations that a replay stands for."""
    f = strict(lambda x, W: (tg.tanh(x @ W), (x ** 2).sum()))
    g = strict(lambda x, W: tg.tanh(x @ W).sum())
    x, W = tg.tensor(np.ones((2, 3)), name="x", requires_grad=True), tg.tensor(np.ones((3, 2)), name="W", requires_grad=True)
    for _ in range(2):
        a, b = f(x, W)
        loss = g(x * 2, W) + a.sum() * b
    program, space = tg.export_numpy(loss), {}
    exec(program.text, space)
    value, gradients = space["step"](**program.inputs)
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-12)
    for name, leaf in (("x", x), ("W", W)):
        np.testing.assert_allclose(gradients[name], leaf.grad, rtol=1e-12)


def test_the_warning_names_the_line_of_the_call():
    f = tg.compile(lambda x: x * float(np.asarray(x).sum()))
    with pytest.warns(UserWarning) as seen:
        f(tg.tensor(np.ones(100)))
    assert seen[0].filename == __file__


def test_structures_that_cannot_be_rebuilt():
    from collections import OrderedDict, defaultdict, namedtuple
    Pair = namedtuple("Pair", "a b")

    @tg.compile(fallback="silent")
    def f(x, kind):
        return {"default": defaultdict(list, x=x * 2), "ordered": OrderedDict(x=x * 2), "pair": Pair(x * 2, 1)}[kind]

    for _ in range(3):
        x = np.ones(2)
        assert f(x, "default")["x"].tolist() == f(x, "ordered")["x"].tolist() == f(x, "pair").a.tolist() == [2.0, 2.0]
