"""Functions that are traced once, and then computed from their trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapegrad.compat.autograd.arguments import subvals, toposort
from tapegrad.compat.autograd.tracer import plain
from tapegrad.compat.autograd.tracing import Node, trace
from tapegrad.compat.autograd.wrap_util import wraps
from tapegrad.transforms.implicit import kept

__all__ = ["ConstGraphNode", "FullGraphNode", "const_graph", "full_graph"]


class ConstGraphNode(Node):
    """An operation as a function of what depends on the root: partial_fun."""

    __slots__ = ("parents", "partial_fun")

    def __init__(self, value: Any, fun: Any, args: Any, kwargs: Any, parent_argnums: Any, parents: Any) -> None:
        self.parents = parents
        others = kept(subvals(args, [(i, None) for i in parent_argnums])), kept(kwargs)    # constants of the caller's
        self.partial_fun = lambda xs: fun(*subvals(others[0], zip(parent_argnums, xs)), **others[1])

    def initialize_root(self) -> None:
        self.parents = ()


def const_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """fun(*args, *others, **kwargs) as a function of others, which runs fun once: further calls repeat its operations, on
    whatever arguments. So it must not branch on their values.

    >>> from tapegrad.compat.autograd.misc.tracers import const_graph
    >>> power = const_graph(lambda n, x: x ** n, 2.0)
    >>> power(3.0), power(4.0)
    (np.float64(9.0), np.float64(16.0))
    """
    graph: list[Any] = []

    @wraps(fun)
    def repeated(*others: Any) -> Any:
        if not graph:
            value, end = trace(ConstGraphNode.new_root(), lambda xs: fun(*args, *xs, **kwargs), others)
            if end is None:
                raise ValueError("const_graph: the result does not depend on the arguments")
            graph.extend(reversed(list(toposort(end))))
            return plain(value)
        values = {graph[0]: others}
        for node in graph[1:]:
            values[node] = node.partial_fun([values[parent] for parent in node.parents])
        return plain(values[graph[-1]])

    return repeated


class FullGraphNode(Node):
    """An operation with all that went into it: its value, and recipe = (fun, args, kwargs, pairs of argnum and node)."""

    __slots__ = ("value", "recipe")

    def __init__(self, value: Any, fun: Any, args: Any, kwargs: Any, parent_argnums: Any, parents: Any) -> None:
        self.value, self.recipe = value, (fun, args, kwargs, list(zip(parent_argnums, parents)))

    def initialize_root(self) -> None:
        self.value, self.recipe = None, (lambda x: x, (), {}, [])


def full_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The node of the value of fun(*args, **kwargs)."""
    return trace(FullGraphNode.new_root(), lambda xs: fun(*xs, **kwargs), args)[1]
