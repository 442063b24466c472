"""The kernels of kernels/rows.py, in both precisions."""

import numba

from tapegrad.kernels.jit.compiled import compiled


def add_at(x, ids, rows):
    for i in range(ids.size):
        k = ids[i] if ids[i] >= 0 else ids[i] + x.shape[0]
        for j in range(x.shape[1]):
            x[k, j] += rows[i, j]
    return True


def used(bits, rows):
    """A row is listed whatever it is, and stays listed if one of its bits is set: no branch, so that LLVM vectorises."""
    n = 0
    for i in range(bits.shape[0]):
        found = bits.dtype.type(0)
        for j in range(bits.shape[1]):
            found |= bits[i, j]
        rows[n] = i
        n += found != 0
    return n


float32, float64 = [compiled(add_at, numba.boolean(number[:, ::1], numba.int64[::1], number[:, ::1]))
                    for number in (numba.float32, numba.float64)]
used_32, used_64 = [compiled(used, numba.int64(number[:, ::1], numba.int64[::1])) for number in (numba.uint32, numba.uint64)]
