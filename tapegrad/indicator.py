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

from tapegrad import kernels

SMALLEST = 2048                         # elements of x: a smaller dense product takes no longer than the look-up
SPARSE = 16                             # one in so many elements of a row may be a one
BLOCK = 128                             # elements of a row that are looked at together


def is_finite(x):
    words, top = x.reshape(x.size).view(unsigned), unsigned(0)
    for i in range(words.size):
        top = unsigned(max(top, unsigned(words[i] & INFINITY)))
    return top != INFINITY


def ones(words, n, places):
    """Write the places of the ones in row n; -1 where there are more than fit, or anything but zeros and ones."""
    size, found = words.shape[1], 0
    for low in range(0, size, BLOCK):
        part = words[n, low:min(low + BLOCK, size)]
        inside, others, place = signed(0), signed(0), signed(0)
        for k in range(part.size):                      # without a branch, so that it becomes vector instructions
            is_one = signed(part[k] == ONE)
            others = signed(others + signed(signed(part[k] != unsigned(0)) - is_one))
            inside = signed(inside + is_one)
            place = signed(place + signed(is_one * signed(k)))
        if others != 0 or found + inside > places.size:
            return -1
        if inside == 1:
            places[found] = low + place
            found += 1
        elif inside > 1:
            for k in range(part.size):
                if part[k] == ONE:
                    places[found] = low + k
                    found += 1
    return found


def look_up(x, y, z):
    """z = x @ y, and True; False where x is no indicator matrix or y not finite."""
    words, places = x.view(unsigned), np.empty(max(1, x.shape[1] // SPARSE), np.int64)
    for n in range(x.shape[0]):
        found = ones(words, n, places)
        if found < 0:
            return False
        if found == 0:
            z[n] = number(0)
        else:
            k = places[0]
            for j in range(y.shape[1]):
                z[n, j] = y[k, j] + number(0)           # a sum from 0 is never -0
        for i in range(1, found):
            k = places[i]
            for j in range(y.shape[1]):
                z[n, j] += y[k, j]
    return is_finite(y)


def collect(x, d, w):
    """w += x.T @ d, and True; False, with w as it was, where x is no indicator matrix or d not finite."""
    words, most = x.view(unsigned), max(1, x.shape[1] // SPARSE)
    places, counts = np.empty((x.shape[0], most), np.int64), np.empty(x.shape[0], np.int64)
    ends = np.zeros(x.shape[1] + 1, np.int64)           # of the rows of d that belong to each k, ordered by k
    for n in range(x.shape[0]):
        found = ones(words, n, places[n])
        if found < 0:
            return False
        counts[n] = found
        for i in range(found):
            ends[places[n, i] + 1] += 1
    if not is_finite(d):
        return False
    for k in range(x.shape[1]):
        ends[k + 1] += ends[k]
    rows, next_row = np.empty(ends[x.shape[1]], np.int64), ends.copy()
    for n in range(x.shape[0]):
        for i in range(counts[n]):
            k = places[n, i]
            rows[next_row[k]] = n
            next_row[k] += 1
    total = np.empty(d.shape[1], number)
    for k in range(x.shape[1]):
        first, last = ends[k], ends[k + 1]
        if last == first + 1:
            n = rows[first]
            for j in range(d.shape[1]):
                w[k, j] += d[n, j] + number(0)
        elif last > first:                              # summed before they are added, as x.T @ d is
            n = rows[first]
            for j in range(d.shape[1]):
                total[j] = d[n, j] + number(0)
            for i in range(first + 1, last):
                n = rows[i]
                for j in range(d.shape[1]):
                    total[j] += d[n, j]
            for j in range(d.shape[1]):
                w[k, j] += total[j]
    return True


@cache
def kernels_of(number):
    """(look_up, collect) in float32 or float64, compiled; None without a compiler."""
    with kernels.lock:
        numba = kernels.compiler()
        if numba is None:
            return None
        names = kernels.constants(number) | {"np": np, "SPARSE": SPARSE, "BLOCK": BLOCK}
        names["ONE"] = number(1).view(names["unsigned"])
        for helper in (is_finite, ones):
            names[helper.__name__] = numba.njit(kernels.bound(helper, names))
        matrix = numba.from_dtype(np.dtype(number))[:, ::1]
        made = [kernels.compiled(kernels.bound(kernel, names), numba.boolean(matrix, matrix, matrix))
                for kernel in (look_up, collect)]
        return None if None in made else made


_loaded = {}                            # dtype: its kernels, once a matrix of it has looked like an indicator matrix


def _kernels_for(x, y):
    """The kernels, where x and y are matrices that they take."""
    dtype = x.dtype
    if dtype is not y.dtype or not (x.flags.carray and y.flags.carray):
        return None
    if dtype not in _loaded:
        if dtype.char not in "fd" or np.count_nonzero(x) * SPARSE > x.size:
            return None                                 # numba is not loaded for a dense matrix
        _loaded[dtype] = kernels_of(dtype.type)
    return _loaded[dtype]


def product(x, y):
    """x @ y, where x or x.T is an indicator matrix of SMALLEST or more elements and numba is there; None otherwise."""
    if x.item(0) and x.item(1):                         # most dense matrices are told from that
        return None
    found = _kernels_for(x, y)
    if found is not None:
        z = np.empty((x.shape[0], y.shape[1]), y.dtype)
        return z if found[0](x, y, z) else None
    found = _kernels_for(x.T, y)
    if found is not None:
        z = np.zeros((x.shape[0], y.shape[1]), y.dtype)
        return z if found[1](x.T, y, z) else None
    return None


def add_product(w, x, d):
    """w += x.T @ d, and True, where x is such an indicator matrix and numba is there; False, with w as it was, otherwise."""
    if x.ndim != 2 or d.ndim != 2 or x.item(0) and x.item(1):
        return False
    found = _kernels_for(x, d)
    return found is not None and w.dtype is d.dtype and w.flags.carray and found[1](x, d, w)
