"""Compiling the text of a loop (kernels/loops.py)."""

import ctypes
import zlib

import numba
from numba import types
from numba.extending import intrinsic

from tapegrad.kernels.compile import failed
from tapegrad.kernels.jit.compiled import CHECKSUM, remove_cached
from tapegrad.kernels.jit.ufunc import OPTIONS, define, names_in

PARAMS = types.CPointer(types.int64)


@intrinsic
def pointer(typing, place, number):
    """A pointer to elements of the type `number`, at an address."""
    kind = types.CPointer(number.instance_type)

    def convert(context, builder, signature, operands):
        return builder.inttoptr(operands[0], context.get_value_type(kind))

    return kind(types.int64, number), convert


def build(text, number):
    """The function, or None, with a warning, if the text can't be compiled."""
    name = f"loop_{number.__name__}_{zlib.crc32(text.encode()):08x}"
    problem = None
    for store in "use", "renew", "none":                # as in ufunc.build
        names = {**names_in(number), "pointer": pointer}
        define(text.replace("loop", name, 1), __file__, names)
        loop = names[name]
        loop.__qualname__ = f"{name}_{CHECKSUM}"
        try:
            if store == "renew":
                remove_cached(loop)
            return _called(numba.cfunc(types.void(PARAMS), cache=store != "none", **OPTIONS)(loop))
        except Exception as error:
            problem = error
    failed("a loop", problem)
    return None


def _called(loop):
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loop.address)

    def function(params):
        call(params.__array_interface__["data"][0])

    function.address, function.loop = loop.address, loop
    return function
