"""Structures of arrays as vectors, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad import numpy as anp

__all__ = ["flatten", "flatten_func"]


def _leaves(tree: Any) -> list[Any]:
    """The leaves in order, those of a dict in the order of its sorted keys."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [tree]


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """(the numbers of a structure of dicts, lists, tuples, arrays and numbers as a vector, the function that undoes that).

    Keys of dicts are sorted.

    >>> vector, unflatten = tg.compat.autograd.misc.flatten({"W": np.array([[1.0, 2.0]]), "b": 3.0})
    >>> vector, unflatten(2 * vector)
    (array([1., 2., 3.]), {'W': array([[2., 4.]]), 'b': np.float64(6.0)})
    """
    found = _leaves(value)
    vector = anp.concatenate([anp.ravel(leaf) for leaf in found]) if found else np.zeros(0)
    shapes = _shapes(value)
    return vector, lambda vector: _built(shapes, vector, 0)[0]


def _shapes(tree: Any) -> Any:
    """The structure, with functions that shape a part of a vector in the place of leaves."""
    if isinstance(tree, dict):
        return {key: _shapes(part) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_shapes(part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return _Part(tree)


class _Part:
    def __init__(self, leaf: Any) -> None:
        self.shape, self.size = np.shape(leaf), int(np.size(leaf))

    def of(self, vector: Any, start: int) -> Any:
        part = vector[start:start + self.size]
        return anp.reshape(part, self.shape) if self.shape else part[0]


def _built(shapes: Any, vector: Any, start: int) -> tuple[Any, int]:
    if isinstance(shapes, _Part):
        return shapes.of(vector, start), start + shapes.size
    if isinstance(shapes, dict):
        built: dict[Any, Any] = dict.fromkeys(shapes)
        for key in sorted(shapes):
            built[key], start = _built(shapes[key], vector, start)
        return built, start
    parts = []
    for shape in shapes:
        part, start = _built(shape, vector, start)
        parts.append(part)
    return type(shapes)(*parts) if hasattr(shapes, "_fields") else type(shapes)(parts), start


def flatten_func(func: Callable[..., Any], example: Any) -> tuple[Callable[..., Any], Callable[[Any], Any], Any]:
    """(func of vectors and with vectors as values, the function that makes a structure of a vector, example as a vector)."""
    vector, unflatten = flatten(example)
    return lambda x, *args: flatten(func(unflatten(x), *args))[0], unflatten, vector
