"""The loop that runs a program of kernels: see kernels/program.py.

It is a built-in function of Python's, made as C extensions make theirs: by PyCFunction_NewEx, of a C function that takes an
array of its arguments. A call takes 0.05 us, through numba's dispatcher 0.3, by ctypes 1. What it reads of the arguments is
said in kernels/objects.py; the caller holds them for as long as it runs, and it holds the interpreter's lock.
"""

import ctypes
import inspect

import numpy as np
from llvmlite import ir

from tapegrad.kernels.jit import machine_code
from tapegrad.kernels.jit.lowering import KINDS, WORD, Intrinsic, Lowering, Value
from tapegrad.kernels.objects import DATA, FLAGS, HEADER, IN_ORDER, ITEMS, TYPE
from tapegrad.kernels.opcodes import BATCH_32, BATCH_64, CALL, COPY, PARAMETERS, PRODUCT_32, ROW_MAJOR, STOP

FASTCALL = 0x80         # METH_FASTCALL of Python's methodobject.h


class _Method(ctypes.Structure):
    """PyMethodDef"""

    _fields_ = ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)


def _at(lowering, place, kind):
    return lowering.builder.inttoptr(lowering.converted(place, np.int64), kind.as_pointer())


@Intrinsic
def word(lowering, place):
    """The word at an address."""
    return Value(np.int64, lowering.builder.load(_at(lowering, place, WORD)))


@Intrinsic
def half_word(lowering, place):
    return Value(np.int32, lowering.builder.load(_at(lowering, place, KINDS[np.int32])))


@Intrinsic
def store(lowering, place, value):
    """Write a word."""
    lowering.builder.store(lowering.converted(value, np.int64), _at(lowering, place, WORD))


@Intrinsic
def words(lowering, count):
    """The address of so many words in the function's own memory."""
    return Value(np.int64, lowering.places.ptrtoint(lowering.places.alloca(ir.ArrayType(WORD, count)), WORD))


@Intrinsic
def call(lowering, place, parameters):
    """Call the kernel at an address."""
    lowering.builder.call(_at(lowering, place, ir.FunctionType(ir.VoidType(), [WORD])), [parameters.ir])


@Intrinsic
def integer(lowering, place, value):
    """A Python integer, by the function PyLong_FromLongLong at an address."""
    function = _at(lowering, place, ir.FunctionType(WORD, [WORD]))
    return Value(np.int64, lowering.builder.call(function, [lowering.converted(value, np.int64)]))


@Intrinsic
def copied(lowering, to, of, count):
    """memcpy"""
    byte = ir.IntType(8)
    copy = lowering.module.declare_intrinsic("llvm.memcpy", [byte.as_pointer(), byte.as_pointer(), WORD])
    lowering.builder.call(copy, [_at(lowering, to, byte), _at(lowering, of, byte), count.ir, ir.Constant(ir.IntType(1), 0)])


@Intrinsic
def gemm(lowering, place, real, form_x, form_y, m, n, k, x, ldx, y, ldy, beta, z, ldz):
    """z = x @ y + beta z by the cblas_sgemm or cblas_dgemm, with 64-bit integers, at an address."""
    kinds = [np.int32] * 3 + [np.int64] * 3 + [real] + [np.int64] * 4 + [real] + [np.int64] * 2
    given = ROW_MAJOR, form_x, form_y, m, n, k, real(1), x, ldx, y, ldy, beta, z, ldz
    function = _at(lowering, place, ir.FunctionType(ir.VoidType(), [KINDS[kind] for kind in kinds]))
    lowering.builder.call(function, [lowering.converted(value, kind) for value, kind in zip(given, kinds)])


