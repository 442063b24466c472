"""Sparse matrices of SciPy as constants in products: S @ x, x @ S, tg.matmul and tg.dot, for a tensor x.

    z = S x     the contribution to x is S^T d

A recorder takes such an operand for what `operand` makes of it, which does the operation in its own way, or refuses it.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tapegrad.core.constants import private
from tapegrad.core.record import recorded
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import DtypeError, ShapeError, describe, is_sparse

if TYPE_CHECKING:
    from tapegrad.functions.tensor import Tensor


class Constant:
    """A sparse matrix that the tape keeps, by rows or by columns; the caller may write into theirs. Each has its own text."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    @cached_property
    def T(self) -> Constant:
        return Constant(self.matrix.T)

    def __repr__(self) -> str:
        return f"<sparse {describe(self.matrix)}, {self.matrix.nnz} elements, at {id(self.matrix):#x}>"


class Operand(TensorBase):
    """A sparse matrix among the operands of an operation."""

    __slots__ = ("_matrix",)

    _matrix: Any

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    def _operate(self, row: Any, operands: Any, static: tuple[Any, ...]) -> Tensor:
        if row.name != "matmul":
            raise DtypeError(f"{row.name}: a sparse matrix, {describe(self._matrix)}, is an operand of products only: S @ x, "
                             "x @ S, tg.matmul, tg.dot; elsewhere give S.toarray()")
        S, x = operands
        if S is self or is_sparse(S):
            if isinstance(x, Operand) or is_sparse(x):
                raise DtypeError("matmul: two sparse matrices, which are constants: multiply them by SciPy, (S @ R) @ x")
            return _times(constant(self._matrix), x, S_first=True)
        return _times(constant(self._matrix).T, S, S_first=False)


def operand(x: Any) -> Operand | None:
    """What takes over an operation on x, where x is a sparse matrix."""
    return Operand(x) if is_sparse(x) else None


def constant(S: Any) -> Constant:
    """A sparse matrix that does not change when the caller's does."""
    from tapegrad.primitives import sparse  # noqa: F401, PLC0415     its row, which only those need who have SciPy

    kept = S if S.format in ("csr", "csc") else S.tocsr()
    return Constant(type(kept)((private(kept.data), private(kept.indices), private(kept.indptr)), shape=kept.shape))


def _times(S: Constant, x: Any, S_first: bool) -> Tensor:
    """S x; or, with S the transpose of what is given, x S^T."""
    shape, (m, n) = np.shape(x) if not isinstance(x, TensorBase) else x.shape, S.matrix.shape
    if not shape or shape[-2 if S_first and len(shape) > 1 else -1] != n:
        given = describe(S.matrix if S_first else S.matrix.T), describe(x if hasattr(x, "shape") else np.asarray(x))
        first, second = given if S_first else given[::-1]
        raise ShapeError(f"matmul: {first} and {second}, one of them a sparse matrix: the axes that are multiplied differ")
    if len(shape) == 1 or len(shape) == 2 and S_first:
        z: Tensor = recorded.sparse_matmul(x, S)
    elif S_first:                                       # (.., n, k): n first
        order = (len(shape) - 2, *range(len(shape) - 2), len(shape) - 1)
        columns = recorded.reshape(recorded.transpose(x, order), (n, prod(shape[:-2]) * shape[-1]))
        z = recorded.reshape(recorded.sparse_matmul(columns, S), (m, *shape[:-2], shape[-1]))
        z = recorded.transpose(z, (*range(1, len(shape) - 1), 0, len(shape) - 1))
    else:                                               # (.., n): the others are columns
        columns = recorded.transpose(recorded.reshape(x, (prod(shape[:-1]), n)), (1, 0))
        z = recorded.reshape(recorded.transpose(recorded.sparse_matmul(columns, S), (1, 0)), (*shape[:-1], m))
    return z
