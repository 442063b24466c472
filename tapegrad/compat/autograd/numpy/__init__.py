"""`autograd.numpy`: the names of tapegrad.numpy, and what autograd has beside them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy

from tapegrad import numpy as anp

__version__ = numpy.__version__
MODULES = ("fft", "linalg", "numpy_boxes", "numpy_vjps", "numpy_vspaces", "numpy_wrapper", "random")


def where(condition: Any, *args: Any, **kwargs: Any) -> Any:
    """NumPy's where; of Python numbers and lists it gives a Python number or a list."""
    found = anp.where(condition, *args, **kwargs)
    given = [*args, *kwargs.values()]
    if given and not _holds_array([condition, *given]) and isinstance(found, numpy.ndarray):
        return found.tolist()
    return found


def _holds_array(xs: Sequence[Any]) -> bool:
    return any([_holds_array(x) if isinstance(x, (list, tuple)) else hasattr(x, "dtype") for x in xs])


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"{__name__}.{name}")
    found = globals()[name] = getattr(anp, name)
    return found


def __dir__() -> list[str]:
    return sorted({*dir(anp), *MODULES})
