"""Python's built-in names as autograd offers them: structures of tensors are Python's own; types are those of the values."""

from __future__ import annotations

import builtins
from typing import Any

from tapegrad.compat.autograd.tracer import getval

__all__ = ["DictBox", "SequenceBox", "dict", "isinstance", "list", "tuple", "type"]

tuple, list, dict = builtins.tuple, builtins.list, builtins.dict
DictBox, SequenceBox = dict, (tuple, list)              # what a traced structure is an instance of


def isinstance(x: Any, types: Any) -> bool:
    """Whether the value of x is an instance of one of the types: of a tensor, whether its array, or number, is."""
    return builtins.isinstance(getval(x), types)


def type(x: Any) -> Any:
    """The type of the value of x."""
    return builtins.type(getval(x))
