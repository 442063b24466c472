"""Wengert lists: the numbers of the course, a user's G and DG, softmax with crossEntropy, random lists."""

import gc
import platform
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import numeric
from page_faults import faults

import tapegrad as tg
from tapegrad import wengert
from tapegrad.errors import DtypeError, ShapeError, WengertError
from tapegrad.primitives import table
from tapegrad.wengert.program import KEPT, _programs

SQUARE = [("z1", "add", ("x1", "x1")), ("z2", "add", ("z1", "x2")), ("f", "square", ("z2",))]
CUBE = [("z1", "multiply", ("x", "x")), ("f", "multiply", ("z1", "x"))]


def floats(found):
    return {name: float(value) for name, value in found.items()}


# The course

@pytest.mark.parametrize("kind", [int, float, np.float32, np.array])
def test_the_sample_function(kind):
    val = {"x1": kind(3), "x2": kind(7)}
    values = wengert.eval(SQUARE, val)
    assert floats(values) == {"x1": 3, "x2": 7, "z1": 6, "z2": 13, "f": 169} and set(val) == {"x1", "x2"}
    for given_values in (values, val):
        deltas = wengert.backprop(SQUARE, given_values)
        assert floats(deltas) == {"f": 1, "z2": 26, "z1": 26, "x1": 52, "x2": 26}
        assert all(delta.dtype == (np.float32 if kind is np.float32 else np.float64) for delta in deltas.values())


def test_the_cube():
    assert wengert.eval(CUBE, {"x": 5.0})["f"] == 125 and wengert.backprop(CUBE, {"x": 5.0})["x"] == 75


def test_the_tables_of_the_course():
    """Table 2, and table 3 by the loop of the text, over G and DG."""
    val = {"x1": 3.0, "x2": 7.0}
    lines = []
    for z, g, ys in SQUARE:
        val[z] = wengert.G[g](*[val[y] for y in ys])
        lines.append((z, float(val[z])))
    assert lines == [("z1", 6), ("z2", 13), ("f", 169)]
    delta, lines = {"f": 1.0}, []
    for z, g, ys in reversed(SQUARE):
        for i, y in enumerate(ys):
            delta[y] = delta.get(y, 0) + wengert.DG[g][i](delta[z], val[z], *[val[name] for name in ys])
            lines.append((z, y, float(delta[y])))
    assert lines == [("f", "z2", 26), ("z2", "z1", 26), ("z2", "x2", 26), ("z1", "x1", 26), ("z1", "x1", 52)]


COURSE = {
    "add": (np.add, 2), "subtract": (np.subtract, 2), "multiply": (np.multiply, 2), "hadamard": (np.multiply, 2),
    "mul": (np.dot, 2), "dot": (np.dot, 2), "square": (np.square, 1), "half": (lambda x: x / 2, 1),
    "relu": (lambda x: np.maximum(x, 0), 1), "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 1), "tanh": (np.tanh, 1),
    "softMax": (lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), 1),
    "softmax": (lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), 1),
    "frobeniusNorm": (np.linalg.norm, 1), "mean": (np.mean, 1), "alias": (lambda x: x, 1),
    "crossEnt": (lambda p, t: -(t * np.log(p)).sum(-1), 2), "crossEntropy": (lambda p, t: -(t * np.log(p)).sum(-1), 2),
}


@pytest.mark.parametrize("name", COURSE)
def test_the_operators_of_the_course(name):
    """Values against NumPy, derivatives against central differences: in G, DG, and a list."""
    reference, arity = COURSE[name]
    xs = [np.random.default_rng(i).uniform(0.2, 1.0, (3, 3)) for i in range(arity)]
    out = wengert.G[name](*xs)
    np.testing.assert_allclose(out, reference(*xs), rtol=1e-13)
    f, val = [("z", name, ("x", "y")[:arity])], dict(zip("xy", xs))
    np.testing.assert_array_equal(wengert.eval(f, val)["z"], out)
    weights = np.random.default_rng(7).uniform(0.5, 1.5, np.shape(out))
    deltas = wengert.backprop(f, val, seed=weights)
    for i, y in enumerate("xy"[:arity]):
        np.testing.assert_allclose(deltas[y], numeric(lambda *xs: (weights * reference(*xs)).sum(), xs, i), atol=1e-8)
        np.testing.assert_allclose(wengert.DG[name][i](weights, out, *xs), deltas[y], atol=1e-15)


