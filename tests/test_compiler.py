"""The compiler's passes and programs: each against the graph that it was made from, run node by node."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compiler import arrangement, batches, products, simplify
from tapegrad.compiler import program as program_module
from tapegrad.compiler.fusion import LOOK_UP, PRODUCT, PYTHON, Schedule
from tapegrad.compiler.plain import Plain
from tapegrad.compiler.program import Program
from tapegrad.errors import CompileError
from tapegrad.graph import Capture, Graph, Reverse, evaluated, verify
from tapegrad.kernels import program as machine
from tapegrad.primitives.node import Node, node_of, nodes

rng = np.random.default_rng(0)
needs_programs = pytest.mark.skipif(not machine.available(), reason="no numba, or another BLAS than NumPy's OpenBLAS")


def lstm(steps, dtype=np.float64, one_hot=True, n=8, d=60, h=5):
    """(loss, leaves) of the course's LSTM, in elementary operations."""
    def weight(*shape):
        return tg.tensor(rng.normal(0, 0.5, shape), dtype=dtype, requires_grad=True)

    gates = [(weight(d, h), weight(h, h), weight(h)) for _ in range(4)]
    W2, b2 = weight(h, 4), weight(4)
    xs = [np.eye(d)[rng.integers(0, d, n)] if one_hot else rng.normal(size=(n, d)) for _ in range(steps)]
    state = c = tg.tensor(np.zeros((n, h), dtype))
    for x in xs:
        x = tg.tensor(x.astype(dtype))
        i, f, o, new = [(tg.sigmoid if k < 3 else tg.tanh)(x @ W + state @ U + b) for k, (W, U, b) in enumerate(gates)]
        c = f * c + i * new
        state = o * tg.tanh(c)
    return tg.cross_entropy(tg.relu(state @ W2 + b2), rng.integers(0, 4, n)), [*[p for gate in gates for p in gate], W2, b2]


class Recorded:
    """The graph of a loss with its deltas, and values for its inputs."""

    def __init__(self, made):
        loss, self.leaves = made
        captured = Capture(loss, "test")
        leaves, constants = captured._starting_values(None)
        self.inputs, self.outputs, self.wrt = captured.graph.inputs, captured.graph.outputs[-1:], list(captured.leaves)
        self.values = [{**leaves, **constants}[x] for x in self.inputs]
        seed = Node(None, (), (), loss.shape, loss.dtype)
        deltas = Reverse(Graph(self.inputs, self.outputs), self.wrt, {self.outputs[0]: seed}).deltas
        self.joint = Graph([*self.inputs, seed], [*self.outputs, *[deltas[x] for x in self.wrt]])
        self.given = dict(zip(self.joint.inputs, [*self.values, np.ones(loss.shape, loss.dtype)]))

    def run(self, graph):
        found = evaluated(graph, self.given)
        return [np.asarray(found[z]) for z in graph.outputs]


def assert_close(found, expected, tolerance=1e-12):
    for x, y in zip(found, expected, strict=True):
        assert x.shape == y.shape and x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * np.max(np.abs(y), initial=1))


PASSES = [simplify.folded, simplify.tidied, simplify.assembled, simplify.shared, products.sums, products.beside,
          products.stacked, products.turned, products.looked_up, products.reversed_products, products.gathered,
          arrangement.flattened, arrangement.picked, arrangement.sliced, batches.batched]


@pytest.mark.parametrize("step", PASSES, ids=lambda step: step.__name__)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_pass_gives_a_valid_graph_of_the_same_values(step, steps):
    recorded = Recorded(lstm(steps))
    for before in ((), (simplify.folded, simplify.tidied, simplify.shared)):
        graph = recorded.joint
        for other in before:
            graph = other(graph)
        assert_close(recorded.run(verify(step(graph))), recorded.run(recorded.joint))


def count(graph, name):
    return sum([node.row.name == name for node in graph.nodes])


def test_constants_are_computed_beforehand():
    x = Node(None, (), (), (3,), np.dtype(float))
    with_constant = x * nodes.exp(np.array([0.0, 1.0, 2.0]))
    graph = simplify.folded(Graph([x], [with_constant]))
    assert [node.row.name for node in graph.nodes] == ["multiply"]


def test_the_same_is_computed_once():
    x = Node(None, (), (), (3,), np.dtype(float))
    graph = simplify.shared(Graph([x], [abs(x) * abs(x), abs(x) * 1, abs(x) * 1.0]))
    assert count(graph, "absolute") == 1 and count(graph, "multiply") == 3      # 1 and 1.0 are not the same


