# ruff: noqa: F821 -- the free names of what kernels call are bound in tools()
"""Arrays by the address of their Python object: kernels get id(x), and read of x what they need.

numba takes 0.1 us to unpack an array, and asking NumPy for the address of the elements 1 us; id(x) takes 0.03. What is read are
the fields that NumPy's macros PyArray_DATA, PyArray_NDIM, PyArray_DIMS, PyArray_STRIDES, PyArray_DESCR and PyArray_FLAGS read,
behind the header that every object of CPython has. `known_layout` compares them with what NumPy says of an array, once. The
caller keeps the arrays alive while the kernel runs.
"""

import ctypes
from functools import cache

import numpy as np

from tapegrad.kernels import elementwise as kernels

HEADER = object.__basicsize__
DATA, NDIM, DIMENSIONS, STRIDES, DESCR, FLAGS = (HEADER + offset for offset in (0, 8, 16, 24, 40, 48))
ALIGNED, IN_ORDER, WRITEABLE = 0x100, 0x101, 0x400      # NPY_ARRAY_ALIGNED, | NPY_ARRAY_C_CONTIGUOUS; NPY_ARRAY_WRITEABLE


@cache
def known_layout():
    """Whether the fields stand where they are read here: CPython and NumPy on a 64-bit machine."""
    x = np.empty((3, 5), np.float32)

    def field(offset, kind):
        return kind.from_address(id(x) + offset).value

    return np.intp().itemsize == 8 and (
        field(DATA, ctypes.c_int64) == x.ctypes.data and field(NDIM, ctypes.c_int32) == 2
        and list((ctypes.c_int64 * 2).from_address(field(DIMENSIONS, ctypes.c_int64))) == [3, 5]
        and list((ctypes.c_int64 * 2).from_address(field(STRIDES, ctypes.c_int64))) == [20, 4]
        and field(DESCR, ctypes.c_int64) == id(x.dtype) and field(FLAGS, ctypes.c_int32) & 0x501 == IN_ORDER | WRITEABLE)


def fits(x, descr, ndim, flags):
    """Whether the object at x is an array of the dtype, the number of axes, and the flags."""
    return word(x + DESCR) == descr and half_word(x + NDIM) == ndim and half_word(x + FLAGS) & flags == flags


def matrix(x):
    """The array with two axes at x, which fits."""
    shape = word(x + DIMENSIONS)
    return carray(elements(x + DATA), (word(shape), word(shape + 8)))


def tools(numba, number):
    """The names that kernels which read arrays of one precision use."""
    names = {name: value for name, value in globals().items() if name.isupper()}
    names |= {"carray": numba.carray, "word": reader(numba, numba.int64), "half_word": reader(numba, numba.int32),
              "elements": reader(numba, numba.types.CPointer(numba.from_dtype(np.dtype(number))))}
    for helper in (fits, matrix):
        names[helper.__name__] = numba.njit(kernels.bound(helper, names))
    return names


def reader(numba, kind):
    """A function for kernels: the number of the numba type `kind` at an address; a pointer to such, for a pointer type."""
    from numba.extending import intrinsic

    @intrinsic
    def read(typing, address):
        def load(context, builder, signature, operands):
            pointer = context.get_value_type(kind).as_pointer()
            return builder.load(builder.inttoptr(operands[0], pointer))

        return kind(numba.intp), load

    return read
