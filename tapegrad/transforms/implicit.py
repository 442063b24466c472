"""Implicit differentiation: derivatives of what a solver found, from the equations that it solves, not from its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import append, wrap
from tapegrad.core.tape import no_grad, thread
from tapegrad.errors import GradientError, ShapeError, describe
from tapegrad.functions.shaping import reshape, transpose
from tapegrad.functions.solving import solve as solve_linear
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive, arrays
from tapegrad.primitives.plan import Plan
from tapegrad.transforms.batched import looped
from tapegrad.transforms.functional import jacobian, vjp
from tapegrad.transforms.runs import Run, unshared
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import Array, Tree

Pull = Callable[..., Sequence[Any]]


def values(tree: Tree) -> Tree:
    """A structure with the arrays of its tensors."""
    return rebuild(tree, iter([leaf._value if isinstance(leaf, Tensor) else leaf for leaf in leaves(tree)]))


def wanted(tree: Tree) -> list[Tensor]:
    """The tensors of a structure that require a gradient which is being recorded, each once."""
    return list({id(leaf): leaf for leaf in leaves(tree) if _is_wanted(leaf)}.values())


def _is_wanted(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.requires_grad and thread.tape.recording


def kept(tree: Tree) -> Tree:
    """A structure for the sweep to read: with copies of arrays, and of the values of tensors whose gradient is not wanted."""
    return rebuild(tree, iter([
        unshared(leaf._value if isinstance(leaf, Tensor) and not _is_wanted(leaf) else leaf) for leaf in leaves(tree)]))


def filled(tree: Tree, chosen: Sequence[Tensor], others: Sequence[Any]) -> Tree:
    """A structure that was kept, with `others` in the place of the chosen tensors."""
    places = {id(x): other for x, other in zip(chosen, others)}
    return rebuild(tree, iter([places.get(id(leaf), leaf) for leaf in leaves(tree)]))


@cache
def _row(name: str, operands: int, complex: str | None) -> tuple[Primitive, Plan]:
    """The row of a value that was computed off the tape, and its plan but for the rule for all operands, of which each gets its
    part."""
    row = Primitive(name, None, tuple([lambda F, d, _z, *_xs, i=i: d[i] for i in range(operands)]), complex=complex)
    return row, row.plan([True] * operands)


def recorded_value(name: str, z: Any, operands: Sequence[Tensor], pull: Pull, complex: str | None = None) -> Tensor:
    """A tensor of a value that was computed off the tape, on it as a function of the operands.

    pull(d, z, *operands) gives the contributions, of arrays or, where the sweep is recorded, of tensors
    complex    what that means where z is complex: see Primitive
    """
    z = np.array(z._value if isinstance(z, Tensor) else z)
    if not operands:
        return wrap(z, None)
    z = z if z.dtype.kind in "fc" else z.astype(float)

    def whole(F: Any, d: Any, z: Any, *xs: Any) -> Sequence[Any]:
        found = pull(d, z, *xs)
        return [c._value if F is arrays and isinstance(c, Tensor) else c for c in found]

    row, plan = _row(name, len(operands), complex)
    saved = (z, *[x._take_back() if x._data is None else x._data for x in operands])
    return wrap(z, append(row, plan.by(whole), tuple([x._register for x in operands]), saved, z))


def closed(name: str, f: Callable[..., Any], *args: Tree) -> Any:
    """The value of f(*args) off the tape; GradientError where f reads a tensor from outside whose gradient would be lost."""
    def fresh(leaf: Any) -> Tensor | None:
        return Tensor(leaf._value, requires_grad=leaf.requires_grad) if isinstance(leaf, Tensor) else None

    run = Run(f, args, {}, fresh)
    lost = [y for y in run.outside if type(y) in (Entry, Leaf)]
    found = values(run.output)
    run.forget()
    if lost and thread.tape.recording:
        raise _lost(name, f"a tensor of shape {lost[0].shape}")
    return found


def computed(name: str, tree: Tree) -> Tree:
    """The values of what a solver's function gave for arrays; GradientError where that has a gradient, which would be lost."""
    if wanted(tree):
        raise _lost(name, "a tensor")
    return values(tree)


def _lost(name: str, what: str) -> GradientError:
    return GradientError(f"{name}: the function reads {what} that requires a gradient and is not among its arguments; give it "
                         "as one, for its gradient would be lost")


