"""vmap: a function of one example as a function of many, without a loop. How it works is in batched.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from operator import index
from typing import Any

import numpy as np

from tapegrad.core.record import constant, recorded, wrap
from tapegrad.errors import DtypeError, ShapeError, VmapError, describe
from tapegrad.functions.shaping import moveaxis
from tapegrad.functions.tensor import Tensor
from tapegrad.transforms.batched import Batched, unwrapped
from tapegrad.transforms.batching import Level
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import Tree

Axes = int | None | Sequence[Any] | dict[Any, Any]


def vmap(fun: Callable[..., Tree], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Tree]:
    """The function that does for many examples at once what `fun` does for one.

        tg.vmap(fun)(xs, ys)    is    tg.stack([fun(x, y) for x, y in zip(xs, ys)])

    fun        takes tensors, or structures of them, and returns such; it is run once, on tensors that stand for one example
               each and have its shape
    in_axes    the axis along which the examples of the arguments lie; None: all examples share the argument. An int or None for
               all arguments, or a tuple with one per argument, each an int, None, or the beginning of the structure of the
               argument with those at its leaves. Negative axes are counted from the end. Keyword arguments have their examples
               along axis 0
    out_axes   the axis along which those of the results are put, likewise; None for a result that is the same for all

    The results are tensors where an argument is one, or where they are on the tape; else arrays. vmap goes together with
    itself, grad, value_and_grad, vjp, jvp, jacobian, hessian, checkpoint and compile, inside and outside of it. Gradients of
    one example each are those of tg.vmap(tg.grad(loss), in_axes=(None, 0)).

    Most operations are done for all examples by one call of NumPy; an operation without a rule, such as a user's primitive, for
    one after the other. Random numbers are drawn for each example, in the order of the examples. A function that is compiled or
    checkpointed is run as it is inside of vmap; compile or checkpoint what vmap makes.

    Raises ShapeError for arguments of different numbers of examples, and an axis that is not there; ValueError where no
    argument has examples, or in_axes or out_axes do not fit; VmapError, inside of fun, for what can't be done for all examples
    at once: looking at elements (bool(x), float(x), x.item(), a mask as an index), writing a value that differs by example into
    a tensor that all share, and backward().

    >>> tg.vmap(lambda x, y: x @ y)(np.ones((3, 2)), np.arange(6.0).reshape(3, 2))
    array([1., 5., 9.])
    >>> loss = lambda w, x: (w @ x) ** 2
    >>> tg.vmap(tg.grad(loss), in_axes=(None, 0))(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [1.0, 1.0]]))
    array([[2., 0.],
           [6., 6.]])
    """
    if not callable(fun):
        raise TypeError(f"vmap: {describe(fun)} is not a function")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or isinstance(in_axes, (int, tuple))):
        raise TypeError(f"vmap: in_axes={in_axes!r}; expected an int, None, or a tuple with one item per argument")

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Tree:
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise ValueError(f"vmap: in_axes={in_axes} for {len(args)} arguments; it has one item for each")
        axes = [*_per_leaf("in_axes", in_axes, args), *[None if leaf is None else 0 for leaf in leaves(kwargs)]]
        given = leaves(args) + leaves(kwargs)
        fronts = [_shared(leaf) if axis is None else _examples_first(leaf, axis) for leaf, axis in zip(given, axes)]
        size = _size(given, axes, fronts)
        with Level(size) as level:
            examples = iter([x if axis is None else Batched(level, x) for x, axis in zip(fronts, axes)])
            output = fun(*rebuild(args, examples), **rebuild(kwargs, examples))
            found = leaves(output)
            results = [_all_examples(z, axis, level) for z, axis in zip(found, _per_leaf("out_axes", out_axes, output))]
        as_tensors = any(isinstance(leaf, Tensor) for leaf in given)
        return rebuild(output, iter([
            z if as_tensors or not isinstance(z, Tensor) or z._register is not None or isinstance(z, Batched) else z.data
            for z in results]))

    return mapped


def _per_leaf(name: str, axes: Any, tree: Tree) -> list[int | None]:
    """The axis of each leaf of a structure, from axes that are given for the beginning of it."""
    if axes is None:
        return [None] * len(leaves(tree))
    if isinstance(axes, dict):
        if not isinstance(tree, dict) or axes.keys() != tree.keys():
            raise _misfit(name, axes, tree)
        return [axis for key, part in tree.items() for axis in _per_leaf(name, axes[key], part)]
    if isinstance(axes, (tuple, list)):
        if not isinstance(tree, (tuple, list)) or len(axes) != len(tree):
            raise _misfit(name, axes, tree)
        return [axis for item, part in zip(axes, tree) for axis in _per_leaf(name, item, part)]
    try:
        axis = index(axes)
    except TypeError:
        raise TypeError(f"vmap: {name} has {axes!r}; expected ints and None") from None
    return [None if leaf is None else axis for leaf in leaves(tree)]


def _misfit(name: str, axes: Any, tree: Tree) -> ValueError:
    return ValueError(f"vmap: {name} has {axes!r} where there is {_outline(tree)}; it has the structure of the arguments, "
                      "or of a beginning of it" if name == "in_axes" else
                      f"vmap: {name} has {axes!r} where the function returned {_outline(tree)}; it has the structure of what "
                      "the function returns, or of a beginning of it")


def _outline(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"a dict with the keys {', '.join(map(repr, tree))}"
    return f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, (tuple, list)) else describe(tree)


def _examples_first(x: Any, axis: int) -> Tensor:
    """An argument with its examples along the first axis."""
    if not isinstance(x, Tensor):
        x = constant(_as_array(x, "an argument", "give it the axis None if all examples share it"))
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"vmap: in_axes has {axis} for an argument {describe(x)}, which has {x.ndim} axes")
    return x._again() if axis % x.ndim == 0 else moveaxis(x, axis, 0)


def _shared(x: Any) -> Any:
    """An argument that all examples share: of an array a tensor, for which the index of an example may be one."""
    return constant(x) if type(x) is np.ndarray and x.dtype.kind in "biufc" else x


def _as_array(x: Any, what: str, otherwise: str) -> Any:
    array = np.asarray(x) if isinstance(x, (np.ndarray, np.generic, int, float, complex)) else None
    if array is None or array.dtype.kind not in "biufc":
        raise DtypeError(f"vmap: {what} is {describe(x)}, which has no examples; {otherwise}")
    return array


def _size(given: Sequence[Any], axes: Sequence[int | None], fronts: Sequence[Any]) -> int:
    """The number of examples, in which all arguments agree."""
    sizes = [(x.shape[0], leaf, axis) for leaf, axis, x in zip(given, axes, fronts) if axis is not None]
    if not sizes:
        raise ValueError("vmap: no argument has examples: in_axes is None for all of them, or there are none")
    size, first, first_axis = sizes[0]
    for other, leaf, axis in sizes:
        if other != size:
            raise ShapeError(f"vmap: {size} examples along axis {first_axis} of {describe(first)}, and {other} along axis "
                             f"{axis} of {describe(leaf)}; all arguments that are mapped have the same number")
    return size                                         # type: ignore[no-any-return]


def _all_examples(z: Any, axis: int | None, level: Level) -> Any:
    """A result of all examples, with these along `axis`."""
    if not isinstance(z, Tensor):
        if z is None:
            return None
        z = wrap(np.array(_as_array(z, "a result", "return tensors, arrays and numbers")), None)
    for x in _levels_of(z):
        if not x._level.open:
            raise VmapError(f"vmap: the function returned {describe(z)}, which stands for an example of a run that has ended")
    if axis is None:
        if any(x._level is level for x in _levels_of(z)):
            raise ValueError(f"vmap: out_axes is None for a result {describe(z)} that differs by example")
        return z
    if not -z.ndim - 1 <= axis <= z.ndim:
        raise ShapeError(f"vmap: out_axes has {axis} for a result {describe(z)} of an example; there are {z.ndim + 1} places")
    z, axis = unwrapped(z, level), axis % (z.ndim + 1)
    return z if not axis else recorded.transpose(z, (*range(1, axis + 1), 0, *range(axis + 1, z.ndim)))


def _levels_of(z: Any) -> Iterator[Batched]:
    while isinstance(z, Batched):
        yield z
        z = z._inner
