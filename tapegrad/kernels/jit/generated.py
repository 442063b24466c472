"""Kernels from generated text, and the loop that runs a program of them: see kernels/program.py.

A kernel is a C function of the address of its parameters, 64-bit words: the numbers of rows and columns, then an address and a
row stride, in elements, for each operand.

`get` and `put` read and write an element. They tell LLVM, by metadata for scoped alias analysis, that operands do not overlap:
without it, loops with many operands are not vectorised (LLVM compares addresses at run time for a few only).
"""

import zlib

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tapegrad.kernels.jit.blas import PARAMETERS
from tapegrad.kernels.jit.compiled import CHECKSUM, compiled, remove_cached
from tapegrad.kernels.jit.objects import address, elements, half_word, item, python_object, word
from tapegrad.kernels.jit.ufunc import FUSED, OPTIONS, define, names_in
from tapegrad.kernels.objects import DATA, FLAGS, IN_ORDER
from tapegrad.kernels.opcodes import CALL, COPY, PRODUCT_32, PRODUCT_64, STOP

WORDS = types.CPointer(types.intp)


def _scoped(builder, instruction, k, n):
    """Say that the instruction touches operand k of n only, and that operands do not overlap."""
    module = builder.module
    domain = module.add_metadata([ir.MetaDataString(module, "tapegrad")])
    scopes = [module.add_metadata([ir.MetaDataString(module, f"operand {i}"), domain]) for i in range(n)]
    instruction.set_metadata("alias.scope", module.add_metadata([scopes[k]]))
    if n > 1:
        instruction.set_metadata("noalias", module.add_metadata([scope for i, scope in enumerate(scopes) if i != k]))


def _place(context, builder, number, base, index):
    return builder.gep(builder.inttoptr(base, context.get_value_type(number).as_pointer()), [index])


@intrinsic(prefer_literal=True)
def get(typing, base, index, k, n, number):
    """Element `index` of operand k of n, at the address `base`."""
    kind, operand, of = number.instance_type, k.literal_value, n.literal_value

    def load(context, builder, signature, operands):
        value = builder.load(_place(context, builder, kind, *operands[:2]))
        _scoped(builder, value, operand, of)
        return value

    return kind(base, types.intp, k, n, number), load


@intrinsic(prefer_literal=True)
def put(typing, base, index, value, k, n, number):
    kind, operand, of = number.instance_type, k.literal_value, n.literal_value

    def store(context, builder, signature, operands):
        _scoped(builder, builder.store(operands[2], _place(context, builder, kind, *operands[:2])), operand, of)
        return context.get_dummy_value()

    return types.void(base, types.intp, kind, k, n, number), store


_kept = {}      # kernels that have been compiled: their machine code has to stay


def kernel(text, number):
    """The address of the kernel `text`, a function of p named `kernel`, in one precision; compiled, or read from the cache."""
    key = text, number
    if key not in _kept:
        _kept[key] = _compiled(text, number)
    return _kept[key].address


def _compiled(text, number):
    name = f"kernel_{zlib.crc32(text.encode()):08x}_{zlib.adler32(text.encode()):08x}_{number.__name__}"
    names = dict(names_in(number)) | {"get": get, "put": put, "int64": np.int64, "int32": np.int32}
    define(text.replace("def kernel(", f"def {name}(", 1), __file__, names)
    function = names[name]
    function.__qualname__ = f"{name}_{CHECKSUM}"
    options = OPTIONS | {"fastmath": FUSED[number]}
    for cached in (True, True, False):
        try:
            return numba.cfunc(types.void(WORDS), cache=cached, **options)(function)
        except Exception:
            if not cached:
                raise
            remove_cached(function)


@intrinsic
def call(typing, function, parameters):
    """Call the kernel at an address."""
    def called(context, builder, signature, operands):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(builder.inttoptr(operands[0], kind.as_pointer()), [operands[1]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), called


def _gemm(real):
    parameters = [real if kind == numba.float32 else kind for kind in PARAMETERS]

    @intrinsic
    def gemm(typing, place, layout, form_x, form_y, m, n, k, alpha, x, ldx, y, ldy, beta, z, ldz):
        def called(context, builder, signature, operands):
            function = ir.FunctionType(ir.VoidType(), [context.get_value_type(kind) for kind in parameters])
            builder.call(builder.inttoptr(operands[0], function.as_pointer()), operands[1:])
            return context.get_dummy_value()

        return types.void(types.intp, *parameters), called

    return gemm


sgemm, dgemm = _gemm(numba.float32), _gemm(numba.float64)


@intrinsic
def copied(typing, to, of, count):
    """memcpy"""
    def called(context, builder, signature, operands):
        place = ir.IntType(8).as_pointer()
        copy = builder.module.declare_intrinsic("llvm.memcpy", [place, place, ir.IntType(64)])
        to, of = [builder.inttoptr(x, place) for x in operands[:2]]
        builder.call(copy, [to, of, operands[2], ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), called


def _run(code, at, arrays, count, checked, sgemm_at, dgemm_at):
    """Run the program from the instruction at `at`; returns where it stopped, or -1 - k if array k is not in order.

    code      an array of words, see kernels/opcodes.py
    arrays    the tuple of arrays that places refer to, `count` of them; those from `checked` on are checked
    """
    base, p = np.empty(count, np.int64), np.empty(1024, np.int64)
    for k in range(count):
        array = item(arrays, k)
        if k >= checked and half_word(array + FLAGS) & IN_ORDER != IN_ORDER:
            return -1 - k
        base[k] = word(array + DATA)
    i, parameters, code = at, p.ctypes.data, elements(address(code), np.int64)
    while True:
        what = code[i]
        if what == CALL:
            p[0], p[1], n = code[i + 3], code[i + 4], code[i + 2]
            for k in range(n):
                j = i + 5 + 3 * k
                p[2 + 2 * k] = base[code[j]] + code[j + 1]
                p[3 + 2 * k] = code[j + 2]
            call(code[i + 1], parameters)
            i += 5 + 3 * n
        elif what == PRODUCT_32 or what == PRODUCT_64:
            # form_x, form_y, m, n, k, (x, stride), (y, stride), (z, stride), add, skip: a place of a word, or -1
            x, y, z = base[code[i + 6]] + code[i + 7], base[code[i + 9]] + code[i + 10], base[code[i + 12]] + code[i + 13]
            skip = code[i + 16] >= 0 and word(base[code[i + 16]] + code[i + 17]) != 0
            if not skip:
                if what == PRODUCT_32:
                    sgemm(sgemm_at, 101, code[i + 1], code[i + 2], code[i + 3], code[i + 4], code[i + 5], np.float32(1),
                          x, code[i + 8], y, code[i + 11], np.float32(code[i + 15]), z, code[i + 14])
                else:
                    dgemm(dgemm_at, 101, code[i + 1], code[i + 2], code[i + 3], code[i + 4], code[i + 5], 1.0,
                          x, code[i + 8], y, code[i + 11], np.float64(code[i + 15]), z, code[i + 14])
            i += 18
        elif what == COPY:
            # rows, bytes of a row, (x, stride in bytes), (z, stride in bytes)
            x, z = base[code[i + 3]] + code[i + 4], base[code[i + 6]] + code[i + 7]
            for r in range(code[i + 1]):
                copied(z + r * code[i + 8], x + r * code[i + 5], code[i + 2])
            i += 9
        else:
            return i


run = compiled(_run, numba.int64(python_object, numba.int64, python_object, *[numba.int64] * 4), error_model="numpy")
