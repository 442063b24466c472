"""Compiled elementwise kernels.

(header to come)
"""
import hashlib
import math
import operator
import re
import threading
import warnings
from functools import lru_cache
from types import FunctionType

import numpy as np


# ---- formulas: plain Python, bound to the constants of one precision, compiled by numba ----

def sigmoid(x):
    b = min(number(x).view(signed), TOP)
    y = unsigned(min(unsigned(b), BOTTOM)).view(number)
    t = SHIFTER - y * LOG2E
    k = t - SHIFTER
    r = y + k * LN2_HIGH + k * LN2_LOW
    p = COEFFICIENTS[0]
    for c in COEFFICIENTS[1:]:
        p = p * r + c
    e = signed(number(p).view(signed) + signed(number(t).view(signed) << MANTISSA)).view(number)
    z = SCALE / (SCALE + e)
    return z if x == x else x


def tanh(x):
    return np.tanh(x)


def relu(x):
    negative = unsigned(number(x).view(unsigned) - BELOW_ZERO) <= NEGATIVES
    return number(0) if negative else x


def order(x):
    b = number(x + number(0)).view(signed)
    return b ^ ((b >> SIGN) & MAGNITUDE)


def greater(a, b):
    return (order(a) > order(b)) & (a == a) & (b == b)


def greater_equal(a, b):
    return (order(a) >= order(b)) & (a == a) & (b == b)


def where(c, a, b):
    return a if c else b


def maximum(a, b):
    return a if greater(a, b) | (a != a) else b


def minimum(a, b):
    return a if greater(b, a) | (a != a) else b


def constants(dtype):
    """The names that the formulas use, for one precision."""
    single = np.dtype(dtype) == np.float32
    number, signed, unsigned = (np.float32, np.int32, np.uint32) if single else (np.float64, np.int64, np.uint64)
    mantissa, offset, degree = (23, 64, 6) if single else (52, 600, 11)
    return {
        '__name__': __name__, 'np': np, 'number': number, 'signed': signed, 'unsigned': unsigned, 'ITEMSIZE': np.dtype(dtype).itemsize,
        'MANTISSA': signed(mantissa), 'SIGN': signed(31 if single else 63), 'MAGNITUDE': np.iinfo(signed).max,
        'LOG2E': number(math.log2(math.e)), 'SCALE': number(2.0 ** -offset), 'SHIFTER': number(1.5 * 2.0 ** mantissa - offset),
        'TOP': number(18 if single else 40).view(signed), 'BOTTOM': number(-105 if single else -747).view(unsigned),
        'LN2_HIGH': number(0.693359375 if single else 6.93145751953125e-1),
        'LN2_LOW': number(-2.12194440054690583e-4 if single else 1.42860682030941723212e-6),
        'COEFFICIENTS': tuple(number((-1) ** i / math.factorial(i)) for i in range(degree, -1, -1)),
        'BELOW_ZERO': number(-0.0).view(unsigned) + unsigned(1), 'NEGATIVES': number(np.inf).view(unsigned) - unsigned(1),
    }


# ---- a rule, run once over symbols, becomes the text of a kernel ----

class Symbol:
    """A scalar expression as text."""
    __slots__ = 'text', 'condition'
    __hash__ = None

    def __init__(self, text, condition=False):
        self.text, self.condition = text, condition

    def __bool__(self):
        raise TypeError('a rule has no truth value to branch on: use F.where')

    def __neg__(self):
        return Symbol(f'(-{text_of(self)})')

    def __pos__(self):
        return self

    def __pow__(self, exponent):
        if isinstance(exponent, int) and exponent < 0:
            return 1 / self ** -exponent
        if isinstance(exponent, int):
            return Symbol(f'({text_of(self)} ** {exponent})')
        return Symbol(f'({text_of(self)} ** {text_of(exponent)})')

    def __rpow__(self, base):
        return Symbol(f'({text_of(base)} ** {text_of(self)})')


def text_of(value):
    """The text of an operand; literals take the precision of the loop, since numba would widen float32 to float64."""
    if isinstance(value, Symbol):
        return f'number({value.text})' if value.condition else value.text
    if isinstance(value, (int, float, np.number, np.bool_)) or np.ndim(value) == 0 and isinstance(value, np.ndarray):
        value = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
        return f'number({value!r})' if math.isfinite(value) else f'number(np.{abs(value)})' if not value < 0 else '(-number(np.inf))'
    raise TypeError(f'{type(value).__name__} in the rule of an elementwise kernel')


def call(function):
    return staticmethod(lambda *args: Symbol(f'{function}({", ".join(map(text_of, args))})'))


def infix(sign, condition=False):
    return (lambda a, b: Symbol(f'({text_of(a)} {sign} {text_of(b)})', condition),
            lambda a, b: Symbol(f'({text_of(b)} {sign} {text_of(a)})', condition))


for _name, _sign in (('add', '+'), ('sub', '-'), ('mul', '*'), ('truediv', '/')):
    for _method, _function in zip((f'__{_name}__', f'__r{_name}__'), infix(_sign)):
        setattr(Symbol, _method, _function)
Symbol.__eq__, Symbol.__ne__ = infix('==', True)[0], infix('!=', True)[0]
for _name, _text in (('gt', 'greater({0}, {1})'), ('ge', 'greater_equal({0}, {1})'), ('lt', 'greater({1}, {0})'), ('le', 'greater_equal({1}, {0})')):
    setattr(Symbol, f'__{_name}__', lambda a, b, _text=_text: Symbol(_text.format(text_of(a), text_of(b)), True))


