"""A Wengert list made ready to run: names become slots, and each entry a step that knows what it calls.

A list is made ready once, and kept for as long as it does not change. What an entry calls is settled in this order:
  - a row of the registry, if the entry gives just its operands;
  - otherwise a function of tapegrad, which puts axes and shapes in order. On operands of given shapes most functions come
    down to one row and its static arguments, which are remembered, so that the next time only the row's G runs;
  - a function that comes down to several rows is called as it is.
"""

from difflib import get_close_matches
from types import FunctionType

import numpy as np

from tapegrad.errors import DtypeError, WengertError, describe, failed_call
from tapegrad.primitives import table
from tapegrad.record import recorded
from tapegrad.registers import Entry, Leaf
from tapegrad.tape import Tape, thread
from tapegrad.tensor import Tensor, wrap
from tapegrad.wengert.operators import accepts, candidates, canonical, cross_entropy_of_scores, names, parameters
from tapegrad.wengert.text import Name, argument, entry_text

KEPT = 32                               # lists, and signatures of each, that are remembered
ROOMY = 2 ** 62                         # bytes: a tape with that much room is not reaped
MISSING = object()
CONSTANTS = (int, float, complex, bool, str, tuple, list, slice, np.dtype, np.generic, type(None), type(...))
_programs = {}


class Program:
    """A list made ready.

    f        the list, of tuples
    steps    a Step per entry
    slots    {name: slot} of all names
    inputs   {name: (the first step that uses it, whether it is ever an operand)} of the names that no entry defines
    blank    a value per slot: those of the literals
    ready    {signature of the values given: what each step calls}
    backwards   {names: a tape that their deltas have been found on}, for the next time (backward.py)
    """

    def __init__(self, f):
        self.f, self.steps, self.slots, self.inputs, self.blank = [], [], {}, {}, []
        defined, later = {}, _definitions(f)
        for position, entry in enumerate(f, start=1):
            step = Step(position, entry, self.f)
            for y in (*step.positional, *step.keywords.values()):
                if isinstance(y, Name) and y in later and y not in defined:
                    defining = later[y]
                    why = "depends on itself" if defining == position else f"is defined only by entry {defining}"
                    raise step.error(f"{y} is used before it is defined: it {why}")
            arguments = [(y, True) for y in step.positional] + [(y, False) for y in step.keywords.values()]
            for y, operand in arguments:
                if isinstance(y, Name) and y not in defined:
                    first, before = self.inputs.get(y, (step, False))
                    self.inputs[y] = first, before or operand
            if step.z in defined:
                raise step.error(f"{step.z} is defined twice: by entry {defined[step.z]} already")
            defined[step.z] = position
            step.settle(self)
            self.steps.append(step)
        self.rows = {step.name: table.get(canonical(step.name)) for step in self.steps}
        self.ready, self.backwards = {}, {}

    def slot(self, y):
        """The slot of a name, or a new one that holds a constant."""
        if isinstance(y, Name):
            if y in self.slots:
                return self.slots[y]
            self.slots[str(y)] = len(self.blank)
            self.blank.append(MISSING)
        else:
            self.blank.append(y)
        return len(self.blank) - 1

    def is_of(self, f):
        """Whether this is the program of f, and what f calls has not been defined anew since."""
        try:
            return self.f == f and all(table.get(canonical(name)) is row for name, row in self.rows.items())
        except ValueError:              # an array stands in the list
            return False

    def filled(self, val, results=False):
        """A value per slot: those of val. With `results`, also those that val holds of what the entries define."""
        values = self.blank.copy()
        for name, (step, operand) in self.inputs.items():
            if name not in val:
                raise step.error(f"{name} has no value: it is not in val, and no entry defines it")
            values[self.slots[name]] = plain(name, val[name]) if operand else val[name]
        if results:
            for step in self.steps:
                if step.z in val:
                    values[step.slot] = plain(step.z, val[step.z])
        return values

    def run(self, values, G):
        """Compute what is missing of the values, in order."""
        if G or any([values[step.slot] is not MISSING for step in self.steps]):
            return self._run(values, G or {})
        shapes = tuple(signature(values))
        ready = self.ready.get(shapes)
        if ready is None:
            self._run(values, {})
            self._remember(shapes, values)
            return None
        row = step = None
        try:
            for row, first, second, static, slot, step in ready:
                if row is None:
                    values[slot] = step.call(values, {})
                elif second is None:
                    values[slot] = row.g(values[first], *static) if static else row.g(values[first])
                else:
                    values[slot] = row.g(values[first], values[second], *static) if static else row.g(
                        values[first], values[second])
        except Exception as error:
            raise step.failed(error, values) from error

    def _run(self, values, G):
        step = None
        try:
            for step in self.steps:
                if values[step.slot] is not MISSING:
                    continue
                if step.name in G:
                    values[step.slot] = step.call_user(G[step.name], values)
                else:
                    values[step.slot] = step.call(values, G)
        except Exception as error:
            raise step.failed(error, values, G.get(step.name)) from error

    def _remember(self, shapes, values):
        """What each step calls on values of these shapes: (row, the slots of its operands, static, slot, step)."""
        ready = []
        for step in self.steps:
            row, slots, static = step.row, step.ys, ()
            if row is None and not step.pairs(values, ()) and (found := step.resolved(values)) is not None:
                row, pattern, static = found
                slots = [step.ys[y] if place else None for place, y in pattern]
            if row is None or row.variadic or len(slots) not in (1, 2) or None in slots:
                ready.append((None, None, None, (), step.slot, step))
            else:
                ready.append((row, slots[0], slots[1] if len(slots) == 2 else None, static, step.slot, step))
        if len(self.ready) >= KEPT:
            self.ready.clear()
        self.ready[shapes] = ready


