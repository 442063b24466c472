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

import threading
from collections.abc import Callable, Sequence
from functools import wraps
from math import prod
from operator import index
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import recorded, wrap
from tapegrad.core.tape import enable_grad, thread, tracer
from tapegrad.core.walk import Part, linked
from tapegrad.errors import DtypeError, GradientError, ShapeError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.transforms.autograd import copied, deltas, own
from tapegrad.transforms.batched import Batched, lowered, open_levels, outside_of, raised, still_open, unwrapped
from tapegrad.transforms.batching import Level
from tapegrad.transforms.outermost import Outermost, ended, outermost
from tapegrad.tree import leaves, rebuild, same
from tapegrad.typing import Array, Tree

Function = Callable[..., Tree]

_FEW = 4                                                # rows of a Jacobian that take as long one after the other
_AT_ONCE = 2 ** 22                                      # elements of the deltas of one register in a sweep for a Jacobian


class _Thread(threading.local):
    run: Run | None = None                              # the innermost run of this thread


_thread = _Thread()


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
        outer, _thread.run = _thread.run, self
        try:
            with enable_grad(), thread.tape.marked() as mark:
                args = rebuild(tuple(args), iter([self._replaced(leaf, own) for leaf in leaves(tuple(args))]))
                self.output = fun(*args, **kwargs)
        finally:
            _thread.run = outer
            if outer is not None:                       # what an inner run made is not outside of this one
                outer.leaves |= self.leaves
        self._note(mark.made(), mark.consumed)

    def _note(self, made: Sequence[Entry], consumed: set[Any]) -> None:
        """Note what the run has put on the tape."""
        self.entries = [entry for entry in made if entry.tape is not None]
        self.consumed = consumed.union([entry for entry in made if entry.tape is None])
        self.used = self._used()
        self.outside = self._read_outside()

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


class _Differentiation(Run):
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
    def of(cls, name: str, run: Outermost) -> _Differentiation:
        """A run that turned out to be more than the outermost one."""
        self = cls.__new__(cls)
        self.name, self.recording, self.as_tensors = name, True, False
        self.inputs, self.leaves, self.output = run.inputs, run.leaves, run.output
        self._note(list(thread.tape.entries), run.consumed)
        self.levels, self.whole, self.aux = (), run.inputs, None
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
        seeds = [seed if isinstance(seed, Tensor) else wrap(seed, None) for seed in seeds] if create else [
            seed._value if type(seed) is Tensor and tracer() is None else seed for seed in seeds]
        found = deltas(outputs, seeds, [x._register for x in self.whole], create_graph=create,
                       part=self.part())
        found = [np.zeros(x.shape, x.dtype) if delta is None else delta for x, delta in zip(self.whole, found)]
        if create:
            found = [self.linked(x, delta) for x, delta in zip(self.whole, found)]
        return _separate([self.result(delta, create) for delta in found], seeds)

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


class _Chosen:
    """A leaf of an argument that is differentiated by."""

    def __init__(self, value: Any) -> None:
        self.value = value


def snapshot(tree: Tree) -> Tree:
    """A structure whose arrays and tensors do not change when the caller's do; tensors keep their registers."""
    return rebuild(tree, iter([
        x._again() if isinstance(x, Tensor) else x.copy() if isinstance(x, np.ndarray) else x for x in leaves(tree)]))