def test_a_transpose_is_undone_however_it_is_written():
    x = Node(None, (), (), (3, 2), np.dtype(float))
    twice = [nodes.transpose(nodes.transpose(x, axes), other) for axes in (None, (1, 0)) for other in (None, (1, 0))]
    assert all([z is x for z in simplify.tidied(Graph([x], twice)).outputs])
    kept = [nodes.transpose(nodes.transpose(x, (0, 1)), None), nodes.transpose(nodes.reshape(x, (1, 3, 2)), (1, 0, 2))]
    assert count(simplify.tidied(Graph([x], kept)), "transpose") == 3


def test_of_one_array_nothing_is_joined():
    x = Node(None, (), (), (3, 2), np.dtype(float))
    graph = simplify.tidied(Graph([x], [nodes.concatenate([abs(x)], 1), nodes.concatenate([x, x], 1)]))
    assert [node.row.name for node in graph.nodes] == ["absolute", "concatenate"]


PARTS = {                                       # what reads x, (6, 4), in parts; and whether these make up the whole
    "rows": (lambda x: [x[t] * (t + 1) for t in (3, 0, -1, 1, 2, 4)], True),
    "slices": (lambda x: [tg.sin(x[4:]), x[:1] * 2, x[1:4] ** 2], True),
    "columns": (lambda x: [x[:, 1], x[:, 2:] * 3, tg.exp(x[:, :1])], True),
    "the only row": (lambda x: [x.reshape(1, 6, 4)[0] * 2], True),
    "a gap": (lambda x: [x[:2] * 2, x[3:] * 3], False),
    "an overlap": (lambda x: [x[:3] * 2, x[2:] * 3], False),
    "twice": (lambda x: [x[:3] * 2, x[3:] * 3, tg.sin(x[:3])], True),
    "two axes": (lambda x: [x[:3] * 2, x[3:, :2] * 3, x[3:, 2:] * 4], False),
    "every other": (lambda x: [x[::2] * 2, x[1::2] * 3], False),
    "backwards": (lambda x: [x[::-1] ** 2], False),
    "rows by an array": (lambda x: [x[np.array([0, 1, 1])] * 2, x[3:] * 2], False),
    "rows by a tensor": (lambda x: [x[3:] * 2, x[tg.argsort(x[:, 0])[:3]] * 2], False)}


@needs_programs
@pytest.mark.parametrize("name", PARTS)
def test_deltas_of_parts_are_concatenated_where_they_make_up_the_whole(name):
    read, whole = PARTS[name]
    x = tg.tensor(np.random.default_rng(0).normal(size=(6, 4)), requires_grad=True)

    def loss(x):
        return sum([tg.sum(part * part) for part in read(x)])

    f = tg.compile(loss, fallback="error")
    found = []
    for g in (loss, f, f):
        x.grad = None
        g(x).backward()
        found.append(x.grad)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    text = str(f.program(x))
    assert ("add_at" not in text and "scatter" not in text) == whole, text


@pytest.mark.parametrize("steps", [3, 6])
def test_the_products_of_an_lstm_are_one_per_step_and_direction(steps):
    recorded = Recorded(lstm(steps))
    graph = recorded.joint
    for step in (simplify.folded, simplify.tidied, simplify.shared, products.gathered):
        graph = step(graph)
    # h U forward; d U.T backward; all of dU; three of W2
    assert count(graph, "matmul") == steps + steps - 1 + 1 + 3
    assert count(graph, "look_up") == count(graph, "collect") == 1
    assert count(graph, "sum_rows") == 2


def test_the_delta_of_a_transposed_weight_is_a_product_and_nothing_else():
    x, y = [Node(None, (), (), (3, 3), np.dtype(float)) for _ in range(2)]
    product = nodes.matmul(x, nodes.transpose(y, None))
    z, = products.reversed_products(Graph([x, y], [nodes.transpose(product, None)])).outputs
    assert z.row.name == "matmul" and z.operands[0] is y and products.base_of(z.operands[1])[0] is x
    read = products.reversed_products(Graph([x, y], [product, nodes.transpose(product, None)]))
    assert count(read, "matmul") == 1


