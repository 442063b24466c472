"""The table of conventions, a test a row."""

import re
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg

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


STOPPING = re.search(r"## Strong zero\n.*?: (.*?) but arctan and arcsinh", TABLE, re.DOTALL)[1].replace("\n", " ")


@pytest.mark.parametrize("name", [name for name in STOPPING.split("the inverse")[0].split(", ") if name.strip()]
                         + ["arcsin", "arccos", "arctanh", "arccosh"])
def test_a_delta_of_zero_stops(name):
    x = tg.tensor([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.0], requires_grad=True)
    with np.errstate(all="ignore"):
        z = getattr(tg, name)(*[x] * (2 if name in ("divide", "power") else 1))
        tg.where(np.zeros(7, bool), z, 0.0).sum().backward()
    np.testing.assert_array_equal(x.grad, 0)
