"""Checkpoints of the examples: a run that is killed, or interrupted, goes on to the same weights bit for bit."""

import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg

safetensors = pytest.importorskip("safetensors.numpy")
pytest.importorskip("tqdm")

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

from checkpoints import Checkpoint, NoCheckpoint  # noqa: E402
from names_data import InputError  # noqa: E402
from train_lstm import RECIPES  # noqa: E402
from training import Init, Run, copies, evaluate, train  # noqa: E402

signals = pytest.mark.skipif(sys.platform == "win32", reason="signals")
ABOUT = {"kind": "lstm", "num_hid": 8, "alphabet": "abcdefghijklmnopqrstuvwxyz", "labels": ["Place", "Species", "Person"]}
# With dropout, batches of several lengths, and a rate that falls.
RECIPE = replace(RECIPES["default"], max_len=6, num_hid=8, batch_size=6, epochs=4, bucket=2)


def trained(checkpoint, report=lambda *row: None, recipe=RECIPE):
    """(weights, rows, why it stopped) of a short run."""
    rng = np.random.default_rng(3)
    ids = np.where(np.arange(6) >= rng.integers(0, 4, 90)[:, None], rng.integers(2, 12, (90, 6)), 0)
    ids = np.repeat(ids[:, :, None], recipe.longest, 2)                 # as if the pieces of names had the ids of characters
    model = recipe.model(Init(recipe.seed, "float32"), 12, recipe.max_len, recipe.num_hid, 3)
    y = rng.integers(0, 3, 90)
    run = Run(model, recipe, evaluate(model, ids[70:], y[70:], recipe.bucket)[0])
    checkpoint.resume(run)
    def draw(rng):
        kept = rng.permutation(90)[:70] % 70                            # others in every epoch
        return ids[kept], y[kept]

    history, stopped = train(run, draw, (ids[70:], y[70:]), recipe, report, checkpoint, compiled=False)
    return copies(model), [row[:4] for row in history], stopped


@pytest.fixture(scope="module")
def whole():
    return trained(NoCheckpoint())


def same(one, other):
    assert one[0].keys() == other[0].keys() and one[1:] == other[1:]
    for name, array in one[0].items():
        np.testing.assert_array_equal(array, other[0][name], err_msg=name)


def test_writing_changes_nothing(whole, tmp_path):
    same(trained(Checkpoint(tmp_path / "run", ABOUT)), whole)
    before = (tmp_path / "run").read_bytes()
    same(trained(Checkpoint(tmp_path / "run", ABOUT)), whole)           # it was at its end
    assert (tmp_path / "run").read_bytes() == before


@signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_writes_a_checkpoint_in_the_middle_of_an_epoch(whole, tmp_path, capsys, number):
    path = tmp_path / "run"

    def interrupted(epoch, *row):
        if epoch == 2:
            os.kill(os.getpid(), number)

    handlers = signal.getsignal(number)
    _, history, stopped = trained(Checkpoint(path, ABOUT), interrupted)
    assert stopped.code == 130 and str(stopped) == "interrupted in epoch 3" and len(history) == 2
    assert signal.getsignal(number) is handlers
    where = tg.load(path)["where"]
    assert len(where["history"]) == 2 and where["step"] == 1 and where["seen"] > 0
    same(trained(Checkpoint(path, ABOUT)), whole)
    assert "goes on in epoch 3, after 1 batches of it" in capsys.readouterr().out


@signals
def test_ctrl_c_twice_does_not_wait(tmp_path):
    """The checkpoint is that of the last epoch: the state in the middle of a batch is none to go on from."""
    def interrupted(epoch, *row):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    _, history, stopped = trained(Checkpoint(tmp_path / "run", ABOUT), interrupted)
    assert stopped.code == 130 and len(history) == 1
    where = tg.load(tmp_path / "run")["where"]
    assert (len(where["history"]), where["step"]) == (0, 0)


