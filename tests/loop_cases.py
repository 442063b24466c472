"""Functions with loops, and what is known of each: test_loops.py runs them."""

import numpy as np

import tapegrad as tg


class Case:
    """A function of tensors that gives a scalar, and the shapes of its arguments.

    loops   how many loops there are in its graph
    kernel  whether they are one of machine numbers
    exact   whether the first derivatives have the bits of the eager sweep
    """

    def __init__(self, function, *shapes, loops=1, kernel=True, exact=True):
        self.function, self.shapes, self.loops, self.kernel, self.exact = function, shapes, loops, kernel, exact

    def drawn(self, dtype=float):
        rng = np.random.default_rng(1)
        return [np.asarray(rng.uniform(0.5, 1.5, shape), dtype) for shape in self.shapes]


def rk4(a, b, c, d, x, y):
    def f(x, y):
        return a * x - b * x * y, d * x * y - c * y

    dt = 0.05
    for _ in range(12):
        u1, v1 = f(x, y)
        u2, v2 = f(x + dt / 2 * u1, y + dt / 2 * v1)
        u3, v3 = f(x + dt / 2 * u2, y + dt / 2 * v2)
        u4, v4 = f(x + dt * u3, y + dt * v3)
        x = x + dt / 6 * (u1 + 2 * u2 + 2 * u3 + u4)
        y = y + dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    return x * x + y


def only_carried(x):
    for _ in range(9):
        x = tg.sin(x) * 1.5 + 0.25 * x
    return x


def number_per_step(x, w):
    t = 0.0
    for _ in range(9):
        x = x + 0.1 * tg.cos(w * x + t) / (1.0 + t)
        t = t + 0.1
    return x * w


def row_per_step(xs, w):
    h = w * 0.5
    for t in range(8):
        h = tg.tanh(w * h + xs[t])
    return h * h


def rows_from_the_last(xs, w):
    h = w * 0.5
    for t in reversed(range(8)):
        h = w * h * xs[t] + xs[-1 - t] * 0.5
    return h


def rows_in_any_order(xs, w):
    h = w * 0.5
    for t in (3, 1, 4, 1, 5, 0, 2, 6):
        h = w * h * xs[t] + 0.5
    return h


def columns(xs, w):
    h = w * xs[:, 0]
    for t in range(1, 7):
        h = w * h * xs[:, t] + 0.5
    return h.sum()


def unpacked(xs, w):
    h = w
    for x in xs:
        h = w * h * x + 0.5
    return h


def taken_before(xs, w):
    rows, h = [xs[t] for t in range(7)], w
    for x in rows:
        h = w * h * x + 0.5
    return h


def arrays_per_step(w):
    h = w * 0.5
    for x in np.random.default_rng(2).normal(size=(8, 3)):
        h = tg.tanh(w * h + tg.tensor(x))
    return h.sum()


def outputs_stacked(x, w):
    found = []
    for _ in range(8):
        x = tg.sin(x) * w
        found.append(x * x)
    return (tg.stack(found) * tg.stack(found[::-1]) * np.arange(8.0)).sum()


def outputs_of_carried(x, w):
    found = [x]
    for _ in range(8):
        x = tg.sin(x) * w + x
        found.append(x)
    return (tg.stack(found) ** 2).sum() + (tg.stack(found[2:6]) * 3.0).sum() * found[4]


def outputs_concatenated(x, w):
    found = []
    for _ in range(6):
        x = tg.sin(x) * w
        found.append(x)
    return (tg.concatenate(found, axis=1) * np.arange(18.0)).sum() + (tg.stack(found, axis=1) ** 2).sum()


def output_in_the_middle(x, w):
    for t in range(9):
        x = tg.sin(x) * w + x
        if t == 4:
            kept = x
    return x * kept * kept


def losses_in_a_second_loop(x, w):
    found = []
    for _ in range(8):
        x = tg.sin(x) * w
        found.append(x)
    total = 0.0
    for z in found:
        total = total + z * z
    return total


def two_loops(x, w):
    for _ in range(8):
        x = tg.sin(x) * w + 0.5
    y = x * w
    for _ in range(7):
        y = tg.exp(-y) + x * y - w
    return y * x


def two_back(x, y, w):
    for _ in range(9):
        x, y = 2 * x - y - 0.1 * w * tg.sin(x), x
    return x * w + y


