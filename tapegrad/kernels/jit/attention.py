"""The kernels of kernels/attention.py, in float32: head by head, by products of BLAS on the features where they lie.

x is (N, L, 3 E): the queries, keys and values of the E features side by side; the weights w are (N, heads, L, L). A product by
the rows of a transposed matrix takes twice as long as one by rows while it is small: keys and values are transposed before.
"""

import numba
import numpy as np

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.gemm import gemm
from tapegrad.kernels.jit.softmax import shares, softmax_of_rows
from tapegrad.kernels.opcodes import PLAIN, ROW_MAJOR, TRANSPOSED

NUMBER, BYTES = np.float32, 4
ONE, ZERO = NUMBER(1), NUMBER(0)


@numba.njit(error_model="numpy")
def transposed(x, n, start, z):
    """z = the features x[n, :, start:start + width], of which each is a row of z."""
    width, length = z.shape
    whole = length // 4 * 4
    for i in range(0, whole, 4):                        # four at a time, which are stored side by side
        for j in range(width):
            z[j, i], z[j, i + 1] = x[n, i, start + j], x[n, i + 1, start + j]
            z[j, i + 2], z[j, i + 3] = x[n, i + 2, start + j], x[n, i + 3, start + j]
    for i in range(whole, length):
        for j in range(width):
            z[j, i] = x[n, i, start + j]


@numba.njit(error_model="numpy")
def sizes(x, w):
    """The places, the heads, and the numbers of a place in x, in a part of x, and in a head of that."""
    features = x.shape[2] // 3
    return x.shape[1], w.shape[1], x.shape[2], features, features // w.shape[1]


@numba.njit(error_model="numpy")
def place(x, n, i, j):
    """The address of x[n, i, j]."""
    return x.ctypes.data + BYTES * ((n * x.shape[1] + i) * x.shape[2] + j)


def _weights(function, x, mask, masked, scale, rows, w):
    """w = softmax(scale q k^T + mask), of so many rows of a head at a time."""
    length, heads, across, features, width = sizes(x, w)
    keys, scores = np.empty((width, length), NUMBER), np.empty((rows, length), NUMBER)
    for n in range(x.shape[0]):
        for h in range(heads):
            transposed(x, n, features + h * width, keys)
            for first in range(0, length, rows):
                count = min(rows, length - first)
                gemm(function, ROW_MAJOR, PLAIN, PLAIN, count, length, width, scale, place(x, n, first, h * width), across,
                     keys.ctypes.data, length, ZERO, scores.ctypes.data, length)
                if masked:
                    for i in range(count):
                        for j in range(length):
                            scores[i, j] += mask[n, h, first + i, j]
                softmax_of_rows(scores[:count].reshape(-1), length, w[n, h, first:first + count].reshape(-1))


def _add_weights_derivative(function, d, w, x, scale, rows, dx):
    """Add what the delta d of the weights contributes to queries and keys."""
    length, heads, across, features, width = sizes(x, w)
    scores = np.empty((rows, length), NUMBER)
    for n in range(x.shape[0]):
        for h in range(heads):
            q, k = h * width, features + h * width
            for first in range(0, length, rows):
                count = min(rows, length - first)
                shares(d[n, h, first:first + count], w[n, h, first:first + count], scores)
                gemm(function, ROW_MAJOR, PLAIN, PLAIN, count, width, length, scale, scores.ctypes.data, length,
                     place(x, n, 0, k), across, ONE, place(dx, n, first, q), across)
                gemm(function, ROW_MAJOR, TRANSPOSED, PLAIN, length, width, count, scale, scores.ctypes.data, length,
                     place(x, n, first, q), across, ONE, place(dx, n, 0, k), across)


def _output(function, w, x, z):
    """z = w v, the heads side by side."""
    length, heads, across, features, width = sizes(x, w)
    for n in range(x.shape[0]):
        for h in range(heads):
            gemm(function, ROW_MAJOR, PLAIN, PLAIN, length, width, length, ONE, w[n, h].ctypes.data, length,
                 place(x, n, 0, 2 * features + h * width), across, ZERO, place(z, n, 0, h * width), features)


def _output_derivatives(function, d, w, x, dw, dx):
    """dw = d v^T, and in dx w^T d for the values, 0 for queries and keys."""
    length, heads, across, features, width = sizes(x, w)
    values = np.empty((width, length), NUMBER)
    for n in range(x.shape[0]):
        for i in range(length):
            for j in range(2 * features):
                dx[n, i, j] = ZERO
        for h in range(heads):
            transposed(x, n, 2 * features + h * width, values)
            gemm(function, ROW_MAJOR, PLAIN, PLAIN, length, length, width, ONE, place(d, n, 0, h * width), features,
                 values.ctypes.data, length, ZERO, dw[n, h].ctypes.data, length)
            gemm(function, ROW_MAJOR, TRANSPOSED, PLAIN, length, width, length, ONE, w[n, h].ctypes.data, length,
                 place(d, n, 0, h * width), features, ZERO, place(dx, n, 0, 2 * features + h * width), across)


sides, squares, anywhere = numba.float32[:, :, ::1], numba.float32[:, :, :, ::1], numba.float32[:, :, :, :]
address, number, count = numba.int64, numba.float32, numba.int64
weights = compiled(_weights, numba.void(address, sides, anywhere, numba.boolean, number, count, squares), error_model="numpy")
add_weights_derivative = compiled(
    _add_weights_derivative, numba.void(address, squares, squares, sides, number, count, sides), error_model="numpy")
output = compiled(_output, numba.void(address, squares, sides, sides), error_model="numpy")
output_derivatives = compiled(
    _output_derivatives, numba.void(address, sides, squares, sides, squares, sides), error_model="numpy")
