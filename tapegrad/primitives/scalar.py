"""A rule of the table, run over symbols, becomes the text of a scalar function, which kernels/ compiles."""

import math
import operator
import re
from types import SimpleNamespace

import numpy as np


def text_of(value):
    """The text of an operand. Literals take the loop's precision: numba would widen float32 to float64."""
    if isinstance(value, Symbol):
        return f'number({value.text})' if value.condition else value.text
    if np.ndim(value) or not isinstance(value, (int, float, np.number, np.bool_, np.ndarray)):
        raise TypeError(f'an elementwise rule cannot use a {type(value).__name__}')
    value = value.item() if hasattr(value, 'item') else value
    return f'number({value!r})' if math.isfinite(value) else f"number({'-' * (value < 0)}np.{abs(value)})"


def write(form, condition=False):
    # an operation on symbols: {0} and {1} are its operands
    return lambda *operands: Symbol(form.format(*map(text_of, operands)), condition)


def compare(x, y, form='greater({0}, {1})', form_zero='positive({0})'):
    zero = not isinstance(y, Symbol) and np.ndim(y) == 0 and y == 0
    return write(form_zero if zero else form, True)(x, y)


def power(x, y):
    whole = type(y) in (int, float) and y % 1 == 0   # numba multiplies these out
    return 1 / x ** -y if whole and y < 0 else Symbol(f'({text_of(x)} ** {int(y) if whole else text_of(y)})')


def choose(c, x, y):
    if not (isinstance(c, Symbol) and c.condition):
        raise TypeError('F.where takes a comparison')
    return Symbol(f'where({c.text}, {text_of(x)}, {text_of(y)})')


class Symbol:
    """A scalar expression as text; operators build longer text."""
    __slots__ = 'condition', 'text'
    __hash__ = __array_ufunc__ = None   # == makes text; NumPy's scalars leave their operators to us

    def __init__(self, text, condition=False):
        self.text, self.condition = text, condition   # a condition is True or False

    def __bool__(self):
        raise TypeError('a rule cannot branch on a value: use F.where')

    __neg__, __abs__, __pow__, __rpow__ = write('(-{})'), write('abs({})'), power, write('({1} ** {0})')
    __add__, __sub__, __mul__, __truediv__ = map(write, ('({} + {})', '({} - {})', '({} * {})', '({} / {})'))
    __radd__, __rsub__, __rmul__, __rtruediv__ = map(write, ('({1} + {0})', '({1} - {0})', '({1} * {0})', '({1} / {0})'))
    __eq__, __ne__ = write('({} == {})', True), write('({} != {})', True)
    __ge__, __le__ = (write(f'(greater({form}) | ({{0}} == {{1}}))', True) for form in ('{0}, {1}', '{1}, {0}'))
    __gt__, __lt__ = compare, lambda x, y: compare(x, y, 'greater({1}, {0})', 'positive(-{0})')


F = SimpleNamespace(
    equal=operator.eq, not_equal=operator.ne, greater=operator.gt, greater_equal=operator.ge, less=operator.lt,
    less_equal=operator.le, power=operator.pow, absolute=abs, zeros_like=lambda x: 0, ones_like=lambda x: 1,
    where=choose, sign=lambda x: choose(x > 0, 1, choose(x < 0, -1, x)),
    maximum=write('where(greater({0}, {1}) | ({0} != {0}), {0}, {1})'),
    minimum=write('where(greater({1}, {0}) | ({0} != {0}), {0}, {1})'),
    strong_multiply=write('where({0} == number(0), number(0), {0} * {1})'),
    **{name: write(f'np.{name}({{}})') for name in ('exp', 'log', 'sqrt', 'sin', 'cos', 'tanh')})


def source(rule, reads, name):
    """The text of the scalar kernel that computes `rule` from the parameters `reads`; `number` is np.float32 or np.float64.

    >>> print(source(lambda F, d, z, _x: d * (1 - z * z), ('d', 'z'), 'tanh_derivative'))
    def tanh_derivative(d, z):
        return (d * (number(1) - (z * z)))
    """
    names = rule.__code__.co_varnames[1:rule.__code__.co_argcount]
    text = text_of(rule(F, *map(Symbol, names)))
    if missing := set(re.findall(r'\w+', text)) & set(names) - set(reads):
        raise ValueError(f'{name}: the rule reads {", ".join(sorted(missing))}, which is not in {reads}')
    return f'def {name}({", ".join(reads)}):\n    return {text}'
