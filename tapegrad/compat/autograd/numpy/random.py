"""`autograd.numpy.random`: the names of tapegrad.numpy.random."""

from __future__ import annotations

from typing import Any

from tapegrad.numpy import random as _ours

__all__ = list(_ours.__all__)


def __getattr__(name: str) -> Any:
    found = globals()[name] = getattr(_ours, name)
    return found


def __dir__() -> list[str]:
    return dir(_ours)
