"""A part of a tape as a graph: operations as nodes, names for all of them, and the values of leaves and constants.

An entry saves only the values that its derivatives read, and a leaf does not hold its tensor. So the value of a leaf or a
constant is taken from the first of these that has it:
  - `leaves`, given by the caller;
  - an entry that has saved it, which is its value when it was recorded;
  - the tensor, with its present value: the entry holds a constant, and a leaf has a weak reference to its tensor.
"""

import numpy as np

from tapegrad.core.entry import Entry, Handle, Leaf
from tapegrad.core.naming import Names
from tapegrad.core.tape import TapeBase
from tapegrad.errors import ConsumedTapeError, DtypeError, GradientError, ShapeError, ThreadError, WengertError, describe
from tapegrad.graph.graph import Graph
from tapegrad.graph.run import evaluated
from tapegrad.primitives.node import Node, nodes
from tapegrad.primitives.plan import VALUE


class Capture:
    """A tape, or the part of it that a tensor depends on, as a graph.

    caller      the name of the public function, for error messages
    graph       the Graph of the entries
    leaves      {node: the Leaf}, in the order of their first use
    constants   {node: the tensor}, likewise
    known       {node: its array, if the tape has saved it}
    hooked      the nodes with a hook, which may replace the delta
    unique      function that returns a name, with a number if a node has that name
    """

    def __init__(self, what, caller, taken=(), inputs=()):
        """what     a tensor, or a tape
        taken       names that nodes must not get
        inputs      results that are inputs of the graph, in addition to leaves and constants
        """
        self.caller, self.leaves, self.constants, self.known, self.hooked = caller, {}, {}, {}, set()
        begins = [x._register for x in inputs]
        entries = _entries(what, caller, {id(register) for register in begins})
        names, of, named = Names(entries, taken, identifiers=True), {}, {}
        self.unique = names.unique
        for entry in entries:
            z = names(entry)
            for y in entry.operands:
                if isinstance(y, (Entry, Leaf, Handle)) and id(y) not in of:
                    named[self._input(y, of)] = names(y)
            enter([entry], of)
            named[of[id(entry)]] = z
            self._note_saved(entry, of)
            if entry.plan.hooks:
                self.hooked.add(of[id(entry)])
        outputs = [of[id(entry)] for entry in (entries[-1:] if isinstance(what, Handle) else entries)]
        if isinstance(what, Handle):
            self.known[outputs[0]] = what._value
        results = [of[id(register)] for register in begins if id(register) in of]
        self.graph = Graph([*self.leaves, *self.constants, *results], outputs, named)
        for node in self.graph.nodes:
            if node not in named:                       # of a replay
                named[node] = self.unique("step")

    def _input(self, y, of):
        of[id(y)] = node = Node(None, (), (), y.shape, y.dtype)
        if type(y) is Leaf:
            self.leaves[node] = y
            if y.hooks:
                self.hooked.add(node)
        elif type(y) is not Entry:
            self.constants[node] = y
        return node

    def _note_saved(self, entry, of):
        keep = entry.plan.keep
        if keep[0] == VALUE:
            self.known[of[id(entry)]] = entry.saved[0]
        if not entry.g.variadic:
            for y, how, value in zip(entry.operands, keep[1:], entry.saved[1:]):
                if how == VALUE and id(y) in of:
                    self.known[of[id(y)]] = value

    def _starting_values(self, given):
        """({node of a leaf: array}, {node of a constant: array})"""
        given = {name: x._value if isinstance(x, Handle) else x for name, x in (given or {}).items()}
        names = [self.graph.names[node] for node in self.leaves]
        for name in given:
            if name not in names:
                raise GradientError(f"{self.caller}: there is no leaf {name!r}; the leaves are {', '.join(names)}")
        leaves = {}
        for name, (node, leaf) in zip(names, self.leaves.items()):
            tensor = leaf.tensor and leaf.tensor()
            if name in given:
                leaves[node] = _checked(self.caller, name, given[name], leaf)
            elif node in self.known:
                leaves[node] = self.known[node]
            elif tensor is not None and tensor._register is leaf:
                leaves[node] = tensor._value
            else:
                raise GradientError(f"{self.caller}: the value of the leaf {name}, {leaf.dtype} {leaf.shape}, is unknown: the "
                                    f"tape has not saved it, and its tensor no longer exists; pass leaves={{{name!r}: array}}")
        return leaves, {node: self.known.get(node, tensor._value) for node, tensor in self.constants.items()}

    def evaluated(self, given=None):
        """(the leaves' values, the constants' values, {node: value} of all nodes). Raises WengertError if a value differs
        from the recorded one: a tensor that was looked up may have been changed since."""
        leaves, constants = self._starting_values(given)
        with np.errstate(all="ignore"):
            found = evaluated(self.graph, {**leaves, **constants})
        names = self.graph.names
        looked_up = [names[node] for node in (*leaves, *constants) if node not in self.known]
        for node in self.graph.nodes if looked_up else ():
            if node in self.known and not _same(self.known[node], np.asarray(found[node])):
                raise WengertError(f"{self.caller}: {names[node]} = {node.row.name}(..) differs from the recorded value. The "
                                   f"values of {', '.join(looked_up)} may have been changed since: call {self.caller} before "
                                   "that, or pass the values at the time of recording in leaves={name: array}")
        return leaves, constants, found


