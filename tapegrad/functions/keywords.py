"""Keywords that a function does not have: the TypeError says what to write, for PyTorch's `dim=` above all.

Functions with an axis are wrapped for users; methods, which are called more often, take the unknown keywords themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import wraps
from typing import Any

# PyTorch's names of what NumPy's functions take.
OTHER_KEYWORDS = {"dim": ("axis", "axes"), "dims": ("axis", "axes"), "keepdim": ("keepdims",), "correction": ("ddof",),
                  "unbiased": ("ddof",), "interpolation": ("method",)}

_explained: dict[Any, Any] = {}


def _suggestion(function: Any, unknown: str) -> str:
    """What to write instead of a keyword; empty if nothing is like it."""
    from difflib import get_close_matches
    from inspect import signature
    names = [name for name in signature(function).parameters if name != "unknown"]
    known = [name for name in OTHER_KEYWORDS.get(unknown, ()) if name in names] or get_close_matches(unknown, names, 1, 0.7)
    return f"; write {known[0]}=" if known else ""


def unknown_keyword(method: Any, unknown: Iterable[str]) -> TypeError:
    """The error of a method that was called with keywords that it does not have."""
    name = next(iter(unknown))
    return TypeError(f"{method.__qualname__}() got an unexpected keyword argument {name!r}{_suggestion(method, name)}")


def explained_error(function: Any, error: TypeError) -> TypeError:
    """An error about a keyword that the function does not have, with what to write; other errors as they are."""
    found = re.match(rf"(\w+\.)?{function.__name__}\(\) got an unexpected keyword argument '(\w+)'(?!;)", str(error))
    suggestion = _suggestion(function, found[2]) if found else ""
    return TypeError(f"{found[0]}{suggestion}") if found and suggestion else error


def explained(function: Any, module: str) -> Any:
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
        if not kwargs:
            return function(*args)
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            better = explained_error(function, error)
            if better is error:
                raise
            raise better from None

    op.__module__ = module                              # where pickle looks for it
    _explained[function] = op
    return op
