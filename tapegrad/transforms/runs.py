"""A run of a function on tensors of its own, and how it is differentiated: what grad, vjp, checkpoint and others stand on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import wrap
from tapegrad.core.tape import TapeBase, enable_grad, thread, tracer
from tapegrad.core.walk import Part, linked
from tapegrad.errors import DtypeError, GradientError, ThreadError, describe, is_sparse
from tapegrad.functions.tensor import Tensor
from tapegrad.transforms.autograd import copied, deltas, own
from tapegrad.transforms.batched import Batched, lowered, open_levels, outside_of, raised, still_open
from tapegrad.transforms.outermost import Outermost
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import Array, Tree

Function = Callable[..., Tree]


class _Thread(threading.local):
    run: Run | None = None                              # the innermost run of this thread


running = _Thread()


class Run:
    """One run of a function on tensors of its own.

    inputs    those tensors as they were passed, in the order of the arguments' leaves
    output    what the function returned
    entries   what it put on the tape
    used      those of them that the output was computed from. (The others may have left the tape by themselves.)
    outside   the registers of other people's tensors that these read, or that the function returned
    consumed  what it consumed of that itself
    """

    def __init__(self, fun: Function, args: Sequence[Tree], kwargs: dict[str, Any],
                 own: Callable[[Any], Tensor | None]) -> None:
        """`own` takes a leaf of the arguments and returns a tensor that stands for it, or None where it is passed on."""
        self.inputs: list[Tensor] = []
        self.leaves: set[Any] = set()
        outer, running.run = running.run, self
        try:
            with enable_grad(), thread.tape.marked() as mark:
                args = rebuild(tuple(args), iter([self._replaced(leaf, own) for leaf in leaves(tuple(args))]))
                self.output = fun(*args, **kwargs)
        finally:
            running.run = outer
            if outer is not None:                       # what an inner run made is not outside of this one
                outer.leaves |= self.leaves
        self._note(mark.made(), mark.consumed)

    def _note(self, made: Sequence[Entry], consumed: set[Any]) -> None:
        """Note what the run has put on the tape."""
        self.entries = [entry for entry in made if entry.tape is not None]
        self.consumed = consumed.union([entry for entry in made if entry.tape is None])
        self.used = self._used()
        self.outside = self._read_outside()
        for y in self.outside:
            if type(y) is Entry and isinstance(y.tape, TapeBase) and y.tape is not thread.tape:
                self._refuse_detour(y)

    def _replaced(self, leaf: Any, own: Callable[[Any], Tensor | None]) -> Any:
        x = own(leaf)
        if x is None:
            return leaf
        self.inputs.append(x._again())                  # the function may write into its argument, which is then a result
        if type(x._register) is Leaf:
            self.leaves.add(x._register)
        return x

    def _used(self) -> list[Entry]:
        needed, found = {z._register for z in leaves(self.output) if isinstance(z, Tensor)}, []
        for entry in reversed(self.entries):
            if entry in needed:
                needed.update([y for y in entry.operands if type(y) is Entry])      # a tensor is asked for no hash
                found.append(entry)
        return found[::-1]

    def _read_outside(self) -> list[Any]:
        inside = self.leaves.union(self.entries, self.consumed)
        passed = {x._register for x in self.inputs}
        read = [y for entry in self.used if entry not in passed for y in entry.operands]
        read += [z._register for z in leaves(self.output) if isinstance(z, Tensor)]
        return list(dict.fromkeys([y for y in read if type(y) in (Entry, Leaf) and y not in inside]))

    def _refuse_detour(self, result: Entry) -> None:
        """ThreadError for a result of another thread that was computed from what is the run's: its part would be lost."""
        inside, seen, todo = self.leaves.union(self.entries), set[Any](), [result]
        while todo:
            entry = todo.pop()
            seen.add(entry)
            registers = [y for y in entry.operands if type(y) in (Entry, Leaf)]
            if not inside.isdisjoint(registers):
                raise ThreadError(f"the function's value depends on a result of {result.g.name} that another thread has "
                                  "computed from its argument, on that thread's tape: the gradient would be lost; compute it "
                                  "in the thread that differentiates")
            todo += [y for y in registers if type(y) is Entry and y not in seen]

    def part(self, more: Sequence[Entry] = (), wanted: Sequence[Any] = ()) -> Part:
        """What a sweep over this run walks: its entries, and more of them, down to what is from outside."""
        consumed = self.consumed.union([entry for entry in self.entries if entry.tape is None])   # since, by a sweep around
        return Part([*self.entries, *more], consumed, dict.fromkeys(wanted))

    def forget(self) -> None:
        """Take the run off the tape. What the function has given away of it can't be walked back."""
        gone = set(self.entries)
        entries = thread.tape.entries
        start = len(entries)
        while start and entries[start - 1] in gone:
            start -= 1
        del entries[start:]
        for entry in self.entries:
            entry.tape, entry.saved, entry.ys = None, None, ()

    def outputs(self, name: str) -> list[Tensor]:
        """The leaves of the output, all of them tensors."""
        found = leaves(self.output)
        for z in found:
            if not isinstance(z, Tensor):
                raise DtypeError(f"{name}: the function returned {describe(z)}; a tensor is needed")
        return found


