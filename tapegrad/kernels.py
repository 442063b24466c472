# ruff: noqa: F821 -- the formulas' free names (number, signed, TOP, ...) are bound once per precision, by constants()
"""Elementwise kernels, compiled by numba when they are first asked for. Importing this file compiles and imports nothing.

    forward('tanh')                            -> a NumPy ufunc
    derivative('tanh', rule, ('d', 'z'))       -> a NumPy ufunc made from the row's rule, or None without a compiler

Why ufuncs. A ufunc brings broadcasting, out=, casting, 0-d and memory order, and is called in 0.2 us; numba's own
dispatchers take longer or compile again for every array layout. Numba's @vectorize was tried: LLVM vectorises its loop
only for contiguous operands in different places, so z = sigmoid(x, out=x) ran 16 times slower. Here the loop is ours (LOOP):
strided and in-place operands go through small contiguous blocks, and every element through vector instructions.

Why a polynomial. LLVM doesn't vectorise calls of exp and tanh, so the formulas are straight-line arithmetic. With
k = round(x log2 e) and r = x - k ln 2, exp(x) = 2^k exp(r), |r| <= ln(2)/2: ln 2 is subtracted in two parts (Cody and Waite),
exp(r) is a minimax polynomial (fitted by Remez exchange), and adding a big "shifter" rounds to k while leaving it in the low
bits, from where a shift moves it into the exponent. See Muller, Elementary Functions, and Cephes for the technique.

Why integers. A vector <, min or max of NaN raises the invalid flag, which NumPy reports as a RuntimeWarning. Clamps and
comparisons are made on the bits of the numbers instead, which costs no more; NaN is put back at the end by x == x.

A derivative is written once, in the table of primitives. source() runs the rule over Symbols, which gives the text of a scalar
function; numba caches that text under the file that defines the rule, so editing the file renews the cache.
"""
import hashlib
import inspect
import math
import re
import threading
import warnings
from functools import lru_cache
from types import FunctionType, SimpleNamespace

import numpy as np

# ---- formulas, in one precision ----

def sigmoid(x):
    # S / (S + S exp(-x)) with S = 2^-64 (float64: 2^-600): S exp(-x) stays normal even where the result is denormal
    b = signed(min(number(x).view(signed), TOP))
    y = unsigned(min(unsigned(b), BOTTOM)).view(number)
    t = SIGMOID_SHIFTER - y * LOG2E
    k = t - SIGMOID_SHIFTER
    r = y + k * LN2_HIGH + k * LN2_LOW
    p = EXP[0]
    for c in EXP[1:]:
        p = p * r + c
    e = signed(number(p).view(signed) + signed(number(t).view(signed) << MANTISSA)).view(number)
    z = SMALL / (SMALL + e)
    return z if x == x else x


def tanh(x):
    # m / (m + 2) with m = exp(2 |x|) - 1, where exp(r) - 1 = r + r^2 p(r) keeps the accuracy of small x
    b = number(x).view(signed)
    y = signed(min(signed(b & MAGNITUDE), LIMIT)).view(number)
    t = y * TWO_LOG2E + TANH_SHIFTER
    k = t - TANH_SHIFTER
    r = (y + y) - k * LN2_HIGH - k * LN2_LOW
    p = EXPM1[0]
    for c in EXPM1[1:]:
        p = p * r + c
    s = signed(number(t).view(signed) << MANTISSA).view(number)
    m = s * ((p * r) * r + r) + (s - number(1))
    z = number(m / (m + number(2)))
    z = signed(z.view(signed) | (b & SIGN)).view(number)
    return z if x == x else x


def relu(x):
    # the bits of all negative numbers but -0 and NaN are one interval
    return number(0) if unsigned(number(x).view(unsigned) - FIRST_NEGATIVE) <= NEGATIVES else x


def positive(x):
    return unsigned(number(x).view(unsigned) - unsigned(1)) < INFINITY


def order(x):
    # integers that compare as the numbers do; x + 0 joins the two zeros
    b = number(x + number(0)).view(signed)
    return b ^ ((b >> WIDTH) & MAGNITUDE)


def greater(x, y):
    return (order(x) > order(y)) & (x == x) & (y == y)


def where(c, x, y):
    return x if c else y


FORMULAS = {f.__name__: f for f in (sigmoid, tanh, relu)}
HELPERS = positive, order, greater, where


