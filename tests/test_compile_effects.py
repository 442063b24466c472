"""tg.compile: what a function does besides its result is done at each call: steps, gradients, random numbers, writes."""

import io
import logging
import time

import numpy as np
import pytest
from compiled_calls import replays, strict, x_of

import tapegrad as tg
from tapegrad.errors import CompileError


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


def test_keywords_are_given_again():
    @strict
    def f(x, d):
        z = x * x
        z.backward(gradient=d * 1, retain_graph=True)
        z.backward(d)

    for value in (3.0, 4.0, 5.0):
        x = x_of(value, 2 * value)
        f(x, tg.tensor([10.0, value]))
        assert x.grad.tolist() == [40 * value, 8 * value * value]
    assert replays(f) == [2]


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


def test_running_statistics_move_at_each_replay():
    def run(wrap):
        mean, var, rng = tg.tensor(np.zeros(3)), tg.tensor(np.ones(3)), np.random.default_rng(0)
        f = wrap(lambda x: tg.batch_norm(x, mean, var, training=True))
        return [f(rng.normal(size=(5, 3))).tolist() for _ in range(4)], mean.tolist(), var.tolist(), f

    *found, f = run(strict)
    *expected, _ = run(lambda f: f)
    assert found == expected and replays(f) == [3]


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