def three_back(x, w):
    xs = [x, x * w, x + w]
    for _ in range(9):
        xs.append(0.5 * xs[-1] + w * xs[-3] - xs[-2])
    return xs[-1] * xs[-2]


def around(x, w):
    u = tg.exp(w) * x
    w = tg.sqrt(u * u + w)
    for _ in range(8):
        x = w * tg.sin(x) + u
    return tg.log(x * x + 1.0) / w + u


def nested(x, w):
    for _ in range(6):
        y = x
        for _ in range(5):
            y = 0.5 * (y + w / y)
        x = x + 0.1 * y
    return x * y


def maps(xs):
    total = 0.0
    for t in range(8):
        total = total + tg.exp(xs[t] * 0.5) * xs[t]
    return total


def branches_of_where(x, w):
    for _ in range(9):
        x = tg.where(x > w, x - w, 2.0 * x) + tg.maximum(x, w) * 0.125 - tg.abs(x - 1.0) * 0.25
    return x


def powers(x, w):
    for _ in range(6):
        x = x ** 2 / (1.0 + w ** 3) + (x * x + 1.0) ** 0.5 + w ** 1.5 + x ** w * 0.125 + x ** -1
    return x


def functions(x, w):
    for _ in range(6):
        x = tg.exp(-x * x) + tg.log(1.0 + w * w) + tg.sigmoid(x) * tg.relu(w) + tg.sqrt(x * x + 1.0)
        x = tg.arctan2(x, w) + tg.hypot(x, w) * 0.5 + tg.tan(x * 0.125) + tg.expm1(x * 0.1) + tg.square(w) + tg.reciprocal(w)
    return x


def vectors(y, w):
    def f(y):
        return tg.stack([y[1] * w[0], -tg.sin(y[0]) * w[1] - 0.1 * y[1]])

    for _ in range(9):
        k = f(y)
        y = y + 0.05 * (k + f(y + 0.1 * k))
    return (y * y).sum()


def small_matrices(x, A, b):
    for _ in range(7):
        x = tg.tanh(A @ x + b) + 0.5 * x.mean()
    return x.sum()


def rnn(xs, W, U, b):
    h = tg.zeros((3, 9))
    for t in range(6):
        h = tg.tanh(xs[t] @ W + h @ U + b)
    return (h * h).sum()


def items_assigned(x, w):
    for _ in range(6):
        x = x * w
        x[1] = x[0] * 0.5
        x[0] = x[2] + w
    return x.sum()


def parameter_also_outside(x, w):
    y = x * w
    for _ in range(8):
        y = tg.sin(y) * w
    return y * w * x


CASES = {function.__name__: Case(function, *shapes, **facts) for function, shapes, facts in [
    (rk4, [()] * 6, {}),
    (only_carried, [()], {"exact": False}),
    (number_per_step, [(), ()], {"exact": False}),
    (row_per_step, [(8,), ()], {}),
    (rows_from_the_last, [(8,), ()], {}),
    (rows_in_any_order, [(7,), ()], {}),
    (columns, [(3, 7), (3,)], {}),
    (unpacked, [(7,), ()], {}),
    (taken_before, [(7,), ()], {}),
    (arrays_per_step, [(3,)], {}),
    (outputs_stacked, [(), ()], {"exact": False}),
    (outputs_of_carried, [(), ()], {"exact": False}),
    (outputs_concatenated, [(2, 3), (2, 3)], {"exact": False}),
    (output_in_the_middle, [(), ()], {"exact": False}),
    (losses_in_a_second_loop, [(), ()], {"exact": False, "loops": 2}),
    (two_loops, [(), ()], {"exact": False, "loops": 2}),
    (two_back, [(), (), ()], {"exact": False}),
    (three_back, [(), ()], {"exact": False, "loops": 2}),
    (around, [(), ()], {"exact": False}),
    (nested, [(), ()], {}),
    (maps, [(8,)], {"exact": False}),
    (branches_of_where, [(), ()], {}),
    (powers, [(), ()], {"exact": False}),
    (functions, [(), ()], {"exact": False}),
    (vectors, [(2,), (2,)], {"exact": False}),
    (small_matrices, [(3,), (3, 3), (3,)], {"exact": False}),
    (rnn, [(6, 3, 4), (4, 9), (9, 9), (9,)], {"exact": False, "kernel": False}),
    (items_assigned, [(3,), ()], {}),
    (parameter_also_outside, [(), ()], {"exact": False}),
]}
