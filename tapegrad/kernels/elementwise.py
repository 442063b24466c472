# ruff: noqa: F821, PLR0124, C408, S102, BLE001 -- the formulas' free names are bound once per precision, by constants()
"""Elementwise kernels, compiled by numba when they are first asked for. Importing this file imports and compiles nothing.

Why ufuncs. A ufunc brings broadcasting, out=, casting, 0-d and memory order, and is called in 0.2 us; numba's own
dispatchers take longer or compile again for every array layout. numba.vectorize was tried: LLVM vectorises its loop only for
contiguous operands in different places, and sigmoid(x, out=x) ran 16 times slower. So the loop is ours: strided and in-place
operands go through small contiguous blocks. Vectors start where z's lines of the cache start: 0.9 of the time of relu.

Why rational functions. LLVM doesn't vectorise calls of exp and tanh, so the formulas are straight-line arithmetic. With
k = round(x log2 e) and r = x - k ln 2, exp(x) = 2^k exp(r), |r| <= ln(2)/2. ln 2 is subtracted in two parts (Cody and Waite),
and adding a large "shifter" rounds to k and leaves it in the low bits, from where a shift moves it into the exponent. With
p / q = tanh(r/2), p = r + r^3 P(r^2), q = Q(r^2), P and Q minimax (Remez), exp(r) = (q + p) / (q - p): the one division that
sigmoid and tanh need anyway makes both polynomials short. See Muller, Elementary Functions, and Cephes.

Why no fused multiply-add in float64. It takes a rounding away that NumPy has, and not every machine has it. Without, each
operation is one of IEEE 754: the result has the same bits everywhere, and the same formula in NumPy gives them, too
(keeping/program.py). In float32 sigmoid and tanh would take 1.2 times as long without, and have it.

Why integers. Vector comparisons, min and max raise the invalid flag for NaN, which NumPy reports as a RuntimeWarning. Those
here work on the bits of the numbers, at the same cost; x == x, which raises nothing, brings NaN back at the end.

A derivative comes as the text of a scalar function. numba caches it under the file that defines the rule that it was made
from (primitives/scalar.py), so editing that file renews the cache.
"""
import math
import threading
import warnings
import zlib
from functools import cache, wraps
from types import CodeType, FunctionType

import numpy as np

# ---- formulas, in one precision ----

def bits(x):
    return number(x).view(signed)


def unsigned_bits(b):
    return unsigned(signed(b))


def from_bits(b):
    return signed(b).view(number)


def select(c, x, y):
    return x if c else y


def polynomial(w, coefficients):
    p = coefficients[0]
    for i in range(1, len(coefficients)):
        p = p * w + coefficients[i]
    return p


def sigmoid(x):
    # a / (a + 2^k b) with x = r - k ln 2, exp(-r) = b / a, a = q + p, b = q - p. P and Q are scaled by 2^-64
    # (float64: 2^-600), so that all stays normal even where the result is denormal.
    y = from_bits(np.minimum(unsigned_bits(np.minimum(bits(x), TOP)), BOTTOM))
    t = SHIFTER - y * LOG2E
    k = t - SHIFTER
    r = y + k * LN2_HIGH + k * LN2_LOW
    w = r * r
    p = polynomial(w, SMALL_P) * r
    q = polynomial(w, SMALL_Q)
    a = q + p
    z = a / (a + from_bits(bits(q - p) + (bits(t) << MANTISSA)))
    return select(x == x, z, x)


def tanh(x):
    # a / (a + 2 b) with 2 |x| = r + k ln 2, s = 2^k and exp(2 |x|) - 1 = a / b, where b = q - p and
    # a = s (q + p) - (q - p), put so that it is accurate for small x.
    y = from_bits(np.minimum(bits(x) & MAGNITUDE, LIMIT))
    t = y * TWO_LOG2E + SHIFTER_TO_ONE
    k = t - SHIFTER_TO_ONE
    r = (y + y) - k * LN2_HIGH - k * LN2_LOW
    s = from_bits(bits(t) << MANTISSA)
    w = r * r
    p = polynomial(w, P) * (w * r) + r
    q = polynomial(w, Q)
    a = (s - ONE) * q + (s + ONE) * p
    b = q - p
    z = np.copysign(a / (a + (b + b)), x)
    return select(x == x, z, x)