def signature(values):
    """What the way to run a list depends on: the shape and the dtype of arrays, the type of all else."""
    return [(y.shape, y.dtype) if type(y) is np.ndarray else type(y) for y in values]


def _definitions(f):
    later = {}
    for position, entry in enumerate(f, start=1):
        if isinstance(entry, (tuple, list)) and len(entry) == 3 and isinstance(entry[0], str):
            later.setdefault(entry[0], position)
    return later


def compiled(f):
    """The program of a list; the same one as long as the list is the same."""
    if type(f) is not list:
        return Program(list(f))
    program = _programs.get(id(f))
    if program is None or not program.is_of(f):
        _programs[id(f)] = program = Program(f)
        if len(_programs) > KEPT:
            _programs.pop(next(iter(_programs)), None)
    return program


def plain(name, x):
    """A value as an array or a number."""
    if type(x) in (np.ndarray, float, int) or isinstance(x, np.generic):
        return x
    array = x._value if type(x) is Tensor else np.asarray(x)
    if array.dtype.kind not in "biufc":
        raise DtypeError(f"{name}: a value of type {type(x).__name__}; numbers or arrays of numbers are needed")
    return array


class Step:
    """An entry of a list.

    positional, keywords    its arguments: names and values
    ys, keys, slot          the slots of these, and of z
    row                     the registry's, where the entry gives just its operands
    function                of tensors, where it does not
    pair                    for crossEntropy(softmax(o), t): (softmax's step, the slot of o, softmax's axis)
    """

    def __init__(self, position, entry, f):
        self.position, self.entry = position, entry
        try:
            z, g, ys = entry
            if not (isinstance(z, str) and isinstance(g, str)) or isinstance(ys, str):
                raise TypeError
            self.entry = entry = (z, g, tuple(ys))
        except (TypeError, ValueError):
            raise WengertError(f"entry {position}: {entry!r} is not of the form (z, g, (y1, .., yk)), with names z, g and "
                               "y1 to yk") from None
        f.append(entry)
        self.z, self.name, self.positional, self.keywords = z, g, [], {}
        self.row = self.function = self.pair = None
        self.by_position = self.packed = self.changing = False
        self.known = {}
        for y in entry[2]:
            keyword, what = argument(y)
            if not isinstance(what, CONSTANTS):
                raise self.error(f"a {type(what).__name__} stands in the list; give it a name, and its value in val")
            if keyword is None:
                if self.keywords:
                    raise self.error(f"{y} follows a keyword")
                self.positional.append(what)
            elif keyword in self.keywords:
                raise self.error(f"{keyword} is given twice")
            else:
                self.keywords[keyword] = what

    def settle(self, program):
        """Give the arguments their slots, and find what is called, where the registry has it."""
        self.ys = [program.slot(y) for y in self.positional]
        self.operands = [isinstance(y, Name) for y in self.positional]
        self.keys = {key: program.slot(y) for key, y in self.keywords.items()}
        self.slot = program.slot(Name(self.z))
        name = canonical(self.name)
        row = table.get(name)
        if row is not None and not self.keys and not row.static_names and row.arity == len(self.ys):
            self.row = row
            return
        self.packed = row is not None and row.variadic and not any(isinstance(y, str) and not operand for y, operand in
                                                                   zip(self.positional, self.operands))
        for function in candidates(self.name):
            if self._takes(function, row):
                self.function = function
                break
        self.changing = any(isinstance(y, Name) for y in self.keywords.values())
        if name == "crossEntropy" and len(self.ys) == 2 and not self.keys:
            self.pair = self._softmax(program)

    def _takes(self, function, row):
        """Whether a function can be called with this entry's arguments. A bare row needs all that are static, in its order."""
        count = 1 if self.packed else len(self.ys)
        if row is None or function is not getattr(recorded, row.name) or not isinstance(function, FunctionType):
            return accepts(function, count, self.keys)
        given = count - (1 if row.variadic else row.arity)
        if given < 0 or set(self.keys) != set(row.static_names[given:]) or given + len(self.keys) != len(row.static_names):
            return False
        self.keys = {key: self.keys[key] for key in row.static_names[given:]}
        self.by_position = True
        return True

    def _softmax(self, program):
        for step in reversed(program.steps):
            if step.z == self.positional[0]:
                if canonical(step.name) == "softmax" and len(step.ys) == 1 and set(step.keywords) <= {"axis"}:
                    axis = step.keywords.get("axis", -1)
                    return step, step.ys[0], axis[0] if type(axis) is tuple and len(axis) == 1 else axis
                break
        return None

    def pairs(self, values, overridden):
        """Whether this entry is the crossEntropy of a softmax over the last axis, both as tapegrad has them."""
        if self.pair is None or any(table and (self.name in table or self.pair[0].name in table) for table in overridden):
            return False
        return self.pair[2] in (-1, np.ndim(values[self.pair[1]]) - 1)

    # Forward

    def call(self, values, G):
        """z, from values of the operands."""
        if self.row is not None:
            return self.row.g(*[values[i] for i in self.ys])
        if self.pairs(values, (G,)):
            return cross_entropy_of_scores(*[wrap(np.asarray(values[i]), None) for i in (self.pair[1], self.ys[1])])._value
        found = self.resolved(values)
        if found is None:
            return self.tensor([np.asarray(values[i]) if operand else values[i] for i, operand in zip(self.ys, self.operands)],
                               values)._value
        row, pattern, static = found
        operands = [values[self.ys[y]] if place else y for place, y in pattern]
        return row.g(operands, *static) if row.variadic else row.g(*operands, *static)

    def call_user(self, function, values):
        z = function(*[values[i] for i in self.ys], **{key: values[i] for key, i in self.keys.items()})
        return plain(self.z, z)

    def tensor(self, arguments, values):
        """The function on these arguments, those at the places of operands wrapped as tensors, if they are arrays."""
        if self.function is None:
            raise self.unknown()
        arguments = [wrap(y, None) if operand and type(y) is np.ndarray else y for y, operand in zip(arguments, self.operands)]
        keywords = {key: values[i] for key, i in self.keys.items()}
        arguments = [arguments] if self.packed else arguments
        z = self.function(*arguments, *keywords.values()) if self.by_position else self.function(*arguments, **keywords)
        if not isinstance(z, Tensor):
            raise WengertError(f"{self.name} gives a {type(z).__name__}, and an entry has one result, a tensor")
        return z

    def resolved(self, values):
        """(row, [(True, place of an operand) or (False, constant)], static) that the function comes down to, or None."""
        if self.changing:
            return None
        operands = [values[i] for i in self.ys]
        key = tuple([(y.shape, y.dtype.char) if hasattr(y, "dtype") else type(y) for y in operands])
        if key not in self.known:
            self.known[key] = self._resolve(operands, values)
        return self.known[key]

    def _resolve(self, operands, values):
        leaves = [Leaf(np.shape(y), np.dtype(float)) if operand else None for y, operand in zip(operands, self.operands)]
        tape = Tape()
        with recording(tape):
            z = self.tensor([y if leaf is None else wrap(np.asarray(y), leaf) for y, leaf in zip(operands, leaves)], values)
            entry = z._register
            if type(entry) is not Entry or len(tape.entries) != 1:
                return None
        pattern = []
        for y in entry.operands:
            if type(y) is Leaf:
                pattern.append((True, leaves.index(y)))
            elif type(y) in (int, float):
                pattern.append((False, y))
            else:
                return None
        return entry.g, pattern, entry.static

    # What is wrong

    def where(self):
        return f"entry {self.position}, {entry_text(self.entry)}"

    def error(self, message):
        return WengertError(f"{self.where()}: {message}")

    def unknown(self):
        """The error for an entry whose operator the registry does not have, or not for these arguments."""
        functions = candidates(self.name)
        if functions:
            row = table.get(canonical(self.name))
            wanted = [f"{parameters(function)}" for function in functions
                      if parameters(function)] if row is None or row.static_names or row.variadic else [
                          f" of {row.arity} operand{'s' * (row.arity != 1)}"]
            return self.error(f"{self.name} does not take these arguments; it is {self.name}{wanted[0] if wanted else ''}")
        near = get_close_matches(self.name, names(), n=1)
        return self.error(f"there is no operator {self.name!r}{f', but a {near[0]!r}' if near else ''}; operators of your own "
                          "are given in G and DG")

    def failed(self, error, values, user=None):
        """The error to raise where this entry's operator, or one of its derivatives, has failed with `error`."""
        if isinstance(error, WengertError):
            return error if str(error).startswith("entry ") else self.error(error)
        if user:
            given = ", ".join([describe(values[i]) for i in self.ys])
            return self.error(f"{self.name}({given}): {type(error).__name__}: {error}")
        if self.row is not None:
            error = failed_call(self.row.name, [values[i] for i in self.ys], error)
        try:
            return type(error)(f"{self.where()}: {error}")
        except TypeError:
            return self.error(f"{type(error).__name__}: {error}")


class recording:
    """`with recording(tape):` what is recorded on this thread goes on that tape, which nothing leaves by itself."""

    def __init__(self, tape):
        tape.room = ROOMY
        self.tape = tape

    def __enter__(self):
        self.before, thread.tape = thread.tape, self.tape

    def __exit__(self, *exception):
        thread.tape = self.before
