"""Parts of an array along one axis."""

from __future__ import annotations

from tapegrad.core.record import recorded
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


def part(x: TensorLike, axis: int, *bounds: int | None) -> Tensor:
    """x[.., start:stop:step, ..] along one axis."""
    return recorded.getitem(x, (slice(None),) * axis + (slice(*bounds),))


def along(x: TensorLike, ids: Array, axis: int) -> Tensor:
    """x[.., ids, ..] with an array of integers at `axis`."""
    return recorded.getitem(x, (slice(None),) * axis + (ids,) if axis else ids)
