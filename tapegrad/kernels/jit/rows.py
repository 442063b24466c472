"""The kernel of kernels/rows.py, in both precisions."""

import numba

from tapegrad.kernels.jit.compiled import compiled


def add_at(x, ids, rows):
    for i in range(ids.size):
        k = ids[i] if ids[i] >= 0 else ids[i] + x.shape[0]
        for j in range(x.shape[1]):
            x[k, j] += rows[i, j]
    return True


float32, float64 = [compiled(add_at, numba.boolean(number[:, ::1], numba.int64[::1], number[:, ::1]))
                    for number in (numba.float32, numba.float64)]
