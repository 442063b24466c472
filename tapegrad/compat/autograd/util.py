"""Small functions of autograd's: arguments replaced by position, names and docstrings passed on, nodes in order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

__all__ = ["func", "quick_grad_check", "subval", "subvals", "toposort"]


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


def quick_grad_check(fun: Callable[..., Any], arg0: Any, extra_args: Iterable[Any] = (), kwargs: Any = None,
                     verbose: bool = True, eps: float = 1e-4, rtol: float = 1e-4, atol: float = 1e-6, rs: Any = None) -> None:
    """check_grads of the first argument, to first order; deprecated in autograd."""
    from tapegrad.compat.autograd.test_util import check_grads
    warnings.warn("quick_grad_check is deprecated in autograd; use autograd.test_util.check_grads", stacklevel=2)
    check_grads(lambda x: fun(x, *extra_args, **(kwargs or {})), modes=["rev"], order=1)(arg0)
