"""What a newcomer does to add an elementwise function: one row beside the others, and one in the table of tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tapegrad

ROOT = Path(__file__).parents[1]
ROW = """
primitive("gaussian_moment", lambda x: x * np.exp(-x * x), lambda F, d, _z, x: d * ((1 - 2 * x * x) * F.exp(-x * x)),
          doc="x exp(-x^2). Derivative: d (1 - 2 x^2) exp(-x^2).\\n\\n>>> tg.gaussian_moment(0.0)\\ntensor(0.)\\n")
"""
TEST_ROW = """
CASES.append(Case("gaussian_moment", reference=lambda x: x * np.exp(-x * x)))
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the library, with the row, and of the table of tests, without; docs knows the public names."""
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for folder in (Path(tapegrad.__file__).parent, ROOT / "tests", ROOT / "docs"):
        shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__", ".*", "build"))
    append(tmp_path / "tapegrad" / "primitives" / "elementwise.py", ROW)
    return tmp_path


def append(path, text):
    path.write_text(path.read_text() + text)


def run(copy, file, selected):
    """pytest's closing line."""
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{file}", "-k", selected]
    done = subprocess.run(pytest_command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def test_the_guide_for_contributors_shows_these_rows():
    page = (ROOT / "docs" / "inside" / "contributing.md").read_text(encoding="utf-8")
    assert ROW.strip() in page and TEST_ROW.strip() in page


def test_a_row_and_its_test_row_are_all(copy):
    assert "1 failed" in run(copy, "test_table.py", "test_every_primitive_has_a_row")
    append(copy / "tests" / "cases" / "elementwise.py", TEST_ROW)
    said = run(copy, "test_table.py", "gaussian_moment or test_every_primitive_has_a_row")
    passed = re.match(r"(\d+) passed, \d+ deselected", said)
    assert passed and int(passed[1]) >= 15, said


def test_a_row_that_says_what_it_is_is_a_function(copy):
    """Its name is in dir(tg), and the example in its text runs with all the others."""
    assert run(copy, "test_docstrings.py", "test_examples and gaussian_moment").startswith("1 passed")


def test_a_wrong_derivative_is_found(copy):
    append(copy / "tests" / "cases" / "elementwise.py", TEST_ROW.replace("x * np.exp(-x * x)", "x * np.exp(-1.001 * x * x)"))
    assert re.match(r"\d+ failed", run(copy, "test_table.py", "test_forward_and_gradient and gaussian_moment"))
