"""The names of notes: as in core/naming.py, plus the variables that a trace found when the values were used.

h, h_2, h_3 are the values of h, in the order of their computation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.core import naming
from tapegrad.core.entry import Leaf
from tapegrad.debug.notes import Constant, Note


class Names:
    """names(y) is the name of a note, a leaf, a constant or a number; names are unique.

    `plain` holds the names given by users, without the number that makes them unique.
    """

    def __init__(self, notes: Sequence[Note]) -> None:
        self.of: dict[Any, str] = {}
        self.plain: dict[Any, str] = {}
        self.taken: dict[str, int] = {}
        self.counts: dict[type, int] = {Note: 0, Leaf: 0, Constant: 0}
        bound: dict[int, str] = {}
        own: dict[int, str] = {}
        leaves = {y: note.leaves[y] for note in notes for y in note.ys if type(y) is Leaf and y in note.leaves}
        for variable, tensor in naming.variables():
            register = tensor._register
            where = getattr(register, "where", None)
            held = id(where if type(where) is Note else register or tensor)
            bound.setdefault(held, variable)
            if tensor.name:
                own.setdefault(held, tensor.name)

        def key(y: Any) -> int:
            return id(y if type(y) is Leaf else y.tensor() if type(y) is Constant else y.entry or y)

        given = [y for note in notes for y in (*note.ys, note) if type(y) in self.counts]
        for y in given:
            if name := y.name or own.get(key(y)):
                self.give(y, name)
                self.plain[y] = name
        for y in given:
            if name := (leaves.get(y) if type(y) is Leaf else y.variable) or bound.get(key(y)):
                self.give(y, name)
                self.plain.setdefault(y, name)
        for y in given:
            if y not in self.of:
                letter = {Note: "z", Leaf: "x", Constant: "c"}[type(y)]
                while True:
                    self.counts[type(y)] += 1
                    name = f"{letter}{self.counts[type(y)]}"
                    if name not in self.taken:
                        break
                self.give(y, name)

    def give(self, y: Any, name: str) -> None:
        if y not in self.of:
            unique = name
            while unique in self.taken:                 # taken[name] counts its uses, so h_100 is found at once
                self.taken[name] += 1
                unique = f"{name}_{self.taken[name]}"
            self.taken[unique] = 1
            self.of[y] = unique

    def __call__(self, y: Any) -> str:
        return self.of.get(y) or repr(y) if type(y) in self.counts else repr(y)

    def right(self, note: Note) -> str:
        """`tanh(z2)`: the right side of an entry."""
        given = [f"{key}={short(value)}" for key, value in note.static.items()]
        return f"{note.g}({', '.join([*map(self, note.ys), *given])})"

    def line(self, note: Note) -> str:
        """`h = tanh(z2)`."""
        return f"{self(note)} = {self.right(note)}"


def short(value: Any) -> str:
    """The text of an argument that is not an operand, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 32 else f"{text[:28]} ..."


def without_trace(notes: Sequence[Note], what: str) -> list[str]:
    """The hint that `what` needs a trace, if there are entries that were recorded without one."""
    return [f"{what}: record inside of `with tg.traced() as t:`"] if any(note.place is None for note in notes) else []


def place(note: Note, full: bool = False) -> str:
    """`train_lstm.py:36`, the line of a note; empty if it was not recorded."""
    if note.place is None:
        return ""
    file: str = note.place.filename
    return f"{file if full else name_of_file(file)}:{note.place.lineno}"


def name_of_file(path: str) -> str:
    """The last part of a path, with the separators of Windows, too."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]
