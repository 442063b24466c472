"""Loops rolled up: values and derivatives are those of the steps written out, of the eager sweep, and of differences."""

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from loop_cases import CASES

import tapegrad as tg
from tapegrad.compiler import scalars
from tapegrad.compiler.loop import Loop
from tapegrad.compiler.rolling import rolled
from tapegrad.graph import Capture, Graph, Ready, Reverse, verify
from tapegrad.kernels.compile import compiler
from tapegrad.primitives import table
from tapegrad.primitives.node import Node, nodes
from tapegrad.primitives.scalar import has_formula


def loops(graph):
    return [node.row for node in graph.nodes if isinstance(node.row, Loop)]


def derived(graph, wrt, whole=False):
    """The graph of the value and its deltas by `wrt`."""
    back = Reverse(graph, wrt, whole=whole)
    return verify(Graph(graph.inputs, [graph.outputs[-1], *[back.deltas.get(x, nodes.zeros_like(x)) for x in wrt]]))


def twice(graph, wrt):
    """The graph of a weighted sum of the deltas, and its deltas."""
    weights = np.random.default_rng(5)
    back = Reverse(graph, wrt)
    total = sum([nodes.sum(d * weights.normal(size=d.shape), None, False)
                 for d in back.deltas.values()], 0.0)
    return derived(Graph(graph.inputs, [total]), wrt)


def run(graph, values):
    with np.errstate(all="ignore"):
        return Ready(graph.inputs, graph.outputs).run(values)


IN_KERNELS = "rk4", "powers", "functions", "vectors", "branches_of_where", "outputs_of_carried"  # also float32


def prepared(function, arrays):
    """(the loss, its leaves, its graph, the nodes of the leaves, the values of the inputs)"""
    leaves = [tg.tensor(x, requires_grad=True, name=f"x{i}") for i, x in enumerate(arrays)]
    loss = function(*leaves)
    part = Capture(loss, "test")
    values, constants, _ = part.evaluated()
    wrt = sorted(part.leaves, key=lambda node: part.graph.names[node])
    return loss, leaves, part.graph, wrt, [{**values, **constants}[x] for x in part.graph.inputs]


def close(found, expected, bound=1e-11):
    for z, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(z, wanted, rtol=bound, atol=bound * max(1.0, float(np.max(np.abs(wanted)))))


needs_numba = pytest.mark.skipif(compiler() is None, reason="needs numba")


@pytest.fixture(params=[pytest.param("kernels", marks=needs_numba), "by nodes"])
def way(request, monkeypatch):
    """Kernels for loops of few steps, too; or none."""
    monkeypatch.setattr(scalars, "FEWEST", 0)
    if request.param == "by nodes":
        monkeypatch.setattr(Loop, "kernel", None)
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_a_loop_is_its_steps(name, way):
    case = CASES[name]
    loss, leaves, graph, wrt, values = prepared(case.function, case.drawn())
    short = verify(rolled(graph, least=2, long=0, body=0))
    assert len(loops(short)) == case.loops and len(short.nodes) < len(graph.nodes)
    if way == "kernels":
        assert [loop.kernel is not None for loop in loops(short)] == [case.kernel] * case.loops
    found = run(derived(short, wrt), values)
    close(found, run(derived(graph, wrt), values))
    close(run(derived(short, wrt, whole=True), values), found)
    if way == "by nodes" or name in IN_KERNELS:         # compiling takes seconds
        close(run(twice(short, wrt), values), run(twice(graph, wrt), values))
    loss.backward()
    expected = [loss.data, *[x.grad for x in leaves]]
    if case.exact:
        for z, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(z, wanted)
    close(found, expected)