def _same(known, z):
    eps = np.finfo(known.dtype).eps if known.dtype.kind in "fc" else 0
    apart = 100 * eps * np.max(np.abs(known), initial=0, where=np.isfinite(known))
    return z.shape == known.shape and np.allclose(z, known, rtol=0, atol=apart, equal_nan=True)


def enter(entries, of):
    """Add the node of every entry to `of`, {id of a register: its node}, which must contain those of the leaves.

    A constant becomes its array, unless it has a node in `of`.
    """
    for entry in entries:
        operands = [of.get(id(y), y._value if isinstance(y, Handle) else y) for y in entry.operands]
        if (opened := getattr(entry.g, "opened", None)) is not None:
            of[id(entry)] = opened(operands, *entry.static)         # a call of a compiled function: what it did
        elif entry.g.composition is not None:
            of[id(entry)] = entry.g.composition(nodes, *operands, *entry.static)
        else:
            of[id(entry)] = Node(entry.g, tuple(operands), entry.static, entry.shape, entry.dtype)


def _entries(what, caller, begins):
    """The entries of a tape, or those that a tensor depends on, in the order in which they ran."""
    if isinstance(what, TapeBase):
        entries = what.living()
        if not entries:
            raise GradientError(f"{caller}: the tape is empty")
        for entry in entries:
            for y in entry.operands:
                if type(y) is Entry:
                    _check(y, what, caller)
        return entries
    if not isinstance(what, Handle):
        raise TypeError(f"{caller}: expected a tensor or a tape, got {type(what).__name__}")
    last = what._register
    if type(last) is not Entry:
        raise GradientError(f"{caller}: this tensor is not a result on the tape: it is a leaf, or none of its operands "
                            "requires a gradient")
    _check(last, last.tape, caller)
    tape, wanted, entries = last.tape, {id(last)}, []
    for entry in reversed(tape.entries):
        if id(entry) in wanted and id(entry) not in begins:
            entries.append(entry)
            for y in entry.operands:
                if type(y) is Entry:
                    _check(y, tape, caller)
                    wanted.add(id(y))
    return entries[::-1]


def _check(entry, tape, caller):
    if entry.tape is None:
        raise ConsumedTapeError(f"{caller}: the tape of this result of {entry.g.name} has been consumed by backward(); call "
                                f"{caller} before that, or call backward(retain_graph=True)")
    if entry.tape is not tape:
        raise ThreadError(f"{caller}: this result of {entry.g.name} was recorded by another thread, on its own tape")


def _checked(caller, name, value, leaf):
    array = np.asarray(value)
    other_dtype = array.dtype != leaf.dtype and (hasattr(value, "dtype") or array.dtype.kind not in "biuf")
    if array.shape != leaf.shape or other_dtype:
        kind = DtypeError if array.shape == leaf.shape else ShapeError
        raise kind(f"{caller}: expected {leaf.dtype} {leaf.shape} for the leaf {name}, got {describe(array)}")
    return array.astype(leaf.dtype, copy=False)
