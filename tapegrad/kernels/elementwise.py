"""Elementwise kernels: ufuncs of float32 and float64, each compiled when it is first asked for.

A ufunc brings broadcasting, out=, casting, 0-d and memory order, and is called in 0.2 us; numba's own dispatchers take longer
or compile again for every array layout.
"""

from functools import wraps
from typing import Any

import numpy as np

from tapegrad.kernels.compile import compiler, failed, lock

_made = {}


def plain_sigmoid(x, out=None):
    return np.divide(np.exp(np.minimum(x, 0)), 1 + np.exp(-np.abs(x)), out=out)


def of_real_numbers(function):
    """The function, which refuses complex numbers as the ufunc in whose place it stands does."""
    @wraps(function)
    def plain(x, out=None):
        if np.iscomplexobj(x):
            raise TypeError(f"{function.__name__} of complex numbers; the kernel is for real ones")
        return function(x, out=out)

    return plain


PLAIN = {"sigmoid": of_real_numbers(plain_sigmoid), "tanh": of_real_numbers(np.tanh),
         "relu": of_real_numbers(lambda x, out=None: np.maximum(x, 0.0, out=out))}


def _build(*description):
    """What jit.ufunc.build gives; None without a compiler, and where compiling fails."""
    if compiler() is None:
        return None
    try:
        from tapegrad.kernels.jit import ufunc
    except Exception as problem:
        return failed(description[1], problem)
    return ufunc.build(*description)


def _remembered(*description):
    with lock:
        if description not in _made:
            _made[description] = _build(*description)
        return _made[description]


def forward(name):
    """The ufunc of "sigmoid", "tanh" or "relu", compiled at the first call or loaded from numba's cache.

    sigmoid 1 / (1 + exp(-x)) is within 2.75 units in the last place, denormals included; tanh within 3.25, with tanh(-0) = -0;
    relu max(x, 0) is exact, with relu(-0) = -0 as in PyTorch.
    NaN passes through. float32 stays float32, float16 and 8 and 16-bit integers go to it; other integers go to float64.
    Without a working numba they are functions (x, out=None) of NumPy operations. ValueError for another name.
    """
    if name not in PLAIN:
        raise ValueError(f"no kernel {name!r}; there are {', '.join(PLAIN)}")
    return _remembered(None, name, 1) or PLAIN[name]


def derivative(label, text, arity, filename):
    """A ufunc of `arity` float32 or float64, compiled from the text of a scalar function; None without a compiler.

    The text defines the function `label` and takes its literals from `number`, np.float32 or np.float64, in whose place it
    may use the formulas: primitives/scalar.py makes it from a rule. The kernel is cached under the file that it came from,
    `filename`, so editing that renews it. The ufunc's __doc__ is the text.
    """
    return _remembered(text, label, arity, filename)


def of_function(function: Any, arity: int) -> Any:
    """A ufunc of `arity` float32 or float64 that applies a user's scalar function; None without a compiler. Not cached.

    RuntimeError where the function raises, for its exception does not come out of compiled code.
    """
    with lock:
        return _build(function, function.__name__, arity)
