"""The functions of autograd.numpy, and those that autograd makes of NumPy's lists of arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.compat.autograd import numpy as anp
from tapegrad.compat.autograd.numpy.numpy_vjps import metadata
from tapegrad.compat.autograd.tracer import notrace_primitive, primitive

__all__ = ["array_from_args", "concatenate_args", "make_diagonal", "metadata", "notrace_primitive", "primitive",
           "wrap_namespace"]


def concatenate_args(axis: Any, *args: Any) -> Any:
    """concatenate, of the arguments."""
    return anp.concatenate(args, axis)


def array_from_args(array_args: Any, array_kwargs: Any, *args: Any) -> Any:
    """array, of the list of the arguments."""
    return anp.array(list(args), *array_args, **array_kwargs)


def make_diagonal(D: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Arrays with D on their diagonal: what diagonal(axis1=-1, axis2=-2) undoes."""
    if (offset, axis1, axis2) != (0, -1, -2):
        raise NotImplementedError("make_diagonal is for offset=0, axis1=-1, axis2=-2")
    return anp.multiply(anp.expand_dims(D, -1), np.eye(np.shape(D)[-1]))


def wrap_namespace(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Put the functions of a namespace into another one, as primitives without derivatives; numbers and None as they are."""
    made: dict[int, Any] = {}
    for name, found in old.items():
        if type(found) in (int, float, type(None), type):
            new[name] = found
        elif callable(found):
            new[name] = made.setdefault(id(found), primitive(found))


def __getattr__(name: str) -> Any:
    return getattr(anp, name)
