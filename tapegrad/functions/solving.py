"""Systems of equations, inverses, powers and determinants of stacks of matrices.

Of real or complex numbers; ^H is the conjugate transpose. They raise ShapeError for shapes that do not fit, DtypeError for
float16, and numpy.linalg.LinAlgError for a singular matrix where NumPy does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_letters
from types import EllipsisType

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, like, operand, refuse_out, value
from tapegrad.functions.decompositions import svdvals
from tapegrad.functions.elementwise import astype, matmul, positive
from tapegrad.functions.matrices import hermitised, inexact, matrices
from tapegrad.functions.moments import squared_size
from tapegrad.functions.products import einsum
from tapegrad.functions.reductions import sum
from tapegrad.functions.shaping import atleast_1d, moveaxis, ravel, reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """The z with a z = b: a (.., n, n); b a vector (n,), or matrices (.., n, k). Derivative: to b, g = a^-H d; to a, -g z^H.

    >>> tg.linalg.solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 8.0]))
    tensor([1., 2.])
    >>> tg.grad(lambda b: tg.linalg.solve(np.diag([2.0, 4.0]), b).sum())(np.array([2.0, 8.0]))
    array([0.5 , 0.25])
    """
    a, b = matrices("solve", a, square=True), inexact("solve", b)
    shape_a, shape_b = like(a).shape, like(b).shape
    if not shape_b or shape_b[-1 if len(shape_b) == 1 else -2] != shape_a[-1]:
        raise ShapeError(f"solve: {describe(like(a))} and {describe(like(b))}: the rows do not fit")
    return recorded.solve(a, b)


def inv(a: TensorLike) -> Tensor:
    """The inverses z of square matrices (.., n, n). Derivative: -z^H d z^H.

    >>> tg.linalg.inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return recorded.inv(matrices("inv", a, square=True))


def pinv(a: TensorLike, rcond: TensorLike | None = None, hermitian: bool = False, *,
         rtol: TensorLike | EllipsisType | None = ...) -> Tensor:
    """The Moore-Penrose inverses; singular values up to `rcond` (or `rtol`) times the greatest count as 0.

    rcond       1e-15 by default; ValueError if both are given. rtol=None stands for max(m, n) times the dtype's precision
    hermitian   whether `a` is Hermitian; its lower triangle is read then

    (.., m, n) gives (.., n, m). Derivative: for a fixed rank, after Golub and Pereyra (1973).

    >>> tg.linalg.pinv(np.array([[2.0, 0.0], [0.0, 4.0], [0.0, 0.0]])).data.round(6)
    array([[0.5 , 0.  , 0.  ],
           [0.  , 0.25, 0.  ]])
    """
    a = hermitised("pinv", a) if hermitian else matrices("pinv", a)
    if rcond is None:
        rcond = 1e-15 if rtol is ... else max(a.shape[-2:]) * np.finfo(a.dtype).eps if rtol is None else rtol
    elif rtol is not ...:
        raise ValueError("pinv: rcond and rtol are the same bound; give one of them")
    return recorded.pinv(a, rcond)


def lstsq(a: TensorLike, b: TensorLike, rcond: float | None = None) -> tuple[Tensor, Tensor, int, Tensor]:
    """The z of least |a z - b|, and of these of least |z|: (z, residuals, rank, singular values), as numpy.linalg.lstsq.

    z is pinv(a) b. a is one matrix (m, n), b (m,) or (m, k); the residuals are empty where rank < n or m <= n.

    >>> z, residuals, rank, s = tg.linalg.lstsq(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))
    >>> print(z.data.round(6), residuals.data.round(6), rank)
    [2.] [2.] 1
    """
    a, b = matrices("lstsq", a), inexact("lstsq", b)
    if like(a).ndim != 2 or like(b).ndim not in (1, 2) or like(a).shape[0] != like(b).shape[0]:
        raise ShapeError(f"lstsq: {describe(like(a))} and {describe(like(b))}; (m, n) and (m,) or (m, k) are needed")
    kind = np.result_type(value(a), value(b))
    a, b = (x if like(x).dtype == kind else astype(x, kind) for x in (a, b))
    m, n = like(a).shape
    if rcond is None:
        rcond = np.finfo(like(a).dtype).eps * max(m, n)
    z, s = matmul(pinv(a, rcond), b), svdvals(a)
    rank = int((value(s) > rcond * value(s).max(initial=0)).sum())
    missed = atleast_1d(sum(squared_size(matmul(a, z) - b), axis=0))
    return z, missed if rank == n < m else missed[:0], rank, s


