"""SciPy's optimisers with our gradients: the example, on part of the data."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy")
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import fit_scipy  # noqa: E402


@pytest.mark.parametrize("flags, code", [(["--help"], 0), (["--no-such-flag"], 2)])
def test_the_command_line(flags, code, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fit_scipy.py", *flags])
    with pytest.raises(SystemExit) as end:
        fit_scipy.main()
    assert end.value.code == code and "usage: fit_scipy.py" in "".join(capsys.readouterr())


def test_it_says_that_scipy_is_missing(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fit_scipy.py"])
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(SystemExit) as end:
        fit_scipy.main()
    assert end.value.code == 2 and "needs SciPy: pip install scipy" in capsys.readouterr().err


def test_the_example_converges(capsys, monkeypatch):
    data = fit_scipy.read_shipped()
    data.train = data.train.some(1500)
    monkeypatch.setattr(fit_scipy, "read_shipped", lambda: data)
    monkeypatch.setattr(fit_scipy, "PAIRS", 150)
    monkeypatch.setattr(sys, "argv", ["fit_scipy.py"])
    fit_scipy.main()
    said = capsys.readouterr().out
    assert "CONVERGENCE" in said
    assert float(said.split("train accuracy ")[1][:5]) > 0.7
