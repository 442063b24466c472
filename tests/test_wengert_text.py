"""The text of Wengert lists: static arguments, what the tape prints, parse and format."""

import re

import numpy as np
import pytest
from cases import CASES, CONSTANT
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import numeric

import tapegrad as tg
from tapegrad import wengert
from tapegrad.core.record import recorded
from tapegrad.errors import WengertError
from tapegrad.primitives import table

# Statics, and text

TEXTS = [
    ("z = sum(x, axis=0)", (2, 3)), ("z = sum(x, 1, True)", (2, 3)), ("z = mean(x, axis=(0, 1), keepdims=True)", (2, 3)),
    ("z = reshape(x, (3, 2))", (2, 3)), ("z = reshape(x, shape=(3, 2))", (2, 3)), ("z = transpose(x, axes=(1, 0))", (2, 3)),
    ("z = softmax(x, axis=0)", (2, 3)), ("z = multiply(x, 2.5)", (2, 3)), ("z = power(x, -2)", (2, 3)),
    ("z = getitem(x, index=(slice(None, None, None), 1))", (2, 3)), ("z = getitem(x, -1)", (2, 3)),
    ("z = concatenate(x, x, axis=1)", (2, 3)), ("z = stack(x, x)", (2, 3)), ("z = logsumexp(x, axis=1)", (2, 3)),
    ("z = logsumexp(x)\nw = multiply(z, y)", (2, 3)),
    ("z = astype(x, dtype=dtype('float64'))", (2, 3)), ("z = where(c, x, 0.0)", (2, 3)), ("z = maximum(x, 1.0)", (2, 3)),
    ("z = broadcast_to(x, (4, 3))", (3,)), ("z = floor(x)\nw = multiply(z, x)", (2,)), ("z = half(x)", (2,)),
]


@pytest.mark.parametrize("text, shape", TEXTS, ids=[text for text, _ in TEXTS])
def test_static_arguments_stand_in_the_list(text, shape):
    """Twice, since the second time uses what the first has found out; the derivative against central differences."""
    f = wengert.parse(text)
    assert wengert.format(f) == text and wengert.parse(wengert.format(f)) == f
    for seed in (0, 1):
        x = np.random.default_rng(seed).uniform(0.1, 0.9, shape)
        val = {"x": x, "c": x > 0.5, "y": 2.0}
        last = f[-1][0]
        deltas = wengert.backprop(f, val)

        def total(x):
            return np.sum(wengert.eval(f, val | {"x": x})[last])  # noqa: B023

        np.testing.assert_allclose(deltas["x"], numeric(total, [x], 0), atol=1e-7)


def test_a_keyword_may_look_up_a_name():
    f = wengert.parse("e = getitem(E, index=ids)\nl = sum(e, axis=axis)")
    val = {"E": np.arange(6.0).reshape(3, 2), "ids": np.array([2, 0, 2]), "axis": 0}
    assert wengert.eval(f, val)["l"].tolist() == [8, 11]
    for ids in ([2, 0, 2], [1, 1, 1]):
        deltas = wengert.backprop(f, val | {"ids": np.array(ids)})
        assert deltas["E"][:, 0].tolist() == [ids.count(i) for i in range(3)] and set(deltas) == {"l", "e", "E"}


def test_what_the_tape_prints_is_a_list():
    x = tg.tensor(np.random.default_rng(0).normal(size=(2, 3)), requires_grad=True, name="x")
    W = tg.tensor(np.random.default_rng(1).normal(size=(3, 4)), requires_grad=True, name="W")
    h = tg.tanh(x @ W)[:, 1:3] * 2.5
    loss = (tg.softmax(h, axis=0).sum(axis=1, keepdims=True) * h.mean()).sum()
    f = wengert.parse(str(tg.tape()))
    assert [entry[:2] for entry in f] == [entry[:2] for entry in tg.tape()]
    deltas = wengert.backprop(f, {"x": x.data, "W": W.data})
    loss.backward()
    np.testing.assert_allclose(deltas["x"], x.grad, atol=1e-15)
    np.testing.assert_allclose(deltas["W"], W.grad, atol=1e-15)


def written(x):
    """(text of a static argument, what it looks up)."""
    try:
        return (repr(x), {}) if wengert.parse(f"z = g(k={x!r})") else None
    except WengertError:
        return "k", {"k": x}


