"""Random programs of branches, changing shapes, flags, item assignments and nested gradients, compiled, against eager."""

import os

import numpy as np
import pytest
from compiled_calls import without_kernels

import tapegrad as tg

PROGRAMS = int(os.environ.get("TAPEGRAD_PROGRAMS", "60"))
WITH_KERNELS = PROGRAMS if "TAPEGRAD_PROGRAMS" in os.environ else 4         # their kernels take long to compile
GLOBAL = {"scale": 1.0}

UNARY = [tg.sin, tg.tanh, tg.relu, abs, tg.sigmoid, lambda x: x * x, lambda x: tg.cumsum(x, -1) * 0.3, lambda x: x[..., ::-1],
         lambda x: tg.softmax(x, -1), lambda x: x - x.mean(-1, keepdims=True), lambda x: np.exp(-x * x), lambda x: x.T.T,
         lambda x: tg.sort(x, -1), lambda x: x / (1 + tg.sqrt((x * x).sum())), lambda x: tg.concatenate([x, x])[:len(x)],
         lambda x: tg.where(x > 0, x, 0.5 * x), lambda x: tg.stack([x, 2 * x]).sum(0), lambda x: tg.maximum(x, -0.1)]
BINARY = [lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - 0.5 * y, lambda x, y: x / (2 + y * y), tg.maximum,
          lambda x, y: tg.where(x > y, x, y * 0.3), lambda x, y: x @ tg.tanh(y).T @ y, lambda x, y: x + y[:1], lambda x, y: y]
KINDS = ["unary"] * 5 + ["binary"] * 4 + ["branch", "flag", "shape", "assign", "grad", "detach", "no_grad", "loop", "closure",
                                          "item", "index", "global", "second", "vjp", "constant", "take", "augmented"]


def program(rng, depth=2):
    """A list of steps (kind, a number, steps inside)."""
    nested = ("branch", "flag", "grad", "loop", "no_grad", "second", "vjp") if depth else ()
    return [(str(kind), int(rng.integers(1000)), program(rng, depth - 1) if kind in nested else [])
            for kind in rng.choice(KINDS, rng.integers(2, 6))]


def run(steps, x, values, flag, n, closure, ids):
    """The value of a program at x; `values` are earlier ones, from which binary steps take their other operand."""
    for kind, what, inner in steps:
        def inside(x, inner=inner, values=values):
            return run(inner, x, values, flag, n, closure, ids)

        if kind == "unary":
            x = UNARY[what % len(UNARY)](x)
        elif kind == "binary":
            x = BINARY[what % len(BINARY)](x, values[what % len(values)])
        elif kind == "branch":
            x = inside(x) if x.sum() > 0.2 else x * 2
        elif kind == "flag":
            x = inside(x) if flag else x + 1
        elif kind == "shape":
            x = x * x.shape[0] if len(x) > 2 else x[::-1]
        elif kind == "assign":
            y = x * 1
            y[what % len(y)] = y[0] * 0.5 + what % 3
            y[:, 0] = x[:, -1]
            x = y + x
        elif kind == "augmented":
            y = x + 0.0
            y += x
            y[1:] *= 0.5
            x = y
        elif kind in ("grad", "second"):
            g = tg.grad(lambda x, inside=inside: (tg.tanh(inside(x)) ** 2).sum())
            x = x + (g(x) if kind == "grad" else tg.grad(lambda x, g=g: (g(x) * x).sum())(x))
        elif kind == "vjp":
            out, pull = tg.vjp(inside, x)
            x = x + pull(out * 0.1)[0]
        elif kind == "detach":
            x = x * tg.tanh(x).detach() + x
        elif kind == "no_grad":
            with tg.no_grad():
                y = inside(x)
            x = x + y * x
        elif kind == "loop":
            for _ in range(n):
                x = tg.tanh(inside(x))
        elif kind == "closure":
            x = x * closure["factor"] + closure["W"][:, :x.shape[1]].sum()
        elif kind == "global":
            x = x * GLOBAL["scale"]
        elif kind == "item":
            x = x * (2 if float(x.detach()[0, 0]) > 0 else 3)
        elif kind == "index":
            x = x[:, ids % x.shape[1]]
        elif kind == "take":
            x = tg.take(x, ids % len(x), 0)[:len(x)] + x[ids[0] % len(x)]
        elif kind == "constant":
            x = x + np.linspace(0, 1, x.shape[1])
        values = (*values, x) if x.shape == values[0].shape else values
        if x.shape != values[0].shape:
            x = tg.broadcast_to(x.sum(1, keepdims=True), values[0].shape)
    return x


def results(f, x, y, *rest):
    x, y = tg.tensor(x, requires_grad=True), tg.tensor(y, requires_grad=True)
    with np.errstate(over="ignore", invalid="ignore"):
        return differentiated(f(x, y, *rest), x, y)


def differentiated(z, x, y):
    if not z.requires_grad:
        return [z.data]
    first = tg.autograd.grad((z * z).sum(), [x, y], create_graph=True, allow_unused=True)
    total = sum([(g * g).sum() for g in first if g is not None])
    second = tg.autograd.grad(total, [x, y], allow_unused=True, retain_graph=True) if total.requires_grad else [None, None]
    (z.sum() * 2).backward()
    return [z.data, *[None if g is None else g.data for g in (*first, *second)], x.grad, y.grad]


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_a_random_program_is_what_it_is_eagerly(seed, monkeypatch):
    if seed >= WITH_KERNELS:
        without_kernels(monkeypatch)
    rng = np.random.default_rng(seed)
    steps, single = program(rng), seed % 5 == 4
    closure = {"factor": 0.7, "W": tg.tensor(rng.normal(size=(2, 8)))}

    def f(x, y, flag, n, ids):
        return run(steps, x, (x, y), flag, n, closure, ids)

    compiled = tg.compile(f, fallback="error")
    for call in range(8):
        shape = (3, 4) if call < 6 else (2, 5)
        flag, n, ids = call in (2, 3), 1 + (call == 4), tg.tensor(rng.integers(0, 100, 3))
        x, y = (rng.normal(size=shape).astype("f4" if single else "f8") for _ in range(2))
        closure["factor"], GLOBAL["scale"] = (1.3, 1.5) if call == 5 else (0.7, 1.0)
        expected = results(f, x, y, flag, n, ids)
        found = results(compiled, x, y, flag, n, ids)
        exact = results(f, x.astype("f8"), y.astype("f8"), flag, n, ids) if single else expected
        least = 1e-3 * max([1, *[np.max(np.abs(b), initial=0, where=np.isfinite(b)) for b in expected if b is not None]])
        for a, b, c in zip(found, expected, exact, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert a.dtype == b.dtype and a.shape == b.shape
                there = np.isfinite(b) & np.isfinite(c)
                size = np.max(np.abs(b), initial=0, where=there)
                rounding = 4 * np.max(np.abs(np.subtract(b, c, where=there, out=np.zeros(b.shape))), initial=0)     # of float32
                np.testing.assert_allclose(a, b, rtol=0, atol=(2e-6 if single else 1e-11) * max(size, least) + rounding)
    assert len(compiled.cache) + sum([recording.replays for recording in compiled.cache]) == 8
