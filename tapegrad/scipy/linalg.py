"""`tapegrad.scipy.linalg`: the names of scipy.linalg, for arrays and for tensors; real matrices, one at a time where SciPy
says so.

overwrite_a=, check_finite= and the like make no difference for tensors. For what is not here see tapegrad.linalg.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg as theirs

from tapegrad import functions
from tapegrad import linalg as ours
from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError
from tapegrad.errors import describe as described
from tapegrad.functions.arguments import as_tensor, value
from tapegrad.functions.matrices import matrices, real
from tapegrad.functions.tensor import Tensor
from tapegrad.numpy.dispatch import Names
from tapegrad.primitives import scipy_linear as _rows  # noqa: F401
from tapegrad.typing import TensorLike

__all__ = list(theirs.__all__)
_names = Names(globals(), theirs, "scipy.linalg", lambda name: None)
__dir__, __getattr__ = _names.dir, _names.get


def _square(name: str, a: TensorLike) -> Tensor:
    return as_tensor(real(name, matrices(name, a, square=True)))


@_names.of("solve_triangular")
def solve_triangular(a: TensorLike, b: TensorLike, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False,
                     overwrite_b: bool = False, check_finite: bool = True) -> Tensor:
    """The z with a z = b, or a^T z = b where trans is 1 or "T"; only a triangle of a, (n, n), is read. b: (n,) or (n, k).

    Derivative: to b, g = a^-T d; to that triangle of a, -g z^T.

    >>> a, b = np.array([[2.0, 0.0], [1.0, 4.0]]), np.array([2.0, 9.0])
    >>> tg.scipy.linalg.solve_triangular(tg.tensor(a), b, lower=True)
    tensor([1., 2.])
    >>> tg.grad(lambda b: tg.scipy.linalg.solve_triangular(a, b, lower=True).sum())(b)
    array([0.375, 0.25 ])
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"solve_triangular: trans={trans!r}; it is 0 or 1, 'N' or 'T'")
    a, b = _square("solve_triangular", a), real("solve_triangular", b)
    if a.ndim != 2 or value(b).ndim not in (1, 2) or value(b).shape[0] != a.shape[0]:
        raise ShapeError(f"solve_triangular: {described(a)} and {described(value(b))}; (n, n) and (n,) or (n, k) are needed")
    return recorded.special_solve_triangular(a, b, int(trans in (1, 2, "T", "C")), bool(lower), bool(unit_diagonal))