@pytest.mark.parametrize("name", ["mul", "dot"])
def test_mul_is_the_product_where_either_is_a_scalar(name):
    x, a = np.arange(6.0).reshape(2, 3), 2.5
    f = [("z", name, ("a", "x")), ("w", name, ("z", "b")), ("s", name, ("w", "W"))]
    val = {"a": a, "x": x, "b": np.float64(3), "W": np.ones((3, 2))}
    assert (wengert.eval(f, val)["s"] == (7.5 * x) @ np.ones((3, 2))).all()
    deltas = wengert.backprop(f, val)
    assert deltas["a"] == 3 * 2 * x.sum() and deltas["a"].shape == () and (deltas["x"] == 15).all()
    assert (wengert.G[name](x, x.T) == x @ x.T).all() and wengert.G[name](2, 3) == 6


def test_the_norm_at_zero_has_derivative_zero():
    deltas = wengert.backprop([("n", "frobeniusNorm", ("x",))], {"x": np.zeros((2, 2), "f4")})
    assert (deltas["x"] == 0).all() and deltas["x"].dtype == np.float32


# Softmax followed by crossEntropy

PAIR = wengert.parse("p = softMax(o)\nc = crossEnt(p, t)\nl = mean(c)")


def test_softmax_with_cross_entropy_is_right_where_softmax_underflows():
    o = np.array([[0.0, 2000.0, -5.0], [1e4, 0.0, 0.0]])
    t = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    values = wengert.eval(PAIR, {"o": o, "t": t})
    assert values["p"][0, 0] == 0 and values["c"].tolist() == [2000, 1e4]
    deltas = wengert.backprop(PAIR, values)
    np.testing.assert_array_equal(deltas["o"], (values["p"] - t) / 2)
    np.testing.assert_array_equal(deltas["t"], -tg.log_softmax(o).data / 2)
    assert deltas["p"][0, 0] == -np.inf and deltas["p"][0, 1] == 0
    assert (wengert.backprop(PAIR, values, wrt=["o"])["o"] == deltas["o"]).all()


def test_the_pair_agrees_with_its_parts():
    rng = np.random.default_rng(0)
    val = {"o": rng.normal(size=(4, 3)), "t": rng.dirichlet(np.ones(3), 4)}
    f = [*PAIR, ("w", "multiply", ("p", "k")), ("s", "sum", ("w",)), ("all", "add", ("l", "s"))]
    val["k"] = rng.normal(size=(4, 3))
    paired = wengert.backprop(f, val)
    apart = [(z, {"softMax": "apart"}.get(g, g), ys) for z, g, ys in f]
    G = {"apart": wengert.G["softmax"]}
    DG = {"apart": [wengert.DG["softmax"][0]]}
    for name, delta in wengert.backprop(apart, val, DG, G=G).items():
        np.testing.assert_allclose(paired[name], delta, atol=1e-14, err_msg=name)
    for wrt in (["p"], ["t"], ["k", "o"], ["c"]):
        for name, delta in wengert.backprop(f, val, wrt=wrt).items():
            np.testing.assert_allclose(delta, paired[name], atol=1e-15)


def test_a_users_softmax_is_not_passed_over():
    val = {"o": np.array([[1.0, 2.0]]), "t": np.array([[0.0, 1.0]])}
    G = {"softMax": lambda o: np.full_like(o, 0.25)}
    values = wengert.eval(PAIR, val, G)
    assert values["l"] == -np.log(0.25)
    asked = []

    def dsoftmax(delta, out, o):
        asked.append(delta)
        return 0 * delta

    deltas = wengert.backprop(PAIR, values, {"softMax": [dsoftmax]}, G=G)
    assert (deltas["o"] == 0).all() and asked[0].tolist() == [[0, -4]]


