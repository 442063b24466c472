"""The table of conventions, a test a row."""

import re
from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from test_table import function

import tapegrad as tg
from tapegrad.primitives import table

TABLE = (Path(tg.__file__).parent / "CONVENTIONS.md").read_text()
ROWS = re.findall(r"^\| `(.+?)` \| `(\[.*?\])` \| `(\[.*?\])` \|", TABLE, re.MULTILINE)
NUMBERS = {"inf": np.inf, "nan": np.nan}


def test_every_row_is_read():
    assert len(ROWS) == len(re.findall(r"^\| `", TABLE, re.MULTILINE)) >= 24


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function, at, wanted", ROWS, ids=[f"{function} at {at}" for function, at, _ in ROWS])
def test_row(function, at, wanted, dtype):
    x = tg.tensor(eval(at, dict(NUMBERS)), dtype=dtype, requires_grad=True)
    with np.errstate(all="ignore"):
        z = eval(function, {"tg": tg, "np": np, "x": x, **NUMBERS})
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, np.array(eval(wanted, dict(NUMBERS)), dtype))


NOT_WEAK = {"astype", "special_expn"}                   # SciPy's expn warns of orders that are not whole
WEAK = [case for case in CASES if (table[case.name].weak or case.name == "strong_multiply") and case.name not in NOT_WEAK]
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.0, 0.5])
LEFT_OUT = {
    "where": lambda z: tg.where(np.zeros(z.shape, bool), z, 0.0),
    "indexing": lambda z: z[:0],
    "item assignment": lambda z: assigned(z),
    "below": lambda z: tg.where(np.zeros(z.shape, bool), z * z * tg.tanh(z) / z, 0.0),
    "seed": lambda z: z}


def assigned(z):
    z[...] = 0.0
    return z


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("left_out", LEFT_OUT)
@pytest.mark.parametrize("case", WEAK, ids=repr)
def test_a_delta_of_zero_stops(case, left_out, order):
    n, k = len(SPECIAL), len(case.operands)
    xs = [tg.tensor(np.moveaxis(np.broadcast_to(SPECIAL, (n,) * k), -1, i), requires_grad=True) for i in range(k)]
    with np.errstate(all="ignore"):
        z = LEFT_OUT[left_out](function(case, case.static[0])(*xs))
        found = tg.autograd.grad(z, xs, np.zeros(z.shape), create_graph=True, allow_unused=True) if left_out == "seed" else (
            tg.autograd.grad(z.sum(), xs, create_graph=True, allow_unused=True))
        if order == 2:
            found = tg.autograd.grad(sum(g.sum() for g in found if g is not None), xs, allow_unused=True)
    for g in found:
        if g is not None:
            np.testing.assert_array_equal(g.data, 0)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("n", [0, 1, 9, 5000])          # a large one is looked at only where that matters
def test_the_zeros_of_a_seed_stop(n, create_graph):
    x = tg.tensor(np.arange(n) % 4 / 2, requires_grad=True)
    with np.errstate(all="ignore"):
        g, = tg.autograd.grad(x * tg.log(x) * 3.0, x, np.where(x.data == 0, 0.0, 2.0), create_graph=create_graph)
        np.testing.assert_allclose(g.data, np.where(x.data == 0, 0.0, 6 + 6 * np.log(x.data)))


ROWWISE = {name: (lambda x, name=name: getattr(tg, name)(x, axis=1)) for name in (
    "sum", "mean", "max", "min", "var", "std", "ptp", "median", "logsumexp", "softmax", "log_softmax", "sort", "cumsum",
    "nansum", "nanmean", "nanmax", "nanstd", "normalize")}
ROWWISE |= {
    "prod": lambda x: tg.prod(x[:, :2], axis=1), "norm": lambda x: tg.linalg.norm(x, axis=1),
    "norm 1": lambda x: tg.linalg.norm(x, 1, axis=1), "norm 3": lambda x: tg.linalg.norm(x, 3, axis=1),
    "unit vectors": lambda x: x / tg.linalg.norm(x, axis=1, keepdims=True), "layer_norm": lambda x: tg.layer_norm(x, (3,)),
    "cosine": lambda x: tg.cosine_similarity(x, np.ones((len(x), 3))),
    "cross_entropy": lambda x: tg.cross_entropy(x, np.arange(len(x)) % 3, reduction="none")}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("rows", [1, 100])              # 500 rows: a kernel computes the cross-entropy of float32
@pytest.mark.parametrize("name", ROWWISE)
def test_a_row_of_zeros_stops(name, rows):
    one = [[1.0, 2.0, 3.0], [np.nan, 1.0, 2.0], [-np.inf] * 3, [0.0] * 3, [np.inf, 1.0, 2.0]]
    x = tg.tensor(np.tile(one, (rows, 1)), "float64" if rows == 1 else "float32", requires_grad=True)
    chosen = np.arange(len(x)) % 5 == 0
    z = ROWWISE[name](x)
    loss = tg.where(chosen.reshape(-1, *[1] * (z.ndim - 1)), z, 0.0).sum()
    g, = tg.autograd.grad(loss, x, retain_graph=True)
    np.testing.assert_array_equal(g.data[~chosen], 0)
    assert np.isfinite(g.data).all()
    if name != "prod":                                  # whose second derivative is one of running products
        g, = tg.autograd.grad(loss, x, create_graph=True)
        np.testing.assert_array_equal(tg.autograd.grad(g.sum(), x)[0].data[~chosen], 0)


def test_lists_and_programs_stop_below_where():
    x = tg.tensor([-1.0, 0.0, 2.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        loss = tg.where(x.data > 0, x * tg.log(x), 0.0).sum()
        program = tg.export_numpy(loss)
        names = {}
        exec(program.text, names)
        _, gradients = names["step"](**program.inputs)
        loss.backward()
    np.testing.assert_array_equal(gradients["x"], x.grad)
    f = [("z1", "log", ("x",)), ("z2", "multiply", ("x", "z1")), ("c", "greater", ("x", "zero")),
         ("z3", "where", ("c", "z2", "zero")), ("z4", "sum", ("z3",))]
    values = {"x": x.data, "zero": np.zeros(3)}
    with np.errstate(all="ignore"):
        values |= tg.wengert.eval(f, values)
        found = tg.wengert.backprop(f, values)
    np.testing.assert_array_equal(found["x"], x.grad)
