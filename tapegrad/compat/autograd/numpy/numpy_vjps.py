"""What derivatives that are written for autograd are made of: sums to a shape that was broadcast, repeats to one that was
reduced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad import numpy as anp

__all__ = ["balanced_eq", "match_complex", "metadata", "repeat_to_match_shape", "replace_zero", "unbroadcast", "unbroadcast_f"]


def metadata(A: Any) -> tuple[Any, ...]:
    """(shape, number of axes, dtype, whether it is complex)."""
    return np.shape(A), np.ndim(A), anp.result_type(A), anp.iscomplexobj(A)


def unbroadcast(x: Any, target_meta: tuple[Any, ...], broadcast_idx: int = 0) -> Any:
    """x, summed to the shape that it was broadcast from, and its real part where that was real.

    target_meta    what metadata gives of an array of that shape
    broadcast_idx  where axes were added in front: 0, or, where they were added before the last ones, a negative number
    """
    shape, ndim, _, is_complex = target_meta
    while np.ndim(x) > ndim:
        x = anp.sum(x, axis=broadcast_idx)
    axes = tuple([i for i, length in enumerate(shape) if length == 1])
    x = anp.sum(x, axis=axes, keepdims=True) if axes else x
    return anp.real(x) if anp.iscomplexobj(x) and not is_complex else x


def unbroadcast_f(target: Any, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The vjp f, with its values summed to the shape of the argument `target`."""
    target_meta = metadata(target)
    return lambda g: unbroadcast(f(g), target_meta)


def repeat_to_match_shape(g: Any, shape: Sequence[int], dtype: Any, axis: Any, keepdims: bool) -> tuple[Any, int]:
    """(what was reduced over axis, repeated to the shape before, how many elements were reduced to one)."""
    if not shape:
        return g, 1
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    reduced = {i % len(shape) for i in axes}
    kept = tuple([1 if i in reduced else length for i, length in enumerate(shape)])
    repeats = int(np.prod([shape[i] for i in reduced]))
    return anp.reshape(g, kept) + np.zeros(tuple(shape), dtype), repeats


def match_complex(target: Any, x: Any) -> Any:
    """x, as a complex number or its real part, as target is complex or not."""
    wanted, given = anp.iscomplexobj(target), anp.iscomplexobj(x)
    return anp.real(x) if given and not wanted else x + 0j if wanted and not given else x


def replace_zero(x: Any, val: Any) -> Any:
    """x, and val where it is 0."""
    return anp.where(x, x, val)


def balanced_eq(x: Any, z: Any, y: Any) -> Any:
    """1 where x alone is z, 1/2 where y is, too."""
    return (x == z) / (1.0 + (x == y))
