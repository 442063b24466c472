"""w += x @ y in one call of the BLAS that NumPy brings along: no array for the product, and no pass that adds it.

NumPy has no name for that, so BLAS's own function is called, at its address, from a numba kernel. Its arguments are those of
cblas_sgemm, with 64-bit integers; where NumPy has another BLAS, `add_product` says so and does nothing. Only float32 is here:
it is what is trained in, and an exported program repeats float64 to the last bit, where a sum that begins with w may differ.
Source: Dongarra et al., A set of level 3 basic linear algebra subprograms (1990).
"""

import ctypes
import re
import sys
from functools import cache

import numpy as np

from tapegrad import kernels

ROWS, PLAIN, TRANSPOSED = 101, 111, 112     # CblasRowMajor, CblasNoTrans, CblasTrans


@cache
def library():
    """The OpenBLAS that NumPy has loaded, or None where that cannot be told. (SciPy may have loaded another.)"""
    try:
        with open("/proc/self/maps") as maps:
            found = re.search(r"(/\S*numpy\S*openblas\S*\.so\S*)", maps.read())
        return ctypes.CDLL(found[1]) if found else None
    except OSError:
        return None


def accumulate(address, transposed, x, y, w):
    """w += x @ y, or x.T @ y."""
    k, form = (x.shape[0], TRANSPOSED) if transposed else (x.shape[1], PLAIN)
    one = np.float32(1)
    sgemm(address, ROWS, form, PLAIN, w.shape[0], w.shape[1], k, one, x.ctypes.data, x.shape[1], y.ctypes.data, y.shape[1],  # noqa: F821
          one, w.ctypes.data, w.shape[1])


def _sgemm(numba):
    """A function for kernels that calls cblas_sgemm at an address."""
    from llvmlite import ir
    from numba.extending import intrinsic

    integer, size, real = numba.int32, numba.int64, numba.float32
    parameters = (integer,) * 3 + (size,) * 3 + (real, size, size, size, size, real, size, size)

    @intrinsic
    def sgemm(typing, address, layout, form_x, form_y, m, n, k, alpha, x, ldx, y, ldy, beta, w, ldw):
        def call(context, builder, signature, operands):
            place, *given = operands
            function = ir.FunctionType(ir.VoidType(), [context.get_value_type(kind) for kind in parameters])
            builder.call(builder.inttoptr(place, function.as_pointer()), given)
            return context.get_dummy_value()

        return numba.void(numba.intp, *parameters), call

    return sgemm


@cache
def _accumulate():
    """(accumulate compiled, the address of cblas_sgemm), or None."""
    function = getattr(library(), "scipy_cblas_sgemm64_", None)
    with kernels.lock:
        numba = kernels.compiler()
        if function is None or numba is None:
            return None
        names = {"np": np, "sgemm": _sgemm(numba), "ROWS": ROWS, "PLAIN": PLAIN, "TRANSPOSED": TRANSPOSED}
        matrix = numba.float32[:, ::1]
        compiled = kernels.compiled(kernels.bound(accumulate, names),
                                    numba.void(numba.intp, numba.boolean, matrix, matrix, matrix))
    return compiled and (compiled, ctypes.cast(function, ctypes.c_void_p).value)


def add_product(w, x, y, transposed=False):
    """w += x @ y, or x.T @ y, and True; False, with w as it was, unless all are float32, in order, and BLAS is there."""
    if not (x.dtype.char == y.dtype.char == w.dtype.char == "f" and x.flags.carray and y.flags.carray and w.flags.carray):
        return False
    found = _accumulate() if "numba" in sys.modules else None       # which is not loaded for this alone
    if found is None:
        return False
    found[0](found[1], transposed, x, y, w)
    return True
