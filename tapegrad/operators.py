"""What the operators and methods of a Tensor mean: tables of names, each the function of the same name."""

from importlib import import_module

import numpy as np

from tapegrad import functions
from tapegrad.core.sweep import backward
from tapegrad.core.tensor import Tensor
from tapegrad.errors import DtypeError

OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "mod",
    "divmod": "divmod", "pow": "power", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift",
}
OTHERS = {
    "neg": "negative", "abs": "absolute", "invert": "invert", "round": "round", "eq": "equal", "ne": "not_equal", "lt": "less",
    "le": "less_equal", "gt": "greater", "ge": "greater_equal", "getitem": "getitem", "setitem": "setitem",
}
METHODS = (
    "sum", "mean", "max", "min", "argmax", "argmin", "reshape", "transpose", "astype", "exp", "log", "sqrt", "square",
    "tanh", "sin", "cos", "relu", "sigmoid", "softmax", "log_softmax", "logsumexp", "prod", "var", "std", "ptp",
    "cumsum", "cumprod", "clip", "round", "all", "any", "argsort", "argpartition", "searchsorted", "abs", "median",
    "quantile", "conj", "conjugate", "ravel", "flatten", "squeeze", "swapaxes", "repeat", "take", "diagonal", "trace",
    "dot", "nonzero", "choose",
)

HOMES = {"numpy.linalg": "tapegrad.linalg", "numpy.fft": "tapegrad.fft"}
REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}
RUNNING = {"add": "cumsum", "multiply": "cumprod"}
READERS = ("shape", "ndim", "size", "result_type", "can_cast", "iscomplexobj", "isrealobj", "array_repr", "array_str",
           "array2string", "save", "savez", "savez_compressed", "savetxt")


def _attach(attribute, name, reflected=False):
    """Make the function of that name a method of Tensor: first a stand-in, whose first call puts the function there."""
    def first_call(*args, **kwargs):
        function = getattr(functions, name)
        setattr(Tensor, attribute, (lambda x, y: function(y, x)) if reflected else function)
        return getattr(Tensor, attribute)(*args, **kwargs)

    first_call.__name__, first_call.__doc__ = attribute, f"tapegrad.{name} of this tensor."
    setattr(Tensor, attribute, first_call)


def _refusal(asked, options=()):
    return DtypeError(f"np.{asked}{'(' + ', '.join(options) + '=)' if options else ''} is not recorded on tensors; "
                      "use a function of tapegrad, or .data for a value without a gradient")


def _ufunc(tensor, ufunc, method, *inputs, **options):
    """np.sin(tensor), array + tensor: recorded as the function of the ufunc's name. Anything else is an error."""
    name = ufunc.__name__
    if method in ("reduce", "accumulate"):
        function = (REDUCTIONS if method == "reduce" else RUNNING).get(name)
        if function is not None and options.get("out") is None:
            return getattr(functions, function)(*inputs, **{"axis": 0, **options})
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
    ours = functions if home == "numpy" else import_module(HOMES[home]) if home in HOMES else None
    if not callable(getattr(ours, name, None)):
        raise _refusal(f"{home}.{name}".removeprefix("numpy."))
    return getattr(ours, name)(*operands, **options)


def _read(x):
    return x._value if isinstance(x, Tensor) else x


for operator, function in OPERATORS.items():
    _attach(f"__{operator}__", function)
    _attach(f"__r{operator}__", function, reflected=True)
for operator, function in OTHERS.items():
    _attach(f"__{operator}__", function)
for function in METHODS:
    _attach(function, function)

Tensor.__array_ufunc__ = _ufunc
Tensor.__array_function__ = _array_function
Tensor.T = property(lambda x: functions.transpose(x), doc="The tensor with its axes in reverse order.")
Tensor.mT = property(lambda x: functions.matrix_transpose(x), doc="The tensor with its last two axes exchanged.")
Tensor.real = property(lambda x: functions.real(x), doc="The real part.")
Tensor.imag = property(lambda x: functions.imag(x), doc="The imaginary part.")
Tensor.backward = backward
Tensor.__pos__ = lambda x: x
Tensor.__iter__ = lambda x: (x[i] for i in range(len(x)))
