"""Nodes: what a primitive gives when it is run over nodes, an operation of a graph that nothing computes yet.

    Node(row, operands, static, shape, dtype)    z = row(*operands, *static)

A node without a row is an input. Operands are nodes, or constants: Python numbers and arrays. `nodes` is the third
vocabulary F, beside `arrays` and `recorded`: a derivative rule that is run over it becomes a part of the graph. A rule asks
for shapes and dtypes; `inferred` finds those of a result by running G on arrays that stand in for the operands, once for
each combination of shapes, dtypes and static arguments. A node is not changed once it is made, and is equal to itself only:
x == y is a node, too. tapegrad/graph/ is what is done with nodes.
"""

from itertools import count
from math import prod

import numpy as np

from tapegrad.primitives.plan import VALUE
from tapegrad.primitives.registry import Primitive, Vocabulary

REMEMBERED = 10_000                     # results of `inferred`
_serial = count()
_known = {}
_lifted = {}


class Node:
    """An operation of a graph, or an input (row None).

    row             of the registry, or one that is made like those
    operands        nodes, Python numbers and arrays
    static          the arguments that are not operands: axes, shapes, indices
    shape, dtype    of the result
    serial          nodes in the order in which they were made: operands come before what uses them
    """

    __slots__ = ("row", "operands", "static", "shape", "dtype", "serial")
    __hash__ = object.__hash__
    __array_ufunc__ = __iter__ = None   # NumPy's arrays and scalars leave their operators to us

    def __init__(self, row, operands, static, shape, dtype):
        self.row, self.operands, self.static, self.shape, self.dtype = row, operands, static, shape, dtype
        self.serial = next(_serial)

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: prod(self.shape))
    T = property(lambda self: nodes.transpose(self, None))

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        return nodes.getitem(self, index)

    def __bool__(self):
        raise TypeError("a rule cannot branch on a value: use F.where")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a node has no value: this function is no primitive")

    def __repr__(self):
        return f"<node {'input' if self.row is None else self.row.name} {self.dtype} {self.shape}>"

    def __neg__(self):
        return nodes.negative(self)

    def __abs__(self):
        return nodes.absolute(self)


OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "matmul": "matmul", "pow": "power", "eq": "equal",
    "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
for _method, _name in OPERATORS.items():
    setattr(Node, f"__{_method}__", lambda x, y, name=_name: getattr(nodes, name)(x, y))
    setattr(Node, f"__r{_method}__", lambda x, y, name=_name: getattr(nodes, name)(y, x))


def node_of(row, operands, static=()):
    """The node of z = row(*operands, *static), with the shape and dtype that G gives."""
    more = [x for x in _parts(static) if isinstance(x, Node)]
    if more:
        row, operands, static = lifted(row, len(operands), static), (*operands, *more), ()
    return Node(row, operands, static, *inferred(row, operands, static))


def _parts(static):
    return [part for item in static for part in (_parts(item) if isinstance(item, tuple) else (item,))]


def lifted(row, count, static):
    """A row of `count` operands with static arguments, some of which are nodes, as a row whose further operands these are.

    They have no derivative. An index that is computed, or given at each call, is one. Static arguments that are alike make one
    row, so that steps of a loop are alike.
    """
    if any([isinstance(x, np.ndarray) for x in _parts(static)]):
        return _lift(row, count, static)
    key = row, count, _text(static)
    if key not in _lifted:
        if len(_lifted) >= REMEMBERED:
            _lifted.clear()
        blanks = [Node(None, (), (), x.shape, x.dtype) for x in _parts(static) if isinstance(x, Node)]
        _lifted[key] = _lift(row, count, _filled(static, iter(blanks)))     # it must not hold the graph
    return _lifted[key]


def _lift(row, count, static):
    more = sum(isinstance(x, Node) for x in _parts(static))

    def filled(values):                                 # in a recorded sweep they are tensors
        return _filled(static, iter([x if isinstance(x, Node) else getattr(x, "_value", x) for x in values]))

    def g(*xs):
        return row.g(xs[:count], *filled(xs[count:])) if row.variadic else row.g(*xs[:count], *filled(xs[count:]))

    def rule(i):
        if row.variadic:
            return lambda F, d, z, *xs: row.dg[0](i, F, d, z, xs[:count], *filled(xs[count:]))
        return row.dg[i] and (lambda F, d, z, *xs: row.dg[i](F, d, z, *xs[:count], *filled(xs[count:])))

    made = Primitive(row.name, g, (*[rule(i) for i in range(count)], *[None] * more), complex=row.complex, view=row.view)
    made.lifted = row, static
    for i in range(count):
        if made.reads[i] is not None:
            z, *own = row.reads[0 if row.variadic else i]
            made.reads[i] = [z, *(own[:1] * count if row.variadic else own[:count]), *[VALUE] * more]
    return made


def _filled(static, values):
    return tuple([_filled(item, values) if isinstance(item, tuple) else next(values) if isinstance(item, Node) else item
                  for item in static])


def maker(row):
    """The function of nodes that a row is."""
    if row.variadic:
        return lambda xs, *static: node_of(row, tuple(xs), static)
    return lambda *arguments: node_of(row, arguments[:row.arity], arguments[row.arity:])


nodes = Vocabulary(of_row=maker)


def inferred(row, operands, static=()):
    """(shape, dtype) of row(*operands, *static)."""
    key = row, tuple(map(_kind, operands)), _text(static)
    if key not in _known:
        if len(_known) >= REMEMBERED:
            _known.clear()
        with np.errstate(all="ignore"):
            _known[key] = _run(row, operands, static)
    return _known[key]


def _kind(x):
    return (x.shape, x.dtype) if hasattr(x, "dtype") else type(x)


def _text(static):
    """What static arguments are told apart by. Of an array it is the shape, unless it chooses elements by its values."""
    if isinstance(static, tuple):
        return tuple([_text(item) for item in static])
    if isinstance(static, np.ndarray):
        return static.shape, static.dtype, static.tobytes() if static.dtype.kind == "b" else b""
    return repr(static)


def _run(row, operands, static):
    if (kind := getattr(row, "kind", None)) is not None:
        return kind(operands)
    if row.elementwise:                                 # its time should not depend on the size
        stand_ins = [np.ones((1,) * len(x.shape), x.dtype) if hasattr(x, "dtype") else x for x in operands]
        shape = np.broadcast_shapes(*[getattr(x, "shape", ()) for x in operands])
        return shape, np.result_type(row.plain(*stand_ins, *static))
    stand_ins = [stand_in(x.shape, x.dtype) if isinstance(x, Node) else x for x in operands]
    z = row.plain(stand_ins, *static) if row.variadic else row.plain(*stand_ins, *static)
    return np.shape(z), np.result_type(z)


def stand_in(shape, dtype):
    """Some array of a shape and dtype. As a matrix it has an inverse and a Cholesky factor; integers are 0, and so indices."""
    if dtype.kind in "biu":
        return np.zeros(shape, dtype)
    value = np.asarray(np.random.default_rng(0).uniform(0.9, 1.1, shape), dtype)
    return value + np.eye(*shape[-2:], dtype=value.dtype) if len(shape) >= 2 else value
