"""What the names of operators in a Wengert list mean: rows of the registry, functions of tapegrad, names of the course.

    half             0.5 x
    mul, dot         the matrix product, or the product where either is a scalar
    hadamard         multiply, element by element
    softMax          softmax
    crossEnt, crossEntropy      (p, t) -> -sum(t log p) over the last axis: one loss per row, whose mean is to be taken
    frobeniusNorm    sqrt(sum(x^2)), with derivative 0 at 0

Nothing here has a derivative of its own: what is no row is a composition of recorded functions.
"""

from functools import cache
from inspect import signature

import numpy as np

from tapegrad import functions
from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions import equal, log, log_softmax, matmul, multiply, negative, sqrt, square, sum, where
from tapegrad.functions.arguments import value
from tapegrad.primitives import table

ALIASES = {"mul": "dot", "hadamard": "multiply", "softMax": "softmax", "crossEnt": "crossEntropy"}
IN_PLACE = {"setitem"}                  # the function changes its operand; the row of this name does not
ROW_FIRST = {"logsumexp"}               # the row keeps its axis, as length 1; the function does so only if told
STATIC = {**dict.fromkeys(("sum", "prod", "mean", "max", "min", "argmax", "argmin"), ("axis", "keepdims")),
          **dict.fromkeys(("var", "std"), ("axis", "ddof", "keepdims"))}    # of rows; NumPy puts dtype= and out= between them


def half(x):
    return multiply(x, 0.5)


def dot(x, y):
    return multiply(x, y) if np.ndim(value(x)) == 0 or np.ndim(value(y)) == 0 else matmul(x, y)


def frobeniusNorm(x):
    squares = sum(square(x))
    zero = equal(squares, 0)
    return where(zero, 0.0, sqrt(where(zero, 1.0, squares)))


def crossEntropy(p, t):
    with np.errstate(divide="ignore", invalid="ignore"):        # 0 log 0 is 0
        return _loss_of_rows(p, log(p), t)


def cross_entropy_of_scores(o, t):
    """crossEntropy(softmax(o), t), right also where softmax(o) has no digit left."""
    with np.errstate(invalid="ignore"):
        return _loss_of_rows(o, log_softmax(o), t)


def _loss_of_rows(p, log_p, t):
    if np.shape(value(p)) != np.shape(value(t)) or np.ndim(value(p)) == 0:
        raise ShapeError(f"crossEntropy({describe(value(p))}, {describe(value(t))}): probabilities and targets need one "
                         "and the same shape, whose last axis is the classes")
    return negative(sum(recorded.strong_multiply(t, log_p), axis=-1))


COURSE = {function.__name__: function for function in (half, dot, frobeniusNorm, crossEntropy)}


def canonical(name):
    """The name of tapegrad for a name of the course; other names as they are."""
    return ALIASES.get(name, name)


def names():
    """All names of operators, sorted."""
    public = {name for name in vars(functions) if not name.startswith("_") and callable(getattr(functions, name))}
    return sorted(public | set(table) | set(COURSE) | set(ALIASES))


@cache
def _in_order_of_row(name):
    """A function of tensors that takes what its row has by position, and the rest by name."""
    function, order = getattr(functions, name), STATIC[name]

    def called(x, *static, **options):
        return function(x, **dict(zip(order, static)), **options)

    known = signature(function)
    operand, *rest = known.parameters.values()
    called.__signature__ = known.replace(parameters=[
        operand, *[known.parameters[key].replace(kind=operand.kind) for key in order],
        *[parameter.replace(kind=operand.KEYWORD_ONLY) for parameter in rest if parameter.name not in order]])
    return called


def candidates(name):
    """The functions of tensors that a name may mean: the one that puts its arguments in order, then the bare row.

    What a tape prints is always the row, with all its static arguments. Where the function of the same name is another, it
    has to stand back.
    """
    name = canonical(name)
    found = [COURSE.get(name), _in_order_of_row(name) if name in STATIC else
             None if name in IN_PLACE else getattr(functions, name, None),
             getattr(recorded, name, None) if name in table else None]
    found = [function for function in found if callable(function)]
    return found[::-1] if name in ROW_FIRST else found


class Registered:
    """What the tables G and DG hand out for a name."""

    def __init__(self, name):
        self.name = name


def given(user, name):
    """What a user's G or DG has for an operator, or None where it has nothing but what tapegrad's own has."""
    if not user or name not in user:
        return None
    found, row = user[name], table.get(canonical(name))
    ours = canonical(found.name) == canonical(name) if isinstance(found, Registered) else row is not None and found is row.g
    return None if ours else found


@cache
def parameters(function):
    """The signature of a function, without types, or None where it has none that can be read."""
    try:
        known = signature(function)
    except (TypeError, ValueError):
        return None
    return known.replace(parameters=[p.replace(annotation=p.empty) for p in known.parameters.values()],
                         return_annotation=known.empty)


def accepts(function, count, keywords):
    """Whether a function can be called with `count` arguments and these keywords."""
    known = parameters(function)
    if known is None:
        return True
    try:
        known.bind(*[None] * count, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True