def test_tables_that_hold_all_of_ours_override_nothing():
    o, t = np.array([[0.0, 2000.0]]), np.array([[1.0, 0.0]])
    G, DG = {**wengert.G, "mine": np.exp}, {**wengert.DG, "mine": [None]}
    assert wengert.eval(PAIR, {"o": o, "t": t}, G)["l"] == 2000
    assert wengert.backprop(PAIR, {"o": o, "t": t}, DG, G=G)["o"].tolist() == [[-1, 1]]
    assert len(list(wengert.DG["add"])) == 2


def test_an_axis_that_is_not_the_last_makes_no_pair():
    f = wengert.parse("p = softmax(o, axis=0)\nl = crossEntropy(p, t)")
    val = {"o": np.random.default_rng(0).normal(size=(2, 3)), "t": np.ones((2, 3))}
    p = np.exp(val["o"]) / np.exp(val["o"]).sum(0)
    np.testing.assert_allclose(wengert.eval(f, val)["l"], -np.log(p).sum(1))
    last = [("p", "softmax", ("o", "axis=1")), f[1]]
    np.testing.assert_allclose(wengert.backprop(last, val)["o"], wengert.backprop([("p", "softmax", ("o",)), f[1]], val)["o"])


# G and DG

def test_g_and_dg_hold_the_registry():
    assert set(table) <= set(wengert.G) and set(COURSE) <= set(wengert.DG)
    assert "add" in wengert.G and "nothing" not in wengert.G and wengert.G["add"] is np.add
    with pytest.raises(KeyError):
        wengert.DG["nothing"]
    with pytest.raises(IndexError, match="add has 2 operands"):
        wengert.DG["add"][2]
    assert [len(wengert.DG[name]) for name in ("add", "sum", "crossEnt", "frobeniusNorm")] == [2, 1, 2, 1]


def test_dg_sums_broadcasting_and_takes_statics():
    x, b = np.ones((4, 3)), np.ones(3)
    assert wengert.DG["add"][1](np.ones((4, 3)), x + b, x, b).tolist() == [4, 4, 4]
    assert wengert.DG["sum"][0](np.ones(3), None, x, axis=0).shape == (4, 3)
    assert wengert.DG["sum"][0](np.ones(3), None, x, (0,), False).shape == (4, 3)
    assert wengert.G["sum"](x, axis=0).tolist() == [4, 4, 4] and wengert.G["reshape"](x, (2, 6)).shape == (2, 6)
    parts = [wengert.DG["concatenate"][i](np.arange(5.0), None, np.ones(2), np.ones(3)) for i in (0, 1)]
    assert [part.tolist() for part in parts] == [[0, 1], [2, 3, 4]]


def test_a_primitive_of_a_user_can_stand_in_a_list():
    @tg.primitive(lambda delta, out, x, n: delta * n * x ** (n - 1), name="nth_power_of_test_wengert")
    def power(x, n):
        return x ** n

    f = wengert.parse("z = nth_power_of_test_wengert(x, 3)")
    assert wengert.eval(f, {"x": 2.0})["z"] == 8 and wengert.backprop(f, {"x": np.array(2.0)})["x"] == 12

    @tg.primitive(lambda delta, out, x: delta * 7, name="nth_power_of_test_wengert")
    def other(x):
        return x * 7

    f = [("z", "nth_power_of_test_wengert", ("x",))]
    assert wengert.backprop(f, {"x": 2.0})["x"] == 7

    @tg.primitive(lambda delta, out, x: delta * 8, name="nth_power_of_test_wengert")
    def another(x):
        return x * 8

    assert wengert.eval(f, {"x": 2.0})["z"] == 16 and wengert.backprop(f, {"x": 2.0})["x"] == 8


# A user's G and DG

def test_a_user_extends_and_overrides():
    f = [("z1", "cube", ("x",)), ("z2", "add", ("z1", "y"))]
    G = {"cube": lambda x: x ** 3, "add": lambda x, y: x + 10 * y}
    DG = {"cube": (lambda delta, out, x: delta * 3 * x ** 2,), "add": [lambda delta, out, x, y: delta, None]}
    assert wengert.eval(f, {"x": 2.0, "y": 1.0}, G)["z2"] == 18
    assert floats(wengert.backprop(f, {"x": 2.0, "y": 1.0}, DG, G=G)) == {"z2": 1, "z1": 1, "x": 12, "y": 0}
    assert floats(wengert.backprop(f, {"x": 2.0, "y": 1.0}, {"cube": DG["cube"]}, G=G))["y"] == 1


