"""`tapegrad.linalg`: linear algebra under the names, arguments and results of numpy.linalg, for stacks of matrices.

The matrices are real or complex. The functions are in functions/solving.py, decompositions.py, norms.py and products.py; their
rows, their derivatives and the sources of these in primitives/decompositions.py. A matrix that has no inverse, no Cholesky
factor, .. is numpy.linalg.LinAlgError, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.linalg import LinAlgError

from tapegrad import functions
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import like
from tapegrad.functions.decompositions import (
    EighResult,
    EigResult,
    QRResult,
    SlogdetResult,
    SVDResult,
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    qr,
    slogdet,
    svd,
    svdvals,
)
from tapegrad.functions.norms import cond, matrix_norm, matrix_rank, norm, vector_norm
from tapegrad.functions.products import vecdot
from tapegrad.functions.shaping import matrix_transpose
from tapegrad.functions.solving import (
    det,
    inv,
    lstsq,
    matrix_power,
    multi_dot,
    pinv,
    solve,
    tensorinv,
    tensorsolve,
)
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import DTypeLike, TensorLike

__all__ = ["EigResult", "EighResult", "LinAlgError", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "cond", "cross",
           "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power",
           "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
           "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm"]


def diagonal(x: TensorLike, /, *, offset: int = 0) -> Tensor:
    """The diagonals of the matrices in the last two axes: (.., k). See tg.diagonal for `offset`.

    >>> tg.linalg.diagonal(np.array([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 4.])
    """
    return functions.diagonal(x, offset, -2, -1)


def trace(x: TensorLike, /, *, offset: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The sums of the diagonals of the matrices in the last two axes: (..), in `dtype` if it is given.

    >>> tg.linalg.trace(np.array([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    return functions.trace(x if dtype is None else functions.astype(x, dtype), offset, -2, -1)


def matmul(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """tg.matmul.

    >>> tg.linalg.matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    """
    return functions.matmul(x1, x2)


def tensordot(x1: TensorLike, x2: TensorLike, /, *, axes: int | Sequence[int | Sequence[int]] = 2) -> Tensor:
    """tg.tensordot.

    >>> tg.linalg.tensordot(np.ones((2, 3)), np.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    return functions.tensordot(x1, x2, axes)


def outer(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """x1[i] * x2[j] of two vectors: (m, n). ShapeError if one of them is no vector.

    >>> tg.linalg.outer(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    tensor([[ 1., 10.],
            [ 2., 20.]])
    """
    if like(x1).ndim != 1 or like(x2).ndim != 1:
        raise ShapeError(f"outer: {describe(like(x1))} and {describe(like(x2))}; vectors are needed")
    return functions.outer(x1, x2)


def cross(x1: TensorLike, x2: TensorLike, /, *, axis: int = -1) -> Tensor:
    """The cross product of vectors of length 3 along `axis`.

    >>> tg.linalg.cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return functions.cross(x1, x2, axis=axis)