def relu(x):
    return number(0) if positive(-x) else x


def positive(x):
    return unsigned(number(x).view(unsigned) - unsigned(1)) < INFINITY   # leaves out zeros, NaN and what has a sign bit


def order(x):
    # integers that compare as the numbers do; x + 0 joins the two zeros
    b = number(x + number(0)).view(signed)
    return b ^ ((b >> WIDTH) & MAGNITUDE)


def greater(x, y):
    return (order(x) > order(y)) & (x == x) & (y == y)


def where(c, x, y):
    # by min with all ones or none: LLVM would load x under the mask c, which is slow in large arrays
    c = unsigned(signed(0) - signed(c))
    return unsigned(min(number(x).view(unsigned), c) | min(number(y).view(unsigned), unsigned(~c))).view(number)


FORMULAS = (bits, unsigned_bits, from_bits, select, polynomial, sigmoid, tanh, relu, positive, order, greater, where)


def constants(number):
    """The names the formulas use, in one precision. Polynomials start with their highest power."""
    if number is np.float32:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int32, np.uint32, 23, 127, 64, -105, 18, 9.1
        ln2 = 0.693359375, -2.12194440054690583e-4
        p, q = (0.016646777286589142,), (0.19996009829016862, 2.0)
    else:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int64, np.uint64, 52, 1023, 600, -747, 40, 19.5
        ln2 = 6.93145751953125e-1, 1.42860682030941723212e-6
        p, q = (6.6088684849888828e-5, 0.027774842785598326), (1.9835400564217346e-3, 0.22221635223786044, 2.0)
    shifter, width, log2e = 1.5 * 2.0 ** mantissa, 8 * number().itemsize, math.log2(math.e)
    return dict(
        number=number, signed=signed, unsigned=unsigned, ITEMSIZE=width // 8, WIDTH=signed(width - 1),
        MANTISSA=signed(mantissa), LOG2E=number(log2e), TWO_LOG2E=number(2 * log2e),
        LN2_HIGH=number(ln2[0]), LN2_LOW=number(ln2[1]), ONE=number(1),
        SHIFTER=number(shifter), SHIFTER_TO_ONE=number(shifter + bias), P=tuple(map(number, p)), Q=tuple(map(number, q)),
        SMALL_P=tuple([number(2.0 ** -small * c) for c in (*p, 1)]), SMALL_Q=tuple([number(2.0 ** -small * c) for c in q]),
        TOP=number(high).view(signed), BOTTOM=number(low).view(unsigned), LIMIT=number(limit).view(signed),
        MAGNITUDE=signed(np.iinfo(signed).max), INFINITY=number(np.inf).view(unsigned))


# ---- text and formulas become ufuncs ----

OPTIONS = {'error_model': 'numpy'}
FUSED = {np.float32: {'contract'}, np.float64: False}   # multiply-add, in formulas; NaN and infinities stay
lock = threading.RLock()


def loop_source(name, arity, precision):
    """The text of a ufunc's inner loop over the kernel `name`; see NumPy's PyUFuncGenericFunction for its parameters."""
    def each(form, joint=', ', n=arity):
        return joint.join(form.format(k) for k in range(n))

    streamed = f'''
        if n * ITEMSIZE >= STREAMED:
            b = np.empty(512, number)
            while low + 512 <= n:
                for i in range(512): b[i] = {name}({each('x{0}[low + i]')})
                stream(place(z) + low * ITEMSIZE, b.ctypes.data, 512 * ITEMSIZE)
                low += 512
            settle()''' if arity > 1 else ''
    return f'''
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
'''


@cache
def compiler():
    """numba, or None if there is none that works."""
    try:
        import numba
        return None if numba.config.DISABLE_JIT else numba
    except Exception:   # an unsuitable NumPy or llvmlite shows in several ways
        return None


