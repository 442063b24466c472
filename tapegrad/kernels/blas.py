"""Adding to a delta what has no array of its own: a product, by BLAS, and the sum of rows that a bias gets.

    w += x @ y, x.T @ y, x @ y.T      NumPy has no name for that, so cblas_sgemm of the OpenBLAS that NumPy brings along is
                                      called, at its address, from a kernel. With another BLAS nothing is done here.
    b += sum of the rows of d

Only float32 is here: it is what is trained in, and an exported program repeats float64 to the last bit, where a sum that begins
with w may differ. Source: Dongarra et al., A set of level 3 basic linear algebra subprograms (1990).
"""

import ctypes
from functools import cache

import numpy as np

from tapegrad.kernels.compile import Late, nothing

FLOAT32 = np.dtype(np.float32)


@cache
def library():
    """The OpenBLAS that NumPy has loaded, to be asked for its functions, or None where that cannot be told.

    NumPy has no public name for it. Its functions are found as the linker finds them, through the extension module that C
    programs import, too (NumPy's C headers name it). SciPy's copy of OpenBLAS is another.
    """
    try:
        from numpy._core import _multiarray_umath
        found = ctypes.CDLL(_multiarray_umath.__file__)
        return found if hasattr(found, "scipy_cblas_sgemm64_") else None
    except (ImportError, AttributeError, OSError):
        return None


def _load():
    from tapegrad.kernels.jit import blas
    return blas


jit = Late(_load, "add_product", "add_rows")


@cache
def _sgemm():
    return ctypes.cast(library().scipy_cblas_sgemm64_, ctypes.c_void_p).value


@cache
def adds_products():
    """Whether there is a kernel for add_product. Where not, float32 keeps to NumPy's products, and to their last bits."""
    return library() is not None and jit.add_product is not nothing


def add_product(w, x, y, transposed_x=False, transposed_y=False):
    """w += x @ y, or x.T for a transposed x, y.T for a transposed y, and True.

    False, with w as it was, unless all are float32 matrices in C order, and there are numba and BLAS's function.
    """
    if w.dtype is not FLOAT32 or not adds_products():
        return False
    return jit.add_product(_sgemm(), FLOAT32, w, x, y, transposed_x, transposed_y)


def add_rows(b, d):
    """b += d.sum(axis=0), and True; False, with b as it was, unless both are float32 in C order, and there is numba."""
    return b.dtype is FLOAT32 and jit.add_rows(FLOAT32, b, d)
