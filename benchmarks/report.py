"""The tables as Markdown."""

from dataclasses import dataclass, field

from libraries import TITLES


@dataclass
class Table:
    """rows: {row: {column: (figure, its ratio to the baseline or None)}}; a column is a peer, or what is measured."""

    title: str
    unit: str
    scale: float = 1.0                  # from the figures to the unit
    baseline: str = ""
    notes: list = field(default_factory=list)
    rows: dict = field(default_factory=dict)

    def add(self, row, figures):
        """A row without ratios."""
        self.rows[row] = {column: (figure, None) for column, figure in figures.items()}

    def markdown(self):
        columns = list(dict.fromkeys(column for row in self.rows.values() for column in row))
        has_ratios = any(ratio is not None for row in self.rows.values() for _, ratio in row.values())
        unit = f"{self.unit} (ratio to {TITLES.get(self.baseline, self.baseline)})" if has_ratios else self.unit
        lines = [[unit, *(TITLES.get(column, column) for column in columns)], ["---"] * (len(columns) + 1)]
        lines += [[name, *(self.cell(column, *row.get(column, (None, None))) for column in columns)]
                  for name, row in self.rows.items()]
        return "\n".join([f"## {self.title}", "", *(f"| {' | '.join(line)} |" for line in lines if self.rows), "",
                          *(f"* {note}" for note in self.notes), ""])

    def cell(self, column, figure, ratio):
        if figure is None:
            return ""
        text = significant(figure * self.scale)
        return text if ratio is None or column == self.baseline else f"{text} ({ratio:.2f})"


def significant(value):
    """About three significant digits, without exponents."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"
