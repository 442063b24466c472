"""The primitives, family by family. The first line of families fills the registry; the others come when one is asked for."""

from importlib import import_module

from tapegrad.primitives import arithmetic, complex_parts, elementwise, indexing, linear, network, reductions, shaping
from tapegrad.primitives.registry import Primitive, Vocabulary, add_row, arrays, primitive, table

LATER = ("attention", "convolution", "cumulative", "decompositions", "error_function", "fourier", "normalisation", "ordering")


def _load():
    for family in LATER:
        import_module(f"tapegrad.primitives.{family}")


table.later = _load

__all__ = ["LATER", "Primitive", "Vocabulary", "add_row", "arithmetic", "arrays", "complex_parts", "elementwise", "indexing",
           "linear", "network", "primitive", "reductions", "shaping", "table"]
