"""What linear algebra takes: stacks of matrices in a float or complex dtype, square or Hermitian where they have to be."""

from __future__ import annotations

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import conjugated, like, operand, value, whole
from tapegrad.functions.elementwise import add, astype, multiply
from tapegrad.functions.shaping import matrix_transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


def inexact(name: str, x: TensorLike) -> Tensor | Array:
    """x, integers and booleans as float64; DtypeError for what has no numbers, and float16."""
    dtype = like(x).dtype
    if dtype.kind not in "biufc" or dtype == np.float16:
        raise DtypeError(f"{name}: {describe(like(x))}; a dtype of numbers is needed, float16 excepted")
    return astype(x, np.float64) if dtype.kind in "biu" else operand(x)


def real(name: str, x: TensorLike) -> Tensor | Array:
    """x, integers and booleans as float64; DtypeError for complex numbers and float16."""
    if like(x).dtype.kind == "c":
        raise DtypeError(f"{name}: {describe(like(x))}; a real dtype is needed")
    return inexact(name, x)


def matrices(name: str, x: TensorLike, square: bool = False) -> Tensor | Array:
    """x, in a float or complex dtype; an error if it is no stack of (square) matrices."""
    array = like(x)
    if array.ndim < 2 or (square and array.shape[-1] != array.shape[-2]):
        raise ShapeError(f"{name}: {describe(array)}; {'square matrices (.., n, n)' if square else 'matrices (.., m, n)'} "
                         "are needed")
    return inexact(name, x)


def adjoint(x: TensorLike) -> TensorLike:
    """The conjugate transposes of matrices."""
    return conjugated(matrix_transpose(x))


def hermitian(name: str, x: TensorLike, upper: bool) -> Tensor | Array:
    """Square matrices as Hermitian ones, of one triangle, as NumPy reads them. The other is only added to, so that deltas,
    which the functions of Hermitian matrices make Hermitian, go to both: at and beside a Hermitian matrix alike.
    """
    x = matrices(name, x, square=True)
    seen = value(whole(x))
    if (seen == np.swapaxes(seen, -1, -2).conj()).all():
        return x
    array = value(x)
    flipped = np.swapaxes(array, -1, -2).conj()
    read = np.tri(array.shape[-1], dtype=bool)
    read = read.T if upper else read
    with np.errstate(invalid="ignore"):                 # infinite elements
        return x + np.where(read, 0, flipped - array)


def hermitised(name: str, x: TensorLike) -> Tensor:
    """The lower triangle and its mirror image, for functions whose deltas are not Hermitian by themselves."""
    x = hermitian(name, x, False)
    return multiply(add(x, adjoint(x)), 0.5)