def _separate(found: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Tensors among the results as tensors of their own: a derivative may be the delta that was given, or one of two."""
    taken, separate = {id(x) for x in given}, []
    for x in found:
        if isinstance(x, Tensor) and id(x) in taken:
            x = own(x)
        taken.add(id(x))
        separate.append(x)
    return separate


def _positions(name: str, argnums: int | Sequence[int], args: Sequence[Tree]) -> tuple[int, ...]:
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


def _structured(args: Sequence[Tree], positions: Sequence[int], argnums: int | Sequence[int], found: Sequence[Any]) -> Tree:
    """The list of deltas in the structure of the arguments: one for an int argnums, a tuple for several."""
    if len(found) == 1 and isinstance(argnums, int) and not isinstance(args[positions[0]], (dict, list, tuple)):
        return found[0]
    replacements = iter(found)
    trees = tuple(rebuild(args[i], replacements) for i in positions)
    return trees[0] if isinstance(argnums, int) else trees


_ONE = np.ones(())


def _seed(z: Tensor) -> Array:
    return _ONE if z.shape == () and z.dtype is _ONE.dtype else np.ones(z.shape, z.dtype)


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
        positions = _positions("value_and_grad", argnums, args)
        run = _Differentiation("value_and_grad", fun, args, kwargs, positions, has_aux)
        z = run.scalar()
        value, gradient = run.value(z), _structured(args, positions, argnums, run.pull([z], [_seed(z)]))
        return (value, rebuild(run.aux, iter([
            run.value(x) if isinstance(x, Tensor) else x for x in leaves(run.aux)]))), gradient

    return both


def evaluated(name: str, fun: Function, args: Sequence[Tree], kwargs: dict[str, Any], argnums: int | Sequence[int],
              scalar: bool = True) -> tuple[Any, Tree]:
    """(fun(*args, **kwargs), its gradient); with scalar=False, that of the sum of all its outputs."""
    positions = _positions(name, argnums, args)
    if open_levels() or not outermost(args, positions, _thread):
        run = _Differentiation(name, fun, args, kwargs, positions)
    else:
        alone = Outermost(fun, args, kwargs, positions, _thread)
        z = alone.output
        if type(z) is Tensor and z.dtype.kind == "f" and (z.size == 1 or not scalar):
            found = alone.deltas([z], [_seed(z)])
            if found is not None:
                value = z.detach().data
                del alone, z
                ended()
                return value, _structured(args, positions, argnums, found)
        run = _Differentiation.of(name, alone)
    zs = [run.scalar()] if scalar else [run.real(z) for z in run.outputs(name)]
    gradient = _structured(args, positions, argnums, run.pull(zs, [_seed(z) for z in zs]))
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
    both = value_and_grad(fun, argnums, has_aux=has_aux)

    @wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Tree:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

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
    run = _Differentiation("vjp", fun, primals, {}, range(len(primals)))
    returned = run.outputs(run.name)
    outs = snapshot(returned)                           # the caller may write into what is returned

    def pullback(delta: Tree) -> tuple[Tree, ...]:
        if not same(run.output, delta):
            raise ShapeError("vjp: the delta's structure is not that of the function's value")
        seeds = [_checked("vjp", seed, z) for seed, z in zip(leaves(delta), outs)]
        on_tape = run.recording and any(isinstance(seed, Tensor) and seed._register is not None for seed in seeds)
        found: tuple[Tree, ...] = _structured(primals, range(len(primals)), (), run.pull(outs, seeds, on_tape))
        return found

    return rebuild(run.output, iter([run.value(z) for z in returned])), pullback


def _checked(name: str, seed: Any, z: Tensor) -> Any:
    if not isinstance(seed, Tensor):
        if np.iscomplexobj(seed) and z.dtype.kind != "c":
            raise DtypeError(f"{name}: a complex vector for a value of {z.dtype}")
        seed = np.asarray(seed, dtype=z.dtype)
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
    run = _Differentiation("jvp", fun, tuple(primals), {}, range(len(primals)))
    outs = run.outputs(run.name)
    directions = run.lowered([_checked("jvp", t, x) for t, x in zip(leaves(tuple(tangents)), run.inputs)])
    whole = run.lowered(outs)
    with enable_grad(), thread.tape.marked() as mark:
        seeds = [Tensor(np.zeros(z.shape, z.dtype), requires_grad=True) for z in whole]
        if _thread.run is not None:                   # a run around us need not keep track of these
            _thread.run.leaves.update(seed._register for seed in seeds)
        with outside_of(run.levels):
            pulled = run.pull_whole(whole, seeds, on_tape=True)
    create = run.nested or run.recording and any(isinstance(t, Tensor) and t._register is not None for t in directions)
    linear = [(g, t) for g, t in zip(pulled, directions) if g._register is not None]
    with enable_grad(), outside_of(run.levels):
        found = deltas([g for g, _ in linear],
                       [(t if isinstance(t, Tensor) else wrap(t, None)) if create or tracer() is not None
                        else t._value if type(t) is Tensor else t
                        for _, t in linear], [seed._register for seed in seeds], create_graph=create,
                       part=run.part(mark.made()))
    moved = _separate([run.result(np.zeros(z.shape, z.dtype) if delta is None else delta, create)
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
        positions = _positions("jacobian", argnums, args)
        run = _Differentiation("jacobian", fun, args, kwargs, positions)
        blocks = []
        for z in map(run.real, run.outputs(run.name)):
            blocks.append(_structured(args, positions, argnums, _rows_of_jacobian(run, z)))
        return rebuild(run.output, iter(blocks))

    return matrix


def _rows_of_jacobian(run: _Differentiation, z: Tensor) -> list[Any]:
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


def _as_given(run: _Differentiation, z: Tensor) -> Any:
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
