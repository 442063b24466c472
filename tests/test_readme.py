"""What the README shows is what happens."""

import re

import pytest
from pages import ROOT, blocks, broken_links, pages, run

README = ROOT / "README.md"


def test_the_sessions_in_the_readme(capsys):
    result = run(README)
    assert result.attempted > 20 and result.failed == 0, capsys.readouterr().out


def test_the_two_commands_come_first():
    (first, train), (second, test), (third, explore) = blocks(README)[:3]
    assert first == second == third == "sh"
    assert "train_lstm.py" in train and "pytest" in test and "explore_the_tape.py --open" in explore
    assert all(len(text.strip().splitlines()) == 1 for text in (train, test, explore))


def test_it_is_a_front_page():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    assert len([language for language, _ in blocks(README) if language == "python"]) == 5
    assert re.search(r"!\[.+\]\(.+\)", text)


@pytest.mark.parametrize("page", pages("."), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert not broken_links(page)


def test_links_are_found():
    assert sum(len(re.findall(r"\]\((?!https?:)", page.read_text(encoding="utf-8"))) for page in pages(".")) > 100


def test_one_version():
    import tapegrad

    for file in ("CHANGELOG.md", "CITATION.cff"):
        assert tapegrad.__version__ in (ROOT / file).read_text(encoding="utf-8")
