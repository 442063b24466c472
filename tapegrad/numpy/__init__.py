"""`import tapegrad.numpy as np`: every name of NumPy, under NumPy's signatures, for arrays and for tensors.

Without a tensor among the arguments a call is NumPy's own, and gives NumPy's result. With a tensor, or a list that holds
one, it is the function of tapegrad of that name, and gives a tensor. Where tapegrad has none, because there is no
derivative, NumPy's gets the values; a tensor that requires a gradient is refused there. Types, constants and `random` are
NumPy's.

>>> import tapegrad.numpy as np
>>> np.sum([1.0, 2.0])
np.float64(3.0)
>>> np.sum(tg.tensor([1.0, 2.0]))
tensor(3.)
>>> tg.grad(lambda x: np.linalg.norm(np.stack([x, 2 * x])))(3.0)
array(2.23606798)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy

from tapegrad import functions
from tapegrad.numpy.dispatch import Function, Names

__all__ = list(numpy.__all__)
__version__ = numpy.__version__

MODULES = ("fft", "linalg", "random")
# What NumPy calls by more than one name, or makes a copy with: the value, for tensors.
COPIES = ("asanyarray", "asarray", "asarray_chkfinite", "ascontiguousarray", "asfortranarray", "copy", "require")
OUR_OWN = ("show_config",)                              # another function under the same name
OLD = {"row_stack": "vstack", "trapz": "trapezoid"}     # what NumPy calls by another name now


def _of_name(name: str) -> Function | None:
    if name in COPIES:
        from tapegrad.numpy import copies
        return getattr(copies, name)                    # type: ignore[no-any-return]
    return getattr(functions, OLD.get(name, name), None) if name not in OUR_OWN else None


_names = Names(globals(), numpy, "np", _of_name)
__dir__ = _names.dir


def __getattr__(name: str) -> Any:
    if name in ("c_", "r_"):
        from tapegrad.numpy import concatenators
        return getattr(concatenators, name)
    return import_module(f"tapegrad.numpy.{name}") if name in MODULES else _names.get(name)
