"""tg.compile: what a compiled function does is what the function does, at the first call and at every later one."""

import gc
import io
import logging
import resource
import threading
import time
import warnings

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import CompileError, ConsumedTapeError, ThreadError

SCALE = 2.0
WEIGHT = tg.tensor([1.0, 2.0], requires_grad=True)
OPTIONS = {"power": 2, "shift": [1.0, 2.0]}


class Config:
    rate = 0.5


@pytest.fixture(autouse=True)
def silent_only_where_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def replays(compiled):
    return sorted(recording.replays for recording in compiled.cache)


def strict(f):
    return tg.compile(f, fallback="error")


def x_of(*values):
    return tg.tensor(values, requires_grad=True)


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


def test_branches_are_guarded():
    lines = []

    @strict
    def f(x):
        if x.sum() > 0:
            return x * 2
        return x * 3 if float(x.detach()[0]) == -1.0 else x * 4

    for values, factor in [((1.0, 2.0), 2), ((-1.0, 0.0), 3), ((-2.0, 0.0), 4)] * 3:
        lines.append(f(x_of(*values)).tolist() == [factor * v for v in values])
    assert all(lines) and len(f.cache) == 3 and sum(replays(f)) == 6


def test_a_loop_whose_length_is_a_value():
    @strict
    def f(x, n):
        for _ in range(int(n)):
            x = x * 2
        return x

    for n in (1, 2, 3, 1, 2, 3):
        assert f(x_of(1.0), tg.tensor(n)).item() == 2.0 ** n
    assert replays(f) == [1, 1, 1]


def test_what_differs_at_each_call_is_run_as_it_is():
    @tg.compile
    def f(x):
        return x * float(x.detach().sum())

    with pytest.warns(UserWarning, match=r"f is run as it is.*differs from call to call.*test_compile.py:\d+"):
        for i in range(30):
            assert f(x_of(float(i))).item() == float(i * i)
    assert len(f.cache) < 12


def test_large_arrays_that_leave_are_run_as_they_are():
    f = tg.compile(lambda x: x * np.asarray(x.detach()).sum())
    x = tg.tensor(np.ones(100), requires_grad=True)
    with pytest.warns(UserWarning, match="looks at the elements of float64 .100,., more than 64"):
        assert f(x).tolist() == [100.0] * 100
    for _ in range(3):
        assert f(x).tolist() == [100.0] * 100          # said once


@pytest.mark.parametrize("read", [lambda x: np.asarray(x), lambda x: x.tolist(), lambda x: x.data, lambda x: x.numpy(),
                                  lambda x: f"{x}" and 1.0, lambda x: repr(x) and 2.0, lambda x: [float(v) for v in x],
                                  lambda x: np.array(x), lambda x: bool((x > 0).all()), lambda x: hash(x.tolist()[0]) % 7,
                                  lambda x: np.allclose(x, 1.0), lambda x: x.sum().item(), lambda x: int(x[0])])
def test_every_way_to_look_at_elements_is_seen(read):
    def f(x):
        return tg.tensor(1.0) * np.sum(read(x.detach()))

    compiled = strict(f)
    for values in [(1.0, 2.0), (1.0, 1.0), (3.0, 4.0), (1.0, 2.0)]:
        assert compiled(tg.tensor(values)).item() == f(tg.tensor(values)).item()


def test_closures_and_globals_are_compared():
    global SCALE, WEIGHT
    factor, table, config = 2.0, {"a": [1.0, 2.0]}, Config()

    @strict
    def f(x):
        return x * factor * SCALE * table["a"][1] * config.rate * OPTIONS["shift"][0] * Config.rate

    x = x_of(1.0)
    try:
        for change in ("", "factor = 3.0", "SCALE", "table", "list", "attribute", "class", "options"):
            if change == "factor = 3.0":
                factor = 3.0
            elif change == "SCALE":
                SCALE = 5.0
            elif change == "table":
                table["a"] = [1.0, 7.0]
            elif change == "list":
                table["a"][1] = 8.0
            elif change == "attribute":
                config.rate = 11.0
            elif change == "class":
                Config.rate = 13.0
            elif change == "options":
                OPTIONS["shift"][0] = 17.0
            for _ in range(2):
                assert f(x).item() == f.fun(x).item(), change
        assert replays(f) == [1] * 8
    finally:
        SCALE, Config.rate, OPTIONS["shift"][0] = 2.0, 0.5, 1.0


