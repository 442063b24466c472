"""The reverse sweep: the only one.

    delta[last] = seed
    for z, g, (y1, .., yk) in the tape, from the end:
        delta[yi] += DG[g][i](delta[z], z, y1, .., yk)

A delta always has the shape and dtype of its register: what broadcasting spread is summed back, in `fit`, and nowhere
else. With F = `arrays` the deltas are arrays; with F = `recorded` they are tensors, and the sweep itself is on the tape.
Where z is complex, primitives/complex_parts.py says how a rule is to be run.
"""

import threading
from math import inf
from sys import getrefcount

import numpy as np
from numpy import ndarray

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import recorded
from tapegrad.core.refcount import LONE_LOCAL, added, owned
from tapegrad.core.tape import thread
from tapegrad.core.tensor import Tensor, wrap
from tapegrad.errors import ConsumedTapeError, DtypeError, GradientError, ShapeError, ThreadError
from tapegrad.primitives import arrays
from tapegrad.primitives.complex_parts import rules_of_complex

_commit = threading.Lock()


def fit(F, c, shape, dtype):
    """A contribution summed to the shape that it was broadcast from, in the dtype that it was promoted from."""
    if F is not recorded and c.ndim == 2 and shape == c.shape[1:]:
        c = F.sum_rows(c)                               # the delta of a bias
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


def sweep(F, seeds, consume):
    """Walk the tape down from its end, where the registers in `seeds` start with the given deltas; return {leaf: delta}.

    F         the vocabulary the rules are run over: `arrays`, or `recorded` to put the sweep on the tape
    seeds     pairs (register, delta)
    consume   whether the entries that had a delta are used up: they then leave the tape, and free what they saved
    """
    tape, leaves, level, in_place, on_arrays = thread.tape, {}, F.level, F.in_place, F is arrays
    watch = tape.watch
    entries, limit, room = tape.entries, tape.limit, tape.room
    dtype, is_complex = None, False                     # of the entry before: most have the same
    tape.keep_all()                                     # while the tape is walked
    pending = _set_aside(entries) if limit == inf else ()   # a rule of an outer sweep has started this one
    try:
        for register, seed in seeds:
            if type(register) is Leaf:
                leaves[register] = leaves[register] + seed if register in leaves else seed
            elif register.tape is tape:
                register.delta = seed if register.delta is None else register.delta + seed
            else:
                _check(register, tape)
        for entry in reversed(entries):                 # a sweep that is recorded appends behind them
            d = entry.delta
            if d is None:
                continue
            entry.delta = None
            saved = entry.saved if on_arrays else _as_tensors(entry)
            ys, elementwise, shape = entry.ys, entry.g.elementwise, entry.shape
            if entry.dtype is not dtype:
                dtype = entry.dtype
                is_complex = dtype.kind == "c"
            for i, rule in rules_of_complex(entry, level) if is_complex else entry.plan[level]:
                y = ys[i]
                if type(y) is Leaf:                     # Python reads an attribute fast where it is always one class's
                    held, fits = leaves.get(y), elementwise and y.shape == shape and y.dtype is dtype
                elif y.tape is tape:
                    held, fits = y.delta, elementwise and y.shape == shape and y.dtype is dtype
                else:
                    _check(y, tape)
                lone = on_arrays and type(held) is ndarray and getrefcount(held) == LONE_LOCAL and held.base is None
                if lone and rule in in_place and watch is None and in_place[rule](held, d, *saved):
                    continue
                # A call with * takes twice as long as one of three values, which is most of them.
                c = rule(F, d, saved[0], saved[1], saved[2]) if len(saved) == 3 else rule(F, d, *saved)
                if c is None:
                    continue
                if watch is not None:
                    watch(entry, y, c)
                if not fits and (c.shape != y.shape or c.dtype is not y.dtype):
                    c = fit(F, c, y.shape, y.dtype)
                if held is not None:
                    if lone:
                        held += c
                        c = held
                    else:
                        c = held + c
                if type(y) is Leaf:
                    leaves[y] = c
                else:
                    y.delta = c
                held = c = None                         # the delta is the register's alone, and the next is added in place
            if consume:
                entry.tape, entry.saved, entry.ys = None, None, ()
    except BaseException:
        for left in entries:
            left.delta = None
        raise
    finally:
        F.memo.clear()
        if consume and limit < inf:
            entries[:] = [entry for entry in entries if entry.tape is not None]
            if entries:                                 # the next sweep should not walk over what is dead
                tape.reap()
        tape.limit, tape.room = (limit, room) if entries else tape.initial
        for left, delta in pending:
            left.delta = delta
    for leaf in leaves:
        for hook in leaf.hooks:
            leaves[leaf] = hook(leaves[leaf])
    return leaves


