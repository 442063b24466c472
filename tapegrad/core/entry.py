"""Registers: what the names in a Wengert list stand for.

A recorded operation z = g(y1, .., yk) is an `Entry`, and the entry is also the register of z: the operands of later
entries are the entries that made them. A tensor that the user made and wants the gradient of has a `Leaf`. A constant
needs no register: it stands in an entry's operands as itself.

A register does not hold the tensor, and an entry does not hold its value: only the arrays that the derivatives read.
"""


class Entry:
    """One recorded operation.

    g       the primitive's row (primitives/registry.py)
    ys      the registers of the operands: Entry, Leaf, or a constant (a tensor or a Python number)
    plan    which derivatives are wanted and what they read: made by the row
    saved   (z, y1, .., yk, *static), with None where no derivative reads the value
    shape, dtype   of the result, and so of its delta
    delta   what the sweep has accumulated for the result
    tape    the tape that holds the entry; None once a backward() has consumed it
    name    the name that the user gave to the result (not set without one)
    where   the user's line that recorded it, or a trace's note of it (set while the thread is watched only)
    """

    __slots__ = ("g", "ys", "plan", "saved", "shape", "dtype", "delta", "tape", "name", "where")

    @property
    def operands(self):
        """The registers of the operands (`ys` may end with leaves that retain the delta)."""
        return self.ys[:len(self.plan) - 3]

    @property
    def static(self):
        """The arguments that are not operands: axes, shapes, indices."""
        return self.saved[2 if self.g.variadic else 1 + self.g.arity:]

    def retain(self, leaf):
        """Give `leaf` the delta of this entry, too: it becomes one more operand, whose derivative is 1."""
        array_rules, recorded_rules, *keep = self.plan
        hooks = self._hooks()
        rule = len(self.ys), _whole_delta if hooks is None else hooks.before(_whole_delta)
        self.ys, self.plan = (*self.ys, leaf), ((*array_rules, rule), (*recorded_rules, rule), *keep)

    def hook(self, function):
        """Have `function` replace the delta before the derivatives read it, after the hooks that are there."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.append(function)
        else:
            hooks = _Hooks(function)
            array_rules, recorded_rules, *keep = self.plan
            self.plan = (*[tuple([(i, hooks.before(rule)) for i, rule in rules]) for rules in (array_rules, recorded_rules)],
                         *keep)

    def _hooks(self):
        return next((rule.hooks for _, rule in self.plan[0] if hasattr(rule, "hooks")), None)


class _Hooks(list):
    """The functions that replace the delta of an entry, one after the other, and the last delta that they replaced."""

    def __init__(self, function):
        super().__init__([function])
        self.seen = None, None

    def before(self, rule):
        def with_hooks(F, d, *saved):
            return rule(F, self.replaced(d), *saved)

        with_hooks.hooks, with_hooks.plain = self, rule
        return with_hooks

    def replaced(self, d):
        if self.seen[0] is not d:
            new = d
            for function in self:
                new = function(new)
            self.seen = d, new
        return self.seen[1]


def _whole_delta(F, d, *saved):
    return d


class Leaf:
    """The register of a tensor made by the user that requires a gradient: there the gradient accumulates.

    hooks    functions that a sweep applies to the delta of the leaf
    tensor   a weak reference to the tensor, or None
    """

    __slots__ = ("shape", "dtype", "grad", "name", "hooks", "tensor")

    def __init__(self, shape, dtype, name=None):
        self.shape, self.dtype, self.grad, self.name, self.hooks, self.tensor = shape, dtype, None, name, (), None

    def hook(self, function):
        """Have `function` replace the delta at the end of a sweep."""
        self.hooks = (*self.hooks, function)


class Handle:
    """What a user's variable holds: the base of Tensor, so that a listing can find the variable of a register."""

    __slots__ = ()