def constants(number):
    """The names the formulas use, in one precision. Polynomials start with the highest power."""
    if number is np.float32:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int32, np.uint32, 23, 127, 64, -105, 18, 9.1
        ln2 = 0.693359375, -2.12194440054690583e-4
        exp = 0.0013836835744798385, -0.0083748240306628080, 0.041668226188472839, -0.16666420072445139, 0.49999992075100983
        expm1 = 0.0013888872632161715, 0.0083690757075596, 0.041667136398633547, 0.16666506155493672, 0.4999999812367091
    else:
        signed, unsigned, mantissa, bias, small, low, high, limit = np.int64, np.uint64, 52, 1023, 600, -747, 40, 19.5
        ln2 = 6.93145751953125e-1, 1.42860682030941723212e-6
        exp = (-2.4994303273814395e-8, 2.7632308174894486e-7, -2.7557622620471980e-6, 2.4801486481436401e-5,
               -1.9841269459470448e-4, 1.3888888951261042e-3, -8.3333333335594339e-3, 0.041666666666492630,
               -0.16666666666666168, 0.50000000000000177)
        expm1 = (2.5052102513685722e-8, 2.7626276314941916e-7, 2.7557414810168335e-6, 2.4801504569751533e-5,
                 1.9841269707407140e-4, 1.3888888932284336e-3, 8.3333333333978772e-3, 0.041666666666573836,
                 0.16666666666666563, 0.5)
    minus_zero, infinity = number(-0.0).view(unsigned), number(np.inf).view(unsigned)
    return dict(
        __name__=__name__, np=np, number=number, signed=signed, unsigned=unsigned, ITEMSIZE=number().itemsize,
        LOG2E=number(math.log2(math.e)), TWO_LOG2E=number(2 * math.log2(math.e)), LN2_HIGH=number(ln2[0]), LN2_LOW=number(ln2[1]),
        EXP=tuple(map(number, (*exp, -1, 1))), EXPM1=tuple(map(number, expm1)), SMALL=number(2.0 ** -small),
        SIGMOID_SHIFTER=number(1.5 * 2.0 ** mantissa - small), TANH_SHIFTER=number(1.5 * 2.0 ** mantissa + bias),
        TOP=number(high).view(signed), BOTTOM=number(low).view(unsigned), LIMIT=number(limit).view(signed),
        MANTISSA=signed(mantissa), WIDTH=signed(8 * number().itemsize - 1), SIGN=minus_zero.view(signed),
        MAGNITUDE=np.iinfo(signed).max, INFINITY=infinity,
        FIRST_NEGATIVE=minus_zero + unsigned(1), NEGATIVES=infinity - unsigned(1))


# ---- a rule, run over symbols, becomes the text of a kernel ----

def text_of(value):
    """The text of an operand. Literals take the loop's precision: numba would widen float32 to float64."""
    if isinstance(value, Symbol):
        return f'number({value.text})' if value.condition else value.text
    if np.ndim(value) or not isinstance(value, (int, float, np.number, np.bool_, np.ndarray)):
        raise TypeError(f'an elementwise rule cannot use a {type(value).__name__}')
    value = value.item() if hasattr(value, 'item') else value
    return f'number({value!r})' if math.isfinite(value) else f"number({'-' * (value < 0)}np.{abs(value)})"


def write(form, condition=False):
    return lambda *operands: Symbol(form.format(*map(text_of, operands)), condition)


def is_zero(x):
    return not isinstance(x, Symbol) and np.ndim(x) == 0 and x == 0


def greater_than(x, y):
    return write('positive({})' if is_zero(y) else 'greater({}, {})', True)(*(x,) if is_zero(y) else (x, y))


def power(x, y):
    whole = type(y) is int   # numba multiplies these out
    return 1 / x ** -y if whole and y < 0 else Symbol(f'({text_of(x)} ** {y if whole else text_of(y)})')


def choose(c, x, y):
    if not (isinstance(c, Symbol) and c.condition):
        raise TypeError('F.where takes a comparison')
    return Symbol(f'where({c.text}, {text_of(x)}, {text_of(y)})')


