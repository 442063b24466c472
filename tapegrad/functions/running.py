"""Statistics that move in place at each batch: effects, which a compiled function has at each replay."""

from __future__ import annotations

from typing import Any

from tapegrad.core.tape import changing
from tapegrad.errors import VmapError
from tapegrad.functions.arguments import value
from tapegrad.functions.tensor import Tensor


@changing(lambda running, *_: [running])
def move(running: Any, batch: Tensor, momentum: float, scale: float = 1.0) -> None:
    """running = (1 - momentum) running + momentum scale batch."""
    if type(batch) is not Tensor:
        raise VmapError("vmap: the running statistics of batch_norm would differ by example; leave them out, or training=False")
    held = running.data if isinstance(running, Tensor) else running
    held += momentum * (scale * value(batch).reshape(held.shape) - held)


@changing(lambda tracked: [tracked])
def count(tracked: Tensor) -> None:
    """One batch more."""
    tracked.data[...] += 1
