"""`python -m tapegrad bench`: what an operation, an activation, a product, Adam and an LSTM step take on this machine."""

import statistics
import time

import numpy as np

import tapegrad as tg

SIZES = ((16, 80, 32, 10), (32, 80, 64, 20), (64, 80, 128, 20), (128, 128, 256, 30))
PRODUCTS = 1000
ACTIVATIONS = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}


def lstm_step(N, D, H, M):
    """A training step of an LSTM in elementary operations: M time steps, N names, D characters, H hidden units."""
    rng = np.random.default_rng(0)
    xs = [tg.tensor(np.eye(D, dtype="f4")[rng.integers(0, D, N)]) for _ in range(M)]
    W = {g: tg.tensor(rng.normal(0, 0.1, (D, H)), "f4", requires_grad=True) for g in "ifoc"}
    U = {g: tg.tensor(rng.normal(0, 0.1, (H, H)), "f4", requires_grad=True) for g in "ifoc"}
    b = {g: tg.tensor(np.zeros(H), "f4", requires_grad=True) for g in "ifoc"}
    targets, zeros = rng.integers(0, H, N), tg.tensor(np.zeros((N, H), "f4"))

    def step():
        h = c = zeros
        for x in xs:
            i, f, o = (tg.sigmoid(x @ W[g] + h @ U[g] + b[g]) for g in "ifo")
            c = f * c + i * tg.tanh(x @ W["c"] + h @ U["c"] + b["c"])
            h = o * tg.tanh(c)
        tg.cross_entropy(h, targets).backward()
        for parameter in (*W.values(), *U.values(), *b.values()):
            parameter.grad = None

    return step


def seconds_of(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def medians(runs, seconds):
    """The median of each of `runs`, functions that return seconds; called in turns, for `seconds` in total."""
    for run in runs:
        run()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        times.append([run() for run in runs])
    return [statistics.median(column) for column in zip(*times)]


def line(what, unit, scale, runs, seconds, beside="NumPy"):
    """Print the median of the first run, and that of the second (the reference), with the ratio."""
    ours, *others = medians(runs, seconds)
    comparison = (f"  {beside} {other * scale:.3f}, ratio {ours / other:.2f}" for other in others)
    print(f"{what:58}{ours * scale:9.3f} {unit}", *comparison)


def products(x, y):
    for _ in range(PRODUCTS):
        x * y


def chain_backward(x, y):
    """The seconds that backward() takes through PRODUCTS entries."""
    z = x
    for _ in range(PRODUCTS):
        z = z * y
    loss = z.sum()
    return seconds_of(loss.backward)


def operations(seconds):
    """The overhead of an operation, with almost no arithmetic."""
    a, b = np.ones(4, "f4"), np.ones(4, "f4")
    x, y = (tg.tensor(array, requires_grad=True) for array in (a, b))
    runs = [lambda: seconds_of(lambda: products(x, y)), lambda: seconds_of(lambda: products(a, b))]
    line("a recorded x * y of four float32", "us", 1e6 / PRODUCTS, runs, seconds)
    line("backward, per entry of a chain of them", "us", 1e6 / PRODUCTS, [lambda: chain_backward(x, y)], seconds)


def activations(seconds):
    """The activations' forward kernels, compared with NumPy expressions."""
    for name, expression in ACTIVATIONS.items():
        for size in (2_048, 131_072):
            a = np.random.default_rng(0).normal(size=size).astype("f4")
            x, function, calls = tg.tensor(a), getattr(tg, name), 1 + 100_000 // size
            runs = [lambda f=f, x=x, calls=calls: seconds_of(lambda: [f(x) for _ in range(calls)]) / calls
                    for f, x in ((function, x), (expression, a))]
            line(f"{name}, {size:,} float32", "us", 1e6, runs, seconds / 2)


def matrix_products(seconds):
    for n in (64, 256, 1024):
        a = np.random.default_rng(0).normal(size=(n, n)).astype("f4")
        median, = medians([lambda a=a: seconds_of(lambda: a @ a)], seconds / 2)
        print(f"{f'matrix product, {n} x {n} float32':58}{2e-9 * n ** 3 / median:9.1f} GFLOP/s")


def adam(seconds, width=512, layers=4):
    """A step of Adam, without the gradients; compared with a copy of as many numbers, a lower bound for any optimiser."""
    parameters = [tg.tensor(np.ones((width, width)), "f4", requires_grad=True) for _ in range(layers)]
    for parameter in parameters:
        parameter.grad = np.full((width, width), 0.1, "f4")
    arrays = [np.ones((width, width), "f4") for _ in range(layers)]
    optimiser = tg.optim.Adam(parameters)
    runs = [lambda: seconds_of(optimiser.step), lambda: seconds_of(lambda: [a.copy() for a in arrays])]
    line(f"Adam, a step of {layers * width * width:,} parameters", "ms", 1e3, runs, seconds, "copying them")


def bench(seconds=4.0):
    """Print the configuration and the timings, about `seconds` per line."""
    tg.show_config()
    print()
    for part in (operations, activations, matrix_products, adam):
        part(seconds)
    for N, D, H, M in SIZES:
        step = lstm_step(N, D, H, M)
        what = f"LSTM step, {N} names, {D} characters, hidden {H}, {M} steps"
        line(what, "ms", 1e3, [lambda step=step: seconds_of(step)], seconds)
