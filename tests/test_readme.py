"""What the README shows is what happens."""

import doctest
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_session_in_the_readme():
    result = doctest.testfile(str(README), module_relative=False, globs={"__name__": "readme"},
                              optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 8 and result.failed == 0


def test_the_two_commands_come_first():
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks[:2]] == ["sh", "sh"]
    assert "train_lstm.py" in blocks[0][1] and "pytest" in blocks[1][1]
    assert all(len(text.strip().splitlines()) == 1 for _, text in blocks[:2])


def test_every_link_leads_somewhere():
    for file in (README, *README.parent.glob("*/*.md"), *README.parent.glob("*/*/*.md")):
        if any(part.startswith(".") for part in file.relative_to(README.parent).parts):
            continue
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name}: {target}"