def test_what_the_first_part_computes_does_not_wait_for_the_second():
    x, y, d = [Node(None, (), (), (3, 3), np.dtype(float)) for _ in range(3)]
    graph = products.beside(Graph([x, y, d], [x @ y, x @ d]), count=1)
    assert count(graph, "matmul") == 2


def programs(recorded):
    return [kind(recorded.inputs, recorded.outputs, recorded.wrt) for kind in (Program, Plain)]


@needs_programs
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-6)])
@pytest.mark.parametrize("one_hot", [True, False])
def test_a_program_computes_what_the_nodes_do(dtype, tolerance, one_hot):
    recorded = Recorded(lstm(4, dtype, one_hot))
    results = []
    for program in programs(recorded):
        outputs, saved = program.forward(recorded.values)
        results.append([*outputs, *program.backward(saved, [np.ones((), dtype)])])
        for _ in range(3):                              # the first has written over what is saved
            again = program.backward(saved, [np.ones((), dtype)])
            assert_close(again, results[-1][1:], 0)
    assert_close(*results, tolerance)


@needs_programs
def test_machine_code_does_not_grow_with_the_number_of_steps():
    texts = []
    for steps in (4, 9):
        recorded = Recorded(lstm(steps))
        program = Program(recorded.inputs, recorded.outputs, recorded.wrt)
        listing = str(program)
        texts.append(listing.count("\nkernel "))
        assert " in Python" not in listing
    assert texts[0] == texts[1]


