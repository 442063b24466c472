"""The two things that autograd's other operators are made of, make_vjp and make_jvp, and how a primitive gets derivatives.

Derivatives by complex numbers are autograd's: the gradient of a real L by x is dL/dRe x - i dL/dIm x, the conjugate of what
tapegrad gives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from tapegrad.compat.autograd.arguments import func, subval
from tapegrad.compat.autograd.tracer import Function, conjugated, isbox, plain, primitive_jvps, primitive_vjps, transposed_jvps
from tapegrad.compat.autograd.tracer import primitive as _primitive
from tapegrad.compat.autograd.vspaces import SparseObject, VSpace, vspace
from tapegrad.compat.autograd.wrap_util import get_name, wraps
from tapegrad.errors import describe
from tapegrad.functions.tensor import Tensor
from tapegrad.transforms import functional
from tapegrad.transforms.implicit import kept
from tapegrad.tree import leaves, rebuild

__all__ = ["SparseObject", "VSpace", "def_linear", "defjvp", "defjvp_argnum", "defjvp_argnums", "defvjp", "defvjp_argnum",
           "defvjp_argnums", "func", "make_jvp", "make_vjp", "primitive", "primitive_jvps", "primitive_vjps", "vspace"]


class Output:
    """The function of tensors that a user's is, and what it returned: as tensors, or, where none is traced, as it is.

    operator   the name of an operator that takes functions with real values only: TypeError for others
    scalar     whether the value has to be a single number
    """

    def __init__(self, fun: Function, operator: str | None = None, scalar: bool = False) -> None:
        self.fun, self.operator, self.scalar, self.value, self.traced = fun, operator, scalar, None, False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        z = self.fun(*args, **kwargs)
        if type(z) is Tensor and z._register is not None:
            self.traced = True
            if self.operator is not None and ((array := z._array).dtype.kind != "f" or self.scalar and array.size != 1):
                self._refuse(z)
            return z
        if self.operator is not None and (np.iscomplexobj(z) or vspace(z).size != 1 and self.scalar):
            self._refuse(z)
        found = leaves(z)
        self.traced = any(map(isbox, found))
        if not self.traced:
            warnings.warn("Output seems independent of input.", stacklevel=7)
            self.value = z
            return Tensor(0.0)
        return rebuild(z, iter([x if isinstance(x, Tensor) else Tensor(x) for x in found]))

    def _refuse(self, z: Any) -> None:
        wanted = "a single real number" if self.scalar else "real numbers"
        raise TypeError(f"{self.operator} takes functions that return {wanted}, and {get_name(self.fun)} returned {describe(z)}"
                        "; use jacobian, elementwise_grad or holomorphic_grad")


def floats(x: Any) -> Any:
    """An argument to differentiate by: arrays of integers as floats."""
    if type(x) is np.ndarray:
        return x if x.dtype.kind in "fc" else x.astype(float)
    if isinstance(x, (dict, list, tuple)):
        return rebuild(x, iter(list(map(floats, leaves(x)))))
    return x


def make_vjp(fun: Function, x: Any) -> tuple[Function, Any]:
    """(vjp, fun(x)), where vjp(g) is g times the derivative of fun at x; it may be called several times.

    >>> vjp, value = tg.compat.autograd.core.make_vjp(lambda x: x ** 2, np.array([1.0, 2.0]))
    >>> value, vjp(np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """
    output = Output(fun)
    value, pullback = functional.vjp(output, floats(x))
    if not output.traced:
        space = vspace(x)
        return lambda g: space.zeros(), plain(output.value)
    return lambda g: plain(conjugated(pullback(conjugated(g))[0])), plain(value)


def make_jvp(fun: Function, x: Any) -> Function:
    """The function jvp(g) = (fun(x), the derivative of fun at x in the direction g).

    >>> tg.compat.autograd.core.make_jvp(lambda x: x ** 2, 3.0)(1.0)
    (np.float64(9.0), np.float64(6.0))
    """
    at = kept(floats(x))

    def jvp(g: Any) -> tuple[Any, Any]:
        output = Output(fun)
        value, tangent = functional.jvp(output, (at,), (g,))
        if not output.traced:
            value = plain(output.value)
            return value, vspace(value).zeros()
        return plain(value), plain(tangent)

    return jvp


# Derivatives of primitives

def defvjp_argnums(fun: Any, vjpmaker: Function) -> None:
    """vjpmaker(argnums, ans, args, kwargs) gives g -> the vjps for all of these arguments.

    >>> f = primitive(lambda x, y: x * y)
    >>> defvjp_argnums(f, lambda argnums, ans, args, kwargs: lambda g: [g * args[1 - i] for i in argnums])
    >>> tg.compat.autograd.grad(f, 1)(2.0, 3.0)
    np.float64(2.0)
    """
    primitive_vjps[fun] = vjpmaker


def defvjp_argnum(fun: Any, vjpmaker: Function) -> None:
    """vjpmaker(argnum, ans, args, kwargs) gives g -> the vjp for one argument.

    >>> f = primitive(lambda x, y: x * y)
    >>> defvjp_argnum(f, lambda argnum, ans, args, kwargs: lambda g: g * args[1 - argnum])
    >>> tg.compat.autograd.grad(f)(2.0, 3.0)
    np.float64(3.0)
    """
    def of_all(argnums: Sequence[int], *call: Any) -> Function:
        vjps = [vjpmaker(i, *call) for i in argnums]
        return lambda g: [vjp(g) for vjp in vjps]

    defvjp_argnums(fun, of_all)


def defvjp(fun: Any, *vjpmakers: Function | None, argnums: Sequence[int] | None = None) -> None:
    """Give a primitive derivatives: a vjpmaker(ans, *args, **kwargs) for each argument, which gives g -> its vjp.

    fun       made by primitive
    vjpmakers None where the derivative is 0
    argnums   the positions of the arguments; by default the first ones

    TypeError for a maker that is no function.

    >>> logsumexp = primitive(lambda x: np.log(np.sum(np.exp(x))))
    >>> defvjp(logsumexp, lambda ans, x: lambda g: g * np.exp(x - ans))
    >>> tg.compat.autograd.grad(logsumexp)(np.zeros(2))
    array([0.5, 0.5])
    """
    makers = dict(zip(count() if argnums is None else argnums, vjpmakers))
    for i, maker in makers.items():
        if maker is not None and not callable(maker):
            raise TypeError(f"defvjp: {maker!r} as the vjp of argument {i} of {fun.__name__}; expected a function or None")

    def of_all(argnums: Sequence[int], ans: Any, args: Any, kwargs: dict[str, Any]) -> Function:
        vjps = [None if (maker := makers[i]) is None else maker(ans, *args, **kwargs) for i in argnums]
        return lambda g: [None if vjp is None else vjp(g) for vjp in vjps]

    of_all.argnums = frozenset(makers)                  # type: ignore[attr-defined]
    defvjp_argnums(fun, of_all)


def defjvp_argnums(fun: Any, jvpmaker: Function) -> None:
    """jvpmaker(argnums, gs, ans, args, kwargs) gives the tangent of ans for the tangents gs of these arguments.

    A primitive that has no vjp gets it from this, which is linear in gs: so it is to be made of functions with derivatives.

    >>> f = primitive(lambda x, y: x * y)
    >>> defjvp_argnums(f, lambda argnums, gs, ans, args, kwargs: sum(g * args[1 - i] for i, g in zip(argnums, gs)))
    >>> tg.compat.autograd.make_jvp(f)(2.0, 3.0)(1.0)
    (np.float64(6.0), np.float64(3.0))
    """
    def transposed(argnums: Sequence[int], ans: Any, args: Any, kwargs: dict[str, Any]) -> Function:
        zeros = tuple([vspace(args[i]).zeros() for i in argnums])
        return make_vjp(lambda gs: jvpmaker(argnums, gs, ans, args, kwargs), zeros)[0]

    primitive_jvps[fun] = jvpmaker
    transposed_jvps[fun] = transposed


def _by_basis(fun: Any, i: int, ans: Any, args: Any, kwargs: dict[str, Any]) -> Function:
    """The vjp of a function that is linear in the argument i, from its values at a basis."""
    space, values = vspace(args[i]), vspace(ans)

    def vjp(g: Any) -> Any:
        found = space.zeros()
        for e in space.standard_basis():
            length = values.inner_prod(values.covector(g), fun(*subval(args, i, e), **kwargs))
            found = space.add(found, space.scalar_mul(e, length))
        return space.covector(found)

    return vjp


def defjvp_argnum(fun: Any, jvpmaker: Function) -> None:
    """jvpmaker(argnum, g, ans, args, kwargs) gives the tangent of ans for the tangent g of one argument.

    >>> f = primitive(lambda x, y: x * y)
    >>> defjvp_argnum(f, lambda argnum, g, ans, args, kwargs: g * args[1 - argnum])
    >>> tg.compat.autograd.grad(f, 1)(2.0, 3.0)
    np.float64(2.0)
    """
    def of_all(argnums: Sequence[int], gs: Sequence[Any], *call: Any) -> Any:
        first, *others = [jvpmaker(i, g, *call) for i, g in zip(argnums, gs)]
        for other in others:
            first = vspace(first).add(first, other)
        return first

    defjvp_argnums(fun, of_all)


def defjvp(fun: Any, *jvpfuns: Function | str | None, argnums: Sequence[int] | None = None) -> None:
    """Give a primitive forward derivatives: a jvp(g, ans, *args, **kwargs) for each argument.

    "same" stands for a function that is linear in the argument, None for the derivative 0. Where there is a vjp, too, that is
    what is used, for derivatives in a direction as well. One that is linear, without a vjp, gets it from its values at a
    basis: as many calls as the argument has elements.

    TypeError for what is none of these.

    >>> f = primitive(lambda x, y: np.sin(x) + y)
    >>> defjvp(f, lambda g, ans, x, y: g * tg.cos(x), None)
    >>> tg.compat.autograd.grad(f)(0.0, 1.0)
    np.float64(1.0)
    """
    found = dict(zip(count() if argnums is None else argnums, jvpfuns))
    for i, f in found.items():
        if f is not None and f != "same" and not callable(f):
            raise TypeError(f"defjvp: {f!r} as the jvp of argument {i} of {fun.__name__}; expected a function, 'same' or None")

    def jvpmaker(i: int, g: Any, ans: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        f = found[i]
        if f is None:
            return vspace(ans).zeros()
        return fun(*subval(args, i, g), **kwargs) if f == "same" else f(g, ans, *args, **kwargs)    # type: ignore[operator]

    def transposed(argnums: Sequence[int], ans: Any, args: Any, kwargs: dict[str, Any]) -> Function:
        vjps = [_by_basis(fun, i, ans, args, kwargs) if found[i] == "same" else
                make_vjp(lambda g, i=i: jvpmaker(i, g, ans, args, kwargs), vspace(args[i]).zeros())[0] for i in argnums]
        return lambda g: [vjp(g) for vjp in vjps]

    defjvp_argnum(fun, jvpmaker)
    transposed.argnums = frozenset(found)               # type: ignore[attr-defined]
    transposed_jvps[fun] = transposed


def def_linear(fun: Any) -> None:
    """A primitive is linear in each of its arguments.

    >>> twice = primitive(lambda x: 2.0 * x)
    >>> def_linear(twice)
    >>> tg.compat.autograd.grad(twice)(3.0)
    np.float64(2.0)
    """
    def transposed(argnums: Sequence[int], ans: Any, args: Any, kwargs: dict[str, Any]) -> Function:
        vjps = [_by_basis(fun, i, ans, args, kwargs) for i in argnums]
        return lambda g: [vjp(g) for vjp in vjps]

    defjvp_argnum(fun, lambda i, g, ans, args, kwargs: fun(*subval(args, i, g), **kwargs))
    transposed_jvps[fun] = transposed


# The way of autograd 1.1, which it still takes

def primitive(f_raw: Function) -> Function:
    """A primitive with autograd 1.1's methods, too: f.defvjp(vjp, argnum), f.defgrad and f.defvjp_is_zero(argnums)."""
    f: Any = _primitive(f_raw)
    makers: dict[int, Function | None] = {}

    def define(argnum: int, maker: Function | None) -> None:
        makers[argnum] = maker
        defvjp(f, *makers.values(), argnums=list(makers))

    @wraps(defvjp)
    def old_defvjp(vjp: Function, argnum: int = 0) -> None:
        define(argnum, lambda ans, *args, **kwargs: lambda g: vjp(g, ans, vspace(args[argnum]), vspace(g), *args, **kwargs))

    def defvjp_is_zero(argnums: Sequence[int] = (0,)) -> None:
        for i in argnums:
            define(i, None)

    f.defvjp, f.defvjp_is_zero = _deprecated(old_defvjp), _deprecated(defvjp_is_zero)
    f.defgrad = _deprecated(lambda maker, argnum=0: define(argnum, maker))
    return f                                            # type: ignore[no-any-return]


def _deprecated(method: Callable[..., None]) -> Callable[..., None]:
    def told(*args: Any, **kwargs: Any) -> None:
        warnings.warn("methods of a primitive that define derivatives are deprecated in autograd; use autograd.extend.defvjp",
                      stacklevel=2)
        method(*args, **kwargs)

    return told
