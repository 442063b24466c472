"""`autograd.scipy.linalg`: the names of tapegrad.scipy.linalg."""

from __future__ import annotations

from typing import Any

from tapegrad.scipy import linalg as _ours


def __getattr__(name: str) -> Any:
    found = globals()[name] = getattr(_ours, name)
    return found


def __dir__() -> list[str]:
    return dir(_ours)
