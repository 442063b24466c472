"""Types of arguments and results, for annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from tapegrad.functions.tensor import Tensor

__all__ = ["Array", "Axis", "Binary", "DTypeLike", "Device", "Order", "Scalar", "Shape", "TensorLike", "Tree", "Unary"]

Array: TypeAlias = NDArray[Any]
Scalar: TypeAlias = Union[bool, int, float, complex, "np.generic[Any]"]
TensorLike: TypeAlias = Union["Tensor", Array, Scalar, Sequence[Any]]           # what is taken where a tensor is read
Axis: TypeAlias = int | Sequence[int] | None
Shape: TypeAlias = int | Sequence[int]
Tree: TypeAlias = Any                                                          # dicts, lists and tuples of tensors or arrays
Order: TypeAlias = Literal["K", "A", "C", "F"] | None                          # of elements in memory
Device: TypeAlias = Literal["cpu"] | None
Unary: TypeAlias = Callable[[TensorLike], "Tensor"]
Binary: TypeAlias = Callable[[TensorLike, TensorLike], "Tensor"]
