"""The reverse sweep.

    def reverse(F, entries, delta):
        for z in reversed(entries):
            for i, rule in z.plan.arrays if z in delta else ():
                c, y = rule(F, delta[z], *z.saved), z.ys[i]
                if c is not None:
                    delta[y] = delta.get(y, 0) + fit(F, c, y.shape, y.dtype)
        return delta

delta[y] += DG[g][i](delta[z], z, y1, .., yk): that is all there is, and `sweep` does the same, faster. Walking positions
downwards meets every use of a value before the entry that made it, so nothing is sorted. A delta always has the shape and
dtype of its register: what broadcasting spread is summed back, in `fit`. With F = `arrays` the deltas are arrays; with
F = `recorded` they are tensors, and the sweep itself is on the tape. Where z is complex, primitives/complex_parts.py says how a
rule is to be run. Source: Griewank and Walther, Evaluating Derivatives (2008), section 3.2.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from math import prod
from sys import getrefcount
from typing import Any

from numpy import ndarray

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import recorded
from tapegrad.core.reduction import Reduction, reducers
from tapegrad.core.refcount import LONE_LOCAL, added, owned
from tapegrad.core.tape import effect, enable_grad, thread
from tapegrad.core.tensor import TensorBase
from tapegrad.core.walk import Part, Walk, as_tensors, directly, linked, replaced, seed_of
from tapegrad.errors import GradientError
from tapegrad.primitives import arrays
from tapegrad.primitives.complex_parts import rules_of_complex

_commit = threading.Lock()


def fit(F: Any, c: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A contribution summed to the shape that it was broadcast from, in the dtype that it was promoted from."""
    if F is not recorded and c.ndim > 1 and shape == c.shape[-1:]:
        c = F.sum_rows(c if c.ndim == 2 else F.reshape(c, (prod(c.shape[:-1]), c.shape[-1])))       # the delta of a bias
    elif c.shape != shape:
        extra = c.ndim - len(shape)
        axes = tuple(i for i in range(c.ndim) if i < extra or shape[i - extra] == 1 != c.shape[i])
        c = F.sum(c, axes, False) if axes else c
        c = c if c.shape == shape else F.reshape(c, shape)
    if c.dtype == dtype:
        return c
    if c.dtype.kind == "c" != dtype.kind:
        c = F.real(c)                                   # of a real register there is no imaginary part
    return c if c.dtype == dtype else F.astype(c, dtype)