def instructions(code):
    """What a function does, as something whose repr is the same in every process."""
    return code.co_code, code.co_names, [instructions(c) if type(c) is CodeType else c for c in code.co_consts]


def bound(function, names):
    """The function with its free names bound. Its own name tells what to, because numba's cache knows a kernel by that."""
    made = FunctionType(function.__code__, {'__name__': function.__module__, **names})
    known = {name: value.py_func.__qualname__ if hasattr(value, 'py_func') else repr(value) for name, value in names.items()
             if hasattr(value, 'py_func') or isinstance(value, (int, float, tuple, type, np.generic))}
    made.__qualname__ = f'{function.__name__}_{zlib.crc32(repr((known, instructions(function.__code__))).encode()):08x}'
    return made


def compiled(function, signatures, **options):
    """The function compiled for the signatures, from the cache where there is one; None, with a warning, where numba fails."""
    for cached in (True, False):
        try:
            return compiler().njit(signatures, cache=cached, **options)(function)
        except Exception as error:
            problem = error
    warnings.warn(f'tapegrad: plain NumPy takes the place of {function.__name__}, numba failed: {problem}', RuntimeWarning,
                  stacklevel=3)


def nothing(*operands):
    """What takes the place of a kernel that does its work and says so, where that is not to be had."""
    return False


@cache
def row_adder():
    """add_rows(x, ids, rows): x[ids[i]] += rows[i], in order, for matrices of one float dtype; None without a compiler."""
    numba = compiler()
    if numba is None:
        return None

    def add_rows(x, ids, rows):
        for i in range(ids.size):
            k = ids[i] if ids[i] >= 0 else ids[i] + x.shape[0]
            for j in range(x.shape[1]):
                x[k, j] += rows[i, j]

    signatures = [numba.void(number[:, ::1], numba.int64[::1], number[:, ::1]) for number in (numba.float32, numba.float64)]
    return compiled(bound(add_rows, {}), signatures)


def streaming(numba):
    """What writes large arrays past the caches: a line of 64 bytes that is written whole need not be read before.

    stream(target, source, size) copies bytes; the target is aligned to 64, and the size a multiple of it. settle() has other
    threads see them. For results of STREAMED bytes and more, which no cache keeps until they are read.
    """
    from llvmlite import ir

    @numba.extending.intrinsic
    def stream(context, target, source, size):
        def written(context, builder, signature, arguments):
            line, places = ir.VectorType(ir.IntType(64), 8), arguments[:2]
            lines = builder.udiv(arguments[2], arguments[2].type(64))
            with numba.core.cgutils.for_range(builder, lines) as loop:
                here = builder.mul(loop.index, loop.index.type(64))
                to, of = [builder.inttoptr(builder.add(place, here), line.as_pointer()) for place in places]
                kept = builder.store(builder.load(of, align=8), to, align=64)
                kept.set_metadata('nontemporal', builder.module.add_metadata([ir.IntType(32)(1)]))
            return context.get_dummy_value()
        return numba.types.void(numba.intp, numba.intp, numba.intp), written

    @numba.extending.intrinsic
    def settle(context):
        def written(context, builder, signature, arguments):
            builder.fence('seq_cst')
            return context.get_dummy_value()
        return numba.types.void(), written

    return dict(stream=stream, settle=settle, STREAMED=3 << 20)


@cache
def toolbox(number):
    numba, names = compiler(), dict(constants(number), np=np, __name__=__name__)
    names |= streaming(numba)
    for formula in FORMULAS:
        names[formula.__name__] = numba.njit(fastmath=FUSED[number], **OPTIONS)(FunctionType(formula.__code__, names))
    names['place'] = numba.njit(lambda pointer: numba.carray(pointer, 1).ctypes.data)
    return names


