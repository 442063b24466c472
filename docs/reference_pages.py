"""Writes the pages of the reference, reference/*.rst, from the docstrings; conf.py has them made anew for every build.

Docstrings are plain text, made to be read in a terminal. `restructured` turns one into reStructuredText: paragraphs, lists of
arguments, formulas and examples.
"""

import inspect
import re
import textwrap
from pathlib import Path

import public_names
from public_names import BAD, PUBLIC, error_of, errors, pages

import tapegrad as tg

ARGUMENT = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*)  +(\S.*)")
LEADING = re.compile(r"[-*+•#:>=~^\"'`.|_]|\(?[a-zA-Z0-9]{1,3}[.)] ")


def escaped(text):
    """A line of text, without markup but for what stands between single backquotes, which is code."""
    parts = re.split(r"``?([^`]+)``?", text)
    plain = [re.sub(r"([\\*|_`<>])", r"\\\1", part) for part in parts[::2]]
    code = [f"``{part.strip()}``" for part in parts[1::2]]
    joined = plain[0]
    for piece, after in zip(code, plain[1:]):
        before = "\\ " if joined and not joined[-1].isspace() else ""
        joined += before + piece + ("\\ " if after and not after[0].isspace() else "") + after
    return "\\" + joined if LEADING.match(joined) and not joined.startswith(("``", "\\")) else joined


def _arguments(lines):
    """[(names, text)] if every line at the margin is of an argument; else None."""
    found = []
    for line in lines:
        match = ARGUMENT.fullmatch(line)
        if match:
            found.append([match[1], match[2]])
        elif found and line.startswith("  "):
            found[-1][1] += " " + line.strip()
        else:
            return None
    return found


def _block(lines):
    if lines[0].startswith(">>>"):
        return lines
    indented = all(line.startswith(" ") for line in lines)
    lines = textwrap.dedent("\n".join(lines)).split("\n")
    found = _arguments(lines)
    if found:
        return [f"* ``{names}``: {escaped(text)}" for names, text in found]
    if indented or any(line.startswith(" ") for line in lines) or any(re.search(r"\S   +\S", line) for line in lines):
        return [".. code-block:: text", "", *[f"   {line}" for line in lines]]
    return [escaped(" ".join(lines))]


def restructured(text):
    """The lines of a docstring as reStructuredText."""
    lines, block, blocks = inspect.cleandoc(text).split("\n"), [], []
    for line in [*lines, ""]:
        if not line.strip():
            if block:
                blocks.append(block)
            block = []
            continue
        # What is indented differently is another block, but for the lines of an example and of an argument.
        of_code = bool(block) and block[0].lstrip().startswith(">>>")
        if block and not of_code and (line.lstrip().startswith(">>>") or _turns(block, line)):
            blocks.append(block)
            block = []
        block.append(line.rstrip())
    written = []
    for block in blocks:
        code = block[0].lstrip().startswith(">>>")
        written += [*_block(textwrap.dedent("\n".join(block)).split("\n") if code else block), ""]
    return written


def _turns(block, line):
    """Whether a line begins an indented block below a paragraph, or ends one."""
    before, now = block[-1].startswith("    "), line.startswith("    ")
    return now and not before and not ARGUMENT.fullmatch(block[0]) or before and not now and block[0].startswith("    ")


def _titled(text):
    return [text, "=" * len(text), ""]


def _entry(full):
    name, value = full.replace("tg.", "tapegrad.", 1), PUBLIC[full]
    if not inspect.isclass(value):
        return [f".. autofunction:: {name}", ""]
    members = ["   :members:", "   :inherited-members:"] if full in ("tg.Tensor", "tg.nn.Module") else ["   :members:"]
    return [f".. autoclass:: {name}", *members, ""]


def _page(page):
    lines = [*_titled(page.title), *restructured(page.intro)]
    if page.slug in BAD:
        error = error_of(page)
        said = str(error).replace(public_names.__file__, "README.md")
        lines += ["A bad call, and its error:", "", ".. code-block:: pycon", "",
                  f"   >>> {BAD[page.slug].replace('__file__', repr('README.md'))}", "   Traceback (most recent call last):",
                  *[f"   {line}" for line in textwrap.wrap(f"{_class(error)}: {said}", 110)]]
    return [*lines, "", *[line for full in page.names for line in _entry(full)]]


def _class(error):
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _errors():
    lines = [*_titled("Errors"), *restructured(tg.errors.__doc__)]
    return [*lines, *[line for name in errors() for line in (f".. autoexception:: tapegrad.errors.{name}", "")]]


def _numpy():
    """The names of tapegrad.numpy, without text: it is NumPy's."""
    names = [name for name in tg.numpy.__all__ if callable(getattr(tg.numpy, name)) and not name.startswith("_")]
    own = [name for name in names if f"tg.{name}" in PUBLIC]
    lines = [*_titled("tapegrad.numpy"), *restructured(tg.numpy.__doc__)]
    lines += [f"{len(names)} functions and classes. With a tensor, these are tapegrad's functions of the same name:", ""]
    lines += [", ".join(f":py:obj:`~tapegrad.{name}`" for name in own), "", "The rest:", ""]
    return [*lines, ", ".join(f"``{name}``" for name in names if name not in own), ""]


def _tables():
    """What a page lists that has no function: the operators of Wengert lists."""
    return ["", "G and DG", "--------", "", *restructured(type(tg.wengert.G).__doc__ or ""),
            ".. code-block:: text", "", *[f"   {line}" for line in textwrap.wrap(" ".join(sorted(tg.wengert.G)), 110)], ""]


def write(folder):
    """Write all pages, and the contents; returns {slug: path}."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    found = {page.slug: (page.title, _page(page)) for page in pages()}
    found["wengert"][1].extend(_tables())
    found["errors"], found["numpy"] = ("Errors", _errors()), ("tapegrad.numpy", _numpy())
    for slug, (_, lines) in found.items():
        _put(folder / f"{slug}.rst", "\n".join(lines))
    chapters = {"Tensors, tape, derivatives": ("tensor", "derivatives", "autograd", "compile", "seeing", "keeping", "errors",
                                               "configuration"),
                "Functions": [slug for slug in tg.functions.FAMILIES if slug in found],
                "Networks": [slug for slug in found if slug.split(".")[0] in ("nn", "optim", "data")],
                "Lists as data": ("wengert", "xman"),
                "Names of NumPy, SciPy and autograd": ("linalg", "fft", "numpy", *[slug for slug in found
                                                                                  if slug.startswith(("scipy", "compat"))])}
    placed = {slug for slugs in chapters.values() for slug in slugs}
    chapters["More"] = [slug for slug in found if slug not in placed]
    lines = [*_titled("Reference"), f"Every public name, from its docstring: {len(PUBLIC)} functions and classes of tapegrad, "
             f"and {len(tg.numpy.__all__)} names of tapegrad.numpy.", ""]
    for title, slugs in chapters.items():
        if slugs:
            lines += [".. toctree::", "   :maxdepth: 1", f"   :caption: {title}", "", *[f"   {slug}" for slug in slugs], ""]
    _put(folder / "index.rst", "\n".join(lines))
    return {slug: folder / f"{slug}.rst" for slug in found}


def _put(path, text):
    """Write a file only if it changes: Sphinx reads again what is newer."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
