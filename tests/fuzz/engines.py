"""How the oracles compute values and derivatives. A register is a node; an engine puts its `payload` there.

Infinitesimals   a payload is a function of a Pass, which gives the parts of the node's value at infinitesimals. A gradient is
                 made element by element: the element is moved by an infinitesimal, and all that follows from it is computed.
"""

import numpy as np

from fuzz import infinitesimal as R
from fuzz.infinitesimal import Number, Undefined
from fuzz.operations import OPERATIONS


class Start:
    """The pass that moves nothing."""

    bit, levels = 0, ()

    def __call__(self, node):
        return {}


class Pass:
    """What nodes are when a target is moved by one more infinitesimal than in the pass around it.

    moved    {target: the number that goes with the infinitesimal}
    factors  {node: what its hooks multiply its delta with}
    depends  {node: whether it depends on a target}, shared by the passes of a gradient
    """

    def __init__(self, outer, moved, factors, depends):
        self.outer, self.moved, self.bit = outer, moved, outer.bit * 2 or 1
        self.levels = (*outer.levels, (self.bit, factors, moved))
        self.depends, self.known = depends, {}

    def __call__(self, node):
        """The parts of a node beside its value."""
        if node is None:
            return {}
        if not self.concerns(node):
            return self.outer(node)
        if node not in self.known:
            parts = {s: part for s, part in node.payload(self).parts.items() if s}
            for bit, factors, moved in self.levels:
                if node in factors:
                    if any(s & bit and s != bit for s in parts):
                        raise Undefined("hooks that change what is differentiated twice")
                    if bit in parts:
                        parts[bit] = parts[bit] * factors[node]
                if node in moved:
                    for s, part in moved[node].parts.items():
                        parts[s | bit] = parts.get(s | bit, 0.0) + part
            self.known[node] = parts
        return self.known[node]

    def concerns(self, node):
        if node not in self.depends:
            self.depends[node] = node in self.moved or any(self.concerns(y) for y in (*node.parents, *node.maybe))
        return self.depends[node]

    def taken(self, x):
        """What goes with the infinitesimal of this pass."""
        found = {s & ~self.bit: part for s, part in x.parts.items() if s & self.bit}
        return Number({0: np.zeros(x.shape), **found})


class Infinitesimals:
    order = 3                                           # of derivatives; higher ones take too long
    errors = ValueError, IndexError                     # of NumPy, where something does not fit

    def leaf(self, array):
        return lambda around: R.number(array)

    def again(self, payload):
        """The payload of another node with the same value and derivative."""
        return payload

    def number(self, around, node, array):
        return Number({**(around(node) if node is not None else {}), 0: array})

    def alias(self, node, array):
        return lambda around: self.number(around, node, array)

    def apply(self, name, parameters, operands):
        """The value, and the payload, of an operation on pairs (node or None, array)."""
        function, saved = OPERATIONS[name][2], [(node, np.array(x)) for node, x in operands]
        value = function(*[R.number(x) for _, x in saved], *parameters).value
        return value, lambda around: function(*[self.number(around, node, x) for node, x in saved], *parameters)

    def gradients(self, outputs, targets, factors):
        """[(array, payload)] of the targets, where outputs are pairs (node, (node or None, seed))."""
        found, outputs = [], [(node, (seed_node, np.array(seed))) for node, (seed_node, seed) in outputs]
        for target in targets:
            def payload(around, target=target, depends=None):
                depends = {}
                pieces = []
                for k in np.ndindex(target.shape):
                    step = np.zeros(target.shape)
                    step[k] = 1.0
                    inside = Pass(around, {target: R.number(step)}, factors, depends)
                    piece = R.number(0.0)
                    for node, (seed_node, seed) in outputs:
                        moved = inside.taken(Number({0: np.zeros(node.shape), **inside(node)}))
                        piece = piece + R.total(moved * self.number(around, seed_node, seed))
                    pieces.append(piece)
                return R.joined(lambda vs: np.array(vs).reshape(target.shape), pieces) if pieces else R.number(
                    np.zeros(target.shape))

            found.append((payload(Start()).value, payload))
        return found

    def tangent(self, output, target, tangent):
        tangent = tangent[0], np.array(tangent[1])

        def payload(around):
            moved = {target: self.number(around, *tangent)}
            inside = Pass(around, moved, {}, {})
            return inside.taken(Number({0: np.zeros(output.shape), **inside(output)}))

        return payload(Start()).value, payload

    def jacobian(self, output, target):
        if 0 in target.shape:
            raise Undefined("a Jacobian without columns")

        def payload(around):
            columns, depends = [], {}
            for k in np.ndindex(target.shape):
                step = np.zeros(target.shape)
                step[k] = 1.0
                inside = Pass(around, {target: R.number(step)}, {}, depends)
                columns.append(inside.taken(Number({0: np.zeros(output.shape), **inside(output)})))
            return R.joined(lambda vs: np.stack(vs, -1).reshape((*output.shape, *target.shape)), columns)

        return payload(Start()).value, payload
