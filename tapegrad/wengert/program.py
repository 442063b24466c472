"""A Wengert list made ready to run: names become slots, and entries steps.

A list is made ready once, and kept for as long as it does not change. How it runs on inputs of given shapes and dtypes is
kept, too: which row each step calls, on which slots, with which static arguments.
"""

from operator import attrgetter

import numpy as np

from tapegrad.kernels.allocator import keep_freed_memory
from tapegrad.primitives import table
from tapegrad.wengert.operators import canonical, given
from tapegrad.wengert.step import NUMBERS, Step, plain
from tapegrad.wengert.text import Name

KEPT = 32                               # lists, and signatures of each, that are remembered
MISSING = object()
_programs = {}


class Program:
    """A list made ready.

    f        the list, of tuples
    steps    a Step per entry
    slots    {name: slot} of all names
    defining    {name: the Step that defines it}
    inputs   {name: (the first step that uses it, whether it is ever an operand)} of the names that no entry defines
    blank    a value per slot: those of the literals
    results  (name, slot) of what the entries define
    ready    {signature of the values given: what each step calls}
    backwards   {names: a tape that their deltas have been found on}, for the next time (backward.py)
    """

    def __init__(self, f):
        self.f, self.steps, self.slots, self.inputs, self.blank = [], [], {}, {}, []
        self.defining, defined, later = {}, {}, _definitions(f)
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
            self.defining[step.z] = step
        self.rows = {step.name: table.get(canonical(step.name)) for step in self.steps}
        self.results = [(step.z, step.slot) for step in self.steps]
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

    def evaluated(self, val, G, known=False):
        """A value per slot. With `known`, what val holds of the results is taken from there, and the rest is computed."""
        values = self.blank.copy()
        for name, (step, operand) in self.inputs.items():
            if name not in val:
                raise step.error(f"{name} has no value: it is not in val, and no entry defines it")
            values[self.slots[name]] = plain(name, val[name]) if operand else val[name]
        missing = len(self.steps)
        if known:
            for z, slot in self.results:
                if z in val:
                    found = val[z]
                    values[slot] = found if type(found) is np.ndarray else plain(z, found)
                    missing -= 1
        if G or 0 < missing < len(self.steps):
            self._complete(values, G or {})
        elif missing:
            self._run(values)
        return values

    def _run(self, values):
        shapes = tuple(signature([values[self.slots[name]] for name in self.inputs]))
        ready = self.ready.get(shapes)
        if ready is None:
            self._complete(values, {})
            self._remember(shapes, values)
            return
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

    def _complete(self, values, G):
        """Compute what is missing of the values, in order."""
        step = None
        try:
            for step in self.steps:
                if values[step.slot] is not MISSING:
                    continue
                function = given(G, step.name)
                if function is not None:
                    values[step.slot] = step.call_user(function, values)
                else:
                    values[step.slot] = step.call(values, G)
        except Exception as error:
            raise step.failed(error, values, given(G, step.name)) from error

    def _remember(self, shapes, values):
        """What each step calls on values of these shapes: (row, the slots of its operands, static, slot, step)."""
        ready = []
        for step in self.steps:
            row, slots, static = step.row, step.ys, ()
            if row is None and not step.pairs(values, ()) and (found := step.resolved(values)) is not None:
                row, pattern, static = found
                slots = [step.ys[y] if place else None for place, y in pattern]
            if row is None or row.variadic or len(slots) not in (1, 2) or None in slots or (
                    static and any([type(values[i]) in NUMBERS for i in slots])):
                ready.append((None, None, None, (), step.slot, step))
            else:
                ready.append((row, slots[0], slots[1] if len(slots) == 2 else None, static, step.slot, step))
        if len(self.ready) >= KEPT:
            self.ready.clear()
        self.ready[shapes] = ready


def signature(values):
    """What the way to run a list depends on: the shape and the dtype of arrays, the type of all else."""
    try:
        return list(map(_shape_and_dtype, values))
    except AttributeError:
        return [_shape_and_dtype(y) if type(y) is np.ndarray else type(y) for y in values]


_shape_and_dtype = attrgetter("shape", "dtype")


def _definitions(f):
    later = {}
    for position, entry in enumerate(f, start=1):
        if isinstance(entry, (tuple, list)) and len(entry) == 3 and isinstance(entry[0], str):
            later.setdefault(entry[0], position)
    return later


def compiled(f):
    """The program of a list; the same one as long as the list is the same."""
    keep_freed_memory()
    if type(f) is not list:
        return Program(list(f))
    program = _programs.get(id(f))
    if program is None or not program.is_of(f):
        _programs[id(f)] = program = Program(f)
        if len(_programs) > KEPT:
            _programs.pop(next(iter(_programs)), None)
    return program
