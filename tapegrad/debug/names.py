"""The names under which notes are read: as in core/naming.py, with the variables that a trace found when they were in use.

h, h_2, h_3 are the values of h in the order in which they were computed.
"""

from tapegrad.core import naming
from tapegrad.core.entry import Leaf
from tapegrad.debug.notes import Constant, Note


class Names:
    """names(y) is the name of a note, a leaf, a constant or a number; no two have the same.

    `plain` holds the names that are not made up, without the number that tells those of the same name apart.
    """

    def __init__(self, notes):
        self.of, self.plain, self.taken, self.counts = {}, {}, {}, {Note: 0, Leaf: 0, Constant: 0}
        bound, own = {}, {}
        leaves = {y: note.leaves[y] for note in notes for y in note.ys if type(y) is Leaf and y in note.leaves}
        for variable, tensor in naming.variables():
            register = tensor._register
            where = getattr(register, "where", None)
            key = id(where if type(where) is Note else register or tensor)
            bound.setdefault(key, variable)
            if tensor.name:
                own.setdefault(key, tensor.name)

        def key(y):
            return id(y if type(y) is Leaf else y.tensor() if type(y) is Constant else y.entry or y)

        given = [y for note in notes for y in (*note.ys, note) if type(y) in self.counts]
        for y in given:
            if name := y.name or own.get(key(y)):
                self.give(y, name)
                self.plain[y] = name
        for y in given:
            if name := (leaves.get(y) if type(y) is Leaf else y.variable) or bound.get(key(y)):
                self.give(y, name)
                self.plain.setdefault(y, name)
        for y in given:
            if y not in self.of:
                letter = {Note: "z", Leaf: "x", Constant: "c"}[type(y)]
                while True:
                    self.counts[type(y)] += 1
                    name = f"{letter}{self.counts[type(y)]}"
                    if name not in self.taken:
                        break
                self.give(y, name)

    def give(self, y, name):
        if y not in self.of:
            unique = name
            while unique in self.taken:                 # how often it was given: h_100 is found at once
                self.taken[name] += 1
                unique = f"{name}_{self.taken[name]}"
            self.taken[unique] = 1
            self.of[y] = unique

    def __call__(self, y):
        return self.of.get(y) or repr(y) if type(y) in self.counts else repr(y)

    def right(self, note):
        """`tanh(z2)`: the right side of an entry."""
        given = [f"{key}={short(value)}" for key, value in note.static.items()]
        return f"{note.g}({', '.join([*map(self, note.ys), *given])})"

    def line(self, note):
        """`h = tanh(z2)`."""
        return f"{self(note)} = {self.right(note)}"


def short(value):
    """The text of an argument that is not an operand, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 32 else f"{text[:28]} ..."


def place(note, full=False):
    """`train_lstm.py:36` of a note, or of None."""
    if note.place is None:
        return ""
    file = note.place.filename
    return f"{file if full else file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{note.place.lineno}"