def test_types_of_values_are_compared():
    factor = 1
    f = strict(lambda x: x * factor)
    x = tg.tensor([1, 2])
    assert f(x).dtype == np.int64
    factor = 1.0
    assert f(x).dtype == np.float64
    factor = True
    assert f(x).dtype == np.int64
    factor = 0.0
    assert not np.signbit(f(x_of(1.0)).data[0])
    factor = -0.0
    assert np.signbit(f(x_of(1.0)).data[0])
    factor = float("nan")
    for _ in range(2):
        assert np.isnan(f(x_of(1.0)).data[0])
    assert len(f.cache) == 6


def test_tensors_that_it_closes_over_are_read_at_each_call():
    W = x_of(2.0)
    f = strict(lambda x: x * W)
    for value in (2.0, 3.0, 4.0):
        W.data[...] = value
        z = f(x_of(5.0))
        z.backward()
        assert z.item() == 5 * value
    assert W.grad.item() == 15.0 and replays(f) == [2]
    W = x_of(10.0)
    assert f(x_of(5.0)).item() == 50.0 and replays(f) == [3]
    W = tg.tensor([1.0, 2.0])
    assert f(x_of(5.0)).tolist() == [5.0, 10.0] and len(f.cache) == 2


def test_arrays_that_it_closes_over_are_compared():
    array = np.array([1.0, 2.0])
    f = strict(lambda x: x * array)
    for _ in range(2):
        assert f(x_of(1.0, 1.0)).tolist() == array.tolist()
    array[0] = 7.0
    assert f(x_of(1.0, 1.0)).tolist() == [7.0, 2.0]
    assert "tensor, or an argument, is faster" in f.explain(x_of(1.0, 1.0))


def helper(x):
    return x * SCALE


def test_functions_that_it_calls_are_read():
    global SCALE, helper
    f = strict(lambda x: helper(x) + 1)
    before = helper
    try:
        for scale in (2.0, 3.0):
            SCALE = scale
            for _ in range(2):
                assert f(x_of(1.0)).item() == scale + 1
        helper = lambda x: x * 100  # noqa: E731
        assert f(x_of(1.0)).item() == 101.0
    finally:
        SCALE, helper = 2.0, before


def test_one_tensor_by_two_paths():
    a = b = x_of(2.0)
    f = strict(lambda: a * b)
    assert [f().item() for _ in range(2)] == [4.0, 4.0]
    b = x_of(5.0)
    assert [f().item() for _ in range(2)] == [10.0, 10.0]
    g = strict(lambda x, y: x * y)
    for y in (a, b, a, b):
        z = g(a, y)
        a.grad = None
        z.backward()
        assert z.item() == a.item() * y.item() and a.grad.item() == (4.0 if y is a else 5.0)


class Model:
    def __init__(self):
        self.W, self.scale, self.layers = x_of(2.0), 3.0, [x_of(1.0), x_of(2.0)]

    @tg.compile
    def forward(self, x):
        for layer in self.layers:
            x = x + layer
        return x * self.W * self.scale

    def loss(self, x):
        return (self.forward(x) ** 2).sum()


def test_methods():
    model, other = Model(), Model()
    other.W = x_of(100.0)
    for _ in range(3):
        assert model.forward(x_of(1.0)).item() == 24.0
        assert other.forward(x_of(1.0)).item() == 1200.0
    model.scale = 4.0
    assert model.forward(x_of(1.0)).item() == 32.0
    model.layers.append(x_of(1.0))
    assert model.forward(x_of(1.0)).item() == 40.0
    step = strict(model.loss)
    for _ in range(3):
        assert step(x_of(1.0)).item() == 1600.0
    assert replays(step) == [2]


def train(compiled, optimizer_of, steps=5):
    rng = np.random.default_rng(0)
    W, b = tg.tensor(rng.normal(size=(3, 2)), requires_grad=True), tg.tensor(np.zeros(2), requires_grad=True)
    optimizer = optimizer_of([W, b])

    def step(x, y):
        optimizer.zero_grad()
        loss = tg.cross_entropy(x @ W + b, y)
        loss.backward()
        optimizer.step()
        return loss

    step = compiled(step)
    losses = [step(rng.normal(size=(4, 3)), rng.integers(0, 2, 4)).item() for _ in range(steps)]
    return losses, W.data, b.data, W.grad, step


@pytest.mark.parametrize("optimizer_of", [
    lambda p: tg.optim.SGD(p, lr=0.1), lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9), lambda p: tg.optim.Adam(p, lr=0.1),
    lambda p: tg.optim.AdamW(p, lr=0.1)])