@pytest.mark.parametrize("name", CASES)
def test_in_float32(name, way):
    if way == "kernels" and name not in IN_KERNELS:
        pytest.skip("one of few that are compiled in float32")
    case = CASES[name]
    loss, leaves, graph, wrt, values = prepared(case.function, case.drawn(np.float32))
    if loss.dtype != np.float32:
        return
    found = run(derived(verify(rolled(graph, least=2, long=0, body=0)), wrt), values)
    loss.backward()
    for z, wanted in zip(found, [loss.data, *[x.grad for x in leaves]], strict=True):
        assert z.dtype == np.float32
        np.testing.assert_allclose(z, wanted, rtol=2e-5, atol=2e-5 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("name", CASES)
def test_a_derivative_written_out_is_rolled_up(name):
    case = CASES[name]
    _, _, graph, wrt, values = prepared(case.function, case.drawn())
    written = derived(graph, wrt)
    short = verify(rolled(written, least=2, long=0, body=0))
    assert loops(short)
    if not {"scatter", "add_at"} & {node.row.name for node in written.nodes}:
        assert len(short.nodes) < len(written.nodes) and len(loops(short)) > case.loops
    close(run(short, values), run(written, values))


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_differences(name):
    """The value, and the weighted sum of the first derivatives, change with the inputs as the first and the second say."""
    case = CASES[name]
    _, _, graph, wrt, values = prepared(case.function, case.drawn())
    short = rolled(graph, least=2, long=0, body=0)
    rng, place = np.random.default_rng(3), {x: i for i, x in enumerate(graph.inputs)}
    steps, h = {x: rng.normal(size=x.shape) for x in wrt}, 1e-4
    for part in derived(short, wrt), twice(short, wrt):
        moved = [[x + n * h * steps[node] if node in steps else x for node, x in zip(place, values)] for n in (-2, -1, 1, 2)]
        lowest, low, high, highest = [run(part, xs)[0] for xs in moved]
        slope = sum([np.sum(d * steps[x]) for d, x in zip(run(part, values)[1:], wrt, strict=True)])
        assert slope == pytest.approx((8 * (high - low) - (highest - lowest)) / (12 * h), rel=1e-6, abs=1e-6)


def growing_lag(x, w):
    xs = [x]
    for t in range(12):
        xs.append(tg.sin(xs[-1]) * w + xs[t // 2])
    return xs[-1]


def other_powers(x, w):
    for t in range(9):
        x = tg.sin(x) ** (t + 1) + w
    return x


def other_shapes(x, w):
    x = x.reshape(1)
    for _ in range(7):
        x = tg.concatenate([x, tg.sin(x[:1]) * w])
    return x.sum()


def other_functions(x, w):
    for t in range(12):
        x = [tg.sin, tg.cos, tg.exp, tg.tanh][(t * t * t + t // 2) % 4](x) * w
    return x


def too_few(x, w):
    for _ in range(4):
        x = tg.sin(x) * w
    return x


@pytest.mark.parametrize("function", [growing_lag, other_powers, other_shapes, other_functions, too_few])
def test_what_almost_repeats_is_left_as_it_is(function):
    _, _, graph, *_ = prepared(function, [np.array(0.5), np.array(0.75)])
    assert rolled(graph, least=5, long=0, body=0) is graph


def test_integers_that_are_wanted_are_not_in_a_loop():
    x = Node(None, (), (), (), np.dtype(int))
    z, found = x, []
    for _ in range(9):
        z = z * 3 + 1
        found.append(z)
    graph = Graph([x], [z, found[4]])
    assert not loops(rolled(graph, least=2, long=0, body=0))
    assert run(rolled(graph, least=2, long=0, body=0), [np.array(2)]) == run(graph, [np.array(2)])


@pytest.mark.parametrize("break_at", [0, 3, 8])
@pytest.mark.parametrize("function", [tg.cos, lambda x: tg.sin(x) + 0.0, lambda x: tg.sin(x) * 0.5])
def test_a_step_that_differs_is_left_out(function, break_at):
    def stepped(x, w):
        for t in range(9):
            x = (function if t == break_at else tg.sin)(x) * w
        return x

    _, _, graph, wrt, values = prepared(stepped, [np.array(0.5), np.array(0.75)])
    short = verify(rolled(graph, least=3, long=0, body=0))
    assert sorted([loop.count for loop in loops(short)]) in ([[7], [8]] if break_at in (0, 8) else [[3, 5], [4, 4], [3, 4]])
    close(run(derived(short, wrt), values), run(derived(graph, wrt), values))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_loops_of_few_steps(count, way):
    def loop_and_steps():
        c, x, row = (Node(None, (), (), (), np.dtype(float)) for _ in range(3))
        loop = Loop(Graph([c, x, row], [nodes.sin(c) * x + row, c * row]), 1, 1, count)
        first, read, rows = (Node(None, (), (), shape, np.dtype(float)) for shape in ((), (), (count,)))
        z = loop.of([first, read, rows])
        value, products = first, []
        for k in range(count):
            products.append(value * rows[k])
            value = nodes.sin(value) * read + rows[k]
        inputs = [first, read, rows]
        yield Graph(inputs, [loop.part(nodes, z, 0) * nodes.sum(loop.part(nodes, z, 1), None, False)])
        yield Graph(inputs, [value * sum(products[1:], products[0])])

    loop, steps = loop_and_steps()
    values = [np.array(0.3), np.array(0.7), np.linspace(0.5, 1, count)]
    for make in derived, twice:
        close(run(make(loop, loop.inputs), values), run(make(steps, steps.inputs), values))


def test_operands_are_checked():
    c, x = (Node(None, (), (), (3,), np.dtype(float)) for _ in range(2))
    loop = Loop(Graph([c, x], [c * x]), 1, 1, 5)
    with pytest.raises(TypeError, match=r"expected float64 \(5, 3\) as operand 1, got float64 \(3,\)"):
        loop.of([np.zeros(3), np.zeros(3)])
    with pytest.raises(TypeError, match="results of bool: expected floats"):
        Loop(Graph([c], [nodes.greater(c, 0.0)]), 1, 0, 5)


@pytest.mark.parametrize("count", [3000, 12000])
def test_a_long_loop_is_found_at_once(count):
    """The graph does not grow with the number of steps, and nothing is recursive. Finding the loop takes linear time."""
    x, w = (Node(None, (), (), (), np.dtype(float)) for _ in range(2))
    z, rows = x, [table[name] for name in ("multiply", "sin", "add", "multiply")]
    for _ in range(count):
        for row in rows:
            z = Node(row, (z, w)[:row.arity], (), (), z.dtype)
    graph, start = Graph([x, w], [z]), time.perf_counter()
    short = derived(rolled(graph), [x, w])
    assert time.perf_counter() - start < 1e-4 * len(graph.nodes) and len(short.nodes) < 20
    assert [loop.count for loop in loops(short)] == [count, count]


def long_rnn(xs, W, U, b, steps=150):
    h = tg.tensor(np.zeros((3, 9), W.dtype))
    for t in range(steps):
        h = tg.tanh(xs[t] @ W + h @ U + b)
    return (h * h).sum()


def test_a_body_may_be_several_steps():
    """Loops that are not of few numbers are rolled up in long graphs only, with bodies of some length."""
    rng = np.random.default_rng(0)
    _, _, graph, wrt, values = prepared(long_rnn, [rng.normal(size=s) / 3 for s in ((150, 3, 4), (4, 9), (9, 9), (9,))])
    assert rolled(graph) is graph
    short = verify(rolled(graph, long=0, body=100))
    assert [(loop.count, len(loop.body.nodes)) for loop in loops(short)] == [(8, 17 * 5)]
    for make in derived, twice:
        close(run(make(short, wrt), values), run(make(graph, wrt), values))


def steps_of_heun(x, v, w, steps=300, dt=0.01):
    for _ in range(steps):
        a = -w * tg.sin(x)
        y, u = x + dt * v, v + dt * a
        x, v = x + dt / 2 * (v + u), v + dt / 2 * (a - w * tg.sin(y))
    return x * x + v


@pytest.mark.filterwarnings("error::RuntimeWarning")      # a program that fails says so in one
@pytest.mark.parametrize("function, shapes, dtype, bound", [
    (steps_of_heun, [()] * 3, np.float64, 1e-11), (steps_of_heun, [()] * 3, np.float32, 2e-5),
    (lambda *xs: long_rnn(*xs, steps=450), [(450, 3, 4), (4, 9), (9, 9), (9,)], np.float64, 1e-11)])
def test_compiled_functions_have_loops(function, shapes, dtype, bound):
    """Values and derivatives, first and second, are those of the function."""
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.normal(size=shape) / 3, dtype) for shape in shapes]
    compiled = tg.compile(function, fallback="error")
    compiled(*arrays)
    where = tuple(range(len(shapes)))
    for _ in range(2):
        close([compiled(*arrays)], [function(*[tg.tensor(x) for x in arrays]).data], bound)
        for found, wanted in zip(tg.grad(compiled, where)(*arrays), tg.grad(function, where)(*arrays)):
            np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound * np.max(np.abs(wanted)))
    assert "for k in range(" in compiled.program(*arrays)
    if shapes[0] == ():
        found, wanted = [tg.hessian(f)(*arrays) for f in (compiled, function)]
        np.testing.assert_allclose(found, wanted, rtol=20 * bound)


@pytest.mark.parametrize("rule", [lambda d, z, x: d * 6.0 * x, lambda d, z, x: np.multiply(d, 6.0 * x)])
def test_primitives_of_users(rule, monkeypatch):
    """Steps with one are left as they are: its derivative is one of arrays. Its name means nothing to kernels."""
    monkeypatch.setattr(scalars, "FEWEST", 0)
    try:
        add_at = tg.primitive(rule, name="add_at")(lambda x: 3.0 * x * x)

        def function(x, w):
            for _ in range(9):
                x = add_at(x * w) + x * 0.5
            return x

        loss, leaves, graph, wrt, values = prepared(function, [np.array(0.5), np.array(0.25)])
        loss.backward()
        short = rolled(graph, least=2, long=0, body=0)
        assert short is graph
        assert [loop.kernel for loop in loops(rolled(graph, least=2, differentiated=False, long=0, body=0))] == [None]
        found = run(derived(short, wrt, whole=True), values)
        close(found, [loss.data, *[x.grad for x in leaves]])
    finally:
        table.pop("add_at", None)


def test_steps_with_indices_that_are_computed():
    x, ids = Node(None, (), (), (7, 3), np.dtype(float)), Node(None, (), (), (8,), np.dtype(int))
    h = x[0]
    for t in range(8):
        h = nodes.tanh(h * 0.5 + nodes.getitem(x, ids[t]))
    graph = Graph([x, ids], [nodes.sum(h * h, None, False)])
    short = verify(rolled(graph, least=2, long=0, body=0))
    assert [loop.count for loop in loops(short)] == [8]
    values = [np.random.default_rng(0).normal(size=(7, 3)), np.array([1, 5, 5, 0, 2, 6, 1, 1])]
    close(run(derived(short, [x]), values), run(derived(graph, [x]), values))


@needs_numba
def test_a_kernel_serves_any_number_of_steps_and_any_constants():
    def kernel(count, dt):
        c, x = (Node(None, (), (), (), np.dtype(float)) for _ in range(2))
        return Loop(Graph([c, x], [c + dt * nodes.sin(c) * x]), 1, 0, count).kernel

    assert kernel(1000, 0.1).address == kernel(2000, 0.25).address


def test_a_loop_prints_as_a_program():
    c, x, row = (Node(None, (), (), (), np.dtype(float)) for _ in range(3))
    assert str(Loop(Graph([c, x, row], [c * x + row, c]), 1, 1, 9)) == (
        "for k in range(9):\n    z1 = multiply(c1, x1)\n    z2 = add(z1, x2[k])\n    y1[k] = c1\n    c1 = z2\nreturn c1, y1")


SPECIAL = np.array([-np.inf, -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.5, np.inf, np.nan])


@needs_numba
@pytest.mark.parametrize("name", [name for name, row in table.items() if has_formula(row)])
def test_machine_numbers_at_special_values(name, monkeypatch):
    """A row in a kernel, and its derivative, is what it is over arrays: at infinities, NaN and both zeros, too."""
    monkeypatch.setattr(scalars, "FEWEST", 0)
    row = table[name]
    xs = [x.ravel() for x in np.meshgrid(*[SPECIAL] * row.arity)]
    conditions = 1 if name == "where" else row.arity if name.startswith("logical") else 0
    rows = [Node(None, (), (), x.shape, x.dtype) for x in xs]
    inputs = [Node(None, (), (), (), x.dtype) for x in xs]

    def computed(operands):
        z = getattr(nodes, name)(*[nodes.greater(x, 0.25) if i < conditions else x for i, x in enumerate(operands)])
        return z * 2.0 if z.dtype.kind == "f" else nodes.where(z, 2.0, operands[0])

    loop = Loop(Graph(inputs, [computed(inputs)]), 0, len(xs), len(xs[0]))
    short = Graph(rows, [nodes.sum(loop.part(nodes, loop.of(rows), 0), None, False)])
    steps = Graph(rows, [nodes.sum(computed(rows), None, False)])
    assert loop.kernel is not None
    results = []
    for graph in short, steps:
        back = Reverse(graph, rows)
        values = [graph.nodes[-2], *[back.deltas[x] for x in rows if x in back.deltas]]
        results.append(run(Graph(rows, values), xs))
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-300)


UNARY = tg.sin, tg.tanh, tg.exp, lambda x: -x, lambda x: x * 0.5, lambda x: 1.0 / (1.0 + x * x), lambda x: x ** 2
BINARY = tg.add, tg.multiply, tg.subtract, tg.maximum, lambda x, y: x / (1.0 + y * y)


@st.composite
def programs(draw):
    """A random loop, as (the number of steps, operations of a step, what is carried, what is collected, the shape)."""
    operations, size = [], 6                            # at hand: two carried values, two parameters, a row, a number
    for _ in range(draw(st.integers(1, 6))):
        operations.append((draw(st.integers(0, len(UNARY) + len(BINARY) - 1)), draw(st.integers(0, size - 1)),
                           draw(st.integers(0, size - 1))))
        size += 1
    carried = draw(st.tuples(st.integers(0, size - 1), st.integers(6, size - 1)))
    return (draw(st.integers(1, 9)), operations, carried, draw(st.lists(st.integers(6, size - 1), max_size=2)),
            draw(st.sampled_from([(), (2,)])), draw(st.sampled_from(["stack", "sum", "one"])))


def loss_of(program):
    count, operations, carried, collected, _, how = program

    def function(x, y, w, b, rows):
        found, x = [], x * 1.0
        for t in range(count):
            at_hand = [x, y, w, b, rows[t], 0.25 * t + 0.5]
            for code, i, j in operations:
                if code < len(UNARY):
                    at_hand.append(tg.tanh(UNARY[code](at_hand[i]) * w))
                else:
                    at_hand.append(tg.tanh(BINARY[code - len(UNARY)](at_hand[i], at_hand[j]) + b))
            x, y = at_hand[carried[0]] + b, at_hand[carried[1]]
            found += [at_hand[i] for i in collected]
        total = (x * w).sum() + tg.multiply(y, x).sum()
        if found and how == "stack":
            return total + (tg.stack(found) * tg.stack(found[::-1])).sum()
        if found and how == "one":
            return total + (found[len(found) // 2] * w).sum()
        return sum([(z * z).sum() for z in found], total)

    return function


def check(program):
    rng = np.random.default_rng(0)
    shape = program[4]
    arrays = [rng.uniform(0.2, 0.8, s) for s in (shape, shape, shape, shape, (program[0], *shape))]
    loss, leaves, graph, wrt, values = prepared(loss_of(program), arrays)
    short = verify(rolled(graph, least=2, long=0, body=0))
    for make in derived, twice:
        close(run(make(short, wrt), values), run(make(graph, wrt), values), 1e-10)
    loss.backward()
    found = {graph.names[x]: d for x, d in zip(wrt, run(derived(short, wrt), values)[1:], strict=True)}
    for x in leaves:
        close([found.get(x.name, 0.0)], [0.0 if x.grad is None else x.grad])


SETTINGS = dict(deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)


@settings(max_examples=60, **SETTINGS)
@given(programs())
def test_random_loops(program):
    check(program)


@needs_numba
@settings(max_examples=4, **SETTINGS)
@given(programs())
def test_random_loops_in_kernels(program):
    fewest, scalars.FEWEST = scalars.FEWEST, 0
    try:
        check(program)
    finally:
        scalars.FEWEST = fewest
