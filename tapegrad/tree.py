"""Nested structures: dicts, lists, tuples and named tuples of leaves."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

from tapegrad.typing import Tree


def leaves(tree: Tree) -> list[Any]:
    """The leaves in order, depth first.

    >>> from tapegrad.tree import leaves
    >>> leaves({"W": [1, 2], "b": (3,)})
    [1, 2, 3]
    """
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (list, tuple)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def rebuild(tree: Tree, replacements: Iterator[Any]) -> Tree:
    """The same structure with its leaves taken, in order, from the iterator `replacements`.

    >>> from tapegrad.tree import rebuild
    >>> rebuild({"W": [1, 2], "b": (3,)}, iter("xyz"))
    {'W': ['x', 'y'], 'b': ('z',)}
    """
    if isinstance(tree, dict):
        found = {} if type(tree) is dict else copy(tree)        # which knows what else it holds, as a defaultdict does
        found.update([(key, rebuild(value, replacements)) for key, value in tree.items()])
        return found
    if isinstance(tree, (list, tuple)):
        values = [rebuild(value, replacements) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return next(replacements)


def same(one: Tree, other: Tree) -> bool:
    """Whether two structures differ only in their leaves.

    >>> from tapegrad.tree import same
    >>> same([1, (2, 3)], [4, (5, 6)]), same([1, 2], (1, 2))
    (True, False)
    """
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return not isinstance(other, (dict, list, tuple))
