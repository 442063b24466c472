"""What the oracle has for a tensor and for the tape: nodes that know what a delta flows to.

A tensor is an array and a node, or none; a node is a register. What is uncertain, because it depends on how derivatives are
written, is said to be so: whether a gradient is a constant, or whether a delta arrives.
"""

import numpy as np

NO, MAYBE, YES = range(3)


class Refused(Exception):
    def __init__(self, *kinds):
        super().__init__(*kinds)
        self.kinds = set(kinds)


class Tensor:
    """fixed: whether it stands for a leaf, into which no write can be recorded; on_tape: whether its maker has recorded it."""

    def __init__(self, array, node=None):
        array, self.fixed = np.asarray(array), False
        array = array if array.flags.writeable else array.copy()
        self.array, self.node, self.retained, self.on_tape = array, node, None, node is not None

    @property
    def where(self):
        """What holds its gradient."""
        return self.node if self.node is not None and self.node.is_leaf else self.retained

    def retain(self):
        self.retained = Retained()
        self.node.retained.append(self.retained)


class Node:
    """A register.

    parents   nodes that its delta flows to, if it has one; maybe: those that it may flow to
    sure      whether it is one: a gradient that turns out to be a constant has none
    run       (outputs, targets) of the sweep that a gradient is the result of
    stale     a function that says whether what it read has changed
    """

    def __init__(self, thread, shape, parents=(), maybe=(), sure=True, is_leaf=False):
        self.thread, self.shape, self.is_leaf = thread, shape, is_leaf
        self.parents, self.maybe = [list(dict.fromkeys(x for x in xs if x is not None)) for xs in (parents, maybe)]
        self.sure, self.payload, self.run, self.stale = sure, None, None, None
        self.hooks, self.retained, self.consumed, self.grad, self.order, self.unclear = [], [], NO, None, 0, False

    @property
    def factor(self):
        return float(np.prod([h.factor for h in self.hooks if h.active and h.factor not in (None, "raise")]))


class Retained:
    """unclear: whether a gradient of zeros may as well be none, or another array."""

    grad, unclear = None, False


class Hook:
    def __init__(self, name, factor):
        self.name, self.factor, self.active = name, factor, True


class Pullback:
    """out is as it was returned, whatever becomes of it; chosen stands for the arguments; nested, recording: at that time."""

    def __init__(self, out, chosen, nested, recording):
        self.out, self.chosen, self.nested, self.recording = Tensor(out.array.copy(), out.node), chosen, nested, recording


def reached(nodes, thread, maybe=False):
    """What deltas of nodes flow to in a thread; consumed nodes and those of other threads are an end."""
    found, todo = {}, [node for node in nodes if node is not None]
    while todo:
        node = todo.pop()
        if node not in found:
            found[node] = None
            if node.consumed != YES and (node.thread == thread or node.is_leaf):
                todo += node.parents + (node.maybe if maybe else [])
    return found


def outside_of(inside, node, maybe=True):
    """The nodes that one is computed from by nodes that are inside, and that are not."""
    found, todo = {}, [] if node is None else [node]
    while todo:
        node = todo.pop()
        if node not in found:
            found[node] = None
            todo += [] if node not in inside else [*node.parents, *node.maybe] if maybe else node.parents
    return [node for node in found if node not in inside]


def depends(node, targets, known):
    if node not in known:
        known[node] = node in targets or any(depends(y, targets, known) for y in (*node.parents, *node.maybe))
    return known[node]
