"""Compiling a scalar function (a formula, source text or a user's function) to a NumPy ufunc in float32 and float64.

This is the only code generator. numba.vectorize was tried: LLVM vectorises its loop only for contiguous operands that do not
overlap, and sigmoid(x, out=x) ran 16 times slower. Here, strided and in-place operands are processed in small contiguous
blocks. Vector stores to z are aligned to cache lines: relu then takes 0.9 of the time.
"""

import ast
import zlib
from functools import cache

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from tapegrad.kernels.checksum import CHECKSUM
from tapegrad.kernels.compile import failed
from tapegrad.kernels.formulas import formulas
from tapegrad.kernels.jit.compiled import remove_cached

NUMBERS = np.float32, np.float64
OPTIONS = {"error_model": "numpy"}
FUSED = {np.float32: {"contract"}, np.float64: False}   # fused multiply-add in formulas; NaN and infinities are kept
STREAMED = 8 << 20      # bytes: a larger result does not stay in the cache until it is read


def loop_source(name, arity, precision):
    """The text of a ufunc's inner loop over the kernel `name`; see NumPy's PyUFuncGenericFunction for its parameters."""
    def each(form, joint=", ", n=arity):
        return joint.join(form.format(k) for k in range(n))

    streamed = f"""
        if n * ITEMSIZE >= STREAMED:
            b = np.empty(512, number)
            while low + 512 <= n:
                for i in range(512): b[i] = {name}({each('x{0}[low + i]')})
                for i in range(0, 512 * ITEMSIZE, 64): stream(place(z) + low * ITEMSIZE + i, b.ctypes.data + i)
                low += 512
            settle()""" if arity > 1 else ""
    return f"""
def {name}_{precision}(places, dims, steps, data):
    n = dims[0]
    {each('x{0}, s{0}')}, z, sz = {each('places[{0}], steps[{0}] // ITEMSIZE', n=arity + 1)}
    if n < 32 or {each('s{0} == 1 and place(x{0}) != place(z)', ' and ')} and sz == 1:
        low = min(n, (-place(z) % 64) // ITEMSIZE)
        for i in range(low): z[i * sz] = {name}({each('x{0}[i * s{0}]')}){streamed}
        for i in range(low, n): z[i * sz] = {name}({each('x{0}[i * s{0}]')})
        return
    {each('b{0}')}, bz = {each('np.empty(512, number)', n=arity + 1)}
    for low in range(0, n, 512):
        m = min(512, n - low)
        {each('for i in range(m): b{0}[i] = x{0}[(low + i) * s{0}]', chr(10) + 8 * ' ')}
        for i in range(m): bz[i] = {name}({each('b{0}[i]')})
        for i in range(m): z[(low + i) * sz] = bz[i]
"""


@intrinsic
def stream(typing, target, source):
    """Copy 64 bytes by a non-temporal store: the target, an aligned cache line, is written whole and not read first."""
    def written(context, builder, signature, operands):
        line = ir.VectorType(ir.IntType(64), 8).as_pointer()
        to, of = [builder.inttoptr(place, line) for place in operands]
        kept = builder.store(builder.load(of, align=8), to, align=64)
        kept.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), written


@intrinsic
def settle(typing):
    """A memory fence: makes streamed data visible to other threads."""
    def written(context, builder, signature, operands):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), written


@intrinsic
def raised(typing):
    """Make the ufunc raise RuntimeError. The exception itself, raised in a loop, would be printed and ignored."""
    def call(context, builder, signature, operands):
        python = context.get_python_api(builder)
        state = python.gil_ensure()
        python.err_set_string("PyExc_RuntimeError", "a scalar function raised an exception")
        python.gil_release(state)
        return context.get_dummy_value()

    return types.void(), call


@numba.njit
def place(pointer):
    return numba.carray(pointer, 1).ctypes.data


GUARDED = """
def guarded(places, dims, steps, data):
    try:
        loop(places, dims, steps, data)
    except Exception:
        raised()
"""