def test_a_training_step_is_compiled_as_a_whole(optimizer_of):
    *expected, _ = train(lambda f: f, optimizer_of)
    *found, step = train(strict, optimizer_of)
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-12)
    assert replays(step) == [4]
    assert "Optimizer.step" in step.explain(np.ones((4, 3)), np.zeros(4, int))


def test_learning_rates_are_read_at_each_call():
    x = x_of(1.0)
    optimizer = tg.optim.SGD([x], lr=1.0)

    @strict
    def step():
        (3 * x).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for lr in (1.0, 0.5, 0.25):
        optimizer.lr = lr
        before = x.item()
        step()
        assert x.item() == before - 3 * lr and x.grad is None
    assert replays(step) == [2]


def test_what_reads_a_parameter_after_its_step_is_run_as_it_is():
    x = x_of(1.0)
    optimizer = tg.optim.SGD([x], lr=1.0)

    @tg.compile
    def step():
        (3 * x).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return x * 1

    with pytest.warns(UserWarning, match="was changed before in the same call"):
        assert [step().item() for _ in range(3)] == [-2.0, -5.0, -8.0]


def test_gradients_accumulate():
    x = x_of(2.0)

    @strict
    def f(x):
        (x * x).sum().backward()
        return (x * 3).sum()

    for k in range(1, 4):
        f(x).backward()
        assert x.grad.item() == 7.0 * k


def test_reading_grad_is_run_as_it_is():
    x = x_of(2.0)

    @tg.compile
    def f():
        x.grad = None
        (x * x).sum().backward()
        x.data[...] -= 0.25 * x.grad

    with pytest.warns(UserWarning, match="f is run as it is"):
        for _ in range(3):
            f()
    assert x.item() == 0.25


SIDE_EFFECTS = {
    "append": "seen.append(1)", "counter": "counter[0] += 1", "attribute": "config.count = config.count + 1",
    "dict": "table['k'] = table.get('k', 0) + 1", "new": "config.fresh = getattr(config, 'fresh', 0) + 1", "global": "bump()",
    "array": "array[0] += 1", "np.random": "np.random.rand()", "generator": "rng.normal()", "random": "random.random()",
    "argument": "x[0] = x[0] * 1 + 1", "in place": "x += 1", "print": "print('said', file=out)", "write": "out.write('said')",
    "clock": "clock()", "constructor": "Counted()", "new generator": "x = x + np.random.default_rng().normal() * 0",
    "setattr": "setattr(config, 'count', config.count + 1)", "nested": "(lambda: seen.append(2))()",
    "logging": "log.error('a')", "function attribute": "bump.calls = getattr(bump, 'calls', 0) + 1"}


@pytest.mark.parametrize("effect", SIDE_EFFECTS)
def test_side_effects_are_never_lost(effect):
    def run(wrap):
        import random

        class Config:
            count = 0

        class Counted:
            def __init__(self):
                space["COUNT"] += 1

        class Handler(logging.Handler):
            def emit(self, record):
                space["out"].write(record.getMessage())

        def bump():
            space["COUNT"] += 1

        space = {"COUNT": 0, "seen": [], "counter": [0], "config": Config(), "table": {}, "np": np, "random": random, "tg": tg,
                 "rng": np.random.default_rng(0), "bump": bump, "array": np.zeros(2), "out": io.StringIO(), "Counted": Counted,
                 "log": logging.Logger("compiled"), "clock": lambda: space["seen"].append(time.perf_counter() > 0)}
        space["log"].addHandler(Handler())
        np.random.seed(0)
        random.seed(0)
        exec(f"def f(x):\n    {SIDE_EFFECTS[effect]}\n    return x * 2.0", space)
        f, outs = wrap(space["f"]), []
        for i in range(5):
            x = tg.tensor([float(i), 1.0])
            outs += [f(x).tolist(), x.tolist()]
        return (outs, space["out"].getvalue(),
                *[space[name] for name in ("COUNT", "seen", "counter", "table")], vars(space["config"]),
                vars(bump),
                space["array"].tolist(), np.random.rand(), random.random(), space["rng"].normal())

    assert run(lambda f: tg.compile(f, fallback="silent")) == run(lambda f: f)
    with pytest.raises(CompileError, match="can't be replayed"):
        run(strict)


def test_an_array_argument_that_is_written_to():
    def f(a):
        a[0] = 5.0
        return a * 2.0

    compiled = tg.compile(f, fallback="silent")
    for _ in range(3):
        a = np.zeros(2)
        assert np.array_equal(compiled(a), [10.0, 0.0]) and a.tolist() == [5.0, 0.0]


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


