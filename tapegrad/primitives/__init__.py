"""The primitives, family by family. Importing this package fills the registry."""

from tapegrad.primitives import arithmetic, elementwise, indexing, linear, network, reductions, shaping
from tapegrad.primitives.registry import Primitive, Vocabulary, add_row, arrays, primitive, table

__all__ = ["Primitive", "Vocabulary", "add_row", "arithmetic", "arrays", "elementwise", "indexing", "linear", "network",
           "primitive", "reductions", "shaping", "table"]