class Symbol:
    """A scalar expression as text; operators build longer text."""
    __slots__ = 'text', 'condition'
    __hash__ = None
    __array_ufunc__ = None   # NumPy's scalars leave the operation to us

    def __init__(self, text, condition=False):
        self.text, self.condition = text, condition

    def __bool__(self):
        raise TypeError('a rule cannot branch on a value: use F.where')

    __neg__, __abs__, __pow__, __rpow__ = write('(-{})'), write('abs({})'), power, write('({1} ** {0})')
    __add__, __sub__, __mul__, __truediv__ = map(write, ('({} + {})', '({} - {})', '({} * {})', '({} / {})'))
    __radd__, __rsub__, __rmul__, __rtruediv__ = map(write, ('({1} + {0})', '({1} - {0})', '({1} * {0})', '({1} / {0})'))
    __eq__, __ne__ = write('({} == {})', True), write('({} != {})', True)
    __ge__, __le__ = (write(f'(greater({form}) | ({{0}} == {{1}}))', True) for form in ('{0}, {1}', '{1}, {0}'))
    __gt__ = greater_than

    def __lt__(self, y):
        return -self > 0 if is_zero(y) else greater_than(y, self)


F = SimpleNamespace(
    where=choose, equal=Symbol.__eq__, not_equal=Symbol.__ne__, greater=greater_than, less=lambda x, y: greater_than(y, x),
    greater_equal=Symbol.__ge__, less_equal=Symbol.__le__, power=power, absolute=abs,
    zeros_like=lambda x: 0, ones_like=lambda x: 1, sign=lambda x: choose(x > 0, 1, choose(x < 0, -1, x)),
    maximum=write('where(greater({0}, {1}) | ({0} != {0}), {0}, {1})'),
    minimum=write('where(greater({1}, {0}) | ({0} != {0}), {0}, {1})'),
    strong_multiply=write('where({0} == number(0), number(0), {0} * {1})'),
    **{name: write(f'np.{name}({{}})') for name in ('exp', 'log', 'sqrt', 'sin', 'cos', 'tanh')})


def source(rule, reads, name):
    """The text of the scalar kernel that computes `rule` from the parameters that `reads` names.

    >>> print(source(lambda F, d, z, _x: d * (1 - z * z), ('d', 'z'), 'tanh_derivative'))
    def tanh_derivative(d, z):
        return (d * (number(1) - (z * z)))

    `number` is np.float32 or np.float64. TypeError if the rule isn't elementwise, ValueError if it reads another parameter.
    """
    names = list(inspect.signature(rule).parameters)[1:]
    text = text_of(rule(F, *map(Symbol, names)))
    missing = set(re.findall(r'\w+', text)) & set(names) - set(reads)
    if missing:
        raise ValueError(f'{name}: the rule reads {", ".join(sorted(missing))}, which is not in {reads}')
    return f'def {name}({", ".join(reads)}):\n    return {text}'


# ---- text and formulas become ufuncs ----

LOOP = '''
def {name}_{dtype}(places, dims, steps, data):
    n = dims[0]
    {xs}, z = {places}
    {ss}, sz = {steps}
    if n < 32 or {contiguous} and sz == 1 and {apart}:
        for i in range(n):
            z[i * sz] = {name}({direct})
        return
    {blocks}, bz = {empty}
    for low in range(0, n, 512):
        m = min(512, n - low)
        {fill}
        for i in range(m):
            bz[i] = {name}({buffered})
        for i in range(m):
            z[(low + i) * sz] = bz[i]
'''

OPTIONS = {'fastmath': {'contract'}, 'error_model': 'numpy'}   # contract: fused multiply-add; NaN and infinities stay
lock = threading.RLock()


def loop_source(name, arity, dtype):
    def each(form, joint=', ', n=arity):
        return joint.join(form.format(k) for k in range(n))

    return LOOP.format(
        name=name, dtype=dtype, xs=each('x{0}'), ss=each('s{0}'), blocks=each('b{0}'), places=each('places[{0}]', n=arity + 1),
        steps=each('steps[{0}] // ITEMSIZE', n=arity + 1), contiguous=each('s{0} == 1', ' and '),
        apart=each('place(x{0}) != place(z)', ' and '), direct=each('x{0}[i * s{0}]'), buffered=each('b{0}[i]'),
        empty=each('np.empty(512, number)', n=arity + 1),
        fill=each('for i in range(m):\n            b{0}[i] = x{0}[(low + i) * s{0}]', '\n        '))


@lru_cache(maxsize=None)
def compiler():
    """numba, or None if there is none that works."""
    try:
        import numba
        return None if numba.config.DISABLE_JIT else numba
    except Exception:   # an unsuitable NumPy or llvmlite shows in several ways
        return None


@lru_cache(maxsize=None)
def toolbox(number):
    numba, names = compiler(), constants(number)
    for helper in HELPERS:
        names[helper.__name__] = numba.njit(**OPTIONS)(FunctionType(helper.__code__, names))
    names['place'] = numba.njit(lambda pointer: numba.carray(pointer, 1).ctypes.data)
    return names


