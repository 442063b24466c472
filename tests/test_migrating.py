"""docs/migrating.md: its programs give the gradient that it speaks of, and the names of tapegrad in its tables are there."""

import re
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compat.autograd import uninstall

PAGE = (Path(__file__).parents[1] / "docs" / "migrating.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
X, W = np.array([[1.0, 2.0]]), np.array([[0.1], [0.2]])
GRADIENT = X.T @ (2 * np.tanh(X @ W) * (1 - np.tanh(X @ W) ** 2))


def test_there_is_a_program_for_each():
    assert len(PROGRAMS) == 6 and PAGE.count("\n## ") == 5


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs(program):
    names = {}
    try:
        exec(program, names)
    finally:
        uninstall()
    np.testing.assert_allclose(names["gradient"], GRADIENT, rtol=1e-12)


def test_the_names():
    """What stands in the last column of a table."""
    shown = " ".join(line.rsplit("|", 2)[1] for line in PAGE.splitlines() if line.startswith("| "))
    found = set(re.findall(r"\btg\.(\w+(?:\.\w+)?)", shown))
    assert len(found) > 15
    for name in found:
        value = tg
        for part in name.split("."):
            value = getattr(value, part)
    for call in ("tg.value_and_grad(f)", "tg.vjp(f, x)", "tg.gradcheck(f, x, order=2)", "tg.hvp(f, (x,), (v,))",
                 "tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.ReLU(), tg.nn.Linear(4, 1))"):
        assert call in shown
        eval(call, {"tg": tg, "f": lambda x: (x ** 2).sum(), "x": X, "v": X})
