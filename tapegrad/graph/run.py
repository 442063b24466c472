"""Running a graph over arrays: straight through its nodes.

A graph is made ready once, and run as often as there are values for its inputs. Values stand in numbered slots. A delta that
nothing else holds is added to in place, by the fast way that a rule may have for that, and let go of when it has been read.
"""

from collections import Counter
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
    """A graph made ready: `run(values of the inputs)` gives the values of the outputs; None for a delta where nothing flows.

    Nodes of rows run first, in `forward`, and those of derivatives after them, in `reverse`.
    """

    def __init__(self, inputs, outputs):
        order = reached(outputs, inputs)
        self.slots = {node: slot for slot, node in enumerate([*inputs, *order])}
        self.blank, self.inputs = [None] * len(self.slots), len(inputs)
        self.forward, self.reverse, self.outputs = [], [], [self.slots[node] for node in outputs]
        uses = Counter([*outputs, *[x for node in order for x in node.operands if isinstance(x, Node)]])
        added = {node: node.operands[1] for node in order if node.row.name == "add" and _is_derivative(node.operands[1])}
        left, merged = uses.copy(), set(added.values())
        for node in order:
            if node not in merged:
                c = added.get(node, node)
                if _is_derivative(c):
                    left[c.operands[0]] -= 1
                    self._enter_derivative(node, c, left[c.operands[0]] == 0, uses)
                else:
                    self._enter(node)

    def _place(self, x):
        if isinstance(x, Node):
            return self.slots[x]
        self.blank.append(x)
        return len(self.blank) - 1

    def _enter(self, node):
        row = _Variadic(node.row, len(node.operands)) if node.row.variadic else node.row
        places = [self._place(x) for x in (*node.operands, *node.static)]
        first, second = [*places, None, None][:2] if len(places) in (1, 2) else (None, None)
        pick = _picker(places) if first is None else None
        self.forward.append((row, first, second, pick, self.slots[node], node))

    def _enter_derivative(self, node, c, last, uses):
        """c is a contribution, and node is c, or the sum of a delta and c; `last`: nothing reads the delta of z after this."""
        d, *saved = c.operands
        held = None if node is c else node.operands[0]
        self.reverse.append((
            c.row, c.row.row if c.row.plain else None, c.row.i, self.slots[d], last,
            _picker([self._place(x) for x in (*saved, *c.static)]), node.shape, node.dtype,
            None if held is None else self.slots[held], held is not None and uses[held] == 1, self.slots[node], node))

    def run(self, values, failed):
        """The values of the outputs. `failed(node, error)` makes the error that is raised where a node can't be run."""
        values, node = [*values, *self.blank[self.inputs:]], None
        try:
            if not self.reverse:
                self._forward(values)
            else:
                with np.errstate(all="ignore"):         # a derivative that is infinite is no news
                    self._forward(values)
                    self._reverse(values)
        except _Failed as stopped:
            raise failed(stopped.node, stopped.__cause__) from stopped.__cause__
        finally:
            arrays.memo.clear()
        return [values[slot] for slot in self.outputs]

    def _forward(self, values):
        node = None
        try:
            for row, x, y, pick, out, node in self.forward:
                if pick is not None:
                    values[out] = row.g(*pick(values))
                elif y is None:
                    values[out] = row.g(values[x])
                else:
                    values[out] = row.g(values[x], values[y])
        except Exception as error:
            raise _Failed(node) from error

    def _reverse(self, values):
        in_place, node = arrays.in_place, None
        try:
            for derivative, row, i, place, last, pick, shape, dtype, before, alone, out, node in self.reverse:
                d = values[place]
                if d is None:
                    continue
                rule = derivative.rule() if row is None else row.array_dg[i]
                held = c = None
                if before is not None:
                    held = values[before]
                lone = alone and type(held) is ndarray and getrefcount(held) == LONE_LOCAL and held.base is None
                if last:
                    values[place] = None
                if lone and rule in in_place and in_place[rule](held, d, *pick(values)):
                    c = held
                else:
                    c = _by_user(derivative, rule, d, pick(values)) if derivative.by_user else rule(arrays, d, *pick(values))
                    if c is None:
                        c = held
                    else:
                        if c.shape != shape or c.dtype is not dtype:
                            c = fit(arrays, c, shape, dtype)
                        if held is not None:
                            if lone:
                                held += c
                                c = held
                            else:
                                c = held + c
                if alone:
                    values[before] = None
                values[out] = c
        except Exception as error:
            raise _Failed(node) from error


def _by_user(derivative, rule, d, saved):
    """The contribution by a user's rule. If it writes into d, it gets a copy, from then on."""
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


class _Failed(Exception):
    def __init__(self, node):
        self.node = node


class _Variadic:
    """The G of a variadic row, called with its operands one by one."""

    def __init__(self, row, count):
        self.row, self.count = row, count

    def g(self, *values):
        return self.row.g(values[:self.count], *values[self.count:])


def _is_derivative(x):
    return isinstance(x, Node) and isinstance(x.row, Derivative)


def _picker(places):
    """Function of a list: the items at these places, as a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple([values[place] for place in places])


def evaluated(graph, values):
    """{node: value} of all nodes of a graph and its inputs, from {input: value}."""
    ready = Ready(graph.inputs, graph.nodes)
    found = ready.run([values[node] for node in graph.inputs], lambda node, error: error)
    return {**values, **dict(zip(graph.nodes, found))}