def compile_loop(number, name, arity, scalar, filename, cache):
    """A ufunc's inner loop in one precision, as a numba.cfunc; `scalar` is the kernel, as text or a function."""
    numba, names = compiler(), dict(toolbox(number))
    text = loop_source(name, arity, number.__name__)
    if isinstance(scalar, str):
        text = scalar + text
    else:
        names[name] = FunctionType(scalar.__code__, names)
    exec(compile(text, filename, 'exec'), names)
    names[name] = numba.njit(**OPTIONS)(names[name])
    loop = names[f'{name}_{number.__name__}']
    if cache == 'renew':
        from numba.core.caching import FunctionCache
        FunctionCache(loop).flush()
    pointer, integers = numba.types.CPointer(numba.from_dtype(np.dtype(number))), numba.types.CPointer(numba.intp)
    signature = numba.void(numba.types.CPointer(pointer), integers, integers, numba.types.voidptr)
    return numba.cfunc(signature, cache=cache != 'none', **OPTIONS)(loop)


def build(name, arity, scalar, filename, doc):
    """The ufunc, or None if it can't be compiled. A broken cache is renewed; where none can be written, there is none."""
    for cache in ('use', 'renew', 'none'):
        try:
            from numba.np.ufunc import _internal
            loops = [compile_loop(number, name, arity, scalar, filename, cache) for number in (np.float32, np.float64)]
            types = [[np.dtype(number).num] * (arity + 1) for number in (np.float32, np.float64)]
            # the ufunc keeps its seventh argument, the loops, alive
            return _internal.fromfunc(name, doc, [loop.address for loop in loops], types, arity, 1, [None, None], loops,
                                      _internal.PyUFunc_None)
        except Exception as error:
            problem = error
    warnings.warn(f'tapegrad: {name} runs on plain NumPy, numba failed: {problem}', RuntimeWarning, stacklevel=3)
    return None


def plain_sigmoid(x, out=None):
    e = np.exp(-np.abs(x))
    return np.divide(np.where(np.less(x, 0), e, 1), 1 + e, out=out)


def plain_relu(x, out=None):
    return np.maximum(x, 0.0, out=out)


PLAIN = {'sigmoid': plain_sigmoid, 'tanh': np.tanh, 'relu': plain_relu}


@lru_cache(maxsize=None)
def _forward(name):
    ufunc = compiler() and build(name, 1, FORMULAS[name], __file__, f'{name}(x), elementwise.')
    return ufunc or PLAIN[name]


@lru_cache(maxsize=None)
def _derivative(name, rule, reads):
    name = re.sub(r'\W', '_', name) + '_derivative'
    text = source(rule, reads, name)
    if compiler() is None:
        return None
    # numba looks a kernel up by its name and the date of the rule's file: the name has to tell all the rest
    rest = text, LOOP, repr(constants(np.float64)), *(f.__code__.co_code.hex() for f in HELPERS)
    unique = f'{name}_{hashlib.sha256("".join(map(str, rest)).encode()).hexdigest()[:12]}'
    return build(unique, len(reads), text.replace(name, unique, 1), rule.__code__.co_filename, text)


def forward(name):
    """The ufunc of 'sigmoid', 'tanh' or 'relu', compiled at the first call or loaded from numba's cache.

    sigmoid = 1 / (1 + exp(-x))    within 2.5 units in the last place in float32, 2.5 in float64, denormals included
    tanh                           within 3 and 3.5; tanh(-0) = -0
    relu = max(x, 0)               exact; relu(-0) = -0, relu(NaN) = NaN

    float32 in, float32 out, also for float16 and integers that fit; everything else goes to float64. NaN passes through.
    Without a working numba these are functions (x, out=None) made of NumPy's own operations.
    """
    if name not in FORMULAS:
        raise ValueError(f'no kernel {name!r}; there are {", ".join(FORMULAS)}')
    with lock:
        return _forward(name)


def derivative(name, rule, reads):
    """A ufunc of the parameters that `reads` names, compiled from a row's rule; None where there is no compiler.

    `rule` takes F, the delta d, the output z and the operands, and computes elementwise with operators and F.exp, F.where
    and the like, as in `lambda F, d, z, _x: d * (1 - z * z)` with reads = ('d', 'z'). The ufunc has a float32 and a float64
    loop; its __doc__ shows the kernel. TypeError for a rule that isn't elementwise, ValueError if it reads another parameter.
    """
    with lock:
        return _derivative(name, rule, tuple(reads))
