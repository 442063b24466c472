"""The example that looks at the tape writes all that it says."""

import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_all_files(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import see_the_tape

    monkeypatch.setattr(see_the_tape, "TIME", 5)
    monkeypatch.setattr(sys, "argv", ["see_the_tape.py", "--to", str(tmp_path / "seen")])
    see_the_tape.main()
    assert set(os.listdir(tmp_path / "seen")) == {
        "listing.txt", "listing.html", "lstm.svg", "lstm.dot", "lstm.mmd", "gradient_through_time.svg", "profile.json",
        "questions.txt", "blame.txt"}
    drawn = (tmp_path / "seen" / "lstm.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(drawn) is not None and "h = multiply × 5" in drawn
    assert "overflow" in (tmp_path / "seen" / "blame.txt").read_text()
    questions = (tmp_path / "seen" / "questions.txt").read_text()
    assert "0 wrong" in questions and "gradient of U_i by step" in questions
    assert "the loss is nan" in capsys.readouterr().out


def test_the_pictures_are_small():
    for picture in (EXAMPLES / "pictures").iterdir():
        assert picture.stat().st_size < 100_000
