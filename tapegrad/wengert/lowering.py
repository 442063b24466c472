"""Lowering: from an entry of a Wengert list to a node of a graph.

The row of the node is the first of these that applies:
  - a user's G and DG;
  - a row of the registry, if the entry has its operands only;
  - a function of tapegrad, which normalises axes and shapes: it is run on the values, and if it records a single row, and no
    array computed from values, the node has that row for all values of these shapes;
  - a function that records several rows is called as it is, and is recorded again when its derivative is needed, because
    what it does may depend on values. The course's formulas do not depend on them, and are run over nodes.
"""

from functools import partial

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.errors import ShapeError
from tapegrad.functions.tensor import Tensor
from tapegrad.graph.capture import enter
from tapegrad.primitives import Primitive, arrays
from tapegrad.primitives.node import Node, nodes
from tapegrad.primitives.plan import VALUE
from tapegrad.wengert.operators import COURSE, cross_entropy_of_scores, crossEntropy
from tapegrad.wengert.step import NUMBERS, kind_of, plain
from tapegrad.wengert.text import Name

ARRAY = Primitive("asarray", np.asarray, (lambda F, d, _z, _x: d,))
BOTH = Primitive("both", None, (lambda F, d, _z, _x, _y: d, lambda F, d, _z, _x, _y: d))


class Operator:
    """An operator that is not in the registry, as a row of a graph.

    g           function of the values of the positional arguments, then of the keyword arguments
    array_dg    a user's derivatives as rules, or None, for the positional arguments
    expand      function of the nodes of all arguments: the result as nodes of other rows; raises if there is no derivative
    lasting     whether `expand` returns the same nodes for all values of these shapes
    """

    variadic = elementwise = pointwise = weak = drops = False
    static_names, arity, by_user, complex, view = (), None, True, None, True

    def __init__(self, name, g, expand=None, dg=(), lasting=True):
        self.name, self.g, self.expand, self.dg, self.array_dg, self.lasting = name, g, expand, dg, dg, lasting
        self.reads = [[VALUE] * (1 + len(dg))] * len(dg)


def lowered(step, held, values, users, extras):
    """(row, operands, static) of the z of an entry.

    held      the node, or the literal, per slot
    values    the value per slot; those of the arguments must be there
    users     {operator: (the user's function or None, the user's derivatives or None)}
    extras    None if no derivative is needed; else a list to which crossEntropy of softmax appends inputs: (node, slot,
              whether its delta is added to that of the slot)
    """
    operands = [held[i] for i in (*step.ys, *step.keys.values())]
    g, dg = users.get(step.name, (None, None))
    if g is None and dg is None:
        return _own(step, held, operands, values, users, extras)
    forward = step.call if g is None else _value_of(step, _of_arguments(step, g, 0))
    if dg is not None:
        functions = functions_of(dg)
        if len(functions) != len(step.ys):
            raise step.error(f"DG[{step.name!r}] must have a function or None for each of the {len(step.ys)} arguments")
        rules = [f and _rule(_of_arguments(step, f, 2), np.shape(values[y])) for f, y in zip(functions, step.ys)]
        return Operator(step.name, forward, dg=[*rules, *[None] * len(step.keys)]), operands, ()
    expand, lasting = partial(_no_derivative, step), True
    if extras is not None and (step.function or step.row):
        row, own, static = _own(step, held, operands, values, users, extras)
        kind, lasting = kind_of(values[step.slot]), getattr(row, "lasting", True)
        expand = getattr(row, "expand", None) or (lambda *operands: Node(row, tuple(own), static, *kind))
    return Operator(step.name, forward, expand, lasting=lasting), operands, ()


