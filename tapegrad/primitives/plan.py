"""A plan: which derivatives the sweep runs for an entry, and what the tape keeps for them."""

NOTHING, VALUE, SHAPE = range(3)


class Plan:
    """Made by a row for each combination of operands that want a delta, and shared by all its entries.

    arrays     pairs (position of the operand, its rule) for a sweep over arrays
    recorded   the same for a sweep that is itself recorded
    keep       what is saved of z, y1, .., yk: NOTHING, VALUE or SHAPE each
    hooks      functions that replace the delta of z before the rules read it
    """

    __slots__ = ("arrays", "recorded", "keep", "hooks")

    def __init__(self, arrays, recorded, keep, hooks=()):
        self.arrays, self.recorded, self.keep, self.hooks = arrays, recorded, keep, hooks

    def hooked(self, function):
        """This plan with one hook more, called after those that are there."""
        return Plan(self.arrays, self.recorded, self.keep, (*self.hooks, function))

    def mapped(self, change):
        """This plan with `change(position, rule)` in the place of each rule."""
        arrays = tuple([(i, change(i, rule)) for i, rule in self.arrays])
        if self.arrays == self.recorded:
            return Plan(arrays, arrays, self.keep, self.hooks)
        return Plan(arrays, tuple([(i, change(i, rule)) for i, rule in self.recorded]), self.keep, self.hooks)

    def joined(self, position, rule):
        """This plan with a rule more, for an operand at `position`."""
        pair = (position, rule),
        return Plan(self.arrays + pair, self.recorded + pair, self.keep, self.hooks)
