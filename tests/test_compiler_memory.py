"""Where a program has its values: written over others, computed again, in holes. The values are those without all that."""

from collections import Counter

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compiler import program as program_module
from tapegrad.compiler.inplace import _overlap, over
from tapegrad.compiler.layout import Place
from tapegrad.compiler.plain import Plain
from tapegrad.compiler.program import Program
from tapegrad.compiler.recomputing import spared
from tapegrad.graph import Graph, evaluated
from tapegrad.kernels import program as machine
from tapegrad.primitives.node import Node, nodes

needs_programs = pytest.mark.skipif(not machine.available(), reason="no numba, or another BLAS than NumPy's OpenBLAS")
FLOAT = np.dtype(float)


def inputs(*shapes):
    return [Node(None, (), (), shape, FLOAT) for shape in shapes]


def lstm(N=16, D=20, H=16, M=6):
    """(inputs, outputs, wrt): the sum of the last h, of M inputs and the weights of four gates."""
    xs, Ws, Us = inputs(*[(N, D)] * M), inputs(*[(D, H)] * 4), inputs(*[(H, H)] * 4)
    h, c = inputs((N, H), (N, H))
    given = [*xs, *Ws, *Us, h, c]
    for x in xs:
        i, f, o, g = [x @ W + h @ U for W, U in zip(Ws, Us)]
        c = nodes.sigmoid(f) * c + nodes.sigmoid(i) * nodes.tanh(g)
        h = nodes.sigmoid(o) * nodes.tanh(c)
    return given, [h], [*Ws, *Us]


def chain():
    """Elementwise values, each needed for its derivative."""
    x, y = inputs((32, 16), (16, 16))
    z = x @ y
    for _ in range(4):
        z = nodes.tanh(z)
    return [x, y], [z @ y], [x, y]


def shifted():
    """A kernel that reads a value at two places."""
    x, y = inputs((40, 16), (16, 16))
    z = nodes.tanh(x @ y)
    return [x, y], [z[1:] * z[:-1] + z[:-1], nodes.concatenate([z[:20] * 2.0, z[20:]], 0) @ y], [x, y]


def returned():
    """Values that are returned, and read afterwards."""
    x, y = inputs((20, 16), (16, 16))
    z = nodes.sigmoid(x @ y)
    w = z * 3.0
    return [x, y], [w, z, nodes.exp(w) @ y, z[2:4]], [x, y]


def of_rows():
    """Kernels whose rows are those of two axes, reductions, and reshapes."""
    x, y = inputs((6, 5, 16), (5, 1))
    z = nodes.tanh(x * y)
    w = nodes.reshape(z, (30, 16)) * 2.0
    return [x, y], [nodes.sum(z * x, (1,), False), nodes.reshape(w, (6, 5, 16)) + y, w], [x, y]


MADE = [lstm, chain, shifted, returned, of_rows]


def ran(program, values):
    outputs, saved = program.forward(values)
    found = [*outputs, *program.backward(saved, [np.cos(np.arange(z.size).reshape(z.shape)) for z in outputs])]
    return [np.zeros(0) if x is None else x for x in found]


def values_of(given):
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.5, x.shape) for x in given]


