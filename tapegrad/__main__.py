"""python -m tapegrad: the configuration, and a benchmark of it that takes some seconds."""

import statistics
import sys
import time

import numpy as np

import tapegrad as tg

SIZES = ((16, 80, 32, 10), (32, 80, 64, 20), (64, 80, 128, 20), (128, 128, 256, 30))


def lstm_step(N, D, H, M):
    """The step of an LSTM in elementary operations: M steps of N names with D characters, H hidden units."""
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


def median_ms(step, seconds=2.0):
    """The median time of a call, over calls that take `seconds` together."""
    step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def thousand_products():
    x, y = (tg.tensor(np.ones(4, "f4"), requires_grad=True) for _ in range(2))
    for _ in range(1000):
        x * y


def main():
    tg.show_config()
    print()
    print(f"{'a recorded x * y of four float32':60}{median_ms(thousand_products):9.3f} us")
    for N, D, H, M in SIZES:
        print(f"{f'LSTM step, {N} names, {D} characters, hidden {H}, {M} steps':60}"
              f"{median_ms(lstm_step(N, D, H, M)):9.3f} ms")


if __name__ == "__main__":
    sys.exit(main())
