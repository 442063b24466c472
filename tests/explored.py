"""Tapes to explore, for the tests of the page's data and of the page."""

import json

import numpy as np

import tapegrad as tg

NAME = '</script><b>"x"\'&amp;'


def leaf(values, name=None):
    return tg.tensor(values, requires_grad=True, name=name)


def network():
    """Two layers and a penalty: (trace, {name: leaf})."""
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.normal(size=(3, 2)), name="x")
    p = {name: leaf(rng.normal(size=shape), name) for name, shape in {"W1": (2, 3), "b1": (3,), "W2": (3, 1)}.items()}
    with tg.traced(values=True, deltas=True) as t:
        h = tg.tanh(x @ p["W1"] + p["b1"])
        loss = tg.sum(tg.square(h @ p["W2"])) + 0.5 * tg.sum(p["W1"] * p["W1"])
        loss.backward()
    return t, p


def recurrent(steps=8, size=3, rows=1, **kept):
    """A loop over time, on a matrix of rows x size."""
    rng = np.random.default_rng(1)
    U, h = leaf(rng.normal(size=(size, size)) / size, "U"), np.zeros((rows, size))
    with tg.traced(**kept) as t:
        for x in rng.normal(size=(steps, rows, size)):
            h = tg.tanh(h @ U + x)
        tg.sum(h).backward()
    return t


def odd():
    """What is not finite, not real, empty, of a user, or has a name that is no name."""
    @tg.primitive(lambda d, out, x: d * np.exp(x))
    def explored_user_primitive(x):
        return np.exp(x)

    x, e, c = leaf([1.0, 0.0, -1.0], NAME), leaf(np.zeros((0, 3)), "empty"), leaf([1 + 2j, 3 - 1j], "c")
    big, r, many = leaf(np.linspace(-1, 1, 100).reshape(10, 10), "big"), leaf([0.0, 4.0], "r"), tg.tensor([2 ** 60, 1])
    with np.errstate(all="ignore"), tg.traced(values=True, deltas=True) as t:
        y = explored_user_primitive(tg.log(x)) / 0.0
        loss = (tg.sum(y) + tg.sum(e * 2.0) + tg.abs(c * c).sum() + tg.sqrt(big).sum() + tg.sum(tg.sqrt(r))
                + tg.sum(leaf([1.0, 2.0]) * many))
        loss.backward()
    return t


def living():
    """A tape that nobody traced, with what a test must hold."""
    x, W = leaf([1.0, -2.0], "x"), leaf(np.arange(6.0).reshape(2, 3), "W")
    loss = tg.sum(tg.square(tg.exp(x) @ W + 1.0))
    return tg.tape(), x, W, loss


def strict(text):
    """JSON as a browser reads it."""
    def refused(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refused)
