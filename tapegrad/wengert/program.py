"""A Wengert list prepared to run: names become slots, entries become steps, and both become a graph.

A list is prepared once, and cached until it changes. Its graph for values of given shapes and dtypes and given user functions
is cached, too (lowering.py turns an entry into a node), and so is the graph of its deltas.
"""

from operator import attrgetter

import numpy as np

from tapegrad.core.record import recorder
from tapegrad.errors import ShapeError
from tapegrad.functions.tensor import Tensor, tensor
from tapegrad.graph.graph import Graph
from tapegrad.graph.reverse import Reverse, delta_dtype
from tapegrad.graph.run import Ready
from tapegrad.kernels.allocator import keep_freed_memory
from tapegrad.primitives import table
from tapegrad.primitives.node import Node
from tapegrad.wengert.lowering import functions_of, lowered
from tapegrad.wengert.operators import canonical, given
from tapegrad.wengert.step import Step, kind_of, plain
from tapegrad.wengert.text import Name

KEPT = 32                               # maximal number of cached lists, and of cached signatures of each
MISSING = object()
_programs = {}


class Program:
    """A prepared list.

    f        the list, of tuples
    steps    a Step per entry
    slots    {name: slot} of all names
    defining    {name: the Step that defines it}
    inputs   {name: (the first step that uses it, whether it is ever an operand)} of the names that no entry defines
    blank    a value per slot: the literals, else MISSING
    results  [(name, slot)] of the names that entries define
    ready    {signature of the values given: prepared graph}, of the list and of its deltas
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
                raise step.error(f"{step.z} is defined twice: it is already defined by entry {defined[step.z]}")
            defined[step.z] = position
            step.settle(self)
            self.steps.append(step)
            self.defining[step.z] = step
        self.rows = {step.name: table.get(canonical(step.name)) for step in self.steps}
        self.results = [(step.z, step.slot) for step in self.steps]
        self.given = [self.slots[name] for name in self.inputs]
        self.named = list(self.slots.values())
        self.ready = {}

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
        """Whether this is the program of f, and the rows that f calls have not been redefined since."""
        try:
            return self.f == f and all(table.get(canonical(name)) is row for name, row in self.rows.items())
        except ValueError:              # the list contains an array
            return False

    def users(self, G, DG):
        """{operator of the list: (the user's function or None, the user's derivatives or None)}"""
        if not G and not DG:
            return {}
        found = {name: (given(G, name), given(DG, name)) for name in self.rows}
        return {name: functions for name, functions in found.items() if functions != (None, None)}

    def evaluated(self, val, users, known=False):
        """A value per slot. With `known`, results in val are taken from there, and the rest is computed."""
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
        if missing:
            if missing < len(self.steps):
                self._captured(values, users)
            else:
                self._run(values, users)
        return values

    def _run(self, values, users):
        given = [values[slot] for slot in self.given]
        key = tuple(signature(given)), _identity(users)
        if key not in self.ready:
            held = self._captured(values, users)
            outputs = [held[slot] for _, slot in self.results]
            self._remember(key, (Ready([held[slot] for slot in self.given], outputs), dict(zip(outputs, self.steps))))
            return
        ready, steps = self.ready[key]
        for (_, slot), z in zip(self.results, ready.run(given, lambda node, error: _failed(steps[node], error, values, users))):
            values[slot] = z

    def _captured(self, values, users, extras=None):
        """The node or the literal per slot; missing values are computed."""
        held = self.blank.copy()
        for slot, (_, operand) in zip(self.given, self.inputs.values()):
            held[slot] = Node(None, (), (), *(kind_of(values[slot]) if operand else ((), None)))
        known = {held[slot]: values[slot] for slot in self.given}
        for step in self.steps:
            try:
                row, operands, static = lowered(step, held, values, users, extras)
                if values[step.slot] is MISSING:
                    arguments, fixed = [[_value(x, known) for x in xs] for xs in (operands, static)]
                    values[step.slot] = row.g(arguments, *fixed) if row.variadic else row.g(*arguments, *fixed)
            except Exception as error:
                raise _failed(step, error, values, users) from error
            held[step.slot] = z = Node(row, tuple(operands), static, *kind_of(values[step.slot]))
            known[z] = values[step.slot]
        return held

    def recorded(self, val, leaves):
        """The last result as a tensor: every entry is recorded on the tape under its name. `leaves` require gradients."""
        values = self.blank.copy()
        for name, (_, operand) in self.inputs.items():
            y = val[name]
            new = operand and not isinstance(y, Tensor)
            values[self.slots[name]] = tensor(y, requires_grad=name in leaves, name=name) if new else y
        for step in self.steps:
            operands, keywords = [[values[slot] for slot in slots] for slots in (step.ys, step.keys.values())]
            try:
                z = recorder(step.row)(*operands) if step.row else step.tensor(operands, keywords)
            except Exception as error:
                raise step.failed(error, values) from error
            z.name = step.z
            values[step.slot] = z
        return z

    def deltas(self, values, users, seed, wrt):
        """{name: delta} of the names in `wrt` that are in the list."""
        key = tuple(signature([values[slot] for slot in self.named])), _identity(users), wrt
        found = self.ready.get(key)
        if found is None:
            extras = []
            found = _Deltas(self, self._captured(values, users, extras), extras, wrt)
            if found.lasting:
                self._remember(key, found)
        return found.run(values, users, seed)

    def _remember(self, key, ready):
        if len(self.ready) >= KEPT:
            self.ready.clear()
        self.ready[key] = ready


class _Deltas:
    """The prepared graph of the deltas of a list, for values of given shapes and dtypes."""

    def __init__(self, program, held, extras, wrt):
        self.steps = {held[step.slot]: step for step in program.steps}
        self.lasting = all([getattr(node.row, "lasting", True) for node in self.steps])
        self.z, self.last = held[program.steps[-1].slot], program.steps[-1]
        names = {name: held[program.slots[name]] for name in wrt if name in program.slots}
        wanted = set(names.values())
        alone = {held[slot]: node for node, slot, counts in extras if counts and held[slot] in wanted}
        seed = Node(None, (), (), self.z.shape, delta_dtype(self.z.dtype))
        graph = Graph([held[slot] for slot in program.given], [self.z])
        self.reverse = Reverse(graph, [*wanted, *alone.values()], seed, whole=True)
        places = {node: place for place, node in enumerate(self.reverse.deltas)}
        self.wanted = [(name, node, places.get(node), places.get(alone.get(node))) for name, node in names.items()]
        self.slots = [*program.named, *[slot for _, slot, _ in extras]]
        inputs = [seed, *[held[slot] for slot in program.named], *[node for node, _, _ in extras]]
        self.ready = Ready(inputs, list(self.reverse.deltas.values()))

    def run(self, values, users, seed):
        """{name: delta}"""
        if np.ndim(seed) and np.shape(seed) != self.z.shape:
            raise ShapeError(f"{self.last.where()}: expected a scalar or a seed of shape {self.z.shape}, got {np.shape(seed)}")

        def failed(node, error):
            return _failed(self.steps[self.reverse.origin(node, self.steps)], error, values, users, derivative=True)

        given = [np.full(self.z.shape, seed, delta_dtype(self.z.dtype)), *[values[slot] for slot in self.slots]]
        found, deltas = self.ready.run(given, failed), {}
        for name, node, place, alone in self.wanted:
            d = None if place is None else found[place]
            if alone is not None and found[alone] is not None:
                d = found[alone] if d is None else d + found[alone]
            deltas[name] = zeros(node) if d is None else d
        return deltas


def zeros(value):
    """A zero delta for a value or a node."""
    shape, dtype = kind_of(value)
    return np.zeros(shape, delta_dtype(dtype))


def _value(x, known):
    if isinstance(x, Node):
        return known[x] if x in known else x.row.g(known[x.operands[0]])
    return x


def _failed(step, error, values, users, derivative=False):
    return step.failed(error, values, users.get(step.name, (None, None))[derivative])


def _identity(users):
    """A key for users' functions, by id; the cached graph holds the functions, so their ids stay unique."""
    return tuple([(name, id(g), *map(id, functions_of(dg))) for name, (g, dg) in users.items()])


def signature(values):
    """The cache key of the values: shape and dtype of arrays, the type of all else."""
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
    """The program of a list, cached until the list changes."""
    keep_freed_memory()
    if type(f) is not list:
        return Program(list(f))
    program = _programs.get(id(f))
    if program is None or not program.is_of(f):
        _programs[id(f)] = program = Program(f)
        if len(_programs) > KEPT:
            _programs.pop(next(iter(_programs)), None)
    return program
