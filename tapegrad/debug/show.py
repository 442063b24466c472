"""The tape as a table: every entry, with the facts that a trace has recorded."""

from __future__ import annotations

from typing import Any

from tapegrad.debug.names import Names, place, without_trace
from tapegrad.debug.notes import notes_of
from tapegrad.debug.table import Table, seconds


def show(source: Any, first: int | None = None, last: int | None = None) -> Table:
    """The entries of a tape or a trace as a table; columns without data are left out.

    first, last   show the entries at positions first:last, as in a slice

    The columns: position, entry, shape, dtype; the bytes kept for backward() that no earlier entry keeps, without those of
    leaves and constants; the user's line; minimum .. maximum (mean) of the value and of the delta; the microseconds that the
    operator and the derivatives took. print() shows text, a notebook HTML.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> loss = tg.sum(x * x)
    >>> print(tg.tape().show())
    tape of 2 entries
    #  entry                                      shape  dtype    kept bytes
    -  -----------------------------------------  -----  -------  ----------
    0  z1 = multiply(x, x)                        (2)    float64           0
    1  loss = sum(z1, axis=None, keepdims=False)  ()     float64           0
    """
    notes = notes_of(source)
    names = Names(notes)
    shown = [*enumerate(notes)][first:last]
    columns: dict[str, list[Any]] = {
        "#": [i for i, _ in shown],
        "entry": [names.line(note) for _, note in shown],
        "shape": [str(note.shape).replace(",)", ")") for _, note in shown],
        "dtype": [str(note.dtype) for _, note in shown],
        "kept bytes": [note.kept for _, note in shown],
        "line": [place(note) for _, note in shown],
        "value": [str(note.value or "") for _, note in shown],
        "delta": [str(note.delta or "") for _, note in shown],
        "forward us": [seconds(note.forward) for _, note in shown],
        "backward us": [seconds(note.backward) for _, note in shown],
    }
    kind = "trace" if hasattr(source, "notes") else "tape"
    left_out = f", {len(shown)} of them shown" if len(shown) < len(notes) else ""
    hint = kind == "trace" and shown and not any(note.swept is not None for _, note in shown)
    return Table(f"{kind} of {len(notes)} entries{left_out}", columns,
                 ["no deltas: no backward() of these entries ran inside of `with tg.traced()`"] if hint else [],
                 without_trace(notes, "lines, times and summaries of values and deltas"))
