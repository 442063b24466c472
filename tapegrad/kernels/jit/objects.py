"""Python objects as operands of kernels, and access to the fields of arrays: see kernels/objects.py.

In a signature, `python_object` is the type of a parameter that takes any object. The kernel gets its address, and the call
keeps it alive.
"""

import numba
from llvmlite import ir
from numba import types
from numba.extending import NativeValue, intrinsic, models, register_model, unbox

from tapegrad.kernels.objects import DATA, DESCR, DIMENSIONS, FLAGS, ITEMS, NDIM, STRIDES, TYPE


class PythonObject(types.Type):
    """The type of a parameter that takes any Python object."""

    def __init__(self):
        super().__init__("PythonObject")


python_object = PythonObject()
register_model(PythonObject)(models.OpaqueModel)


@unbox(PythonObject)
def _unbox(kind, value, c):
    return NativeValue(value)


@intrinsic
def address(typing, x):
    """The address of an object."""
    def convert(context, builder, signature, operands):
        return builder.ptrtoint(operands[0], context.get_value_type(types.intp))

    return types.intp(x), convert


def _loaded(context, builder, kind, place):
    return builder.load(builder.inttoptr(place, context.get_value_type(kind).as_pointer()))


@intrinsic
def word(typing, place):
    return types.int64(types.intp), lambda context, builder, _, operands: _loaded(context, builder, types.int64, *operands)


@intrinsic
def half_word(typing, place):
    return types.int32(types.intp), lambda context, builder, _, operands: _loaded(context, builder, types.int32, *operands)


@intrinsic
def elements(typing, place, number):
    """A pointer to the elements, of the type `number`, of the array at an address."""
    kind = types.CPointer(number.instance_type)

    def load(context, builder, signature, operands):
        place = builder.add(operands[0], context.get_constant(types.intp, DATA))
        return _loaded(context, builder, kind, place)

    return kind(types.intp, number), load


@intrinsic
def copied(typing, to, of, count):
    """memcpy of `count` bytes between two addresses."""
    def called(context, builder, signature, operands):
        place = ir.IntType(8).as_pointer()
        copy = builder.module.declare_intrinsic("llvm.memcpy", [place, place, ir.IntType(64)])
        to, of = [builder.inttoptr(x, place) for x in operands[:2]]
        builder.call(copy, [to, of, operands[2], ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), called


@numba.njit
def item(x, k):
    """The address of item k of the tuple x."""
    return word(address(x) + ITEMS + 8 * k)


@numba.njit
def fits(x, array, dtype, ndim, flags):
    """Whether x has the type of `array`, and this dtype, number of axes, and these flags."""
    x, array = address(x), address(array)
    return (word(x + TYPE) == word(array + TYPE) and word(x + DESCR) == address(dtype) and half_word(x + NDIM) == ndim
            and half_word(x + FLAGS) & flags == flags)


@numba.njit
def length(x, axis):
    return word(word(address(x) + DIMENSIONS) + 8 * axis)


@numba.njit
def stride(x, axis):
    """The stride of an axis, in bytes."""
    return word(word(address(x) + STRIDES) + 8 * axis)


@numba.njit
def vector(x, number):
    """The array x, checked by `fits`, with one axis."""
    return numba.carray(elements(address(x), number), length(x, 0))


@numba.njit
def matrix(x, number):
    """The array x, checked by `fits`, with two axes."""
    return numba.carray(elements(address(x), number), (length(x, 0), length(x, 1)))
