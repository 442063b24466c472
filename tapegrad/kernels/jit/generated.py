"""The loop that runs a program of kernels: see kernels/program.py."""

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.gemm import dgemm, sgemm
from tapegrad.kernels.jit.objects import address, half_word, item, python_object, word
from tapegrad.kernels.objects import DATA, FLAGS, IN_ORDER, TYPE
from tapegrad.kernels.opcodes import CALL, COPY, PRODUCT_32, ROW_MAJOR, STOP


@intrinsic
def call(typing, function, parameters):
    """Call the kernel at an address."""
    def called(context, builder, signature, operands):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(builder.inttoptr(operands[0], kind.as_pointer()), [operands[1]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), called


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
                turned_x, turned_y = numba.int32(word(i + 8)), numba.int32(word(i + 16))
                if what == PRODUCT_32:
                    sgemm(sgemm_at, ROW_MAJOR, turned_x, turned_y, m, n, k, numba.float32(1), x, word(i + 64), y, word(i + 88),
                          numba.float32(word(i + 120)), z, word(i + 112))
                else:
                    dgemm(dgemm_at, ROW_MAJOR, turned_x, turned_y, m, n, k, 1.0, x, word(i + 64), y, word(i + 88),
                          numba.float64(word(i + 120)), z, word(i + 112))
            i += 144


run = compiled(_run, numba.int64(python_object, numba.int64, python_object, numba.int64, numba.int64, python_object,
                                 numba.int64, numba.int64), error_model="numpy")
