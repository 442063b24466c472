"""What an operation costs beyond the arithmetic, in numbers that are the same on every machine: CI fails when one grows.

The bounds are totals; a failure lists what they are made of. A change that lowers a number lowers its bound here, too.
"""

import os
import re
import sys
from functools import partial
from importlib.util import find_spec

import counts
import libraries
import numpy as np
import pytest
from models import SIZES, lstm_problem

import tapegrad as tg

ONES = np.ones((16, 16), np.float32)                    # 1024 bytes: an array that is counted
OPERATIONS = {"x * y": lambda x, p: x * p["y"], "x @ W": lambda x, p: x @ p["W"], "x + b": lambda x, p: x + p["b"],
              "sigmoid(x)": lambda x, p: tg.sigmoid(x), "cumsum(x, 0)": lambda x, p: tg.cumsum(x, 0)}
SWEEPS = ("calls in Python, forward", "calls in C, forward", "arrays, forward",
          "calls in Python, backward", "calls in C, backward", "arrays, backward")
# Of an entry whose one operand is the entry before, and the other a leaf that has a delta already. The memory blocks that it
# keeps: itself, its operands, its shape; what is saved, and of a saved array itself, its shape and its data. Of its objects,
# those that garbage collection walks over, and those that it still does when it has seen that the others lead nowhere.
COLUMNS = (*SWEEPS, "blocks kept", "tracked objects", "tracked objects later")
MOST = {
    "x * y":        (1, 3, 1, 2, 4, 2, 7, 4, 2),
    "x @ W":        (2, 4, 1, 5, 7, 1, 7, 4, 2),
    "x + b":        (1, 3, 1, 3, 4, 0, 3, 3, 2),
    "sigmoid(x)":   (2, 3, 1, 1, 1, 1, 7, 4, 2),
    "cumsum(x, 0)": (12, 5, 1, 8, 2, 1, 4, 4, 2),
}
MOST_LSTM = (441, 1751, 250, 703, 925, 132, 1150, 60)  # the columns of the sweeps, blocks kept, and left by backward()
LSTM_SAVED = 7                                          # arrays per time step: i, f, o, tanh(..), c, tanh(c), h
LSTM_DELTAS = 4                                         # arrays: deltas that are on their way when a step takes most


