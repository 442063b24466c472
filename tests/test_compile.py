"""tg.compile: what a compiled function does is what the function does, at the first call and at every later one."""

import gc
import io
import resource
import sys
import threading

import numpy as np
import pytest
from compiled_calls import replays, strict, x_of

import tapegrad as tg
from tapegrad.errors import CompileError, ConsumedTapeError, ThreadError
from tapegrad.kernels import program as machine


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
                 (tg.tensor(np.ones(1, "f4")),), (np.ones(1),)]:
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


def training(optimizer_of):
    """(a parameter, a compiled step of its optimiser that returns a loss and what it is of, their input)"""
    W = tg.tensor(np.ones((64, 64)) / 64, requires_grad=True)
    optimizer = optimizer_of([W], lr=1e-3)

    @strict
    def step(x):
        optimizer.zero_grad()
        z = tg.tanh(x @ W)
        loss = (z ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss, z

    return W, step, np.ones((256, 64))


def test_memory_is_flat():
    _, step, x = training(tg.optim.SGD)
    for _ in range(20):
        step(x)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(500):
        step(x)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    assert len(tg.tape()) == 0


def test_a_compiled_step_moves_parameters_where_they_are():
    """Nothing of the call holds their arrays while the optimiser writes, though the results that are given out live on."""
    W, step, x = training(tg.optim.Adam)
    results, places = [], []
    for _ in range(5):
        results.append(step(x))
        places.append(W.data.ctypes.data)
    assert len(set(places[2:])) == 1
    if machine.available():
        assert list(step.cache[0].program.joints) == [(True, False)]        # for the deltas that there are
    with pytest.raises(ConsumedTapeError):
        results[-1][1].sum().backward()


def test_a_long_recording_is_shown_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def long(x):
        for _ in range(300):
            x = x * 1.01
        return x.sum()

    monkeypatch.setattr("tapegrad.kernels.progress.PATIENCE", 0.0)
    for stream, is_shown in (Terminal(), True), (io.StringIO(), False):
        monkeypatch.setattr(sys, "stderr", stream)
        strict(long)(x_of(1.0, 2.0))
        assert ("tapegrad: recording, for later calls to replay (long)" in stream.getvalue()) == is_shown


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, object(), closed()], ids=["none", "without isatty", "closed"])
def test_whatever_stands_for_stderr_a_function_is_recorded(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    assert strict(lambda x: x.sum())(x_of(1.0, 2.0)).item() == 3.0


def test_ten_thousand_calls_leave_nothing():
    f = strict(lambda x: (tg.exp(x) * x).sum())
    x = x_of(*np.linspace(0, 1, 300))
    for calls in (50, 10_000):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(calls):
            x.grad = None
            f(x).backward()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048
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


@pytest.mark.skipif(not machine.available(), reason="no programs of kernels")
def test_a_budget_of_memory():
    W = tg.tensor(np.linspace(-0.5, 0.5, 400).reshape(20, 20))

    def f(x):
        for _ in range(30):
            x = tg.tanh(x @ W) * 1.01 + x
        return (x * x).sum()

    x = tg.tensor(np.linspace(-1, 1, 1000).reshape(50, 20), requires_grad=True)
    expected = tg.grad(f)(x)
    free, least = tg.compile(f, fallback="error"), 180_000
    small = tg.compile(f, fallback="error", memory=least)
    for compiled in (free, small, small):
        x.grad = None
        compiled(x).backward()
        np.testing.assert_allclose(x.grad, expected.data, rtol=1e-12)
    assert "computed again" in str(small.program(x)) and f"of {least:,} at most" in str(small.explain(x))
    assert "computed again" not in str(free.program(x)) and "at most" not in str(free.explain(x))
    with pytest.raises(CompileError, match="memory=10000: the values of this call need"):
        tg.compile(f, memory=10_000)(x)
    for bad in (-1, 1e6, "1 MB", True):
        with pytest.raises(ValueError, match="number of bytes"):
            tg.compile(f, memory=bad)
