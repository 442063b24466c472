"""What the operators and methods of a Tensor mean: tables of names, each the function of the same name."""

from tapegrad import functions
from tapegrad.errors import DtypeError
from tapegrad.sweep import backward
from tapegrad.tensor import Tensor

OPERATORS = {
    "add": functions.add, "sub": functions.subtract, "mul": functions.multiply, "truediv": functions.divide,
    "floordiv": functions.floor_divide, "pow": functions.power, "matmul": functions.matmul,
}
UNARY = {"neg": functions.negative, "abs": functions.absolute}
COMPARISONS = {
    "eq": functions.equal, "ne": functions.not_equal, "lt": functions.less, "le": functions.less_equal,
    "gt": functions.greater, "ge": functions.greater_equal,
}
METHODS = {name: getattr(functions, name) for name in (
    "sum", "mean", "max", "min", "argmax", "argmin", "reshape", "transpose", "astype", "exp", "log", "sqrt", "square",
    "tanh", "sin", "cos", "relu", "sigmoid", "softmax", "log_softmax", "logsumexp")}


def _reflected(function):
    return lambda x, y: function(y, x)


def _ufunc(tensor, ufunc, method, *inputs, **options):
    """np.sin(tensor), array + tensor: recorded as the function of the ufunc's name. Anything else is an error."""
    function = getattr(functions, ufunc.__name__, None)
    if method != "__call__" or options or function is None:
        asked = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise DtypeError(f"np.{asked}{'(' + ', '.join(options) + '=)' if options else ''} is not recorded on tensors; "
                         "use a function of tapegrad, or .data for a value without a gradient")
    return function(*inputs)


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
Tensor.T = property(functions.transpose, doc="The tensor with its axes in reverse order.")
Tensor.backward = backward
Tensor.__pos__ = lambda x: x
Tensor.__iter__ = lambda x: (x[i] for i in range(len(x)))
