"""The functional face: derivatives of functions, of any order, by arguments that are arrays, tensors, or structures.

A function is differentiated by running it on tensors of its own: fresh leaves, or, where an argument is itself being
differentiated by somebody else, an `alias` on the tape, so that the outer derivative passes and the inner one ends there.
Every level of nesting thus has its own registers, and no level can take another's for its own.

The gradients are tensors on the tape where they can be differentiated further: the function read a tensor from outside
that requires a gradient. Otherwise they are tensors where a tensor was given, and arrays where arrays were. Inside of vmap they
are tensors that stand for an example.

An argument that is differentiated by must have a float or complex dtype (DtypeError). The functions take keyword arguments,
too, and are not differentiated by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from math import prod
from typing import Any

import numpy as np

from tapegrad.core.record import recorded, wrap
from tapegrad.core.tape import enable_grad, thread, tracer
from tapegrad.errors import DtypeError, ShapeError
from tapegrad.functions.tensor import Tensor
from tapegrad.transforms.autograd import copied, deltas
from tapegrad.transforms.batched import Batched, outside_of, raised, unwrapped
from tapegrad.transforms.batching import Level
from tapegrad.transforms.outermost import Outermost, outermost
from tapegrad.transforms.runs import (
    Differentiation,
    Function,
    on_the_tape,
    positions_of,
    running,
    separate,
    snapshot,
    structured,
    unit_seed,
)
from tapegrad.tree import leaves, rebuild, same
from tapegrad.typing import Tree

_FEW = 4                                                # rows of a Jacobian that take as long one after the other
_AT_ONCE = 2 ** 22                                      # elements of the deltas of one register in a sweep for a Jacobian


def value_and_grad(fun: Function, argnums: int | Sequence[int] = 0,
                   has_aux: bool = False) -> Callable[..., tuple[Any, Tree]]:
    """The function `(fun(*args), grad(fun)(*args))`, with one run of fun. See grad.

    has_aux   fun returns (value, aux); the result is then ((value, aux), gradient)

    >>> tg.value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    (array(5.), array([2., 4.]))
    >>> tg.value_and_grad(lambda x: ((x * x).sum(), {"n": x.size}), has_aux=True)(np.array([1.0, 2.0]))
    ((array(5.), {'n': 2}), array([2., 4.]))
    """
    @wraps(fun)
    def both(*args: Any, **kwargs: Any) -> tuple[Any, Tree]:
        if not has_aux:
            return evaluated("value_and_grad", fun, args, kwargs, argnums)
        positions = positions_of("value_and_grad", argnums, args)
        run = Differentiation("value_and_grad", fun, args, kwargs, positions, has_aux)
        z = run.scalar()
        value, gradient = run.value(z), structured(args, positions, argnums, run.pull([z], [unit_seed(z)]))
        return (value, rebuild(run.aux, iter([
            run.value(x) if isinstance(x, Tensor) else x for x in leaves(run.aux)]))), gradient

    return both


def evaluated(name: str, fun: Function, args: Sequence[Tree], kwargs: dict[str, Any], argnums: int | Sequence[int],
              scalar: bool = True, valued: bool = True) -> tuple[Any, Tree]:
    """(fun(*args, **kwargs), its gradient); with scalar=False, that of the sum of all its outputs. With valued=False the value
    may be None."""
    positions = positions_of(name, argnums, args)
    if thread.tape.levels or not outermost(args, positions, running):
        run = Differentiation(name, fun, args, kwargs, positions)
    else:
        alone = Outermost(fun, args, kwargs, positions, running)
        z = alone.output
        if type(z) is Tensor and ((array := z._array).size == 1 or not scalar) and array.dtype.kind == "f":
            found = alone.deltas(z, unit_seed(array))
            if found is not None:
                value = np.array(array) if valued else None
                del alone, z
                thread.tape.reap()                      # all but what the function has given away: the next wants an empty tape
                return value, structured(args, positions, argnums, found)
        run = Differentiation.of(name, alone)
    zs = [run.scalar()] if scalar else [run.real(z) for z in run.outputs(name)]
    gradient = structured(args, positions, argnums, run.pull(zs, [unit_seed(z) for z in zs]))
    return rebuild(run.output, iter([run.value(z) for z in zs])), gradient


def grad(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The gradient of a function that returns a single number, as a function of the same arguments.

    fun       takes tensors, arrays, numbers, or dicts, lists and tuples of them; returns a tensor of size 1
    argnums   the position of the argument to differentiate by, or several: then the result is a tuple
    has_aux   fun returns (value, aux), of which only the value is differentiated; the result is then (gradient, aux). The
              tensors of aux are treated as the value is

    The result has the structure, shapes and dtypes of the argument. `grad(grad(f))` is the second derivative.

    Raises GradientError if the function returns anything but a real tensor of size 1, TypeError if there is no such argument.

    >>> tg.grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    array([2., 4.])
    >>> model = {"W": np.array([1.0, 2.0]), "b": np.array(3.0)}
    >>> tg.grad(lambda p, x: (p["W"] * x).sum() + p["b"])(model, np.array([10.0, 20.0]))
    {'W': array([10., 20.]), 'b': array(1.)}
    >>> tg.grad(lambda x: ((x * x).sum(), 2 * x), has_aux=True)(np.array([1.0, 2.0]))
    (array([2., 4.]), array([2., 4.]))
    """
    both = value_and_grad(fun, argnums, has_aux=True) if has_aux else None

    @wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Tree:
        if both is None:
            return evaluated("value_and_grad", fun, args, kwargs, argnums, valued=False)[1]
        (_, aux), found = both(*args, **kwargs)
        return found, aux

    return gradient


