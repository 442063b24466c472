"""Recalling a run: the values, deltas and contributions of a tape or a trace, in the order in which they were computed.

A trace has noted what it was asked to keep. Of entries that still are on the tape, values are read from it or recomputed, as
for blame; if no sweep was traced, one is run for the occasion: it retains the tape and changes no gradient. What is not known
stays unknown, and a hint says how to record it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.sweep import fit, sweep
from tapegrad.core.tape import thread
from tapegrad.debug.blame import known_values
from tapegrad.debug.names import Names
from tapegrad.debug.notes import Constant, Note, notes_of
from tapegrad.debug.reasons import why, why_delta
from tapegrad.debug.watching import observing
from tapegrad.primitives import arrays
from tapegrad.typing import Array


class Recalled:
    """What is known of a run.

    notes, names       the entries, in the order of the tape
    values             {note, leaf or constant: its array}
    arguments          {note: the operands' arrays and the static arguments}, as Note.values
    deltas             {note or leaf: its complete delta}
    contributions      {note: [(position of the operand, contribution)]}, each of the operand's shape and dtype
    reasons            {note: why its value is not finite}
    reasons_of_deltas  {note: (position, why that contribution is not finite)}
    steps              (note, whether it is a step of the sweep), in the order in which they ran
    hints              what is not known and how to record it, and what was done to know more; lines of text
    """

    def __init__(self, source: Any) -> None:
        self.notes = notes_of(source)
        self.names = Names(self.notes)
        self.values: dict[Any, Array] = {}
        self.arguments: dict[Note, Sequence[Any]] = {}
        self.deltas: dict[Any, Array] = {}
        self.contributions: dict[Note, list[tuple[int, Array]]] = {}
        self.reasons: dict[Note, str] = {}
        self.reasons_of_deltas: dict[Note, tuple[int, str]] = {}
        self.hints: list[str] = []
        self.swept: list[Note] = []
        self._noted()
        self._keep_last_sweeps()
        living = _living(source, self.notes)
        self._read(living)
        told = "" if self.swept else self._sweep(source, living)
        self.hints += [told] if told else []
        self._add_up()
        self._find_reasons()
        self.steps = self._ordered()
        self._say_what_is_missing(source, bool(told))

    def _noted(self) -> None:
        """What a trace has kept."""
        for note in self.notes:
            if note.z is not None:
                self.values[note] = np.asarray(note.z)
                self.arguments[note] = note.values
                operands = note.values[0] if note.row.variadic else note.values
                for y, value in zip(note.ys, operands):
                    if type(y) in (Leaf, Constant) and isinstance(value, np.ndarray):
                        self.values.setdefault(y, value)
            if note.d is not None:
                self.deltas[note] = np.asarray(note.d)
                self.contributions[note] = [
                    (i, _fitted(c, note.ys[i])) for i, c in note.contributions if c is not None and i < len(note.ys)]
        self.swept = sorted([note for note in self.notes if note.swept is not None], key=lambda note: note.swept or 0.0)

    def _keep_last_sweeps(self) -> None:
        """A trace has the delta of an entry's last sweep, to which the contributions of earlier ones do not belong."""
        again = dict.fromkeys(note for note in self.swept if note.swept_before is not None)
        for note, contributions in self.contributions.items():
            self.contributions[note] = [(i, c) for i, c in contributions if note.ys[i] not in again
                                        or note.ys[i].swept_before < note.swept < note.ys[i].swept]
        if again:
            self.hints.append(f"Several sweeps passed {_listed(map(self.names, again))}: of each entry the last one is shown.")

    def _read(self, living: dict[Note, Entry]) -> None:
        """Values that the tape has saved, those that tensors still hold, and those that can be recomputed from them."""
        if not living or all(note in self.values for note in self.notes):
            return
        pairs = [(y, register) for note, entry in living.items() for y, register in zip(note.ys, entry.operands)]
        held = {register: array for y, register in pairs if type(y) in (Leaf, Constant)
                and (array := _held(y)) is not None}
        saved = {register for entry in living.values() for register, value in zip(entry.operands, entry.saved[1:])
                 if isinstance(value, np.ndarray)}
        known = known_values(list(living.values()), held)
        now = [y for y, register in pairs if register in held and register not in saved and y not in self.values]
        for y, register in [*pairs, *living.items()]:
            if type(y) in (Note, Leaf, Constant) and register in known:
                self.values.setdefault(y, known[register])
        for note, entry in living.items():
            given = [known.get(y) if hasattr(y, "shape") else y for y in entry.operands]
            if note not in self.arguments and all(x is not None for x in given):
                self.arguments[note] = (given, *entry.static) if entry.g.variadic else (*given, *entry.static)
        if now:
            names = _listed(map(self.names, dict.fromkeys(now)))
            self.hints.append(f"The tape has not saved the values of {names}: they, and what was recomputed from them, are as "
                              "the tensors are now. `with tg.traced(values=True):` keeps values as they were.")

    def _sweep(self, source: Any, living: dict[Note, Entry]) -> str:
        """Run a sweep from the last entry, if that is a real scalar: it retains the tape and reaches no .grad. Gives a hint."""
        last = self.notes[-1] if self.notes else None
        if last is None or last not in living or getattr(source, "entries", thread.tape.entries) is not thread.tape.entries:
            return ""
        name = self.names(last)
        if last.dtype.kind != "f" or int(np.prod(last.shape)) != 1:
            return (f"There are no deltas: the last entry, {name}, is no real scalar to start a sweep from. Run backward(..) "
                    "inside `with tg.traced(values=True, deltas=True):`.")
        if any(entry.plan.hooks for entry in living.values()):
            return ("There are no deltas: there are hooks on results, which a sweep just to look at would call. Run backward() "
                    "inside `with tg.traced(values=True, deltas=True):`.")
        try:
            with observing([(entry, self._seeing(note)) for note, entry in living.items()]):
                sweep(arrays, [(living[last], np.ones(last.shape, last.dtype))], consume=False)
        except Exception as error:                      # a page that shows the rest is of more use than none
            self.swept, self.deltas, self.contributions, self.reasons_of_deltas = [], {}, {}, {}
            return f"There are no deltas: a sweep from {name} raised {type(error).__name__}: {error}"
        return (f"No backward() of these entries was traced: the sweep was run for this page, from {name}. It left the tape "
                "and all gradients as they were.")

    def _seeing(self, note: Note) -> Callable[..., None]:
        def see(position: int, first: bool, d: Any, c: Any, start: float, end: float, saved: Sequence[Any]) -> None:
            if first:
                self.swept.append(note)
                self.deltas[note], self.contributions[note] = d, []
            if c is not None and position < len(note.ys):
                self.contributions[note].append((position, _fitted(c, note.ys[position])))
                if note not in self.reasons_of_deltas and (reason := why_delta(note.g, d, saved, c)):
                    self.reasons_of_deltas[note] = position, reason

        return see

    def _find_reasons(self) -> None:
        for note in self.notes:
            if note.why_delta is not None:
                self.reasons_of_deltas.setdefault(note, note.why_delta[:2])
            if note in self.values and note in self.arguments and note.why is None:
                given = self.arguments[note]
                reason = why(note.g, given[0] if note.row.variadic else given[:note.row.arity], self.values[note])
            else:
                reason = note.why
            if reason:
                self.reasons[note] = reason

    def _add_up(self) -> None:
        """The deltas of leaves, summed in the order of the sweep."""
        with np.errstate(all="ignore"):
            for note in self.swept:
                for i, c in self.contributions.get(note, ()):
                    y = note.ys[i]
                    if type(y) is Leaf:
                        self.deltas[y] = self.deltas[y] + c if y in self.deltas else c

    def _ordered(self) -> list[tuple[Note, bool]]:
        """All steps, by the times at which they started; the sweep last if it was not timed."""
        backward = [(note, True) for note in self.swept]
        if any(note.swept is None for note in self.swept):
            return [*((note, False) for note in self.notes), *backward]
        timed, at = [], -np.inf
        for note in self.notes:                         # one that was not timed comes right after the one before
            at = note.start if note.start is not None else at
            timed.append((at, (note, False)))
        timed += [(note.swept or 0.0, step) for note, step in zip(self.swept, backward)]
        return [step for _, step in sorted(timed, key=lambda pair: pair[0])]

    def _say_what_is_missing(self, source: Any, told_of_sweep: bool) -> None:
        notes, advice = self.notes, []
        if any(note.place is None for note in notes):
            advice.append("source lines, times and the folding of loops need `with tg.traced() as t:` around the forward pass")
        if not getattr(source, "values", False) and any(note not in self.values for note in notes):
            advice.append("all values need `tg.traced(values=True)`")
        if any(note.swept is not None and note not in self.deltas for note in notes):
            advice.append("deltas and contributions need `tg.traced(values=True, deltas=True)`")
        elif not self.swept and not told_of_sweep:
            advice.append("the reverse sweep needs its backward() inside `with tg.traced(values=True, deltas=True) as t:`")
        if notes and advice:
            text = "; ".join(advice)
            self.hints.append(f"{text[0].upper()}{text[1:]}; then `t.explore()`.")


def _living(source: Any, notes: list[Note]) -> dict[Note, Entry]:
    """{note: entry} of the entries that are still on the tape."""
    if hasattr(source, "entries"):
        return dict(zip(notes, source.entries))
    wanted = set(notes)
    return {entry.where: entry for entry in thread.tape.entries
            if type(getattr(entry, "where", None)) is Note and entry.where in wanted}


def _held(y: Leaf | Constant) -> Array | None:
    """The array that the tensor of a leaf or a constant has now, if the tensor is alive."""
    tensor = None if y.tensor is None else y.tensor()
    return None if tensor is None else np.asarray(tensor._value)


def _fitted(c: Any, y: Any) -> Array:
    with np.errstate(all="ignore"):
        fitted: Array = fit(arrays, np.asarray(c), y.shape, y.dtype)
    return fitted


def _listed(names: Any) -> str:
    first, *rest = names
    return f"{first} and {len(rest)} more" if len(rest) > 2 else ", ".join([first, *rest])
