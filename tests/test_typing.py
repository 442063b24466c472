"""Types: the program that type checkers read runs, and what users import is complete for them. .ci/run calls the checkers."""

import runpy
from pathlib import Path

import tapegrad as tg


def test_the_users_program_runs(capsys):
    names = runpy.run_path(str(Path(__file__).parent / "typing" / "user.py"))
    assert "1  z2 = sum(z1" in capsys.readouterr().out and names["loss"].shape == () and names["x"].grad is not None


def test_the_package_says_that_it_has_types():
    assert (Path(tg.__file__).parent / "py.typed").exists()
