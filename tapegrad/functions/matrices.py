"""What linear algebra takes: stacks of matrices in a real float dtype, square or symmetric where they have to be."""

from __future__ import annotations

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import operand, value
from tapegrad.functions.elementwise import astype
from tapegrad.functions.selecting import tril
from tapegrad.functions.shaping import matrix_transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


def real(name: str, x: TensorLike) -> Tensor | Array:
    """x, integers and booleans as float64; DtypeError for complex numbers and float16."""
    dtype = value(x).dtype
    if dtype.kind not in "biuf" or dtype == np.float16:
        raise DtypeError(f"{name}: {describe(value(x))}; a real dtype is needed, float16 excepted")
    if dtype.kind != "f":
        return astype(x, np.float64)
    return operand(x)


def matrices(name: str, x: TensorLike, square: bool = False) -> Tensor | Array:
    """x, in a float dtype; an error if it is no stack of (square) matrices."""
    array = value(x)
    if array.ndim < 2 or (square and array.shape[-1] != array.shape[-2]):
        raise ShapeError(f"{name}: {describe(array)}; {'square matrices (.., n, n)' if square else 'matrices (.., m, n)'} "
                         "are needed")
    return real(name, x)


def symmetric(name: str, x: TensorLike, upper: bool) -> Tensor | Array:
    """Square matrices as symmetric ones. NumPy reads one triangle; so does this where the other differs beyond rounding."""
    x = matrices(name, x, square=True)
    array = value(x)
    flipped = np.swapaxes(array, -1, -2)
    with np.errstate(invalid="ignore"):                 # infinite elements
        apart, size = (np.abs(values).max((-2, -1), initial=0) for values in (array - flipped, array))
    if not (apart > 100 * array.shape[-1] * np.finfo(array.dtype).eps * size).any():
        return x
    x = matrix_transpose(x) if upper else x
    return tril(x) + matrix_transpose(tril(x, -1))
