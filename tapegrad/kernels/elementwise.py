"""Elementwise kernels: ufuncs of float32 and float64, each compiled on first use.

A ufunc supports broadcasting, out=, casting, 0-d arrays and any memory order, and a call takes 0.2 us; numba's own dispatchers
take longer, or compile again for every array layout.
"""

from functools import wraps
from typing import Any

import numpy as np

from tapegrad.kernels import error_function
from tapegrad.kernels.compile import compiler, failed, lock
from tapegrad.kernels.error_function import CUBIC_TERM, LINEAR_TERM
from tapegrad.kernels.progress import shown

_made = {}


def plain_sigmoid(x, out=None):
    return np.divide(np.exp(np.minimum(x, 0)), 1 + np.exp(-np.abs(x)), out=out)


def plain_silu(x, out=None):
    return np.multiply(x, plain_sigmoid(x), out=out)


def plain_gelu_tanh(x, out=None):
    terms = [x.dtype.type(term) for term in (LINEAR_TERM, CUBIC_TERM)]
    return np.multiply(x, plain_sigmoid(x * (terms[0] + terms[1] * (x * x))), out=out)


def of_real_numbers(function):
    """The function, taking integers to the floats and refusing complex numbers as the ufunc does that it replaces."""
    @wraps(function)
    def plain(x, out=None):
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise TypeError(f"{function.__name__} expected real numbers, got complex")
        return function(x if x.dtype.kind == "f" else x.astype(np.result_type(x, np.float32)), out=out)

    return plain


PLAIN = {"sigmoid": of_real_numbers(plain_sigmoid), "silu": of_real_numbers(plain_silu),
         "gelu_tanh": of_real_numbers(plain_gelu_tanh), "tanh": of_real_numbers(np.tanh),
         "relu": of_real_numbers(lambda x, out=None: np.maximum(x, 0.0, out=out)),
         **error_function.PLAIN}


def _build(*description):
    """The result of jit.ufunc.build; None without a compiler, or if compilation fails."""
    if compiler() is None:
        return None
    try:
        from tapegrad.kernels.jit import ufunc
    except Exception as problem:
        return failed(description[1], problem)
    with shown(description[1]):
        return ufunc.build(*description)


def _remembered(*description):
    with lock:
        if description not in _made:
            _made[description] = _build(*description)
        return _made[description]


def forward(name):
    """The ufunc of a name in PLAIN, compiled on the first call or loaded from numba's cache.

    sigmoid 1 / (1 + exp(-x)) is within 2.75 units in the last place, denormals included; tanh within 3.25, with tanh(-0) = -0;
    relu max(x, 0) is exact, with relu(-0) = -0 as in PyTorch.
    NaN propagates. float32 stays float32; float16 and 8- and 16-bit integers give float32, other integers float64.
    Without a working numba, returns a function (x, out=None) of NumPy operations. ValueError for another name.
    """
    if name not in PLAIN:
        raise ValueError(f"there is no kernel {name!r}; expected one of {', '.join(PLAIN)}")
    return _remembered(None, name, 1) or PLAIN[name]


def derivative(label, text, arity, filename):
    """A ufunc of `arity` float32 or float64, compiled from the text of a scalar function; None without a compiler.

    The text defines the function `label`, creates its literals with `number`, np.float32 or np.float64, and may call the
    formulas of that precision; primitives/scalar.py generates it from a rule. The kernel is cached under `filename`, the file
    that the rule is in, so editing that file recompiles it. The ufunc's __doc__ is the text.
    """
    return _remembered(text, label, arity, filename)


def of_function(function: Any, arity: int) -> Any:
    """A ufunc of `arity` float32 or float64 that applies a user's scalar function; None without a compiler. Not cached.

    A call raises RuntimeError if the function raises: its own exception cannot leave compiled code.
    """
    with lock:
        return _build(function, function.__name__, arity)