def _set_aside(entries):
    """The deltas that are on the way, taken off their entries."""
    pending = [(entry, entry.delta) for entry in entries if entry.delta is not None]
    for entry, _ in pending:
        entry.delta = None
    return pending


def _check(entry, tape):
    if entry.tape is None:
        raise ConsumedTapeError(f"backward: the tape of this result of {entry.g.name} has been consumed by an earlier "
                                "backward(); give that one retain_graph=True, or detach() what is carried over")
    if entry.tape is not tape:
        raise ThreadError(f"backward: this result of {entry.g.name} was recorded by another thread, on its own tape; "
                          "call backward() in the thread that ran the forward pass")


def _as_tensors(entry):
    """What an entry saved, as tensors that are still connected to the tape."""
    z, *rest = entry.saved
    tensors = [None if z is None else wrap(z, entry)]
    for value, y in zip(rest, entry.operands):
        tensors.append(wrap(value, y if type(y) in (Entry, Leaf) else None) if type(value) is np.ndarray else value)
    return (*tensors, *entry.static) if not entry.g.variadic else (*tensors[:2], *entry.static)


def seed_of(loss, gradient, create_graph=False):
    """The delta that a sweep from `loss` starts with: `gradient`, checked, or 1; a tensor with create_graph."""
    seed = _checked_seed(loss, gradient)
    if create_graph:                                    # the tape may save it, and the caller may write into it
        return seed if isinstance(seed, Tensor) else wrap(seed.copy(), None)
    return seed._value if isinstance(seed, Tensor) else seed


def _checked_seed(loss, gradient):
    if gradient is None:
        if loss.size != 1:
            raise GradientError(f"backward: the result has shape {loss.shape}; only a single number has a gradient by "
                                "itself. Sum it, or pass the gradient of what comes after as backward(gradient)")
        if loss.dtype.kind == "c":
            raise GradientError(f"backward: the result is {loss.dtype}, and only a real number has a gradient by itself. Take "
                                "its real part or absolute value, or pass the gradient of what comes after as "
                                "backward(gradient)")
        return np.ones(loss.shape, loss.dtype)
    if not isinstance(gradient, Tensor):
        gradient = np.asarray(gradient)
        if gradient.dtype.kind != "c" or loss.dtype.kind == "c":
            gradient = gradient.astype(loss.dtype, copy=False)
    if gradient.shape != loss.shape:
        raise ShapeError(f"backward: a gradient of shape {gradient.shape} for a result of shape {loss.shape}")
    if gradient.dtype != loss.dtype:
        raise DtypeError(f"backward: a gradient of {gradient.dtype} for a result of {loss.dtype}")
    return gradient


def gradients(loss, gradient=None, retain_graph=False, create_graph=False):
    """{leaf: delta} of a tensor: arrays, or tensors with create_graph. See Tensor.backward."""
    if loss._register is None:
        raise GradientError("backward: this tensor does not require a gradient: no operand of the operations that made "
                            "it has requires_grad=True, or they ran inside no_grad()")
    seed = seed_of(loss, gradient, create_graph)
    with np.errstate(all="ignore"):                     # a derivative that is infinite is no news
        if create_graph:
            return sweep(recorded, [(loss._register, seed)], consume=False)
        return sweep(arrays, [(loss._register, seed)], consume=not retain_graph)


def backward(loss, gradient=None, *, retain_graph=False, create_graph=False):
    """Walk the tape in reverse from this tensor and accumulate the gradients of its leaves in their `.grad`.

    gradient       the delta of this tensor, of its shape and dtype; 1 where it is a single number
    retain_graph   keep the part of the tape that was walked, so that another backward() can walk it
    create_graph   record the walk itself; `.grad` is then a Tensor that can be differentiated again

    Raises GradientError where there is nothing to walk, or no gradient is given for more than one number;
    ConsumedTapeError where an earlier backward() has been; ThreadError for results of another thread.
    Source: Griewank and Walther, Evaluating Derivatives (2008), section 3.2.
    """
    found = gradients(loss, gradient, retain_graph, create_graph)
    with _commit:
        for leaf in list(found):
            if leaf.grad is None:
                leaf.grad = owned(found.pop(leaf))
            else:
                held = leaf.grad
                leaf.grad = added(held, found.pop(leaf))
