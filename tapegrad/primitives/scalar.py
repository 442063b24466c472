"""Rows that are numba kernels: a derivative rule, run over scalar nodes, becomes the text that kernels/ compiles."""

import math
import re

import numpy as np

from tapegrad.kernels import elementwise as kernels
from tapegrad.kernels.compile import loads
from tapegrad.primitives.node import Node
from tapegrad.primitives.registry import Vocabulary, parameters, primitive

FORMS = {
    "negative": "(-{0})", "absolute": "abs({0})", "add": "({0} + {1})", "subtract": "({0} - {1})", "multiply": "({0} * {1})",
    "divide": "({0} / {1})", "zeros_like": "number(0)", "ones_like": "number(1)",
    "sign": "where(positive({0}), number(1), where(positive(-{0}), number(-1), {0}))",
    "maximum": "where(greater({0}, {1}) | ({0} != {0}), {0}, {1})",
    "minimum": "where(greater({1}, {0}) | ({0} != {0}), {0}, {1})",
    "strong_multiply": "where({0} == number(0), number(0), {0} * {1})",
    "square": "({0} * {0})", "reciprocal": "(number(1) / {0})", "fabs": "abs({0})",
    "direction": "({0} / where({1} == number(0), number(1), {1}))",
    **{name: f"np.{name}({{0}})" for name in (
        "log", "sqrt", "sin", "cos", "exp2", "expm1", "log2", "log10", "log1p", "tan", "arcsin", "arccos", "arctan",
        "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "floor", "ceil", "trunc")},
    **{name: f"np.{name}({{0}}, {{1}})" for name in ("arctan2", "hypot", "copysign")},
    **{name: f"{name}({{0}})" for name in ("exp", "sigmoid", "silu", "tanh", "relu", "erf", "erfc", "erf_slope", "gelu",
                                                 "gelu_slope", "gelu_tanh")},
    "isnan": "({0} != {0})", "isinf": "(abs({0}) == number(np.inf))", "isfinite": "(abs({0}) < number(np.inf))",
    "equal": "({0} == {1})", "not_equal": "({0} != {1})", "greater": "greater({0}, {1})", "less": "greater({1}, {0})",
    "greater_equal": "(greater({0}, {1}) | ({0} == {1}))", "less_equal": "(greater({1}, {0}) | ({0} == {1}))"}
COMPARISONS = "equal", "not_equal", "greater", "less", "greater_equal", "less_equal", "isnan", "isinf", "isfinite"
OF_CONDITIONS = {"logical_and": "({0} & {1})", "logical_or": "({0} | {1})", "logical_not": "({0} == False)"}
CONDITIONS = *COMPARISONS, *OF_CONDITIONS
OF_ZERO = {"greater": "positive({0})", "less": "positive(-{0})"}
NUMBER, SINGLE, CONDITION = np.dtype(float), np.dtype(np.float32), np.dtype(bool)


def _maker(row):
    if not has_formula(row):
        raise AttributeError(f"{row.name} has no scalar text")
    return lambda *operands: scalar_node(row, operands)


def has_formula(row):
    """Whether there is a scalar text for a row."""
    return row.name in FORMS or row.name in OF_CONDITIONS or row.name in ("power", "where")


def scalar_node(row, operands):
    """The node of a row for scalars. Its dtype tells only whether it is a condition or a number."""
    return Node(row, operands, (), (), CONDITION if row.name in CONDITIONS else NUMBER)


scalars = Vocabulary(of_row=_maker)


def _text(x, names):
    """The text of an operand. Literals take the loop's precision: numba would widen float32 to float64."""
    if isinstance(x, Node):
        text = names.get(x) or _formula(x.row.name, x.operands, names)
        return f"number({text})" if x.dtype == CONDITION else text
    if np.ndim(x) or not isinstance(x, (int, float, np.number, np.bool_, np.ndarray)):
        raise TypeError(f"an elementwise rule cannot use a {type(x).__name__}")
    x = x.item() if hasattr(x, "item") else x
    return f"number({x!r})" if math.isfinite(x) else f"number({'-' * (x < 0)}np.{abs(x)})"


def _formula(name, operands, names):
    x, y = operands[0], operands[-1]
    if name == "power":
        return _power(x, y, names)
    if name == "where":
        if not (isinstance(x, Node) and x.dtype == CONDITION):
            raise TypeError("F.where takes a comparison")
        return f"where({_condition(x, names)}, {_text(operands[1], names)}, {_text(y, names)})"
    if name in OF_CONDITIONS:
        if not all([isinstance(operand, Node) and operand.dtype == CONDITION for operand in operands]):
            raise TypeError(f"F.{name} takes comparisons")
        return OF_CONDITIONS[name].format(*[_condition(operand, names) for operand in operands])
    by_zero = name in OF_ZERO and not isinstance(y, Node) and np.ndim(y) == 0 and y == 0
    return (OF_ZERO if by_zero else FORMS)[name].format(*[_text(operand, names) for operand in operands])


def _condition(x, names):
    return names.get(x) or _formula(x.row.name, x.operands, names)


def formula(node, names):
    """The text that computes a node from those in `names`, {node: its name}."""
    if node.row.name == "astype":
        return _text(node.operands[0], names)
    return _formula(node.row.name, node.operands, names)


def _power(x, y, names):
    if type(y) is float and y == 0.5:
        return f"np.sqrt({_text(x, names)})"
    whole = type(y) in (int, float) and y % 1 == 0      # numba multiplies these out
    if whole and y < 0:
        return f"(number(1) / {_power(x, -y, names)})"
    return f"({_text(x, names)} ** {int(y) if whole else _text(y, names)})"


def source(rule, reads, name):
    """The text of the scalar kernel that computes `rule` from the parameters `reads`; `number` is np.float32 or np.float64.

    >>> print(source(lambda F, d, z, _x: d * (1 - z * z), ('d', 'z'), 'tanh_derivative'))
    def tanh_derivative(d, z):
        return (d * (number(1) - (z * z)))
    """
    names = {Node(None, (), (), (), NUMBER): parameter for parameter in parameters(rule)[1:]}
    text = _text(rule(scalars, *names), names)
    if missing := set(re.findall(r"\w+", text)) & set(names.values()) - set(reads):
        raise ValueError(f"{name}: the rule reads {', '.join(sorted(missing))}, which is not in {reads}")
    return f"def {name}({', '.join(reads)}):\n    return {text}"


def kernel(name, dg):
    """Add an elementwise row whose operator and derivative are numba ufuncs, compiled when they are first called."""

    def first_call(x):
        if not loads():
            return row.plain(x)
        ufunc = kernels.forward(name)

        def forward(x):                                 # the ufunc takes float16 to float32, and no long double
            try:
                z = ufunc(x)
            except TypeError:
                if x.dtype.char != "g":
                    raise
                return row.plain(x)
            return z if z.dtype is not SINGLE or x.dtype.char != "e" else z.astype(np.float16)

        row.fast(forward=forward)
        return forward(x)

    def first_derivative(F, d, *saved):
        if not loads():
            return dg(F, d, *saved)
        reads = [parameter for parameter in parameters(dg)[1:] if not parameter.startswith("_")]
        label = f"{name}_derivative"
        ufunc = kernels.derivative(label, source(dg, tuple(reads), label), len(reads), dg.__code__.co_filename)
        if ufunc is None:
            rule = dg
        else:
            def of_arrays(F, d, z, x):
                try:
                    c = ufunc(d, z if x is None else x)
                except TypeError:
                    if d.dtype.char != "g":
                        raise
                    return dg(F, d, z, x)
                return c if d.dtype.char != "e" else c.astype(np.float16)

            rule = of_arrays
        row.fast(rules=(rule,))
        return rule(F, d, *saved)

    row = primitive(name, kernels.PLAIN[name], dg, pointwise=True).fast(forward=first_call, rules=(first_derivative,))
    row.elementwise = True
    return row
