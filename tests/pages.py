"""The code in README and in the pages of docs/: every fenced block of Python is a session; a page runs in one namespace."""

import doctest
import re
from pathlib import Path

import tapegrad as tg

ROOT = Path(__file__).parents[1]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FENCE = re.compile(r"^( *)```+.*$", re.MULTILINE)
BLOCK = re.compile(r"^( *)```(?:\{code-block\} )?(\w+) *\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)[^)]*\)")


def pages(*folders):
    """All Markdown of folders, but for what tools write."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.md"))]
    return [path for path in found if not any(part.startswith(".") or part in ("build", "dist", "runs")
                                              for part in path.relative_to(ROOT).parts)]


def blocks(path):
    """[(language, text)] of the fenced blocks."""
    return [(language, text) for _, language, text in BLOCK.findall(path.read_text(encoding="utf-8"))]


def run(path):
    """Run a page's sessions; doctest's (failed, attempted), with the differences on stdout."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))      # a fence would be taken for output
    names = {"__name__": "page", "tg": tg}
    test = doctest.DocTestParser().get_doctest(text, names, path.name, str(path), 0)
    tg.tape().entries.clear()
    return doctest.DocTestRunner(optionflags=FLAGS).run(test)


def broken_links(path):
    """The links of a page to files that are not there."""
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", path.read_text(encoding="utf-8")))       # code has brackets, too
    return [target for target in LINK.findall(text) if not (path.parent / target).exists()]
