"""The user's source lines around those that recorded entries, for a page."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from types import CodeType
from typing import Any

from tapegrad.debug.names import name_of_file
from tapegrad.debug.notes import Note

AROUND, MOST = 4, 400                   # lines around one outside of functions; lines of a function


class Sources:
    """`files`: [{"name", "spans": [[number of the first line, its lines], ..]}] of the places of notes.

    `of(note)` is [file, line, first column, last column] of the expression that recorded an entry, with columns None if they
    are not known; None if the place was not recorded.
    """

    def __init__(self, notes: Iterable[Note]) -> None:
        wanted: dict[str, set[int]] = {}
        seen: set[tuple[CodeType, int]] = set()
        for note in notes:
            if note.place is not None and (at := (note.place.code, note.place.lineno)) not in seen:
                seen.add(at)
                wanted.setdefault(note.place.filename, set()).update(_around(*at))
        self.files: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}
        self._lines: dict[str, list[str]] = {}
        for path, numbers in wanted.items():
            lines = self._lines[path] = [line.rstrip("\r\n") for line in linecache.getlines(path)]
            self._numbers[path] = len(self.files)
            numbers = {n for n in numbers if 1 <= n <= len(lines)}
            self.files.append({"name": name_of_file(path), "spans": _spans(sorted(numbers), lines)})

    def of(self, note: Note) -> list[Any] | None:
        """The place of an entry."""
        if note.place is None:
            return None
        path, line = note.place.filename, note.place.lineno
        for file, position in note.site or ():
            first, last, start, end = position
            if file == path and first is not None and first <= line <= (last or first):
                lines = self._lines[path]
                if first == last and None not in (start, end) and first <= len(lines):
                    text = lines[first - 1].encode()    # columns count bytes
                    return [self._numbers[path], first, *(len(text[:at].decode(errors="replace")) for at in (start, end))]
                break
        return [self._numbers[path], line, None, None]


def _around(code: CodeType, line: int) -> Iterable[int]:
    """The lines of the function that a line is in; outside of functions, some around it."""
    if code.co_name != "<module>":
        own = [number for _, _, number in code.co_lines() if number]
        if own and max(own) - code.co_firstlineno < MOST:
            return range(code.co_firstlineno, max(own) + 1)
    return range(line - AROUND, line + AROUND + 1)


def _spans(numbers: list[int], lines: list[str]) -> list[list[Any]]:
    spans: list[list[Any]] = []
    for number in numbers:
        if not spans or number > spans[-1][0] + len(spans[-1][1]):
            spans.append([number, []])
        spans[-1][1].append(lines[number - 1])
    return spans
