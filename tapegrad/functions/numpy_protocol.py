"""NumPy's functions of tensors: `np.sin(x)`, `array + x`, `np.sum(x)` are recorded as the functions of the same names here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from importlib import import_module
from typing import Any

import numpy as np

from tapegrad import functions
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import DtypeError

HOMES = {"numpy.linalg": "tapegrad.functions.linalg", "numpy.fft": "tapegrad.functions.fft"}
REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}
RUNNING = {"add": "cumsum", "multiply": "cumprod"}
READERS = ("shape", "ndim", "size", "result_type", "can_cast", "iscomplexobj", "isrealobj", "array_repr", "array_str",
           "array2string", "save", "savez", "savez_compressed", "savetxt")


def _refusal(asked: str, options: Iterable[str] = (), home: str = "np") -> DtypeError:
    return DtypeError(f"{home}.{asked}{'(' + ', '.join(options) + '=)' if options else ''} is not recorded on tensors; "
                      "use a function of tapegrad, or .data for a value without a gradient")


def _of_scipy(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """SciPy's ufunc as a function of tensors, or None: one of scipy.special can only come from where that is loaded."""
    if "scipy.special" not in sys.modules:              # asked only, so that nobody's SciPy is loaded for this answer
        return None
    return import_module("tapegrad.functions.scipy_functions").special_function(ufunc)  # type: ignore[no-any-return]


_found: dict[np.ufunc, Callable[..., Any]] = {}         # of NumPy's only: a user's ufunc is not kept


def _recorded(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The function of the name of NumPy's ufunc; None where there is none, or it is another's."""
    if ufunc in _found:
        return _found[ufunc]
    name = ufunc.__name__
    function = getattr(functions, name, None) if getattr(np, name, None) is ufunc else None
    if function is not None:
        _found[ufunc] = function
    return function


def array_ufunc(tensor: TensorBase, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """np.sin(tensor), array + tensor: recorded as the function of the name of NumPy's ufunc. Else an error."""
    if method == "__call__" and not options and (function := _recorded(ufunc)) is not None:
        return function(*inputs)
    name = ufunc.__name__
    if getattr(np, name, None) is not ufunc:
        special = _of_scipy(ufunc)
        if special is not None and method == "__call__" and not options:
            return special(*inputs)
        if special is not None:
            raise _refusal(name if method == "__call__" else f"{name}.{method}", options, "scipy.special")
        raise DtypeError(f"the ufunc {name} is not NumPy's, and has no derivative; make it a function of arrays with one by "
                         "tg.primitive, or apply it to .data")
    if method in ("reduce", "accumulate"):
        reduction = (REDUCTIONS if method == "reduce" else RUNNING).get(name)
        if reduction is not None and options.get("out") is None:
            return getattr(functions, reduction)(*inputs, **{"axis": 0, **options})
    raise _refusal(name if method == "__call__" else f"{name}.{method}", options)


def array_function(tensor: TensorBase, function: Callable[..., Any], types: Collection[type], operands: tuple[Any, ...],
                   options: dict[str, Any]) -> Any:
    """np.sum(tensor), np.linalg.inv(tensor): the function of the same name here, called as NumPy's was.

    NumPy asks this of every function that is not a ufunc; those that only read values get them.
    """
    if not all(issubclass(kind, (TensorBase, np.ndarray)) for kind in types):
        return NotImplemented
    home, name = function.__module__, function.__name__
    if home == "numpy" and name in READERS:
        read = _kind if name in READERS[:7] else _read
        return function(*map(read, operands), **{key: read(option) for key, option in options.items()})
    ours = functions if home == "numpy" else import_module(HOMES[home]) if home in HOMES else None
    if not callable(getattr(ours, name, None)):
        raise _refusal(f"{home}.{name}".removeprefix("numpy."))
    return getattr(ours, name)(*operands, **options)


def _kind(x: Any) -> Any:
    return x._array if isinstance(x, TensorBase) else x


def _read(x: Any) -> Any:
    return x._value if isinstance(x, TensorBase) else x