@needs_programs
@pytest.mark.parametrize("more", [{}, {7: [1, 4, 19], 8: range(18)}, {9: range(20)}], ids=["one", "several", "all"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_look_up_is_the_product_also_of_what_is_not_finite(bad, more):
    """0 times infinity is NaN, which a look-up would leave out."""
    x, W = Node(None, (), (), (64, 20), np.dtype(float)), Node(None, (), (), (20, 3), np.dtype(float))
    one_hot, value, d = np.eye(20)[rng.integers(0, 20, 64)], rng.normal(size=(20, 3)), rng.normal(size=(64, 3))
    one_hot[5] = 0
    for row, columns in more.items():
        one_hot[row, list(columns)] = 1
    for w, delta in ((value, d), (np.where(np.arange(20)[:, None] == 4, bad, value), d),
                     (value, np.where(np.arange(64)[:, None] == 5, bad, d)),
                     (value, np.where(np.arange(64)[:, None] == 6, bad, d))):
        results = []
        for kind in (Program, Plain):
            program = kind([x, W], [x @ W], [W])
            with np.errstate(invalid="ignore"):
                outputs, saved = program.forward([one_hot, w])
            results.append([*outputs, *program.backward(saved, [delta])])
        for found, expected in zip(*results):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@needs_programs
@pytest.mark.parametrize("columns, ones", [(70, 4), (70, 5), (70, 40), (1000, 31), (1000, 32)])
def test_a_row_of_more_ones_than_are_looked_up_is_multiplied(columns, ones):
    x, W = Node(None, (), (), (16, columns), np.dtype(float)), Node(None, (), (), (columns, 3), np.dtype(float))
    values = np.zeros((16, columns)), rng.normal(size=(columns, 3))
    values[0][3, rng.permutation(columns)[:ones]] = 1
    outputs, _ = Program([x, W], [x @ W], []).forward(list(values))
    np.testing.assert_allclose(outputs[0], values[0] @ values[1], rtol=1e-12, atol=1e-12)


@needs_programs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [16, 31, 80, 1000])
@pytest.mark.parametrize("other", [None, -0.0, 2.0, np.nan, 1e-30])
def test_where_the_ones_of_a_row_are(columns, dtype, other):
    x = Node(None, (), (), (70, columns), np.dtype(dtype))
    value = np.zeros(x.shape, dtype)
    for row in value[1:]:
        row[rng.permutation(columns)[:products.words_of(columns) - 1]] = 1
    if other is not None:
        value[40, columns - 1] = other
    (found,), _ = Program([x], [node_of(products.POSITIONS, (x,))], []).forward([value])
    expected = products.POSITIONS.g(value)
    assert found[0] == expected[0] == (other in (None, 0))
    if found[0]:
        rows, wanted = [at[2:].reshape(70, -1) for at in (found, expected)]
        for row, of in zip(rows, wanted, strict=True):
            np.testing.assert_array_equal(row[:1 + row[0]], of[:1 + of[0]])


@needs_programs
def test_every_form_of_operand():
    x = Node(None, (), (), (4, 3, 5), np.dtype(float))
    others = [Node(None, (), (), shape, np.dtype(float)) for shape in ((), (1,), (5,), (4, 3, 1), (1, 1, 5), (3, 5), (4, 1, 1))]
    z = x
    for y in others:
        z = (z + y) * y - z / 3.7
    values = [rng.normal(size=node.shape) for node in (x, *others)]
    results = []
    for kind in (Program, Plain):
        program = kind([x, *others], [z, z, x], [x, *others])
        outputs, saved = program.forward(values)
        results.append([*outputs, *program.backward(saved, [np.ones(z.shape), None, np.ones(z.shape)])])
    assert_close(*results)


@needs_programs
def test_operands_in_any_order_of_memory():
    x, y = [Node(None, (), (), (6, 4), np.dtype(float)) for _ in range(2)]
    a = np.asfortranarray(rng.normal(size=(6, 4)))
    b = rng.normal(size=(12, 8))[::2, ::-2]
    for kind in (Program, Plain):
        program = kind([x, y], [x * y + x[1:2, :], x @ y.T], [x, y])
        outputs, saved = program.forward([a, b])
        assert_close(outputs, [a * b + a[1:2, :], a @ b.T])
        dx, dy = program.backward(saved, [None, np.ones((6, 6))])
        assert_close([dx, dy], [np.ones((6, 6)) @ b, np.ones((6, 6)) @ a])


@needs_programs
def test_results_belong_to_the_caller():
    x = Node(None, (), (), (3,), np.dtype(float))
    program = Program([x], [abs(x), x], [x])
    (first, same), saved = program.forward([np.array([1.0, -2.0, 3.0])])
    kept = first.copy()
    given = program.backward(saved, [np.ones(3), None])[0]
    (second, _), _ = program.forward([np.zeros(3)])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(given, [1.0, -1.0, 1.0])
    first[:] = 9.0
    np.testing.assert_array_equal(second, np.zeros(3))


@needs_programs
def test_a_program_runs_in_several_threads_at_once():
    recorded = Recorded(lstm(3))
    program = Program(recorded.inputs, recorded.outputs, recorded.wrt)
    expected = None
    wrong = []

    def runs():
        for _ in range(30):
            outputs, saved = program.forward(recorded.values)
            found = [*outputs, *program.backward(saved, [np.ones(())])]
            if any([not np.array_equal(x, y) for x, y in zip(found, expected)]):
                wrong.append(found)

    outputs, saved = program.forward(recorded.values)
    expected = [*outputs, *program.backward(saved, [np.ones(())])]
    threads = [threading.Thread(target=runs) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_programs
def test_threads_whose_deltas_are_those_of_other_outputs():
    x = Node(None, (), (), (3,), np.dtype(float))
    value, ones = np.array([1.0, -2.0, 3.0]), np.ones(3)

    class Busy(Program):
        """Whenever it is told what the deltas are of, another thread says otherwise."""

        @property
        def joint(self):
            return self.joints[self.now]

        @joint.setter
        def joint(self, _):
            self.now = next(iter(self.joints))

    program = Busy([x], [x * 2, x * x], [x])
    _, saved = program.forward([value])
    np.testing.assert_array_equal(program.backward(saved, [None, ones])[0], 2 * value)
    np.testing.assert_array_equal(program.backward(saved, [ones, None])[0], 2 * ones)


@needs_programs
def test_a_thread_that_traces_first_does_not_do_without_programs_for_ever():
    ran = subprocess.run([sys.executable, "-c", """
from tapegrad.kernels import program
from tapegrad.kernels.compile import loading_none
with loading_none():
    assert not program.available()
assert program.available()"""], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert ran.returncode == 0, ran.stderr


@needs_programs
def test_what_is_not_known_runs_in_python():
    x = Node(None, (), (), (4, 4), np.dtype(float))
    z = nodes.cumsum(x @ x, 1) * 2
    graph = Graph([x], [z])
    kinds = [one.kind for one in Schedule(graph, 1).first]
    assert PYTHON in kinds and PRODUCT in kinds and LOOK_UP not in kinds
    value = rng.normal(size=(4, 4)) + 4 * np.eye(4)
    results = [kind([x], [z], [x]).forward([value])[0] for kind in (Program, Plain)]
    assert_close(*results)


@needs_programs
@pytest.mark.parametrize("dtypes", [("c16", "c16"), ("i8", "i8"), ("f4", "f8"), (">f8", ">f8"), (">f8", "f8"), ("f2", "f2")])
def test_products_of_other_dtypes(dtypes):
    x, y = [Node(None, (), (), (40, 40), np.dtype(dtype)) for dtype in dtypes]
    values = [rng.integers(0, 2, (40, 40)).astype(dtype) for dtype in dtypes]
    outputs = [x @ y, y @ x.T, x @ nodes.transpose(y, None), nodes.sum(x, None, False), nodes.sum(x, (0,), False), x + y]
    outputs += [x @ nodes.transpose(z, None) for z in outputs[:3]] + [x[1:3] * 2, nodes.reshape(x, (1600,)) * 2]
    found, _ = Program([x, y], outputs).forward(values)
    assert_close(found, Plain([x, y], outputs, []).forward(values)[0], 1e-2 if "f2" in dtypes else 1e-6)


@needs_programs
def test_arrays_that_are_not_aligned_or_of_another_order_are_copied():
    x = Node(None, (), (), (4,), np.dtype(float))
    memory = np.zeros(33, np.uint8)
    unaligned = memory[1:].view(float)
    unaligned[:] = [1.0, 2.0, 3.0, 4.0]
    for value in (unaligned, np.arange(1.0, 8.5, 2)[::-1][::-1], np.repeat(unaligned, 2)[::2]):
        (z,), _ = Program([x], [x * x]).forward([value])
        np.testing.assert_array_equal(z, value * value)


@needs_programs
def test_a_kernel_of_many_operands():
    xs = [Node(None, (), (), (7,), np.dtype(float)) for _ in range(700)]
    total = xs[0]
    for x in xs[1:]:
        total = total * 0.5 + x
    values = [rng.normal(size=7) for _ in xs]
    results = []
    for kind in (Program, Plain):
        program = kind(xs, [total], xs)
        outputs, saved = program.forward(values)
        results.append([*outputs, *program.backward(saved, [np.ones(7)])])
    assert_close(*results)


@needs_programs
def test_numpy_scalars_and_subclasses_are_arrays_to_a_program():
    x = Node(None, (), (), (), np.dtype(float))
    program = Program([x], [x * x], [x])
    for value in (np.float64(3.0), np.array(3.0), np.array(3.0).view(np.recarray)):
        (z,), saved = program.forward([value])
        assert type(z) is np.ndarray and z == 9.0 and program.backward(saved, [np.float64(0.5)])[0] == 3.0


def recording_of_steps(one_hot=False, steps=14):
    return Recorded(lstm(steps, one_hot=one_hot, n=16, d=64 if one_hot else 20, h=32))


def ran(program, recorded):
    outputs, saved = program.forward(recorded.values)
    return [*outputs, *program.backward(saved, [np.ones(z.shape, z.dtype) for z in recorded.outputs])]


@needs_programs
@pytest.mark.parametrize("across_time", [True, False])
def test_what_is_computed_again_has_the_same_bits(across_time, monkeypatch):
    recorded, found = recording_of_steps(), []
    for plans in [(across_time, 1)], [(across_time, 1), (across_time, 6)]:
        monkeypatch.setattr(program_module, "PLANS", plans)
        fits = []
        monkeypatch.setattr(program_module._Joint, "_fits", lambda joint, fits=fits, plans=plans: len(fits) == len(plans) - 1
                            or fits.append(joint))
        program = Program(recorded.inputs, recorded.outputs, recorded.wrt, checked=True, memory=0)
        assert program.joint.segments == plans[-1][1]
        found.append(ran(program, recorded))
    assert_close(*found, 0)


@needs_programs
@pytest.mark.parametrize("one_hot", [False, True])
def test_a_budget_of_memory_is_kept_to(one_hot):
    recorded = recording_of_steps(one_hot, 24)
    free = Program(recorded.inputs, recorded.outputs, recorded.wrt)
    expected, size = ran(free, recorded), sum(free.joint.size)
    assert free.joint.segments == 1
    for part in (1, 0.7):
        program = Program(recorded.inputs, recorded.outputs, recorded.wrt, memory=int(part * size))
        assert sum(program.joint.size) <= part * size and (part == 1 or program.joint.segments > 1)
        assert_close(ran(program, recorded), expected, 0 if part == 1 else 1e-13)
    with pytest.raises(CompileError, match="memory=1000: the values of this call need [0-9,]+ bytes"):
        Program(recorded.inputs, recorded.outputs, recorded.wrt, memory=1000)