def horner(w, coefficients):
    """`polynomial` without its loop, which LLVM does not unroll if it is long, and then does not vectorise what is around."""
    text = "coefficients[0]"
    for i in range(1, coefficients.count):
        text = f"({text} * w + coefficients[{i}])"
    names = {}
    exec(f"def polynomial(w, coefficients): return {text}", names)
    return names["polynomial"]


@cache
def names_in(number):
    """The global names for the text of a loop and of a scalar function, in one precision."""
    made = vars(formulas(number))
    options = {"fastmath": FUSED[number], "forceinline": True, **OPTIONS}      # LLVM does not vectorise around calls
    for formula in made.values():
        if formula is made["polynomial"]:
            overload(formula, jit_options=options, strict=False)(horner)
        else:
            register_jitable(**options)(formula)
    return made | {"__name__": __name__, "np": np, "number": number, "ITEMSIZE": number().itemsize, "STREAMED": STREAMED,
                   "stream": stream, "settle": settle, "place": place, "raised": raised}


def define(text, filename, names):
    """Execute source text with line numbers past the end of a file: numba looks up the lines of functions there."""
    exec(compile(ast.increment_lineno(ast.parse(text), 1_000_000), filename, "exec"), names)


def loop_of(number, name, scalar, arity, filename, store):
    """The inner loop in one precision, as a numba.cfunc; store="use" reads the cache, "renew" rewrites it, "none" has none."""
    names = dict(names_in(number))
    text = scalar if isinstance(scalar, str) else ""
    define(text + loop_source(name, arity, number.__name__), filename, names)
    if scalar is not None:
        names[name] = numba.njit(forceinline=bool(text), **OPTIONS)(names[name] if text else scalar)    # or not vectorised
    loop = names[f"{name}_{number.__name__}"]
    loop.__qualname__ = f"{loop.__name__}_{CHECKSUM}"       # the key of numba's cache
    if callable(scalar):
        names["loop"] = numba.njit(**OPTIONS)(loop)
        define(GUARDED, filename, names)
        loop = names["guarded"]
    if store == "renew":
        remove_cached(loop)
    pointer, integers = types.CPointer(numba.from_dtype(np.dtype(number))), types.CPointer(types.intp)
    signature = types.void(types.CPointer(pointer), integers, integers, types.voidptr)
    return numba.cfunc(signature, cache=store != "none", **OPTIONS)(loop)


def ufunc_of(loops, label, arity, doc):
    """The ufunc of loops for NUMBERS, by a private function of numba: it calls PyUFunc_FromFuncAndData, and makes the ufunc
    keep the loops alive. The public alternatives are a C extension module, and numba.vectorize, which generates its own loop.
    """
    from numba.np.ufunc import _internal
    kinds = [[np.dtype(number).num] * (arity + 1) for number in NUMBERS]
    return _internal.fromfunc(label, doc, [loop.address for loop in loops], kinds, arity, 1, [None, None], loops,
                              _internal.PyUFunc_None)


def build(scalar, label, arity, filename=__file__):
    """The ufunc, or None, with a warning, if it can't be compiled.

    scalar     the text of a scalar function named `label`, which is cached under `filename`; None for the formula of that
               name; or a user's function, which is not cached
    A broken cache is rewritten; if none can be written, the kernel is compiled without.
    """
    name, doc, problem = label, f"{label}(x), elementwise.", None
    if callable(scalar):
        name, doc, stores = "scalar", scalar.__doc__ or label, ("none",)
    else:
        stores = "use", "renew", "none"
        if scalar is not None:
            name, doc = f"{label}_{zlib.crc32(scalar.encode()):08x}", scalar
            scalar = scalar.replace(label, name, 1)
    for store in stores:
        try:
            return ufunc_of([loop_of(number, name, scalar, arity, filename, store) for number in NUMBERS], label, arity, doc)
        except Exception as error:
            problem = error
    failed(label, problem)
    return None
