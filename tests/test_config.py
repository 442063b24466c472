"""show_config() and `python -m tapegrad`: what they say of this machine, and of others."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import __main__, config


def test_show_config(capsys):
    tg.show_config()
    said = capsys.readouterr().out
    assert f"numpy         {np.__version__}" in said and tg.__version__ in said and "blas kernels" in said


@pytest.mark.parametrize("core, variables, threads, words", [
    ("Haswell", {"OPENBLAS_CORETYPE": "Haswell"}, {"OMP_NUM_THREADS": "1"}, "OPENBLAS_CORETYPE is set to Haswell"),
    ("Haswell", {}, {"OMP_NUM_THREADS": "1"}, "OPENBLAS_CORETYPE=SkylakeX"),
    ("SkylakeX", {}, {}, "OPENBLAS_NUM_THREADS=1"),
    ("SkylakeX", {}, {"OMP_NUM_THREADS": "1"}, None)])
def test_advice(monkeypatch, core, variables, threads, words):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(config, "_has_avx512", lambda: True)
    monkeypatch.setattr(config.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(config.kernels, "compiler", lambda: "numba")
    advice = config._advice(core, threads)
    assert (not advice) if words is None else (len(advice) == 1 and words in advice[0])


def test_the_benchmark_runs(monkeypatch, capsys):
    monkeypatch.setattr(__main__, "SIZES", ((2, 3, 4, 2),))
    __main__.main(seconds=0.01)
    said = capsys.readouterr().out
    for line in ("LSTM step, 2 names, 3 characters, hidden 4, 2 steps", "a recorded x * y", "tanh, 2,048", "GFLOP/s", "Adam"):
        assert line in said