def compile_loop(number, name, scalar, arity, filename, store):
    """A ufunc's inner loop in one precision, as a numba.cfunc; `scalar` is the text of the kernel, empty for a formula."""
    numba, names = compiler(), dict(toolbox(number))
    exec(compile(scalar + loop_source(name, arity, number.__name__), filename, 'exec'), names)
    if scalar:
        names[name] = numba.njit(**OPTIONS)(names[name])
    loop = names[f'{name}_{number.__name__}']
    if store == 'renew':
        numba.core.caching.FunctionCache(loop).flush()
    pointer, integers = numba.types.CPointer(numba.from_dtype(np.dtype(number))), numba.types.CPointer(numba.intp)
    signature = numba.void(numba.types.CPointer(pointer), integers, integers, numba.types.voidptr)
    return numba.cfunc(signature, cache=store != 'none', **OPTIONS)(loop)


@cache
def build(label, name, scalar, arity, filename, doc):
    """The ufunc, or None if it can't be compiled. A broken cache is renewed; where none can be written, there is none."""
    for store in ('use', 'renew', 'none'):
        try:
            from numba.np.ufunc import _internal
            loops = [compile_loop(number, name, scalar, arity, filename, store) for number in (np.float32, np.float64)]
            types = [[np.dtype(number).num] * (arity + 1) for number in (np.float32, np.float64)]
            places = [loop.address for loop in loops]   # valid while the ufunc keeps the loops alive
            return _internal.fromfunc(label, doc, places, types, arity, 1, [None, None], loops, _internal.PyUFunc_None)
        except Exception as error:
            problem = error
    warnings.warn(f'tapegrad: {label} runs on plain NumPy, numba failed: {problem}', RuntimeWarning, stacklevel=3)


def plain_sigmoid(x, out=None):
    return np.divide(np.exp(np.minimum(x, 0)), 1 + np.exp(-np.abs(x)), out=out)


def of_real_numbers(function):
    """The function, which refuses complex numbers as the ufunc in whose place it stands does."""
    @wraps(function)
    def plain(x, out=None):
        if np.iscomplexobj(x):
            raise TypeError(f'{function.__name__} of complex numbers; the kernel is for real ones')
        return function(x, out=out)

    return plain


PLAIN = {'sigmoid': of_real_numbers(plain_sigmoid), 'tanh': of_real_numbers(np.tanh),
         'relu': of_real_numbers(lambda x, out=None: np.maximum(x, 0.0, out=out))}


def forward(name):
    """The ufunc of 'sigmoid', 'tanh' or 'relu', compiled at the first call or loaded from numba's cache.

    sigmoid 1 / (1 + exp(-x)) is within 2.75 units in the last place, denormals included; tanh within 3.25, with tanh(-0) = -0;
    relu max(x, 0) is exact, with relu(-0) = -0 as in PyTorch.
    NaN passes through. float32 stays float32, float16 and 8 and 16-bit integers go to it; other integers go to float64.
    Without a working numba they are functions (x, out=None) of NumPy operations. ValueError for another name.
    """
    if name not in PLAIN:
        raise ValueError(f'no kernel {name!r}; there are {", ".join(PLAIN)}')
    with lock:
        return compiler() and build(name, name, '', 1, __file__, f'{name}(x), elementwise.') or PLAIN[name]


def derivative(label, text, arity, filename):
    """A ufunc of `arity` float32 or float64, compiled from the text of a scalar function; None without a compiler.

    The text defines the function `label` and takes its literals from `number`, np.float32 or np.float64, in whose place it
    may use the formulas: primitives/scalar.py makes it from a rule. The kernel is cached under the file that it came from,
    `filename`. The ufunc's __doc__ is the text.
    """
    # numba finds a cached kernel by its name and the date of the rule's file: the name must tell all the rest
    rest = (text, loop_source(label, arity, ''), OPTIONS, FUSED, constants(np.float64),
            [instructions(f.__code__) for f in (*FORMULAS, streaming)])
    unique = f'{label}_{zlib.crc32(repr(rest).encode()):08x}'
    with lock:
        return compiler() and build(label, unique, text.replace(label, unique, 1), arity, filename, text)
