"""Loops over machine numbers, compiled from the text that compiler/scalars.py writes. The compiler is loaded by the first."""

import ctypes

import numpy as np

from tapegrad.kernels.compile import enabled, failed, lock

_made = {}


def compiled(text, dtype):
    """A function of an array of int64, the params of the kernel `loop` of a text, in float32 or float64; None without numba.

    Its attribute `address` is that of the kernel: void(int64 *params). A kernel is cached on disk under a checksum of its text.
    """
    key = text, np.dtype(dtype)
    with lock:
        if key not in _made:
            _made[key] = _build(*key)
        return _made[key]


def _build(text, dtype):
    if not enabled():
        return None
    try:
        from tapegrad.kernels.jit import texts
        return _called(texts.kernel(text, dtype.type))
    except Exception as problem:
        return failed("a loop", problem)


def _called(address):
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)

    def function(params):
        call(params.__array_interface__["data"][0])

    function.address = address
    return function
