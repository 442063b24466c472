"""Structures of arrays as vectors, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad import numpy as anp
from tapegrad.errors import ShapeError, describe
from tapegrad.tree import leaves, rebuild

__all__ = ["flatten", "flatten_func"]


def _in_order(tree: Any) -> list[Any]:
    """The leaves, those of a dict in the order of its sorted keys."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _in_order(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _in_order(part)]
    return [tree]


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """(the numbers of a structure of dicts, lists, tuples, arrays and numbers as a vector, the function that undoes that).

    Keys of dicts are sorted. What undoes it raises ShapeError for a vector of another length.

    >>> vector, unflatten = tg.compat.autograd.misc.flatten({"W": np.array([[1.0, 2.0]]), "b": 3.0})
    >>> vector, unflatten(2 * vector)
    (array([1., 2., 3.]), {'W': array([[2., 4.]]), 'b': np.float64(6.0)})
    """
    found = leaves(value)
    shapes = [np.shape(leaf) for leaf in found]
    places = rebuild(value, iter(range(len(found))))    # the structure, without its arrays
    order = _in_order(places)
    shape = (sum(map(math.prod, shapes)),)

    def unflatten(vector: Any) -> Any:
        if anp.shape(vector) != shape:
            raise ShapeError(f"unflatten: {describe(vector)}; a vector of shape {shape} is needed")
        parts: list[Any] = list(shapes)
        start = 0
        for i in order:
            size = math.prod(shapes[i])
            part = vector[start:start + size]
            parts[i] = anp.reshape(part, shapes[i]) if shapes[i] else part[0]
            start += size
        return rebuild(places, iter(parts))

    return anp.concatenate([anp.ravel(found[i]) for i in order]) if found else np.zeros(0), unflatten


def flatten_func(func: Callable[..., Any], example: Any) -> tuple[Callable[..., Any], Callable[[Any], Any], Any]:
    """(func of vectors and with vectors as values, the function that makes a structure of a vector, example as a vector)."""
    vector, unflatten = flatten(example)
    return lambda x, *args: flatten(func(unflatten(x), *args))[0], unflatten, vector