@pytest.mark.parametrize("argument", [lambda: {1, 2}, lambda: [1, [2]], lambda: {"k": {3}}, lambda: Model(), lambda: object()])
def test_unhashable_and_other_arguments(argument):
    f = tg.compile(lambda x, other: x * 2, fallback="silent")
    x = x_of(1.0)
    for _ in range(3):
        assert f(x, argument()).item() == 2.0


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


def test_item_assignment_inside():
    @strict
    def f(x):
        y = x * 1
        y[0] = y[1] * x[2]
        y += x
        y[1:] *= 2
        return y

    for seed in range(3):
        values = np.random.default_rng(seed).normal(size=3)
        x, other = tg.tensor(values, requires_grad=True), tg.tensor(values, requires_grad=True)
        (f(x) ** 2).sum().backward()
        (f.fun(other) ** 2).sum().backward()
        np.testing.assert_allclose(x.grad, other.grad, rtol=1e-12)


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


def test_the_cache_is_bounded():
    f = tg.compile(lambda x, n: x * n, fallback="silent")
    for n in range(200):
        assert f(x_of(1.0), n).item() == n
    assert len(f.cache) <= 64


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


@pytest.mark.parametrize("inside", [False, True])
def test_randomness_is_fresh_and_reproducible(inside):
    rng = np.random.default_rng(5)

    def f(x):
        y = tg.dropout(x, 0.5, rng=rng)
        if inside and y.sum() > 50:
            return y * 2
        return y + tg.dropout(x, 0.25, rng=rng)

    def run(f):
        rng.bit_generator.state = np.random.default_rng(5).bit_generator.state
        x = tg.tensor(np.ones(50), requires_grad=True)
        outs = []
        for _ in range(20):
            z = f(x)
            x.grad = None
            z.sum().backward()
            outs += [z.data, x.grad]
        return [*outs, rng.random()]

    compiled = strict(f)
    for found, expected in zip(run(compiled), run(f)):
        np.testing.assert_array_equal(found, expected)
    assert sum(replays(compiled)) >= 18 and len(compiled.cache) == 1 + inside
    fresh = strict(lambda x: tg.dropout(x))
    assert len({str(fresh(tg.tensor(np.ones(50))).tolist()) for _ in range(5)}) == 5
    seeded = strict(lambda x: tg.dropout(x, rng=3))
    assert len({str(seeded(tg.tensor(np.ones(50))).tolist()) for _ in range(5)}) == 1


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


def test_running_statistics_move_at_each_replay():
    def run(wrap):
        mean, var, rng = tg.tensor(np.zeros(3)), tg.tensor(np.ones(3)), np.random.default_rng(0)
        f = wrap(lambda x: tg.batch_norm(x, mean, var, training=True))
        return [f(rng.normal(size=(5, 3))).tolist() for _ in range(4)], mean.tolist(), var.tolist(), f

    *found, f = run(strict)
    *expected, _ = run(lambda f: f)
    assert found == expected and replays(f) == [3]


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


@pytest.mark.parametrize("change", ["xs.append(xs[0] * 2)", "xs[0] = xs[0] * 2", "d['new'] = xs[0] * 3", "del d['k']",
                                    "xs[1].pop()"])
def test_containers_of_arrays_that_are_changed(change):
    def run(wrap):
        space = {}
        exec(f"def f(xs, d):\n    {change}\n    return xs[0] * 1.0", space)
        f, seen = wrap(space["f"]), []
        for i in range(3):
            xs, d = [np.full(2, 1.0 + i), [np.ones(1), np.ones(1)]], {"k": np.ones(3)}
            z = f(xs, d)
            seen.append(str((np.asarray(z), [np.asarray(x).tolist() if not isinstance(x, list) else len(x) for x in xs],
                             {key: np.asarray(x).tolist() for key, x in d.items()})))
        return seen

    assert run(lambda f: tg.compile(f, fallback="silent")) == run(lambda f: f)


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


class Plus(tg.optim.SGD):
    count = 0

    def step(self):
        self.count += 1
        super().step()


def handles_an_error():
    def f(x):
        try:
            return tg.linalg.cholesky(x) * 1.0
        except np.linalg.LinAlgError:
            return x * 2.0

    return f, [(tg.tensor(np.array([[k * 1.0]])),) for k in (-1, 1, 2, -1, 3)]


def handles_an_index():
    def f(x, i):
        try:
            return tg.embedding(i, x) * 1.0
        except IndexError:
            return x * 2.0

    return f, [(tg.tensor(np.ones((2, 2))), tg.tensor([i])) for i in (7, 0, 1, 7)]