@pytest.mark.parametrize("case", [case for case in CASES + CONSTANT if case.static != ((),)], ids=str)
def test_a_list_of_the_tape_means_what_was_recorded(case):
    """For every row with static arguments: an entry as the tape prints it has the value and the deltas of the row."""
    row = table[case.name]
    assert row.static_names
    for shapes in case.shapes:
        for static in case.static:
            xs = [np.asarray(draw(shape, seed)) for seed, (draw, shape) in enumerate(zip(case.operands, shapes))]
            operands = {f"x{i}": x for i, x in enumerate(xs)}
            texts = [(key, *written(value)) for key, value in zip(row.static_names, static)]
            ys = (*operands, *[f"{key}={text if text != 'k' else f'k_{key}'}" for key, text, _ in texts])
            val = operands | {f"k_{key}": found["k"] for key, _, found in texts if found}
            tensors = [tg.tensor(x, requires_grad=x.dtype.kind in "fc") for x in xs]
            made = getattr(recorded, case.name)(tensors, *static) if row.variadic else getattr(recorded, case.name)(
                *tensors, *static)
            f = [("z", case.name, ys)]
            for _ in range(2):
                values = wengert.eval(f, val)
                assert np.shape(values["z"]) == made.shape
                np.testing.assert_array_equal(values["z"], made.data)
                if made.requires_grad:
                    deltas = wengert.backprop(f, values)
                    made.backward(np.ones(made.shape, made.dtype), retain_graph=True)
                    for name, x in zip(operands, tensors):
                        if x.requires_grad:
                            np.testing.assert_allclose(deltas[name], x.grad, atol=1e-12)
                            x.zero_grad()


def test_parse_takes_comments_blank_lines_and_spaces():
    text = "\n  # a list\n a=add( x ,y )# one\n\n\tb.c = f(a, axis = 0, s='a, (# b', t=(1, [2]))\r\nd = g()\n"
    assert wengert.parse(text) == [
        ("a", "add", ("x", "y")), ("b.c", "f", ("a", "axis=0", "s='a, (# b'", "t=(1, [2])")), ("d", "g", ())]
    assert wengert.parse("") == [] and wengert.format([]) == ""


@pytest.mark.parametrize("line, column, wanted", [
    ("z1 add(x, y)", 4, "'='"), ("= add(x)", 1, "a name"), ("z1 = (x)", 6, "the name of an operator"),
    ("z1 = add x", 10, "'('"), ("z1 = add(x y)", 10, "a name or a literal"), ("z1 = add(x, y", 14, "',' or ')'"),
    ("z1 = add(x,, y)", 12, "a name or a literal"), ("z1 = add(x) y", 13, "the end of the line"), ("3 = add(x)", 1, "a name"),
    ("z1 = add(x, 1 +)", 13, "a name or a literal"), ("z1 = sum(x, axis=)", 18, "a name or a literal"),
    ("z1 = sum(x, axis=(0)", 21, "',' or ')'"), ("z1 = f('x)", 8, "a name or a literal"), ("None = f(x)", 1, "a name"),
    ("z1 = f(__import__('os'))", 8, "a name or a literal"), ("z1 =", 5, "the name of an operator"),
])
def test_text_that_does_not_parse_is_placed(line, column, wanted):
    with pytest.raises(WengertError, match=re.escape(f"line 3, column {column}: expected {wanted}")):
        wengert.parse(f"a = add(x, y)\n# more\n{line}")


def test_format_refuses_what_it_could_not_read():
    for entry in (("my z", "add", ("x",)), ("z", "add", ("layer 1",)), ("z", "+", ("x",))):
        with pytest.raises(WengertError, match="format: entry 1"):
            wengert.format([entry])
    assert wengert.eval([("z", "add", ("layer 1", 2.0))], {"layer 1": 1.0})["z"] == 3
    assert wengert.format([("z", "sum", ("x", (0,)))]) == "z = sum(x, (0,))"


names = st.from_regex(r"[a-zé_][a-z0-9_]{0,4}(\.[a-z]{1,2})?", fullmatch=True).filter(lambda name: name not in ("inf", "nan"))
literals = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=4), st.tuples(st.integers()),
                     st.lists(st.floats(), max_size=2)).map(repr).filter(lambda text: "\\x85" not in text)
arguments = st.one_of(names, literals, st.tuples(st.from_regex("[a-z]{1,3}", fullmatch=True), literals).map("=".join))


@given(st.lists(st.tuples(names, names, st.lists(arguments, max_size=4).map(tuple)), max_size=4))
@settings(deadline=None, max_examples=200)
def test_text_round_trip(f):
    assert wengert.parse(wengert.format(f)) == f
