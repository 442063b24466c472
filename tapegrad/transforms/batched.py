"""Batching: a tensor that stands for each of several examples, and how an operation on it is done for all of them at once.

A function under vmap is run once. Of each argument that is mapped it gets a `Batched`: a tensor with the shape of one example,
around a tensor that has all of them along its first axis. The tape sees the latter only. Recorders notice a Batched as they do
whatever is not plainly a tensor, and hand the operation over to it (`_operate`): the rule of its row (batching.py) says how the
same is computed for all examples at once, by other rows; where there is no rule, the operation is done for one example after
the other, and the results stacked. So what is on the tape is differentiated as ever, and derivatives need no rules of their
own: for what all examples share, a sweep sums over them.

Where vmap is inside of vmap, the tensor around which a Batched stands is itself Batched, of a level further out. A function
that is differentiated inside has its arguments batched at every level that is open, so that the deltas of one example stay
apart from those of another: `lowered` takes the levels off and shows all examples, `raised` puts them back.

The design is that of JAX's BatchTrace; see Bradbury et al., JAX: composable transformations of Python+NumPy programs (2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from tapegrad.core.record import drawn, recorded, recorder, taken_over, wrap
from tapegrad.core.tape import thread
from tapegrad.errors import ShapeError, VmapError, describe
from tapegrad.functions.arguments import like, static
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive, table
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import Array, Tree

if TYPE_CHECKING:
    from tapegrad.core.entry import Entry, Leaf

Rule = Callable[..., Any]
rules: dict[str, Rule] = {}                             # by the name of a row: batching.py
of_static: set[str] = set()                             # the rows whose rule takes static arguments that differ by example
_serial = count()


class Level:
    """One run of a function under vmap: `with Level(size) as level:` while it lasts.

    size     the number of examples
    serial   levels that were opened later, and so are further in, have a higher one
    open     whether the run goes on
    """

    __slots__ = ("size", "serial", "open")

    def __init__(self, size: int) -> None:
        self.size, self.serial, self.open = size, next(_serial), False

    def __enter__(self) -> Level:
        self.open = True
        thread.tape.levels.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        thread.tape.levels.remove(self)
        self.open = False

    def drawn(self, generator: Callable[[], np.random.Generator], g: Callable[[np.random.Generator], Any]) -> Tensor:
        """g(generator()), once for each example of each level that is open."""
        levels = open_levels()
        with outside_of(levels):
            if generator() is not generator():          # a seed, with which each example starts anew: all draw the same
                return drawn(generator, g)
            z = drawn(generator, lambda numbers: _several(g, numbers, [level.size for level in levels]))
        return raised(z, levels)                        # type: ignore[no-any-return]


def _several(g: Callable[[np.random.Generator], Any], numbers: np.random.Generator, sizes: Sequence[int]) -> Array:
    draws = [np.asarray(g(numbers)) for _ in range(int(np.prod(sizes)))]
    return np.reshape(draws, (*sizes, *draws[0].shape))


class StandIn(np.ndarray[Any, Any]):
    """An array with the shape and dtype of an example, and no elements: it may be asked for those only."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        raise _looked_at(self)


_DEEPEST = 4


@cache
def _element(dtype: np.dtype[Any]) -> bytes:
    """What is there where code looks at the elements all the same: NaN, or an integer that is no position."""
    poison = np.nan if dtype.kind in "fc" else True if dtype.kind == "b" else np.iinfo(dtype).min or np.iinfo(dtype).max
    return np.full((), poison, dtype).tobytes()


def _looked_at(x: Any) -> VmapError:
    return VmapError(f"vmap: the function looks at the elements of {describe(x)}, as bool(x), an if, float(x), .item(), .data "
                     "or a mask as an index do; they differ by example. Write tg.where(condition, x, y) for an if, and "
                     "functions of tapegrad for those of arrays")


