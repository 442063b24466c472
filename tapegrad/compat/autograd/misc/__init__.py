"""autograd's conveniences: structures as vectors, optimisers, fixed points, functions that are traced once."""

from __future__ import annotations

from tapegrad.compat.autograd.misc.flatten import flatten
from tapegrad.compat.autograd.misc.tracers import const_graph

__all__ = ["const_graph", "flatten"]
