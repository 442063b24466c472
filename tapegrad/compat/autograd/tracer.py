"""What autograd calls boxes are tensors here: which are traced, what they hold, and functions that are not looked into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.compat.autograd.tracing import Listener, Node, trace
from tapegrad.compat.autograd.vspaces import SparseObject
from tapegrad.compat.autograd.wrap_util import wraps
from tapegrad.core.tape import listening, thread, tracer
from tapegrad.core.tensor import to_read
from tapegrad.errors import GradientError, ShapeError, describe
from tapegrad.functions.complex_parts import conj
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives.registry import LINEAR
from tapegrad.transforms.implicit import filled, kept, recorded_value
from tapegrad.tree import leaves, rebuild

__all__ = ["Box", "Node", "getval", "isbox", "notrace_primitive", "primitive", "register_notrace", "trace"]

Function = Callable[..., Any]
Box = Tensor
primitive_vjps: dict[Any, Function] = {}                # of a primitive: (argnums, ans, args, kwargs) -> (g -> its vjps)
primitive_jvps: dict[Any, Function] = {}                # (argnums, gs, ans, args, kwargs) -> the tangent of ans
transposed_jvps: dict[Any, Function] = {}               # what primitive_vjps holds, made of the jvps


def isbox(x: Any) -> bool:
    """Whether x is a tensor that is being differentiated by."""
    return isinstance(x, Tensor) and x._register is not None


def getval(x: Any) -> Any:
    """The value of a tensor, an array or a number; anything else as it is."""
    return _number(x.detach().data) if isinstance(x, Tensor) else x


def plain(tree: Any) -> Any:
    """A structure as autograd gives it to users: arrays and numbers, and tensors where they are being differentiated by."""
    if type(tree) is np.ndarray:
        return _number(tree)
    return rebuild(tree, iter([leaf if isbox(leaf) else _number(getval(leaf)) for leaf in leaves(tree)]))


def _number(x: Any) -> Any:
    return x[()] if type(x) is np.ndarray and x.ndim == 0 else x


def _told(listener: Listener, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The value of a primitive for a trace, which needs no derivative of it."""
    z = Tensor(f.fun(*map(values, args), **kwargs), requires_grad=True)
    listener.add(getval(z), f, args, kwargs, z._array)
    return z


def _to_read(tree: Any) -> Any:
    """A structure for a user's vjp, which may not write into what the tape reads again."""
    if isinstance(tree, (np.ndarray, Tensor)):
        return _protected(tree)
    return rebuild(tree, iter([_protected(leaf) for leaf in leaves(tree)]))


def _protected(x: Any) -> Any:
    """An array or a tensor that cannot be written into; of an array without axes the number."""
    return x[()] if type(x) is np.ndarray and x.ndim == 0 else to_read(x)


def conjugated(tree: Any) -> Any:
    """The complex conjugates of a structure's leaves: autograd's derivative by a complex number is that of tapegrad's."""
    if isinstance(tree, (np.ndarray, np.generic)) and tree.dtype.kind != "c":
        return tree
    found = leaves(tree)
    if not any([np.iscomplexobj(x) for x in found]):
        return tree
    return rebuild(tree, iter([conj(x) if isinstance(x, Tensor) else np.conj(x) for x in found]))


def _read(x: Any) -> Any:
    """The value of an argument, to be read and not written to."""
    return _protected(x._value) if isinstance(x, Tensor) else x


def values(x: Any) -> Any:
    """An argument with the values of its tensors, for a function of arrays."""
    if type(x) is Tensor:
        return _protected(x._value)
    return rebuild(x, iter([_read(leaf) for leaf in leaves(x)])) if isinstance(x, (dict, list, tuple)) else _read(x)


def _traced(x: Any) -> bool:
    if type(x) is Tensor:
        return x._register is not None
    return any([isbox(leaf) for leaf in leaves(x)]) if isinstance(x, (dict, list, tuple)) else isbox(x)


def primitive(f_raw: Function) -> Function:
    """A function of arrays that is not looked into: defvjp, or defjvp, says what its derivatives are. Also a decorator.

    It takes and returns arrays, numbers, and dicts, lists and tuples of them. Arrays of traced arguments are read-only,
    and so is what a vjp gets; other arguments are copied for it. NotImplementedError where an argument is being differentiated
    by that has no derivative.

    >>> from tapegrad.compat.autograd.extend import defvjp
    >>> f = primitive(lambda x: np.exp(x))
    >>> defvjp(f, lambda ans, x: lambda g: g * ans)
    >>> tg.compat.autograd.grad(f)(0.0)
    np.float64(1.0)
    """
    @wraps(f_raw)
    def f_wrapped(*args: Any, **kwargs: Any) -> Any:
        if thread.tape.recording and (argnums := tuple([i for i, x in enumerate(args) if _traced(x)])):
            return _recorded(f_wrapped, argnums, args, kwargs)
        return f_raw(*map(values, args), **kwargs)

    f_wrapped.fun = f_raw                               # type: ignore[attr-defined]
    return f_wrapped


def notrace_primitive(f_raw: Function) -> Function:
    """A function that gets the values of its arguments: its result is a constant.

    >>> rounded = notrace_primitive(lambda x: np.round(x))
    >>> tg.compat.autograd.grad(lambda x: x * rounded(x))(2.4)
    np.float64(2.0)
    """
    @wraps(f_raw)
    def f_wrapped(*args: Any, **kwargs: Any) -> Any:
        return f_raw(*map(values, args), **kwargs)

    return f_wrapped


