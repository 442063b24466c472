"""What memory goes to: the bytes that backward will need."""

from tapegrad.debug.names import place
from tapegrad.debug.notes import notes_of
from tapegrad.debug.table import Table


def memory(source):
    """The bytes that the entries of a tape or trace keep for backward, by operation and by line, as a Memory.

    A buffer that several entries keep counts once, at the first. What leaves and constants hold anyway is counted apart.
    """
    return Memory(notes_of(source))


class Memory:
    """`total` bytes of results and `given` bytes of leaves and constants; dicts `by_operation` and `by_line` of the results'.

    print() shows both.
    """

    def __init__(self, notes):
        self.entries = len(notes)
        self.total, self.given = sum(note.kept for note in notes), sum(note.given for note in notes)
        self._operations, self._lines = _grouped(notes, lambda note: note.g), _grouped(notes, place)
        self.by_operation = {label: kept for label, (_, kept, _) in self._operations.items()}
        self.by_line = {label: kept for label, (_, kept, _) in self._lines.items() if label}

    def tables(self):
        title = (f"{self.entries} entries keep {self.total:,} bytes of results, and {self.given:,} bytes of leaves and "
                 "constants, for backward")
        return [Table(heading, {name: list(groups), "entries": [n for n, _, _ in groups.values()],
                                "bytes": [kept for _, kept, _ in groups.values()],
                                "of leaves, constants": [given for _, _, given in groups.values()]})
                for heading, name, groups in ((title, "operation", self._operations), ("", "line", self._lines))
                if any(groups)]

    def __str__(self):
        return "\n".join(map(str, self.tables()))

    __repr__ = __str__

    def _repr_html_(self):
        return "".join(table._repr_html_() for table in self.tables())


def _grouped(notes, label):
    """{label: (entries, bytes, bytes of leaves and constants)}, the most bytes first."""
    groups = {}
    for note in notes:
        n, kept, given = groups.get(label(note), (0, 0, 0))
        groups[label(note)] = n + 1, kept + note.kept, given + note.given
    return dict(sorted(groups.items(), key=lambda item: -item[1][1]))
