"""What autograd puts traced arrays into: here a tensor."""

from __future__ import annotations

from tapegrad.compat.autograd.tracer import Box
from tapegrad.functions.tensor import Tensor as ArrayBox

__all__ = ["ArrayBox", "Box"]
