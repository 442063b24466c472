"""Wengert lists as text: one entry per line, `z1 = add(x1, x1)`; # starts a comment, blank lines are ignored.

    list     = [(z, g, (y1, .., yk)), ..]
    z, g     names: letters, digits, _, with dots in between
    y        a name
             a literal: 2.5  -1  inf  (0, 1)  None  True  'text'  slice(0, 2)  dtype('float32')
             keyword=name, keyword=literal

In the list each y is the string from the text, so that parse(format(f)) == f: `("z", "sum", ("x", "axis=0"))`.
Only names without a keyword are operands, which have a delta.
"""

import ast
import re
from collections.abc import Iterable
from math import inf, nan
from typing import Any

import numpy as np

from tapegrad.errors import WengertError

NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
KEYWORD = re.compile(r"([^\W\d]\w*)\s*=(?!=)\s*")
SPACE = re.compile(r"[ \t]*")
WORDS = {"None": None, "True": True, "False": False, "inf": inf, "nan": nan, "Ellipsis": ...}
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Name(str):
    """An argument that is a name, to be looked up."""


def argument(y):
    """(keyword or None, Name or value) of one of the ys of an entry. A string that is not a literal is a name."""
    if not isinstance(y, str):
        return None, y
    if NAME.fullmatch(y) and y not in WORDS:
        return None, Name(y)
    keyword = KEYWORD.match(y)
    try:
        if not keyword:
            return None, literal(y)
        text = y[keyword.end():]
        return keyword[1], Name(text) if NAME.fullmatch(text) and text not in WORDS else literal(text)
    except WengertError:
        return None, Name(y)


def literal(text):
    """The value of a literal: a number, a string, None, True, False, inf, nan, ..., a tuple, a list, a slice, a dtype."""
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise WengertError(f"{text!r} is not a literal") from None


def _value(node):
    if isinstance(node, ast.Constant) and not isinstance(node.value, bytes):
        return node.value
    if isinstance(node, ast.Name) and node.id in WORDS:
        return WORDS[node.id]
    if isinstance(node, (ast.Tuple, ast.List)):
        values = [_value(item) for item in node.elts]
        return tuple(values) if isinstance(node, ast.Tuple) else values
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else +value
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):     # a complex number, 1+2j
        left, right = _value(node.left), _value(node.right)
        return left + right if isinstance(node.op, ast.Add) else left - right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        values = [_value(item) for item in node.args]
        if node.func.id in ("slice", "dtype"):
            return slice(*values) if node.func.id == "slice" else np.dtype(*values)
    raise ValueError(node)


def entry_text(entry):
    """An entry as shown in error messages, well-formed or not."""
    z, g, ys = entry
    return f"{z} = {g}({', '.join([y if isinstance(y, str) else repr(y) for y in ys])})"


def format(f: Iterable[tuple[str, str, Iterable[Any]]]) -> str:
    """The text of a Wengert list. WengertError if `parse` could not read an entry back, such as a name with a space.

    >>> from tapegrad import wengert
    >>> print(wengert.format([("z1", "add", ("x", "x")), ("f", "sum", ("z1", "axis=0"))]))
    z1 = add(x, x)
    f = sum(z1, axis=0)
    """
    lines = []
    for position, entry in enumerate(f, start=1):
        line = entry_text(entry)
        try:
            z, g, ys = _Line(line, position).entry()
        except WengertError as error:
            raise WengertError(f"format: entry {position}: {error}") from None
        if (z, g, ys) != (entry[0], entry[1], tuple([y if isinstance(y, str) else repr(y) for y in entry[2]])):
            raise WengertError(f"format: entry {position}, {line}, would be read as {(z, g, ys)}")
        lines.append(line)
    return "\n".join(lines)


def parse(text: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Parse text to a Wengert list.

    >>> from tapegrad import wengert
    >>> wengert.parse("z = add(x, y)   # a comment")
    [('z', 'add', ('x', 'y'))]

    Raises WengertError, with line and column, if a line is not an entry. Whether names are defined is checked when the
    list is evaluated.
    """
    return [entry for number, line in enumerate(text.splitlines(), start=1) if (entry := _Line(line, number).entry())]


class _Line:
    """A parser of one line, with the position in it."""

    def __init__(self, text, number):
        self.text, self.number, self.at = text, number, 0

    def entry(self):
        """(z, g, ys), or None for a line without an entry."""
        if self.ended():
            return None
        z = self.name("a name")
        self.expect("=")
        g = self.name("the name of an operator")
        self.expect("(")
        ys = []
        while not self.next(")"):
            if ys:
                self.expect(",", "',' or ')'")
            ys.append(self.argument())
        self.expect(")")
        if not self.ended():
            self.fail("the end of the line, or a comment with #")
        return z, g, tuple(ys)

    def fail(self, wanted):
        found = repr(self.text[self.at]) if self.at < len(self.text) else "the end of the line"
        raise WengertError(f"line {self.number}, column {self.at + 1}: expected {wanted}, got {found}: "
                           f"{self.text.strip()}")

    def skip(self):
        self.at = SPACE.match(self.text, self.at).end()

    def next(self, character):
        self.skip()
        return self.text.startswith(character, self.at)

    def ended(self):
        self.skip()
        return self.at == len(self.text) or self.text[self.at] == "#"

    def expect(self, character, wanted=None):
        if not self.next(character):
            self.fail(wanted or repr(character))
        self.at += 1

    def name(self, wanted):
        self.skip()
        match = NAME.match(self.text, self.at)
        if not match or match[0] in WORDS:
            self.fail(wanted)
        self.at = match.end()
        return match[0]

    def argument(self):
        self.skip()
        keyword = KEYWORD.match(self.text, self.at)
        start = self.at = keyword.end() if keyword else self.at
        text = self.piece()
        if not NAME.fullmatch(text):
            try:
                literal(text)
            except WengertError:
                self.at = start
                self.fail("a name or a literal")
        return f"{keyword[1]}={text}" if keyword else text

    def piece(self):
        """The text up to the comma or parenthesis that ends the argument, outside of brackets and quotes."""
        start, closing, quote = self.at, [], None
        while self.at < len(self.text):
            character = self.text[self.at]
            if quote:
                if character == "\\":
                    self.at += 1
                elif character == quote:
                    quote = None
            elif character in "'\"":
                quote = character
            elif character in CLOSING:
                closing.append(CLOSING[character])
            elif closing and character == closing[-1]:
                closing.pop()
            elif not closing and character in ",)#":
                break
            self.at += 1
        return self.text[start:self.at].rstrip()
