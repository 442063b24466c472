"""What a NumPy program needs in addition to NumPy: source of tapegrad's functions, and kernels as their formulas.

If numba compiles sigmoid, tanh and relu, the program contains a function with the operations of the kernel's formula, over
arrays, which gives the same bits; otherwise the NumPy formula that is the kernel's fallback.
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
from tapegrad.graph.numpy_forms import ATOM, FORMS, INFIX, SIGN, call, infix
from tapegrad.kernels import elementwise as kernels
from tapegrad.kernels.formulas import formulas

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


class Writer:
    """The forms of nodes, and the helpers that they need.

    helpers    {name: text} of the functions and constants that the program needs
    imports    the import lines of these, other than NumPy's
    """

    def __init__(self):
        self.helpers, self.imports, self._forms = {}, set(), {}

    def form(self, node):
        """(form, precedence) of a node."""
        if node not in self._forms:
            self._forms[node] = self._form(node.row, node.operands, node.static, node.dtype)
        return self._forms[node]

    def _form(self, row, operands, static, dtype):
        if row.name in INFIX:
            return infix(row.name, *operands)
        if row.name == "negative":
            return ("-", (operands[0], SIGN)), SIGN
        if row.name == "alias":
            return ((operands[0], ATOM),), ATOM
        if row.name == "scatter":
            self.helpers["scatter"] = SCATTER.strip()
        return self._call(row, operands, static, dtype), ATOM

    def _call(self, row, operands, static, dtype):
        arguments, g = (operands, *static) if row.variadic else (*operands, *static), row.plain
        if row.name in kernels.PLAIN:
            if (g := kernels.forward(row.name)) is not kernels.PLAIN[row.name]:
                return self._kernel(row.name, *operands, dtype)
            g = getattr(g, "__wrapped__", g)
        if row.name in FORMS:
            return FORMS[row.name](*arguments)
        for home, there in (("np", np), ("np.linalg", np.linalg), ("special", sys.modules.get("scipy.special"))):
            name = getattr(g, "__name__", "")
            if getattr(there, name, None) is g and not row.variadic:
                if home == "special":
                    self._take(home, there)
                return call(f"{home}.{name}")(*arguments)
        if not isinstance(g, FunctionType) or row.variadic:
            raise unwritten(row.name, "it is not a NumPy function")
        self._take(row.name, g)
        return call(row.name)(*arguments)

    def _kernel(self, name, x, dtype):
        """The form of a kernel's ufunc with a result of this dtype; it gives the same bits."""
        x = ((x, ATOM), f".astype(np.{dtype.name})") if x.dtype != dtype else ((x, ATOM),)
        if name == "relu":
            return ("np.where(", *x, " < 0, 0, ", *x, ")")
        return (f"{self._formula(name, dtype)}(", *x, ")")

    def _formula(self, name, dtype):
        """The name of a helper with the operations of a formula in this precision, which is there, with those that it calls."""
        helper = name if dtype == np.float64 else f"{name}_{dtype.name}"
        if helper not in self.helpers:
            made = vars(formulas(dtype.type))
            used = inspect.getclosurevars(made[name])
            for key in sorted(OF_FORMULAS.keys() & {*used.nonlocals, *used.globals}):
                self._take(key, OF_FORMULAS[key])
            header, body = textwrap.dedent(inspect.getsource(made[name])).strip().split("\n", 1)
            for key in sorted(made.keys() & used.nonlocals.keys() - OF_FORMULAS.keys() - {"select"}):
                body = re.sub(rf"\b{key}\(", f"{self._formula(key, dtype)}(", body)
            lines = [f"    {key} = {_constant(value)}" for key, value in used.nonlocals.items() if key.isupper()]
            self.helpers[helper] = "\n".join([
                header.replace(name, helper),
                f'    """{name} in {dtype.name}, by the operations of tapegrad\'s kernel."""', *lines,
                body.replace("select(", "np.where(")])
        return helper

    def _take(self, name, used):
        """Add something that a helper uses (a function of tapegrad, a module or a constant) to the program, under its name."""
        if name in self.helpers or used is np:
            return
        if isinstance(used, ModuleType) and used.__name__ in sys.stdlib_module_names:
            self.imports.add(f"import {name}")
        elif used is sys.modules.get("scipy.special"):
            self.imports.add("from scipy import special")
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
        """The source of a function; what it uses is added to the program first."""
        if g.__closure__:                               # returned by another function, from functions
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
            raise unwritten(name, "its source is not available") from None
        return _as_def(name, g, text) if g.__name__ == "<lambda>" else re.sub(rf"\b{g.__name__}\b", name, text)


def _constant(c):
    """The text of a formula's constant: a number, its bits, or the coefficients of a polynomial."""
    if type(c) is tuple:
        return repr(tuple([x.item() for x in c]))
    if c.dtype.kind in "iu" and c > 1000:
        x = c.view(f"f{c.itemsize}")
        return f"{c:#x}{f'    # the bits of {x}' if np.isfinite(x) else ''}"
    return repr(c.item())


def _names(code):
    """The names of globals and attributes that a function reads."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return dict.fromkeys([*code.co_names, *[name for part in inner for name in _names(part)]])


def _as_def(name, g, statement):
    """A lambda as a def, extracted from the statement that contains it."""
    for node in ast.walk(ast.parse(statement)):
        if isinstance(node, ast.Lambda):
            code = eval(compile(ast.Expression(node), "<row>", "eval"), {}).__code__
            if all(getattr(code, part) == getattr(g.__code__, part) for part in ("co_varnames", "co_names", "co_consts")):
                return f"def {name}({ast.unparse(node.args)}):\n    return {ast.unparse(node.body)}"
    raise unwritten(name, "its lambda cannot be parsed")


def unwritten(name, why):
    return WengertError(f"export_numpy: {name} cannot be written in NumPy: {why}")
