"""Other libraries' interfaces, for programs that were written for them: `tapegrad.compat.autograd`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["autograd"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"tapegrad.compat.{name}")
    raise AttributeError(f"tapegrad.compat has no {name!r}; there is {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