def test_a_users_rule_may_write_into_its_delta_and_leave_broadcasting_alone():
    def drelu(delta, out, x):
        delta[x < 0] = 0
        return delta

    f = [("z", "add", ("x", "b")), ("r", "relu", ("z",))]
    DG = {"relu": [drelu], "add": [lambda delta, out, x, b: delta, lambda delta, out, x, b: delta]}
    val = {"x": np.array([[1.0, -2.0], [3.0, 4.0]]), "b": np.zeros(2)}
    deltas = wengert.backprop(f, val, DG)
    assert deltas["r"].tolist() == [[1, 1], [1, 1]] and deltas["b"].tolist() == [2, 1]
    constant = wengert.backprop([("m", "mean", ("x",))], val, {"mean": [lambda delta, out, x: delta / x.size]})
    assert constant["x"].tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_literals_and_keywords_are_passed_to_a_users_functions():
    f = wengert.parse("z = scaled(x, 3, by=b)")
    G = {"scaled": lambda x, n, by: n * by * x}
    DG = {"scaled": [lambda delta, out, x, n, by: delta * n * by, None]}
    assert wengert.backprop(f, {"x": 1.0, "b": 2.0}, DG, G=G)["x"] == 6


# Seeds, wrt, and what is shared

def test_seeds():
    f, x = [("z", "multiply", ("x", "x"))], np.array([1.0, 2.0])
    assert wengert.backprop(f, {"x": x})["x"].tolist() == [2, 4]
    assert wengert.backprop(f, {"x": x}, seed=0.5)["x"].tolist() == [1, 2]
    assert wengert.backprop(f, {"x": x}, seed=np.array([0.0, 1.0]))["x"].tolist() == [0, 4]
    with pytest.raises(ShapeError, match=r"entry 1, z = multiply\(x, x\): expected a scalar or a seed of shape .*, got \(3,\)"):
        wengert.backprop(f, {"x": x}, seed=np.ones(3))


def test_wrt_is_what_comes_back():
    every = wengert.backprop(SQUARE, {"x1": 3.0, "x2": 7.0})
    for wrt in (["x1"], ["z1", "x2"], ["f"], ["z2", "f"], []):
        assert floats(wengert.backprop(SQUARE, {"x1": 3.0, "x2": 7.0}, wrt=wrt)) == {name: every[name] for name in wrt}
    assert wengert.backprop(SQUARE, {"x1": 3.0, "x2": 7.0, "W": np.ones(2)}, wrt=["W"])["W"].tolist() == [0, 0]
    with pytest.raises(WengertError, match="'y' in wrt is neither in the list nor in val"):
        wengert.backprop(SQUARE, {"x1": 3.0, "x2": 7.0}, wrt=["y"])


def test_what_nothing_flows_to_has_delta_zero():
    f = [("unused", "exp", ("x",)), ("s", "sign", ("x",)), ("z", "multiply", ("s", "y"))]
    deltas = wengert.backprop(f, {"x": np.array([1.0, 2.0]), "y": 3.0})
    assert deltas["x"].tolist() == [0, 0] == deltas["unused"].tolist() and deltas["s"].tolist() == [3, 3]


def test_nothing_that_was_given_is_changed_and_the_eager_tape_is_left_alone():
    val = {"x": np.ones((2, 2)), "y": np.ones(2)}
    kept = tg.exp(tg.tensor(1.0, requires_grad=True))
    f = wengert.parse("a = add(x, y)\nb = alias(a)\nc = add(b, a)\nd = multiply(c, c)\ne = frobeniusNorm(d)")
    first = wengert.backprop(f, wengert.eval(f, val))
    copies = {name: delta.copy() for name, delta in first.items()}
    with tg.no_grad():
        second = wengert.backprop(f, {name: 2 * value for name, value in val.items()})
    assert not np.array_equal(second["x"], copies["x"])
    for name, delta in first.items():
        np.testing.assert_array_equal(delta, copies[name])
    assert (val["x"] == 1).all() and (val["y"] == 1).all() and len(tg.tape()) == 1 and kept.requires_grad


