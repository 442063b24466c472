"""The operators of Wengert lists: rows of the registry, functions of tapegrad, names from the course.

    half             0.5 x
    mul, dot         the matrix product, or the elementwise product if either operand is a scalar
    hadamard         the elementwise product
    softMax          softmax
    crossEnt, crossEntropy      (p, t) -> -sum(t log p) over the last axis: one loss per row, without the mean
    frobeniusNorm    sqrt(sum(x^2)), with derivative 0 at 0

Nothing here has a derivative of its own: an operator that is not a row is a formula over the vocabulary F, which is run over
arrays for its value, over nodes for its derivative, and over recorded tensors to normalise arguments.
"""

from functools import cache, partial
from inspect import signature

import numpy as np

from tapegrad import functions
from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.primitives import table

ALIASES = {"mul": "dot", "hadamard": "multiply", "softMax": "softmax", "crossEnt": "crossEntropy"}
IN_PLACE = {"setitem"}                  # the function modifies its operand; the row of this name does not
ROW_FIRST = {"logsumexp"}               # the row keeps its axis, with length 1; the function only with keepdims
STATIC = {**dict.fromkeys(("sum", "prod", "mean", "max", "min", "argmax", "argmin"), ("axis", "keepdims")),
          **dict.fromkeys(("var", "std"), ("axis", "ddof", "keepdims"))}    # as in rows; NumPy has dtype=, out= between


def _ndim(x):
    return len(getattr(x, "shape", ()))


def half(F, x):
    return F.multiply(x, 0.5)


def dot(F, x, y):
    return F.multiply(x, y) if _ndim(x) == 0 or _ndim(y) == 0 else F.matmul(x, y)


def frobeniusNorm(F, x):
    squares = F.sum(F.square(x), None, False)
    zero = F.equal(squares, 0)
    return F.where(zero, 0.0, F.sqrt(F.where(zero, 1.0, squares)))


def crossEntropy(F, p, t):
    with np.errstate(divide="ignore", invalid="ignore"):        # 0 log 0 is 0
        return _loss_of_rows(F, p, F.log(p), t)


def cross_entropy_of_scores(F, o, t):
    """crossEntropy(softmax(o), t), accurate also if softmax(o) underflows."""
    with np.errstate(invalid="ignore"):
        return _loss_of_rows(F, o, F.log_softmax(o, _ndim(o) - 1), t)


def _loss_of_rows(F, p, log_p, t):
    if _ndim(p) == 0 or p.shape != getattr(t, "shape", ()):
        raise ShapeError(f"crossEntropy({describe(p)}, {describe(t)}): probabilities and targets must have "
                         "the same shape, with the classes along the last axis")
    return F.negative(F.sum(F.strong_multiply(t, log_p), (_ndim(p) - 1,), False))


COURSE = {formula.__name__: partial(formula, recorded) for formula in (half, dot, frobeniusNorm, crossEntropy)}


def canonical(name):
    """tapegrad's name for a name of the course; other names unchanged."""
    return ALIASES.get(name, name)


def names():
    """The names of all operators, sorted."""
    public = {name for name in vars(functions) if not name.startswith("_") and callable(getattr(functions, name))}
    return sorted(public | set(table) | set(COURSE) | set(ALIASES))


@cache
def _in_order_of_row(name):
    """A function of tensors that takes the row's static arguments by position, and others by keyword."""
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
    """The functions of tensors that a name may mean, in order: the one that normalises its arguments, then the bare row.

    A tape always prints the row, with all its static arguments. For names in ROW_FIRST and IN_PLACE, the function of the same
    name differs, so the row comes first, or is the only one.
    """
    name = canonical(name)
    found = [COURSE.get(name), _in_order_of_row(name) if name in STATIC else
             None if name in IN_PLACE else getattr(functions, name, None),
             getattr(recorded, name, None) if name in table else None]
    found = [function for function in found if callable(function)]
    return found[::-1] if name in ROW_FIRST else found


class Registered:
    """An entry of the tables G and DG."""

    def __init__(self, name):
        self.name = name


def given(user, name):
    """The entry of a user's G or DG for an operator; None if there is none or it is tapegrad's own."""
    if not user or name not in user:
        return None
    found, row = user[name], table.get(canonical(name))
    ours = canonical(found.name) == canonical(name) if isinstance(found, Registered) else row is not None and found is row.g
    return None if ours else found


@cache
def parameters(function):
    """The signature of a function, without annotations; None if it has none."""
    try:
        known = signature(function)
    except (TypeError, ValueError):
        return None
    return known.replace(parameters=[p.replace(annotation=p.empty) for p in known.parameters.values()],
                         return_annotation=known.empty)


def accepts(function, count, keywords):
    """Whether a function can be called with `count` positional arguments and these keywords."""
    known = parameters(function)
    if known is None:
        return True
    try:
        known.bind(*[None] * count, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True
