"""Adding to an array in place, without a temporary one: a matrix product by BLAS, and a sum of rows, as for a bias.

    w += x @ y, x.T @ y, x @ y.T      NumPy has no function for this, so a kernel calls cblas_sgemm of the OpenBLAS that NumPy
                                      ships, at its address. With another BLAS there is no kernel.
    b += sum of the rows of d
    z = x @ W.T + b                   the same product, added to b in every row: a sum of its own takes longer

float32 only: it is the dtype of training, and an exported program repeats float64 bit for bit, while a sum that starts with
w may round differently. Source: Dongarra et al., A set of level 3 basic linear algebra subprograms (1990).
"""

import ctypes
from functools import cache

import numpy as np

from tapegrad.kernels.compile import Late, nothing

FLOAT32 = np.dtype(np.float32)


@cache
def library():
    """The OpenBLAS that NumPy has loaded, as a ctypes library; None if it cannot be found.

    NumPy has no public name for it. Its symbols are looked up as the dynamic linker does, through the extension module that C
    programs import, too (it is named in NumPy's C headers). SciPy ships a separate copy of OpenBLAS.
    """
    try:
        from numpy._core import _multiarray_umath
        found = ctypes.CDLL(_multiarray_umath.__file__)
        return found if hasattr(found, "scipy_cblas_sgemm64_") else None
    except (ImportError, AttributeError, OSError):
        return None


def threads() -> int | None:
    """The number of threads that OpenBLAS uses for a product; None if it cannot be asked."""
    get = getattr(library(), "scipy_openblas_get_num_threads64_", None)
    return None if get is None else get()


def set_threads(n: int) -> bool:
    """Have OpenBLAS use n threads, in this process; False if it cannot be told."""
    put = getattr(library(), "scipy_openblas_set_num_threads64_", None)
    if put is not None:
        put(ctypes.c_int(n))
    return put is not None


def _load():
    from tapegrad.kernels.jit import blas
    return blas


jit = Late(_load, "add_product", "add_rows", "linear")


@cache
def gemm(letter):
    """The address of cblas_sgemm, "s", or cblas_dgemm, "d"; None without this OpenBLAS."""
    function = getattr(library(), f"scipy_cblas_{letter}gemm64_", None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def adds_products():
    """Whether there is a kernel for add_product. If not, float32 uses NumPy's products, with their exact bits."""
    return library() is not None and jit.add_product is not nothing


def add_product(w, x, y, transposed_x=False, transposed_y=False):
    """w += x @ y, with x.T if transposed_x and y.T if transposed_y; returns True.

    Returns False, with w unchanged, unless all are C-contiguous float32 matrices, and numba and cblas_sgemm are available.
    """
    if w.dtype is not FLOAT32 or library() is None or jit.add_product is nothing:   # adds_products(), without a call
        return False
    return jit.add_product(gemm("s"), FLOAT32, w, x, y, transposed_x, transposed_y)


def linear(x, W, b):
    """x @ W.T + b for the rows of x, which may have any number of axes: the product is added to rows of b.

    None unless all are C-contiguous float32, and numba and cblas_sgemm are available; and of a single row, or column of W.T,
    which is a product with a vector: NumPy's takes a seventh of the time of one of matrices.
    """
    if x.dtype is not FLOAT32 or library() is None or jit.linear is nothing or min(x.size, W.size) < 2 * W.shape[-1]:
        return None
    z = np.empty((*x.shape[:-1], len(W)), FLOAT32)
    return z if jit.linear(gemm("s"), FLOAT32, x, W, b, z) else None


def add_rows(b, d):
    """b += d.sum(axis=0), returns True; False, b unchanged, unless both are C-contiguous float32 and numba is available."""
    return b.dtype is FLOAT32 and jit.add_rows(FLOAT32, b, d)