def _run(_method, given, _count):
    """run(code, arrays, start): the program from where `start` says; where it has stopped, or -1 - k if `arrays[k]` is no array
    in order.

    code      an array of words, see kernels/program.py
    arrays    the tuple of arrays that places refer to
    start     an array of words: the position in the code; how many arrays there are; from which on they are looked at;
              the addresses of cblas_sgemm, cblas_dgemm and PyLong_FromLongLong
    """
    first, arrays, start = word(given), word(given + 8), word(word(given + 16) + DATA)
    kind, code = word(first + TYPE), word(first + DATA)
    count, checked = word(start + 8), word(start + 16)
    base = words(PARAMETERS)                            # first the addresses of the arrays, then the parameters of a kernel
    p = base + 8 * count
    for k in range(count):
        array = word(arrays + ITEMS + 8 * k)
        if k >= checked and (word(array + TYPE) != kind or half_word(array + FLAGS) & IN_ORDER != IN_ORDER):
            return integer(word(start + 40), -1 - k)
        store(base + 8 * k, word(array + DATA))
    i = code + 8 * word(start)
    while True:
        what = word(i)
        if what == CALL:
            n = word(i + 16)
            store(p, word(i + 24))
            store(p + 8, word(i + 32))
            j = i + 40
            q = p + 16
            i = j + 24 * n
            while j < i:
                store(q, word(base + 8 * word(j)) + word(j + 8))
                store(q + 8, word(j + 16))
                j += 24
                q += 16
            call(word(i - 24 * n - 32), p)
        elif what == COPY:
            x = word(base + 8 * word(i + 24)) + word(i + 32)
            z = word(base + 8 * word(i + 48)) + word(i + 56)
            for r in range(word(i + 8)):
                copied(z + r * word(i + 64), x + r * word(i + 40), word(i + 16))
            i += 72
        elif what == BATCH_32 or what == BATCH_64:
            form_x = np.int32(word(i + 8))
            form_y = np.int32(word(i + 16))
            m = word(i + 24)
            n = word(i + 32)
            k = word(i + 40)
            for outer in range(word(i + 120)):
                for inner in range(word(i + 128)):
                    x = word(base + 8 * word(i + 48)) + word(i + 56) + outer * word(i + 136) + inner * word(i + 160)
                    y = word(base + 8 * word(i + 72)) + word(i + 80) + outer * word(i + 144) + inner * word(i + 168)
                    z = word(base + 8 * word(i + 96)) + word(i + 104) + outer * word(i + 152) + inner * word(i + 176)
                    if what == BATCH_32:
                        gemm(word(start + 24), np.float32, form_x, form_y, m, n, k, x, word(i + 64), y, word(i + 88),
                             np.float32(0), z, word(i + 112))
                    else:
                        gemm(word(start + 32), np.float64, form_x, form_y, m, n, k, x, word(i + 64), y, word(i + 88),
                             np.float64(0), z, word(i + 112))
            i += 184
        elif what == STOP:
            return integer(word(start + 40), (i - code) >> 3)
        else:
            x = word(base + 8 * word(i + 48)) + word(i + 56)
            y = word(base + 8 * word(i + 72)) + word(i + 80)
            z = word(base + 8 * word(i + 96)) + word(i + 104)
            skip = word(i + 128)
            if skip < 0 or word(word(base + 8 * skip) + word(i + 136)) == 0:
                m = word(i + 24)
                n = word(i + 32)
                k = word(i + 40)
                form_x = np.int32(word(i + 8))
                form_y = np.int32(word(i + 16))
                if what == PRODUCT_32:
                    gemm(word(start + 24), np.float32, form_x, form_y, m, n, k, x, word(i + 64), y, word(i + 88),
                         np.float32(word(i + 120)), z, word(i + 112))
                else:
                    gemm(word(start + 32), np.float64, form_x, form_y, m, n, k, x, word(i + 64), y, word(i + 88),
                         np.float64(word(i + 120)), z, word(i + 112))
            i += 144


def _made(name):
    return Lowering(inspect.getsource(_run), name, globals(), [np.int64] * 3, np.int64).module


def _function():
    # another build of Python, which may share the cache, may have longer headers
    method = _Method(b"run", machine_code.address(("run", HEADER, ITEMS), _made), FASTCALL, None)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
        ("PyCFunction_NewEx", ctypes.pythonapi))
    return make(ctypes.addressof(method), method, None)     # `method` as its self: it lives as long as the function


run = _function()