def custom_root(f: Callable[..., Any], solve: Callable[..., Any]) -> Callable[..., Tensor]:
    """The function solve(*args) -> x with f(x, *args) = 0, with derivatives by args: those of the implicit function theorem.

    f       of x and the arguments, in tapegrad's functions; its value has the shape of x
    solve   of arrays: any solver, which need not be differentiable

    Derivative: u solves (df/dx)^T u = d, and the contribution to each argument is -u^T df/darg, for arguments that are
    tensors or structures of them. It is itself made of recorded functions, so that there are derivatives of any order. The
    Jacobian df/dx is a whole matrix, of size^2 elements. Source: Griewank and Walther, Evaluating Derivatives (2008),
    chapter 15.

    Raises ShapeError where f's value has another shape than x, GradientError where f reads a tensor that requires a gradient
    and is not an argument, numpy.linalg.LinAlgError, in the sweep, where df/dx is singular.

    >>> root = tg.custom_root(lambda x, a: x * x - a, lambda a: np.sqrt(a))
    >>> root(tg.tensor(4.0))
    tensor(2.)
    >>> tg.grad(root)(4.0), tg.grad(tg.grad(root))(4.0)
    (array(0.25), array(-0.03125))
    """
    @looped
    @wraps(solve)
    def root(*args: Tree) -> Tensor:
        with no_grad():
            x = np.array(values(solve(*values(args))))
        return root_at("custom_root", f, x, args)

    return root


def root_at(name: str, f: Callable[..., Any], x: Array, args: tuple[Tree, ...]) -> Tensor:
    """The root x of f(x, *args) that was found, as a function of the arguments."""
    chosen = wanted(args)
    if not chosen:
        if thread.tape.recording:
            closed(name, f, x, *args)
        return wrap(np.array(x), None)
    x = np.array(x, float if x.dtype.kind not in "fc" else None)
    residual = closed(name, f, x, *args)
    if np.shape(residual) != x.shape:
        raise ShapeError(f"{name}: f returned {describe(np.asarray(residual))} for x {describe(x)}; one equation for each "
                         "element is needed")
    args = kept(args)

    def of(z: Any, *xs: Any) -> Any:
        return f(z, *filled(args, chosen, xs))

    def pull(d: Any, z: Any, *xs: Any) -> Sequence[Any]:
        n = x.size
        J = reshape(jacobian(of)(z, *xs), (n, n))
        u = reshape(solve_linear(transpose(J), reshape(d, (n,))), x.shape)
        back = vjp(lambda *xs: of(z, *xs), *xs)[1]
        return back(-u if isinstance(d, Tensor) else -u._value)

    return recorded_value(name, x, chosen, pull)


@looped
def custom_fixed_point(f: Callable[..., Any], x0: Any, *args: Tree, tol: float | None = None, maxiter: int = 1000) -> Tensor:
    """The x with x = f(x, *args), found by repeating x <- f(x, *args) from x0, with derivatives by args. See custom_root.

    tol       how far an element may move in the last step, relative to its size and at least to 1; 16 times the dtype's
              precision by default
    maxiter   the most steps; RuntimeError where they do not do

    >>> cosine = lambda a: tg.custom_fixed_point(lambda x, a: tg.cos(a * x), 1.0, a)
    >>> cosine(tg.tensor(1.0))
    tensor(0.73908513)
    >>> tg.grad(cosine)(1.0)
    array(-0.29747434)
    """
    held, x = values(args), np.asarray(values(x0))
    x = x if x.dtype.kind in "fc" else x.astype(float)
    limit = 16 * float(np.finfo(x.dtype).eps) if tol is None else tol
    with no_grad():
        for _ in range(maxiter):
            before, x = x, np.asarray(values(f(Tensor(x), *held)), x.dtype)
            if x.shape != before.shape:
                raise ShapeError(f"custom_fixed_point: f returned {describe(x)} for x {describe(before)}")
            if (np.abs(x - before) <= limit * np.maximum(1, np.abs(x))).all():
                break
        else:
            raise RuntimeError(f"custom_fixed_point: no fixed point after {maxiter} steps; the last one moved by "
                               f"{float(np.abs(x - before).max()):.3g}: give a better x0, a greater maxiter or tol")
    return root_at("custom_fixed_point", lambda x, *args: x - f(x, *args), x, args)
