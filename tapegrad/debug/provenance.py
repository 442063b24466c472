"""The provenance of a gradient: its contributions, before they are summed.

For one sweep, every use of W gets a leaf of its own, so the sweep, unchanged, sums nothing. A trace that keeps deltas has the
contributions already.
"""

from __future__ import annotations

import os
from collections.abc import ItemsView, Iterator, Sequence
from io import StringIO
from typing import Any

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.sweep import fit, sweep
from tapegrad.core.tape import thread
from tapegrad.core.walk import seed_of
from tapegrad.debug.names import Names, place, without_trace
from tapegrad.debug.notes import Note, notes_of
from tapegrad.debug.table import Table
from tapegrad.debug.tracing import Trace
from tapegrad.errors import GradientError
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import arrays
from tapegrad.typing import Array, TensorLike

BY = ("entry", "line", "step")


def provenance(source: Tensor | Trace, W: Tensor, by: str = "entry", gradient: TensorLike | None = None) -> Provenance:
    """The gradient of W, split into its contributions, as a Provenance. The tape is retained.

    source     the loss (any tensor, with `gradient` if it is not a scalar), or a trace with deltas=True
    W          a tensor that it depends on: a leaf or a result
    by         "entry": a part for each entry that uses W. "line": for each line of the user's code. "step": for each repetition
               of a call in the user's code that uses W, so for each time step of a loop. The last two need entries that were
               recorded inside tg.traced()

    The sum of the parts is the gradient (before any hook of W). Raises GradientError if the source does not depend on W or no
    lines were recorded, ValueError for another `by`.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> parts = tg.provenance(tg.sum(tg.square(x) + x * x), x)
    >>> parts.sum()
    array([4., 8.])
    >>> print(parts)
    gradient of x by entry
    entry                norm   share of the largest
    -------------------  -----  --------------------
    z1 = square(x)       4.472  ####################
    z2 = multiply(x, x)  4.472  ####################
    """
    if by not in BY:
        raise ValueError(f"provenance: by must be one of {', '.join(BY)}, got {by!r}")
    register = getattr(W, "_register", None)
    if register is None:
        raise GradientError("provenance: W does not require a gradient")
    notes = notes_of(source if isinstance(source, Trace) else thread.tape)
    uses = _noted(source, register) if isinstance(source, Trace) else _swept(source, register, gradient, notes)
    if not uses:
        raise GradientError("provenance: the source does not depend on W")
    if by != "entry" and any(note.place is None or note.site is None for note, _ in uses):
        raise GradientError(f"provenance: by={by!r} needs the lines of the entries; record them inside `with tg.traced():`")
    names = Names(notes)
    seen: dict[Any, list[Note]] = {}
    parts: dict[str | int, Array] = {}
    for note, part in uses:
        if by == "step":
            key = (note.site, note.g)
            members = seen.setdefault(key, [])
            if note not in members:
                members.append(note)
            label: str | int = members.index(note)
        else:
            label = names.line(note) if by == "entry" else place(note)
        parts[label] = parts[label] + part if label in parts else part
    mine = next((note for note in notes if note.entry is register), getattr(register, "where", register))
    return Provenance(names(mine), by, parts, without_trace([note for note, _ in uses], "by line, and by step"))


def _swept(loss: Tensor, register: Any, gradient: TensorLike | None, notes: list[Note]) -> list[tuple[Note, Array]]:
    """[(note, part)] in the order of the tape, by a sweep of the tape."""
    uses: list[tuple[Note, Leaf]] = []
    before: list[tuple[Any, Any]] = []
    if loss._register is None:
        raise GradientError("provenance: the source does not require a gradient")
    seed = seed_of(loss, gradient)
    try:
        for note, entry in zip(notes, thread.tape.entries):
            if any(y is register for y in entry.operands):
                before.append((entry, entry.ys))
                ys = [Leaf(y.shape, y.dtype) if y is register else y for y in entry.ys]
                uses += [(note, new) for old, new in zip(entry.operands, ys) if old is register]
                entry.ys = tuple(ys)
        found = sweep(arrays, [(loss._register, seed)], consume=False)
    finally:
        for entry, ys in before:
            entry.ys = ys
    return [(note, found[leaf]) for note, leaf in uses if found.get(leaf) is not None]