def _own(step, held, operands, values, users, extras):
    """(row, operands, static), by tapegrad's operator."""
    if step.row is not None:
        return step.row, operands, ()
    if step.is_pair(values, users):
        return _of_scores(step, held, operands, extras)
    if step.function is None:
        return Operator(step.name, step.call, lambda *operands: step.tensor((), ())), operands, ()
    z, entries, leaves = step.record(values)
    if z._register is None:
        return Operator(step.name, step.call), operands, ()
    static = _static(step, entries[0], held, values) if len(entries) == 1 else None
    if static is not None and all([type(y) is Leaf or type(y) in NUMBERS for y in entries[0].operands]):
        row, chosen = entries[0].g, []
        for y in entries[0].operands:
            i = leaves.index(y) if type(y) is Leaf else None
            x = y if i is None else operands[i]
            if i is not None and static and type(values[step.ys[i]]) in NUMBERS:    # numbers lack methods that G may call
                x = Node(ARRAY, (x,), (), x.shape, x.dtype)
            chosen.append(x)
        return row, chosen, static
    if step.function in COURSE.values() and not step.keys:
        formula = step.function.func
        return Operator(step.name, partial(formula, arrays), partial(formula, nodes)), operands, ()
    expand = None if extras is None else partial(_recorded, step, values)
    return Operator(step.name, step.call, expand, lasting=False), operands, ()


def _static(step, entry, held, values):
    """The static arguments of an entry, valid for all values of these shapes; arrays given by name are replaced by nodes.

    None if they depend on values in another way.
    """
    by_name = {id(values[i]): i for key, i in step.keys.items() if isinstance(step.keywords[key], Name)}
    if entry.g.name == "getitem" and len(by_name) == 1:                 # the index in the entry is a copy
        static = tuple([held[i] for i in by_name.values() if type(values[i]) is np.ndarray])
        return static or None
    static = tuple([held[by_name.pop(id(x))] if type(x) is np.ndarray and id(x) in by_name else x for x in entry.static])
    items = [item for x in static for item in (x if type(x) is tuple else (x,))]
    return None if by_name or any([isinstance(item, np.ndarray) for item in items]) else static


def _of_scores(step, held, operands, extras):
    """crossEntropy(p, t) with p = softmax(o): its delta is passed to o directly, as (p sum(t) - t) times that of z.

    The delta of p itself is reported, but not propagated.
    """
    p_alone, t_alone = [Node(None, (), (), x.shape, x.dtype) if isinstance(x, Node) else x for x in operands]
    if extras is not None:
        extras += (p_alone, step.ys[0], True), (t_alone, step.ys[1], False)

    def expand(o, p, t):
        z = cross_entropy_of_scores(nodes, o, t)
        return Node(BOTH, (z, crossEntropy(nodes, p_alone, t_alone)), (), z.shape, z.dtype)

    row = Operator(step.name, lambda o, p, t: cross_entropy_of_scores(arrays, o, t), expand)
    return row, [held[step.pair[1]], *operands], ()


def _recorded(step, values, *operands):
    """The node of z, from the entries that the function records when it is run on the values."""
    z, entries, leaves = step.record(values)
    if not np.allclose(z._value, values[step.slot], rtol=1e-3, equal_nan=True):
        raise step.error(f"{step.name} computes another value than the one in val, where its derivative is taken; draw "
                         "random numbers outside of the list, and pass them in val under a name")
    found = {id(leaf): y for leaf, y in zip(leaves, operands) if leaf is not None}
    enter(entries, found)
    return found[id(z._register)]


# A user's functions

def _no_derivative(step, *operands):
    raise step.error(f"{step.name} has no derivative: it is in G, but not in DG")


def functions_of(dg):
    """A user's derivatives of an operator, as a list; empty if the given object is not a sequence."""
    return [dg[i] for i in range(len(dg))] if hasattr(dg, "__getitem__") else []


def _of_arguments(step, function, before):
    """A user's function, as a function of `before` values, then the positional arguments, then the values of keywords."""
    if not step.keys:
        return function
    count = before + len(step.ys)
    return lambda *arguments: function(*arguments[:count], **dict(zip(step.keys, arguments[count:])))


def _value_of(step, function):
    def g(*arguments):
        z = function(*arguments)
        return z if type(z) is np.ndarray else plain(step.z, z)

    return g


def _rule(function, shape):
    """A user's derivative by an argument of this shape, as a rule; its result is broadcast to the shape."""
    def rule(F, d, *arguments):
        c = function(d, *arguments)
        if type(c) is not np.ndarray:
            if c is None:
                return None
            c = c._value if isinstance(c, Tensor) else np.asarray(c)
        if c.shape == shape:
            return c
        try:
            return c if np.broadcast_shapes(c.shape, shape) == c.shape else np.broadcast_to(c, shape).copy()
        except ValueError:
            raise ShapeError(f"expected a contribution to an operand of shape {shape}, got shape {c.shape}") from None

    return rule
