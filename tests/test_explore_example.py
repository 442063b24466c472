"""The example that steps through tapes writes its pages, and the pictures of the explorer are small."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_all_pages(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import explore_the_tape

    monkeypatch.setattr(sys, "argv", ["explore_the_tape.py", "--to", str(tmp_path / "explored")])
    explore_the_tape.main()
    assert {path.name for path in (tmp_path / "explored").iterdir()} == {"network.html", "lstm.html", "blamed.html"}
    assert capsys.readouterr().out.count(".html") == 3
    network = explore_the_tape.network().data
    assert len(network["entries"]) == 10 and len(network["steps"]) == 20 and not network["hints"]
    assert {group["loop"] for group in explore_the_tape.lstm().data["groups"]} == {0}
    assert "log of a negative number" in str(explore_the_tape.blamed().data["entries"])


def test_the_first_page_is_opened_at_once(tmp_path, monkeypatch, capsys):
    """Before the others are written."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import explore_the_tape

    opened = []
    monkeypatch.setattr(explore_the_tape.webbrowser, "open", lambda page: opened.append((page, len(list(tmp_path.iterdir())))))
    monkeypatch.setattr(sys, "argv", ["explore_the_tape.py", "--to", str(tmp_path), "--open"])
    explore_the_tape.main()
    assert opened == [((tmp_path / "network.html").as_uri(), 1)]


def test_the_pictures_are_small():
    pictures = list((ROOT / "docs" / "pictures").glob("explorer-*.png"))
    assert len(pictures) == 5 and sum(picture.stat().st_size for picture in pictures) < 1_000_000
