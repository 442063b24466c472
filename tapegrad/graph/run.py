"""Running a graph over arrays, node by node.

A graph is prepared once, and can be run any number of times. Values are stored in numbered slots. A delta that nothing else
holds is added to in place, by the row's fast accumulation if it has one, and released after its last use.
"""

from collections import Counter
from contextlib import nullcontext
from operator import itemgetter
from sys import getrefcount

import numpy as np
from numpy import ndarray

from tapegrad.core.refcount import LONE_LOCAL
from tapegrad.core.sweep import fit
from tapegrad.graph.graph import reached
from tapegrad.graph.reverse import Derivative
from tapegrad.primitives import arrays
from tapegrad.primitives.node import Node


class Ready:
    """A prepared graph: `run(values of the inputs)` returns the values of the outputs, or None for a delta that is zero."""

    def __init__(self, inputs, outputs):
        order = reached(outputs, inputs)
        self.slots = {node: slot for slot, node in enumerate([*inputs, *order])}
        self.inputs, self.blank, self.outputs = len(inputs), [None] * len(self.slots), [self.slots[node] for node in outputs]
        left = Counter([*outputs, *[x for node in order for x in node.operands if isinstance(x, Node)]])
        uses, added = left.copy(), {node: node.operands[1] for node in order if _adds_contribution(node)}
        merged, self.steps, self.reverse = set(added.values()), [], False
        for node in order:
            if node in merged:                          # computed together with the node that adds it
                continue
            c, row, flow = added.get(node, node), node.row, None
            arguments = c.operands
            if type(c.row) is Derivative:
                d, *arguments = c.operands
                left[d] -= 1
                held = None if c is node else node.operands[0]
                row, self.reverse = c.row, True
                flow = self.slots[d], left[d] == 0, self.slots.get(held), held is not None and uses[held] == 1
            elif row.variadic:
                row = _Variadic(row, len(arguments))
            places = [self._place(x) for x in (*arguments, *c.static)]
            self.steps.append((node, row, _items(places), flow, self.slots[node]))

    def _place(self, x):
        if isinstance(x, Node):
            return self.slots[x]
        self.blank.append(x)
        return len(self.blank) - 1

    def run(self, given, failed=None):
        """The values of the outputs. `failed(node, error)` returns the error to raise if a node fails."""
        values, in_place, node = [*given, *self.blank[self.inputs:]], arrays.in_place, None
        try:
            with np.errstate(all="ignore") if self.reverse else nullcontext():      # an infinite derivative is no error
                for node, row, items, flow, out in self.steps:
                    if flow is None:
                        values[out] = row.g(*items(values))
                        continue
                    place, last, before, alone = flow
                    d = values[place]
                    if d is None:                       # nothing is added to what there is
                        values[out] = None if before is None else values[before]
                        continue
                    rule = row.row.array_dg[row.i] if row.plain else row.rule()
                    held = c = None
                    if before is not None:
                        held = values[before]
                    lone = alone and type(held) is ndarray and getrefcount(held) == LONE_LOCAL and held.base is None
                    if last:
                        values[place] = None
                    if lone and rule in in_place and in_place[rule](held, d, *items(values)):
                        c = held
                    else:
                        c = _by_user(row, rule, d, items(values)) if row.by_user else rule(arrays, d, *items(values))
                        if c is None:
                            c = held
                        else:
                            if c.shape != node.shape or c.dtype is not node.dtype:
                                c = fit(arrays, c, node.shape, node.dtype)
                            if lone:
                                held += c
                                c = held
                            elif held is not None:
                                c = held + c
                    if alone:
                        values[before] = None
                    values[out] = c
        except Exception as error:
            if failed is None:
                raise
            raise failed(node, error) from error
        finally:
            arrays.memo.clear()
        return [values[slot] for slot in self.outputs]


def _by_user(derivative, rule, d, saved):
    """The contribution of a user's rule. Once it has written to d, it gets a copy from then on."""
    if derivative.writes or type(d) is not ndarray or not d.flags.writeable:
        return rule(arrays, d.copy(), *saved)
    d.flags.writeable = False
    try:
        return rule(arrays, d, *saved)
    except Exception:
        c = rule(arrays, d.copy(), *saved)
        derivative.writes = True
        return c
    finally:
        d.flags.writeable = True


class _Variadic:
    """The G of a variadic row, called with its operands as separate arguments."""

    def __init__(self, row, count):
        self.g = lambda *values: row.g(values[:count], *values[count:])


def _adds_contribution(node):
    x = node.operands[-1] if node.row.name == "add" else None
    return isinstance(x, Node) and type(x.row) is Derivative


def _items(places):
    """A function of a list that returns the items at these places, for unpacking."""
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(*places, places[0] + 1) if places else slice(0))


def evaluated(graph, values):
    """{node: value} of all nodes and inputs of a graph, from {input: value}."""
    ready = Ready(graph.inputs, graph.nodes)
    return {**values, **dict(zip(graph.nodes, ready.run([values[node] for node in graph.inputs])))}
