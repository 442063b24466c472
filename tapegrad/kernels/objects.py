"""The memory layout of CPython's and NumPy's objects: kernels take arrays as Python objects and read the fields they need.

numba takes 0.1 us to unpack an array, and NumPy 1 us to give the address of its elements. Kernels read the fields that NumPy's
macros PyArray_DATA, PyArray_NDIM, PyArray_DIMS, PyArray_STRIDES, PyArray_DESCR and PyArray_FLAGS read, after the object header
of CPython, and the items of a tuple, as PyTuple_GET_ITEM does. `known_layout` compares them once with the attributes that
Python reports for an array and a tuple; if they differ, kernels that read them are not used.

No caller handles an address: the parameter of a kernel is the object (jit/objects.py), which the call keeps alive.
"""

import ctypes
from functools import cache

import numpy as np

HEADER, ITEMS = object.__basicsize__, tuple.__basicsize__
TYPE = HEADER - 8
DATA, NDIM, DIMENSIONS, STRIDES, DESCR, FLAGS = (HEADER + offset for offset in (0, 8, 16, 24, 40, 48))
ALIGNED, IN_ORDER, WRITEABLE = 0x100, 0x101, 0x400      # NPY_ARRAY_ALIGNED, | NPY_ARRAY_C_CONTIGUOUS; NPY_ARRAY_WRITEABLE


@cache
def known_layout():
    """Whether the fields are at the expected offsets: CPython and NumPy on a 64-bit machine."""
    x = np.empty((3, 5), np.float32)
    pair = x, None

    def field(offset, kind=ctypes.c_int64, of=x):
        return kind.from_address(id(of) + offset).value

    return np.intp().itemsize == 8 and (
        field(TYPE) == id(np.ndarray) and field(DATA) == x.ctypes.data and field(NDIM, ctypes.c_int32) == 2
        and list((ctypes.c_int64 * 2).from_address(field(DIMENSIONS))) == [3, 5]
        and list((ctypes.c_int64 * 2).from_address(field(STRIDES))) == [20, 4]
        and field(DESCR) == id(x.dtype) and field(FLAGS, ctypes.c_int32) & 0x501 == IN_ORDER | WRITEABLE
        and [field(ITEMS + 8 * k, of=pair) for k in range(2)] == [id(x), id(None)])
