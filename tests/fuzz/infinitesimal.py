"""Numbers with infinitesimals: exact derivatives of any order, forwards, from nothing but sums and products.

A `Number` is the sum over S of parts[S] * product of e_i for i in S, where e_i * e_i = 0. S is a set of infinitesimals, written
as the bits of an int; parts[0] is the value. A linear function acts on every part by itself; of a product, the part of S is the
sum over all splits of S in two; a smooth function is its Taylor series, which ends, for a sum of infinitesimals is nilpotent.
What a function chooses (max, where, sort), it chooses by the value.
"""

from math import factorial

import numpy as np

CLOSE = 1e-4


class Undefined(Exception):
    """The derivative depends on rounding, or the programs' rules say nothing about it: no such program is made."""


class Number:
    """parts: {bits: array}, all of the shape of parts[0]; parts that are not there are zero."""

    __slots__ = ("parts",)
    __array_ufunc__ = None

    def __init__(self, parts):
        self.parts = parts

    @property
    def value(self):
        return self.parts[0]

    @property
    def shape(self):
        return self.parts[0].shape

    def __add__(self, other):
        other = number(other)
        found = {0: self.value + other.value}
        for s in self.parts.keys() | other.parts.keys():
            if s:
                part = self.parts[s] if s not in other.parts else (
                    other.parts[s] if s not in self.parts else self.parts[s] + other.parts[s])
                found[s] = part if part.shape == found[0].shape else np.broadcast_to(part, found[0].shape)
        return Number(found)

    def __mul__(self, other):
        return product(np.multiply, self, other)

    def __neg__(self):
        return linear(np.negative, self)

    def __sub__(self, other):
        return self + -number(other)

    def __rsub__(self, other):
        return number(other) - self

    def __truediv__(self, other):
        return self * power(number(other), -1)

    __radd__, __rmul__ = __add__, __mul__


def number(x):
    return x if isinstance(x, Number) else Number({0: np.asarray(x, float)})


def linear(f, x):
    return Number({s: np.asarray(f(part)) for s, part in number(x).parts.items()})


def product(f, x, y):
    """A function that is linear in each of two arguments."""
    if not isinstance(y, Number):
        y = np.asarray(y, float)
        return Number({s: np.asarray(f(u, y)) for s, u in number(x).parts.items()})
    found = {}
    for s, u in number(x).parts.items():
        for t, v in number(y).parts.items():
            if not s & t:
                found[s | t] = found[s | t] + f(u, v) if s | t in found else np.asarray(f(u, v))
    return Number(found)


def joined(f, xs):
    """A function that is linear in a list of arguments together."""
    xs = [number(x) for x in xs]
    return Number({s: f([x.parts[s] if s in x.parts else np.zeros(x.shape) for x in xs])
                   for s in set().union(*[x.parts for x in xs])})


def smooth(derivative, x):
    """f(x), where derivative(n, value) is the n-th derivative of f."""
    if len(x.parts) <= 2:                               # the series as below, for one infinitesimal
        slope = derivative(1, x.value) if len(x.parts) == 2 else None
        return Number({s: slope * part if s else np.asarray(derivative(0, part)) for s, part in x.parts.items()})
    rest = Number({**x.parts, 0: np.zeros(x.shape)})
    term, found = number(np.ones(x.shape)), number(derivative(0, x.value))
    for n in range(1, max(x.parts).bit_length() + 1):
        term = term * rest
        found = found + term * (derivative(n, x.value) / factorial(n))
    return found


def sin(x):
    return smooth(lambda n, v: np.sin(v + n * np.pi / 2), x)


def exp(x):
    return smooth(lambda n, v: np.exp(v), x)


def log(x):
    positive(x.value)
    return smooth(lambda n, v: np.log(v) if n == 0 else (-1.0) ** (n - 1) * factorial(n - 1) / v ** n, x)


def power(x, p):
    if p != int(p) or p < 0:
        positive(x.value if p != int(p) else abs(x.value))

    def derivative(n, v):
        factors = np.prod([p - k for k in range(n)])
        return np.zeros(v.shape) if factors == 0 else factors * np.power(v, float(p - n))

    return smooth(derivative, x)


def sqrt(x):
    return power(x, 0.5)


def sigmoid(x):
    return power(exp(-x) + 1, -1)


def tanh(x):
    return sigmoid(x * 2) * 2 - 1


def positive(value):
    if np.any(value < 0.1):
        raise Undefined("near the end of a domain")


def apart(x, y, ties=False):
    """Undefined if elements are close to each other, or the same, unless ties have a convention."""
    distance = abs(x - y)
    if np.any((distance < CLOSE) & ~((distance == 0) & ties)):
        raise Undefined("elements that are close to each other")


def where(mask, x, y):
    return number(x) * np.asarray(mask, float) + number(y) * (1.0 - np.asarray(mask, float))


def absolute(x):
    apart(x.value, 0.0, ties=True)
    return x * np.sign(x.value)


def relu(x):
    apart(x.value, 0.0, ties=True)
    return x * (x.value > 0)


def maximum(x, y):
    x, y = number(x), number(y)
    apart(x.value, y.value, ties=True)
    share = np.where(x.value == y.value, 0.5, x.value > y.value)
    return x * share + y * (1 - share)


def total(x, axis=None, keepdims=False):
    return linear(lambda v: v.sum(axis, keepdims=keepdims), x)


def mean(x, axis=None, keepdims=False):
    return linear(lambda v: v.mean(axis, keepdims=keepdims), x)


def greatest(x, axis=None):
    """max over an axis; elements that tie share evenly."""
    top = x.value.max(axis, keepdims=True)
    apart(x.value, top, ties=True)
    chosen = x.value == top
    return total(x * (chosen / chosen.sum(axis, keepdims=True)), axis)


def variance(x, axis=None, ddof=0):
    away = x - mean(x, axis, True)
    n = x.value.size if axis is None else x.shape[axis]
    if n <= ddof:
        raise Undefined("the variance of one element")
    return total(away * away, axis) * (1.0 / (n - ddof))


def cumprod(x, axis):
    pieces = [linear(lambda v, i=i: np.take(v, [i], axis), x) for i in range(x.shape[axis])]
    for i in range(1, len(pieces)):
        pieces[i] = pieces[i] * pieces[i - 1]
    return joined(lambda vs: np.concatenate(vs, axis), pieces)


def prod(x, axis):
    return linear(lambda v: np.take(v, -1, axis), cumprod(x, axis))


def softmax(x, axis):
    e = exp(x)
    return e / total(e, axis, True)


def sort(x, axis):
    order = np.argsort(x.value, axis)
    ranked = np.take_along_axis(x.value, order, axis)
    apart(np.diff(ranked, axis=axis), 0.0)
    return linear(lambda v: np.take_along_axis(v, order, axis), x)


def assigned(x, index, y):
    """x with y at the index."""
    def put(x, y):
        x = np.array(x)
        try:
            x[index] = y
        except TypeError as error:
            raise ValueError(*error.args) from None
        return x

    return joined(lambda pair: put(*pair), [x, y])