def sweep(F: Any, seeds: Iterable[tuple[Entry | Leaf, Any]], consume: bool, part: Part | None = None,
          reduction: Reduction | None = None) -> dict[Any, Any]:
    """Walk the tape down from its end, where the registers in `seeds` start with the given deltas; return {leaf: delta}.

    The hooks of leaves are left to the caller.

    F           the vocabulary the rules are run over: `arrays`, or `recorded` to put the sweep on the tape
    seeds       pairs (register, delta)
    consume     whether the entries that had a delta are used up: they then leave the tape, and free what they saved
    part        the part of the tape to walk, if not all; the deltas of its wanted registers are returned with the leaves'
    reduction   what is told of final deltas of leaves, and may replace them at the end
    """
    on_arrays, in_place, is_complex = F is arrays, F.in_place, False
    dtype: Any = None
    with Walk(F, seeds, consume, part, reduction) as walk:
        mark, leaves, watch, alarm = walk.mark, walk.leaves, walk.tape.watch, walk.alarm
        for entry in walk.downwards():                  # a sweep that is recorded appends behind them
            d = entry.delta
            if d is None:
                continue
            entry.delta, plan = None, entry.plan
            ys, shape, elementwise = entry.ys, entry.shape, entry.g.elementwise
            if plan.prepares:
                d = walk.prepared(entry, d)
            if entry.dtype is not dtype:                # most have that of the entry before
                dtype = entry.dtype
                is_complex = dtype.kind == "c"
            saved, rules = entry.saved, plan.arrays
            if not on_arrays:
                saved, rules = as_tensors(entry), plan.recorded
            if is_complex:
                rules = rules_of_complex(entry, rules)
            for i, rule in rules:
                y = ys[i]
                if type(y) is Leaf:                     # Python reads an attribute fast where it is always one class's
                    held, fits = leaves.get(y), elementwise and y.shape == shape and y.dtype is dtype
                elif y.tape is mark:
                    held, fits = y.delta, elementwise and y.shape == shape and y.dtype is dtype
                else:
                    if walk.wants(y) and (c := rule(F, d, *saved)) is not None:
                        if alarm:
                            c = walk.looked_at(entry, i, rule, d, saved, c)
                        c = fit(F, c, y.shape, y.dtype)
                        leaves[y] = leaves[y] + c if y in leaves else c
                    continue
                lone = on_arrays and type(held) is ndarray and getrefcount(held) == LONE_LOCAL and held.base is None
                if lone and rule in in_place and watch is None and in_place[rule](held, d, *saved):
                    continue
                # A call with * takes twice as long as one of three values, which is most of them.
                c = rule(F, d, saved[0], saved[1], saved[2]) if len(saved) == 3 else rule(F, d, *saved)
                if c is None:
                    continue
                if alarm and (entry.g.weak or watch is not None):
                    c = walk.looked_at(entry, i, rule, d, saved, c)
                if not fits and (c.shape != y.shape or c.dtype is not y.dtype):
                    c = fit(F, c, y.shape, y.dtype)
                if lone:
                    held += c
                elif held is not None:
                    held = held + c
                else:
                    held = c
                if type(y) is Leaf:
                    leaves[y] = held
                else:
                    y.delta = held
                held = c = None                         # the delta is the register's alone, and the next is added in place
            if consume:
                entry.tape, entry.saved, entry.ys = None, None, ()
        d = None                                        # of the last entry: a reducer writes into deltas that nobody else holds
    return leaves


def gradients(loss: TensorBase, gradient: Any = None, retain_graph: bool = False,
              create_graph: bool = False) -> dict[Leaf, Any]:
    """{leaf: delta} of a tensor: arrays, or tensors with create_graph. See Tensor.backward."""
    if loss._register is None:
        raise GradientError("backward: this tensor does not require a gradient: no operand of the operations that made "
                            "it has requires_grad=True, or they ran inside no_grad()")
    found, register = None, loss._register
    if type(register) is Entry and register.plan.direct is not None and not (retain_graph or create_graph or reducers):
        found = directly(loss, gradient)
        if found is not None and not any([leaf.hooks for leaf in found]):
            return found
    if found is None:
        seed = seed_of(loss, gradient, create_graph)
        found = sweep(recorded if create_graph else arrays, [(register, seed)], not (retain_graph or create_graph),
                      reduction=Reduction(create_graph) if reducers else None)
    replaced_by_hooks = {leaf: replaced(leaf.hooks, found.pop(leaf)) for leaf in list(found)}
    return {leaf: linked(d, leaf) for leaf, d in replaced_by_hooks.items()} if create_graph else replaced_by_hooks


@effect
def backward(loss: TensorBase, gradient: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
    """Walk the tape in reverse from this tensor and accumulate the gradients of its leaves in their `.grad`.

    gradient       the delta of this tensor, of its shape and dtype; 1 where it is a scalar
    retain_graph   keep the part of the tape that was walked, so that another backward() can walk it
    create_graph   record the walk itself, under no_grad, too; `.grad` is then a Tensor that can be differentiated again

    Raises GradientError where there is nothing to walk, or no gradient is given for more than one number;
    ConsumedTapeError where an earlier backward() has been; ThreadError for results of another thread.
    """
    if create_graph and not thread.tape.recording:
        with enable_grad():
            return backward(loss, gradient, create_graph=True)
    found = gradients(loss, gradient, retain_graph, create_graph)
    with _commit:
        for leaf in list(found):
            if leaf.grad is None:
                leaf.grad = owned(found.pop(leaf))
            else:
                held = leaf.grad
                leaf.grad = added(held, found.pop(leaf))