def register_notrace(trace_type: type, primitive_fun: Any) -> None:
    """The results of a primitive are constants, whatever it is given.

    >>> from tapegrad.compat.autograd.extend import VJPNode
    >>> rounded = primitive(lambda x: np.round(x))
    >>> register_notrace(VJPNode, rounded)
    >>> tg.compat.autograd.grad(lambda x: x * rounded(x))(2.4)
    np.float64(2.0)
    """
    primitive_vjps[primitive_fun] = lambda argnums, ans, args, kwargs: lambda g: [None for _ in argnums]


def _recorded(f: Any, argnums: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The value of a primitive, on the tape as a function of the arguments `argnums`."""
    if listening and isinstance(listener := tracer(), Listener):
        return _told(listener, f, args, kwargs)
    vjpmaker = primitive_vjps.get(f) or transposed_jvps.get(f)
    defined = () if vjpmaker is None else getattr(vjpmaker, "argnums", argnums)
    if vjpmaker is None or defined is not argnums and (missing := [i for i in argnums if i not in defined]):
        raise NotImplementedError(f"VJP of {f.__name__} wrt argnums {argnums if vjpmaker is None else missing} not defined; "
                                  "defvjp gives it one")
    for name, x in kwargs.items():
        if _traced(x):
            raise GradientError(f"{f.__name__}: the keyword argument {name} requires a gradient, which would be lost; give it "
                                "by its position, with a derivative")
    ans = f.fun(*map(values, args), **kwargs)
    if type(ans) is not np.ndarray and _traced(ans):
        raise GradientError(f"{f.__name__}: it computes with a tensor that requires a gradient, which would be lost: it is in "
                            "no argument, nor in a list, tuple or dict that is one; give it so")
    whole = not isinstance(ans, (dict, list, tuple))
    outs = np.asarray(_read(ans)) if whole else rebuild(ans, iter([np.array(_read(leaf)) for leaf in leaves(ans)]))
    if outs.dtype.kind not in "biufc" if whole else any([z.dtype.kind not in "biufc" for z in leaves(outs)]):
        raise TypeError(f"{f.__name__}: it returned {describe(ans)}; arrays, numbers and structures of them have a gradient")
    alone = all(map(isbox, args))                       # as most are: then there is nothing to keep, and no place to look for
    # Tensors of its own, for the caller's may be written to, or no longer require a gradient, before the sweep.
    held = () if alone else kept(rebuild(args, iter([x._again() if isbox(x) else x for x in leaves(args)])))
    chosen = [] if alone else [leaf for leaf in leaves(held) if isbox(leaf)]
    kwargs = kwargs and kept(kwargs)

    def pull(d: Any, z: Any, *xs: Any) -> Sequence[Any]:
        on_tape = isinstance(d, Tensor)
        given = tuple(map(_to_read, xs)) if alone else _to_read(filled(held, chosen, xs))
        if not whole:
            d, z = _in_parts(d, outs, True), _in_parts(z, outs)
        found = vjpmaker(argnums, _to_read(z), given, kwargs and _to_read(kwargs))(conjugated(_to_read(d)))
        contributions: list[Any] = []
        for i, c in zip(argnums, found):
            c = c.dense() if isinstance(c, SparseObject) else c
            if alone:
                contributions.append(_contribution(f, i, c, xs[i]))
                continue
            places = leaves(held[i])
            parts = [None] * len(places) if c is None else leaves(c)
            contributions += [_contribution(f, i, part, x) for part, x in zip(parts, places) if isbox(x)]
        return [Tensor(c) if isinstance(c, np.ndarray) else c for c in contributions] if on_tape else contributions

    operands = list(args) if alone else chosen
    if whole:
        return recorded_value(f.__name__, outs, operands, pull, LINEAR)
    if not (numbers := [z.reshape(-1) for z in leaves(outs) if z.dtype.kind in "fc"]):
        return outs
    return _in_parts(recorded_value(f.__name__, np.concatenate(numbers), operands, pull, LINEAR), outs)


def _in_parts(flat: Any, tree: Any, deltas: bool = False) -> Any:
    """A vector as a structure of arrays of the shapes and dtypes of those in `tree`. Integers, which have no derivative, are
    not in the vector: they are as in the tree, and their deltas 0.
    """
    parts, start = [], 0
    for z in leaves(tree):
        if z.dtype.kind not in "fc":
            parts.append(np.zeros(z.shape) if deltas else z.copy())
            continue
        part = flat[start:start + z.size].reshape(z.shape)
        parts.append(part.real if part.dtype.kind == "c" != z.dtype.kind else part)
        start += z.size
    return rebuild(tree, iter(parts))


def _contribution(f: Any, i: int, c: Any, x: Any) -> Any:
    """What a vjp returned for a tensor of the argument i, or its array, x, as a contribution to its delta."""
    if c is None:
        return None
    c, shape = conjugated(c if isinstance(c, Tensor) else np.asarray(c)), x.shape
    if c.shape == shape:
        return c
    try:
        broadcast = np.broadcast_shapes(c.shape, shape)
    except ValueError:
        raise ShapeError(f"{f.__name__}: its vjp returned {describe(c)} for argument {i} of shape {shape}") from None
    return c + np.zeros(shape, c.dtype) if c.shape != broadcast == shape else c
