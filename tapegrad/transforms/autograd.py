"""Gradients of given outputs by given inputs, without touching anybody's `.grad`: PyTorch's torch.autograd.grad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.record import recorded, unary, wrap
from tapegrad.core.sweep import sweep
from tapegrad.core.tape import enable_grad, no_grad, thread, tracer
from tapegrad.core.walk import Part, linked, replaced, seed_of
from tapegrad.errors import GradientError, ShapeError, VmapError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive, arrays
from tapegrad.primitives.registry import LINEAR
from tapegrad.transforms.batched import Batched, holds_batched
from tapegrad.typing import TensorLike

_boundary = Primitive("alias", lambda x: x, (lambda F, d, _z, _x: d,), complex=LINEAR)

own: Callable[[Tensor], Tensor] = unary(_boundary)
own.__doc__ = """x, by an entry of its own: made to be differentiated by, so that nothing beyond it is wanted."""


def deltas(outputs: Sequence[Tensor], seeds: Sequence[Any], registers: Sequence[Any], create_graph: bool = False,
           consume: bool = False, part: Part | None = None) -> list[Any]:
    """The deltas of `registers`, one each or None, when those of the tensors `outputs` are `seeds`.

    They are arrays, or tensors on the tape with create_graph. With a part of the tape, that is what is walked; hooks of
    registers from outside are left to the sweep that walks those.
    """
    outside: Any = () if part is None else part.wanted
    registers, asked = list(dict.fromkeys(registers)), registers
    tape = thread.tape
    wanted, tape.wanted = tape.wanted, set(registers)
    caught: list[tuple[Any, Any, Any]] = []
    for register in registers:
        if type(register) is Leaf or register in outside:
            caught.append((register, None, None))
            continue
        before = register.ys, register.plan
        leaf = Leaf(register.shape, register.dtype)
        if register.g is _boundary:
            register.ys = (leaf,)
        else:
            register.retain(leaf)
        caught.append((leaf, register, before))
    try:
        pairs = [(z._register, seed) for z, seed in zip(outputs, seeds) if z._register is not None]
        # the operations of the sweep are to be seen, or are those of tensors that stand for examples
        traced = not create_graph and (tracer() is not None or tape.levels and holds_batched([seed for _, seed in pairs]))
        if traced:
            pairs = [(register, seed if isinstance(seed, Tensor) else wrap(seed, None)) for register, seed in pairs]
        with np.errstate(all="ignore"), no_grad() if traced else nullcontext():
            found = sweep(recorded if create_graph or traced else arrays, pairs, consume and not create_graph, part)
        if traced:
            found = {register: d if holds_batched([d]) else d._array for register, d in found.items()}
    finally:
        tape.wanted = wanted
        for _, register, before in reversed(caught):
            if register is not None and register.tape is not None:
                register.ys, register.plan = before
    ends = [found.get(leaf) for leaf, _, _ in caught]
    by_register = {register: d if d is None or leaf in outside else replaced(leaf.hooks, d)
                   for register, (leaf, _, _), d in zip(registers, caught, ends)}
    return [by_register[register] for register in asked]


def copied(delta: Any) -> Any:
    """A delta as an array of its own."""
    new = np.array(delta)
    if (listener := tracer()) is not None:
        listener.same(new, delta)
    return new


def grad(outputs: Tensor | Sequence[Tensor], inputs: Tensor | Sequence[Tensor],
         grad_outputs: TensorLike | Sequence[TensorLike | None] | None = None, retain_graph: bool | None = None,
         create_graph: bool = False, allow_unused: bool = False) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs` by each of `inputs`, as a tuple of tensors.

    outputs        a tensor, or a sequence of them, that require a gradient
    inputs         a tensor, or a sequence of them: leaves, or results that the outputs were computed from
    grad_outputs   the delta of each output; may be left out for single numbers
    retain_graph   keep the tape for another sweep; by default as create_graph
    create_graph   record the sweep, under no_grad, too, so that the gradients can be differentiated; by the same inputs that
                   gives zeros where they do not change, as those of relu and abs
    allow_unused   give None for an input that the outputs do not depend on, instead of raising GradientError

    Raises GradientError for an output or an input that requires no gradient, ShapeError for grad_outputs that do not fit.

    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> tg.autograd.grad(y, x)
    (tensor(6.),)
    >>> g, = tg.autograd.grad(x * x * x, x, create_graph=True)
    >>> tg.autograd.grad(g, x)
    (tensor(18.),)
    """
    if create_graph and not thread.tape.recording:
        with enable_grad():
            return grad(outputs, inputs, grad_outputs, retain_graph, True, allow_unused)
    ends, starts = _sequence(outputs), _sequence(inputs)
    for kind, tensors in (("output", ends), ("input", starts)):
        for i, x in enumerate(tensors):
            if isinstance(x, Batched):
                raise VmapError(f"grad: {kind} {i} ({describe(x)}) stands for one example under vmap; use tg.grad")
            if not isinstance(x, Tensor) or x._register is None:
                raise GradientError(f"grad: {kind} {i} ({describe(x)}) does not require a gradient")
    given = (None,) * len(ends) if grad_outputs is None else _sequence(grad_outputs)
    if len(given) != len(ends):
        raise ShapeError(f"grad: {len(given)} grad_outputs for {len(ends)} outputs")
    seeds = [seed_of(z, seed, create_graph) for z, seed in zip(ends, given)]
    retain = create_graph if retain_graph is None else retain_graph
    found = deltas(ends, seeds, [x._register for x in starts], create_graph, consume=not retain)
    for i, delta in enumerate(found):
        if delta is None and not allow_unused:
            raise GradientError(f"grad: the outputs do not depend on input {i}; allow_unused=True gives None for it")
    if create_graph:
        return tuple([None if delta is None else linked(delta, x._register) for delta, x in zip(found, starts)])
    return tuple([None if delta is None else wrap(copied(delta), None) for delta in found])


def _sequence(x: Any) -> tuple[Any, ...]:
    return (x,) if isinstance(x, (Tensor, np.ndarray)) else tuple(x)