def elementwise_grad(fun: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The gradient of sum(fun): for an elementwise fun, its derivative at every element.

    >>> tg.elementwise_grad(lambda x: x ** 3)(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    @wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Tree:
        return evaluated("elementwise_grad", fun, args, kwargs, argnums, scalar=False)[1]

    return gradient


def vjp(fun: Function, *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """(out, pullback): the value of fun, and the linear function delta of out -> tuple of the deltas of the primals.

    The pullback may be called several times. It raises ShapeError for a delta that has not the structure and shapes of out,
    ConsumedTapeError after a backward() from out, or from a function of it, without retain_graph=True.

    >>> out, pullback = tg.vjp(lambda x, y: x * y, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> out
    array([3., 8.])
    >>> pullback(np.array([1.0, 0.0]))
    (array([3., 0.]), array([1., 0.]))
    """
    run = Differentiation("vjp", fun, primals, {}, range(len(primals)))
    returned = run.outputs(run.name)
    outs = snapshot(returned)                           # the caller may write into what is returned

    def pullback(delta: Tree) -> tuple[Tree, ...]:
        if not same(run.output, delta):
            raise ShapeError("vjp: the delta's structure is not that of the function's value")
        seeds = [_checked("vjp", seed, z) for seed, z in zip(leaves(delta), outs)]
        on_tape = run.recording and any(isinstance(seed, Tensor) and seed._register is not None for seed in seeds)
        found: tuple[Tree, ...] = structured(primals, range(len(primals)), (), run.pull(outs, seeds, on_tape))
        return found

    return rebuild(run.output, iter([run.value(z) for z in returned])), pullback


def _checked(name: str, seed: Any, z: Tensor) -> Any:
    """A tensor, or an array of our own: the caller may write into it, and the tape or a hook keep it."""
    if not isinstance(seed, Tensor):
        if np.iscomplexobj(seed) and z.dtype.kind != "c":
            raise DtypeError(f"{name}: a complex vector for a value of {z.dtype}")
        seed = copied(np.asarray(seed, dtype=z.dtype))
    if seed.shape != z.shape:
        raise ShapeError(f"{name}: a vector of shape {seed.shape} for a value of shape {z.shape}")
    return seed


def jvp(fun: Function, primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, Tree]:
    """(out, tangent of out): the derivative of fun at the primals in the direction of the tangents.

    As the derivative of the reverse sweep by its seed: u -> J^T u is linear, and its own sweep gives J t. It takes two
    sweeps whatever the number of primals. Raises ShapeError for tangents that have not the structure and shapes of the primals.

    >>> tg.jvp(lambda x: x ** 3, (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
    (array([1., 8.]), array([  3., 120.]))
    """
    if not same(tuple(primals), tuple(tangents)):
        raise ShapeError("jvp: the structure of the tangents is not that of the primals")
    run = Differentiation("jvp", fun, tuple(primals), {}, range(len(primals)))
    outs = run.outputs(run.name)
    directions = run.lowered([_checked("jvp", t, x) for t, x in zip(leaves(tuple(tangents)), run.inputs)])
    whole = run.lowered(outs)
    with enable_grad(), thread.tape.marked() as mark:
        seeds = [Tensor(np.zeros(z.shape, z.dtype), requires_grad=True) for z in whole]
        if running.run is not None:                   # a run around us need not keep track of these
            running.run.leaves.update(seed._register for seed in seeds)
        with outside_of(run.levels):
            pulled = run.pull_whole(whole, seeds, on_tape=True)
    create = run.nested or run.recording and any(isinstance(t, Tensor) and t._register is not None for t in directions)
    linear = [(g, t) for g, t in zip(pulled, directions) if g._register is not None]
    with enable_grad(), outside_of(run.levels):
        found = deltas([g for g, _ in linear],
                       [on_the_tape(t) if create or tracer() is not None else t._value if type(t) is Tensor else t
                        for _, t in linear], [seed._register for seed in seeds], create_graph=create,
                       part=run.part(mark.made()))
    moved = separate([run.result(np.zeros(z.shape, z.dtype) if delta is None else delta, create)
                       for z, delta in zip(whole, found)], directions)
    return (rebuild(run.output, iter([run.value(z) for z in outs])),
            rebuild(run.output, iter([raised(t, run.levels) for t in moved])))


def jacobian(fun: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives d fun / d argument: for an output of shape m and an argument of shape n, shape m + n.

    One sweep for all elements of the output, of deltas for many of them at once. Structures of outputs give that structure of
    structures of arguments.

    >>> tg.jacobian(lambda x: x * x.sum())(np.array([1.0, 2.0]))
    array([[4., 1.],
           [2., 5.]])
    """
    @wraps(fun)
    def matrix(*args: Any, **kwargs: Any) -> Tree:
        positions = positions_of("jacobian", argnums, args)
        run = Differentiation("jacobian", fun, args, kwargs, positions)
        blocks = []
        for z in map(run.real, run.outputs(run.name)):
            blocks.append(structured(args, positions, argnums, _rows_of_jacobian(run, z)))
        return rebuild(run.output, iter(blocks))

    return matrix


def _rows_of_jacobian(run: Differentiation, z: Tensor) -> list[Any]:
    """The derivatives of all elements of an output by each input."""
    largest = max([prod(entry.shape) for entry in run.entries], default=1)
    at_once = min(z.size, _AT_ONCE // max(largest, 1))
    shapes = [(*z.shape, *x.shape) for x in run.inputs]
    if not z.size:
        return [run.result(np.zeros(shape, x.dtype)) for x, shape in zip(run.inputs, shapes)]
    if at_once <= _FEW:
        rows = [run.pull([z], [seed.reshape(z.shape)]) for seed in np.eye(z.size, dtype=z.dtype)]
        return [_stacked(column, shape) for column, shape in zip(zip(*rows), shapes)]
    parts = []
    for start in range(0, z.size, at_once):
        seeds = np.eye(min(at_once, z.size - start), z.size, start, z.dtype).reshape((-1, *z.shape))
        with Level(len(seeds)) as level:
            parts.append([unwrapped(delta, level) for delta in run.pull([z], [Batched(level, wrap(seeds, None))])])
    joined = [column[0] if len(column) == 1 else recorded.concatenate(column, 0) for column in zip(*parts)]
    return [_as_given(run, recorded.reshape(found, shape)) for found, shape in zip(joined, shapes)]


def _stacked(rows: Sequence[Any], shape: tuple[int, ...]) -> Any:
    if isinstance(rows[0], Tensor):
        return recorded.reshape(recorded.stack(rows, 0), shape)
    return np.array(rows).reshape(shape)


def _as_given(run: Differentiation, z: Tensor) -> Any:
    """A derivative that is a tensor, as the caller gets it."""
    return z if run.as_tensors or z._register is not None else z.data


def hessian(fun: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives the second derivatives of a function that returns a scalar: for an argument of shape n, n + n.

    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(fun, argnums), argnums)


def weighted(z: Tensor, w: Any) -> Tensor:
    """The sum of z times constant weights; of complex z and w, the sum over real and imaginary parts."""
    if z.dtype.kind == "c":
        total: Tensor = recorded.real(recorded.sum(z * recorded.conjugate(w), None, False))
    else:
        total = recorded.sum(z * w, None, False)
    return total


def hvp(fun: Function, primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, ...]:
    """The Hessian of fun at the primals, times the tangents: two sweeps, no matrix. A tuple like the primals.

    Source: Pearlmutter, Fast Exact Multiplication by the Hessian (1994), here as the gradient of <grad fun, t>. Raises
    ShapeError for tangents that have not the structure of the primals.

    >>> tg.hvp(lambda x: (x ** 3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
    (array([  6., 120.]),)
    """
    positions = tuple(range(len(primals)))

    def directional(*args: Any) -> Any:
        total: Any = 0.0
        for g, t in zip(leaves(grad(fun, positions)(*args)), leaves(tuple(tangents))):
            total = total + weighted(g, t)
        return total

    if not same(tuple(primals), tuple(tangents)):
        raise ShapeError("hvp: the structure of the tangents is not that of the primals")
    found: tuple[Tree, ...] = grad(directional, positions)(*primals)
    return found
