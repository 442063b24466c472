"""The part of a tape that is kept: its entries, a name for everything, and the values that it starts from.

An entry keeps only what its derivatives read, and a leaf does not know its tensor. So the value of a leaf or a constant
is taken, in this order, from
  - `leaves`, where the caller gives it;
  - what an entry has saved of it, which is its value when it was recorded;
  - the tensor itself, as it is now: a constant stands in the entry, and the tensor of a leaf is found by who refers to it.
"""

import gc
import re

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.naming import named
from tapegrad.core.tape import TapeBase
from tapegrad.errors import ConsumedTapeError, DtypeError, GradientError, ShapeError, ThreadError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives.plan import VALUE


class Part:
    """Entries in the order in which they ran, and the registers that they use.

    caller      the public function that messages name
    entries     those that the tensor depends on, or all of a tape
    names       {id of a register or constant: its name}, made of letters, digits and _, none of them in `taken`
    leaves      the Leaf registers, in the order of their first use
    constants   the constant tensors, likewise
    known       {id of a register or constant: the array that the tape has saved of it}
    """

    def __init__(self, what, caller, taken=()):
        self.caller = caller
        if isinstance(what, TapeBase):
            what.reap()
            self.entries = list(what.entries)
            if not self.entries:
                raise GradientError(f"{caller}: the tape is empty")
        elif isinstance(what, Tensor):
            self.entries = _reached(what, caller)
        else:
            raise TypeError(f"{caller}: a tensor or a tape is needed, and this is a {type(what).__name__}")
        self.names, self.leaves, self.constants, self.known = {}, [], [], {}
        self._taken = set(taken)
        for entry, (z, _, ys) in zip(self.entries, named(self.entries)):
            for y, name in zip(entry.operands, ys):
                if isinstance(y, (Entry, Leaf, Tensor)):
                    self._enter(y, name)
            self._enter(entry, z)
            self._note_saved(entry)
        if isinstance(what, Tensor):
            self.known[id(self.entries[-1])] = what._value

    def _enter(self, register, name):
        if id(register) not in self.names:
            self.names[id(register)] = self.unique(name)
            if type(register) is not Entry:
                (self.leaves if type(register) is Leaf else self.constants).append(register)

    def unique(self, name):
        """`name` with other characters replaced by _, and a number where it is taken."""
        name = re.sub(r"\W", "_", name)
        name = f"_{name}" if name[0].isdigit() else name
        number, candidate = 1, name
        while candidate in self._taken:
            number += 1
            candidate = f"{name}_{number}"
        self._taken.add(candidate)
        return candidate

    def _note_saved(self, entry):
        keep = entry.plan.keep
        if keep[0] == VALUE:
            self.known[id(entry)] = entry.saved[0]
        if not entry.g.variadic:
            for y, how, value in zip(entry.operands, keep[1:], entry.saved[1:]):
                if how == VALUE:
                    self.known[id(y)] = value

    def name(self, register):
        """The name of a register or constant; a Python number is its own text."""
        return self.names.get(id(register)) or repr(register)

    def starting_values(self, given=None):
        """({leaf's name: array}, {constant's name: array})"""
        given = {name: x._value if isinstance(x, Tensor) else x for name, x in (given or {}).items()}
        names = [self.name(leaf) for leaf in self.leaves]
        for name in given:
            if name not in names:
                raise GradientError(f"{self.caller}: {name!r} is none of the leaves, which are {', '.join(names)}")
        missing = [leaf for leaf in self.leaves if self.name(leaf) not in given and id(leaf) not in self.known]
        tensors = _tensors_of(missing)
        leaves = {}
        for name, leaf in zip(names, self.leaves):
            if name in given:
                leaves[name] = _checked(self.caller, name, given[name], leaf)
            elif id(leaf) in self.known:
                leaves[name] = self.known[id(leaf)]
            elif id(leaf) in tensors:
                leaves[name] = tensors[id(leaf)]._value
            else:
                raise GradientError(f"{self.caller}: the value of the leaf {name}, {leaf.dtype} {leaf.shape}, is not known: "
                                    f"the tape has not saved it, and its tensor is gone; give it in leaves={{{name!r}: array}}")
        constants = {self.name(c): self.known.get(id(c), c._value) for c in self.constants}
        return leaves, constants


def _reached(tensor, caller):
    """The entries that a tensor depends on, in the order in which they ran."""
    last = tensor._register
    if type(last) is not Entry:
        raise GradientError(f"{caller}: this tensor is not a result on the tape: it is a leaf, or no operand of what made it "
                            "requires a gradient")
    _check(last, last.tape, caller)
    tape, wanted, entries = last.tape, {id(last)}, []
    for entry in reversed(tape.entries):
        if id(entry) in wanted:
            entries.append(entry)
            for y in entry.operands:
                if type(y) is Entry:
                    _check(y, tape, caller)
                    wanted.add(id(y))
    return entries[::-1]


def _check(entry, tape, caller):
    if entry.tape is None:
        raise ConsumedTapeError(f"{caller}: the tape of this result of {entry.g.name} has been consumed by a backward(); call "
                                f"{caller} before, or give backward() retain_graph=True")
    if entry.tape is not tape:
        raise ThreadError(f"{caller}: this result of {entry.g.name} was recorded by another thread, on its own tape")


def _tensors_of(leaves):
    """{id of a leaf: its tensor}, for the leaves whose tensors live."""
    wanted = {id(leaf) for leaf in leaves}
    holders = gc.get_referrers(*leaves) if leaves else ()
    return {id(x._register): x for x in holders if isinstance(x, Tensor) and id(x._register) in wanted}


def _checked(caller, name, value, leaf):
    array = np.asarray(value)
    if array.shape != leaf.shape:
        raise ShapeError(f"{caller}: {describe(array)} is given for the leaf {name}, which is {leaf.dtype} {leaf.shape}")
    if array.dtype != leaf.dtype and (hasattr(value, "dtype") or array.dtype.kind not in "biuf"):
        raise DtypeError(f"{caller}: {describe(array)} is given for the leaf {name}, which is {leaf.dtype} {leaf.shape}")
    return array.astype(leaf.dtype, copy=False)
