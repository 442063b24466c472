"""Watching the operations of a thread, without overhead when there is no watcher.

A watcher's `computed(row, args, z, start, end)` is called after a row's operator has run, and `appended(entry)` before its
entry is appended to the tape. While there is a watcher, the thread's list of entries is a `Watched`, which stores the user's
line in every entry's `where`, and every row's operator is a `Looking`. With the last watcher they are removed, and the tape's
entries are a plain list again. Anomaly detection (anomaly.py) and tracing (tracing.py) are watchers.

`observed` makes an entry's derivatives report their inputs and results, for as long as the entry lives; `observing`, for as
long as its block runs.
"""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from types import CodeType, FrameType
from typing import Any, Protocol

from tapegrad.core.tape import thread
from tapegrad.core.tensor import elements
from tapegrad.core.walk import Deltas
from tapegrad.primitives import arrays, table
from tapegrad.primitives.plan import Plan
from tapegrad.primitives.registry import HOLOMORPHIC
from tapegrad.primitives.zeros import strong

_lock = threading.Lock()
_looking: list[Any] = []        # the rows whose operator is a Looking, while there are watchers
_watchers = 0


class Watcher(Protocol):
    """An observer of the operations of a thread."""

    def computed(self, row: Any, args: Any, z: Any, start: float, end: float) -> None: ...

    def appended(self, entry: Any) -> None: ...


class Place:
    """A line of a program: filename, lineno, the name of the function, and the text of the line."""

    __slots__ = ("code", "lineno")

    def __init__(self, code: CodeType, lineno: int) -> None:
        self.code, self.lineno = code, lineno

    @property
    def filename(self) -> str:
        return self.code.co_filename

    @property
    def name(self) -> str:
        return self.code.co_name

    @property
    def line(self) -> str:
        return linecache.getline(self.filename, self.lineno).strip()

    def __str__(self) -> str:
        return f"{self.filename}, line {self.lineno}, in {self.name}: {self.line}"


def users_frame(frame: FrameType | None = None) -> FrameType:
    """The innermost frame that is not one of tapegrad's."""
    frame = frame or sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "tapegrad":
        frame = frame.f_back
    return frame


def users_place() -> Place:
    """The current line of the user's frame."""
    frame = users_frame()
    return Place(frame.f_code, frame.f_lineno)


class Watched(list[Any]):
    """The list of entries of a watched tape."""

    __slots__ = ("watchers",)

    def __init__(self, entries: Iterable[Any], watchers: tuple[Watcher, ...]) -> None:
        super().__init__(entries)
        self.watchers = watchers

    def append(self, entry: Any) -> None:
        entry.where = users_place()
        for watcher in self.watchers:
            watcher.appended(entry)
        super().append(entry)


class Looking:
    """A row's operator that also reports its result to the watchers of the thread."""

    __slots__ = ("row", "g")

    def __init__(self, row: Any) -> None:
        self.row, self.g = row, row.g

    def __call__(self, *args: Any) -> Any:
        start = perf_counter()
        z = self.g(*args)
        end = perf_counter()
        if self.row.g is not self:                      # a kernel has replaced this by its compiled ufunc
            with _lock:
                if _looking and self.row.g is not self:
                    self.g, self.row.g = self.row.g, self
        entries: Any = thread.tape.entries
        if type(entries) is not list:
            for watcher in entries.watchers:
                watcher.computed(self.row, args, z, start, end)
        return z


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """`with watching(watcher):` the watcher is called for what this thread computes and records."""
    global _watchers
    tape = thread.tape
    with _lock:
        _watchers += 1
        if _watchers == 1:
            for row in table.complete().values():
                vars(arrays).setdefault(row.name, row.g)        # operations of derivatives are not watched
                _looking.append(row)
                row.g = Looking(row)
    tape.entries = Watched(tape.entries, (watcher, *getattr(tape.entries, "watchers", ())))
    try:
        yield
    finally:
        rest = tuple([other for other in tape.entries.watchers if other is not watcher])
        tape.entries = Watched(tape.entries, rest) if rest else list(tape.entries)
        with _lock:
            _watchers -= 1
            if _watchers == 0:
                while _looking:
                    row = _looking.pop()
                    if type(row.g) is Looking:
                        row.g = row.g.g


def observed(entry: Any, see: Callable[..., None]) -> Plan:
    """The plan of an entry with derivatives that call `see(position, first, d, c, start, end, saved)`.

    d is the delta and `saved` what the entry saved; c is the contribution to the operand at `position`, or None; `first` is
    true for the first derivative of the entry.
    """
    plan: Plan = entry.plan
    conjugated = entry.dtype.kind == "c" and entry.g.complex is HOLOMORPHIC    # the sweep runs these on the conjugate of d

    def telling(position: int, rule: Any) -> Any:
        first = position == plan.arrays[0][0]
        over_arrays = strong(rule) if entry.g.weak else rule    # as the sweep would have it where it matters

        def told(F: Any, d: Any, *saved: Any) -> Any:
            start = perf_counter()
            c = (over_arrays if F is arrays else rule)(F, d, *saved)
            end = perf_counter()
            d = d[-1] if isinstance(d, Deltas) else d
            seen = [elements(d), elements(c)]
            if conjugated:
                seen = [x if x is None else x.conj() for x in seen]
            see(position, first, *seen, start, end, saved)
            return c

        return told

    return plan.mapped(telling)


@contextmanager
def observing(sees: Iterable[tuple[Any, Callable[..., None]]]) -> Iterator[None]:
    """`with observing(pairs):` each entry's derivatives report to its `see`, for pairs (entry, see); see `observed`."""
    before: list[tuple[Any, Plan]] = []
    try:
        for entry, see in sees:
            before.append((entry, entry.plan))
            entry.plan = observed(entry, see)
        yield
    finally:
        for entry, plan in before:
            entry.plan = plan
