"""Notes: facts about an entry that stay readable when backward() has consumed it.

A note refers to the notes of its operands, so notes form the graph, too. It holds no arrays, unless the trace keeps values
or deltas.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.debug.reasons import why, why_delta
from tapegrad.typing import Array


class Summary:
    """The minimum, maximum and mean of an array, and the numbers of NaN and infinite elements; of |x| if x is complex."""

    __slots__ = ("size", "min", "max", "mean", "nans", "infs")

    def __init__(self, x: Any) -> None:
        x = np.asarray(x)
        self.size, self.nans, self.infs = x.size, 0, 0
        self.min: Any = None
        self.max: Any = None
        self.mean: Any = None
        if not x.size:
            return
        with np.errstate(all="ignore"):
            if x.dtype.kind == "c":
                x = np.abs(x)
            self.min, self.max = np.minimum.reduce(x, None).item(), np.maximum.reduce(x, None).item()
            if not (isfinite(self.min) and isfinite(self.max)):
                self.nans, self.infs = int(np.isnan(x).sum()), int(np.isinf(x).sum())
            self.mean = np.add.reduce(x, None, float).item() / x.size

    @property
    def finite(self) -> bool:
        return not (self.nans or self.infs)

    @property
    def largest(self) -> float:
        """The maximal absolute value."""
        return 0.0 if self.size == 0 else inf if self.infs else float(max(abs(self.min), abs(self.max)))

    def __str__(self) -> str:
        if self.size == 0:
            return "empty"
        bad = [f"{n} {name}" for n, name in ((self.nans, "NaN"), (self.infs, "inf")) if n]
        if self.size == 1:
            return f"{self.mean:.4g}"
        return ", ".join(bad) if self.nans else ", ".join([f"{self.min:.3g} .. {self.max:.3g} ({self.mean:.3g})", *bad])


class Constant:
    """An operand that does not require a gradient: its shape, its dtype, and a weak reference to the tensor."""

    __slots__ = ("tensor", "name", "shape", "dtype", "variable", "__weakref__")

    def __init__(self, tensor: Any) -> None:
        self.tensor, self.shape, self.dtype = weakref.ref(tensor), tensor.shape, tensor.dtype
        self.name: str | None = tensor.name
        self.variable: str | None = None


class Note:
    """The facts about one entry z = g(y1, .., yk).

    place      the user's line (watching.Place), None if it was not recorded
    site       the calls from the trace to the operation, by file and position: equal in every iteration of a loop
    g, ys      the primitive's name; Note, Leaf, Constant or number per operand
    static     the arguments that are not operands, by name
    shape, dtype   of z
    kept, given    bytes that backward needs: of results, and of leaves and constants; a buffer counts at its first entry
    name, variable the name of the tensor; the variable that held it when it was used
    leaves     the variables that held leaves
    start, forward         when the operator started, and its duration in seconds
    swept, backward        the same for the derivatives, in the last sweep
    swept_before           when they started in the sweep before that one
    value, delta           a Summary of each
    z, values              the array and those of the operands, if the trace keeps values
    d, contributions       the delta and [(position, contribution), ..], if the trace keeps deltas
    why, why_delta         the reason if the value is not finite; (position, reason, Summary) of the first such contribution
    row                    the primitive's row
    """

    __slots__ = ("place", "site", "row", "ys", "static", "shape", "dtype", "kept", "given", "name", "variable", "leaves",
                 "start", "forward", "swept", "swept_before", "backward", "value", "delta", "z", "values", "d", "contributions",
                 "why", "why_delta", "entry", "__weakref__")

    place: Any
    site: Any
    row: Any
    ys: tuple[Any, ...]
    static: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    kept: int
    given: int
    name: str | None
    variable: str | None
    leaves: dict[Leaf, str | None]
    start: float | None
    forward: float | None
    swept: float | None
    swept_before: float | None
    backward: float | None
    value: Summary | None
    delta: Summary | None
    z: Any
    values: Any
    d: Any
    contributions: list[tuple[int, Any]]
    why: str | None
    why_delta: tuple[int, str, Summary] | None
    entry: Entry | None

    def __init__(self, entry: Any, ys: tuple[Any, ...], buffers: Buffers) -> None:
        for slot in ("site", "variable", "start", "forward", "swept", "swept_before", "backward", "value", "delta", "z",
                     "values", "d", "why", "why_delta", "entry"):
            setattr(self, slot, None)
        self.place, self.row, self.ys = getattr(entry, "where", None), entry.g, ys
        self.shape, self.dtype, self.name = entry.shape, entry.dtype, getattr(entry, "name", None)
        self.static = {} if entry.saved is None else dict(zip(entry.g.static_names, entry.static))    # None: consumed
        self.contributions, self.leaves = [], {}
        self.kept, self.given = buffers.of(entry)

    @property
    def g(self) -> str:
        name: str = self.row.name
        return name

    def see_value(self, z: Any, values: Any, keep: bool) -> None:
        self.value = Summary(z)
        if not self.value.finite:
            self.why = why(self.g, values[0] if self.row.variadic else values[:self.row.arity], z)
        if keep:
            self.z, self.values = z, values

    def see_delta(self, position: int, first: bool, d: Any, c: Any, start: float, end: float, saved: Sequence[Any],
                  keep: bool) -> None:
        """Record the inputs and the result of a derivative (watching.observed)."""
        if first:
            self.swept_before, self.swept, self.backward, self.delta = self.swept, start, 0.0, Summary(d)
            self.contributions, self.why_delta = [], None
        self.backward = (self.backward or 0.0) + (end - start)
        if c is not None:
            may_be_bad = self.why_delta is None and not isfinite(abs(np.add.reduce(c, None)))
            if may_be_bad and (reason := why_delta(self.g, d, saved, c)):
                self.why_delta = position, reason, Summary(c)
        if keep:
            self.d = d
            self.contributions.append((position, c))


class Buffers:
    """Counts the bytes of arrays, each buffer once for as long as it lives."""

    def __init__(self) -> None:
        self.counted: dict[int, weakref.ref[Array]] = {}

    def of(self, entry: Any) -> tuple[int, int]:
        """(bytes of results, bytes of leaves and constants) that an entry keeps and no earlier entry does."""
        kept = given = 0
        if entry.saved is None:
            return 0, 0
        z, *rest = entry.saved
        for array, of_result in [(z, True), *((x, type(y) is Entry) for x, y in zip(rest, entry.operands))]:
            if isinstance(array, np.ndarray) and (size := self.size(array)):
                kept, given = (kept + size, given) if of_result else (kept, given + size)
        return kept, given

    def size(self, array: Array) -> int:
        while isinstance(array.base, np.ndarray):
            array = array.base
        known = self.counted.get(id(array))
        if known is not None and known() is array:
            return 0
        self.counted[id(array)] = weakref.ref(array)
        return array.nbytes


def operands(entry: Any, note_of: Callable[[Any], Note], constants: dict[int, Constant]) -> tuple[Any, ...]:
    """The operands of an entry, as in Note.ys."""
    ys: list[Any] = []
    for y in entry.operands:
        if type(y) is Entry:
            ys.append(note_of(y))
        elif type(y) is Leaf or not hasattr(y, "_register"):
            ys.append(y)
        else:
            known = constants.get(id(y))
            if known is None or known.tensor() is not y:
                known = constants[id(y)] = Constant(y)
            ys.append(known)
    return tuple(ys)


def notes_of(source: Any) -> list[Note]:
    """The notes of a trace, or of the living entries of a tape: those made by a trace, and new ones for the rest."""
    if not hasattr(source, "entries"):
        return list(source.notes)
    buffers, constants = Buffers(), dict[int, Constant]()
    notes: dict[Any, Note] = {}

    def note_of(entry: Any) -> Note:
        where = getattr(entry, "where", None)
        return where if type(where) is Note else notes[entry] if entry in notes else _outside(entry)

    for entry in source.living():
        if type(getattr(entry, "where", None)) is Note:
            notes[entry] = entry.where
            buffers.of(entry)
        else:
            notes[entry] = Note(entry, operands(entry, note_of, constants), buffers)
            notes[entry].entry = entry
    return list(notes.values())


def _outside(entry: Any) -> Note:
    """The note of an entry that an earlier backward() has consumed."""
    note = Note.__new__(Note)
    note.row, note.ys, note.shape, note.dtype, note.name = entry.g, (), entry.shape, entry.dtype, getattr(entry, "name", None)
    note.variable = note.entry = note.place = note.site = note.value = note.delta = None
    return note
