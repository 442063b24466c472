"""Keywords that a function does not have: the TypeError says what to write, for PyTorch's `dim=` above all."""

from __future__ import annotations

import re
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")

# PyTorch's names of what NumPy's functions take.
OTHER_KEYWORDS = {"dim": ("axis", "axes"), "dims": ("axis", "axes"), "keepdim": ("keepdims",), "correction": ("ddof",),
                  "unbiased": ("ddof",), "interpolation": ("method",)}

_explained: dict[Any, Any] = {}


def explained_error(function: Any, error: TypeError) -> TypeError:
    """An error about a keyword that the function does not have, with what to write; other errors as they are."""
    found = re.match(rf"(\w+\.)?{function.__name__}\(\) got an unexpected keyword argument '(\w+)'(?!;)", str(error))
    if not found:
        return error
    from difflib import get_close_matches
    from inspect import signature
    names, unknown = [*signature(function).parameters], found[2]
    known = [name for name in OTHER_KEYWORDS.get(unknown, ()) if name in names] or get_close_matches(unknown, names, 1, 0.7)
    return TypeError(f"{found[0]}; write {known[0]}=") if known else error


def explained(function: Any, module: str | None = None) -> Any:
    """A function with an axis, whose errors are explained; others as they are.

    It is for users, who find it in `module`: what is in this package calls the function itself.
    """
    code = getattr(function, "__code__", None)
    if code is None or not {"axis", "axes"} & set(code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]):
        return function
    if function in _explained:
        return _explained[function]

    @wraps(function)
    def op(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            better = explained_error(function, error)
            if better is error:
                raise
            raise better from None

    op.__module__ = module or function.__module__       # where pickle looks for it
    _explained[function] = op
    return op


def methods_explained(cls: T) -> T:
    """Decorator of a class: its methods, explained."""
    for name, method in list(vars(cls).items()):
        if not name.startswith("_") and explained(method) is not method:
            setattr(cls, name, explained(method))
    return cls