@_names.of("cholesky")
def cholesky(a: TensorLike, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Tensor:
    """The upper triangular z with z^T z = a, or the lower one with z z^T = a; see tg.linalg.cholesky.

    >>> tg.scipy.linalg.cholesky(tg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 1.],
            [0., 2.]])
    """
    return ours.cholesky(a, upper=not lower)


@_names.of("cho_factor")
def cho_factor(a: TensorLike, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Tensor, bool]:
    """(the Cholesky factor, lower), for cho_solve. The other triangle is 0, where SciPy leaves what was there.

    >>> tg.scipy.linalg.cho_factor(tg.tensor([[4.0, 2.0], [2.0, 5.0]]), lower=True)[0]
    tensor([[2., 0.],
            [1., 2.]])
    """
    return ours.cholesky(a, upper=not lower), lower


@_names.of("cho_solve")
def cho_solve(c_and_lower: tuple[Any, bool], b: TensorLike, overwrite_b: bool = False, check_finite: bool = True) -> Tensor:
    """The z with a z = b, of what cho_factor gave for a.

    >>> factor = tg.scipy.linalg.cho_factor(tg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    >>> tg.scipy.linalg.cho_solve(factor, np.array([8.0, 12.0]))
    tensor([1., 2.])
    """
    c, lower = c_and_lower
    half = solve_triangular(as_tensor(c), b, 0 if lower else 1, lower)
    z: Tensor = solve_triangular(as_tensor(c), half, 1 if lower else 0, lower)
    return z


def _matrix_function(name: str, what: str, at: str, shown: str) -> Any:
    def function(A: TensorLike, *_: Any, **options: Any) -> Tensor:
        if _ or options:
            raise TypeError(f"{name}: of a tensor it takes the matrix only")
        return recorded.special_matrix_function(_square(name, A), name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (f"{what} of a square matrix. Derivative: {name}([[A^T, d], [0, A^T]]), the block above the diagonal."
                        f"\n\nDtypeError where the result is complex."
                        f"\n\n>>> tg.scipy.linalg.{name}(tg.tensor({at})).data.round(6) + 0.0\narray({shown})\n")
    return _names.of(name)(function)


expm = _matrix_function("expm", "The exponential function", "[[0.0, 1.0], [0.0, 0.0]]", "[[1., 1.],\n       [0., 1.]]")
logm = _matrix_function("logm", "The logarithm", "[[1.0, 1.0], [0.0, 1.0]]", "[[0., 1.],\n       [0., 0.]]")
sqrtm = _matrix_function("sqrtm", "The principal square root", "[[4.0, 4.0], [0.0, 4.0]]", "[[2., 1.],\n       [0., 2.]]")


@_names.of("solve_sylvester")
def solve_sylvester(a: TensorLike, b: TensorLike, q: TensorLike) -> Tensor:
    """The z with a z + z b = q. Derivative: g solves a^T g + g b^T = d; to q, g; to a, -g z^T; to b, -z^T g.

    >>> tg.scipy.linalg.solve_sylvester(tg.tensor([[1.0]]), [[2.0]], [[6.0]])
    tensor([[2.]])
    """
    a, b = _square("solve_sylvester", a), _square("solve_sylvester", b)
    q = as_tensor(real("solve_sylvester", matrices("solve_sylvester", q)))
    if q.shape != (a.shape[0], b.shape[0]):
        raise ShapeError(f"solve_sylvester: {described(a)}, {described(b)} and {described(q)}: the sizes do not fit")
    return recorded.special_solve_sylvester(a, b, q)


@_names.of("solve_banded")
def solve_banded(l_and_u: tuple[int, int], ab: TensorLike, b: TensorLike, overwrite_ab: bool = False, overwrite_b: bool = False,
                 check_finite: bool = True) -> Tensor:
    """The z with a z = b, a with l diagonals below and u above: a[i, j] is ab[u + i - j, j]. Of tensors, as a whole matrix.

    >>> ab = np.array([[0.0, 1.0], [2.0, 4.0]])
    >>> tg.scipy.linalg.solve_banded((0, 1), tg.tensor(ab), np.array([4.0, 8.0]))
    tensor([1., 2.])
    """
    (low, up), ab = l_and_u, as_tensor(ab)
    if ab.ndim != 2 or ab.shape[0] != low + up + 1:
        raise ShapeError(f"solve_banded: {described(ab)} for {low} diagonals below and {up} above; {low + up + 1} rows are "
                         "needed")
    n = ab.shape[1]
    i, j = np.indices((n, n))
    inside = (i - j <= low) & (j - i <= up)
    bands = ab[np.where(inside, up + i - j, 0), j]
    return ours.solve(functions.where(inside, bands, 0.0), b)


@_names.of("block_diag")
def block_diag(*arrs: TensorLike) -> Tensor:
    """The matrix with these matrices along its diagonal, and 0 elsewhere; a vector is a row.

    >>> tg.scipy.linalg.block_diag(tg.tensor([[1.0, 2.0]]), 3.0)
    tensor([[1., 2., 0.],
            [0., 0., 3.]])
    """
    parts = [functions.atleast_2d(x) for x in arrs]
    if any(part.ndim != 2 for part in parts):
        raise ShapeError(f"block_diag: {', '.join([described(part) for part in parts])}; matrices are needed")
    width, before, rows = sum(part.shape[1] for part in parts), 0, []
    for part in parts:
        rows.append(functions.pad(part, ((0, 0), (before, width - before - part.shape[1]))))
        before += part.shape[1]
    return functions.concatenate(rows, 0)


@_names.of("toeplitz")
def toeplitz(c: TensorLike, r: TensorLike | None = None) -> Tensor:
    """The matrix with the column c and the row r, constant along its diagonals; r is c by default, and r[0] is not read.

    >>> tg.scipy.linalg.toeplitz(tg.tensor([1.0, 2.0]), [9.0, 3.0, 4.0])
    tensor([[1., 3., 4.],
            [2., 1., 3.]])
    """
    c = functions.ravel(c)
    r = functions.conj(c) if r is None else functions.ravel(r)
    both = functions.concatenate([functions.flip(r[1:], 0), c])
    n, m = c.shape[0], r.shape[0]
    return both[m - 1 + np.arange(n)[:, None] - np.arange(m)]


def _same(name: str, what: str, at: str, shown: str) -> Any:
    """SciPy's function that is tapegrad.linalg's, but for options that make no difference, and others that are refused."""
    function = getattr(ours, name)

    def of_tensors(a: TensorLike, overwrite_a: bool = False, check_finite: bool = True) -> Any:
        return function(a)

    of_tensors.__name__ = of_tensors.__qualname__ = name
    of_tensors.__doc__ = f"{what}: see tg.linalg.{name}.\n\n>>> tg.scipy.linalg.{name}(tg.tensor({at}))\n{shown}\n"
    return _names.of(name)(of_tensors)


det = _same("det", "The determinant", "[[2.0, 0.0], [0.0, 4.0]]", "tensor(8.)")
inv = _same("inv", "The inverse", "[[2.0, 0.0], [0.0, 4.0]]", "tensor([[0.5 , 0.  ],\n        [0.  , 0.25]])")
svdvals = _same("svdvals", "The singular values", "[[0.0, 2.0], [3.0, 0.0]]", "tensor([3., 2.])")


@_names.of("solve")
def solve(a: TensorLike, b: TensorLike, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
          check_finite: bool = True, assume_a: Any = None, transposed: bool = False) -> Tensor:
    """The z with a z = b, or a^T z = b: see tg.linalg.solve. TypeError for an assume_a, by which a part of a would be read.

    >>> tg.scipy.linalg.solve(tg.tensor([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 8.0]))
    tensor([1., 2.])
    """
    if assume_a not in (None, "gen", "general"):
        raise TypeError(f"solve: assume_a={assume_a!r} of a tensor; use cho_factor and cho_solve, or solve_triangular")
    return ours.solve(functions.matrix_transpose(a) if transposed else a, b)


@_names.of("norm")
def norm(a: TensorLike, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Tensor:
    """The norm of a vector or a matrix: see tg.linalg.norm.

    >>> tg.scipy.linalg.norm(tg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return ours.norm(a, ord, axis, keepdims)
