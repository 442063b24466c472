"""Step through a tape in the browser: a network of two layers, an LSTM, and a step in which something goes wrong.

    python examples/explore_the_tape.py --open              # writes to runs/explored/ and opens the first page
    python examples/explore_the_tape.py --to DIR
"""

import argparse
import os
import webbrowser
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")      # before NumPy: the matrices are small

import numpy as np  # noqa: E402

import tapegrad as tg  # noqa: E402


def parameter(name, *shape):
    """A leaf of random numbers of two digits, the same for the same name."""
    rng = np.random.default_rng(list(name.encode()))
    return tg.tensor(rng.normal(0, 0.6, shape).round(2), requires_grad=True, name=name)


def network():
    """Two layers and a softmax, on three points with two classes each."""
    x = tg.tensor([[1.0, 0.5], [-1.0, 0.25], [0.5, -2.0]], name="x")
    W1, b1, W2 = parameter("W1", 2, 3), parameter("b1", 3), parameter("W2", 3, 2)
    with tg.traced(values=True, deltas=True) as t:
        h = tg.tanh(x @ W1 + b1)
        scores = h @ W2
        loss = tg.cross_entropy(scores, [0, 1, 0])
        penalty = 0.1 * tg.sum(W1 * W1)
        total = loss + penalty
        total.backward()
    return t.explore()


def lstm(rows=6, inputs=5, hidden=16, steps=8):
    """One LSTM over eight time steps, whose loop is folded in the graph."""
    xs = [tg.tensor(x, name="x") for x in np.random.default_rng(0).normal(size=(steps, rows, inputs)).astype(np.float32)]
    W = {gate: parameter(f"W_{gate}", inputs, hidden) for gate in "ifoc"}
    U = {gate: parameter(f"U_{gate}", hidden, hidden) for gate in "ifoc"}
    h = c = tg.tensor(np.zeros((rows, hidden)), name="zeros")
    with tg.traced(values=True, deltas=True) as t:
        for x in xs:
            i = tg.sigmoid(x @ W["i"] + h @ U["i"])
            f = tg.sigmoid(x @ W["f"] + h @ U["f"])
            o = tg.sigmoid(x @ W["o"] + h @ U["o"])
            c = f * c + i * tg.tanh(x @ W["c"] + h @ U["c"])
            h = o * tg.tanh(c)
        loss = tg.mean(tg.square(h))
        loss.backward()
    return t.explore()


def blamed():
    """A logarithm of what should have been positive."""
    x, w = parameter("x", 4), parameter("w", 4)
    with np.errstate(all="ignore"), tg.traced(values=True, deltas=True) as t:
        scores = x * w
        logs = tg.log(scores)
        weighted = logs * tg.softmax(w)
        loss = tg.sum(weighted) + tg.sum(tg.exp(x))
        loss.backward()
    return t.explore()


PAGES = {"network": network, "lstm": lstm, "blamed": blamed}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", default=os.path.join("runs", "explored"), metavar="DIR",
                        help="the folder to write to (default: %(default)s)")
    parser.add_argument("--open", action="store_true", help="open the network's page in the browser")
    options = parser.parse_args()
    folder = Path(options.to)
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        page().save(folder / f"{name}.html")
        print(folder / f"{name}.html", flush=True)
        if options.open and name == "network":          # the others are written while it is read
            webbrowser.open((folder / "network.html").resolve().as_uri())


if __name__ == "__main__":
    main()
