"""The kernels of kernels/onehot.py, in one precision."""

from types import SimpleNamespace

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.objects import fits, matrix, python_object
from tapegrad.kernels.limits import SPARSE
from tapegrad.kernels.objects import IN_ORDER, WRITEABLE

BLOCK = 64                              # elements that are tested at once


@intrinsic
def which_are_set(typing, place, unsigned):
    """A bit mask of the nonzero words among the BLOCK words at an address."""
    def call(context, builder, signature, operands):
        word = unsigned.instance_type
        block = ir.VectorType(context.get_value_type(word), BLOCK)
        words = builder.load(builder.inttoptr(operands[0], block.as_pointer()), align=word.bitwidth // 8)
        return builder.bitcast(builder.icmp_unsigned("!=", words, ir.Constant(block, None)), ir.IntType(BLOCK))

    return numba.uint64(numba.intp, unsigned), call


@intrinsic
def lowest(typing, bits):
    """The position of the lowest bit that is set."""
    def call(context, builder, signature, operands):
        return builder.cttz(operands[0], ir.Constant(ir.IntType(1), 1))

    return numba.int64(numba.uint64), call


@numba.njit
def is_finite(x, unsigned, infinity):
    words, top = x.reshape(x.size).view(unsigned), unsigned(0)
    for i in range(words.size):
        top = unsigned(max(top, unsigned(words[i] & infinity)))
    return top != infinity


@numba.njit
def ones(x, unsigned, one):
    """(rows, columns, count) of the ones in x, row by row; count is -1 if there are too many, or values other than 0 and 1."""
    words, width, count = x.reshape(x.size).view(unsigned), x.shape[1], 0
    most = x.shape[0] * max(1, width // SPARSE)
    rows, columns = np.empty(most, np.int64), np.empty(most, np.int64)
    n, start = 0, 0                                     # of the row that contains the previous one
    for low in range(0, words.size, BLOCK):
        if words.size - low >= BLOCK:
            places = which_are_set(x.ctypes.data + low * x.itemsize, unsigned)
        else:
            places = np.uint64(0)
            for i in range(words.size - low):
                places |= np.uint64(words[low + i] != unsigned(0)) << np.uint64(i)
        while places != np.uint64(0):
            place = low + lowest(places)
            places &= places - np.uint64(1)
            if words[place] != one or count == most:
                return rows, columns, -1
            while place - start >= width:
                n, start = n + 1, start + width
            rows[count], columns[count] = n, place - start
            count += 1
    return rows, columns, count


def kernels(number):
    """look_up and collect for float32 or float64."""
    unsigned = np.uint32 if number is np.float32 else np.uint64
    one, infinity = number(1).view(unsigned), number(np.inf).view(unsigned)

    def look_up(dtype, x, y, z):
        """z = x @ y, returns True; False if x is not an indicator matrix, y is not finite, or the arrays do not fit."""
        if not (fits(x, z, dtype, 2, IN_ORDER) and fits(y, z, dtype, 2, IN_ORDER)):
            return False
        x, y, z = matrix(x, number), matrix(y, number), matrix(z, number)
        if x.shape[1] != y.shape[0]:
            return False
        rows, columns, count = ones(x, unsigned, one)
        if count < 0 or not is_finite(y, unsigned, infinity):
            return False
        i = 0
        for n in range(x.shape[0]):
            if i == count or rows[i] > n:
                z[n] = number(0)
                continue
            k = columns[i]
            for j in range(y.shape[1]):
                z[n, j] = y[k, j] + number(0)               # a sum from 0 is never -0
            i += 1
            while i < count and rows[i] == n:
                k = columns[i]
                for j in range(y.shape[1]):
                    z[n, j] += y[k, j]
                i += 1
        return True

    def collect(dtype, x, d, w):
        """w += x.T @ d, returns True; False, w unchanged, if x is no indicator matrix, d not finite, or they do not fit."""
        if not (fits(x, w, dtype, 2, IN_ORDER) and fits(d, w, dtype, 2, IN_ORDER)
                    and fits(w, w, dtype, 2, IN_ORDER | WRITEABLE)):
            return False
        x, d, w = matrix(x, number), matrix(d, number), matrix(w, number)
        if x.shape[0] != d.shape[0] or w.shape != (x.shape[1], d.shape[1]):
            return False
        rows, columns, count = ones(x, unsigned, one)
        if count < 0 or not is_finite(d, unsigned, infinity):
            return False
        first, following = np.full(x.shape[1], -1), np.empty(count, np.int64)   # linked lists of the ones in each column
        for i in range(count - 1, -1, -1):
            k = columns[i]
            following[i], first[k] = first[k], i
        total = np.empty(d.shape[1], number)
        for i in range(count):
            k, n = columns[i], rows[i]
            if first[k] == i and following[i] < 0:
                for j in range(d.shape[1]):
                    w[k, j] += d[n, j] + number(0)
            elif first[k] == i:                             # summed first, then added to w, as x.T @ d would be
                for j in range(d.shape[1]):
                    total[j] = d[n, j] + number(0)
                i = following[i]
                while i >= 0:
                    n = rows[i]
                    for j in range(d.shape[1]):
                        total[j] += d[n, j]
                    i = following[i]
                for j in range(d.shape[1]):
                    w[k, j] += total[j]
        return True

    signature = numba.boolean(*[python_object] * 4)
    return SimpleNamespace(look_up=compiled(look_up, signature), collect=compiled(collect, signature))
