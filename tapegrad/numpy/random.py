"""`tapegrad.numpy.random`: numpy.random, whose samples have no derivative: a tensor that requires one is refused."""

from __future__ import annotations

from typing import Any

import numpy.random as theirs

__all__ = list(theirs.__all__)


def __getattr__(name: str) -> Any:
    return getattr(theirs, name)


def __dir__() -> list[str]:
    return dir(theirs)
