# ruff: noqa: F821 -- the kernels' free names are bound in _compiled()
"""Adding to a delta what has no array of its own: a product, by BLAS, and the sum of rows that a bias gets.

    w += x @ y, x.T @ y, x @ y.T      NumPy has no name for that, so cblas_sgemm of the OpenBLAS that NumPy brings along is
                                      called, at its address, from a numba kernel. With another BLAS nothing is done here.
    b += sum of the rows of d

Only float32 is here: it is what is trained in, and an exported program repeats float64 to the last bit, where a sum that begins
with w may differ. Source: Dongarra et al., A set of level 3 basic linear algebra subprograms (1990).
"""

import ctypes
import re
import sys
from functools import cache

import numpy as np
from numpy import ndarray

from tapegrad.kernels import elementwise as kernels
from tapegrad.kernels import ndarray as addresses

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112    # as cblas.h numbers them
FLOAT32 = np.dtype(np.float32)


@cache
def library():
    """The OpenBLAS that NumPy has loaded, or None where that cannot be told. (SciPy may have loaded another.)"""
    try:
        with open("/proc/self/maps") as maps:
            found = re.search(r"(/\S*numpy\S*openblas\S*\.so\S*)", maps.read())
        return ctypes.CDLL(found[1]) if found else None
    except OSError:
        return None


def add_product_kernel(sgemm_address, descr, w, x, y, form_x, form_y):
    if not (fits(w, descr, 2, IN_ORDER | WRITEABLE) and fits(x, descr, 2, IN_ORDER) and fits(y, descr, 2, IN_ORDER)):
        return False
    w_rows, w_columns = word(word(w + DIMENSIONS)), word(word(w + DIMENSIONS) + 8)
    x_rows, x_columns = word(word(x + DIMENSIONS)), word(word(x + DIMENSIONS) + 8)
    y_rows, y_columns = word(word(y + DIMENSIONS)), word(word(y + DIMENSIONS) + 8)
    m, k = (x_rows, x_columns) if form_x == PLAIN else (x_columns, x_rows)
    same, n = (y_rows, y_columns) if form_y == PLAIN else (y_columns, y_rows)
    if m != w_rows or n != w_columns or k != same or m * n * k == 0:
        return False
    one = np.float32(1)
    sgemm(sgemm_address, ROW_MAJOR, form_x, form_y, m, n, k, one, word(x + DATA), x_columns, word(y + DATA), y_columns,
          one, word(w + DATA), w_columns)
    return True


def add_rows_kernel(descr, b, d):
    if not (fits(b, descr, 1, IN_ORDER | WRITEABLE) and fits(d, descr, 2, IN_ORDER)):
        return False
    n, size = word(word(d + DIMENSIONS)), word(word(d + DIMENSIONS) + 8)
    if size != word(word(b + DIMENSIONS)):
        return False
    total, rows = carray(elements(b + DATA), size), carray(elements(d + DATA), n * size)
    for low in range(0, n * size, size):
        row = rows[low:low + size]
        for j in range(size):
            total[j] += row[j]
    return True


def _sgemm(numba):
    """A function for kernels that calls cblas_sgemm, with 64-bit integers, at an address."""
    from llvmlite import ir
    from numba.extending import intrinsic

    form, size, real = numba.int32, numba.int64, numba.float32
    parameters = (form,) * 3 + (size,) * 3 + (real, size, size, size, size, real, size, size)

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
def _compiled():
    """(add_product_kernel and the address of cblas_sgemm, add_rows_kernel), compiled."""
    function = getattr(library(), "scipy_cblas_sgemm64_", None)
    with kernels.lock:
        numba = kernels.compiler()
        if numba is None or not addresses.known_layout():
            return kernels.nothing, 0, kernels.nothing
        integer = numba.int64
        names = addresses.tools(numba, np.float32) | {"np": np, "ROW_MAJOR": ROW_MAJOR, "PLAIN": PLAIN, "sgemm": _sgemm(numba)}
        product = function and kernels.compiled(kernels.bound(add_product_kernel, names), numba.boolean(*[integer] * 7))
        rows = kernels.compiled(kernels.bound(add_rows_kernel, names), numba.boolean(*[integer] * 3))
        address = ctypes.cast(function, ctypes.c_void_p).value if function else 0
        return product or kernels.nothing, address, rows or kernels.nothing


_loaded = []                            # what _compiled() gives, once numba has been loaded by something else


def _load():
    if "numba" in sys.modules:
        _loaded[:] = _compiled()
    return _loaded


def adds_products():
    """Whether there is a kernel for add_product. Where not, float32 keeps to NumPy's products, and to their last bits."""
    return bool(_loaded or _load()) and _loaded[0] is not kernels.nothing


def add_product(w, x, y, form_x=PLAIN, form_y=PLAIN):
    """w += x @ y, where TRANSPOSED says that x.T or y.T is meant, and True.

    False, with w as it was, unless all are float32 matrices in C order, numba is loaded, and BLAS's function is there.
    """
    if w.dtype is not FLOAT32 or not type(x) is type(y) is ndarray or not (_loaded or _load()):
        return False
    kernel, sgemm_address, _ = _loaded
    return kernel(sgemm_address, id(FLOAT32), id(w), id(x), id(y), form_x, form_y)


def add_rows(b, d):
    """b += d.sum(axis=0), and True; False, with b as it was, unless both are float32 in C order, and numba is loaded."""
    if b.dtype is not FLOAT32 or type(d) is not ndarray or not (_loaded or _load()):
        return False
    return _loaded[2](id(FLOAT32), id(b), id(d))