@pytest.fixture(autouse=True)
def fast_paths():
    """numba, and the BLAS that NumPy brings along: without them other functions run."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"].get("name", "")
    if find_spec("numba") is None or "NUMBA_DISABLE_JIT" in os.environ or "openblas" not in blas:
        pytest.skip("numba or NumPy's OpenBLAS is not there")


@pytest.fixture
def parameters():
    """Leaves without gradients, and everything compiled that is compiled late."""
    p = {"x": ONES, "y": ONES, "W": ONES / 16, "b": ONES[0] * 0}
    p = {name: tg.tensor(value, requires_grad=True) for name, value in p.items()}
    for op in (*OPERATIONS.values(), *OPERATIONS.values()):     # once more with all of it loaded
        walk(chain(op, p, 50), p)                       # long enough to fill NumPy's cache of small arrays
    return p


@pytest.fixture
def lstm():
    """(forward, backward) of the LSTM step, which has run."""
    forward, backward = libraries.load("tapegrad").sweeps(*lstm_problem(*SIZES["N16-D80-H32-M10"]))
    for _ in range(2):
        backward(forward())
    return forward, backward


def chain(op, p, length):
    """op(op(.. op(x)))."""
    x = p["x"]
    for _ in range(length):
        x = op(x, p)
    return x


def walk(z, p):
    """The whole sweep, and nothing is left of it."""
    z.backward(ONES)
    for leaf in p.values():
        leaf.grad = None


def sweep_counts(forward, backward):
    """Calls and arrays of one forward sweep, and of one backward sweep over its result, in the order of SWEEPS."""
    found = []
    for run in (lambda: forward, lambda: partial(backward, forward())):
        len(tg.tape())                                  # what is dead leaves the tape
        found += [*counts.calls(run()), counts.arrays(run())]
    return found


def per_entry(measure, few, many):
    """The counts of a chain of operations per entry; what comes once in a chain is no part of it."""
    found = zip(measure(few), measure(many))
    return [{place: n / (many - few) for place, n in (more - less).items()} for less, more in found]


def costs(p, name):
    """What there is to count in an operation, in the order of COLUMNS."""
    def chained(length):
        return partial(chain, OPERATIONS[name], p, length)

    forward = sweep_counts(partial(OPERATIONS[name], p["x"], p), lambda z: None)[:3]
    backward = per_entry(lambda length: sweep_counts(chained(length), lambda z: walk(z, p))[3:], 10, 20)
    kept = per_entry(lambda length: counts.blocks(chained(length), lambda z: walk(z, p))[:1], 100, 200)
    return [*forward, *backward, *kept, *per_entry(lambda length: counts.tracked(chained(length)), 100, 200)]


def check(columns, found, most):
    """Fail with all totals, and with what those are made of that are more than they may be."""
    totals = tuple([round(sum(parts.values())) for parts in found])
    over = [f"{what}, at most {bound}: {dict(parts)}"
            for what, parts, total, bound in zip(columns, found, totals, most, strict=True) if total > bound]
    assert not over, f"{totals}\n" + "\n".join(over)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation(parameters, name):
    check(COLUMNS, costs(parameters, name), MOST[name])
    _, left = counts.blocks(partial(chain, OPERATIONS[name], parameters, 200), lambda z: walk(z, parameters))
    assert left.total() < 20, f"blocks of memory that are left of 200 {name} after backward(): {dict(left)}"


def test_an_lstm_step(lstm):
    """What its tape keeps is gone after backward(), but for the gradients."""
    forward, backward = lstm
    kept, left = counts.blocks(forward, lambda loss: backward(loss) and None)
    check((*SWEEPS, "blocks kept", "blocks left"), [*sweep_counts(forward, backward), kept, left], MOST_LSTM)


def test_the_peak_memory_of_an_lstm_step():
    """Every value that a derivative reads is kept once, and a step takes little more than these and the gradients."""
    N, _, H, M = size = SIZES["N64-D80-H128-M20"]
    loss, inputs, parameters = lstm_problem(*size)
    forward, backward = libraries.load("tapegrad").sweeps(loss, inputs, parameters)
    backward(forward())
    one = np.zeros((N, H), np.float32).nbytes
    most = counts.most_bytes(lambda: backward(forward()))
    at_most = (LSTM_SAVED * M + LSTM_DELTAS) * one + sum(gradient.nbytes for gradient in parameters.values())
    assert most <= at_most, f"an LSTM step takes {(most - at_most) / one:.1f} arrays of {one} bytes more than {at_most} bytes"


@pytest.mark.parametrize("size", ["N32-D80-H64-M20", "N64-D80-H128-M20"])
def test_a_compiled_lstm_step_takes_no_more_memory_than_an_eager_one(size):
    """What its program has for values, from forward to backward and meanwhile, and the gradients."""
    loss, inputs, parameters = lstm_problem(*SIZES[size])
    forward, backward = libraries.load("tapegrad").sweeps(loss, inputs, parameters)
    backward(forward())
    most = counts.most_bytes(lambda: backward(forward()))
    F = libraries.load("tg.compile")
    compiled, p = F.compiled(loss), {name: F.parameter(value) for name, value in parameters.items()}
    text = str(compiled.explain(F, p=p, **libraries.convert(F.constant, inputs)))
    found = re.search(r"memory: ([\d,]+) bytes from forward to backward, ([\d,]+) bytes meanwhile", text)
    planned = [int(n.replace(",", "")) for n in found.groups()]
    gradients = sum(gradient.nbytes for gradient in parameters.values())
    assert sum(planned) + gradients <= most, f"{planned} and {gradients} bytes of gradients; an eager step takes {most}"


def test_lstm_steps_leave_nothing_behind(lstm):
    """Not even for garbage collection, which is off."""
    forward, backward = lstm
    found = []
    with counts.uncollected():
        for _ in range(3):
            for _ in range(100):
                backward(forward())
            found.append(sys.getallocatedblocks())
    assert found[2] - found[1] < 20, f"blocks of memory after 100, 200 and 300 steps: {found}"


WATCHERS = {"traced": tg.traced, "traced with values": lambda: tg.traced(values=True, deltas=True),
            "detect_anomaly": tg.detect_anomaly}


@pytest.mark.parametrize("watcher", WATCHERS)
def test_nothing_is_left_of_watching(parameters, lstm, watcher):
    """What is counted after watching is what was counted before."""
    def all_counts():
        operations = [sweep_counts(partial(op, parameters["x"], parameters), lambda z: walk(z, parameters))
                      for op in OPERATIONS.values()]
        return [*operations, sweep_counts(*lstm)]

    before = all_counts()
    with WATCHERS[watcher]() as watching:
        lstm[1](lstm[0]())
        for op in OPERATIONS.values():
            walk(chain(op, parameters, 3), parameters)
    assert watching is None or len(watching) > 3 * len(OPERATIONS) and str(watching.blame())
    assert all_counts() == before
