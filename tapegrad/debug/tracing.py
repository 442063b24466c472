"""Tracing: recording what a thread computes and what a sweep does with it, while the trace is active.

    with tg.traced() as t:
        loss = model(x)
        loss.backward()
    print(t.show())

The trace is a watcher (watching.py). It makes a note (notes.py) of every entry, which stays readable when backward() has
consumed the entry: the user's line, the time that the operator and the derivatives took, a summary of the value and of the
delta. The names of variables are looked up in the user's frame when a value is used, because it is bound to its name then.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

from tapegrad.core.entry import Handle, Leaf
from tapegrad.core.tensor import elements
from tapegrad.debug.notes import Buffers, Constant, Note, operands
from tapegrad.debug.views import Views
from tapegrad.debug.watching import observed, users_frame, watching
from tapegrad.errors import GradientError

SAME_CALL = {"tapegrad.functions.tensor", "tapegrad.functions.numpy_protocol"}      # so that `array @ x` counts as one call


class Trace(Views):
    """A trace: its `notes`, and methods to read them. See `traced`."""

    def __init__(self, values: bool = False, deltas: bool = False) -> None:
        self.values, self.deltas = values, deltas
        self.notes: list[Note] = []
        self.leaves: dict[Leaf, str | None] = {}
        self._constants: dict[int, Constant] = {}
        self._positions: dict[int, tuple[Any, list[Any]]] = {}
        self._buffers = Buffers()
        self._last: tuple[Any, Any, Any, float, float] | None = None
        self._base: FrameType | None = None
        self._watching: AbstractContextManager[None] | None = None

    def __enter__(self) -> Trace:
        if self._watching is not None:
            raise GradientError("trace: this trace is already active")
        self._base = sys._getframe(1)
        self._watching = watching(self)
        self._watching.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        watching, self._watching, self._base, self._last = self._watching, None, None, None
        if watching is not None:
            watching.__exit__(*exception)

    # Called by the watched thread

    def computed(self, row: Any, args: Any, z: Any, start: float, end: float) -> None:
        self._last = row, args, z, start, end

    def appended(self, entry: Any) -> None:
        if type(entry.where) is Note:                   # by a trace nested in this one
            self.notes.append(entry.where)
            return
        note = Note(entry, operands(entry, self._note_of, self._constants), self._buffers)
        frame = users_frame()
        note.site, note.leaves = self._site(), self.leaves
        self._find_names(entry, note, frame)
        if self._last is not None and self._last[0] is entry.g:
            _, args, z, start, end = self._last
            note.start, note.forward = start, end - start
            note.see_value(z, _own(args, note, entry) if self.values else args, self.values)
        self._last = None

        def see(position: int, first: bool, d: Any, c: Any, start: float, end: float, saved: Any) -> None:
            if self._watching is not None:
                note.see_delta(position, first, d, c, start, end, saved, self.deltas)

        entry.plan = observed(entry, see)
        entry.where = note
        self.notes.append(note)

    def _note_of(self, entry: Any) -> Note:
        if type(getattr(entry, "where", None)) is not Note:
            entry.where = Note(entry, (), self._buffers)        # recorded before the trace
        note: Note = entry.where
        return note

    def _site(self) -> tuple[Any, ...]:
        """The current instruction of every frame, from here to the frame of the trace."""
        frame: FrameType | None = sys._getframe(2)
        site = []
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module.split(".")[0] != "tapegrad" or module.startswith("tapegrad.functions.") and module not in SAME_CALL:
                code = frame.f_code
                if id(code) not in self._positions:     # hashing code objects is slow
                    self._positions[id(code)] = code, list(code.co_positions())
                site.append((code.co_filename, self._positions[id(code)][1][frame.f_lasti // 2]))
            if frame is self._base:
                break
            frame = frame.f_back
        return tuple(site)

    def _find_names(self, entry: Any, note: Note, frame: FrameType) -> None:
        """Find the variables that hold the operands, once for each operand."""
        wanted: dict[int, tuple[Any, Any]] = {}
        for register, y in zip(entry.operands, note.ys):
            if type(y) is Leaf:
                if y not in self.leaves and y.name is None:
                    self.leaves[y] = None
                    wanted[id(y)] = None, y
            elif hasattr(y, "variable") and y.variable is None and y.name is None:
                y.variable = ""
                wanted[id(register)] = y, None
        if not wanted:
            return
        variables = frame.f_locals
        found = _named(variables, wanted)
        if len(found) < len(wanted) and any(leaf is not None or type(y) is not Note for y, leaf in wanted.values()):
            for holder in [*variables.values(), frame.f_globals]:
                inside = holder if isinstance(holder, dict) else getattr(holder, "__dict__", None)
                if type(inside) is dict and not isinstance(holder, type):
                    found = {**_named(inside, wanted), **found}
        for key, name in found.items():
            y, leaf = wanted[key]
            if y is None:
                self.leaves[leaf] = name
            else:
                y.variable = name

    # Reading it

    def __len__(self) -> int:
        return len(self.notes)

    def __repr__(self) -> str:
        return f"<trace of {len(self.notes)} entries>"


def _own(args: Sequence[Any], note: Note, entry: Any) -> Sequence[Any]:
    """What an operator was given, with the tape's copies of arrays of the caller's, who may write into them."""
    if note.row.variadic or not any(type(y) is Constant for y in note.ys):
        return args
    return [elements(operand) if type(y) is Constant else x
            for x, y, operand in zip(args, note.ys, entry.operands)] + list(args[len(note.ys):])


def _named(variables: dict[str, Any], wanted: dict[int, Any]) -> dict[int, str]:
    """{id of a register: variable} of the registers in `wanted`."""
    found: dict[int, str] = {}
    for name, value in list(variables.items()):
        if isinstance(value, Handle) and isinstance(name, str) and not name.startswith("_"):
            tensor: Any = value
            key = id(tensor._register or tensor)
            if key in wanted:
                found.setdefault(key, name)
    return found


def traced(values: bool = False, deltas: bool = False) -> Trace:
    """`with traced() as t:` traces the operations and sweeps of this thread: lines, times, summaries of values and deltas.

    values   whether to keep the values themselves, which `t.check()` needs
    deltas   whether to keep the deltas, and every contribution to one

    `t.show()`, `t.draw()`, `t.memory()`, `t.profile()`, `t.blame()` and `t.check()` read it, also when the tape has been
    consumed. A sweep of these entries is traced only while the trace is active.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> with tg.traced() as t:
    ...     h = tg.square(x)
    ...     tg.sum(h).backward()
    >>> for row in t.show().rows:
    ...     print(row["entry"], "delta", row["delta"])
    h = square(x) delta 1 .. 1 (1)
    z1 = sum(h, axis=None, keepdims=False) delta 1
    """
    return Trace(values, deltas)
