"""Memory use: the bytes kept for backward()."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.debug.names import place, without_trace
from tapegrad.debug.notes import Note, notes_of
from tapegrad.debug.table import Table


def memory(source: Any) -> Memory:
    """The bytes that the entries of a tape or trace keep for backward, by operation and by line, as a Memory.

    A buffer that several entries keep counts once, at the first. The arrays of leaves and constants are counted separately.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> loss = tg.sum(tg.exp(x) * x)
    >>> print(tg.tape().memory())
    3 entries keep 16 bytes of results, and 16 bytes of leaves and constants, for backward
    operation  entries  bytes  of leaves, constants
    ---------  -------  -----  --------------------
    exp              1     16                     0
    multiply         1      0                    16
    sum              1      0                     0
    """
    return Memory(notes_of(source))


class Memory:
    """`total` bytes of results and `given` bytes of leaves and constants; dicts `by_operation` and `by_line` of the results'.

    print() shows both.
    """

    def __init__(self, notes: Sequence[Note]) -> None:
        self.entries = len(notes)
        self.total, self.given = sum(note.kept for note in notes), sum(note.given for note in notes)
        self._operations, self._lines = _grouped(notes, lambda note: note.g), _grouped(notes, place)
        self._hints = without_trace(notes, "by line")
        self.by_operation = {label: kept for label, (_, kept, _) in self._operations.items()}
        self.by_line = {label: kept for label, (_, kept, _) in self._lines.items() if label}

    def tables(self) -> list[Table]:
        """The bytes by operation, and by line, as tables."""
        title = (f"{self.entries} entries keep {self.total:,} bytes of results, and {self.given:,} bytes of leaves and "
                 "constants, for backward")
        return [Table(heading, {name: list(groups), "entries": [n for n, _, _ in groups.values()],
                                "bytes": [kept for _, kept, _ in groups.values()],
                                "of leaves, constants": [given for _, _, given in groups.values()]}, (), self._hints)
                for heading, name, groups in ((title, "operation", self._operations), ("", "line", self._lines))
                if heading or any(groups)]

    def __str__(self) -> str:
        return "\n".join(map(str, self.tables()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables())


def _grouped(notes: Sequence[Note], label: Callable[[Note], str]) -> dict[str, tuple[int, int, int]]:
    """{label: (entries, bytes, bytes of leaves and constants)}, sorted by bytes, descending."""
    groups: dict[str, tuple[int, int, int]] = {}
    for note in notes:
        n, kept, given = groups.get(label(note), (0, 0, 0))
        groups[label(note)] = n + 1, kept + note.kept, given + note.given
    return dict(sorted(groups.items(), key=lambda item: -item[1][1]))
