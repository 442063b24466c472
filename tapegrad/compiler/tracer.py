"""Tracing: a run of a function, for real, of which every operation becomes a node.

Recorders (core/record.py) tell the tracer of a thread the operands' arrays and the result. Tensors have value semantics, so
an array stands for its value, and the tracer knows it by its identity: {id(array): node}. Small arrays are kept alive; a
large one is forgotten when it dies, so that a trace needs little more memory than the run itself. An array that no input
leads to is a constant of the graph.

A node says nothing about what was recorded. So where an operation that was recorded reads a value that has no register
(of detach(), or computed under no_grad) and that depends on an input with one, a node `stop` without a derivative is put
between: derivatives of the graph are those of the tape.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any
from weakref import ref

import numpy as np

from tapegrad.core.constants import private
from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.tape import listening, thread
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import CompileError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive
from tapegrad.primitives.node import Node, lifted
from tapegrad.tree import leaves, rebuild

VALUES = (bool, int, float, complex, str, bytes, np.generic, np.ndarray, np.dtype, range, slice, type, type(None),
          FunctionType, ModuleType, Enum)               # results that are no tensors, and are the same at each replay
GUARDED = 64                            # elements: a larger array that a function looks at is no guard
LARGE = 4096                            # bytes of an array that is not kept alive
HOME = str(Path(__file__).parents[1])
STOP = Primitive("stop", lambda x: x, (None,), view=True)


class Held:
    """A tensor that the trace knows without an array that is its alone: an input, or one that has lent its array."""

    __slots__ = ("tensor", "node", "array", "at")

    def __init__(self, tensor: Tensor, node: Node | None, array: Any, at: int | None = None) -> None:
        self.tensor, self.node, self.array, self.at = tensor, node, array, at


class Effect:
    """`function(*args, **kwargs)`, to be done again at each replay. Tensors among the arguments are Slots.

    flat    whether it is called without keywords, and no argument is a structure
    """

    __slots__ = ("function", "args", "kwargs", "where", "flat")

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any, where: str) -> None:
        self.function, self.args, self.kwargs, self.where = function, args, kwargs, where
        self.flat = not kwargs and not any([isinstance(x, (dict, list, tuple)) for x in args])


class Slot:
    """A tensor of a recording: the input at a position, or the value of a node."""

    __slots__ = ("at", "node", "live", "place")

    def __init__(self, at: int | None = None, node: Node | None = None, live: bool = False) -> None:
        self.at, self.node, self.live = at, node, live
        self.place = -1                                 # among the outputs of the program


class Tracer:
    """Listens to this thread while `with tracer.listens():`.

    inputs    the tensors that are inputs, as Held, in order
    reads     [(node, its value, the line)]: the elements that the function has looked at
    effects   what it did besides computing, in order
    reason    why it can't be replayed, or None
    """

    def __init__(self, name: str, strict: bool) -> None:
        self.name, self.strict = name, strict
        self.inputs: list[Held] = []
        self.reads: list[tuple[Node, Any, str]] = []
        self.effects: list[Effect] = []
        self.reason: str | None = None
        self.where = ""
        self.nodes: dict[int, Node] = {}
        self.kept: list[Any] = []
        self.watched: dict[int, ref[Any]] = {}
        self.constants: set[int] = set()                # ids of arrays of tensors that were made meanwhile
        self.held: dict[int, Held] = {}                 # by the tensor's id and its register's
        self.changed: set[int] = set()                  # ids of tensors that an effect has changed
        self.reach: set[Node] = set()                   # what depends on an input that requires a gradient
        self.stops: dict[Node, Node] = {}
        self.draws: list[tuple[Node, Any, Any, Any]] = []
        self.states: dict[int, str] = {}                # of random generators that the function can reach
        self.lendings: list[tuple[Tensor, Any]] = []
        self.drawing = self.raised = self.of_arrays = False

    @contextmanager
    def listens(self) -> Iterator[None]:
        tape = thread.tape
        tape.tracer = self
        listening.append(self)
        try:
            yield
        finally:
            tape.tracer = None
            listening.remove(self)

    @contextmanager
    def silence(self) -> Iterator[None]:
        tape = thread.tape
        before, tape.tracer = tape.tracer, None
        try:
            yield
        finally:
            if self.reason is None:
                tape.tracer = before

    def add_input(self, x: Tensor) -> None:
        """Have a tensor that is there before the run as an input."""
        if x._data is not None and id(x._data) in self.nodes:
            x._data = x._data.copy()                    # two inputs that share an array are two values
        array = x._array
        node = Node(None, (), (), array.shape, array.dtype)
        held = Held(x, node, array if x._data is not None else array.copy(), len(self.inputs))
        self.inputs.append(held)
        self.held[id(x)] = held
        if x._register is not None:
            self.held[id(x._register)] = held
            self.reach.add(node)
        if x._data is not None:
            self._keep(array, node)

    def draw(self, generator: Callable[[], np.random.Generator], g: Callable[[np.random.Generator], Any]) -> Any:
        """Random numbers, g(generator()): an input of their own, drawn at each replay."""
        self.drawing = True
        source = generator()
        if (before := self.states.get(id(source))) is not None and before != repr(source.bit_generator.state):
            self.refuse("it draws from a random generator")
        array = g(source)
        self.drawing = False
        if id(source) in self.states:
            self.states[id(source)] = repr(source.bit_generator.state)
        node = Node(None, (), (), array.shape, array.dtype)
        self.draws.append((node, generator, g, array))
        self._keep(array, node)
        return array

    def _keep(self, array: Any, node: Node) -> None:
        self.nodes[id(array)] = node
        self._watch(array)

    def _watch(self, array: Any) -> None:
        """Know an array by its identity for as long as it lives."""
        if array.nbytes > LARGE:
            self.watched[id(array)] = ref(array, partial(self._gone, id(array)))
        else:
            self.kept.append(array)

    def _gone(self, identity: int, _array: Any) -> None:
        self.nodes.pop(identity, None)
        self.constants.discard(identity)
        self.watched.pop(identity, None)

    def is_known(self, array: Any) -> bool:
        """Whether the trace has met an array."""
        return id(array) in self.nodes or id(array) in self.constants

    def detach(self, reason: str) -> None:
        """Note why this can't be replayed, and listen no longer."""
        if self.reason is None:
            self.reason, self.where = reason, users_line()
            thread.tape.tracer = None

    def refuse(self, reason: str) -> None:
        """Note why this can't be replayed, and listen no longer, or raise it; the run goes on as it would have."""
        if self.reason is not None:
            return
        self.detach(reason)
        if self.strict:
            raise CompileError(f"compile: {self.name} can't be replayed: {reason}, {self.where}")

    # What recorders and tensors tell

    def operation(self, row: Primitive, xs: Any, values: Any, static: tuple[Any, ...], z: Tensor) -> None:
        """z = row(*xs, *static) has run on the arrays `values`; xs are tensors, registers, arrays or numbers."""
        zd, nodes, reach = z._data, self.nodes, self.reach
        live, reaches, computed, alias = z._register is not None, False, False, False
        operands: list[Any] = []
        for x, value in zip(xs, values):
            y = value
            if isinstance(value, np.ndarray):
                y = nodes.get(id(value))
                if y is None:
                    y = self._unknown(x, value)
                if type(y) is Node:
                    computed = True
                    if y in reach:
                        register = x._register if isinstance(x, TensorBase) else x if type(x) in (Entry, Leaf) else None
                        if live and register is None:
                            y = self._stopped(y)
                        else:
                            reaches = True
                if value is zd:                         # the same value
                    alias, operands = True, [y]
                    break
            operands.append(y)
        if self.reason is not None:
            return
        if alias:
            if type(operands[0]) is Node:
                self._keep(zd, operands[0])
            else:
                self._constant(zd)
            return
        if static:
            static, more = self._static(static)
            if more:
                row, operands, static, computed = lifted(row, len(operands), static), [*operands, *more], (), True
        if not computed:
            self._constant(zd)
            return
        node = Node(row, tuple(operands), static, zd.shape, zd.dtype)       # type: ignore[union-attr]
        if reaches:
            reach.add(node)
        nodes[id(zd)] = node
        if zd.nbytes > LARGE:
            self._watch(zd)
        else:
            self.kept.append(zd)

    def hashed(self) -> None:
        """A tensor is hashed, by its identity: a number, for which it may stand, is by its value."""
        if self.of_arrays:
            raise TypeError("a tensor that stands for an array, or an element of one, is put into a set or looked up in a dict")

    def failed(self) -> None:
        """An operation has raised an error. If the function goes on, what it does depends on that."""
        self.raised = True

    def made(self, z: Tensor, of: Any = None) -> None:
        """A tensor has been made, of the array or the value of the tensor `of`, if not of nothing."""
        array = z._data
        source = of._array if isinstance(of, TensorBase) else of
        if array is None or id(array) in self.nodes and source is not array:
            return
        node = None
        if isinstance(of, TensorBase):
            node = self._known(of, source)
        elif source is not None:
            node = self.nodes.get(id(source))
        if node is None or array.dtype != source.dtype:
            self._constant(array)
        elif array is not source:
            self._keep(array, self._stopped(node))
        if isinstance(of, TensorBase) and z._data is None:
            self.held[id(z)] = Held(z, node, array)

    def same(self, copy: Any, array: Any) -> None:
        """An array is a copy of another one, for reading only."""
        node = self.nodes.get(id(array))
        if node is not None:
            self._keep(copy, node)
        elif id(array) in self.constants:
            self._constant(copy)

    def linked(self, array: Any, x: Tensor) -> None:
        """An array is the value of a tensor, to become a static argument."""
        node = self._known(x, x._array)
        if node is not None:
            self._keep(array, node)

    def read(self, x: Tensor) -> None:
        """The elements of a tensor are looked at."""
        array = x._array
        self.looked_at(self._known(x, array), array)

    def looked_at(self, node: Node | None, array: Any) -> None:
        if node is None or self.reason is not None:
            return
        if array.size > GUARDED:
            self.refuse(f"it looks at the elements of {describe(array)}, more than {GUARDED} that can be compared at each call")
        elif all([node is not other for other, _, _ in self.reads]):
            self.reads.append((node, array.copy(), users_line()))

    def leaves(self, array: Any) -> None:
        """An array goes out to the function as it is."""
        self.looked_at(self.nodes.get(id(array)), array)

    def lent(self, x: Tensor) -> None:
        """The array of a tensor is handed out, and may be written to."""
        array = x._array
        node = self._known(x, array)
        self.looked_at(node, array)
        if self.reason is None:
            self.lendings.append((x, array.copy()))
            if id(x) not in self.held:
                self.held[id(x)] = Held(x, node, array.copy())
                if x._register is not None:
                    self.held[id(x._register)] = self.held[id(x)]

    def gradient(self, x: Tensor) -> None:
        """`.grad` is read."""
        self.refuse("it reads .grad; tg.grad and tg.autograd.grad give gradients that can be computed with")

    def effect(self, method: Callable[..., Any], args: Any, kwargs: Any, changes: Callable[..., Any]) -> Any:
        """Do, and note, what changes things outside of tensors' values."""
        slots = [self._slot(x) if isinstance(x, TensorBase) else x for x in leaves([args, kwargs])]
        args_, kwargs_ = rebuild([args, kwargs], iter(slots))
        if self.reason is None:
            if kwargs.get("create_graph"):
                self.refuse("backward(create_graph=True) keeps gradients on the tape; tg.grad nests")
            self.effects.append(Effect(method, args_, kwargs_, users_line()))
        with self.silence():
            out = method(*args, **kwargs)
        self.changed |= {id(x) for x in changes(*args, **kwargs)}
        if out is not None and not isinstance(out, TensorBase):
            self.refuse(f"it uses what {method.__qualname__} returns")
        return out

    # What they are

    def _constant(self, array: Any) -> None:
        self.nodes.pop(id(array), None)
        self.constants.add(id(array))
        self._watch(array)

    def _stopped(self, node: Node) -> Node:
        if node not in self.reach:
            return node
        if node not in self.stops:
            self.stops[node] = Node(STOP, (node,), (), node.shape, node.dtype)
        return self.stops[node]

    def _unknown(self, x: Any, value: Any) -> Any:
        """The node of an operand whose array has not been met, or its array, as a constant."""
        if not isinstance(x, (TensorBase, Entry, Leaf)):
            return value if id(value) in self.constants else private(value)
        node = self._known(x, value)
        if node is not None:
            return node
        return value if id(value) in self.constants else value.copy()

    def _known(self, x: Any, array: Any) -> Node | None:
        """The node of a tensor, or of its register; None for a constant. Refuses a tensor of unknown origin."""
        node = self.nodes.get(id(array))
        if node is not None or id(array) in self.constants:
            return node
        register = x._register if isinstance(x, TensorBase) else x
        held = self.held.get(id(x)) or self.held.get(id(register))
        if held is None:
            self.refuse("it reads a tensor that none of its arguments, closures and globals leads to")
            return None
        if id(held.tensor) in self.changed or not _equal(array, held.array):
            self.refuse(f"it reads a tensor {describe(array)} that was changed before in the same call")
            return None
        if held.node is not None:
            self._keep(array, held.node)
        else:
            self._constant(array)
        return held.node

    def _static(self, static: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Node]]:
        """Static arguments, with the nodes of those arrays that are the values of tensors in their places."""
        more: list[Node] = []

        def place(item: Any) -> Any:
            if isinstance(item, tuple):
                return tuple([place(part) for part in item])
            node = self.nodes.get(id(item)) if isinstance(item, np.ndarray) else None
            if node is None:
                return item
            more.append(node)
            return node

        return tuple([place(item) for item in static]), more

    def _slot(self, x: Tensor) -> Slot:
        held = self.held.get(id(x))
        if held is not None and held.at is not None:
            return Slot(at=held.at)
        node = self._known(x, x._array)
        if node is None or x._register is not None and node not in self.reach:
            self.refuse("it does something to a tensor that does not depend on its inputs")
        return Slot(node=node, live=x._register is not None)

    def result(self, z: Any) -> Any:
        """What a leaf of the results is: for a tensor a Slot, or its array; else the value itself."""
        if not isinstance(z, TensorBase):
            held = isinstance(z, FunctionType) and z.__closure__ or isinstance(z, np.ndarray) and z.dtype.hasobject
            if held or not isinstance(z, VALUES):
                self.refuse(f"it returns a {type(z).__name__}")
            return z
        held = self.held.get(id(z))
        if held is not None and held.at is not None:
            return Slot(at=held.at)
        node = self._known(z, z._array)
        if node is None:
            if z._register is not None:
                self.refuse("a result requires a gradient, and does not depend on the inputs that do")
            return z._array.copy()
        if z._register is not None and node not in self.reach:
            self.refuse("a result requires a gradient, and does not depend on the inputs that do")
        return Slot(node=node, live=z._register is not None)

    def finish(self) -> None:
        """After the run: whether what it was given is as it was."""
        if self.raised:
            self.refuse("it goes on after an error of an operation")
        for x, before in self.lendings:
            if not _equal(x._array, before) and id(x) not in self.changed:
                self.refuse("it writes to the array of a tensor")
        for held in self.inputs:
            x = held.tensor
            if id(x) not in self.changed and (x._array is not held.array and not _equal(x._array, held.array)
                                              or (self.held.get(id(x._register)) is not held
                                                  if x._register is not None else held.node in self.reach)):
                self.refuse(f"it changes a tensor {describe(x)} that it was given, or reads")


def _equal(one: Any, other: Any) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def depth_of_user() -> int:
    """How many calls the user's code is above the function that asks, for warnings."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HOME):
        frame, depth = frame.f_back, depth + 1
    return depth


def users_line() -> str:
    """`file:line` of the user's code that runs."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(HOME):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
