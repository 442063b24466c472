"""The kernels of kernels/rows.py, in both precisions."""

import numba

from tapegrad.kernels.jit.compiled import compiled


def add_at(x, ids, rows):
    for i in range(ids.size):
        k = ids[i] if ids[i] >= 0 else ids[i] + x.shape[0]
        for j in range(x.shape[1]):
            x[k, j] += rows[i, j]
    return True


def any_of(x, found):
    for i in range(x.shape[0]):
        j = 0
        while j < x.shape[1] and x[i, j] == 0:
            j += 1
        found[i] = j < x.shape[1]
    return True


PRECISIONS = numba.float32, numba.float64
float32, float64 = [compiled(add_at, numba.boolean(number[:, ::1], numba.int64[::1], number[:, ::1])) for number in PRECISIONS]
any_float32, any_float64 = [compiled(any_of, numba.boolean(number[:, ::1], numba.boolean[::1])) for number in PRECISIONS]
