"""What an operation costs beyond the arithmetic, in numbers that are the same on every machine: CI fails when one grows.

It stands with the benchmarks, whose LSTM step it counts, and CI runs it with them. A change that lowers a number lowers it
here, too.
"""

import sys
from functools import partial

import counts
import libraries
import numpy as np
import pytest
from models import SIZES, lstm_problem

import tapegrad as tg
from tapegrad.kernels.blas import adds_products

ONES = np.ones((16, 16), np.float32)                    # 1024 bytes: an array that is counted
FEW = 5                                                 # a step calls less often what is its loss's, not its operations'
OPERATIONS = {"x * y": lambda x, p: x * p["y"], "x @ W": lambda x, p: x @ p["W"], "x + b": lambda x, p: x + p["b"],
              "sigmoid(x)": lambda x, p: tg.sigmoid(x), "cumsum(x, 0)": lambda x, p: tg.cumsum(x, 0)}

APPENDED = {"object.__new__": 1, "list.append": 1, "len": 1}
RECORDING = {
    "x * y": {"record.binary.op": 1, **APPENDED},
    "x @ W": {"record.binary.op": 1, "linear._fast_matmul": 1, "ndarray.dot": 1, **APPENDED},
    "x + b": {"record.binary.op": 1, **APPENDED},
    "sigmoid(x)": {"record.unary.op": 1, **APPENDED},
    "cumsum(x, 0)": {"cumulative.cumsum": 1, "cumulative._running": 1, "reductions.checked": 1, "arguments.single_axis": 1,
                     "arguments.normalized_axis": 1, "arguments.value": 1, "tensor.Tensor._value": 1, "isinstance": 1,
                     "record.unary_with_static.op": 1, "cumulative.<lambda>": 1, "ufunc.accumulate": 1,
                     "tensor.wrap": 1, "record.append": 1, **APPENDED},
}
# Of an entry whose one operand is the entry before, and the other a leaf that has a delta already.
SWEEPING = {
    "x * y": {"len": 2, "arithmetic.<lambda>": 2, "dict.get": 1, "getrefcount": 1},
    "x @ W": {"len": 1, "linear._fast_matmul_dx": 1, "linear._transposed_often": 1, "linear._fast_matmul": 1, "ndarray.dot": 1,
              "dict.get": 2, "getrefcount": 1, "linear._add_matmul_dy": 1, "blas.add_product": 1, "id": 1,
              "_Closure._add_product": 1},
    "x + b": {"len": 1, "arithmetic._whole_delta": 1, "dict.get": 1, "getrefcount": 1, "arithmetic._add_whole_delta": 1,
              "blas.add_rows": 1, "_Closure._add_rows": 1},
    "sigmoid(x)": {"len": 1, "scalar.kernel.first_derivative.<lambda>": 1},
    "cumsum(x, 0)": {"len": 1, "cumulative.<lambda>": 2, "cumulative.reverse": 2, "indexing._getitem": 2,
                     "indexing._is_array": 2, "ufunc.accumulate": 1},
}
# Arrays of an entry: its value; its contributions to deltas, but for what is added to a delta in place or is handed on.
VALUES = dict.fromkeys(OPERATIONS, 1)
CONTRIBUTIONS = {"x * y": 2, "x @ W": 1, "x + b": 0, "sigmoid(x)": 1, "cumsum(x, 0)": 1}
# Blocks of memory that an entry keeps: itself, its operands, its shape; what is saved, and of a saved array itself, its shape
# and its data.
BLOCKS = {"x * y": 3 + 1 + 3, "x @ W": 3 + 1 + 3, "x + b": 3, "sigmoid(x)": 3 + 1 + 3, "cumsum(x, 0)": 3 + 1}
# Those of an entry's objects that garbage collection walks over, and later, when it has seen that the others lead nowhere:
# tuples of numbers or arrays. At most: CPython may come to see that sooner.
TRACKED = {"x * y": {"Entry": 1, "tuple": 3}, "x @ W": {"Entry": 1, "tuple": 3}, "x + b": {"Entry": 1, "tuple": 2},
           "sigmoid(x)": {"Entry": 1, "tuple": 3}, "cumsum(x, 0)": {"Entry": 1, "tuple": 3}}
TRACKED_LATER = {"Entry": 1, "tuple": 1}

