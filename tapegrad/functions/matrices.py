"""What linear algebra takes: stacks of matrices in a real float dtype, square or symmetric where they have to be."""

from __future__ import annotations

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import like, operand, value
from tapegrad.functions.elementwise import add, astype, multiply
from tapegrad.functions.shaping import matrix_transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


def real(name: str, x: TensorLike) -> Tensor | Array:
    """x, integers and booleans as float64; DtypeError for complex numbers and float16."""
    dtype = like(x).dtype
    if dtype.kind not in "biuf" or dtype == np.float16:
        raise DtypeError(f"{name}: {describe(like(x))}; a real dtype is needed, float16 excepted")
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
    """Square matrices as symmetric ones, of one triangle, as NumPy reads them. The other is only added to, so that deltas,
    which the symmetric functions make symmetric, go to both: at and beside a symmetric matrix alike.
    """
    x = matrices(name, x, square=True)
    array = value(x)
    flipped = np.swapaxes(array, -1, -2)
    if np.array_equal(array, flipped):
        return x
    read = np.tri(array.shape[-1], dtype=bool)
    read = read.T if upper else read
    with np.errstate(invalid="ignore"):                 # infinite elements
        return x + np.where(read, 0, flipped - array)


def symmetrised(name: str, x: TensorLike) -> Tensor:
    """The lower triangle and its mirror image, for functions whose deltas are not symmetric by themselves."""
    x = symmetric(name, x, False)
    return multiply(add(x, matrix_transpose(x)), 0.5)