class Differentiation(Run):
    """A run to differentiate by some of the arguments, and how its caller gets values and gradients."""

    def __init__(self, name: str, fun: Function, args: Sequence[Tree], kwargs: dict[str, Any],
                 positions: Sequence[int], aux: bool = False) -> None:
        self.name = name
        self.recording = thread.tape.recording
        self.levels = open_levels()                     # of vmap: inside of it, each example has its own delta of everything
        chosen = [leaf for i in positions for leaf in leaves(args[i])]
        self.as_tensors = bool(self.levels) or any(isinstance(leaf, Tensor) for leaf in chosen)
        owned = rebuild(tuple(args[i] for i in positions), iter([_Chosen(leaf) for leaf in map(self._checked, chosen)]))
        args = list(args)
        for i, tree in zip(positions, owned):
            args[i] = tree
        super().__init__(fun, args, kwargs, self._own)
        self.whole: list[Any] = [x._whole() for x in self.inputs]
        self.aux: Any = None
        if aux:
            if not isinstance(self.output, tuple) or len(self.output) != 2:
                raise TypeError(f"{name}: with has_aux=True the function returns (value, aux), not {describe(self.output)}")
            self.output, self.aux = self.output
        self.nested = self.recording and (bool(self.outside) or any(type(x._register) is Entry for x in self.inputs))

    def _checked(self, x: Any) -> Any:
        """A leaf to differentiate by, batched at every level that is open."""
        x = x if isinstance(x, Tensor) else np.array(x)
        if x.dtype.kind not in "fc":
            raise DtypeError(f"{self.name}: an argument of {x.dtype} has no gradient; make it a float")
        return lowered(x, self.levels)

    @classmethod
    def of(cls, name: str, run: Outermost) -> Differentiation:
        """A run that turned out to be more than the outermost one."""
        self = cls.__new__(cls)
        self.name, self.recording, self.as_tensors = name, True, False
        self.inputs, self.leaves, self.output = run.inputs(), run.leaves, run.output
        self._note(list(thread.tape.entries), run.consumed)
        self.levels, self.whole, self.aux = (), self.inputs, None
        self.nested = bool(self.outside)
        return self

    def _own(self, leaf: Any) -> Tensor | None:
        if not isinstance(leaf, _Chosen):
            return None
        x = leaf.value
        if isinstance(x, Tensor) and x._register is not None and self.recording:
            x = own(x)
        elif self.levels:                               # a tensor of our own: what all examples share is one view for them
            x = wrap(x.detach()._data, Leaf(x.shape, x.dtype))
        else:
            x = Tensor(x.detach() if isinstance(x, Tensor) else x, requires_grad=True)
        return raised(x, self.levels)                   # type: ignore[no-any-return]

    def scalar(self) -> Tensor:
        z = self.output
        if not isinstance(z, Tensor) and np.size(z) == 1 and isinstance(z, (int, float, np.ndarray, np.generic)):
            raise GradientError(f"{self.name}: the function returned {describe(z)}, a number without a history: its gradient "
                                "was lost on the way, as by .item() or .data; return a tensor (tg.tensor(..) of a constant)")
        if not isinstance(z, Tensor) or z.size != 1:
            raise GradientError(f"{self.name}: the function returned {describe(z)}; a single number is needed, as by .sum()")
        return self.real(z)

    def real(self, z: Tensor) -> Tensor:
        if z.dtype.kind == "c":
            raise GradientError(f"{self.name}: the function returned {describe(z)}, and only a real number has a gradient; "
                                "take its real part, its imaginary part or its absolute value")
        return z

    def pull(self, outputs: Sequence[Tensor], seeds: Sequence[Any], on_tape: bool = False) -> list[Any]:
        """The deltas of the inputs for given deltas of outputs; zeros where an output does not depend on an input."""
        if not self.levels:
            return self.pull_whole(outputs, seeds, on_tape)
        ends, starts = self.lowered(outputs), self.lowered(seeds)
        with outside_of(self.levels):
            found = self.pull_whole(ends, starts, on_tape)
        return [raised(delta, self.levels) for delta in found]

    def lowered(self, xs: Sequence[Any]) -> list[Any]:
        """Tensors, or arrays, with the examples along their first axes; an error where the run under vmap has ended."""
        still_open(self.name, self.levels)
        return [lowered(x, self.levels) for x in xs]

    def pull_whole(self, outputs: Sequence[Tensor], seeds: Sequence[Any], on_tape: bool = False) -> list[Any]:
        """What `pull` gives, of all examples at once."""
        create = (self.nested or on_tape) and thread.tape.recording      # a pullback may be called under no_grad
        seeds = [on_the_tape(seed) for seed in seeds] if create else [
            seed.detach()._value if type(seed) is Tensor and tracer() is None else seed for seed in seeds]
        found = deltas(outputs, seeds, [x._register for x in self.whole], create_graph=create,
                       part=self.part())
        found = [np.zeros(x.shape, x.dtype) if delta is None else delta for x, delta in zip(self.whole, found)]
        if create:
            found = [self.linked(x, delta) for x, delta in zip(self.whole, found)]
        return separate([self.result(delta, create) for delta in found], seeds)

    def linked(self, x: Tensor, delta: Any) -> Any:
        """A gradient that is a constant on the tape, as a function of the argument."""
        if type(x._register) is Entry:
            delta = delta if isinstance(delta, Tensor) else wrap(delta, None)
            if delta._register is None and type(delta) is Batched:
                return Batched(delta._level, self.linked(x, delta._inner))
            return linked(delta, x._register.ys[0]) if delta._register is None else delta
        return delta

    def result(self, delta: Any, on_tape: bool = False) -> Any:
        if isinstance(delta, Tensor):
            return delta if on_tape else delta.detach()
        if self.levels and tracer() is None:            # of seeds of our own: nobody else writes into it
            return wrap(np.asarray(delta), None)
        delta = copied(delta)
        if self.as_tensors or on_tape:
            return wrap(delta, None)
        if (listener := tracer()) is not None:
            listener.leaves(delta)
        return delta

    def value(self, z: Tensor) -> Any:
        """An output as the caller gets it."""
        if self.nested:
            return z
        return z.detach() if self.as_tensors else z.detach().data


