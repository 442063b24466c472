"""Time use, by operation and line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.debug.names import Names, place
from tapegrad.debug.notes import Note, notes_of
from tapegrad.debug.table import Table, seconds
from tapegrad.errors import GradientError


def profile(source: Any) -> Profile:
    """The time that the operators and the derivatives took, by operation and by line, as a Profile. Needs a trace.

    It does not include recording, the accumulation of deltas, or the overhead of tracing. The first call of an activation
    compiles its kernel, or loads it: trace a later step. Raises GradientError if nothing was timed.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.traced() as t:
    ...     tg.sum(x * x).backward()
    >>> calls, forward, backward = t.profile().by_operation["multiply"]
    >>> calls, forward > 0.0, backward > 0.0
    (1, True, True)
    """
    notes = notes_of(source)
    if all(note.forward is None for note in notes):
        raise GradientError("profile: nothing was timed; record inside `with tg.traced():`")
    return Profile(notes, Names(notes))


class Profile:
    """Total seconds `forward` and `backward`; `by_operation` and `by_line`: {label: (calls, forward, backward)}.

    print() shows both as tables, sorted by time; `save(path)` writes a trace for Perfetto or chrome://tracing.
    """

    def __init__(self, notes: Sequence[Note], names: Names) -> None:
        self._notes, self._names = notes, names
        self.forward, self.backward = sum(n.forward or 0.0 for n in notes), sum(n.backward or 0.0 for n in notes)
        self.by_operation, self.by_line = _grouped(notes, lambda note: note.g), _grouped(notes, place)

    def tables(self) -> list[Table]:
        """The times by operation, and by line, as tables."""
        title = f"{len(self._notes)} entries: {self.forward * 1e3:.3f} ms forward, {self.backward * 1e3:.3f} ms backward"
        total = self.forward + self.backward or 1.0
        return [Table(heading, {
            name: list(groups), "calls": [n for n, _, _ in groups.values()],
            "forward us": [seconds(forward) for _, forward, _ in groups.values()],
            "backward us": [seconds(backward) for _, _, backward in groups.values()],
            "share": [Percent((forward + backward) / total) for _, forward, backward in groups.values()],
        }) for heading, name, groups in ((title, "operation", self.by_operation), ("", "line", self.by_line))]

    def __str__(self) -> str:
        return "\n".join(map(str, self.tables()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables())

    def events(self) -> list[dict[str, Any]]:
        """The complete events ("ph": "X") of the trace-event format, in microseconds from the first."""
        spans: list[tuple[str, str, float, Any, dict[str, str]]] = []
        for note in self._notes:
            about = {"entry": self._names.line(note), "shape": str(note.shape), "dtype": str(note.dtype),
                     "line": place(note, full=True)}
            spans += [(name, kind, start, length, about) for name, kind, start, length in (
                (note.g, "forward", note.start, note.forward), (f"d {note.g}", "backward", note.swept, note.backward))
                if start is not None]
        zero = min(start for _, _, start, _, _ in spans)
        return [{"name": name, "cat": kind, "ph": "X", "ts": (start - zero) * 1e6, "dur": length * 1e6, "pid": 1, "tid": 1,
                 "args": about} for name, kind, start, length, about in sorted(spans, key=lambda span: span[2])]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file that Perfetto (ui.perfetto.dev) and chrome://tracing open."""
        named = {"name": "process_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": "tapegrad"}}
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": [named, *self.events()], "displayTimeUnit": "ms"}, file)


class Percent(float):
    """A fraction that is printed as a percentage."""

    def __str__(self) -> str:
        return f"{self:.1%}"


def _grouped(notes: Sequence[Note], label: Callable[[Note], str]) -> dict[str, tuple[int, float, float]]:
    groups: dict[str, tuple[int, float, float]] = {}
    for note in notes:
        n, forward, backward = groups.get(label(note), (0, 0.0, 0.0))
        groups[label(note)] = n + 1, forward + (note.forward or 0.0), backward + (note.backward or 0.0)
    return dict(sorted(groups.items(), key=lambda item: -sum(item[1][1:])))
