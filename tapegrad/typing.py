"""Types of arguments and results, for annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:                                       # numpy.typing takes 1 ms to import
    from numpy.typing import DTypeLike

    from tapegrad.functions.tensor import Tensor
else:
    DTypeLike = Any

__all__ = ["Array", "Axis", "Binary", "DTypeLike", "Device", "Order", "Scalar", "Shape", "TensorLike", "Tree", "Unary"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Scalar: TypeAlias = Union[bool, int, float, complex, "np.generic[Any]"]
TensorLike: TypeAlias = Union["Tensor", Array, Scalar, Sequence[Any]]           # what is taken where a tensor is read
Axis: TypeAlias = int | Sequence[int] | None
Shape: TypeAlias = int | Sequence[int]
Tree: TypeAlias = Any                                                          # dicts, lists and tuples of tensors or arrays
Order: TypeAlias = Literal["K", "A", "C", "F"] | None                          # of elements in memory
Device: TypeAlias = Literal["cpu"] | None
Unary: TypeAlias = Callable[[TensorLike], "Tensor"]
Binary: TypeAlias = Callable[[TensorLike, TensorLike], "Tensor"]