def tensorsolve(a: TensorLike, b: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """The z with tensordot(a, z, z.ndim) = b (numpy.linalg.tensorsolve).

    axes   axes of a that are moved to its end first

    >>> tg.linalg.tensorsolve(2 * np.eye(4).reshape(2, 2, 4), np.array([[2.0, 4.0], [6.0, 8.0]]))
    tensor([1., 2., 3., 4.])
    """
    if axes is not None:
        a = moveaxis(a, tuple(axes), tuple(range(-len(axes), 0)))
    shape, shape_b = like(a).shape, like(b).shape
    rest, n = shape[len(shape_b):], like(b).size
    if int(np.prod(rest)) != n:
        raise ShapeError(f"tensorsolve: {describe(like(a))} and {describe(like(b))}: not a square system")
    return reshape(solve(reshape(a, (n, n)), ravel(b)), rest)


def tensorinv(a: TensorLike, ind: int = 2) -> Tensor:
    """The inverse of the linear map tensordot(a, ., ..) that takes the axes from `ind` on to those before it.

    >>> tg.linalg.tensorinv(2 * np.eye(4).reshape(4, 2, 2), ind=1).shape
    (2, 2, 4)
    """
    shape = like(a).shape
    rows = int(np.prod(shape[:ind]))
    if ind <= 0 or rows * rows != like(a).size:
        raise ShapeError(f"tensorinv: ind={ind} of {describe(like(a))}: not a square map")
    return reshape(inv(reshape(a, (rows, rows))), (*shape[ind:], *shape[:ind]))


def matrix_power(a: TensorLike, n: int) -> Tensor:
    """The n-th power of square matrices, by repeated squaring; of the inverse where n < 0. TypeError unless n is an integer.

    >>> tg.linalg.matrix_power(np.array([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    a = operand(a)
    if like(a).ndim < 2 or like(a).shape[-1] != like(a).shape[-2]:
        raise ShapeError(f"matrix_power: {describe(like(a))}; square matrices (.., n, n) are needed")
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: exponent {n!r}; an integer is needed")
    if n == 0:
        return Tensor(np.broadcast_to(np.eye(like(a).shape[-1], dtype=like(a).dtype), like(a).shape))
    factor: TensorLike = inv(a) if n < 0 else a
    z: TensorLike | None = None
    n = abs(int(n))
    while True:
        if n & 1:
            z = factor if z is None else matmul(z, factor)
        n >>= 1
        if not n:
            return positive(z) if z is a else as_tensor(z)
        factor = matmul(factor, factor)


def multi_dot(arrays: Iterable[TensorLike], *, out: None = None) -> Tensor:
    """The product of two or more matrices in an order that takes few multiplications; the ends may be vectors.

    TypeError for an out=.

    >>> x = np.array([1.0, 2.0])
    >>> tg.linalg.multi_dot([x, np.eye(2), x])
    tensor(5.)
    """
    refuse_out("multi_dot", out)
    arrays = list(arrays)
    shapes = [like(x).shape for x in arrays]
    inner = all(len(shape) == 2 for shape in shapes[1:-1]) and all(len(shape) in (1, 2) for shape in shapes)
    if len(arrays) < 2 or not inner:
        raise ShapeError(f"multi_dot: shapes {', '.join(map(str, shapes))}; two or more matrices, vectors at the ends only")
    if any(before[-1] != after[0] for before, after in zip(shapes, shapes[1:])):
        raise ShapeError(f"multi_dot: shapes {', '.join(map(str, shapes))} do not fit")
    terms = [ascii_letters[k:k + 2] for k in range(len(arrays))]
    if len(shapes[0]) == 1:
        terms[0] = terms[0][1]
    if len(shapes[-1]) == 1:
        terms[-1] = terms[-1][0]
    return einsum(",".join(terms), *arrays, optimize="optimal" if len(arrays) < 8 else "greedy")


def det(a: TensorLike) -> Tensor:
    """The determinants of square matrices: (..). Derivative: d times the conjugate cofactors, also of a singular one.

    >>> tg.linalg.det(np.array([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    >>> tg.grad(tg.linalg.det)(np.array([[2.0, 0.0], [0.0, 4.0]])).diagonal().round(6)
    array([4., 2.])
    """
    return recorded.det(matrices("det", a, square=True))
