"""The course's LSTM as an expression manager: eval and backprop of its list, against NumPy written out by hand.

    pytest benchmarks/test_wengert.py --benchmark-columns=median,iqr,rounds

`by_hand` is the same forward and backward sweep in plain NumPy as one would write it; `line_by_line` is a program with one
line of NumPy per entry of the list, and one per contribution to a delta: what a list costs without being a list.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from tapegrad import wengert

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import wengert_tour  # noqa: E402

CHARACTERS, CLASSES, NAMES = 90, 5, 64
FORWARD = {
    "add": "{0} + {1}", "mul": "{0} @ {1}", "hadamard": "{0} * {1}", "sigmoid": "1 / (1 + np.exp(-{0}))",
    "tanh": "np.tanh({0})", "relu": "np.maximum({0}, 0)", "softMax": "softmax({0})",
    "crossEnt": "-({1} * np.log({0})).sum(axis=1)", "mean": "{0}.mean()",
}
BACKWARD = {
    "add": ["{d}", "{d}"], "mul": ["{d} @ {1}.T", "{0}.T @ {d}"], "hadamard": ["{d} * {1}", "{d} * {0}"],
    "sigmoid": ["{d} * {z} * (1 - {z})"], "tanh": ["{d} * (1 - {z} * {z})"], "relu": ["{d} * ({0} > 0)"],
    "softMax": ["{z} * ({d} - ({d} * {z}).sum(axis=1, keepdims=True))"], "crossEnt": ["-{d}[:, None] * {1} / {0}", None],
    "mean": ["np.full({0}.shape, {d} / {0}.size)"],
}


def softmax(x):
    z = np.exp(x - x.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def problem():
    """(list, val, names of the parameters)."""
    rng = np.random.default_rng(0)
    xm, inputs = wengert_tour.lstm(CHARACTERS, CLASSES, rng)
    ids = rng.integers(0, CHARACTERS, (NAMES, wengert_tour.MAX_LEN))
    val = xm.inputDict(y=np.eye(CLASSES)[rng.integers(0, CLASSES, NAMES)], **inputs(ids))
    return xm.operationSequence(xm.loss), val, [name for name in xm.registers() if xm.isParam(name)]


def ours():
    f, val, parameters = problem()

    def step():
        values = wengert.eval(f, val)
        return wengert.backprop(f, values, wrt=parameters)

    return step


def line_by_line():
    f, val, parameters = problem()
    values = wengert.eval(f, val)
    needed = set(parameters)
    for z, _, ys in f:
        if needed & set(ys):
            needed.add(z)
    lines = [f"{name} = val[{name!r}]" for name in val]
    lines += [f"{z} = {FORWARD[g].format(*ys)}" for z, g, ys in f]
    lines += [f"d_{f[-1][0]} = 1.0"]
    reached = set()
    for z, g, ys in reversed(f):
        for rule, y in zip(BACKWARD[g], ys):
            if y in needed:
                c = rule.format(*ys, d=f"d_{z}", z=z)
                if np.shape(values[y]) != np.shape(values[z]) and g == "add":
                    c = f"({c}).sum(axis=0).reshape({y}.shape)"
                lines.append(f"d_{y} = d_{y} + {c}" if y in reached else f"d_{y} = {c}")
                reached.add(y)
    lines.append("return {" + ", ".join(f"{name!r}: d_{name}" for name in parameters) + "}")
    scope = {"np": np, "softmax": softmax}
    exec("def step(val):\n    " + "\n    ".join(lines), scope)
    return lambda: scope["step"](val)


def by_hand():
    _, val, parameters = problem()
    p = {name: val[name] for name in parameters}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def step():
        h, c, saved = val["start"], val["start"], []
        for t in range(wengert_tour.MAX_LEN):
            x = val[f"x{t}"]
            i, f, o = (sigmoid(x @ p["W" + g] + h @ p["U" + g] + p["b" + g]) for g in "ifo")
            new = np.tanh(x @ p["Wc"] + h @ p["Uc"] + p["bc"])
            after = f * c + i * new
            squashed = np.tanh(after)
            saved.append((x, h, c, i, f, o, new, squashed))
            h, c = o * squashed, after
        scores = h @ p["W2"] + p["b2"]
        d = {name: np.zeros_like(value) for name, value in p.items()}
        d_scores = (softmax(np.maximum(scores, 0)) - val["y"]) / NAMES * (scores > 0)
        d["W2"] += h.T @ d_scores
        d["b2"] += d_scores.sum(axis=0)
        dh, dc = d_scores @ p["W2"].T, 0
        for x, h, c, i, f, o, new, squashed in reversed(saved):
            dc = dc + dh * o * (1 - squashed * squashed)
            gates = {"i": dc * new * i * (1 - i), "f": dc * c * f * (1 - f), "o": dh * squashed * o * (1 - o),
                     "c": dc * i * (1 - new * new)}
            dh, dc = 0, dc * f
            for g, dz in gates.items():
                d["W" + g] += x.T @ dz
                d["U" + g] += np.broadcast_to(h, dz.shape).T @ dz
                d["b" + g] += dz.sum(axis=0)
                dh = dh + dz @ p["U" + g].T
        return d

    return step


MADE = {"tapegrad": ours, "by_hand": by_hand, "line_by_line": line_by_line}


@pytest.mark.parametrize("kind", MADE)
def test_lstm_step(benchmark, kind):
    step = MADE[kind]()
    step()
    benchmark(step)


@pytest.mark.parametrize("n", [1000, 10_000])
@pytest.mark.parametrize("function", ["eval", "backprop"])
def test_a_long_list_of_small_operations(benchmark, function, n):
    f = [("z0", "add", ("x", "x"))] + [(f"z{i + 1}", "multiply", (f"z{i}", "x")) for i in range(n - 1)]
    values = wengert.eval(f, {"x": np.ones(4)})
    arguments = {"eval": ({"x": np.ones(4)},), "backprop": (values,)}[function]
    getattr(wengert, function)(f, *arguments)
    benchmark(getattr(wengert, function), f, *arguments)


@pytest.mark.parametrize("kind", ["by_hand", "line_by_line"])
def test_the_same_is_computed(kind):
    theirs = MADE[kind]()()
    for name, delta in ours()().items():
        np.testing.assert_allclose(delta, theirs[name], atol=1e-12)
