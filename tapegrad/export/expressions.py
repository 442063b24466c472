"""Expressions: what a rule becomes when it is run over symbols, the nodes of a graph that is written out as NumPy text.

An expression carries a value, too, of its shape and dtype and without meaning otherwise: rules ask for shapes, and by
computing along, no operation needs a description of what shape it gives.
"""

import math
import operator
from itertools import count

import numpy as np

from tapegrad.errors import describe

NOTHING, COMPARED, SUM, PRODUCT, SIGN, POWER, ATOM = range(7)      # how tightly a text holds together
_order = count()


class Expression:
    """A node.

    parts      its text: strings, and pairs (operand, how tightly that must hold together)
    level      how tightly the whole holds together
    value      an array of its shape and dtype
    name       the variable to assign it to, where it gets one
    pinned     whether it is to get one in any case
    held       for the sum of a delta and a further contribution: the delta
    index      where the contribution is added, if it is to some elements of the delta only
    fresh      whether it makes an array of its own, and no view of another
    order      expressions are written in the order in which they were made
    """

    __slots__ = "parts", "level", "value", "name", "pinned", "held", "index", "fresh", "order"
    __hash__ = object.__hash__
    __array_ufunc__ = None                              # NumPy's arrays and scalars leave their operators to us

    def __init__(self, parts, level, value, name=None, pinned=False, held=None, index=None, fresh=True):
        self.parts, self.level, self.value, self.name, self.pinned, self.held = parts, level, value, name, pinned, held
        self.index, self.fresh = index, fresh and getattr(value, "base", None) is None
        self.order = next(_order)

    @property
    def operands(self):
        return [part[0] for part in self.parts if type(part) is tuple]

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    dtype = property(lambda self: self.value.dtype)
    size = property(lambda self: self.value.size)
    T = property(lambda self: Expression(((self, ATOM), ".T"), ATOM, self.value.T, fresh=False))

    def __len__(self):
        return len(self.value)

    def __bool__(self):
        raise TypeError("it branches on a value")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("it uses a function that is no primitive")

    def __getitem__(self, index):
        return Expression(((self, ATOM), "[", *subscript(index), "]"), ATOM, self.value[index], fresh=False)


def value_of(x):
    return x.value if isinstance(x, Expression) else x


def infix(symbol, level, function, right=None):
    """The function of two operands that writes x `symbol` y. Equal operators group from the left, except for **."""
    left, right = (level + 1, level) if symbol == "**" else (level, level + 1)

    def written(x, y):
        return Expression(((x, left), f" {symbol} ", (y, right)), level, function(value_of(x), value_of(y)))

    return written


INFIX = {
    "add": infix("+", SUM, np.add), "subtract": infix("-", SUM, np.subtract), "multiply": infix("*", PRODUCT, np.multiply),
    "divide": infix("/", PRODUCT, np.divide), "@": infix("@", PRODUCT, np.matmul), "power": infix("**", POWER, operator.pow),
    "equal": infix("==", COMPARED, np.equal), "not_equal": infix("!=", COMPARED, np.not_equal),
    "less": infix("<", COMPARED, np.less), "less_equal": infix("<=", COMPARED, np.less_equal),
    "greater": infix(">", COMPARED, np.greater), "greater_equal": infix(">=", COMPARED, np.greater_equal),
}
for _method, _name in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "matmul": "@",
                       "pow": "power"}.items():
    setattr(Expression, f"__{_method}__", lambda x, y, written=INFIX[_name]: written(x, y))
    setattr(Expression, f"__r{_method}__", lambda y, x, written=INFIX[_name]: written(x, y))
for _method, _name in {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
                       "ge": "greater_equal"}.items():
    setattr(Expression, f"__{_method}__", lambda x, y, written=INFIX[_name]: written(x, y))


def negative(x):
    return Expression(("-", (x, SIGN)), SIGN, -value_of(x))


Expression.__neg__ = negative


def literal(x):
    """(text, how tightly it holds together) of what is not an expression or an array."""
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x)), ATOM
    if isinstance(x, np.dtype):
        return "bool" if x.kind == "b" else f"np.{x.name}", ATOM
    if isinstance(x, np.generic):
        return f"np.{x.dtype.name}({literal(x.item())[0]})", ATOM
    if isinstance(x, complex):
        return f"complex({literal(x.real)[0]}, {literal(x.imag)[0]})", ATOM
    if isinstance(x, float) and not math.isfinite(x):
        return "np.nan" if math.isnan(x) else "np.inf" if x > 0 else "-np.inf", SIGN if x < 0 else ATOM
    if isinstance(x, (int, float)):
        return repr(x), ATOM if math.copysign(1, x) > 0 else SIGN
    if isinstance(x, tuple):
        items = [literal(item)[0] for item in x]
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})", ATOM
    if isinstance(x, slice):
        return f"slice({', '.join([literal(end)[0] for end in (x.start, x.stop, x.step)])})", ATOM
    if x is None or x is Ellipsis or isinstance(x, str):
        return "..." if x is Ellipsis else repr(x), ATOM
    raise TypeError(f"{describe(x)} can't be written")


def argument(x):
    """The parts of an argument in a call."""
    if isinstance(x, (Expression, np.ndarray)):
        return ((x, NOTHING),)
    if isinstance(x, tuple) and any(isinstance(item, np.ndarray) for item in x):
        return ("(", *joined(x), ",)" if len(x) == 1 else ")")
    return (literal(x)[0],)


def joined(items):
    """The parts of arguments, with commas between them."""
    parts = []
    for item in items:
        parts += [", ", *argument(item)] if parts else argument(item)
    return parts


def subscript(index):
    """The parts of what stands in brackets: `:, 1:3` for (slice(None), slice(1, 3))."""
    parts = []
    for item in index if type(index) is tuple else (index,):
        if isinstance(item, slice):
            start, stop, step = ["" if end is None else literal(end)[0] for end in (item.start, item.stop, item.step)]
            item = f"{start}:{stop}{f':{step}' if step else ''}",
        else:
            item = argument(item)
        parts += [", ", *item] if parts else item
    return parts or ["()"]