class Batched(Tensor):
    """A tensor that stands for one example, and for each of the others. `_inner` has all of them along its first axis."""

    __slots__ = ("_level", "_inner", "_like", "_depth")

    _level: Level
    _inner: Tensor
    _like: Array
    _depth: int                                         # how often a function has handed it to NumPy's of the same name

    def __init__(self, level: Level, inner: Tensor, depth: int = 0) -> None:
        self._level, self._inner, self._depth = level, inner, depth

    # What there is of an example

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis of an example."""
        return self._inner.shape[1:]

    @property
    def ndim(self) -> int:
        """The number of axes of an example."""
        return self._inner.ndim - 1

    @property
    def size(self) -> int:
        """The number of elements of an example."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements, a NumPy dtype."""
        return self._inner.dtype

    @property
    def _array(self) -> Array:
        if not hasattr(self, "_like"):
            shape, dtype = self.shape, self.dtype
            self._like = StandIn(shape, dtype, _element(dtype), 0, (0,) * len(shape))
        return self._like

    # What differs by example

    @property
    def _value(self) -> Array:
        raise _looked_at(self)

    _data = _value

    def _to_look_at(self) -> Batched:
        """A constant that NumPy's functions take. Where such a function is made of NumPy's, this would go round in circles."""
        if self._depth > _DEEPEST:
            raise _looked_at(self)
        return Batched(self._level, self._inner.detach(), self._depth + 1)

    def _lend(self) -> Array:
        raise _looked_at(self)

    def _take_back(self) -> Array:
        raise _looked_at(self)

    def __repr__(self) -> str:
        return f"tensor({describe(self)}, one of {self._level.size} examples under vmap)"

    # The register is that of all examples

    @property
    def _register(self) -> Entry | Leaf | None:         # type: ignore[override]
        return self._inner._register

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows back through the tensor."""
        return self._inner.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted != self.requires_grad:
            raise VmapError("vmap: requires_grad of an example can't be set; use tg.grad of a function inside of vmap")

    def backward(self, gradient: Any = None, **options: bool) -> None:
        """VmapError: gradients inside of vmap are those of a function, tg.grad."""
        raise VmapError("vmap: backward() inside of vmap; use tg.vmap(tg.grad(fun)), or call backward() on what vmap returns")

    def retain_grad(self) -> None:
        """VmapError."""
        raise VmapError("vmap: an example keeps no gradient; use tg.grad inside of vmap")

    def register_hook(self, function: Callable[[Any], Any]) -> Callable[[], None]:
        """VmapError."""
        raise VmapError("vmap: a hook of one example; register it on a tensor outside of vmap")

    def _whole(self) -> Tensor:
        return self._inner._whole()                     # type: ignore[return-value]

    def detach(self) -> Batched:
        """The same value as a constant: nothing flows back through it."""
        return Batched(self._level, self._inner.detach())

    def _again(self) -> Batched:
        return Batched(self._level, self._inner._again())

    def _become(self, other: Any) -> None:
        if other._level is not self._level:
            raise VmapError("vmap: a value that differs by example of an inner vmap is written into a tensor of an outer one; "
                            "make a new tensor, as by tg.stack")
        self._inner = other._inner

    def _refuse_write(self, what: str) -> None:
        self._inner._refuse_write(what)

    def _write(self, z: Any) -> None:
        self._become(z)

    # Operations

    def _operate(self, row: Primitive, operands: Any, static: tuple[Any, ...]) -> Tensor:
        """row(*operands, *static) for all examples of the level furthest in."""
        level = self._level
        for x in _batched((*operands, *static)):
            if not x._level.open:
                raise VmapError(f"{row.name}: vmap has returned, and the function has let {describe(x)}, which stands for one "
                                "example, get out of it, as by a list or an attribute; return it from the function")
            if x._level.serial > level.serial:
                level = x._level
        rule = rules.get(row.name) if table.get(row.name) is row or row.name == "alias" else None
        if rule is None:
            rule = rules["pointwise"] if row.pointwise else one_by_one
        if static and row.name not in of_static and any([x._level is level for x in _batched(static)]):
            rule = one_by_one
        tape = thread.tape                              # outside_of(level), in a third of the time
        before, tape.levels = tape.levels, [other for other in tape.levels if other is not level]
        try:
            return Batched(level, rule(row, level, operands, static))
        finally:
            tape.levels = before


def _batched(xs: Any) -> list[Batched]:
    found = []
    for x in xs:
        if isinstance(x, Batched):
            found.append(x)
        elif type(x) in (tuple, list):
            found += _batched(x)
    return found


@cache
def _own_recorder(row: Primitive) -> Any:
    return recorder(row)


def run(row: Primitive, operands: Sequence[Any], static: tuple[Any, ...] = ()) -> Any:
    """z = row(*operands, *static), recorded."""
    op = getattr(recorded, row.name) if table.get(row.name) is row else _own_recorder(row)
    return op(operands, *static) if row.variadic else op(*operands, *static)


def one_by_one(row: Primitive, level: Level, operands: Any, static: tuple[Any, ...]) -> Any:
    """The rule of rows without one: the operation for one example after the other, and the results stacked."""
    if not level.size:
        raise ShapeError(f"{row.name}: vmap over no examples, and the operation can't say which shape its result would have")
    results = [run(row, [_example(x, level, i) for x in operands], _static_example(static, level, i))
               for i in range(level.size)]
    if len({z.shape for z in results}) > 1:
        raise VmapError(f"{row.name}: under vmap, results of different shapes: {', '.join(map(describe, results[:5]))}, ..")
    return recorded.stack(results, 0)


def looped(fun: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator of functions that look at elements: inside of vmap they are called for one example after the other."""
    @wraps(fun)
    def function(*args: Any, **kwargs: Any) -> Tensor:
        levels = thread.tape.levels
        if not levels:
            return fun(*args, **kwargs)
        found = _batched(leaves(args) + leaves(kwargs))
        if not found:
            with outside_of(levels):
                return fun(*args, **kwargs)
        level = max([x._level for x in found], key=lambda level: level.serial)
        with outside_of((level,)):
            results = [function(*_of_example(args, level, i), **_of_example(kwargs, level, i)) for i in range(level.size)]
            return Batched(level, recorded.stack(results, 0))

    return function


