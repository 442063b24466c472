# ruff: noqa: F821 -- the kernels' free names are bound once per precision, in kernels_of()
"""Products with an indicator matrix: zeros and a few ones in a row, as one-hot rows have. They are look-ups.

    x @ y       row n is the sum of the rows y[k] with x[n, k] = 1
    x.T @ d     row k is the sum of the rows d[n] with x[n, k] = 1

They come to the bits of a dense product that adds up in order: products with ones are exact, and zeros add nothing. Only 0
times infinity, or NaN, would, so a y or d that is not finite is left to the dense product. Nobody has to say what x is: that
it is dense shows in its first elements, and that it is an indicator matrix in one pass, which takes a small part of the time
of the product.
"""

from functools import cache

import numpy as np

from tapegrad.kernels import elementwise as kernels
from tapegrad.kernels import ndarray as addresses

SMALLEST = 2048                         # elements of x: a smaller dense product takes no longer than the look-up
SMALLEST_ADDED = 1024                   # the same of a product that is added
SPARSE = 16                             # one in so many elements may be a one
BLOCK = 64                              # elements that are looked at together


def is_finite(x):
    words, top = x.reshape(x.size).view(unsigned), unsigned(0)
    for i in range(words.size):
        top = unsigned(max(top, unsigned(words[i] & INFINITY)))
    return top != INFINITY


def ones(x):
    """(rows, columns, count) of the ones in x, row by row; count is -1 where there are many, or other numbers than 0 and 1."""
    words, width, count = x.reshape(x.size).view(unsigned), x.shape[1], 0
    most = x.shape[0] * max(1, width // SPARSE)
    rows, columns = np.empty(most, np.int64), np.empty(most, np.int64)
    n, start = 0, 0                                     # of the row that the last one was in
    for low in range(0, words.size, BLOCK):
        if words.size - low >= BLOCK:
            places = which_are_set(x.ctypes.data + low * ITEMSIZE)
        else:
            places = np.uint64(0)
            for i in range(words.size - low):
                places |= np.uint64(words[low + i] != unsigned(0)) << np.uint64(i)
        while places != np.uint64(0):
            place = low + lowest(places)
            places &= places - np.uint64(1)
            if words[place] != ONE or count == most:
                return rows, columns, -1
            while place - start >= width:
                n, start = n + 1, start + width
            rows[count], columns[count] = n, place - start
            count += 1
    return rows, columns, count


def look_up(descr, x, y, z):
    """z = x @ y, and True; False where x is no indicator matrix, y not finite, or they do not fit."""
    if not (fits(x, descr, 2, IN_ORDER) and fits(y, descr, 2, IN_ORDER)):
        return False
    x, y, z = matrix(x), matrix(y), matrix(z)
    if x.shape[1] != y.shape[0]:
        return False
    rows, columns, count = ones(x)
    if count < 0 or not is_finite(y):
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


def collect(descr, x, d, w):
    """w += x.T @ d, and True; False, with w as it was, where x is no indicator matrix, d not finite, or they do not fit."""
    if not (fits(x, descr, 2, IN_ORDER) and fits(d, descr, 2, IN_ORDER) and fits(w, descr, 2, IN_ORDER | WRITEABLE)):
        return False
    x, d, w = matrix(x), matrix(d), matrix(w)
    if x.shape[0] != d.shape[0] or w.shape != (x.shape[1], d.shape[1]):
        return False
    rows, columns, count = ones(x)
    if count < 0 or not is_finite(d):
        return False
    first, following = np.full(x.shape[1], -1), np.empty(count, np.int64)   # of the ones in a column, from the top
    for i in range(count - 1, -1, -1):
        k = columns[i]
        following[i], first[k] = first[k], i
    total = np.empty(d.shape[1], number)
    for i in range(count):
        k, n = columns[i], rows[i]
        if first[k] == i and following[i] < 0:
            for j in range(d.shape[1]):
                w[k, j] += d[n, j] + number(0)
        elif first[k] == i:                             # summed before they are added, as x.T @ d is
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


def _bits(numba, word):
    """Functions for kernels: which of the BLOCK words at an address are not zero, as bits; the place of the lowest bit set."""
    from llvmlite import ir
    from numba.extending import intrinsic

    @intrinsic
    def which_are_set(typing, address):
        def call(context, builder, signature, operands):
            block = ir.VectorType(context.get_value_type(word), BLOCK)
            words = builder.load(builder.inttoptr(operands[0], block.as_pointer()), align=word.bitwidth // 8)
            return builder.bitcast(builder.icmp_unsigned("!=", words, ir.Constant(block, None)), ir.IntType(BLOCK))

        return numba.uint64(numba.intp), call

    @intrinsic
    def lowest(typing, bits):
        def call(context, builder, signature, operands):
            return builder.cttz(operands[0], ir.Constant(ir.IntType(1), 1))

        return numba.int64(numba.uint64), call

    return which_are_set, lowest


@cache
def kernels_of(number):
    """(look_up, collect) in float32 or float64, compiled; _MISSING without a compiler."""
    with kernels.lock:
        numba = kernels.compiler()
        if numba is None or not addresses.known_layout():
            return _MISSING
        names = kernels.constants(number) | addresses.tools(numba, number) | {"np": np, "SPARSE": SPARSE, "BLOCK": BLOCK}
        names["ONE"] = number(1).view(names["unsigned"])
        names["which_are_set"], names["lowest"] = _bits(numba, numba.from_dtype(np.dtype(names["unsigned"])))
        for helper in (is_finite, ones):
            names[helper.__name__] = numba.njit(kernels.bound(helper, names))
        signature = numba.boolean(*[numba.int64] * 4)
        made = [kernels.compiled(kernels.bound(kernel, names), signature) for kernel in (look_up, collect)]
        return _MISSING if None in made else made


_MISSING = kernels.nothing, kernels.nothing
_loaded = {}                            # dtype: its kernels, once a matrix of it has looked like an indicator matrix


def _load(x):
    """The kernels for the dtype of x, where x looks like an indicator matrix; _MISSING elsewhere."""
    if x.dtype.char not in "fd" or not x.dtype.isnative or np.count_nonzero(x) * SPARSE > x.size:
        return _MISSING                                 # numba is not loaded for a dense matrix
    return _loaded.setdefault(x.dtype, kernels_of(x.dtype.type))


def product(x, y):
    """x @ y, where x or x.T is an indicator matrix and numba is there; None otherwise. x has SMALLEST or more elements."""
    if x.item(0) and x.item(1):                         # most dense matrices are told from that
        return None
    dtype = x.dtype
    look_up, collect = _loaded.get(dtype) or _load(x)
    z = np.empty((len(x), y.shape[1]), dtype)
    if look_up(id(dtype), id(x), id(y), id(z)):
        return z
    if not x.flags.f_contiguous:
        return None
    z[...] = 0
    turned = x.T                                        # kept alive: the kernel reads it at its address
    return z if collect(id(dtype), id(turned), id(y), id(z)) else None


def add_product(w, x, d):
    """w += x.T @ d, and True, where x is such an indicator matrix and numba is there; False, with w as it was, otherwise."""
    if x.item(0) and x.item(1):
        return False
    dtype = x.dtype
    return (_loaded.get(dtype) or _load(x))[1](id(dtype), id(x), id(d), id(w))
