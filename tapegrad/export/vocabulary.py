"""The primitives as NumPy text: a third reading of the rows, beside arrays and recorded tensors.

`written(row, operands, static)` is the expression for z = g(*operands, *static). The lines of the forward sweep are made by
it, and so is the vocabulary F that derivative rules are run over: no derivative is written twice. In this order:
  - operators, x + y;
  - the kernels: their formulas (kernels.py), run over arrays, which give the same bits;
  - METHODS, x.sum(axis=0), for rows whose G is best read as that;
  - where G is a function of NumPy, its name;
  - where G is a function of ours that uses nothing but NumPy, its own source goes into the program.
"""

import ast
import inspect
import re
import sys
import textwrap
from pprint import pformat
from types import CodeType, FunctionType, ModuleType

import numpy as np

from tapegrad.errors import WengertError
from tapegrad.export.expressions import ATOM, INFIX, Expression, argument, joined, literal, negative, subscript, value_of
from tapegrad.kernels import elementwise as kernels
from tapegrad.kernels.formulas import formulas
from tapegrad.primitives import table

VIEWS = {"reshape", "transpose", "broadcast_to", "getitem", "windows", "real"}

SCATTER = '''
def scatter(d, index, shape):
    """Zeros of a shape with d added at the index; an element that is indexed twice gets both."""
    x = np.zeros(shape, d.dtype)
    np.add.at(x, index, d)
    return x
'''


def bits(x):
    """The bits of x, as integers."""
    return x.view(f"i{x.itemsize}")


def unsigned_bits(b):
    return b.view(f"u{b.itemsize}")


def from_bits(b):
    """The number that has these bits."""
    return b.view(f"f{b.itemsize}")


OF_FORMULAS = {f.__name__: f for f in (bits, unsigned_bits, from_bits, formulas(np.float64).polynomial)}


def _reduction(name):
    def parts(x, axis, keepdims):
        axis = axis[0] if axis is not None and len(axis) == 1 else axis
        given = [] if axis is None else [f"axis={literal(axis)[0]}"]
        return ((x, ATOM), f".{name}({', '.join(given + ['keepdims=True'] * keepdims)})")

    return parts


def _call(text):
    return lambda *arguments: (f"{text}(", *joined(arguments), ")")


def _listed(text):
    return lambda xs, axis: (f"{text}((", *joined(xs), f"{',' * (len(xs) == 1)}), {axis})")


def _matmul(x, y):
    if np.ndim(value_of(x)) == 2 == np.ndim(value_of(y)):
        return ((x, ATOM), ".dot(", (y, 0), ")")
    return _call("np.matmul")(x, y)


def _scatter(d, index, shape):
    items = index if type(index) is tuple else (index,)
    place = ("np.s_[", *subscript(index), "]") if any(isinstance(item, slice) for item in items) else argument(index)
    return ("scatter(", (d, 0), ", ", *place, f", {literal(shape)[0]})")


def _transpose(x, axes):
    return ((x, ATOM), ".T" if axes is None else f".transpose{literal(axes)[0]}")


def _deviation(name):
    return lambda x, axis, ddof, keepdims: (
        f"np.{name}(", (x, 0), f", axis={literal(axis)[0]}, ddof={literal(ddof)[0]}{', keepdims=True' * keepdims})")


METHODS = {
    **{name: _reduction(name) for name in ("sum", "mean", "max", "min", "prod")},
    "var": _deviation("var"), "std": _deviation("std"),
    "reshape": lambda x, shape: ((x, ATOM), f".reshape({literal(shape)[0]})"),
    "transpose": _transpose,
    "astype": lambda x, dtype: ((x, ATOM), f".astype({literal(np.dtype(dtype))[0]})"),
    "getitem": lambda x, index: ((x, ATOM), "[", *subscript(index), "]"),
    "matmul": _matmul,
    "concatenate": _listed("np.concatenate"), "stack": _listed("np.stack"),
    "cumsum": lambda x, axis: ((x, ATOM), f".cumsum({axis})"),
    "cumprod": lambda x, axis: ((x, ATOM), f".cumprod({axis})"),
    "argsort": lambda x, axis: ("np.argsort(", (x, 0), f", {axis}, kind=\"stable\")"),
    "sort": lambda x, axis: ("np.sort(", (x, 0), f", {axis}, kind=\"stable\")"),
    "relu": lambda x: ("np.maximum(", (x, 0), ", 0.0)"),
    "scatter": _scatter,
    **{name: _call(f"np.{name}") for name in ("tanh", "broadcast_to", "take_along_axis", "roll")},
}


