"""Checking every derivative: each entry separately, compared with finite differences at the values that were recorded.

The operator and the rule run in double precision at those values, along one random direction d of the result and v of an
operand: sum(v * DG(d)) against sum(d * (g(x + hv) - g(x - hv)) / 2h). If the one-sided slopes differ, there is a kink, and
any derivative between them is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tapegrad.core.sweep import fit
from tapegrad.debug.names import Names, place
from tapegrad.debug.notes import notes_of
from tapegrad.debug.table import Table
from tapegrad.errors import GradientError
from tapegrad.primitives import arrays
from tapegrad.primitives.plan import NOTHING, SHAPE
from tapegrad.typing import Array

STEP = float(np.finfo(float).eps) ** (1 / 3)


def check(source: Any, rtol: float = 1e-4, atol: float = 1e-6) -> Check:
    """Compare the derivatives of every entry of a traced(values=True) with central differences. Returns a Check.

    The Check is true if all agree. Operands that are not real floating-point numbers, and entries whose values are not finite,
    are left out. An error is accepted up to atol + rtol * scale, with the scale of the two compared numbers. Raises
    GradientError if no values were kept.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.traced(values=True) as t:
    ...     loss = tg.sum(tg.exp(x))
    >>> bool(t.check())
    True
    >>> print(t.check())
    2 derivatives checked, 0 wrong; the worst of each operation:
    ...
    """
    notes = notes_of(source)
    if all(note.values is None for note in notes):
        raise GradientError("check: no values were kept; record inside `with tg.traced(values=True):`")
    names, results = Names(notes), list[Any]()
    for note in notes:
        if note.values is not None and note.dtype.kind == "f" and note.value is not None and note.value.finite:
            results += [(note, position, *found) for position, found in compared(note.row, note.values)]
    return Check(names, results, rtol, atol)


class Check:
    """`worst`: the (entry, operand, derivative, difference, error) with the largest error; `wrong`: all beyond the tolerance.

    True if none is wrong. print() shows the worst of each operation.
    """

    def __init__(self, names: Names, results: Sequence[Any], rtol: float, atol: float) -> None:
        rows = [(names.line(note), position, derivative, difference, error, note, error <= atol + rtol * scale)
                for note, position, derivative, difference, error, scale in results]
        rows.sort(key=lambda row: (row[6], -row[4] if row[4] == row[4] else -np.inf))
        self.checked, self.worst = len(rows), rows[0][:5] if rows else None
        self.wrong = [row[:5] for row in rows if not row[6]]
        self._rows = list({row[5].g: row for row in reversed(rows)}.values())[::-1]

    def __bool__(self) -> bool:
        return not self.wrong

    def table(self) -> Table:
        """The worst of each operation, as a table."""
        rows = self._rows
        title = f"{self.checked} derivatives checked, {len(self.wrong)} wrong; the worst of each operation:"
        return Table(title, {
            "entry": [row[0] for row in rows], "operand": [row[1] for row in rows],
            "derivative": [f"{row[2]:.6g}" for row in rows], "difference": [f"{row[3]:.6g}" for row in rows],
            "error": [f"{row[4]:.2g}" for row in rows], "line": [place(row[5]) for row in rows],
            "": ["" if row[6] else "WRONG" for row in rows]})

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _double(x: Any) -> Any:
    return x.astype(float) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def compared(row: Any, values: Sequence[Any]) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """(position, (derivative, difference, error, scale)) of each operand of an entry, from its row and Note.values."""
    random = np.random.default_rng(0)
    xs, static = (values[0], values[1:]) if row.variadic else (values[:row.arity], values[row.arity:])
    xs = [_double(np.asarray(x) if isinstance(x, float) else x) for x in xs]

    def g(xs: Sequence[Any]) -> Array:
        return np.asarray(row.g(xs, *static) if row.variadic else row.g(*xs, *static))

    with np.errstate(all="ignore"):
        z = g(xs)
        if z.dtype != float:                            # a conversion: too coarse for differences
            return
        d = random.normal(size=z.shape)
        for i, x in enumerate(xs):
            rule, reads = (row.dg[0], row.reads[0]) if row.variadic else (row.array_dg[i], row.reads[i])
            if rule is None or not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not x.size or not np.isfinite(x).all():
                continue
            kept = [_kept(how, value) for how, value in zip(reads, (z, xs) if row.variadic else (z, *xs))]
            if row.variadic:
                rule, kept[1] = partial(rule, i), tuple([_kept(reads[1], x) for x in xs])
            c = rule(arrays, d, *kept, *static)
            c = np.zeros(x.shape) if c is None else fit(arrays, np.asarray(c), x.shape, x.dtype)
            v = random.normal(size=x.shape)
            h = STEP * max(1.0, float(np.abs(x).max()))
            ahead, behind = (g([*xs[:i], x + sign * h * v, *xs[i + 1:]]) for sign in (1, -1))
            slopes = [float((d * (ahead - z)).sum() / h), float((d * (z - behind)).sum() / h)]
            derivative, difference = float((c * v).sum()), sum(slopes) / 2
            scale = float(np.abs(c * v).sum()) + abs(difference)
            error = abs(derivative - difference)
            if abs(slopes[0] - slopes[1]) > 1e-3 * scale and min(slopes) <= derivative <= max(slopes):
                error = 0.0
            yield i, (derivative, difference, error, scale)


def _kept(how: int, value: Any) -> Any:
    return None if how == NOTHING else np.shape(value) if how == SHAPE else value
