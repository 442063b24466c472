"""New primitives by users: a function of arrays, and a derivative per argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

import numpy as np

from tapegrad.core.record import general, recorded, recorder
from tapegrad.core.refcount import owned
from tapegrad.core.tape import thread
from tapegrad.core.tensor import to_read
from tapegrad.errors import GradientError, ShapeError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.kernels import elementwise as kernels
from tapegrad.primitives import Primitive, add_row, arrays, table
from tapegrad.transforms.gradient_check import gradcheck
from tapegrad.transforms.runs import snapshot
from tapegrad.tree import leaves, rebuild

users: set[str] = set()                                 # the names of the primitives that users made


class _Keywords(dict[str, Any]):
    """Keyword arguments, on the tape as the last static argument."""


def _call(f: Callable[..., Any], *args: Any) -> Any:
    args = tuple([rebuild(x, iter([to_read(leaf) for leaf in leaves(x)])) if isinstance(x, (dict, list, tuple)) else to_read(x)
                  for x in args])
    return f(*args[:-1], **args[-1]) if args and type(args[-1]) is _Keywords else f(*args)


def _computed(g: Callable[..., Any], *args: Any) -> Any:
    """What a user's function computes, as an array that is the tape's alone."""
    z = owned(_call(g, *args))
    return owned(z._value) if isinstance(z, Tensor) else z


def _rule(dfun: Callable[..., Any] | None, name: str, i: int) -> Callable[..., Any] | None:
    """A user's derivative as a rule: whatever it returns is an array in a sweep over arrays, a tensor in a recorded one."""
    def rule(F: Any, d: Any, z: Any, *args: Any) -> Any:
        c = _call(dfun, d, z, *args)                    # type: ignore[arg-type]
        if c is None:
            return None
        if not isinstance(c, Tensor):
            c = np.asarray(owned(c))
        shape = np.shape(getattr(args[i], "_array", args[i]))
        whole: Any = _broadcast(c.shape, shape)
        if c.dtype.kind not in "biufc" or whole not in (shape, d.shape):
            raise ShapeError(f"{name}: the derivative of argument {i} returned {describe(c)} for an argument of shape {shape}; "
                             "return a contribution of its shape or of the result's, or one that broadcasts to it")
        if c.shape != whole:
            c = c + np.zeros(whole, c.dtype)
        if F is arrays:
            return owned(c._value) if isinstance(c, Tensor) else c
        return c if isinstance(c, Tensor) else Tensor(c)

    return None if dfun is None else rule


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(one, other)
    except ValueError:
        return None


def _constants(name: str, tree: Any) -> Any:
    """Arguments without a derivative, as the tape keeps them."""
    for x in leaves(tree):
        if isinstance(x, Tensor) and x.requires_grad and thread.tape.recording:
            raise GradientError(f"{name}: an argument without a derivative is {describe(x)}, which requires a gradient that "
                                "would be lost; give @primitive a derivative for it, or pass it .detach()ed")
    return snapshot(tree)


class _Elementwise:
    """A function of numbers, applied to arrays element by element: a numba ufunc, compiled at the first call."""

    def __init__(self, function: Callable[..., Any], arity: int) -> None:
        self.function, self.arity = function, arity
        self.ufunc: Callable[..., Any] | None = None

    def __call__(self, *xs: Any) -> Any:
        if self.ufunc is None:
            self.ufunc = kernels.of_function(self.function, self.arity) or self._plain
        try:
            return self.ufunc(*xs)
        except RuntimeError:
            return self._plain(*xs)                     # which raises the function's own exception

    def _plain(self, *xs: Any) -> Any:
        return np.vectorize(self.function, otypes=[np.float64])(*xs).astype(np.result_type(*xs, np.float32))


class UserPrimitive:
    """A function of arrays that records: what `primitive` makes.

    Called with tensors or arrays, it computes the function and puts one entry on the tape. Arguments beyond those that
    have a derivative, and keyword arguments, are passed on to the function and to the derivatives as they are.
    """

    __name__: str

    def __init__(self, g: Callable[..., Any], derivatives: Sequence[Callable[..., Any] | None], name: str | None = None,
                 scalar: bool = False) -> None:
        name = name or g.__name__
        if name in table and name not in users:
            raise ValueError(f"primitive: there is a primitive {name!r} already; give this one another name")
        users.add(name)
        update_wrapper(self, g)
        arity = len(derivatives)
        operator = _Elementwise(g, arity) if scalar else partial(_computed, g)
        self.row = Primitive(name, operator, tuple([_rule(dfun, name, i) for i, dfun in enumerate(derivatives)]),
                             drops=True)
        if scalar:
            compiled = [None if dfun is None else _Elementwise(dfun, arity + 2) for dfun in derivatives]
            self.row.fast(rules=[None if dfun is None else lambda F, d, z, *xs, dfun=dfun: dfun(d, z, *xs)
                                 for dfun in compiled])
        add_row(self.row)
        self._record = recorder(self.row)
        setattr(recorded, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        arity: Any = self.row.arity
        if len(args) == arity and not kwargs:
            z: Tensor = self._record(*args)
        elif len(args) < arity:
            raise TypeError(f"{self.row.name}: {len(args)} arguments given, {arity} have a derivative")
        else:
            static = *args[arity:], *([_Keywords(kwargs)] if kwargs else [])
            z = general(self.row, args[:arity], _constants(self.row.name, static) if static else ())
        return z

    def __repr__(self) -> str:
        return f"<primitive {self.row.name}>"


def primitive(*derivatives: Callable[..., Any] | None, name: str | None = None, check: Sequence[Any] | None = None,
              scalar: bool = False) -> Callable[[Callable[..., Any]], UserPrimitive]:
    """Make a function of arrays a primitive, with one derivative per argument.

        @tg.primitive(lambda delta, out, x: delta * 3 * x ** 2)
        def cube(x):
            return x ** 3

    derivatives   dfun(delta, out, *args) -> the contribution to the argument's delta, an array, tensor or number, or None
                  where there is none. Written with operators, NumPy's ufuncs or tapegrad's functions, it can be
                  differentiated itself. Arguments beyond those with a derivative, and keyword arguments, are copied.
                  All arrays that it gets, and those that the function gets, are read-only
    name          its name on the tape; by default the function's
    check         arguments, as a tuple, to run gradcheck on at once
    scalar        the function and its derivatives are formulas of numbers, with if, loops and math's functions as you like:
                  numba kernels of float32 and float64 are made of them. A derivative that is to be differentiated in turn
                  must do with operators and functions that know tensors.

    The primitive raises GradientError for an argument without a derivative that requires a gradient, ShapeError where what a
    derivative returns fits neither the argument nor the result.

    Raises ValueError if the name is that of one of tapegrad's own primitives, TypeError without derivatives, GradcheckError
    if the check fails.

    >>> @tg.primitive(lambda delta, out, x: delta * 3 * x ** 2, check=(np.array([0.5, -1.0]),))
    ... def cube(x):
    ...     return x ** 3
    >>> cube(np.array([1.0, 2.0]))
    tensor([1., 8.])
    >>> tg.grad(lambda x: cube(x).sum())(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    def decorate(g: Callable[..., Any]) -> UserPrimitive:
        if not callable(g):
            raise TypeError("primitive: it takes the derivatives first, @primitive(dfun, ..), and is then put on the function")
        made = UserPrimitive(g, derivatives, name, scalar)
        if check is not None:
            gradcheck(made, *check)
        return made

    if not derivatives:
        raise TypeError("primitive: give one derivative per argument, dfun(delta, out, *args): @primitive(dfun, ..)")
    return decorate
