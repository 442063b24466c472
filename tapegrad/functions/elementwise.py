"""Functions of each element by itself, and of two broadcast against each other, under NumPy's names."""

import numpy as np

from tapegrad.functions.arguments import value
from tapegrad.record import recorded
from tapegrad.tensor import Tensor

add = recorded.add
subtract = recorded.subtract
multiply = recorded.multiply
divide = true_divide = recorded.divide
power = recorded.power
floor_divide = recorded.floor_divide
negative = recorded.negative
matmul = recorded.matmul
exp = recorded.exp
log = recorded.log
sqrt = recorded.sqrt
square = recorded.square
absolute = recorded.absolute
sin = recorded.sin
cos = recorded.cos
tanh = recorded.tanh
maximum = recorded.maximum
minimum = recorded.minimum
where = recorded.where
sign = recorded.sign
floor = recorded.floor
ceil = recorded.ceil
rint = recorded.rint
isnan = recorded.isnan
isinf = recorded.isinf
isfinite = recorded.isfinite
logical_not = recorded.logical_not
logical_and = recorded.logical_and
logical_or = recorded.logical_or
equal = recorded.equal
not_equal = recorded.not_equal
less = recorded.less
less_equal = recorded.less_equal
greater = recorded.greater
greater_equal = recorded.greater_equal
zeros_like = recorded.zeros_like
ones_like = recorded.ones_like


def astype(x, dtype):
    """x in another dtype. Derivative: d in the dtype of x; none through an integer dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "fc":
        return Tensor(value(x), dtype)
    return recorded.astype(x, dtype)
