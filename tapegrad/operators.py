"""What the operators and methods of a Tensor mean: tables of names, each the function of the same name."""

from sys import modules

import numpy as np

from tapegrad import functions
from tapegrad.errors import DtypeError
from tapegrad.sweep import backward
from tapegrad.tensor import Tensor

OPERATORS = {
    "add": functions.add, "sub": functions.subtract, "mul": functions.multiply, "truediv": functions.divide,
    "floordiv": functions.floor_divide, "mod": functions.mod, "divmod": functions.divmod, "pow": functions.power,
    "matmul": functions.matmul, "and": functions.bitwise_and, "or": functions.bitwise_or, "xor": functions.bitwise_xor,
    "lshift": functions.left_shift, "rshift": functions.right_shift,
}
UNARY = {"neg": functions.negative, "abs": functions.absolute, "invert": functions.invert, "round": functions.round}
COMPARISONS = {
    "eq": functions.equal, "ne": functions.not_equal, "lt": functions.less, "le": functions.less_equal,
    "gt": functions.greater, "ge": functions.greater_equal,
}
METHODS = {name: getattr(functions, name) for name in (
    "sum", "mean", "max", "min", "argmax", "argmin", "reshape", "transpose", "astype", "exp", "log", "sqrt", "square",
    "tanh", "sin", "cos", "relu", "sigmoid", "softmax", "log_softmax", "logsumexp", "prod", "var", "std", "ptp",
    "cumsum", "cumprod", "clip", "round", "all", "any", "argsort", "argpartition", "searchsorted", "abs", "median",
    "quantile", "conj", "conjugate", "ravel", "flatten", "squeeze", "swapaxes", "repeat", "take", "diagonal", "trace", "dot",
    "nonzero", "choose")}

REDUCTIONS = {
    "add": functions.sum, "multiply": functions.prod, "maximum": functions.max, "minimum": functions.min,
    "logical_and": functions.all, "logical_or": functions.any,
}
RUNNING = {"add": functions.cumsum, "multiply": functions.cumprod}
READERS = ("shape", "ndim", "size", "result_type", "can_cast", "iscomplexobj", "isrealobj", "array_repr", "array_str",
           "array2string", "save", "savez", "savez_compressed", "savetxt")


def _reflected(function):
    return lambda x, y: function(y, x)


def _refusal(asked, options=()):
    return DtypeError(f"np.{asked}{'(' + ', '.join(options) + '=)' if options else ''} is not recorded on tensors; "
                      "use a function of tapegrad, or .data for a value without a gradient")


def _ufunc(tensor, ufunc, method, *inputs, **options):
    """np.sin(tensor), array + tensor: recorded as the function of the ufunc's name. Anything else is an error."""
    name = ufunc.__name__
    if method in ("reduce", "accumulate"):
        function = (REDUCTIONS if method == "reduce" else RUNNING).get(name)
        if function is not None and options.get("out") is None:
            return function(*inputs, **{"axis": 0, **options})
    elif method == "__call__" and not options and hasattr(functions, name):
        return getattr(functions, name)(*inputs)
    raise _refusal(name if method == "__call__" else f"{name}.{method}", options)


def _array_function(tensor, function, types, operands, options):
    """np.sum(tensor), np.linalg.inv(tensor): the function of the same name here, called as NumPy's was.

    NumPy asks this of every function that is not a ufunc; those that only read values get them.
    """
    if not all(issubclass(kind, (Tensor, np.ndarray)) for kind in types):
        return NotImplemented
    home, name = function.__module__, function.__name__
    if home == "numpy" and name in READERS:
        return function(*map(_read, operands), **{key: _read(option) for key, option in options.items()})
    ours = functions if home == "numpy" else modules.get(home.replace("numpy", "tapegrad", 1))
    if not callable(getattr(ours, name, None)):
        raise _refusal(f"{home}.{name}".removeprefix("numpy."))
    return getattr(ours, name)(*operands, **options)


def _read(x):
    return x._value if isinstance(x, Tensor) else x


for name, function in OPERATORS.items():
    setattr(Tensor, f"__{name}__", function)
    setattr(Tensor, f"__r{name}__", _reflected(function))
for name, function in UNARY.items():
    setattr(Tensor, f"__{name}__", function)
for name, function in COMPARISONS.items():
    setattr(Tensor, f"__{name}__", function)
for name, function in METHODS.items():
    setattr(Tensor, name, function)

Tensor.__getitem__ = functions.getitem
Tensor.__setitem__ = functions.setitem
Tensor.__array_ufunc__ = _ufunc
Tensor.__array_function__ = _array_function
Tensor.T = property(functions.transpose, doc="The tensor with its axes in reverse order.")
Tensor.mT = property(functions.matrix_transpose, doc="The tensor with its last two axes exchanged.")
Tensor.backward = backward
Tensor.__pos__ = lambda x: x
Tensor.__iter__ = lambda x: (x[i] for i in range(len(x)))
