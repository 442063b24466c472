"""Attention of several heads, in float32, on queries, keys and values that lie side by side: nothing is copied to set the heads
apart. float64 uses NumPy, because an exported program repeats it bit for bit.

All return None, or False with nothing modified, if there is no kernel for the operands.
"""

import numpy as np

from tapegrad.kernels import blas
from tapegrad.kernels.compile import Late, nothing

FLOAT32 = np.dtype(np.float32)
ROWS = 128                              # of the scores of a head, that are computed at a time: they stay in the cache


def _load():
    from tapegrad.kernels.jit import attention
    return attention


jit = Late(_load, "weights", "add_weights_derivative", "output", "output_derivatives")
_UNMASKED = np.zeros((1, 1, 1, 1), FLOAT32)


def _kernel(name, *xs):
    """(the kernel, the address of the product), or None."""
    for x in xs:
        if x.dtype is not FLOAT32 or not x.flags.carray or not x.size:
            return None
    kernel, gemm = getattr(jit, name), blas.gemm("s")
    return None if gemm is None or kernel is nothing else (kernel, gemm)


def weights(x, mask, heads, scale):
    """softmax(scale q k^T + mask) of each head; a mask of None is none."""
    found = _kernel("weights", x)
    if found is None or mask is not None and mask.dtype is not FLOAT32:
        return None
    n, length, _ = x.shape
    w = np.empty((n, heads, length, length), FLOAT32)
    shown = _UNMASKED if mask is None else np.broadcast_to(mask, w.shape)
    kernel, gemm = found
    kernel(gemm, x, shown, mask is not None, scale, min(length, ROWS), w)
    return w


def add_weights_derivative(dx, d, w, x, scale):
    """Add to dx what the delta of the weights contributes; whether it has."""
    found = _kernel("add_weights_derivative", dx, d, w, x)
    if found is None:
        return False
    kernel, gemm = found
    kernel(gemm, d, w, x, scale, min(x.shape[1], ROWS), dx)
    return True


def output(w, x):
    """The values weighted by w, heads side by side."""
    found = _kernel("output", w, x)
    if found is None:
        return None
    n, length, across = x.shape
    z = np.empty((n, length, across // 3), FLOAT32)
    kernel, gemm = found
    kernel(gemm, w, x, z)
    return z


def output_derivatives(d, w, x):
    """The contributions of the delta of the output to w and to x."""
    found = _kernel("output_derivatives", d, w, x)
    if found is None:
        return None
    dw, dx = np.empty(w.shape, FLOAT32), np.empty(x.shape, FLOAT32)
    kernel, gemm = found
    kernel(gemm, d, w, x, dw, dx)
    return dw, dx
