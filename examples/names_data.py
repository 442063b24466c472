"""Names and the kind of thing each of them names: reading the files, and turning characters into numbers.

Two forms of data set are read. `names.tsv`, which is shipped, has lines of name, label and part (train, valid or test).
A set of one's own is three files, PREFIX.train, PREFIX.valid and PREFIX.test, with lines of name and label.
"""

import os
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np

SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "names.tsv")
SHIPPED_LABELS = ("Organisation", "Person", "Place", "Species", "Work")
PARTS = ("train", "valid", "test")
PIECES = 2 ** 18        # ids of pieces of names


class InputError(Exception):
    """Something that the user gave can't be used; the message says what and where."""


@dataclass
class Part:
    """Some names, the label of each as an index into the labels, and what to call the part in reports."""

    name: str
    names: list
    y: np.ndarray

    def __len__(self):
        return len(self.names)

    def some(self, n):
        """About n of the names, from all over the part."""
        step = max(len(self) // n, 1)
        return Part(self.name, self.names[::step], self.y[::step])


def crossed(part, share, rng):
    """The names of a part, where a share of those of several words end with the last words of another such name of their label.

    `Anna Lindqvist` and `George Lisle` make `Anna Lisle`: made-up names, but of the same kind.
    """
    words = [name.split(" ") for name in part.names]
    several = [k for k, found in enumerate(words) if len(found) > 1]
    alike = {label: [k for k in several if part.y[k] == label] for label in np.unique(part.y)}
    names = list(part.names)
    for k in several:
        if rng.random() < share:
            first, last = words[k], words[rng.choice(alike[part.y[k]])]
            names[k] = " ".join(first[:rng.integers(1, len(first))] + last[rng.integers(1, len(last)):])
    return names


@dataclass
class Dataset:
    labels: tuple
    train: Part
    valid: Part
    test: Part


def read_lines(path, columns):
    """Yield (line number, *fields) of the tab-separated lines of a file. Lines may end in CRLF."""
    try:
        with open(path, "rb") as file:
            content = file.read().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            fields = line.removesuffix(b"\r").decode().split("\t")
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: the text is not UTF-8") from None
        if len(fields) != columns:
            wrong = "no tab between name and label" if len(fields) == 1 else f"{len(fields)} fields, not {columns}"
            raise InputError(f"{path}, line {number}: {wrong}")
        if not fields[0]:
            raise InputError(f"{path}, line {number}: there is no name before the tab")
        yield number, *fields


def part_from(name, path, rows, labels):
    """The Part of rows (line number, name, label); a label that is not among `labels` is an error."""
    index = {label: k for k, label in enumerate(labels)}
    for number, _, label in rows:
        if label not in index:
            raise InputError(f"{path}, line {number}: unknown label {label!r}; the labels are {', '.join(labels)}")
    return Part(name, [text for _, text, _ in rows], np.array([index[label] for _, _, label in rows]))


def read_shipped(path=SHIPPED):
    """The Dataset in a file of lines name, label, part."""
    rows = {part: [] for part in PARTS}
    for number, name, label, part in read_lines(path, columns=3):
        if part not in rows:
            raise InputError(f"{path}, line {number}: unknown part {part!r}; the parts are {', '.join(PARTS)}")
        rows[part].append((number, name, label))
    parts = [part_from(part, path, rows[part], SHIPPED_LABELS) for part in PARTS]
    for part in parts:
        if not part.names:
            raise InputError(f"{path}: no line is of the part {part.name}")
    return Dataset(SHIPPED_LABELS, *parts)


def read_prefix(prefix):
    """The Dataset in PREFIX.train, PREFIX.valid and PREFIX.test; without the last, .valid is reported on in its place.

    The names may be written as in the addresses of Wikipedia's pages: `Johann_M%C3%BCller`.
    """
    rows = {}
    for part in PARTS:
        path = f"{prefix}.{part}"
        if part == "test" and not os.path.exists(path):
            break
        rows[part] = [(number, plain(name), label) for number, name, label in read_lines(path, columns=2)]
    labels = tuple(sorted({label for _, _, label in rows["train"]}))
    parts = {part: part_from(part, f"{prefix}.{part}", rows[part], labels) for part in rows}
    return Dataset(labels, parts["train"], parts["valid"], parts.get("test", parts["valid"]))


def plain(name):
    """`Johann_M%C3%BCller` as `Johann Müller`."""
    return unquote(name.replace("_", " "))


class Alphabet:
    """The characters of the training names, each with an id from 2 up.

    Characters that occur only once there share the id UNKNOWN with all that don't occur, so that it, too, is trained.
    """

    PAD, UNKNOWN = 0, 1

    def __init__(self, characters):
        self.characters = characters
        self.ids = {character: i for i, character in enumerate(characters, start=2)}

    @classmethod
    def of(cls, names):
        text = "".join(names)
        return cls("".join(character for character in sorted(set(text)) if text.count(character) > 1))

    def __len__(self):
        return len(self.characters) + 2

    def encode(self, names, max_len, longest=1):
        """(names, max_len) ids of the first characters; or, with `longest` of 2 and more, (names, max_len, longest), whose last
        axis has the id of a character and those of the pieces of 2, 3, .. characters that end with it.

        Padding comes before them, so that an LSTM reads the last character last. In reverse, the course's recipe trains
        no better.
        """
        ids = np.full((len(names), max_len), self.PAD)
        for row, name in zip(ids, names):
            name = name[:max_len]
            row[max_len - len(name):] = [self.ids.get(character, self.UNKNOWN) for character in name]
        return ids if longest == 1 else np.stack([ids, *self._pieces(ids, longest)], axis=2)

    def _pieces(self, ids, longest):
        """The ids of the pieces of 2, 3, .. characters, which are hashed to PIECES numbers; padding and unknown ones apart."""
        hashed = ids.astype(np.uint64)
        for n in range(1, longest):
            hashed = hashed * np.uint64(0x100000001B3)                  # as FNV does, modulo 2^64
            hashed[:, n:] += ids[:, :-n].astype(np.uint64)
            mixed = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
            yield np.where(ids == self.PAD, self.PAD, 2 + (mixed % np.uint64(PIECES - 2)).astype(np.int64))
