"""NumPy's functions whose results don't depend smoothly on their operands: tests, roundings, counts and positions.

They are computed from the values of tensors by NumPy's functions of the same names, with their arguments, and give
tensors that are constants, or Python numbers where NumPy does. Raises NumPy's errors, with the operation and the shapes,
and TypeError for an out= that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeAlias

import numpy as np

from tapegrad.core.record import recorded, taken_over, wrap
from tapegrad.core.tape import thread, tracer
from tapegrad.errors import failed_call, refuse_masked
from tapegrad.functions.arguments import constant, like, refuse_out, value
from tapegrad.functions.elementwise import astype
from tapegrad.functions.keywords import explained_error
from tapegrad.functions.shaping import ravel
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import TensorLike

_Constant: TypeAlias = Callable[..., Tensor]
_Test: TypeAlias = Callable[..., bool]


def _plain(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x._value if tracer() is None else x._array
    refuse_masked(x)
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else x


def _wrapped(z: Any) -> Any:
    if isinstance(z, tuple):
        return tuple(map(_wrapped, z))
    return wrap(np.asarray(z), None) if isinstance(z, (np.ndarray, np.generic)) else z


def _failed(function: Callable[..., Any], values: Iterable[Any], error: Exception) -> Exception:
    """The error to raise for that of NumPy's function."""
    better = explained_error(function, error) if isinstance(error, TypeError) else error
    return failed_call(function.__name__, values, error) if better is error else better


_HERE = object()


def _row(function: Callable[..., Any], operands: Any, options: Any, count: int) -> Primitive:
    """function(*operands, **options) as an operation on the tensors among them, of which none is kept."""
    given = [_HERE if isinstance(x, Tensor) else x for x in leaves([operands, options])]
    structure = rebuild([operands, options], iter(given))

    def g(*arrays: Any) -> Any:
        values = iter(arrays)
        args, named = rebuild(structure, iter([next(values) if x is _HERE else x for x in given]))
        return np.asarray(function(*args, **named))

    return Primitive(function.__name__, g, (None,) * count)


def _seen(listener: Any, function: Callable[..., Any], z: Any, operands: Any, options: Any) -> Any:
    """z = function(*operands, **options), which a tracer is to see."""
    tensors = [x for x in leaves([operands, options]) if isinstance(x, Tensor)]
    if isinstance(z, tuple):
        for x in tensors:
            listener.read(x)
    elif tensors:
        row = _row(function, operands, options, len(tensors))
        result = z if isinstance(z, Tensor) else wrap(np.asarray(z), None)
        listener.operation(row, tensors, [x._array for x in tensors], (), result)
        if result is not z:
            listener.read(result)
    return z


def _constant(function: Callable[..., Any], what: str, at: str, given: str) -> Any:
    """NumPy's `function` as one of tensors, whose result is a constant; documented by what it does and an example."""
    name = function.__name__

    @wraps(function, ("__name__",))                     # and its signature
    def op(*operands: Any, **options: Any) -> Any:
        refuse_out(name, options.get("out"))
        if thread.tape.levels:
            tensors = [x for x in leaves([operands, options]) if isinstance(x, Tensor)]
            if (batched := taken_over(tensors)) is not None:
                return batched._operate(_row(function, operands, options, len(tensors)), tensors, ())
        values = _plain(operands)
        try:
            z = _wrapped(function(*values, **{key: _plain(option) for key, option in options.items()}))
        except Exception as error:
            if (listener := tracer()) is not None:
                listener.failed()
            raise _failed(function, values, error) from error
        return z if (listener := tracer()) is None else _seen(listener, function, z, operands, options)

    op.__qualname__ = name
    shown = f"tg.{name}({at})" + ("" if given in ("True", "False") else ".tolist()")
    op.__doc__ = f"{what}: np.{name} of the values, with its arguments. Not differentiable.\n\n>>> {shown}\n{given}\n"
    return op


all: _Constant = _constant(np.all, "Whether all elements (along an axis) are true", "[[1, 0], [1, 1]], 1", "[False, True]")
any: _Constant = _constant(np.any, "Whether any element (along an axis) is true", "[[1, 0], [0, 0]], 1", "[True, False]")
count_nonzero: _Constant = _constant(np.count_nonzero, "The number of elements that are not 0", "[0, 3, 5]", "2")
argsort: _Constant = _constant(np.argsort, "The indices that sort x along an axis", "[3, 1, 2]", "[1, 2, 0]")
argpartition: _Constant = _constant(
    np.argpartition, "Indices with that of the k-th smallest in its place, lesser ones before it", "[2, 1], 0", "[1, 0]")
lexsort: _Constant = _constant(np.lexsort, "The indices that sort by keys, the last one first", "[[1, 2], [5, 4]]", "[1, 0]")
searchsorted: _Constant = _constant(np.searchsorted, "Where to insert v into a, which stays sorted", "[1, 3, 5], 4", "2")
digitize: _Constant = _constant(np.digitize, "The index of the bin of each element", "[0.5, 2.5], [1, 2, 3]", "[0, 2]")
isin: _Constant = _constant(np.isin, "Whether each element is in a list", "[1, 2], [2, 3]", "[False, True]")
nanargmax: _Constant = _constant(np.nanargmax, "The index of the greatest element that is not NaN", "[1.0, np.nan, 3.0]", "2")
nanargmin: _Constant = _constant(np.nanargmin, "The index of the least element that is not NaN", "[np.nan, 3.0, 1.0]", "2")
allclose: _Test = _constant(np.allclose, "Whether isclose holds for all elements", "[1.0, 2.0], [1.0, 2.1]", "False")
array_equal: _Test = _constant(np.array_equal, "Whether two arrays have the same shape and elements", "[1, 2], [1, 2]", "True")
array_equiv: _Test = _constant(
    np.array_equiv, "Whether all elements of two arrays are equal, once broadcast", "[1, 1], 1", "True")
