"""Norms of vectors and matrices, and numbers made from singular values. Those of complex numbers are norms of their absolute
values; what takes singular values takes real dtypes only.

They raise ShapeError for shapes and axes that do not fit, ValueError for an `ord` that there is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import like, normalized_axis, value
from tapegrad.functions.decompositions import svdvals
from tapegrad.functions.elementwise import absolute, where
from tapegrad.functions.matrices import matrices, real
from tapegrad.functions.shaping import expand_dims, moveaxis
from tapegrad.functions.solving import inv
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, Axis, TensorLike


def _sizes(name: str, x: TensorLike) -> Tensor | Array:
    """The absolute values of complex numbers, of others x itself in a float dtype."""
    return absolute(x) if like(x).dtype.kind == "c" else real(name, x)


def vector_norm(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """sum(|x|^ord)^(1/ord) over `axis` (None for all elements, an int, or a tuple).

    ord   any number; inf and -inf give the greatest and least |x|, 0 the number of elements that are not 0

    Derivative: d sign(x) (|x| / z)^(ord - 1); 0 where the norm is 0. Elements that tie for inf and -inf share d evenly.

    >>> tg.linalg.vector_norm(np.array([3.0, -4.0]))
    tensor(5.)
    >>> tg.grad(tg.linalg.vector_norm)(np.array([3.0, -4.0]))
    array([ 0.6, -0.8])
    """
    x = _sizes("vector_norm", x)
    axis = normalized_axis("vector_norm", x, axis)
    if not isinstance(ord, (int, float, np.number)):
        raise ValueError(f"vector_norm: ord={ord!r}; a number is needed")
    if ord == 0:
        return Tensor(np.not_equal(value(x), 0).astype(like(x).dtype).sum(axis, keepdims=keepdims))
    z: Tensor
    if ord == 1:
        z = recorded.sum(absolute(x), axis, keepdims)
    elif ord in (np.inf, -np.inf):
        z = (recorded.max if ord > 0 else recorded.min)(absolute(x), axis, keepdims)
    else:
        z = recorded.norm(x, ord, axis, keepdims)
    return z


def matrix_norm(x: TensorLike, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """A norm of the matrices in the last two axes: see `norm` for `ord`.

    >>> tg.linalg.matrix_norm(np.array([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    >>> tg.linalg.matrix_norm(np.array([[3.0, 0.0], [1.0, 4.0]]), ord=np.inf)
    tensor(5.)
    """
    if like(x).dtype.kind != "c" or like(x).ndim < 2:
        x = matrices("matrix_norm", x)
    return _matrix_norm(x, ord, keepdims)


def _matrix_norm(x: TensorLike, ord: Any, keepdims: bool) -> Tensor:
    z: Tensor
    rows, columns = like(x).ndim - 2, like(x).ndim - 1
    if ord in (None, "fro", "f"):
        z = recorded.norm(_sizes("norm", x), 2, (rows, columns), keepdims)
        return z
    if ord in (2, -2, "nuc"):
        z = vector_norm(svdvals(x), axis=-1, ord={2: np.inf, -2: -np.inf, "nuc": 1}[ord])
    elif ord in (1, -1, np.inf, -np.inf):
        sums = recorded.sum(absolute(x), (rows if abs(ord) == 1 else columns,), False)
        z = (recorded.max if ord > 0 else recorded.min)(sums, (rows,), False)
    else:
        raise ValueError(f"norm: ord={ord!r} of matrices; it is None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    return expand_dims(z, (-2, -1)) if keepdims else z


def norm(x: TensorLike, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """A norm of vectors or matrices, as numpy.linalg.norm.

    axis   an int: of the vectors along it; two: of the matrices in them; None: of a vector or matrix x itself
    ord    None     sqrt(sum(x^2)), of all elements where axis is None
           vectors  any number, see vector_norm
           matrices "fro" sqrt(sum(x^2)), "nuc" the sum of the singular values, 2 and -2 the greatest and least of them,
                    1 and -1 of the column sums of |x|, inf and -inf of the row sums

    Derivative: 0 where the norm is 0.

    >>> tg.linalg.norm(np.array([[3.0, 0.0], [0.0, 4.0]]), axis=1)
    tensor([3., 4.])
    >>> tg.grad(tg.linalg.norm)(np.array([3.0, -4.0]))
    array([ 0.6, -0.8])
    """
    if like(x).dtype.kind != "c":
        x = real("norm", x)
    ndim = like(x).ndim
    axes = normalized_axis("norm", x, axis)
    if axes is None:
        if ord is None:
            return recorded.norm(_sizes("norm", x), 2, None, keepdims)
        axes = tuple(range(ndim))
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"norm: ord={ord!r} of vectors; a number is needed")
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ShapeError(f"norm: {len(axes)} axes of {describe(like(x))}; one or two are needed")
    z = _matrix_norm(moveaxis(x, axes, (-2, -1)), ord, False)
    return expand_dims(z, axes) if keepdims else z


def cond(x: TensorLike, p: Any = None) -> Tensor:
    """The condition number: norm(x, p) norm(inv(x), p); for p None, 2, -2 the quotient of the extreme singular values.
    Infinite for singular matrices; for p = -2, for zeros.

    >>> tg.linalg.cond(np.array([[2.0, 0.0], [0.0, 8.0]])).data.round(6).item()
    4.0
    """
    x = matrices("cond", x, square=p not in (None, 2, -2))
    if p in (None, 2, -2):
        s = svdvals(x)
        zero = value(s)[..., -1] == 0                   # so that the condition of zeros is infinite
        least = where(zero, 1.0, s[..., -1])
        if p == -2:
            return where(value(s)[..., 0] == 0, np.inf, s[..., -1] / where(value(s)[..., 0] == 0, 1.0, s[..., 0]))
        return where(zero, np.inf, s[..., 0] / least)
    singular = np.linalg.det(value(x)) == 0
    regular = where(singular[..., None, None], np.eye(like(x).shape[-1], dtype=like(x).dtype), x) if singular.any() else x
    z = _matrix_norm(x, p, False) * _matrix_norm(inv(regular), p, False)
    return where(singular, np.inf, z) if singular.any() else z


def matrix_rank(A: TensorLike, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Tensor:
    """The number of singular values that are greater than `tol`, or than rtol times the greatest: a constant.

    By default rtol is max(m, n) times the precision of the dtype. hermitian=True is faster, for symmetric matrices.

    >>> tg.linalg.matrix_rank(np.ones((3, 2)))
    tensor(1, dtype=int64)
    """
    return Tensor(np.linalg.matrix_rank(value(A), tol, hermitian, rtol=rtol))