LSTM_CALLS = {
    "forward": {"record.binary.op": 202, "record.unary.op": 51, "object.__new__": 255, "list.append": 255, "len": 256,
                "linear._fast_matmul": 81, "ndarray.dot": 81, "elementwise.tanh": 20, "others": 31},
    "backward": {"len": 282, "getrefcount": 158, "dict.get": 195, "arithmetic.<lambda>": 59, "arithmetic._whole_delta": 146,
                 "arithmetic._add_whole_delta": 36, "blas.add_rows": 36, "sweep.fit": 5, "reductions._sum_rows": 5,
                 "scalar.kernel.first_derivative.<lambda>": 51, "linear._fast_matmul": 19, "linear._fast_matmul_dx": 10,
                 "linear._matmul_dy": 9, "linear._transposed_often": 37, "linear._add_matmul_dx": 27,
                 "linear._add_matmul_dy": 72, "ndarray.dot": 24, "blas.add_product": 63, "_Closure._add_product": 63, "id": 37,
                 "onehot.add_product": 36, "ndarray.item": 36, "_Closure.collect": 36, "_Closure._add_rows": 36,
                 "tensor.Tensor.grad": 28, "isinstance": 15, "dict.pop": 14, "refcount.owned": 14, "others": 32},
}
LSTM_ARRAYS = {
    "forward": {"record.binary.op": 120, "record.unary.op": 50, "linear._fast_matmul": 80, "others": 0},
    "backward": {"arithmetic.<lambda>": 59, "scalar.kernel.first_derivative.<lambda>": 50, "linear._fast_matmul": 18,
                 "others": 4},
}
LSTM_SAVED = 7                                          # arrays per time step: i, f, o, tanh(..), c, tanh(c), h
LSTM_DELTAS = 4                                         # arrays: deltas that are on their way when a step takes most
LSTM_BLOCKS = {"kept": 1160, "left": 60}                # at most: NumPy's cache has a few of them; 14 gradients are left

operations = pytest.mark.parametrize("name", OPERATIONS)


@pytest.fixture(autouse=True)
def fast_paths():
    """numba, and the BLAS that NumPy brings along: without them other functions run."""
    if not adds_products():
        pytest.skip("numba or NumPy's OpenBLAS is not there")


@pytest.fixture
def parameters():
    """Leaves without gradients, and everything compiled that is compiled late."""
    p = {"x": ONES, "y": ONES, "W": ONES / 16, "b": ONES[0] * 0}
    p = {name: tg.tensor(value, requires_grad=True) for name, value in p.items()}
    tg.tape().entries.clear()
    for op in (*OPERATIONS.values(), *OPERATIONS.values()):     # once more with all of it loaded
        walk(chain(op, p, 50), p)                       # long enough to fill NumPy's cache of small arrays
    return p


@pytest.fixture
def lstm():
    """(forward, backward) of the LSTM step, which has run."""
    tg.tape().entries.clear()
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


def per_entry(count, p, name):
    """What count(function) finds in a sweep per entry; what comes once in a sweep is no part of it."""
    few, many = (count(partial(walk, chain(OPERATIONS[name], p, length), p)) for length in (10, 20))
    many.subtract(few)
    return {place: n / 10 for place, n in many.items() if n}


def recorded(count, p, name):
    """What count(function) finds in a recorded operation."""
    found = count(partial(OPERATIONS[name], p["x"], p))
    tg.tape().reap()
    return found


def sweeps(count, lstm):
    """What count(function) finds in the forward and in the backward sweep of the LSTM, the rare in one."""
    forward, backward = lstm
    found = {"forward": frequent(count(forward))}
    tg.tape().reap()
    return found | {"backward": frequent(count(partial(backward, forward())))}


def frequent(found):
    often = {name: n for name, n in found.items() if n >= FEW}
    return often | {"others": found.total() - sum(often.values())}


def check(what, found, expected):
    """Fail with the names that there is more of, or less, than expected."""
    changed = [f"{name} {found.get(name, 0):g} (was {expected.get(name, 0):g})" for name in sorted({**found, **expected})
               if found.get(name, 0) != expected.get(name, 0)]
    assert not changed, f"{what}: " + ", ".join(changed)


@operations
def test_calls_that_record_an_entry(parameters, name):
    check(f"calls that record {name}", recorded(counts.calls, parameters, name), RECORDING[name])


