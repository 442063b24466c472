"""Parts of an array along one axis."""

from __future__ import annotations

from typing import Any

from tapegrad.core.record import recorded
from tapegrad.functions.indexing import getitem
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def part(x: TensorLike, axis: int, *bounds: int | None) -> Tensor:
    """x[.., start:stop:step, ..] along one axis."""
    return recorded.getitem(x, (slice(None),) * axis + (slice(*bounds),))


def along(x: TensorLike, ids: Any, axis: int) -> Tensor:
    """x[.., ids, ..] with an array of integers at `axis`."""
    return getitem(x, (slice(None),) * axis + (ids,) if axis else ids)
