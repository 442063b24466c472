"""show_config() and `python -m tapegrad`: what they say of this machine, and of others."""

import os
import subprocess
import sys

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
    for name in config.THREADS:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, **threads}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(config, "blas_core", lambda: core)
    monkeypatch.setattr(config, "has_avx512", lambda: True)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    advice = [line for line in config.configuration()["faster"] if not line.startswith("numba")]
    assert (not advice) if words is None else (len(advice) == 1 and words in advice[0])


def test_the_benchmark_runs(monkeypatch, capsys):
    monkeypatch.setattr(__main__, "SIZES", ((2, 3, 4, 2),))
    __main__.main(seconds=0.01)
    said = capsys.readouterr().out
    for line in ("LSTM step, 2 names, 3 characters, hidden 4, 2 steps", "a recorded x * y", "tanh, 2,048", "GFLOP/s", "Adam"):
        assert line in said


@pytest.mark.parametrize("flags, code, said", [(["--help"], 0, "usage: python -m tapegrad"), (["-1"], 2, "error"),
                                               (["soon"], 2, "invalid seconds value: 'soon'"), (["inf"], 2, "not a number of seconds")])
def test_the_command_line_has_no_tracebacks(flags, code, said):
    run = subprocess.run([sys.executable, "-m", "tapegrad", *flags], capture_output=True, text=True)
    assert run.returncode == code and said in run.stdout + run.stderr and "Traceback" not in run.stderr