isclose: _Constant = _constant(
    np.isclose, "Whether |a - b| <= atol + rtol |b|, for each element", "[1.0, 2.0], [1.0, 2.1]", "[True, False]")
signbit: _Constant = _constant(np.signbit, "Whether the sign bit of each element is set", "[-1.0, 2.0]", "[True, False]")
isneginf: _Constant = _constant(np.isneginf, "Whether each element is -inf", "[-np.inf, 1]", "[True, False]")
isposinf: _Constant = _constant(np.isposinf, "Whether each element is inf", "[np.inf, 1.0]", "[True, False]")
isreal: _Constant = _constant(np.isreal, "Whether each imaginary part is 0", "[1.0, 1j]", "[True, False]")
iscomplex: _Constant = _constant(np.iscomplex, "Whether each imaginary part is not 0", "[1.0, 1j]", "[False, True]")
logical_xor: _Constant = _constant(
    np.logical_xor, "Whether exactly one of x1 and x2 is true", "[1, 1], [1, 0]", "[False, True]")
bitwise_and: _Constant = _constant(np.bitwise_and, "The bits that are set in both of x1 and x2", "6, 3", "2")
bitwise_or: _Constant = _constant(np.bitwise_or, "The bits that are set in x1 or x2", "6, 3", "7")
bitwise_xor: _Constant = _constant(np.bitwise_xor, "The bits that are set in exactly one of x1 and x2", "6, 3", "5")
invert: _Constant = _constant(np.invert, "The bits of x inverted; -x - 1 for integers", "6", "-7")
left_shift: _Constant = _constant(np.left_shift, "x1 2^x2, of integers", "3, 2", "12")
right_shift: _Constant = _constant(np.right_shift, "x1 / 2^x2, of integers, rounded down", "13, 2", "3")
round: _Constant = _constant(np.round, "x rounded to a number of decimals, halves to even", "[1.25, 2.5]", "[1.0, 2.0]")
gcd: _Constant = _constant(np.gcd, "The greatest common divisor", "12, 18", "6")
lcm: _Constant = _constant(np.lcm, "The least common multiple", "4, 6", "12")
spacing: _Constant = _constant(np.spacing, "The distance from x to the next number", "1.0", "2.220446049250313e-16")
around = round


def nextafter(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """The next number of the dtype from x1 towards x2. Derivative: none; GradientError where an operand requires one.

    >>> tg.nextafter(1.0, 2.0).tolist()
    1.0000000000000002
    """
    # A number has no dtype, and takes that of the other operand.
    operands: list[Any] = [x if type(x) in (int, float) else constant("nextafter", x) for x in (x1, x2)]
    return wrap(np.asarray(np.nextafter(*operands)), None)


@wraps(np.unique, ("__name__",))
def unique(ar: TensorLike, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None, **options: Any) -> Any:
    """The distinct elements, sorted, or the distinct parts along `axis`; and what return_* ask for, as numpy.unique.

    Derivative: d to the first of the equal elements.

    >>> tg.unique([2, 1, 2]).tolist()
    [1, 2]
    >>> tg.grad(lambda x: (tg.unique(x) * [1.0, 10.0]).sum())(np.array([2.0, 1.0, 2.0]))
    array([10.,  1.,  0.])
    """
    try:
        of_values: Any = np.unique
        _, index, *others = of_values(value(ar), True, return_inverse, return_counts, axis, **options)
    except Exception as error:
        raise _failed(np.unique, (value(ar),), error) from error
    before = (slice(None),) * ((axis or 0) % max(like(ar).ndim, 1))
    z = recorded.getitem(ravel(ar) if axis is None else ar, (*before, index))
    results = (z, *_wrapped((index,) * return_index + tuple(others)))
    return results if len(results) > 1 else z


def fix(x: TensorLike, out: None = None) -> Tensor:
    """The nearest integers towards 0, as np.trunc, which np.fix is deprecated for. Not differentiable.

    >>> tg.fix([-1.5, 1.5]).tolist()
    [-1.0, 1.0]
    """
    refuse_out("fix", out)
    return wrap(np.asarray(np.trunc(value(x))), None)


def bincount(x: TensorLike, /, weights: TensorLike | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, .. comes in the integers x, or the sum of its weights. Derivative to weights: d[x].

    >>> tg.bincount([0, 2, 2]).tolist()
    [1, 0, 2]
    >>> tg.bincount([0, 2, 2], [0.5, 1.0, 2.0])
    tensor([0.5, 0. , 3. ])
    """
    counts = np.bincount(value(x), minlength=minlength)
    if weights is None:
        return wrap(counts, None)
    weights, places = astype(weights, np.float64), value(x).copy()
    if weights.shape != places.shape:
        weights = recorded.broadcast_to(weights, places.shape)
    return recorded.scatter(weights, places, counts.shape)