@operations
def test_calls_of_the_sweep(parameters, name):
    check(f"calls of the sweep per {name}", per_entry(counts.calls, parameters, name), SWEEPING[name])


@operations
def test_arrays(parameters, name):
    found = recorded(counts.arrays, parameters, name)
    assert found.total() == VALUES[name], f"arrays that {name} allocates: {dict(found)}"
    found = per_entry(counts.arrays, parameters, name)
    assert sum(found.values()) == CONTRIBUTIONS[name], f"arrays that the sweep allocates per {name}: {found}"


@operations
def test_blocks_of_memory(parameters, name):
    """What an entry keeps, and that the sweep leaves nothing of it."""
    kept, left = zip(*[counts.blocks(partial(chain, OPERATIONS[name], parameters, n), lambda z: walk(z, parameters))
                       for n in (100, 200)])
    found = {line: n / 100 for line, n in (kept[1] - kept[0]).items()}
    assert round(sum(found.values())) == BLOCKS[name], f"blocks of memory that {name} keeps: {found}"
    assert left[1].total() < 20, f"blocks of memory that are left of 200 {name} after backward(): {dict(left[1])}"


@operations
def test_objects_of_garbage_collection(parameters, name):
    few, many = (counts.tracked(partial(chain, OPERATIONS[name], parameters, n)) for n in (100, 200))
    for when, less, more, most in zip(("at first", "later"), few, many, (TRACKED[name], TRACKED_LATER)):
        found = {kind: round(n / 100) for kind, n in (more - less).items()}
        assert all(n <= most.get(kind, 0) for kind, n in found.items()), (
            f"objects that garbage collection walks over per {name}, {when}: {found}, not {most}")


def test_the_calls_of_an_lstm_step(lstm):
    for sweep, found in sweeps(counts.calls, lstm).items():
        check(f"calls, {sweep}", found, LSTM_CALLS[sweep])


def test_the_arrays_of_an_lstm_step(lstm):
    for sweep, found in sweeps(counts.arrays, lstm).items():
        check(f"arrays, {sweep}", found, LSTM_ARRAYS[sweep])


def test_the_memory_of_an_lstm_step(lstm):
    """What its tape keeps is gone after backward(), but for the gradients."""
    forward, backward = lstm
    kept, left = counts.blocks(forward, lambda loss: backward(loss) and None)
    assert kept.total() <= LSTM_BLOCKS["kept"], f"blocks of memory that the tape keeps: {dict(kept)}"
    assert left.total() <= LSTM_BLOCKS["left"], f"blocks of memory that are left after backward(): {dict(left)}"


def test_the_peak_memory_of_an_lstm_step():
    """Every value that a derivative reads is kept once, and a step takes little more than these and the gradients."""
    N, _, H, M = size = SIZES["N64-D80-H128-M20"]
    loss, inputs, parameters = lstm_problem(*size)
    forward, backward = libraries.load("tapegrad").sweeps(loss, inputs, parameters)
    backward(forward())
    kept = forward()
    saved = {id(value): value for entry in tg.tape().entries for value in entry.saved
             if isinstance(value, np.ndarray) and value.shape == (N, H)}
    assert len(saved) == LSTM_SAVED * M + 1             # and the h and c that the first time step is given, but no last c
    del kept, saved
    one = np.zeros((N, H), np.float32).nbytes
    most = counts.most_bytes(lambda: backward(forward()))
    at_most = (LSTM_SAVED * M + LSTM_DELTAS) * one + sum(gradient.nbytes for gradient in parameters.values())
    assert most <= at_most, f"an LSTM step takes {(most - at_most) / one:.1f} arrays of {one} bytes more than {at_most} bytes"


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
        found = {}
        for count in (counts.calls, counts.arrays):
            for name in OPERATIONS:
                found[count.__name__, "recorded", name] = recorded(count, parameters, name)
                found[count.__name__, "sweep", name] = per_entry(count, parameters, name)
            found |= {(count.__name__, "LSTM", sweep): n for sweep, n in sweeps(count, lstm).items()}
        return found

    before = all_counts()
    with WATCHERS[watcher]() as watching:
        lstm[1](lstm[0]())
        for op in OPERATIONS.values():
            walk(chain(op, parameters, 3), parameters)
    if watching is not None:
        assert len(watching) > LSTM_CALLS["forward"]["list.append"] and str(watching.blame())
    for what, found in all_counts().items():
        check(", ".join(what), found, before[what])
