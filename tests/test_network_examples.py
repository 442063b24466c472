"""The examples of networks, on a small part of their data: they learn, and a run that was interrupted goes on bit for bit."""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import tapegrad as tg

FOLDER = Path(__file__).parents[1] / "examples"
pytest.importorskip("tqdm"), pytest.importorskip("safetensors"), pytest.importorskip("matplotlib")


@pytest.fixture
def run(monkeypatch):
    """Runs an example with flags, as the command line does, and returns the module that it has trained."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def call(name, *flags, interrupted=None):
        example, made = import_module(name), []
        of_running = import_module("module_training").Run
        step = of_running.step

        def counted(self, batch):
            made.append(self)
            if len(made) == interrupted:
                os.kill(os.getpid(), signal.SIGINT)
            return step(self, batch)

        monkeypatch.setattr(of_running, "step", counted)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", "--quick", "--out", "", *map(str, flags)])
        try:
            example.main(name, example.__doc__, example.run, epochs=2)
        finally:
            monkeypatch.setattr(of_running, "step", step)
        return made[-1]

    return call


@pytest.mark.parametrize("name, words", [("digits", "of the other digits are read"), ("letters", "(Work)"),
                                         ("transformer", "of the test names are told")])
def test_it_learns(run, name, words, capsys):
    if name == "digits":
        pytest.importorskip("sklearn")
    made = run(name)
    said = capsys.readouterr().out
    assert made.losses[1] < made.losses[0] and said.count(words) == 2


def test_an_interrupted_run_goes_on_to_the_same_weights(run, tmp_path, capsys):
    """Dropout, the order of the batches, the moments of the optimiser and the rate go on where they were."""
    whole = run("transformer", "--checkpoint", tmp_path / "whole")
    for batch, epoch in ((4, 1), (len(whole.loader), 2)):
        path = tmp_path / str(batch)
        with pytest.raises(SystemExit) as end:
            run("transformer", "--checkpoint", path, interrupted=batch)
        assert end.value.code == 130 and f"saved in {path}" in capsys.readouterr().err
        again = run("transformer", "--checkpoint", path)
        assert f"goes on in epoch {epoch}" in capsys.readouterr().out and again.losses == whole.losses
        for name, value in whole.module.state_dict().items():
            np.testing.assert_array_equal(again.module.state_dict()[name], value, err_msg=name)


def test_ctrl_c_before_anything_is_saved(run, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(import_module("transformer"), "read_shipped", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(SystemExit) as end:
        run("transformer", "--checkpoint", tmp_path / "run")
    assert end.value.code == 130 and "saved" not in capsys.readouterr().err


def test_another_checkpoint_is_refused(run, tmp_path, capsys):
    (tmp_path / "junk").write_bytes(b"\x80\x04junk")
    tg.save(tmp_path / "other", module=tg.nn.Linear(2, 3))
    for path in (tmp_path / "junk", tmp_path / "other"):
        before = path.read_bytes()
        with pytest.raises(SystemExit) as end:
            run("transformer", "--checkpoint", path)
        assert end.value.code == 2 and str(path) in capsys.readouterr().err and path.read_bytes() == before


def test_the_picture(run, tmp_path):
    run("letters", "--epochs", 1, "--out", tmp_path)
    assert (tmp_path / "losses.png").stat().st_size > 1000