@needs_programs
@pytest.mark.parametrize("made", MADE)
def test_the_values_are_those_that_each_have_memory_of_their_own(made, monkeypatch):
    given, outputs, wrt = made()
    values = values_of(given)
    kept = [x.copy() for x in values]
    program = Program(given, outputs, wrt, checked=True)
    found = ran(program, values)
    for x, y in zip(values, kept):
        np.testing.assert_array_equal(x, y)
    expected = ran(Plain(given, outputs, wrt), values)
    monkeypatch.setattr(program_module, "overlaid", lambda *_: 1.0)
    monkeypatch.setattr(program_module, "spared", lambda graph, count: (graph, frozenset()))
    apart = Program(given, outputs, wrt)
    for x, y, z in zip(found, ran(apart, values), expected, strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_allclose(x, z, rtol=1e-11, atol=1e-11)
    assert sum(program.joint.size) <= sum(apart.joint.size)


@needs_programs
def test_deltas_are_written_over_the_gates_that_they_come_from():
    """Of an LSTM five arrays per step are kept: four gates, where the deltas come, and c, where h is computed again."""
    N, H, M = 16, 16, 9
    program = Program(*lstm(N, 20, H, M))
    saved, scratch = program.joint.size
    one = N * H * FLOAT.itemsize
    assert 5 * M * one <= saved < (5 * M + 1) * one + 2048
    assert scratch <= (4 + 4 + 4) * one + M * N * 20 * FLOAT.itemsize
    layout, schedule = program.joint.layout, program.joint.schedule
    most = [len(over(instruction, layout.places)) for part in (schedule.first, schedule.second) for instruction in part
            if instruction.kind == "kernel"]
    assert most.count(4) >= M - 1 and max(most) >= 5


@needs_programs
def test_of_an_lstm_no_gate_and_no_state_is_computed_again():
    """But h and tanh(c) of the steps whose h is not returned, and the inputs side by side."""
    copies = Program(*lstm(M=6)).joint.copies
    assert Counter([node.row.name for node in copies]) == {"tanh": 5, "multiply": 5, "concatenate": 1}


def test_what_is_large_is_computed_again():
    given, outputs, wrt = lstm()
    x = given[0]
    z = nodes.exp(x)
    late = Graph(given, [z @ given[6], (z @ given[6]) * nodes.concatenate([z[:8] * 1.0, z[8:]], 0)[:, :16]])
    graph, copies = spared(late, 1)
    assert [node.row.name for node in copies] == ["exp"]
    values = dict(zip(given, values_of(given)))
    for one, other in zip(graph.outputs, late.outputs):
        np.testing.assert_array_equal(evaluated(graph, values)[one], evaluated(late, values)[other])
    small = Graph(given, [nodes.sum(x, (1,), False), nodes.exp(nodes.sum(x, (1,), False))])
    assert spared(small, 1) == (small, frozenset())


def elements(place):
    return {place.start + r * place.stride + c for r in range(place.rows) for c in range(place.columns)}


def test_places_that_have_an_element_in_common():
    rng = np.random.default_rng(0)
    exact = 0
    for _ in range(3000):
        pair = []
        for _ in range(2):
            rows, columns = rng.integers(1, 4, 2)
            stride = int(rng.choice([6, 6, 6, 7, columns]))
            pair.append(Place(None, int(rng.integers(0, 24)), int(rows), int(columns), max(stride, int(columns))))
        one, other = pair
        found, expected = _overlap(one, other), bool(elements(one) & elements(other))
        assert found == _overlap(other, one) and (found or not expected)
        exact += found == expected
    assert exact > 2000


OPERATIONS = [
    lambda x, y, k: nodes.tanh(x), lambda x, y, k: x * y, lambda x, y, k: x + y, lambda x, y, k: nodes.sigmoid(x) * y,
    lambda x, y, k: x @ y * 0.25, lambda x, y, k: nodes.concatenate([x[:k], nodes.tanh(y[k:])], 0),
    lambda x, y, k: nodes.concatenate([x[k:], y[:k]], 0), lambda x, y, k: nodes.concatenate([x[:, :k] * 2.0, y[:, k:]], 1)]


@needs_programs
@pytest.mark.parametrize("number", range(6))
def test_random_programs(number):
    """Of slices, concatenations, products and elementwise operations."""
    rng = np.random.default_rng(number)
    given = inputs((16, 16), (16, 16), (16, 16))
    alive = list(given)
    for _ in range(24):
        x, y = [alive[k] for k in rng.integers(max(0, len(alive) - 6), len(alive), 2)]
        alive.append(OPERATIONS[rng.integers(0, len(OPERATIONS))](x, y, int(rng.integers(1, 15))))
    outputs = [alive[-1], alive[-4]]
    values = values_of(given)
    for x, y in zip(ran(Program(given, outputs, given), values), ran(Plain(given, outputs, given), values), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9 * np.max(np.abs(y), initial=1))


@needs_programs
def test_backward_through_a_compiled_call_twice():
    """The first has used up what was saved."""
    compiled = tg.compile(lambda x, y: (tg.tanh(x @ y) * tg.sigmoid(x)).sum(), fallback="error")
    x, y = [tg.tensor(value, requires_grad=True) for value in values_of(inputs((32, 16), (16, 16)))]
    loss = compiled(x, y)
    found = []
    for retain in (True, True, False):
        x.grad = y.grad = None
        loss.backward(retain_graph=retain)
        found.append((x.grad, y.grad))
    for dx, dy in found[1:]:
        np.testing.assert_array_equal(dx, found[0][0])
        np.testing.assert_array_equal(dy, found[0][1])
