"""`autograd.scipy.integrate`: the names of tapegrad.scipy.integrate."""

from __future__ import annotations

from typing import Any

from tapegrad.scipy import integrate as _ours


def __getattr__(name: str) -> Any:
    found = globals()[name] = getattr(_ours, name)
    return found


def __dir__() -> list[str]:
    return dir(_ours)
