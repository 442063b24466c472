"""Random programs of checkpoints, inner gradients and jvps that read what is around them, against the same in plain sweeps."""

import numpy as np
import pytest

import tapegrad as tg

UNARY = [tg.sin, tg.tanh, tg.relu, abs, tg.exp, lambda x: x * x, lambda x: tg.cumsum(x) * 0.3, lambda x: x[::-1],
         lambda x: tg.where(x.data > 0, x, 0.5 * x)]
FEW = 40


def program(rng, depth):
    """A list of steps (kind, what)."""
    kinds = ["unary"] * 3 + ["read"] + ["checkpoint", "pair", "grad", "jvp"] * (depth > 0)
    steps = []
    for kind in rng.choice(kinds, rng.integers(2, 5)):
        inner = kind in ("checkpoint", "pair", "grad", "jvp")
        steps.append((str(kind), program(rng, depth - 1) if inner else int(rng.integers(100))))
    return steps


class Nested:
    """How tapegrad's transforms do it."""

    checkpoint = staticmethod(tg.checkpoint)

    def grad(self, f, x):
        return tg.grad(lambda x: f(x).sum())(x)

    def jvp(self, f, x):
        return tg.jvp(f, (x,), (tg.tensor(np.ones(3)),))[1]


class Plain:
    """The same with sweeps over the whole tape, and without checkpoints."""

    def checkpoint(self, f):
        return f

    def grad(self, f, x):
        y = x * 1.0
        return tg.autograd.grad(f(y).sum(), y, create_graph=True)[0]

    def jvp(self, f, x):
        y, seed = x * 1.0, tg.tensor(np.zeros(3), requires_grad=True)
        pulled, = tg.autograd.grad(f(y), y, seed * 1.0, create_graph=True)
        return tg.autograd.grad(pulled, seed, np.ones(3), create_graph=True)[0]


def run(steps, x, around, way):
    """The value of a program at x; `around` are tensors that it reads, and each step's value is one more."""
    for kind, what in steps:
        def inner(x, what=what, around=tuple(around)):
            return run(what, x, around, way)

        if kind == "unary":
            x = tg.tanh(UNARY[what % len(UNARY)](x))
        elif kind == "read":
            x = x * around[what % len(around)] + 0.1
        elif kind == "checkpoint":
            x = way.checkpoint(inner)(x)
        elif kind == "pair":
            u, v = way.checkpoint(lambda x, inner=inner, v=around[-1]: (inner(x), v))(x)
            x = u * v
        else:
            x = tg.tanh(x + getattr(way, kind)(inner, x))
        around = (*around, x)
    return x


def results(steps, at, around_at, way):
    x, w, seen = tg.tensor(at, requires_grad=True), tg.tensor(around_at, requires_grad=True), []
    w.register_hook(seen.append)
    h = tg.sin(w)
    h.register_hook(lambda d: 2 * d)
    z = run(steps, x, (w, h), way).sum()
    first = tg.autograd.grad(z, [x, w], create_graph=True, allow_unused=True)
    total = sum([(g * g).sum() for g in first if g is not None])
    second = tg.autograd.grad(total, [x, w], allow_unused=True, retain_graph=True)
    seen.clear()
    z.backward()
    assert len(seen) <= 1
    return [np.zeros(3) if value is None else getattr(value, "data", value) for value in (z, *first, *second, x.grad, w.grad)]


@pytest.mark.parametrize("seed", range(FEW))
def test_nested_programs(seed):
    rng = np.random.default_rng(seed)
    steps, at, around = program(rng, 2), rng.normal(size=3), rng.normal(size=3)
    for found, wanted in zip(results(steps, at, around, Nested()), results(steps, at, around, Plain())):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9, err_msg=str(steps))