def looks_up():
    table = {1: 10.0, 2: 20.0}
    return lambda a: a * table[a[0]] if a[0] in table else a * 0, [(np.array([k]),) for k in (1, 2, 3, 1, 2)]


def returns_a_closure():
    return lambda x: (lambda: x * 2)(), [(x_of(float(k)),) for k in range(3)]


def returns_a_function():
    f = lambda x: lambda: x * 2  # noqa: E731
    return lambda x: f(x), [(x_of(float(k)),) for k in range(3)]


def returns_what_it_holds():
    held = []

    def f(x):
        return held, x * 2

    return f, [(x_of(float(k)),) for k in range(3)]


def reads_a_deque():
    from collections import deque
    held = deque([1.0, 2.0], maxlen=2)

    def f(x):
        return x * held[0]

    return f, [(x_of(float(k)),) for k in range(4)], lambda: held.append(held[0] + held[1])


def reads_a_file(folder=None):
    import tempfile
    path = tempfile.mkdtemp() + "/a.npy"
    np.save(path, np.ones(1))
    return lambda x: x * np.load(path), [(x_of(float(k)),) for k in range(4)], lambda: np.save(path, np.load(path) + 1)


def counts_its_steps():
    x = x_of(1.0)
    optimizer = Plus([x], lr=1.0)

    def f(k):
        (x * k).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return optimizer.count

    return f, [(tg.tensor(float(k)),) for k in range(4)], lambda: x.item()


def hides_a_builtin():
    space = {}
    exec("def f(x):\n    return x * max([1.0, 2.0])", space)
    return space["f"], [(x_of(float(k)),) for k in range(4)], lambda: space.update(max=min)


def comes_from_nowhere():
    made = [x_of(1.0)]

    class Source:
        def __init__(self):
            self.get = made.__getitem__

    source = Source()

    def f(x):
        return x * source.get(0)

    return f, [(x_of(float(k)),) for k in range(4)], lambda: made.__setitem__(0, made[0].detach() * 2)


@pytest.mark.parametrize("case", [handles_an_error, handles_an_index, looks_up, returns_a_closure, returns_a_function,
                                  returns_what_it_holds, reads_a_deque, reads_a_file, counts_its_steps, hides_a_builtin,
                                  comes_from_nowhere])
def test_what_would_be_wrong_in_a_replay_is_not(case):
    def run(wrap):
        f, calls, *between = case()
        f, seen = wrap(f), []
        for args in calls:
            z = f(*args)
            z = z() if callable(z) else z
            if isinstance(z, tuple):
                z[0].append(1)
                z = [len(z[0]), z[1].tolist()]
            seen.append(str(z.tolist() if hasattr(z, "tolist") else z))
            for change in between:
                seen.append(str(change()))
        return seen

    assert run(lambda f: tg.compile(f, fallback="silent")) == run(lambda f: f)


class Inner:
    def __init__(self, factor):
        self.factor = factor


class Outer:
    def __init__(self, *inner):
        self.inner = {"a": [inner]}

    def forward(self, x):
        for (part,) in self.inner["a"]:
            x = x * part.factor
        return x


def test_objects_in_objects_are_read():
    inner = Inner(2.0)
    outer = Outer(inner)
    f = strict(lambda x: outer.forward(x))
    for factor in (2.0, 3.0, tg.tensor(4.0), tg.tensor(5.0)):
        inner.factor = factor
        for _ in range(2):
            assert f(x_of(1.0)).item() == float(factor)
    assert sorted(replays(f)) == [1, 1, 3]


def test_what_the_code_that_has_run_does_not_read_is_not_compared():
    unread = Inner(2.0)

    def other(x):
        return x * unread.factor

    f = strict(lambda x, n: x * 2 if n else other(x))
    for n in (1, 0):
        f(x_of(1.0), n)
    unread.factor = 3.0
    assert [f(x_of(1.0), n).item() for n in (1, 0)] == [2.0, 3.0]
    assert sorted(replays(f)) == [0, 0, 1]


class Maker:
    def __init__(self):
        self.factor = SCALE


def test_code_that_is_found_when_it_is_called_is_read():
    global SCALE
    f = strict(lambda x: x * Maker().factor)
    try:
        for scale in (2.0, 3.0):
            SCALE = scale
            assert [f(x_of(1.0)).item() for _ in range(2)] == [scale, scale]
    finally:
        SCALE = 2.0
    assert replays(f) == [1, 1]
