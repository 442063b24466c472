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

from tapegrad.kernels.jit.compiled import CHECKSUM, compiled, remove_cached
from tapegrad.kernels.jit.gemm import dgemm, sgemm
from tapegrad.kernels.jit.objects import address, copied, half_word, item, python_object, word
from tapegrad.kernels.jit.ufunc import FUSED, OPTIONS, define, names_in
from tapegrad.kernels.objects import DATA, FLAGS, IN_ORDER, TYPE
from tapegrad.kernels.opcodes import CALL, COPY, PRODUCT_32, ROW_MAJOR, STOP

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


@intrinsic
def store(typing, place, value):
    """Write a word."""
    def stored(context, builder, signature, operands):
        builder.store(operands[1], builder.inttoptr(operands[0], ir.IntType(64).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), stored


def _run(code, at, arrays, count, checked, work, sgemm_at, dgemm_at):
    """Run the program from the instruction at `at`; returns where it stopped, or -1 - k if `arrays[k]` is no array in order.

    code      an array of words, see kernels/program.py
    arrays    the tuple of arrays that places refer to, `count` of them; those from `checked` on are checked
    work      an array of words: first the addresses of the arrays, then the parameters of a kernel
    """
    base, code = word(address(work) + DATA), word(address(code) + DATA)
    p, kind = base + 8 * count, word(address(work) + TYPE)
    for k in range(count):
        array = item(arrays, k)
        if k >= checked and (word(array + TYPE) != kind or half_word(array + FLAGS) & IN_ORDER != IN_ORDER):
            return -1 - k
        store(base + 8 * k, word(array + DATA))
    i = code + 8 * at
    while True:
        what = word(i)
        if what == CALL:
            n = word(i + 16)
            store(p, word(i + 24))
            store(p + 8, word(i + 32))
            j, q = i + 40, p + 16
            i = j + 24 * n
            while j < i:
                store(q, word(base + 8 * word(j)) + word(j + 8))
                store(q + 8, word(j + 16))
                j, q = j + 24, q + 16
            call(word(i - 24 * n - 32), p)
        elif what == COPY:
            x, z = word(base + 8 * word(i + 24)) + word(i + 32), word(base + 8 * word(i + 48)) + word(i + 56)
            for r in range(word(i + 8)):
                copied(z + r * word(i + 64), x + r * word(i + 40), word(i + 16))
            i += 72
        elif what == STOP:
            return (i - code) >> 3
        else:
            x, y = word(base + 8 * word(i + 48)) + word(i + 56), word(base + 8 * word(i + 72)) + word(i + 80)
            z, skip = word(base + 8 * word(i + 96)) + word(i + 104), word(i + 128)
            if skip < 0 or word(word(base + 8 * skip) + word(i + 136)) == 0:
                m, n, k = word(i + 24), word(i + 32), word(i + 40)
                turned_x, turned_y = np.int32(word(i + 8)), np.int32(word(i + 16))
                if what == PRODUCT_32:
                    sgemm(sgemm_at, ROW_MAJOR, turned_x, turned_y, m, n, k, np.float32(1), x, word(i + 64), y, word(i + 88),
                          np.float32(word(i + 120)), z, word(i + 112))
                else:
                    dgemm(dgemm_at, ROW_MAJOR, turned_x, turned_y, m, n, k, 1.0, x, word(i + 64), y, word(i + 88),
                          np.float64(word(i + 120)), z, word(i + 112))
            i += 144


run = compiled(_run, numba.int64(python_object, numba.int64, python_object, numba.int64, numba.int64, python_object,
                                 numba.int64, numba.int64), error_model="numpy")
