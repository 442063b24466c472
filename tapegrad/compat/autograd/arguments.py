"""Arguments replaced by position, and nodes in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

__all__ = ["func", "subval", "subvals", "toposort"]


def subvals(x: Iterable[Any], ivs: Iterable[tuple[int, Any]]) -> tuple[Any, ...]:
    """x as a tuple, with the value v at the position i for each pair (i, v)."""
    replaced = list(x)
    for i, v in ivs:
        replaced[i] = v
    return tuple(replaced)


def subval(x: Iterable[Any], i: int, v: Any) -> tuple[Any, ...]:
    """x as a tuple, with the value v at the position i."""
    return subvals(x, [(i, v)])


def func(f: Any) -> Any:
    """f itself."""
    return f


def toposort(end_node: Any, parents: Callable[[Any], Iterable[Any]] = attrgetter("parents")) -> Iterator[Any]:
    """The nodes that end_node depends on, itself first, each before its parents."""
    uses: dict[Any, int] = {}
    waiting = [end_node]
    while waiting:
        node = waiting.pop()
        uses[node] = uses.get(node, 0) + 1
        if uses[node] == 1:
            waiting.extend(parents(node))
    waiting = [end_node]
    while waiting:
        node = waiting.pop()
        yield node
        for parent in parents(node):
            uses[parent] -= 1
            if not uses[parent]:
                waiting.append(parent)
