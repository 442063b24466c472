"""Machine code of kernels from their text: those of programs (kernels/program.py), and of loops (kernels/loops.py).

A kernel is a C function of the address of its parameters, 64-bit words. `get` and `put` read and write an element. They tell
LLVM, by metadata for scoped alias analysis, that operands do not overlap: without it, loops with many operands are not
vectorised (LLVM compares addresses at run time for a few only).
"""

from functools import cache

import numpy as np
from llvmlite import ir

from tapegrad.kernels.formulas import formulas
from tapegrad.kernels.jit import machine_code
from tapegrad.kernels.jit.lowering import KINDS, Intrinsic, Lowering, Pointer, Value
from tapegrad.kernels.limits import SPARSE

BLOCK = min(16, SPARSE) # elements that are tested at once: no row that is looked up has less
BYTE = ir.IntType(8)
FUSED = {np.float32: True, np.float64: False}           # fused multiply-add, as in the ufuncs (jit/ufunc.py)


def _place(lowering, base, index, number):
    build = lowering.builder
    kind = BYTE if number is bool else KINDS[number]
    base = build.inttoptr(lowering.converted(base, np.int64), kind.as_pointer())
    return build.gep(base, [lowering.converted(index, np.int64)])


def _scoped(lowering, instruction, k, n):
    """Say that the instruction touches operand k of n only, and that operands do not overlap."""
    module = lowering.module
    if n not in lowering.scopes:
        domain = module.add_metadata([ir.MetaDataString(module, "tapegrad")])
        scopes = [module.add_metadata([ir.MetaDataString(module, f"operand {i}"), domain]) for i in range(n)]
        lowering.scopes[n] = [(module.add_metadata([scopes[i]]), module.add_metadata([*scopes[:i], *scopes[i + 1:]]))
                              for i in range(n)]
    scope, others = lowering.scopes[n][k]
    instruction.set_metadata("alias.scope", scope)
    if n > 1:
        instruction.set_metadata("noalias", others)


@Intrinsic
def get(lowering, base, index, k, n, number):
    """Element `index` of operand k of n, at the address `base`. Booleans are bytes there."""
    build = lowering.builder
    value = build.load(_place(lowering, base, index, number))
    _scoped(lowering, value, k, n)
    if number is bool:
        return Value(np.bool_, build.icmp_unsigned("!=", value, ir.Constant(BYTE, 0)))
    return Value(number, value)


@Intrinsic
def put(lowering, base, index, value, k, n, number):
    """Write element `index` of operand k of n."""
    _scoped(lowering, lowering.builder.store(lowering.converted(value, number), _place(lowering, base, index, number)), k, n)


@Intrinsic
def added(lowering, x, y):
    """x + y, for a sum that may be added up in any order: then its loop is vectorised."""
    kind, a, b = lowering.alike(x, y)
    return Value(kind, lowering.builder.fadd(a, b, flags=(*lowering.flags, "reassoc")))


@Intrinsic
def nonzeros(lowering, base, index, k, n, number):
    """A bit for each of BLOCK elements of operand k of n from `index` on: whether it is not 0. The lowest is the first's."""
    build, kind = lowering.builder, ir.VectorType(KINDS[number], BLOCK)
    place = build.bitcast(_place(lowering, base, index, number), kind.as_pointer())
    values = build.load(place, align=np.dtype(number).itemsize)
    _scoped(lowering, values, k, n)
    found = build.bitcast(build.fcmp_unordered("!=", values, ir.Constant(kind, None)), ir.IntType(BLOCK))
    return Value(np.int64, build.zext(found, KINDS[np.int64]))


@Intrinsic
def lowest(lowering, bits):
    """The position of the lowest bit that is set; there must be one."""
    return Value(np.int64, lowering.builder.cttz(bits.ir, ir.Constant(ir.IntType(1), 1)))


@Intrinsic
def pointer(lowering, place, number):
    """A pointer to elements, at an address."""
    kind = Pointer(number)
    return Value(kind, lowering.builder.inttoptr(lowering.converted(place, np.int64), kind.ir))


@Intrinsic
def zeros(lowering, count):
    """A pointer to so many zeros of float64, in the kernel's own memory."""
    kind, build = Pointer(np.float64), lowering.builder
    held = lowering.places.alloca(ir.ArrayType(KINDS[np.float64], count))
    build.store(ir.Constant(ir.ArrayType(KINDS[np.float64], count), None), held)
    return Value(kind, build.bitcast(held, kind.ir))


@cache
def _names(number):
    return vars(formulas(number)) | {
        "np": np, "number": number, "int32": np.int32, "int64": np.int64, "bool": bool, "get": get, "put": put, "added": added,
        "nonzeros": nonzeros, "lowest": lowest, "pointer": pointer, "zeros": zeros, "BLOCK": BLOCK}


_known = {}


def kernel(text, number):
    """The address of the function in the text, in one precision: compiled, or read from the cache."""
    key = text, number.__name__
    if key not in _known:
        _known[key] = machine_code.address(
            key, lambda name: Lowering(text, name, _names(number), [Pointer(np.int64)], fused=FUSED[number]).module)
    return _known[key]