class Vocabulary:
    """F over symbols."""
    exp, log, sqrt, sin, cos, tanh = map(call, ('np.exp', 'np.log', 'np.sqrt', 'np.sin', 'np.cos', 'np.tanh'))
    abs, maximum, minimum = map(call, ('abs', 'maximum', 'minimum'))

    @staticmethod
    def where(c, a, b):
        if not (isinstance(c, Symbol) and c.condition):
            raise TypeError('F.where takes a comparison')
        return Symbol(f'where({c.text}, {text_of(a)}, {text_of(b)})')


def source(rule, reads, name):
    """The text of the scalar kernel that computes `rule`.

    >>> print(source(lambda F, d, z, _x: d * (1 - z * z), ('d', 'z'), 'tanh_derivative'))
    def tanh_derivative(d, z):
        return (d * (number(1) - (z * z)))
    """
    code = rule.__code__
    names = code.co_varnames[1:code.co_argcount]
    text = text_of(rule(Vocabulary, *map(Symbol, names)))
    unread = set(re.findall(r'\b[a-zA-Z_]\w*', text)) & set(names) - set(reads)
    if unread:
        raise ValueError(f'the rule of {name} reads {", ".join(sorted(unread))}, which is not among {reads}')
    return f'def {name}({", ".join(reads)}):\n    return {text}\n'


# ---- text and formulas become ufuncs ----

LOOP = '''
def {name}_loop(args, dims, steps, data):
    n = dims[0]
    {x_}, out = {args_}
    {s_}, s_out = {steps_}
    direct = {contiguous} and s_out == 1 and {apart}
    if direct or n < 32:
        for i in range(n):
            out[i * s_out] = {name}({x_at})
    else:
        {block_}, block = {empty_}
        for low in range(0, n, 512):
            m = min(512, n - low)
            {fill}
            for i in range(m):
                block[i] = {name}({block_at})
            for i in range(m):
                out[(low + i) * s_out] = block[i]
'''


def loop_source(name, arity):
    ks = range(arity)
    every = lambda form, joint=', ': joint.join(form.format(k=k) for k in ks)
    return LOOP.format(
        name=name, x_=every('x{k}'), args_=', '.join(f'args[{k}]' for k in range(arity + 1)),
        s_=every('s{k}'), steps_=', '.join(f'steps[{k}] // ITEMSIZE' for k in range(arity + 1)),
        contiguous=every('s{k} == 1', ' and '), apart=every('place(x{k}) != place(out)', ' and '),
        x_at=every('x{k}[i * s{k}]'), block_=every('block{k}'),
        empty_=', '.join(['np.empty(512, number)'] * (arity + 1)), block_at=every('block{k}[i]'),
        fill=every('for i in range(m):\n                block{k}[i] = x{k}[(low + i) * s{k}]', '\n            '))


lock = threading.RLock()
OPTIONS = {'fastmath': {'contract'}, 'error_model': 'numpy'}


@lru_cache(maxsize=None)
def compiler():
    """numba, or None where there is none that works."""
    try:
        import numba
        return None if numba.config.DISABLE_JIT else numba
    except Exception:
        return None


@lru_cache(maxsize=None)
def toolbox(dtype):
    """The names that generated code sees, for one precision."""
    numba = compiler()
    names = constants(dtype)
    for helper in (order, greater, greater_equal, where, maximum, minimum):
        names[helper.__name__] = numba.njit(**OPTIONS)(FunctionType(helper.__code__, names))

    def place(pointer):
        return numba.carray(pointer, 1).ctypes.data
    names['place'] = numba.njit(place)
    return names


def loop(name, arity, text, filename, function, dtype, cache):
    numba = compiler()
    names = dict(toolbox(dtype))
    exec(compile(text, filename, 'exec'), names)
    if function:
        names[name] = FunctionType(function.__code__, names)
    names[name] = numba.njit(**OPTIONS)(names[name])
    number = numba.from_dtype(np.dtype(dtype))
    pointers, integers = numba.types.CPointer(numba.types.CPointer(number)), numba.types.CPointer(numba.types.intp)
    signature = numba.void(pointers, integers, integers, numba.types.voidptr)
    return numba.cfunc(signature, cache=cache, **OPTIONS)(names[f'{name}_loop'])


def build(name, arity, text, filename, function=None):
    from numba.np.ufunc import _internal
    text += loop_source(name, arity)
    dtypes = np.float32, np.float64

    def loops(cache):
        return [loop(name, arity, text, filename, function, dtype, cache) for dtype in dtypes]
    with lock:
        try:
            compiled = loops(True)
        except Exception:
            compiled = loops(False)
        return _internal.fromfunc(name, None, [c.address for c in compiled], [[np.dtype(t).num] * (arity + 1) for t in dtypes],
                                  arity, 1, [None] * 2, compiled, _internal.PyUFunc_None)


def plain_sigmoid(x, out=None):
    e = np.exp(-np.abs(x))
    return np.divide(np.where(np.asarray(x) < 0, e, 1), 1 + e, out=out)


def plain_relu(x, out=None):
    return np.maximum(x, 0, out=out)


PLAIN = {'sigmoid': plain_sigmoid, 'tanh': np.tanh, 'relu': plain_relu}


@lru_cache(maxsize=None)
def forward(name):
    """forward"""
    if name == 'tanh' or compiler() is None:
        return PLAIN[name]
    return build(name, 1, '', __file__, globals()[name])


@lru_cache(maxsize=None)
def derivative(name, rule, reads):
    name = re.sub(r'\W', '_', name) + '_derivative'
    text = source(rule, reads, name)
    if compiler() is None:
        return None
    digest = hashlib.sha1(text.encode()).hexdigest()[:8]
    text = text.replace(f'def {name}(', f'def {name}_{digest}(')
    return build(f'{name}_{digest}', len(reads), text, rule.__code__.co_filename)
