"""show_config(): what it says of this machine, and of others."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import config
from tapegrad.kernels import blas


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
    monkeypatch.setattr(config, "get_num_threads", lambda: 2)
    monkeypatch.setattr(config, "has_avx512", lambda: True)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    advice = [line for line in config.configuration()["faster"] if not line.startswith("numba")]
    assert (not advice) if words is None else (len(advice) == 1 and words in advice[0])


needs_openblas = pytest.mark.skipif(blas.threads() is None, reason="another BLAS")


@needs_openblas
def test_the_number_of_threads_is_set_and_said(capsys):
    before = tg.get_num_threads()
    try:
        for n in (1, np.int64(2), 1):
            tg.set_num_threads(n)
            assert tg.get_num_threads() == n
            tg.show_config()
            assert f"blas threads  {n}\n" in capsys.readouterr().out
            x = np.random.default_rng(0).normal(size=(300, 300))
            np.testing.assert_allclose(x @ x, np.einsum("ij,jk->ik", x, x), atol=1e-10)
    finally:
        tg.set_num_threads(before)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None, "2"])
def test_a_number_of_threads_that_is_none(n):
    with pytest.raises(ValueError, match="set_num_threads: n="):
        tg.set_num_threads(n)


def test_a_blas_that_cannot_be_told(monkeypatch):
    monkeypatch.setattr(blas, "library", lambda: None)
    monkeypatch.setattr(config, "_pools", lambda: [])
    assert tg.get_num_threads() is None and config.configuration()["blas threads"] == "unknown"
    with pytest.raises(RuntimeError, match="install threadpoolctl, or set OPENBLAS_NUM_THREADS or"):
        tg.set_num_threads(1)


@needs_openblas
def test_the_number_is_left_as_it_is():
    """An import, and a run, does not change it for the rest of the program."""
    code = ("import numpy as np\nfrom tapegrad.kernels import blas\nbefore = blas.threads()\nimport tapegrad as tg\n"
            "x = tg.tensor(np.ones((64, 64), 'f4'), requires_grad=True)\n(x @ x @ x).sum().backward()\n"
            "print(blas.threads() == before)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"
