"""The kernels of kernels/blas.py: w += x @ y and z = x @ W.T + b by cblas_sgemm, and b += the sum of rows."""

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.gemm import gemm
from tapegrad.kernels.jit.objects import DATA, address, elements, fits, half_word, length, matrix, python_object, vector, word
from tapegrad.kernels.objects import IN_ORDER, NDIM, WRITEABLE
from tapegrad.kernels.opcodes import PLAIN, ROW_MAJOR, TRANSPOSED


def _add_product(function, float32, w, x, y, transposed_x, transposed_y):
    if not (fits(w, w, float32, 2, IN_ORDER | WRITEABLE) and fits(x, w, float32, 2, IN_ORDER)
            and fits(y, w, float32, 2, IN_ORDER)):
        return False
    m, k = (length(x, 1), length(x, 0)) if transposed_x else (length(x, 0), length(x, 1))
    same, n = (length(y, 1), length(y, 0)) if transposed_y else (length(y, 0), length(y, 1))
    if m != length(w, 0) or n != length(w, 1) or k != same or m * n * k == 0:
        return False
    form_x, form_y, one = TRANSPOSED if transposed_x else PLAIN, TRANSPOSED if transposed_y else PLAIN, np.float32(1)
    gemm(function, ROW_MAJOR, form_x, form_y, m, n, k, one, word(address(x) + DATA), length(x, 1),
          word(address(y) + DATA), length(y, 1), one, word(address(w) + DATA), n)
    return True


def _add_rows(float32, b, d):
    if not (fits(b, b, float32, 1, IN_ORDER | WRITEABLE) and fits(d, b, float32, 2, IN_ORDER)):
        return False
    total, rows = vector(b, np.float32), matrix(d, np.float32)
    if rows.shape[1] != total.size:
        return False
    for i in range(rows.shape[0]):
        for j in range(total.size):
            total[j] += rows[i, j]
    return True


def _linear(function, float32, x, W, b, z):
    k = length(W, 1)
    ndim = half_word(address(x) + NDIM)
    if not (ndim > 0 and fits(x, z, float32, ndim, IN_ORDER) and fits(W, z, float32, 2, IN_ORDER)
            and fits(b, z, float32, 1, IN_ORDER)) or length(x, ndim - 1) != k or length(b, 0) != length(W, 0):
        return False
    n, m = length(W, 0), 1
    for axis in range(ndim - 1):
        m *= length(x, axis)
    if m * n * k == 0:
        return False
    to, of = elements(address(z), np.float32), elements(address(b), np.float32)
    for i in range(m):
        for j in range(n):
            to[i * n + j] = of[j]
    gemm(function, ROW_MAJOR, PLAIN, TRANSPOSED, m, n, k, np.float32(1), word(address(x) + DATA), k, word(address(W) + DATA), k,
         np.float32(1), word(address(z) + DATA), n)
    return True


add_product = compiled(_add_product, numba.boolean(numba.int64, *[python_object] * 4, numba.boolean, numba.boolean))
add_rows = compiled(_add_rows, numba.boolean(*[python_object] * 3))
linear = compiled(_linear, numba.boolean(numba.int64, *[python_object] * 5))