def on_the_tape(seed: Any) -> Tensor:
    """What a recorded sweep starts with."""
    return seed if isinstance(seed, Tensor) else wrap(seed, None)


class _Chosen:
    """A leaf of an argument that is differentiated by."""

    def __init__(self, value: Any) -> None:
        self.value = value


def snapshot(tree: Tree) -> Tree:
    """A structure whose arrays and tensors do not change when the caller's do; tensors keep their registers."""
    return rebuild(tree, iter([x._again() if isinstance(x, Tensor) else unshared(x) for x in leaves(tree)]))


def unshared(x: Any) -> Any:
    """A copy of an array or a sparse matrix, into which the caller may write; anything else as it is."""
    return x.copy() if isinstance(x, np.ndarray) or is_sparse(x) else x


def separate(found: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Tensors among the results as tensors of their own: a derivative may be the delta that was given, or one of two."""
    taken, separate = {id(x) for x in given}, []
    for x in found:
        if isinstance(x, Tensor) and id(x) in taken:
            x = own(x)
        taken.add(id(x))
        separate.append(x)
    return separate


def positions_of(name: str, argnums: int | Sequence[int], args: Sequence[Tree]) -> tuple[int, ...]:
    if type(argnums) is int and 0 <= argnums < len(args):
        return (argnums,)
    try:
        positions = tuple([index(i) for i in ((argnums,) if isinstance(argnums, int) else argnums)])
    except TypeError:
        raise TypeError(f"{name}: argnums={argnums!r}; expected the position of an argument, or several") from None
    for i in positions:
        if not -len(args) <= i < len(args):
            raise TypeError(f"{name}: argnums={argnums}, but the function was called with {len(args)} arguments")
    positions = tuple([i % len(args) for i in positions])
    if len(set(positions)) < len(positions):
        raise ValueError(f"{name}: argnums={argnums} has the same argument twice")
    return positions


def structured(args: Sequence[Tree], positions: Sequence[int], argnums: int | Sequence[int], found: Sequence[Any]) -> Tree:
    """The list of deltas in the structure of the arguments: one for an int argnums, a tuple for several."""
    if len(found) == 1 and isinstance(argnums, int) and not isinstance(args[positions[0]], (dict, list, tuple)):
        return found[0]
    replacements = iter(found)
    trees = tuple(rebuild(args[i], replacements) for i in positions)
    return trees[0] if isinstance(argnums, int) else trees


_ONE = np.ones(())


def unit_seed(z: Tensor | Array) -> Array:
    return _ONE if z.shape == () and z.dtype is _ONE.dtype else np.ones(z.shape, z.dtype)
