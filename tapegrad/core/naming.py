"""The names under which a tape is read: `z3 = tanh(z2)`.

The name of a value is its tensor's own name; otherwise that of the Python variable bound to it, looked up in the frames of the
callers, innermost first, when the list is read; otherwise x1, x2, .. for leaves, c1, c2, .. for constants and z1, z2, .. for
results. Repeated names get a number: h, h_2, h_3.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

from tapegrad.core.entry import Entry, Handle, Leaf


def variables() -> Iterator[tuple[str, Any]]:
    """(variable, tensor) of all variables that hold a tensor, the innermost frame first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith("tapegrad"):
            for scope in (frame.f_locals, frame.f_globals):
                for variable, value in list(scope.items()):
                    if isinstance(value, Handle) and not variable.startswith("_"):
                        yield variable, value
        frame = frame.f_back


class Names:
    """Unique names for the registers of a list.

    taken         names not to be used
    identifiers   whether names must be identifiers: other characters than letters and digits become _
    """

    def __init__(self, entries: Sequence[Entry], taken: Iterable[str] = (), identifiers: bool = False) -> None:
        self.of: dict[int, str] = {}
        self.taken = set(taken)
        self.identifiers = identifiers
        self.repeats: dict[str, int] = {}
        self.counts = {"x": 0, "c": 0, "z": 0}
        registers = [register for entry in entries for register in (*entry.operands, entry)]
        bound: dict[int, str] = {}
        for variable, tensor in variables():
            bound.setdefault(id(tensor._register or tensor), variable)
        for find in (lambda register: getattr(register, "name", None), lambda register: bound.get(id(register))):
            for register in registers:
                if not self.is_number(register) and id(register) not in self.of and (name := find(register)):
                    self.of[id(register)] = self.unique(name)

    @staticmethod
    def is_number(register: Any) -> bool:
        return not isinstance(register, (Entry, Leaf, Handle))

    def unique(self, name: str) -> str:
        """`name`, with a number if it is taken."""
        if self.identifiers:
            name = re.sub(r"\W|^(?=\d)", "_", name)
        number, candidate = self.repeats.get(name, 1), name
        while candidate in self.taken:
            number += 1
            candidate = f"{name}_{number}"
        self.repeats[name] = number
        self.taken.add(candidate)
        return candidate

    def __call__(self, register: Any) -> str:
        if self.is_number(register):
            return repr(register)
        if id(register) not in self.of:
            letter = "z" if type(register) is Entry else "x" if type(register) is Leaf else "c"
            while True:
                self.counts[letter] += 1
                name = f"{letter}{self.counts[letter]}"
                if name not in self.taken:
                    break
            self.of[id(register)] = self.unique(name)
        return self.of[id(register)]


def named(entries: Sequence[Entry]) -> list[tuple[str, str, tuple[str, ...]]]:
    """The entries as `(z, g, (y1, .., yk))`, all of them strings."""
    name = Names(entries)
    return [(name(entry), entry.g.name, tuple([name(y) for y in entry.operands])) for entry in entries]


def lines(entries: Sequence[Entry]) -> list[str]:
    """The entries as text, including static arguments: `z1 = sum(x, axis=0, keepdims=False)`."""
    listed = []
    for entry, (z, g, ys) in zip(entries, named(entries)):
        given = [f"{key}={value!r}" for key, value in zip(entry.g.static_names, entry.static)]
        listed.append(f"{z} = {g}({', '.join([*ys, *given])})")
    return listed
