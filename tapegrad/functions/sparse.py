"""Sparse matrices of SciPy as constants in products: S @ x, x @ S, tg.matmul and tg.dot, for a tensor x.

    z = S x     the contribution to x is S^T d

A recorder takes such an operand for what `operand` makes of it, which does the operation in its own way, or refuses it.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tapegrad.core.constants import private
from tapegrad.core.record import recorded
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import DtypeError, ShapeError, describe, is_sparse

if TYPE_CHECKING:
    from tapegrad.functions.tensor import Tensor


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
        S, (x, y) = self._matrix, operands
        sparse = [z is self or isinstance(z, Operand) or is_sparse(z) for z in (x, y)]
        if all(sparse):
            raise DtypeError("matmul: two sparse matrices, which are constants: multiply them by SciPy, (S @ R) @ x")
        x, y = [S if it else _like(z) for z, it in zip((x, y), sparse)]
        if S.ndim != 2:
            raise ShapeError(f"matmul: a sparse array {describe(S)}; a matrix is needed")
        if not (x.ndim and y.ndim) or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
            raise ShapeError(f"matmul: {describe(x)} and {describe(y)}, one of them a sparse matrix: the axes that are "
                             "multiplied differ")
        return _product(S, y) if sparse[0] else _product_from_right(x, S)


def _like(x: Any) -> Any:
    return x if isinstance(x, TensorBase) else np.asarray(x)


def operand(x: Any) -> Operand | None:
    """What takes over an operation on x, where x is a sparse matrix."""
    return Operand(x) if is_sparse(x) else None


def _static(S: Any) -> tuple[Any, ...]:
    """A sparse matrix as static arguments of the row, which do not change when the caller's matrix does."""
    from tapegrad.primitives import sparse  # noqa: F401, PLC0415     the row, which only those have who have SciPy

    by_columns = S.format == "csc"
    kept = S if by_columns or S.format == "csr" else S.tocsr()
    return *map(private, (kept.data, kept.indices, kept.indptr)), S.shape[::-1] if by_columns else S.shape, by_columns


def _product(S: Any, x: Any) -> Tensor:
    """S x, for x (.., n, k) or (n,)."""
    shape, (m, n), static = x.shape, S.shape, _static(S)
    if len(shape) <= 2:
        return recorded.sparse_matmul(x, *static)
    order = (len(shape) - 2, *range(len(shape) - 2), len(shape) - 1)           # n first, and the others are columns
    columns = recorded.reshape(recorded.transpose(x, order), (n, prod(shape[:-2]) * shape[-1]))
    z = recorded.reshape(recorded.sparse_matmul(columns, *static), (m, *shape[:-2], shape[-1]))
    return recorded.transpose(z, (*range(1, len(shape) - 1), 0, len(shape) - 1))


def _product_from_right(x: Any, S: Any) -> Tensor:
    """x S, for x (.., m): the columns of S^T x^T."""
    shape, (m, n), (*arrays, transposed) = x.shape, S.shape, _static(S)
    if len(shape) == 1:
        return recorded.sparse_matmul(x, *arrays, not transposed)
    columns = recorded.transpose(recorded.reshape(x, (prod(shape[:-1]), m)), (1, 0))
    z = recorded.transpose(recorded.sparse_matmul(columns, *arrays, not transposed), (1, 0))
    return recorded.reshape(z, (*shape[:-1], n))
