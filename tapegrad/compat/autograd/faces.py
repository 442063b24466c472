"""What the modules share that are a face of one of tapegrad's: its names, beside their own."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


def face_of(module: ModuleType, space: dict[str, Any]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a module with this namespace, which has the names of another one, too."""
    def getattribute(name: str) -> Any:
        found = space[name] = getattr(module, name)
        return found

    return getattribute, lambda: dir(module)
