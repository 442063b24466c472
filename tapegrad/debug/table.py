"""A table: text in a terminal, HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

STYLE = ("border-collapse:collapse;font:12px/1.4 ui-monospace,Menlo,Consolas,monospace",
         "text-align:{};padding:2px 10px;border-bottom:1px solid #8884;white-space:nowrap")


class Table:
    """Rows of cells under the names of their columns.

    columns   {name: cells}; columns whose cells are all None or empty are left out
    notes     lines of text under the table
    hints     more of them for a notebook, such as how to record what is missing

    str() is the table as text, `_repr_html_()` as HTML; `rows` are dicts of the text of the cells.

    >>> from tapegrad.debug.table import Table
    >>> print(Table("squares", {"n": [1, 2], "square": [1, 4]}))
    squares
    n  square
    -  ------
    1       1
    2       4
    """

    def __init__(self, title: str, columns: Mapping[str, Sequence[Any]], notes: Sequence[str] = (),
                 hints: Sequence[str] = ()) -> None:
        self.title, self.notes, self.hints = title, notes, hints
        self.columns = {name: [_text(cell) for cell in cells] for name, cells in columns.items()
                        if any(cell is not None and cell != "" for cell in cells)}
        self.numeric = {name: not any(isinstance(cell, str) for cell in cells) for name, cells in columns.items()}

    @property
    def rows(self) -> list[dict[str, str]]:
        """The text of the cells: a dict for each row."""
        return [dict(zip(self.columns, cells)) for cells in zip(*self.columns.values())]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __str__(self) -> str:
        widths = {name: max(map(len, [name, *cells])) for name, cells in self.columns.items()}

        def line(cells: Iterable[str]) -> str:
            return "  ".join(cell.rjust(widths[name]) if self.numeric[name] else cell.ljust(widths[name])
                             for name, cell in zip(self.columns, cells)).rstrip()

        lines = [self.title, line(self.columns), "  ".join("-" * width for width in widths.values())]
        return "\n".join([*lines, *map(line, zip(*self.columns.values())), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def row(tag: str, cells: Iterable[str]) -> str:
            return "".join(f'<{tag} style="{STYLE[1].format("right" if self.numeric[name] else "left")}">{escape(cell)}</{tag}>'
                           for name, cell in zip(self.columns, cells))

        body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in zip(*self.columns.values()))
        under = "".join(f"<div>{escape(note)}</div>" for note in (*self.notes, *self.hints))
        return (f'<div style="overflow-x:auto"><table style="{STYLE[0]}"><caption style="text-align:left">{escape(self.title)}'
                f"</caption><thead><tr>{row('th', self.columns)}</tr></thead><tbody>{body}</tbody></table>{under}</div>")


def preformatted(text: str) -> str:
    """Text as HTML, for what is no table."""
    return f'<pre style="overflow-x:auto;{STYLE[0]}">{escape(text)}</pre>'


def _text(cell: Any) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else str(cell)


def seconds(value: float | None) -> Microseconds | None:
    """A time in seconds, printed in microseconds; None stays None."""
    return None if value is None else Microseconds(value)


class Microseconds(float):
    """Seconds, printed as microseconds."""

    def __str__(self) -> str:
        return f"{self * 1e6:,.1f}"
