"""A Wengert list on a tape of its own, with the values that it has, as if it had been recorded just now.

The reverse sweep of tapegrad (sweep.py) walks this tape; there is no other. A user's derivatives take the place of a row's
rules on it. What the entries are depends on the shapes of the values alone, so a tape is kept, and used again with other
values of the same shapes: only what the entries have saved is then new.
"""

from operator import itemgetter

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.record import append, wrap
from tapegrad.core.sweep import sweep
from tapegrad.core.tape import TapeBase
from tapegrad.errors import ShapeError
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import arrays, table
from tapegrad.primitives.plan import SHAPE, VALUE, Plan
from tapegrad.wengert.operators import cross_entropy_of_scores, crossEntropy, given
from tapegrad.wengert.program import signature
from tapegrad.wengert.step import recording


class Backward:
    """The entries of a list on a tape.

    leaves      {name: the Leaf that receives the delta that is wanted}
    registers   per slot: where the delta of its value goes, or None
    parts       an (entry, pick, step) per step that a delta flows through: pick(values) is what the entry saves; None for
                a step that comes down to several entries, which are recorded anew each time
    inners      {step: how many registers its delta goes to}, for the steps that come down to several entries
    plans       {row: its plans}, which a row makes anew when its kernel is compiled
    constants   what is saved and not a value of a slot: None for what no rule reads, shapes, static arguments
    """

    def __init__(self, program, values, DG, G, leaves):
        self.steps, self.values, self.DG, self.G, self.leaves = program.steps, values, DG, G, leaves
        self.registers, self.parts, self.constants = [None] * len(values), [], [None]
        self.inners, self.plans, self.signature, self.tape = {}, {}, signature(values), TapeBase()
        for name in program.inputs:
            self.registers[program.slots[name]] = leaves.get(name)
        with recording(self.tape):
            for step in program.steps:
                try:
                    register = self.enter(step) if any([self.registers[i] for i in step.ys]) else None
                except Exception as error:
                    raise step.failed(error, values) from error
                leaf = leaves.get(step.z)
                if leaf is not None and register is not None:
                    register.retain(leaf)
                self.registers[step.slot] = register or leaf
        self.save(values)

    def enter(self, step):
        """Put a step on the tape, and return the register of its z, or None where no delta flows through it."""
        ys = [self.registers[i] for i in step.ys]
        functions = given(self.DG, step.name)
        if functions is not None:
            return self.user_entry(step, ys, functions)
        if step.row is not None:
            return self.row_entry(step, step.row, step.ys, ())
        if step.function is None and given(self.G, step.name) is not None:
            raise step.error(f"{step.name} has a G and no DG")
        if not step.pairs(self.values, (self.DG, self.G)):
            found = step.resolved(self.values)
            if found is not None and not found[0].variadic:
                row, pattern, static = found
                return self.row_entry(step, row, [step.ys[y] if place else self.constant(y) for place, y in pattern], static)
        inner = self.inner(step)
        self.inners[step] = len(inner)
        if not inner:
            return None
        entry = self.entry(table["alias"], table["alias"].plans[1], inner[:1], step, None)
        for register in inner[1:]:
            entry.retain(register)
        return entry

    def entry(self, g, plan, ys, step, where):
        z = np.asarray(self.values[step.slot])
        pick = None if where is None else itemgetter(*where)
        entry = append(g, plan, tuple(ys), (None, None), z)
        entry.dtype = _float(z.dtype)
        self.parts.append((entry, pick, step))
        return entry

    def constant(self, value):
        """Where a constant stands after the values."""
        self.constants.append(value)
        return len(self.values) + len(self.constants) - 1

    def row_entry(self, step, row, slots, static):
        registers = [self.registers[i] if i < len(self.values) else None for i in slots]
        if row.dg == (None,) * len(row.dg) or not any(registers):
            return None
        self.plans[row] = row.plans
        plan = row.plans[sum([1 << i for i, y in enumerate(registers) if y is not None])]
        where = [self.kept(how, i) for how, i in zip(plan.keep, (step.slot, *slots))]
        return self.entry(row, plan, registers, step, [*where, *map(self.constant, static)])

    def kept(self, how, i):
        """Where what the rules read of the value at i stands: the value, its shape, or nothing."""
        if how == VALUE:
            return i
        size = len(self.values)
        return self.constant(np.shape(self.values[i] if i < size else self.constants[i - size])) if how == SHAPE else size

    def user_entry(self, step, ys, functions):
        values = self.values
        if not hasattr(functions, "__getitem__") or len(functions) != len(ys):
            raise step.error(f"DG[{step.name!r}] is to have a function, or None, for each of the {len(ys)} arguments")
        keywords = {key: values[i] for key, i in step.keys.items()}
        rules = tuple([(place, _rule(function, keywords, np.shape(values[i])))
                       for place, (i, y, function) in enumerate(zip(step.ys, ys, functions)) if y and function])
        return self.entry(step, Plan(rules, rules, (VALUE,) * (1 + len(ys))), ys, step, [step.slot, *step.ys])

    def inner(self, step):
        """Record what a step comes down to; the registers that its delta goes to."""
        if step.pairs(self.values, (self.DG, self.G)):
            return self.pair(step)
        values, registers = self.values, self.registers
        ys = [values[i] if registers[i] is None else wrap(np.asarray(values[i]), registers[i]) for i in step.ys]
        z = step.tensor(ys, values)
        if not np.allclose(z._value, values[step.slot], rtol=1e-3, equal_nan=True):
            raise step.error(f"{step.name} gives another value than that in val, which its derivative is to be taken at; what "
                             "is random is drawn outside of the list, and stands in val under a name")
        return [] if z._register is None else [z._register]

    def pair(self, step):
        """crossEntropy(p, t) with p = softmax(o): its delta goes to o straight, as (p sum(t) - t) times that of z."""
        softmax, slot, _ = step.pair
        p, t, scores = [np.asarray(self.values[i]) for i in (*step.ys, slot)]
        inner = [cross_entropy_of_scores(wrap(scores, self.registers[slot]), wrap(t, self.registers[step.ys[1]]))._register]
        if softmax.z in self.leaves:            # what p itself receives goes no further
            inner.append(crossEntropy(wrap(p, self.leaves[softmax.z]), wrap(t, None))._register)
        return [register for register in inner if register is not None]

    def fits(self, values):
        """Whether the entries would be the same for these values."""
        return self.signature == signature(values) and all(row.plans is plans for row, plans in self.plans.items())

    def renew(self, values):
        """Take other values of the same shapes."""
        self.values = values
        self.save(values)
        if self.inners:
            entries = self.tape.entries
            entries.clear()
            with recording(self.tape):
                for entry, pick, step in self.parts:
                    if pick is None:
                        inner = self.inner(step)
                        entry.ys = (*inner, *entry.ys[len(inner):])
                    entries.append(entry)

    def save(self, values):
        """Have each entry save what its rules read."""
        held = values + self.constants
        for entry, pick, _ in self.parts:
            if pick is not None:
                entry.saved = pick(held)

    def release(self):
        """Let go of the values."""
        self.values = None
        if self.inners:
            self.tape.entries.clear()
        for entry, pick, step in self.parts:
            if pick:
                entry.saved = None
            else:
                inner = self.inners[step]
                entry.ys = (*[None] * inner, *entry.ys[inner:])

    def sweep(self, seed):
        """{leaf: delta}, from a delta of the last z."""
        last = self.steps[-1]
        register, z = self.registers[last.slot], self.values[last.slot]
        if np.ndim(seed) and np.shape(seed) != np.shape(z):
            raise ShapeError(f"{last.where()}: a seed of shape {np.shape(seed)} for a value of shape {np.shape(z)}")
        if register is None:
            return {}
        delta = np.full(register.shape, seed, register.dtype)
        try:
            with np.errstate(all="ignore"), recording(self.tape):
                return sweep(arrays, [(register, delta)], consume=False)
        except Exception as error:
            step = self.stopped_at(error)
            raise step.failed(error, self.values, given(self.DG, step.name)) from error

    def stopped_at(self, error):
        """The step at whose entry, or one of whose entries, the sweep was when it failed."""
        at, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code is sweep.__code__:
                at = self.tape.entries.index(trace.tb_frame.f_locals["entry"])
            trace = trace.tb_next
        steps = {id(entry): step for entry, _, step in self.parts}
        return next(steps[id(entry)] for entry in self.tape.entries[at:] if id(entry) in steps)


def leaf_of(value):
    return Leaf(np.shape(value), _float(np.asarray(value).dtype))


def _float(dtype):
    return dtype if dtype.kind in "fc" else np.dtype(float)


def _rule(function, keywords, shape):
    """A user's derivative as a rule: it gets a delta that it may write into, and its result is brought to `shape`."""
    def rule(F, d, z, *operands):
        c = function(d.copy(), z, *operands, **keywords)
        if c is None:
            return None
        c = c._value if isinstance(c, Tensor) else np.asarray(c)
        if c.shape == shape:
            return c
        try:
            return c if np.broadcast_shapes(c.shape, shape) == c.shape else np.broadcast_to(c, shape).copy()
        except ValueError:
            raise ShapeError(f"a contribution of shape {c.shape} to an operand of shape {shape}") from None

    return rule
