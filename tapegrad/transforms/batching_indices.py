"""An index of one example as an index of all of them.

NumPy puts the axes of arrays among an index where these stand side by side, and in front of all others where something stands
between them. So an index of all examples has either a slice for the axis of the examples, or, where arrays differ by example or
are apart, an array of their numbers; then that axis may have to be brought to the front again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.functions.arguments import static
from tapegrad.transforms.batched import Batched, Level, is_mapped


class Places(NamedTuple):
    """An index of all examples.

    at      the index
    order   the axes of what it gives, in the order that brings those of the examples to the front; None where they are there
    ndim    the number of axes that the index gives of one example
    """

    at: tuple[Any, ...]
    order: tuple[int, ...] | None
    ndim: int

    def reverse_order(self) -> tuple[int, ...]:
        order: Any = self.order
        return tuple(sorted(range(len(order)), key=order.__getitem__))


def places(index: Any, level: Level, shape: tuple[int, ...], mapped: bool) -> Places | None:
    """What `index`, of an example of this shape, is for all examples; None for True and False as an index.

    mapped   whether what is indexed differs by example
    """
    items = _items(index, len(shape))
    if items is None:
        return None
    at = [i for i, item in enumerate(items) if isinstance(item, (np.ndarray, Batched))]
    if not at:
        return Places((slice(None), *items), None, sum(not isinstance(item, int) for item in items))
    items = [np.array(item) if isinstance(item, int) else item for item in items]
    at = [i for i, item in enumerate(items) if isinstance(item, (np.ndarray, Batched))]
    rank = max([items[i].ndim for i in at])
    others = len(items) - len(at)
    beside = at[-1] - at[0] + 1 == len(at)
    before = at[0] if beside else 0                     # so many axes of an example come before those of the arrays
    differ = any([is_mapped(items[i], level) for i in at])
    ndim = rank + others
    if not differ and beside:
        return Places((slice(None), *items), None, ndim)
    items = [_aligned(item, level, rank) if is_mapped(item, level) else item for item in items]
    if not mapped:                                      # the arrays bring the axis of the examples along
        return Places(tuple(items), None if not before else (before, *[i for i in range(ndim + 1) if i != before]), ndim)
    numbers = np.arange(level.size).reshape(-1, *(1,) * rank)
    order = None if not before else (
        0, *range(rank + 1, rank + 1 + before), *range(1, rank + 1), *range(rank + 1 + before, ndim + 1))
    return Places((numbers, *items), order, ndim)


def _items(index: Any, ndim: int) -> list[Any] | None:
    """The items of an index, a slice for each axis that it leaves out, and integers for a mask."""
    given = list(index) if type(index) is tuple else [index]
    found: list[Any] = []
    for item in given:
        if isinstance(item, (bool, np.bool_)) or isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind == "b":
            return None
        if isinstance(item, np.ndarray) and item.dtype.kind == "b":
            found += item.nonzero()
        else:
            found.append(int(item) if isinstance(item, np.integer) else item)
    left = ndim - sum(item is not None and item is not Ellipsis for item in found)
    missing = [slice(None)] * left
    at = next((i for i, item in enumerate(found) if item is Ellipsis), None)
    return found + missing if at is None else found[:at] + missing + found[at + 1:]


def _aligned(item: Any, level: Level, rank: int) -> Any:
    """The integers of all examples, those of each with `rank` axes."""
    return static(recorded.reshape(item._inner, (level.size, *(1,) * (rank - item.ndim), *item.shape)))