def _of_example(tree: Tree, level: Level, i: int) -> Tree:
    return rebuild(tree, iter([_example(x, level, i) for x in leaves(tree)]))


def is_mapped(x: Any, level: Level) -> bool:
    """Whether x differs by example of this level."""
    return isinstance(x, Batched) and x._level is level


def inner(x: Any, level: Level) -> Any:
    """All examples of x along the first axis; x itself where they share it."""
    return x._inner if is_mapped(x, level) else x


def _example(x: Any, level: Level, i: int) -> Any:
    return recorded.getitem(x._inner, i) if is_mapped(x, level) else x


def _static_example(x: Any, level: Level, i: int) -> Any:
    if type(x) is tuple:
        return tuple([_static_example(part, level, i) for part in x])
    return static(_example(x, level, i)) if is_mapped(x, level) else x


def spread(x: Any, level: Level) -> Any:
    """All examples of x along the first axis, of what they share, too."""
    return x._inner if is_mapped(x, level) else recorded.broadcast_to(x, (level.size, *like(x).shape))


# Taking levels off and putting them on


def open_levels() -> tuple[Level, ...]:
    """The levels of the runs that this thread is in, from the outermost."""
    return tuple(thread.tape.levels)


@contextmanager
def outside_of(levels: Sequence[Level]) -> Iterator[None]:
    """`with outside_of(levels):` what is done for all their examples at once, or for one by itself."""
    tape = thread.tape
    before, tape.levels = tape.levels, [level for level in tape.levels if level not in levels]
    try:
        yield
    finally:
        tape.levels = before


def unwrapped(x: Any, level: Level) -> Any:
    """A tensor or array with the examples of the level along a new first axis."""
    if isinstance(x, Batched) and x._level is not level and x._level.serial > level.serial:
        return Batched(x._level, _exchanged(unwrapped(x._inner, level)))
    return spread(x, level)


def wrapped(x: Any, level: Level) -> Batched:
    """The reverse of unwrapped."""
    if isinstance(x, Batched) and x._level.serial > level.serial:
        return Batched(x._level, wrapped(_exchanged(x._inner), level))
    return Batched(level, x if isinstance(x, Tensor) else wrap(x, None))


def _exchanged(x: Tensor) -> Tensor:
    return recorded.transpose(x, (1, 0, *range(2, x.ndim)))


def lowered(x: Any, levels: Sequence[Level]) -> Any:
    """x with the examples of all these levels along new first axes, from the outermost."""
    for level in reversed(levels):
        x = unwrapped(x, level)
    return x


def raised(x: Any, levels: Sequence[Level]) -> Any:
    """The reverse of lowered."""
    for level in levels:
        x = wrapped(x, level)
    return x


def still_open(name: str, levels: Sequence[Level]) -> None:
    """VmapError where a run under vmap, in which something was made, has ended."""
    if not all(level.open for level in levels):
        raise VmapError(f"{name}: it was made inside of a function under vmap that has returned; use it there")


def holds_batched(xs: Any) -> bool:
    """Whether there is a tensor that stands for an example among them."""
    return taken_over(tuple(xs)) is not None
