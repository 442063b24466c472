"""Graphs: captured from tapes, their deltas by the symbolic reverse walk, the verifier, and running over arrays."""

import operator
import re
from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from test_table import drawn, function

import tapegrad as tg
from tapegrad.errors import ConsumedTapeError
from tapegrad.graph import Capture, Graph, GraphError, Ready, Reverse, evaluated, verify
from tapegrad.primitives import table
from tapegrad.primitives.node import Node, nodes

DATA = Path(__file__).parent / "data"


def captured(case, static, shapes):
    """(the loss, the leaves that need a gradient, the capture), of a loss in which z is used twice, with weights."""
    xs = [tg.tensor(x, requires_grad=x.dtype.kind in "fc", name=f"x{i}") for i, x in enumerate(drawn(case, shapes))]
    z = function(case, static)(*xs)
    z = tg.abs(z) if z.dtype.kind == "c" else z
    weights = tg.tensor(np.random.default_rng(3).normal(size=z.shape), name="w")
    loss = (z * weights).sum() + (z * 2.0).sum()
    return loss, [x for x in xs if x.requires_grad], Capture(loss, "test") if loss.requires_grad else None


def deltas(part, whole):
    """{leaf's name: delta}, and the graph that gave them."""
    wrt = [*part.leaves]
    back = Reverse(part.graph, wrt, whole=whole)
    graph = verify(Graph(part.graph.inputs, [part.graph.outputs[-1], *back.deltas.values()], part.graph.names))
    leaves, constants, _ = part.evaluated()
    with np.errstate(all="ignore"):
        _, *found = Ready(graph.inputs, graph.outputs).run([{**leaves, **constants}[x] for x in graph.inputs])
    return {part.graph.names[leaf]: d for leaf, d in zip(back.deltas, found)}, graph


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_row_has_its_deltas_in_a_graph(case):
    """The graph of a tape, and those of its deltas, are right for the verifier, and give what backward() gives."""
    for shapes in case.shapes:
        for static in case.static[:3]:
            loss, xs, part = captured(case, static, shapes)
            if part is None:
                continue
            verify(part.graph)
            (whole, _), (expanded, graph) = deltas(part, whole=True), deltas(part, whole=False)
            assert all(node.row.name in table or node.row.name in ("ones", "add_at", "sum_rows") for node in graph.nodes)
            loss.backward()
            for x in xs:
                if x.grad is None:
                    assert not np.any(whole.get(x.name, 0))
                    continue
                np.testing.assert_array_equal(whole[x.name], x.grad)
                np.testing.assert_allclose(expanded[x.name], x.grad, rtol=1e-12, atol=1e-12)


def test_a_graph_is_captured_between_given_inputs():
    x = tg.tensor([0.5, 1.0], requires_grad=True, name="x")
    h = tg.tanh(x)
    h.name = "h"
    loss = (h * h).sum()
    part = Capture(loss, "test", inputs=[h])
    assert [node.row.name for node in part.graph.nodes] == ["multiply", "sum"] and not part.leaves
    h_node, = part.graph.inputs
    assert part.graph.names[h_node] == "h" and evaluated(part.graph, {h_node: np.ones(2)})[part.graph.outputs[0]] == 2


def test_deltas_are_a_graph_that_can_be_differentiated_again():
    x, v = np.array([0.3, -1.2, 2.0]), np.array([1.0, 0.5, -2.0])

    def f(x):
        return tg.sum(tg.exp(x) * x[::-1] + x * x * x)

    part = Capture(f(tg.tensor(x, requires_grad=True)), "test")
    leaf, = part.leaves
    d = Reverse(part.graph, [leaf]).deltas[leaf]
    again = Graph([leaf], [nodes.sum(d * v, None, False)])
    second = Reverse(verify(again), [leaf]).deltas[leaf]
    found, = Ready([leaf], verify(Graph([leaf], [second])).outputs).run([x])
    np.testing.assert_allclose(found, tg.hvp(f, (x,), (v,))[0], rtol=1e-13)


def test_deltas_are_added_in_the_order_of_the_sweep():
    """So that floating point rounds alike: 1 + 1e16 - 1e16 is 0, in another order 1."""
    x = tg.tensor([1.0], requires_grad=True)
    loss = (x * -1e16 + x * 1e16 + x).sum()
    part = Capture(loss, "test")
    loss.backward(retain_graph=True)
    for whole in (False, True):
        (found,) = deltas(part, whole)[0].values()
        assert found.tobytes() == x.grad.tobytes()


def test_only_what_is_wanted_is_walked():
    x, y = [tg.tensor([1.0], requires_grad=True, name=name) for name in "xy"]
    part = Capture((tg.exp(x) * tg.sin(y)).sum(), "test")
    wanted, = [leaf for leaf in part.leaves if part.graph.names[leaf] == "y"]
    back = Reverse(part.graph, [wanted])
    used = {node.row.name for node in Graph(part.graph.inputs, [*back.deltas.values()]).nodes}
    assert list(back.deltas) == [wanted] and "cos" in used and "strong_multiply" not in used


