"""Loops over machine numbers, compiled from the text that compiler/scalars.py writes. numba is loaded by the first."""

import numpy as np

from tapegrad.kernels.compile import compiler, failed, lock
from tapegrad.kernels.progress import shown

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
    if compiler() is None:
        return None
    try:
        from tapegrad.kernels.jit import loops
    except Exception as problem:
        return failed("a loop", problem)
    with shown("of a compiled loop"):
        return loops.build(text, dtype.type)
