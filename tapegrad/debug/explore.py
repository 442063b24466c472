"""The tape explorer: a tape or a trace as one HTML page that steps through evaluation and the reverse sweep.

`data` is all that the page knows, as JSON; what shows it is in explorer/: explorer.html is the template, explorer.css its
style, and the scripts are read in the order of SCRIPTS. The page needs no network.

    registers   entries first, then leaves, constants and results from before: name, kind, shape, dtype; digests of value, delta
    entries     per entry: operation, operands (a register's number, or the text of a number), place, rules, times, bytes
    steps       the number i of the entry for evaluation, -1 - i for the sweep
    formulas    of the rules (symbols.py), shared
    groups      repetitions of a call, of which each is one folded node; those of one loop are folded together
    digests     of arrays (digest.py), shared
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.debug.check import compared
from tapegrad.debug.digest import Digests
from tapegrad.debug.folding import folded, span
from tapegrad.debug.names import place, short
from tapegrad.debug.notes import Constant, Note
from tapegrad.debug.recall import Recalled
from tapegrad.debug.sources import Sources
from tapegrad.debug.symbols import Formulas
from tapegrad.files import replacing

SCRIPTS = ("tape.js", "state.js", "pictures.js", "folding.js", "layout.js", "nodes.js", "graph.js", "listing.js", "source.js",
           "inspector.js", "controls.js", "main.js")
CHECKED, CHEAP = 2000, 20_000           # entries that are compared with finite differences, and elements that each may have
HEIGHT = 760                            # pixels, in a notebook


def explore(source: Any, path: str | os.PathLike[str] | None = None) -> Explorer:
    """The Explorer of a tape or a trace, written to the file `path` if it is given. It is shown by a notebook.

    The page shows the Wengert list, the graph with loops folded, and the source lines, side by side, and steps through them
    entry by entry, forward and then in the reverse sweep, with values, deltas, and every contribution with its rule in symbols.

    Most is known of `tg.traced(values=True, deltas=True)` with the backward() inside. Of a trace that kept less, or of a tape,
    the page shows what there is and says what is missing. If no sweep was traced, the last entry is a real scalar, and there
    are no hooks on results, a sweep is run for the page: it retains the tape and changes no gradient; checkpoints run their
    function again. Derivatives are compared with finite differences where this is cheap. Of an entry that several sweeps
    passed the last is shown. Raises OSError if the file cannot be written; it is then as it was before.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> with tg.traced(values=True, deltas=True) as t:
    ...     tg.sum(x * x).backward()
    >>> page = t.explore()
    >>> page
    <explorer of 2 entries, ... kB>
    >>> page.data["steps"]
    [0, 1, -2, -1]
    """
    explorer = Explorer(Recalled(source), "trace" if hasattr(source, "notes") else "tape")
    if path is not None:
        explorer.save(path)
    return explorer


class Explorer:
    """A page: `html`, its text; `data`, what it shows; `save(path)` writes it. A notebook shows it."""

    def __init__(self, run: Recalled, kind: str) -> None:
        n = len(run.notes)
        self.title = f"{kind} of {n} {'entry' if n == 1 else 'entries'}"
        self.data = {"title": self.title, "kind": kind, "hints": run.hints, **_Data(run).tables()}
        self.html = _page(self.title, self.data)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, atomically."""
        with replacing(path) as file:
            file.write(self.html.encode())

    def __repr__(self) -> str:
        return f"<explorer of {len(self.data['entries'])} entries, {len(self.html) / 1e3:,.0f} kB>"

    def _repr_html_(self) -> str:
        return (f'<iframe srcdoc="{escape(self.html)}" title="{escape(self.title)}" '
                f'style="width:100%;height:{HEIGHT}px;border:1px solid #8884;border-radius:8px"></iframe>')


