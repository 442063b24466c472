"""NumPy's ways to make something an array, for tensors: the value, with its derivative. Memory and its order are not of
concern."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.functions import array
from tapegrad.functions.arguments import value
from tapegrad.functions.elementwise import positive
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import DTypeLike


def asarray(a: Any, dtype: DTypeLike | None = None, order: Any = None, *, device: Any = None, copy: bool | None = None,
            like: Any = None) -> Tensor:
    """A tensor itself, if it has the dtype; else the tensor of the numbers and tensors that are given."""
    if isinstance(a, Tensor) and not copy and dtype in (None, a.dtype):
        return a
    return array(a, dtype)


asanyarray = asarray


def ascontiguousarray(a: Any, dtype: DTypeLike | None = None, *, like: Any = None) -> Tensor:
    """As asarray, with one axis at least."""
    z = asarray(a, dtype)
    return z.reshape(1) if z.ndim == 0 else z


def asfortranarray(a: Any, dtype: DTypeLike | None = None, *, like: Any = None) -> Tensor:
    return asarray(a, dtype)


def asarray_chkfinite(a: Any, dtype: DTypeLike | None = None, order: Any = None) -> Tensor:
    """As asarray; ValueError where a number is infinite or NaN."""
    np.asarray_chkfinite(value(a))
    return asarray(a, dtype)


def copy(a: Any, order: Any = "K", subok: bool = False) -> Tensor:
    return positive(array(a))


def require(a: Any, dtype: DTypeLike | None = None, requirements: Any = None, *, like: Any = None) -> Tensor:
    return asarray(a, dtype)
