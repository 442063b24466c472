"""`tapegrad.scipy`: SciPy's functions under SciPy's names, arguments and meaning, for arrays and for tensors.

Each module is loaded when it is first asked for, and SciPy with it, which is an extra: pip install tapegrad[scipy]. As in
tapegrad.numpy, a call without a tensor is SciPy's own; with one it gives a tensor; where there is no derivative, SciPy gets
the values, and a tensor that requires a gradient is refused.

>>> from tapegrad.scipy import special
>>> special.gammaln(5.0)
np.float64(3.1780538303479458)
>>> tg.grad(special.gammaln)(5.0)
array(1.50611767)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = ("integrate", "interpolate", "linalg", "optimize", "signal", "special", "stats")
__all__ = list(MODULES)


def __getattr__(name: str) -> Any:
    if name in MODULES:
        try:
            return import_module(f"tapegrad.scipy.{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "scipy":
                raise
            raise ImportError(f"tapegrad.scipy.{name} needs SciPy, which is an extra: pip install tapegrad[scipy]") from error
    raise AttributeError(f"tapegrad.scipy has no module {name!r}; there is {', '.join(MODULES)}")


def __dir__() -> list[str]:
    return sorted(MODULES)
