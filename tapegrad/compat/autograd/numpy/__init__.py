"""`autograd.numpy`: the names of tapegrad.numpy, and what autograd has beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from importlib import import_module
from typing import Any

import numpy

from tapegrad import numpy as anp
from tapegrad.compat.autograd.tracer import values

__version__ = numpy.__version__
MODULES = ("fft", "linalg", "numpy_boxes", "numpy_vjps", "numpy_vspaces", "numpy_wrapper", "random")
INTEGERS = ("int8", "int16", "int32", "int64")
JOINING = ("column_stack", "concatenate", "dstack", "hstack", "row_stack", "stack", "vstack")
WRAPPERS = ("array_from_args", "concatenate_args", "make_diagonal", "metadata", "wrap_namespace")


def where(condition: Any, *given: Any, **named: Any) -> Any:
    """NumPy's where, which also takes x= and y=; of Python numbers and lists it gives a Python number or a list."""
    given += tuple([named[name] for name in ("x", "y") if name in named])
    found = anp.where(condition, *given)
    if given and not _holds_array([condition, *given]):
        return found.tolist()
    return found


def _holds_array(xs: Sequence[Any]) -> bool:
    return any([_holds_array(x) if isinstance(x, (list, tuple)) else hasattr(x, "dtype") for x in xs])


def _joining(function: Any) -> Any:
    """A function of a sequence of arrays that takes any iterable of them, as a map or the values of a dict."""
    @wraps(function)
    def joined(arrays: Any, *args: Any, **kwargs: Any) -> Any:
        return function(arrays if hasattr(arrays, "dtype") else list(arrays), *args, **kwargs)

    return joined


def _integers(kind: Any) -> type:
    """A type of integers that takes traced numbers, too: what it makes of them is a constant."""
    return type(kind.__name__, (kind,), {"__new__": lambda cls, x=0: kind(values(x))})


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"{__name__}.{name}")
    if name in INTEGERS:
        found: Any = _integers(getattr(numpy, name))
    elif name in JOINING:
        found = _joining(getattr(anp, name))
    elif name in WRAPPERS:
        found = getattr(import_module(f"{__name__}.numpy_wrapper"), name)
    else:
        found = getattr(anp, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*dir(anp), *MODULES, *WRAPPERS})
