"""`python -m tapegrad`: its commands, and what a terminal shows while kernels are compiled."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.__main__ import command
from tapegrad.command import bench, warmup
from tapegrad.errors import WengertError


def run(*flags):
    return subprocess.run([sys.executable, "-m", "tapegrad", *flags], capture_output=True, text=True)


@pytest.mark.parametrize("flags, code, said", [
    (["--help"], 0, "usage: python -m tapegrad"), (["bench", "--help"], 0, "seconds"), (["explore", "--help"], 0, "--output"),
    (["--version"], 0, f"tapegrad {tg.__version__}"), ([], 0, "blas kernels"),
    (["bench", "-1"], 2, "error"), (["bench", "soon"], 2, "invalid seconds value: 'soon'"),
    (["bench", "inf"], 2, "not a number of seconds"), (["nothing"], 2, "invalid choice: 'nothing'"),
    (["show"], 2, "FILE"), (["show", "no.npz"], 2, "no.npz"), (["explore", __file__], 2, "was not written by save_tape")])
def test_the_command_line_has_no_tracebacks(flags, code, said):
    done = run(*flags)
    assert done.returncode == code and said in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_every_command_is_explained(capsys):
    with pytest.raises(SystemExit):
        command(["--help"])
    said = capsys.readouterr().out
    assert all(f"    {name} " in said for name in ("config", "bench", "warmup", "show", "explore"))


def test_the_benchmark_runs(monkeypatch, capsys):
    monkeypatch.setattr(bench, "SIZES", ((2, 3, 4, 2),))
    command(["bench", "0.01"])
    said = capsys.readouterr().out
    for line in ("LSTM step, 2 names, 3 characters, hidden 4, 2 steps", "a recorded x * y", "tanh, 2,048", "GFLOP/s", "Adam"):
        assert line in said


COMPILED = """
from numba.core import event
from tapegrad.command.warmup import warmup
with event.install_recorder("numba:compile") as recorder:
    warmup()
print([str(one.data["dispatcher"]) for _, one in recorder.buffer if one.is_start])
"""


@pytest.mark.slow
def test_warmup_compiles_every_kernel_once(capsys):
    ready = warmup.warmup()
    said = capsys.readouterr().out
    if warmup.compiler() is None:
        assert ready == 0 and "no kernels" in said
        return
    assert f"{ready} of {ready} groups" in said
    for name in ("sigmoid", "add_product", "cross_entropy", "adam"):
        assert name in said
    found = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True).stdout.splitlines()
    assert found[-1] == "[]"                            # another process finds all of it in the cache


TERMINAL = """
import time
from tapegrad.kernels import progress
progress.PATIENCE, progress.INTERVAL = {patience}, 0.02
with progress.shown("of a test"):
    time.sleep({takes})
"""


@pytest.mark.parametrize("patience, takes, shown", [(0.05, 0.4, True), (60, 0.01, False)])
def test_a_terminal_shows_a_long_compilation(patience, takes, shown):
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 128))
    code = TERMINAL.format(patience=patience, takes=takes)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.set_blocking(ours, False)
    try:
        said = os.read(ours, 100_000).decode()
    except BlockingIOError:
        said = ""
    os.close(theirs)
    os.close(ours)
    assert done.stdout == b"" and ("compiling kernels" in said and "of a test" in said) == shown and bool(said) == shown


def test_without_a_terminal_nothing_is_shown():
    done = subprocess.run([sys.executable, "-c", TERMINAL.format(patience=0.01, takes=0.3)], capture_output=True, check=True)
    assert done.stdout == done.stderr == b""


@pytest.fixture
def kept(tmp_path):
    x = tg.tensor(np.arange(6.0).reshape(2, 3), name="x")
    W = tg.tensor(np.ones((3, 2)), requires_grad=True, name="W")
    loss = -tg.log_softmax(tg.tanh(x @ W))[np.arange(2), np.array([0, 1])].sum()
    path = tmp_path / "tape.npz"
    tg.save_tape(path, loss)
    return path


def test_a_tape_from_a_file_is_recorded_again(kept):
    tape = tg.load_tape(kept)
    result = tape.record()
    assert [entry[0] for entry in tape.wengert()] == [z for z, _, _ in tg.tape()] and result.item() == tape.values[result.name]
    result.backward()
    twice = tape.record(W=2 * tape.leaves["W"])
    assert twice.item() == tape.eval(W=2 * tape.leaves["W"])[result.name]


def test_a_tensor_given_for_a_leaf_gets_its_gradient(kept):
    tape = tg.load_tape(kept)
    W = tg.tensor(tape.leaves["W"], requires_grad=True)
    tape.record(W=W).backward()
    np.testing.assert_allclose(W.grad, tape.gradients()["W"], rtol=1e-12)


def test_operators_of_the_user_are_not_recorded(tmp_path):
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    tg.save_tape(tmp_path / "tape.npz", (x * x).sum())
    with pytest.raises(WengertError, match="multiply is given in G or DG"):
        tg.load_tape(tmp_path / "tape.npz", G={"multiply": np.multiply}).record()


def test_show(kept, capsys):
    command(["show", str(kept)])
    said = capsys.readouterr().out
    assert "leaf     W: float64 (3, 2)" in said and "constant x: float64 (2, 3)" in said and "z2 = tanh(z1)" in said


def test_explore(kept, capsys):
    command(["explore", str(kept), "-o", str(kept.with_name("seen.html"))])
    assert capsys.readouterr().out.strip() == str(kept.with_name("seen.html"))
    assert "log_softmax" in kept.with_name("seen.html").read_text(encoding="utf-8")
