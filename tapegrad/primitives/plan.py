"""A plan: which derivatives the sweep runs for an entry, and what the tape keeps for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NOTHING, VALUE, SHAPE = range(3)
Rule = Callable[..., Any]
Rules = tuple[tuple[int, Rule], ...]


class Plan:
    """Made by a row for each combination of operands that want a delta, and shared by all its entries.

    arrays     pairs (position of the operand, its rule) for a sweep over arrays
    recorded   the same for a sweep that is itself recorded
    keep       what is saved of z, y1, .., yk: NOTHING, VALUE or SHAPE each
    hooks      functions that replace the delta of z before the rules read it
    whole      a rule for all operands, or None: it is run once, and the rules get the sequence that it returns for d
    direct     what `whole` computes over arrays, as a function of (d, *saved) that needs no sweep around it, or None. The rules
               then take from it what is theirs: rule i gives item i
    jointly    that for arrays only (Primitive.fast); what rules there are for arrays pick their own from what it returns
    drops      whether deltas further down may be 0 where a value is not finite (Primitive.drops)
    prepares   whether there is anything to do before the rules are run: hooks, such rules, or telling the sweep of the zeros
    observed   the plan as it was before somebody else saw what the rules give, or None
    """

    __slots__ = ("arrays", "recorded", "keep", "hooks", "whole", "direct", "jointly", "drops", "prepares", "observed")

    def __init__(self, arrays: Rules, recorded: Rules, keep: tuple[int, ...], hooks: tuple[Rule, ...] = (),
                 whole: Rule | None = None, drops: bool = False, observed: Plan | None = None,
                 direct: Rule | None = None, jointly: Rule | None = None) -> None:
        self.arrays, self.recorded, self.keep, self.hooks, self.whole = arrays, recorded, keep, hooks, whole
        self.drops, self.observed, self.direct, self.jointly = drops, observed, direct, jointly
        self.prepares = bool(hooks) or whole is not None or jointly is not None or drops

    def hooked(self, function: Rule) -> Plan:
        """This plan with one hook more, called after those that are there."""
        return Plan(self.arrays, self.recorded, self.keep, (*self.hooks, function), self.whole, self.drops, self.observed,
                    jointly=self.jointly)

    def by(self, whole: Rule, direct: Rule | None = None) -> Plan:
        """This plan with a rule for all operands."""
        return Plan(self.arrays, self.recorded, self.keep, self.hooks, whole, self.drops, self.observed, direct)

    def mapped(self, change: Callable[[int, Rule], Rule]) -> Plan:
        """This plan with `change(position, rule)` in the place of each rule, which observes it."""
        arrays = tuple([(i, change(i, rule)) for i, rule in self.arrays])
        if self.arrays == self.recorded:
            return Plan(arrays, arrays, self.keep, self.hooks, self.whole, self.drops, self, jointly=self.jointly)
        recorded = tuple([(i, change(i, rule)) for i, rule in self.recorded])
        return Plan(arrays, recorded, self.keep, self.hooks, self.whole, self.drops, self, jointly=self.jointly)

    def joined(self, position: int, rule: Rule) -> Plan:
        """This plan with a rule more, for an operand at `position`."""
        pair: Rules = (position, rule),
        return Plan(self.arrays + pair, self.recorded + pair, self.keep, self.hooks, self.whole, self.drops, self.observed,
                    jointly=self.jointly)
