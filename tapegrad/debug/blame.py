"""The origin of a NaN or an infinity, afterwards: the first non-finite entry, forward or else backward, and the reason.

A trace has summaries of every value and delta. Without one, the values are those saved on the tape and those that can be
recomputed from them; the deltas come from a sweep that retains the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tapegrad.core.sweep import sweep
from tapegrad.core.tape import thread
from tapegrad.core.walk import seed_of
from tapegrad.debug.names import Names, place, without_trace
from tapegrad.debug.notes import Note, Summary, notes_of
from tapegrad.debug.reasons import why, why_delta
from tapegrad.debug.table import preformatted
from tapegrad.debug.watching import observing
from tapegrad.errors import GradientError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import arrays


def blame(source: Any = None) -> Blame:
    """The first entry whose value, or else whose delta, is NaN or infinite, as a Blame, which is false if there is none.

    source   a trace, with all values and deltas that it has recorded; or a tape or a loss before its backward(), with the
             values that are saved or can be recomputed and, for a loss, the deltas. By default the tape of this thread

    Raises GradientError for a loss whose tape has been consumed outside of a trace.

    >>> x = tg.tensor([1.0, 0.0], requires_grad=True, name="x")
    >>> with np.errstate(divide="ignore"):
    ...     y = tg.log(x)
    >>> print(tg.blame())
    forward, y = log(x) is the first that is not finite
        log of zero: log(0) = -inf
        it is float64 (2,): -inf .. 0 (-inf), 1 inf
        x: float64 (2,)
    """
    source = thread.tape if source is None else source
    if not (hasattr(source, "_register") or hasattr(source, "notes") or isinstance(source, type(thread.tape))):
        raise TypeError(f"blame: {describe(source)}; a trace, a tape or a loss is needed")
    loss = source if hasattr(source, "_register") else None
    if loss is not None:
        where: Any = getattr(loss._register, "where", None)
        consumed = not loss.is_leaf and loss._register.tape is None
        if consumed and type(where) is not Note:
            raise GradientError("blame: the tape of this tensor has been consumed by backward(); run it inside "
                                "`with tg.traced() as t:` and call t.blame()")
        notes = _behind(where) if consumed else notes_of(thread.tape)
    else:
        notes = notes_of(source)
    names, lookup = Names(notes), notes
    if loss is None and hasattr(source, "notes") or loss is not None and consumed:
        for note in lookup:
            if note.why:
                return Blame("forward", note, names, note.why, note.value)
        backward = [(note.swept, i, note, note.why_delta) for i, note in enumerate(lookup) if note.why_delta]
        if backward:
            _, _, first, (position, reason, summary) = min(backward)
            return Blame("backward", first, names, reason, summary, position)
        return Blame(None, None, names, f"the values and deltas of {len(lookup)} entries are finite")
    entries = list(thread.tape.entries)
    found = _forward(notes, entries, names)
    if found is None and loss is not None:
        found = _backward(loss, notes, entries, names)
    return found or Blame(None, None, names, f"the known values of {len(entries)} entries are finite")


class Blame:
    """`phase`: "forward" or "backward"; `entry`: its text; `place`: the user's line; `why`: the reason; `note`: its Note.

    False if all is finite; `why` then says what was checked. print() shows everything.
    """

    def __init__(self, phase: str | None, note: Note | None, names: Names, why: str, value: Summary | None = None,
                 position: int | None = None) -> None:
        self.phase, self.note, self.why, self.operand = phase, note, why, position
        self.entry: str | None = None
        self.place: str | None = None
        self._lines = [why]
        self._hints = without_trace([] if note is None else [note], "its line")
        if note is not None:
            self.entry, self.place = names.line(note), place(note, full=True)
            to = names(note.ys[position]) if position is not None and position < len(note.ys) else "the kept gradient"
            of = "" if position is None else f": the contribution to the delta of {to}"
            self._lines = [f"{phase}, {self.entry}{of} is the first that is not finite"]
            if note.place is not None:
                self._lines.append(f"    {note.place}")
            self._lines.append(f"    {why}")
            if value is not None:
                self._lines.append(f"    it is {value}" if position is not None else
                                   f"    it is {note.dtype} {note.shape}: {value}")
            self._lines += [f"    {names(y)}: {y.dtype} {y.shape}" + (f": {y.value}" if getattr(y, "value", None) else "")
                            for y in dict.fromkeys(note.ys) if hasattr(y, "shape")]

    def __bool__(self) -> bool:
        return self.phase is not None

    def __str__(self) -> str:
        return "\n".join(self._lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted("\n".join([*self._lines, *self._hints]))


def _behind(note: Note) -> list[Note]:
    """The note and the notes that it depends on, in the order of the operations."""
    found: dict[Note, None] = {}
    todo = [note]
    while todo:
        note = todo.pop()
        if note not in found:
            found[note] = None
            todo += [y for y in note.ys if type(y) is Note]
    return sorted(found, key=lambda note: note.start or 0.0)


def known_values(entries: Sequence[Any], held: Mapping[Any, Any] | None = None) -> dict[Any, Any]:
    """{register: array} of the values that entries have saved, or that are in `held`, and of results recomputed from them."""
    values: dict[Any, Any] = dict(held or {})
    for entry in entries:
        z, *rest = entry.saved if not entry.g.variadic else entry.saved[:1]
        if z is not None:
            values[entry] = z
        for y, value in zip(entry.operands, rest):
            if isinstance(value, np.ndarray):
                values[y] = value
    for entry in entries:
        if entry not in values and entry.g.g is not None:       # a compiled call has no G
            given = [values.get(y) if hasattr(y, "shape") else y for y in entry.operands]
            if all(x is not None for x in given):
                with np.errstate(all="ignore"):
                    values[entry] = np.asarray(entry.g.g(given, *entry.static) if entry.g.variadic else
                                               entry.g.g(*given, *entry.static))
    return values


def _forward(notes: Sequence[Note], entries: Sequence[Any], names: Names) -> Blame | None:
    values = known_values(entries)
    for note, entry in zip(notes, entries):
        if entry in values and note.value is None:
            note.value = Summary(values[entry])
        if note.value is not None and not note.value.finite:
            reason = note.why or str(why(entry.g.name, [values.get(y) if hasattr(y, "shape") else y for y in entry.operands],
                                         values[entry]))
            return Blame("forward", note, names, reason, note.value)
    return None


def _backward(loss: Tensor, notes: Sequence[Note], entries: Sequence[Any], names: Names) -> Blame | None:
    found: list[tuple[Note, int, str, Summary]] = []

    def see(note: Note) -> Callable[..., None]:
        def told(position: int, first: bool, d: Any, c: Any, start: float, end: float, saved: Sequence[Any]) -> None:
            if not found and c is not None and (reason := why_delta(note.g, d, saved, c)):
                found.append((note, position, reason, Summary(c)))
        return told

    with observing([(entry, see(note)) for note, entry in zip(notes, entries)]):
        register: Any = loss._register
        sweep(arrays, [(register, seed_of(loss, None))], consume=False)
    if not found:
        return None
    note, position, reason, summary = found[0]
    return Blame("backward", note, names, reason, summary, position)
