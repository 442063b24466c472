"""The primitives, family by family. Importing this package fills the registry."""

from tapegrad.primitives import arithmetic, elementwise, indexing, linear, network, reductions, shaping
from tapegrad.primitives.registry import Primitive, Vocabulary, arrays, primitive, table

__all__ = ["Primitive", "Vocabulary", "arithmetic", "arrays", "elementwise", "indexing", "linear", "network",
           "primitive", "reductions", "shaping", "table"]
