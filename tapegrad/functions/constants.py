"""NumPy's functions whose results don't depend smoothly on their operands: tests, roundings, counts and positions.

They are computed from the values of tensors by NumPy's functions of the same names, with their arguments, and give
tensors that are constants, or Python numbers where NumPy does.
"""

import numpy as np

from tapegrad.core.record import recorded, wrap
from tapegrad.errors import failed_call
from tapegrad.functions.arguments import value
from tapegrad.functions.tensor import Tensor

__all__ = ["around", "bincount"]
NAMES = (
    "all any count_nonzero argsort argpartition lexsort searchsorted digitize unique isin "
    "nanargmax nanargmin allclose array_equal array_equiv isclose signbit isneginf isposinf isreal iscomplex logical_xor "
    "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift fix round gcd lcm nextafter spacing"
).split()


def _plain(x):
    if isinstance(x, Tensor):
        return x._value
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else x


def _constant(z):
    if isinstance(z, tuple):
        return tuple(map(_constant, z))
    return wrap(np.asarray(z), None) if isinstance(z, (np.ndarray, np.generic)) else z


def constant(function):
    """NumPy's `function` as one of tensors, whose result is a constant."""
    name = function.__name__

    def op(*operands, **options):
        values = _plain(operands)
        if options.get("out") is not None:
            raise TypeError(f"{name}: out= would write into a tensor; assign the result")
        try:
            return _constant(function(*values, **{key: _plain(option) for key, option in options.items()}))
        except Exception as error:
            raise failed_call(name, values, error) from error

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"np.{name} of the values, with its arguments. Not differentiable: the result is a constant."
    return op


for _name in NAMES:
    globals()[_name] = constant(getattr(np, _name))
__all__ += NAMES
around = globals()["round"]


def bincount(x, weights=None, minlength=0):
    """How often each of 0, 1, .. comes in the integers x, or the sum of its weights. Derivative to weights: d[x]."""
    counts = np.bincount(value(x), minlength=minlength)
    return wrap(counts, None) if weights is None else recorded.scatter(weights, value(x).copy(), counts.shape)