class Writer:
    """F, as text.

    helpers    {name: text} of the functions and constants that the program needs
    imports    the lines that these need, beside that for NumPy
    """

    def __init__(self):
        self.helpers, self.imports = {}, set()

    def __getattr__(self, name):
        if name.startswith("__") or (row := table.get(name)) is None:
            raise AttributeError(f"there is no primitive {name!r}")
        if row.variadic:
            return lambda xs, *static: self.written(row, tuple(xs), static)
        return lambda *arguments: self.written(row, arguments[:row.arity], arguments[row.arity:])

    def written(self, row, operands, static, value=None):
        """The expression for a row's z. `value` has its shape and dtype; without it, G is run."""
        if row.name == "alias":
            return operands[0]
        if row.name in INFIX:
            return INFIX[row.name](*operands)
        if row.name == "negative":
            return negative(*operands)
        if value is None:
            values, g = [value_of(x) for x in operands], _operator(row)
            value = g(values, *static) if row.variadic else g(*values, *static)
        parts = self._parts(row, operands, static, np.result_type(value))
        return Expression(tuple(parts), ATOM, value, fresh=row.name not in VIEWS)

    def _parts(self, row, operands, static, dtype):
        arguments = (operands, *static) if row.variadic else (*operands, *static)
        if row.name == "scatter":
            self.helpers["scatter"] = SCATTER.strip()
        g = _operator(row)
        if row.name in kernels.PLAIN:
            if g is not kernels.PLAIN[row.name]:
                return self._kernel(row.name, *operands, dtype)
            g = g.__wrapped__
        if row.name in METHODS:
            return METHODS[row.name](*arguments)
        for home, there in (("np", np), ("np.linalg", np.linalg)):
            name = getattr(g, "__name__", "")
            if getattr(there, name, None) is g and not row.variadic:
                return _call(f"{home}.{name}")(*arguments)
        if not isinstance(g, FunctionType) or row.variadic:
            raise unwritten(row.name, "it is no function of NumPy")
        self._take(row.name, g)
        return _call(row.name)(*arguments)

    def _kernel(self, name, x, dtype):
        """What a kernel's ufunc computes, to the last bit, whose result has this dtype."""
        if np.result_type(value_of(x)) != dtype:
            x = self.astype(x, dtype)
        if name == "relu":
            return ("np.where(", (x, ATOM), " < 0, 0, ", (x, 0), ")")
        helper = name if dtype == np.float64 else f"{name}_{dtype.name}"
        if helper not in self.helpers:
            formula = getattr(formulas(dtype.type), name)
            used = inspect.getclosurevars(formula)
            for key in sorted(OF_FORMULAS.keys() & {*used.nonlocals, *used.globals}):
                self._take(key, OF_FORMULAS[key])
            _, body = textwrap.dedent(inspect.getsource(formula)).strip().split("\n", 1)
            lines = [f"    {key} = {_constant(value)}" for key, value in used.nonlocals.items() if key.isupper()]
            self.helpers[helper] = "\n".join([
                f"def {helper}(x):", f'    """{name}(x) in {dtype.name}, by the operations of tapegrad\'s kernel."""', *lines,
                body.replace("select(", "np.where(")])
        return _call(helper)(x)

    def _take(self, name, used):
        """Put what a helper uses, a function of ours, a module, or a constant, into the program under its name."""
        if name in self.helpers or used is np:
            return
        if isinstance(used, ModuleType) and used.__name__ in sys.stdlib_module_names:
            self.imports.add(f"import {name}")
        elif isinstance(used, FunctionType) and used.__module__.startswith("tapegrad."):
            self.helpers[name] = self._function(name, used)
        elif getattr(used, "__module__", "").startswith("numpy."):
            self.imports.add(f"from {used.__module__} import {name}")
        elif isinstance(used, (int, float, tuple, dict)):
            text = pformat(used, width=110, compact=True)
            self.helpers[name] = f"{name} = " + re.sub(r"<class 'numpy\.(\w+)'>", r"np.\1", text)
        else:
            raise unwritten(name, f"it is a {type(used).__name__} of tapegrad")

    def _function(self, name, g):
        """The source of a function, after that of what it uses."""
        if g.__closure__:                               # made by another function, from functions
            maker, given = g.__globals__.get(g.__qualname__.partition(".")[0]), inspect.getclosurevars(g).nonlocals
            if not maker or list(inspect.signature(maker).parameters) != list(given):
                raise unwritten(name, "it is a closure")
            for key, used in (*[(used.__name__, used) for used in given.values()], (maker.__name__, maker)):
                self._take(key, used)
            return f"{name} = {maker.__name__}({', '.join([used.__name__ for used in given.values()])})"
        for key in _names(g.__code__):
            if key in g.__globals__ and g.__globals__[key] is not g:
                self._take(key, g.__globals__[key])
        try:
            text = textwrap.dedent(inspect.getsource(g)).strip()
        except OSError:
            raise unwritten(name, "its source is not there") from None
        return _as_def(name, g, text) if g.__name__ == "<lambda>" else re.sub(rf"\b{g.__name__}\b", name, text)


def _operator(row):
    """The G that is run: of a kernel, what it is compiled to, or stands in for that."""
    return kernels.forward(row.name) if row.name in kernels.PLAIN else row.plain


def _constant(c):
    """The text of a formula's constant: a number, the bits of one, or the coefficients of a polynomial."""
    if type(c) is tuple:
        return repr(tuple([x.item() for x in c]))
    if c.dtype.kind in "iu" and c > 1000:
        x = c.view(f"f{c.itemsize}")
        return f"{c:#x}{f'    # the bits of {x}' if np.isfinite(x) else ''}"
    return repr(c.item())


def _names(code):
    """The global names, and attributes, that a function reads."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return dict.fromkeys([*code.co_names, *[name for part in inner for name in _names(part)]])


def _as_def(name, g, statement):
    """A lambda as a def, found in the statement that it stands in."""
    for node in ast.walk(ast.parse(statement)):
        if isinstance(node, ast.Lambda):
            code = eval(compile(ast.Expression(node), "<row>", "eval"), {}).__code__
            if all(getattr(code, part) == getattr(g.__code__, part) for part in ("co_varnames", "co_names", "co_consts")):
                return f"def {name}({ast.unparse(node.args)}):\n    return {ast.unparse(node.body)}"
    raise unwritten(name, "its lambda can't be read")


def unwritten(name, why):
    return WengertError(f"export_numpy: {name} can't be written as NumPy: {why}")