def _noted(trace: Trace, register: Any) -> list[tuple[Note, Array]]:
    """[(note, part)] in the order of the tape, from a trace."""
    if not trace.deltas:
        raise GradientError("provenance: the trace must have deltas=True; or pass the loss before backward()")
    where = getattr(register, "where", register)
    uses: list[tuple[Note, Array]] = []
    for note in trace.notes:
        for position, c in note.contributions:
            if c is not None and position < len(note.ys) and note.ys[position] is where:
                with np.errstate(all="ignore"):
                    uses.append((note, fit(arrays, c, register.shape, register.dtype)))
    return uses


class Provenance:
    """The parts of a gradient by label (an entry's text, a line, or the number of a step): `p[label]`, `p.items()`.

    `sum()` is the gradient, `norms` the Euclidean norm of each part, `table()` and print() show the norms, `plot()` draws them.
    """

    def __init__(self, name: str, by: str, parts: dict[str | int, Array], hints: Sequence[str] = ()) -> None:
        self.name, self.by, self.parts, self._hints = name, by, parts, hints

    def __getitem__(self, label: str | int) -> Array:
        return self.parts[label]

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[str | int]:
        return iter(self.parts)

    def items(self) -> ItemsView[str | int, Array]:
        """The pairs (label, part), as of a dict."""
        return self.parts.items()

    def sum(self) -> Array:
        """The sum of the parts, in the order of the sweep."""
        total, *rest = reversed(self.parts.values())
        for part in rest:
            total = total + part
        return total

    @property
    def norms(self) -> dict[str | int, float]:
        """The Euclidean norm of each part."""
        return {label: float(np.linalg.norm(part)) for label, part in self.parts.items()}

    def table(self) -> Table:
        """The norms as a table."""
        largest = max(self.norms.values()) or 1.0
        bars = ["#" * round(20 * norm / largest) if np.isfinite(norm) else "not finite" for norm in self.norms.values()]
        return Table(f"gradient of {self.name} by {self.by}", {
            self.by: list(self.parts), "norm": [f"{norm:.4g}" for norm in self.norms.values()], "share of the largest": bars},
            (), self._hints)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def plot(self, path: str | os.PathLike[str] | None = None, axes: Any = None) -> Plot:
        """Plot the norms of the parts over the steps, or as bars, with matplotlib; write to the file `path` if given.

        axes   matplotlib's axes to draw into, or another plot

        Returns a Plot, which a notebook shows.
        """
        axes = axes.axes if isinstance(axes, Plot) else axes
        if axes is None:
            from matplotlib.figure import Figure

            axes = Figure(figsize=(7, 3.5), layout="constrained").subplots()
        norms = self.norms
        if self.by == "step":
            axes.plot(list(norms), list(norms.values()), marker="o", label=self.name)
            axes.set_xlabel("step")
            axes.xaxis.get_major_locator().set_params(integer=True)
        else:
            axes.barh([str(label) for label in norms], list(norms.values()))
            axes.invert_yaxis()
        scale = axes.set_yscale if self.by == "step" else axes.set_xscale
        if any(norms.values()) and np.isfinite(list(norms.values())).all():
            scale("log", nonpositive="mask" if self.by == "step" else "clip")       # a norm of 0 is left out
        axes.set_title(f"where the gradient of {self.name} comes from: norm of its part by {self.by}", fontsize=10)
        if path is not None:
            axes.figure.savefig(path)
        return Plot(axes)


class Plot:
    """What `plot()` has drawn: matplotlib's `axes`, in their `figure`; a notebook shows it."""

    def __init__(self, axes: Any) -> None:
        self.axes, self.figure = axes, axes.figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file, in the format of its extension."""
        self.figure.savefig(path)

    def _repr_svg_(self) -> str:
        text = StringIO()
        self.figure.savefig(text, format="svg")
        return text.getvalue()
