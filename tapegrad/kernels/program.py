"""Programs of kernels: instructions that a compiled loop runs one after the other, without Python between them.

An instruction is a few 64-bit words in an array:

    CALL        the address of a kernel, the number n of its operands, rows, columns; n times (array, offset in bytes, row
                stride)
    PRODUCT     of float32 or float64, by the BLAS that NumPy has loaded: forms of x and y, m, n, k; (array, offset, row stride)
                of x, y, z; 1 to add to z, 0 to write it; a place of a word that is 0, or the product is left out; -1 without
    BATCH       of products of one size: forms of x and y, m, n, k; (array, offset, row stride) of x, y, z; how many outside and
                inside of each; the strides in bytes of x, y, z outside, and inside
    COPY        rows, bytes of a row; (array, offset, row stride in bytes) of x and z
    STOP        back to Python

An array is a position in the tuple that `run` gets. A kernel is generated text, compiled once and cached on disk: what a
program needs of machine code does not depend on its length. Without numba, or without the OpenBLAS that NumPy ships, there are
no programs: `available()` is False.
"""

import ctypes
from functools import cache

import numpy as np

from tapegrad.kernels import blas
from tapegrad.kernels.compile import Late, enabled, lock, nothing


def _load():
    from tapegrad.kernels.jit import interpreter
    return interpreter


def _load_texts():
    from tapegrad.kernels.jit import texts
    return texts


jit = Late(_load, "run", usable=enabled)
texts = Late(_load_texts, "kernel", usable=enabled)
NUMBERS = {np.dtype(np.float32): np.float32, np.dtype(np.float64): np.float64}


@cache
def _from_long():
    return ctypes.cast(ctypes.pythonapi.PyLong_FromLongLong, ctypes.c_void_p).value


def available():
    """Whether programs can be run here: asked anew, as a thread that only traces has no kernels."""
    return blas.gemm("s") is not None and blas.gemm("d") is not None and jit.run is not nothing \
        and texts.kernel is not nothing


def kernel(text, dtype):
    """The address of the kernel of this text, compiled when it is first asked for."""
    with lock:
        return texts.kernel(text, NUMBERS[dtype])


def start(at, count, checked):
    """What `run` is told of where it starts: the position in the code, the number of arrays, from which on they are tested."""
    return np.array([at, count, checked, blas.gemm("s"), blas.gemm("d"), _from_long()], np.int64)


def run(code, arrays, start):
    """Run the instructions of `code`; returns the position of the STOP, or -1 - k if arrays[k] is not an array (a NumPy scalar,
    a subclass), or not in order."""
    return jit.run(code, arrays, start)
