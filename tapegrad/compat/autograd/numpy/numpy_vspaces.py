"""The vector spaces of arrays."""

from __future__ import annotations

from tapegrad.compat.autograd.vspaces import ArrayVSpace, ComplexArrayVSpace, VSpace

__all__ = ["ArrayVSpace", "ComplexArrayVSpace", "VSpace"]