def test_a_list_that_is_changed_is_read_again():
    f = list(SQUARE)
    assert wengert.eval(f, {"x1": 3.0, "x2": 7.0})["f"] == 169
    f[2] = ("f", "half", ("z2",))
    assert wengert.eval(f, {"x1": 3.0, "x2": 7.0})["f"] == 6.5 and wengert.backprop(f, {"x1": 3.0, "x2": 7.0})["x1"] == 1
    loose = [["z", "add", ["x", "x"]]]
    assert wengert.eval(loose, {"x": 1.0})["z"] == 2
    loose[0][2][1] = "y"
    assert wengert.eval(loose, {"x": 1.0, "y": 5.0})["z"] == 6
    assert wengert.eval(tuple(SQUARE), {"x1": 3.0, "x2": 7.0})["f"] == 169


def test_what_is_drawn_at_random_is_not_drawn_anew_on_the_way_back():
    f = wengert.parse("y = dropout(x)\nz = sum(y)")
    with pytest.raises(WengertError, match=r"entry 1, y = dropout\(x\): dropout computes another value than the one in val"):
        wengert.backprop(f, wengert.eval(f, {"x": np.ones(100)}))


def test_few_lists_are_remembered():
    for n in range(2 * KEPT):
        wengert.eval([(f"z{n}", "add", ("x", "x"))], {"x": 1.0})
    assert len(_programs) <= KEPT



def user_of(f):
    """A user's G and DG for the first operator of a list, made anew."""
    return {f[0][1]: lambda x, *y: x * 1.0}, {f[0][1]: [lambda delta, out, x, *y: delta] * len(f[0][2])}


LISTS = {"pair": PAIR, "norm": [CUBE[0], ("n", "frobeniusNorm", ("z1",))], "several rows": [("m", "median", ("x",))],
         "index": [("z", "getitem", ("x", "index=ids")), ("l", "sum", ("z",))]}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("user", [False, True])
def test_values_are_let_go(name, user):
    """What backprop was given is not held after it, nor are the functions of users when the list is gone."""
    f = list(LISTS[name])
    first = f[0][2][0]
    G, DG = user_of([("z", f[-1][1], f[-1][2])]) if user else (None, None)
    for _ in range(2):
        val = {first: np.random.default_rng(0).random((3, 3)), "t": np.eye(3), "ids": np.array([0, 2])}
        wengert.backprop(f, val, DG, G=G)
        watched = [*val.values()]
        del val
        gc.collect()
        assert [len(gc.get_referrers(x)) for x in watched] == [1] * len(watched)
    if user:
        watched = [weakref.ref(function) for function in (*G.values(), *next(iter(DG.values())))]
        del G, DG
        _programs.clear()
        gc.collect()
        assert not any(function() for function in watched)


