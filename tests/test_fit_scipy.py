"""SciPy's optimisers with our gradients: the example, on part of the data."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy")
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import fit_scipy  # noqa: E402


def test_the_example_converges(capsys, monkeypatch):
    data = fit_scipy.read_shipped()
    data.train = data.train.some(1500)
    monkeypatch.setattr(fit_scipy, "read_shipped", lambda: data)
    monkeypatch.setattr(fit_scipy, "PAIRS", 150)
    fit_scipy.main()
    said = capsys.readouterr().out
    assert "CONVERGENCE" in said
    assert float(said.split("train accuracy ")[1][:5]) > 0.7