def _page(title: str, data: dict[str, Any]) -> str:
    folder = files("tapegrad.debug") / "explorer"
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":                                  # no text in it can end the script that it stands in
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    parts = {"title": escape(title), "style": (folder / "explorer.css").read_text("utf-8"), "data": text,
             "script": "\n".join((folder / name).read_text("utf-8") for name in SCRIPTS)}
    template = (folder / "explorer.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


class _Data:
    """The tables of a page."""

    def __init__(self, run: Recalled) -> None:
        self.run, self.names = run, run.names
        self.number: dict[Any, int] = {note: i for i, note in enumerate(run.notes)}
        self.entries = set(run.notes)
        for note in run.notes:
            for y in note.ys:
                if type(y) in (Note, Leaf, Constant):
                    self.number.setdefault(y, len(self.number))
        self.digests = Digests(len(run.values) + len(run.deltas) + sum(map(len, run.contributions.values())))
        self.formulas: dict[tuple[str | int, ...], int] = {}
        self.operations: dict[tuple[str, str | None], int] = {}
        self.sources, self.formula = Sources(run.notes), Formulas()

    def tables(self) -> dict[str, Any]:
        """The data, in the order of the module's header."""
        run = self.run
        entries = [self._entry(note, i < CHECKED) for i, note in enumerate(run.notes)]
        registers = [self._register(y) for y in self.number]
        groups, member_of = self._groups()
        for number, group in member_of.items():
            registers[number]["group"] = group
        return {"registers": registers, "entries": entries,
                "steps": [-1 - self.number[note] if back else self.number[note] for note, back in run.steps],
                "formulas": [list(formula) for formula in self.formulas],
                "operations": [{"name": name, "doc": doc} for name, doc in self.operations],
                "groups": groups, "files": self.sources.files, "digests": self.digests.digests}

    def _register(self, y: Any) -> dict[str, Any]:
        kind = {Leaf: "leaf", Constant: "constant"}.get(type(y)) or ("entry" if y in self.entries else "before")
        register: dict[str, Any] = {"name": self.names(y), "kind": kind, "shape": list(y.shape), "dtype": str(y.dtype)}
        for what, arrays in (("value", self.run.values), ("delta", self.run.deltas)):
            if y in arrays:
                register[what] = self.digests.of(arrays[y])
            elif (summary := getattr(y, what, None)) is not None:
                register[what] = self.digests.of_summary(summary, y.shape, y.dtype)
        return register

    def _entry(self, note: Note, check: bool) -> dict[str, Any]:
        run, contributions = self.run, dict(self.run.contributions.get(note, ()))
        entry: dict[str, Any] = {
            "operation": self.operations.setdefault((note.g, note.row.doc), len(self.operations)),
            "operands": [self.number[y] if type(y) in (Note, Leaf, Constant) else repr(y) for y in note.ys]}
        if note.static:
            entry["static"] = ", ".join(f"{key}={short(value)}" for key, value in note.static.items())
        if (at := self.sources.of(note)) is not None:
            entry["place"], entry["line"] = at, place(note)
        rules = []
        for i, y in enumerate(note.ys):
            wanted = type(y) in (Note, Leaf) and (note.row.variadic or note.row.dg[i] is not None)
            if wanted or i in contributions:
                formula = self.formulas.setdefault(tuple(self.formula(note, i)), len(self.formulas))
                rules.append([i, formula, *([self.digests.of(contributions[i])] if i in contributions else [])])
        if rules:
            entry["rules"] = rules
        entry |= {key: value for key, value in (("kept", note.kept), ("given", note.given)) if value}
        entry |= {key: round(value * 1e6, 2) for key, value in (("forward", note.forward), ("backward", note.backward))
                  if value is not None}
        if note in run.reasons:
            entry["why"] = run.reasons[note]
        if note in run.reasons_of_deltas:
            entry["whyDelta"] = list(run.reasons_of_deltas[note])
        if check and (checked := self._checked(note)):
            entry["checked"] = checked
        return entry

    def _checked(self, note: Note) -> list[list[Any]]:
        """[[position, derivative, difference, error, whether it is small]] of an entry that is cheap to check."""
        given: Sequence[Any] = self.run.arguments.get(note, ())
        arrays = [x for x in (given[0] if given and note.row.variadic else given) if isinstance(x, np.ndarray)]
        known = note in self.run.values and note.dtype.kind == "f"
        if not known or sum(x.size for x in arrays) > CHEAP or not np.isfinite(self.run.values[note]).all():
            return []
        try:
            return [[i, *(float(f"{x:.8g}") for x in (derivative, difference, error)), error <= 1e-6 + 1e-4 * scale]
                    for i, (derivative, difference, error, scale) in compared(note.row, given)
                    if np.isfinite([derivative, difference, error]).all()]
        except Exception:                               # as a user's function that does not take float64
            return []

    def _groups(self) -> tuple[list[dict[str, Any]], dict[int, int]]:
        """(the groups, {number of a register: that of its group})."""
        groups: list[dict[str, Any]] = []
        member_of: dict[int, int] = {}
        for node in folded(self.run.notes, self.names, place).nodes:
            if node.kind == "entry" and node.count > 1:
                member_of.update({self.number[note]: len(groups) for note in node.members})
                groups.append({"name": node.name, "first": self.number[node.members[0]], "last": self.number[node.members[-1]]})
        loops, end = -1, -1
        for group in sorted(groups, key=lambda group: group["first"]):
            loops, end = loops + (group["first"] > end), max(end, group["last"])
            group["loop"] = loops
        alike: dict[Any, dict[int, None]] = {}          # constants that the steps of a loop take one each of
        seen: set[Any] = set()
        for note in self.run.notes:
            for position, y in enumerate(note.ys):
                if type(y) is Constant and y not in seen:
                    seen.add(y)
                    if (group_of := member_of.get(self.number[note])) is not None:
                        alike.setdefault((group_of, position), {})[self.number[y]] = None
        of = list(self.number)
        for (group_of, _), members in alike.items():
            if len(members) > 1:
                member_of.update(dict.fromkeys(members, len(groups)))
                name = span(filter(None, (self.names.plain.get(of[number]) for number in members)))
                groups.append({"name": name, "loop": groups[group_of]["loop"]})
        return groups, member_of

