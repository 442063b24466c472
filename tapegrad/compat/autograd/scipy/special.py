"""`autograd.scipy.special`: the names of tapegrad.scipy.special."""

from __future__ import annotations

from typing import Any

from tapegrad.scipy import special as _ours


def __getattr__(name: str) -> Any:
    found = globals()[name] = getattr(_ours, name)
    return found


def __dir__() -> list[str]:
    return dir(_ours)