STEP = """
import numpy as np
from tapegrad import wengert
f = [("z0", "exp", ("x",))] + [(f"z{i + 1}", "multiply", (f"z{i}", "x")) for i in range(250)]
x = np.full((64, 50), 1e-3)
def step():
    wengert.backprop(f, wengert.eval(f, {"x": x}), wrt=["x"])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told to keep memory")
def test_memory_does_not_go_back_to_the_system_between_evaluations():
    """A step holds 6 MB, 1,600 pages."""
    assert faults(STEP) < 200


def test_threads_do_not_meet():
    f = [("z0", "tanh", ("x",))] + [(f"z{i + 1}", "multiply", (f"z{i}", "x")) for i in range(50)]
    wanted = {n: wengert.backprop(f, {"x": np.full(3, 1 + n / 10)})["x"] for n in range(4)}
    wrong = []

    def work(n):
        for _ in range(100):
            if not np.array_equal(wengert.backprop(f, {"x": np.full(3, 1 + n / 10)})["x"], wanted[n]):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_float32_is_kept_and_shapes_may_change():
    f = wengert.parse("o = mul(x, W)\nh = half(o)\np = softmax(h)\nc = crossEnt(p, t)\nl = mean(c)")
    for n, dtype in ((4, "f4"), (2, "f8"), (4, "f4"), (3, "f4")):
        val = {"x": np.ones((n, 3), dtype), "W": np.eye(3, dtype=dtype), "t": np.eye(3, dtype=dtype)[np.arange(n) % 3]}
        values = wengert.eval(f, val)
        deltas = wengert.backprop(f, values, wrt=["W", "x"])
        assert values["l"].dtype == deltas["W"].dtype == deltas["x"].dtype == dtype and deltas["x"].shape == (n, 3)


def test_values_in_other_forms():
    assert wengert.eval(SQUARE, {"x1": [3.0, 1.0], "x2": tg.tensor(7.0)})["f"].tolist() == [169, 81]
    for _ in range(2):
        assert wengert.eval(wengert.parse("z = reshape(x, (1,))"), {"x": 3})["z"].tolist() == [3]
        assert wengert.backprop(wengert.parse("z = sum(x)\ny = sigmoid(z)"), {"x": 0})["x"] == 0.25
    with pytest.raises(DtypeError, match="x1: expected a number or an array of numbers, got str"):
        wengert.eval(SQUARE, {"x1": "3", "x2": 7.0})


# Random lists

@st.composite
def programs(draw):
    """A list over two inputs of shape (2, 3), with values in a range where all operators are smooth."""
    f, known = [], ["x", "y"]
    for k in range(draw(st.integers(1, 12))):
        g = draw(st.sampled_from(["add", "subtract", "multiply", "tanh", "sigmoid", "sin", "hadamard", "half", "softmax",
                                  "frobeniusNorm", "mean0", "maximum"]))
        arity = 2 if g in ("add", "subtract", "multiply", "hadamard", "maximum") else 1
        ys = tuple(draw(st.sampled_from(known)) for _ in range(arity))
        if g == "softmax":
            ys = (*ys, "axis=-1")
        f.append((f"z{k}", "mean" if g == "mean0" else g, (*ys, "axis=0", "keepdims=True") if g == "mean0" else ys))
        if g != "frobeniusNorm":
            known.append(f"z{k}")
    return [*f, ("last", "sum", (known[-1],))]


def eagerly(f, inputs):
    """The same list by the functions of tapegrad."""
    names = {"hadamard": tg.multiply, "half": lambda x: x * 0.5, "frobeniusNorm": lambda x: tg.sqrt((x * x).sum())}
    tensors = {name: tg.tensor(x, requires_grad=True) for name, x in inputs.items()}
    made = dict(tensors)
    for z, g, ys in f:
        operands = [made[y] for y in ys if "=" not in y]
        static = {"softmax": {"axis": -1}, "mean": {"axis": 0, "keepdims": True}}.get(g, {})
        made[z] = names.get(g, getattr(tg, g, None))(*operands, **static)
    return made, tensors


@given(programs(), st.integers(0, 99))
@settings(deadline=None, max_examples=100)
def test_random_lists_agree_with_the_eager_tape_and_with_differences(f, seed):
    inputs = {name: np.random.default_rng(seed + i).normal(size=(2, 3)) for i, name in enumerate("xy")}
    values = wengert.eval(f, inputs)
    made, tensors = eagerly(f, inputs)
    for z, _, _ in f:
        np.testing.assert_allclose(values[z], made[z].data, atol=1e-12)
    deltas = wengert.backprop(f, values, wrt=["x", "y"])
    made["last"].backward()
    for i, name in enumerate("xy"):
        g = tensors[name].grad
        np.testing.assert_allclose(deltas[name], 0 if g is None else g, atol=1e-10)
        if not any(g == "maximum" for _, g, _ in f):
            found = numeric(lambda *xs: wengert.eval(f, dict(zip("xy", xs)))["last"], list(inputs.values()), i, step=1e-5)
            np.testing.assert_allclose(deltas[name], found, atol=1e-6, rtol=1e-5)