def test_a_graph_prints_as_lines():
    x = Node(None, (), (), (2, 3), np.dtype(float))
    graph = Graph([x], [nodes.sum(nodes.exp(x) * 2.0, (1,), False)], {x: "x"})
    assert str(graph) == "z1 = exp(x)\nz2 = multiply(z1, 2.0)\nz3 = sum(z2, (1,), False)"


# Nodes

FLOAT = np.dtype(float)


def node(*shape, dtype=FLOAT):
    return Node(None, (), (), shape, dtype)


def test_nodes_have_operators_shapes_and_dtypes():
    x, y = node(3, 4), node(4, dtype=np.dtype("f4"))
    for operate in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        assert operate(x, y).shape == operate(y, x).shape == operate(2.0, x).shape == (3, 4)
        assert operate(y, 2.0).dtype == np.float32 and operate(np.float64(2.0), y).dtype == np.float64
    assert (x @ x.T).shape == (3, 3) and x.T.shape == (4, 3) and x[1:, None].shape == (2, 1, 4) and len(x) == 3
    assert (x.ndim, x.size, (-x).row.name, abs(x).row.name) == (2, 12, "negative", "absolute")
    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(x, 0).dtype == bool
    assert x[np.array([True, False, True])].shape == (2, 4) and x[np.array([True, False, False])].shape == (1, 4)
    assert nodes.concatenate([x, x], 0).shape == (6, 4) and nodes.sum(y, None, False).shape == ()


def test_nodes_have_no_value():
    x = node(2)
    with pytest.raises(TypeError, match="a rule cannot branch on a value"):
        bool(x > 0)
    for convert in (np.asarray, np.linalg.norm, float):
        with pytest.raises(TypeError):
            convert(x)
    with pytest.raises(TypeError):
        iter(x)
    with pytest.raises(AttributeError, match="no primitive 'nothing'"):
        nodes.nothing(x)


# The verifier

X = node(2, 3)
SIN = Node(table["sin"], (X,), (), (2, 3), FLOAT)
STRANGER = node(2, 3)
WRONG = [
    (Graph([], [SIN]), "no row"),
    (Graph([X], [Node(table["sin"], (X,), (), (2, 4), FLOAT)]), r"expected float64 \(2, 3\), got float64 \(2, 4\)"),
    (Graph([X], [Node(table["sin"], (X,), (), (2, 3), np.dtype("f4"))]), r"expected float64 \(2, 3\), got float32"),
    (Graph([X], [Node(table["add"], (X,), (), (2, 3), FLOAT)]), "add expected 2 operands, got 1"),
    (Graph([X], [Node(table["add"], (X, node(4)), (), (2, 3), FLOAT)]), "no row"),
    (Graph([X, X], [SIN]), "an input is given twice"),
    (Graph([X], [SIN], {STRANGER: "y"}), "has a name, but is not in the graph"),
    (Graph([X], [SIN], {SIN: "y", X: "y"}), "two nodes have the same name"),
    (Graph([X], [Node(table["matmul"], (X, X), (), (2, 2), FLOAT)]), "matmul does not take its operands"),
]


@pytest.mark.parametrize("graph, message", WRONG, ids=[message[:30] for _, message in WRONG])
def test_the_verifier_names_the_node_that_is_wrong(graph, message):
    with pytest.raises(GraphError, match=message):
        verify(graph)


def test_the_verifier_sees_the_order():
    graph = Graph([X], [nodes.cos(SIN)])
    assert verify(graph) is graph
    graph.nodes.reverse()
    with pytest.raises(GraphError, match=re.escape("node 0, <node cos float64 (2, 3)>: its operand <node sin float64 (2, 3)> "
                                                   "is not defined before it")):
        verify(graph)
    graph.nodes[:] = [SIN, SIN]
    with pytest.raises(GraphError, match="defined twice"):
        verify(graph)
    graph.nodes[:] = [SIN]
    with pytest.raises(GraphError, match="it is an output"):
        verify(graph)


# Saved tapes

def test_a_tape_of_version_0_1_0_is_read():
    kept = tg.load_tape(DATA / "tape_version_1.npz")
    with np.load(DATA / "tape_version_1_gradients.npz") as wanted:
        found = kept.gradients()
        assert set(found) == set(wanted)
        for name in found:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-14)
    for name, value in kept.eval().items():
        np.testing.assert_allclose(value, kept.values[name], rtol=1e-14)
    assert kept.text.splitlines()[:2] == ["z1 = matmul(x, W)", "z2 = add(z1, b)"]


def test_a_leaf_is_found_by_its_tensor():
    """What no entry has saved is read from the tensor while it lives, whoever else refers to the leaf."""
    b = tg.tensor([1.0, 2.0], requires_grad=True, name="b")
    part = Capture((b + 1.0).sum(), "test")
    leaf, = part.leaves
    assert part.evaluated()[0][leaf].tolist() == [1.0, 2.0]


def test_a_tape_with_consumed_entries_is_refused():
    x = tg.tensor([1.0], requires_grad=True)
    h = tg.exp(x)
    h.sum().backward()
    kept = h * 2.0                                      # noqa: F841 -- alive, and so on the tape
    with pytest.raises(ConsumedTapeError, match="test: .*consumed by backward"):
        Capture(tg.tape(), "test")