def test_a_checkpoint_that_cannot_be_written_stops_the_run_which_keeps_its_weights(tmp_path):
    def vanished(epoch, *row):
        (tmp_path / "folder" / "run").unlink()
        (tmp_path / "folder").rmdir()

    (tmp_path / "folder").mkdir()
    weights, history, stopped = trained(Checkpoint(tmp_path / "folder" / "run", ABOUT), vanished)
    assert stopped.code == 1 and "No such file or directory" in str(stopped) and len(history) == 1 and weights


PROGRAM = f"""
import sys, signal
sys.path[:0] = [{str(EXAMPLES)!r}, {str(Path(__file__).parent)!r}]
import test_checkpoints as here
print("training", flush=True)
weights, *_ = here.trained(here.Checkpoint(sys.argv[1], here.ABOUT))
here.safetensors.save_file(weights, sys.argv[2])
"""


@signals
def test_a_run_that_is_killed_goes_on(whole, tmp_path):
    """At random moments after it has begun to train, and then to its end. benchmarks/kills.py does it to the whole example."""
    path, moments, kills = tmp_path / "run", random.Random(0), 0
    while not (tmp_path / "weights").exists():
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, path, tmp_path / "weights"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        if process.stdout.readline() != "training\n":
            raise AssertionError(process.stderr.read())
        if kills < 3:
            time.sleep(moments.uniform(0.01, 0.3))
            process.kill()
            kills += 1
        process.communicate()
        if path.exists():
            assert {"about", "where", "optimizer", "rng"} <= tg.load(path).keys()
    found = safetensors.load_file(tmp_path / "weights")
    for name, array in whole[0].items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_what_is_no_checkpoint_of_the_run(tmp_path):
    """Files that are damaged, of another run or of something else: an error, and neither the run nor the file is changed."""
    weights, *_ = trained(Checkpoint(tmp_path / "good", ABOUT), recipe=replace(RECIPE, epochs=1))
    content = (tmp_path / "good").read_bytes()
    (tmp_path / "truncated").write_bytes(content[:len(content) // 2])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "pickle").write_bytes(pickle.dumps({"about": {}, "where": {}}))
    tg.save(tmp_path / "other", x=np.ones(3))
    safetensors.save_file(weights, tmp_path / "weights")
    loaded = tg.load(tmp_path / "good")
    tg.save(tmp_path / "shapes", **{**loaded, "weights.first.W2": np.zeros((2, 2), "f4")})
    tg.save(tmp_path / "best", **{**loaded, "best_weights.first.W2": np.zeros((2, 2), "f4")})
    tg.save(tmp_path / "places", **{**loaded, "where": {"step": 3}})
    (tmp_path / "folder").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for name, about, words in [
        ("truncated", {}, "truncated: this is no checkpoint of this run: load: .*damaged"),
        ("empty", {}, "empty: this is no checkpoint of this run: "),
        ("pickle", {}, "pickle: this is no checkpoint of this run: "),
        ("weights", {}, "tg.save has not written"),
        ("other", {}, "it does not tell its kind"),
        ("shapes", {}, r"weights.first.W2 is float32 \(2, 2\) for float32 \(16, 3\)"),
        ("best", {}, r"best_weights.first.W2 is float32 \(2, 2\) for float32 \(16, 3\)"),
        ("places", {}, "no checkpoint of this run: 'history'"),
        ("folder", {}, "folder: "),
        ("missing/run", {}, "missing/run: No such file or directory"),
        ("good", {"num_hid": 16}, "it is of another num_hid, 8 and not 16"),
        ("good", {"alphabet": "abc"}, "it is of another alphabet$"),
        ("good", {"data": 3}, "it does not tell its data"),
    ]:
        run = Run(RECIPE.model(Init(1, "float32"), 12, 6, 8, 3), RECIPE, 9.0)
        weights, rng = copies(run.model), run.rng.bit_generator.state
        with pytest.raises(InputError, match=words):
            Checkpoint(tmp_path / name, ABOUT | about).resume(run)
        assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
        assert run.rng.bit_generator.state == rng and run.history == [] and run.best == 9.0
        for key, array in copies(run.model).items():
            np.testing.assert_array_equal(array, weights[key])
    assert not re.search("part", " ".join(os.listdir(tmp_path)))
