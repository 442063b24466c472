"""How a node is written in NumPy: its form, a sequence of strings and operands, and the form's precedence.

The first that applies: an operator, x + y; FORMS, such as x.sum(axis=0), for rows that read best that way; otherwise, from
numpy_helpers.py, a function of NumPy, or one of tapegrad whose source is copied into the program.
"""

import math

import numpy as np

from tapegrad.errors import describe
from tapegrad.primitives.node import Node

NOTHING, COMPARED, SUM, PRODUCT, SIGN, POWER, ATOM = range(7)      # precedence, lowest first
INFIX = {"add": ("+", SUM), "subtract": ("-", SUM), "multiply": ("*", PRODUCT), "divide": ("/", PRODUCT),
         "power": ("**", POWER), "equal": ("==", COMPARED), "not_equal": ("!=", COMPARED), "less": ("<", COMPARED),
         "less_equal": ("<=", COMPARED), "greater": (">", COMPARED), "greater_equal": (">=", COMPARED)}


def infix(name, x, y):
    """The form of x `symbol` y. Operators are left-associative, except **."""
    symbol, level = INFIX[name]
    left, right = (level + 1, level) if symbol == "**" else (level, level + 1)
    return ((x, left), f" {symbol} ", (y, right)), level


def literal(x):
    """(text, precedence) of a value that is not a node or an array."""
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
    raise TypeError(f"{describe(x)} cannot be written as text")


def text(x):
    return literal(x)[0]


def argument(x):
    """The form of an argument in a call."""
    if isinstance(x, (Node, np.ndarray)):
        return ((x, NOTHING),)
    if isinstance(x, tuple) and any(isinstance(item, np.ndarray) for item in x):
        return ("(", *joined(x), ",)" if len(x) == 1 else ")")
    return (text(x),)


def joined(items):
    """The form of arguments, with commas between them."""
    form = []
    for item in items:
        form += [", ", *argument(item)] if form else argument(item)
    return form


def subscript(index):
    """The form of an index: `:, 1:3` for (slice(None), slice(1, 3))."""
    form = []
    for item in index if type(index) is tuple else (index,):
        if isinstance(item, slice):
            start, stop, step = ["" if end is None else text(end) for end in (item.start, item.stop, item.step)]
            item = f"{start}:{stop}{f':{step}' if step else ''}",
        else:
            item = argument(item)
        form += [", ", *item] if form else item
    return form or ["()"]


def call(name):
    return lambda *arguments: (f"{name}(", *joined(arguments), ")")


def _reduction(name):
    def form(x, axis, keepdims):
        axis = axis[0] if axis is not None and len(axis) == 1 else axis
        given = [] if axis is None else [f"axis={text(axis)}"]
        return ((x, ATOM), f".{name}({', '.join(given + ['keepdims=True'] * keepdims)})")

    return form


def _listed(name):
    return lambda xs, axis: (f"{name}((", *joined(xs), f"{',' * (len(xs) == 1)}), {axis})")


def _matmul(x, y):
    if np.ndim(x) > 2 == np.ndim(y):
        rows = math.prod(x.shape[:-1]), x.shape[-1]
        return ((x, ATOM), f".reshape({text(rows)}).dot(", (y, 0), f").reshape({text((*x.shape[:-1], y.shape[1]))})")
    return ((x, ATOM), ".dot(", (y, 0), ")") if np.ndim(x) == 2 == np.ndim(y) else call("np.matmul")(x, y)


def _scatter(d, index, shape):
    items = index if type(index) is tuple else (index,)
    place = ("np.s_[", *subscript(index), "]") if any(isinstance(item, slice) for item in items) else argument(index)
    return ("scatter(", (d, 0), ", ", *place, f", {text(shape)})")


def _deviation(name):
    return lambda x, axis, ddof, keepdims: (
        f"np.{name}(", (x, 0), f", axis={text(axis)}, ddof={text(ddof)}{', keepdims=True' * keepdims})")


def _sum_rows(x):
    return (f"np.ones({len(x)}{'' if x.dtype == np.float64 else f', np.{x.dtype.name}'}).dot(", (x, 0), ")")


FORMS = {
    **{name: _reduction(name) for name in ("sum", "mean", "max", "min", "prod")},
    "var": _deviation("var"), "std": _deviation("std"),
    "reshape": lambda x, shape: ((x, ATOM), f".reshape({text(shape)})"),
    "transpose": lambda x, axes: ((x, ATOM), ".T" if axes is None else f".transpose{text(axes)}"),
    "astype": lambda x, dtype: ((x, ATOM), f".astype({text(np.dtype(dtype))})"),
    "getitem": lambda x, index: ((x, ATOM), "[", *subscript(index), "]"),
    "without_phase": lambda x, name: ((x, ATOM),),
    "matmul": _matmul, "sum_rows": _sum_rows, "scatter": _scatter,
    "concatenate": _listed("np.concatenate"), "stack": _listed("np.stack"),
    "cumsum": lambda x, axis: ((x, ATOM), f".cumsum({axis})"),
    "cumprod": lambda x, axis: ((x, ATOM), f".cumprod({axis})"),
    "argsort": lambda x, axis: ("np.argsort(", (x, 0), f", {axis}, kind=\"stable\")"),
    "sort": lambda x, axis: ("np.sort(", (x, 0), f", {axis}, kind=\"stable\")"),
    "relu": lambda x: ("np.maximum(", (x, 0), ", 0.0)"),
    "copy": lambda x: ((x, ATOM), ".copy()"),
    "ones": lambda shape, dtype: (f"np.ones({text(shape)}, {text(dtype)})" if shape else f"{text(dtype)}(1)",),
    "zeros": lambda shape, dtype: (f"np.zeros({text(shape)}, {text(dtype)})",),
    **{name: call(f"np.{name}") for name in ("tanh", "broadcast_to", "take_along_axis", "roll")},
}
