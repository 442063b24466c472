"""`autograd.scipy`: the names of tapegrad.scipy, loaded when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = ("integrate", "linalg", "misc", "signal", "special", "stats")


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"autograd.scipy has no module {name!r}; there is {', '.join(MODULES)}")
