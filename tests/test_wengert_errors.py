"""Bad Wengert lists: every error shows the entry."""

import re

import numpy as np
import pytest

from tapegrad import wengert
from tapegrad.errors import ShapeError, WengertError

X = np.ones(3)
BAD = [
    ("z1 = add(x, x)\nz2 = add(z1, y)", {}, WengertError, "entry 2, z2 = add(z1, y): y has no value: it is not in val"),
    ("z = add(x, x)\nz = add(z, x)", {}, WengertError, "entry 2, z = add(z, x): z is defined twice: it is already"),
    ("z = add(x, z)", {}, WengertError, "entry 1, z = add(x, z): z is used before it is defined: it depends on itself"),
    ("a = add(x, b)\nb = add(a, x)", {}, WengertError, "entry 1, a = add(x, b): b is used before it is defined: it is defined "
                                                       "only by entry 2"),
    ("z1 = add(x, x)\nz = sofmax(z1)", {}, WengertError,
     "entry 2, z = sofmax(z1): there is no operator 'sofmax', but a 'softmax'"),
    ("z = add(x)", {}, WengertError, "entry 1, z = add(x): add does not take these arguments; it is add of 2 operands"),
    ("z = add(x, x, x)", {}, WengertError, "add does not take these arguments"),
    ("z = sum(x, axes=0)", {}, WengertError, "sum does not take these arguments; it is sum(a, axis=None, "),
    ("z1 = add(x, x)\nz2 = add(z1, y)\nz3 = add(z2, x)", {"y": np.ones(2)}, ShapeError,
     "entry 2, z2 = add(z1, y): add(float64 (3,), float64 (2,)): operands could not be broadcast"),
    ("z1 = add(x, x)\nz2 = mul(z1, y)", {"y": np.ones((2, 2))}, ShapeError, "entry 2, z2 = mul(z1, y): matmul(float64 (3,), "),
    ("z = sum(x, axis=4)", {}, ShapeError, "entry 1, z = sum(x, axis=4): sum: axis 4 of an operand with 1 axes"),
    ("z = crossEnt(x, y)", {"y": np.ones((2, 2))}, ShapeError, "entry 1, z = crossEnt(x, y): crossEntropy(float64 (3,), "),
    ("z = softmax(x)\nw = crossEnt(z, y)", {"y": np.ones((2, 2))}, ShapeError, "entry 2, w = crossEnt(z, y): crossEntropy("),
    ("z = sum(x, axis=0, axis=0)", {}, WengertError, "axis is given twice"),
    ("z = add(axis=0, x)", {}, WengertError, "positional argument x follows a keyword argument"),
]


@pytest.mark.parametrize("text, val, kind, message", BAD, ids=[message[:60] for *_, message in BAD])
def test_a_bad_list_shows_the_entry(text, val, kind, message):
    f = wengert.parse(text)
    for run in (wengert.eval, wengert.backprop):
        with pytest.raises(kind, match=re.escape(message)):
            run(f, {"x": X} | val)
        with pytest.raises(kind, match=re.escape(message)):
            run(f, {"x": X} | val)


def test_shapes_that_do_not_fit_only_the_second_time():
    f = wengert.parse("z1 = add(x, x)\nz2 = mul(z1, W)")
    assert wengert.eval(f, {"x": X, "W": np.ones((3, 2))})["z2"].shape == (2,)
    with pytest.raises(ShapeError, match=r"entry 2, z2 = mul\(z1, W\): matmul"):
        wengert.eval(f, {"x": X, "W": np.ones((2, 2))})


@pytest.mark.parametrize("f", [[("z", "add")], ["z1 = add(x, y)"], [("z", "add", "xy")], [(1, "add", ("x", "y"))], [5]])
def test_what_is_no_entry(f):
    with pytest.raises(WengertError, match="entry 1: .* is not of the form"):
        wengert.eval(f, {"x": X})


def test_an_array_in_the_list():
    with pytest.raises(WengertError, match="a ndarray cannot stand in the list"):
        wengert.eval([("z", "add", ("x", np.ones(3)))], {"x": X})


def test_the_empty_list():
    assert wengert.eval([], {"x": 1.0}) == {"x": 1.0}
    with pytest.raises(WengertError, match="the list is empty"):
        wengert.backprop([], {"x": 1.0})


def test_bad_functions_of_a_user():
    f, G = [("y", "add", ("x", "x")), ("z", "mine", ("y",))], {"mine": lambda x: 2 * x}
    with pytest.raises(WengertError, match=r"entry 2, z = mine\(y\): mine has no derivative: it is in G, but not in DG"):
        wengert.backprop(f, {"x": X}, G=G)
    with pytest.raises(WengertError, match="there is no operator 'mine'"):
        wengert.backprop(f, {"x": X}, {"mine": [lambda delta, out, x: delta]})
    for functions in ([], [None, None], lambda delta, out, x: delta):
        with pytest.raises(WengertError, match=r"DG\['mine'\] must have a function or None for each of the 1 arguments"):
            wengert.backprop(f, {"x": X}, {"mine": functions}, G=G)
    with pytest.raises(WengertError, match=r"entry 2, z = mine\(y\): .*missing 1 required positional argument"):
        wengert.eval(f, {"x": X}, {"mine": lambda a, b: a})
    with pytest.raises(WengertError, match=r"entry 2, z = mine\(y\): .*takes 2 positional arguments but 3 were given"):
        wengert.backprop(f, {"x": X}, {"mine": [lambda delta, out: delta]}, G=G)
    with pytest.raises(WengertError, match=r"entry 2, z = mine\(y\): .*ZeroDivisionError"):
        wengert.eval(f, {"x": X}, {"mine": lambda x: 1 / 0})
    with pytest.raises(WengertError, match=r"entry 2, z = mine\(y\): .*expected a contribution to .* got shape \(2,\)"):
        wengert.backprop(f, {"x": X}, {"mine": [lambda delta, out, x: np.ones(2)]}, G=G)
    assert wengert.backprop(f, {"x": X}, {"mine": [lambda delta, out, x: 2 * delta]}, G=G)["x"].tolist() == [4, 4, 4]


def test_values_that_do_not_fit_the_list_are_found_on_the_way_back():
    f = wengert.parse("z1 = mul(x, W)\nz2 = multiply(z1, z1)\nz3 = sum(z2)")
    values = wengert.eval(f, {"x": np.ones((2, 3)), "W": np.ones((3, 2))})
    with pytest.raises(ValueError, match="entry 2, z2 = multiply"):
        wengert.backprop(f, values | {"z1": np.ones((5, 7))})
