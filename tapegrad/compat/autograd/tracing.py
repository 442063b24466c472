"""Traces of a function as nodes of the user's own kind: autograd's trace and Node.

While a function is traced, recorders (core/record.py) tell of every operation. An array stands for its value, and the trace
knows it by its identity, as tapegrad/compiler/tracer.py does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tapegrad.compat.autograd.wrap_util import get_name
from tapegrad.core.record import recorder
from tapegrad.core.tape import listening, thread
from tapegrad.core.tensor import TensorBase
from tapegrad.functions.tensor import Tensor
from tapegrad.tree import leaves, rebuild

__all__ = ["JVPNode", "Node", "VJPNode", "trace"]


class Node:
    """An operation of a trace: a subclass says in __init__ what it keeps of one, and in initialize_root what starts a trace.

    value            the result
    fun              a function of args and kwargs that computes it, with a name
    parent_argnums   which of args depend on the root
    parents          their nodes
    """

    __slots__: Sequence[str] = ()

    def __init__(self, value: Any, fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], parent_argnums: tuple[int, ...],
                 parents: tuple[Any, ...]) -> None:
        raise NotImplementedError(f"{type(self).__name__}.__init__")

    def initialize_root(self, *args: Any, **kwargs: Any) -> None:
        """Fill the node at which a trace starts."""
        raise NotImplementedError(f"{type(self).__name__}.initialize_root")

    @classmethod
    def new_root(cls, *args: Any, **kwargs: Any) -> Any:
        """The node at which a trace starts."""
        root = cls.__new__(cls)
        root.initialize_root(*args, **kwargs)
        return root


class VJPNode(Node):
    """What autograd's reverse mode makes: here a name, for register_notrace.

    >>> from tapegrad.compat.autograd.extend import primitive, register_notrace
    >>> sign = primitive(lambda x: np.sign(x))
    >>> register_notrace(tg.compat.autograd.extend.VJPNode, sign)
    >>> tg.compat.autograd.grad(lambda x: x * sign(x))(-2.0)
    np.float64(-1.0)
    """


class JVPNode(Node):
    """What autograd's forward mode makes: here a name, for register_notrace.

    >>> from tapegrad.compat.autograd.extend import primitive, register_notrace
    >>> sign = primitive(lambda x: np.sign(x))
    >>> register_notrace(tg.compat.autograd.extend.JVPNode, sign)
    >>> tg.compat.autograd.grad(lambda x: x * sign(x))(-2.0)
    np.float64(-1.0)
    """


class _Take:
    """The function that takes the i-th leaf of a structure."""

    __name__ = "take"

    def __call__(self, tree: Any, i: int) -> Any:
        return leaves(tree)[i]


class _Operation:
    """A row as a function of operands and static arguments, in a row."""

    def __init__(self, row: Any, operands: int) -> None:
        self.__name__, self.recorder, self.operands = row.name, recorder(row), operands if row.variadic else None

    def __call__(self, *args: Any) -> Any:
        n = self.operands
        return self.recorder(*args) if n is None else self.recorder(args[:n], *args[n:])


class Listener:
    """Listens to this thread, and makes nodes of a class of its operations."""

    def __init__(self, kind: type[Node]) -> None:
        self.kind = kind
        self.nodes: dict[int, Node] = {}
        self.kept: list[Any] = []                       # so that ids stay those of the arrays

    @contextmanager
    def listens(self) -> Iterator[None]:
        tape = thread.tape
        before, tape.tracer = tape.tracer, self
        listening.append(self)
        try:
            yield
        finally:
            tape.tracer = before
            listening.remove(self)

    def know(self, array: Any, node: Node | None) -> None:
        if node is not None:
            self.nodes[id(array)] = node
            self.kept.append(array)

    def node_of(self, x: Any) -> Node | None:
        return self.nodes.get(id(x._array if isinstance(x, TensorBase) else x))

    def add(self, value: Any, fun: Any, args: Sequence[Any], kwargs: dict[str, Any], array: Any) -> None:
        """fun(*args, **kwargs) has given a value, which the array holds."""
        parents = [(i, node) for i, x in enumerate(args) if (node := self.node_of(x)) is not None]
        if not parents or self.node_of(array) is not None:
            return
        argnums, nodes = zip(*parents)
        plain = tuple([x._value if isinstance(x, TensorBase) else x for x in args])
        self.know(array, self.kind(value, fun, plain, kwargs, argnums, nodes))

    # What recorders and tensors tell

    def operation(self, row: Any, xs: Any, values: Any, static: tuple[Any, ...], z: Any) -> None:
        self.add(z._data[()], _Operation(row, len(values)), (*values, *static), {}, z._data)

    def made(self, z: Any, of: Any = None) -> None:
        if of is not None and z._data is not None:
            self.know(z._data, self.node_of(of))

    def same(self, copy: Any, array: Any) -> None:
        self.know(copy, self.node_of(array))

    linked = same

    def draw(self, generator: Callable[[], Any], g: Callable[[Any], Any]) -> Any:
        return g(generator())

    def effect(self, method: Callable[..., Any], args: Any, kwargs: Any, changes: Any) -> Any:
        return method(*args, **kwargs)

    def _nothing(self, *args: Any) -> None:
        pass

    read = leaves = lent = gradient = failed = hashed = refuse = _nothing


def trace(start_node: Any, fun: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """(fun(x), the node of that), with a node of the class of start_node for every operation; None where it is none.

    The function returns a number or an array.

    >>> from tapegrad.compat.autograd.tracer import Node, trace
    >>> class Named(Node):
    ...     def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
    ...         self.text = f"{fun.__name__}({', '.join(parent.text for parent in parents)})"
    ...     def initialize_root(self):
    ...         self.text = "x"
    >>> value, node = trace(Named.new_root(), lambda x: tg.sin(x * x), 0.0)
    >>> node.text
    'sin(multiply(x, x))'
    """
    listener = Listener(type(start_node))
    tensors = [Tensor(leaf, requires_grad=True) for leaf in leaves(x)]
    if isinstance(x, (dict, list, tuple)):
        for i, z in enumerate(tensors):
            root: Any = object()
            listener.know(root, start_node)
            listener.add(z._data, _Take(), (root, i), {}, z._data)
    else:
        listener.know(tensors[0]._data, start_node)
    with listener.listens():
        z = fun(rebuild(x, iter(tensors)))
        if isinstance(z, (dict, list, tuple)):
            raise TypeError(f"trace: {get_name(fun)} returned a {type(z).__name__}; a number or an array is needed")
        node = listener.node_of(z)
    if node is None:
        warnings.warn("Output seems independent of input.", stacklevel=2)
    return (z._value[()] if isinstance(z, TensorBase) else z), node
