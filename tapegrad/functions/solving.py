"""Systems of equations, inverses, powers and determinants of stacks of matrices."""

from string import ascii_letters

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import value
from tapegrad.functions.decompositions import svdvals
from tapegrad.functions.elementwise import square
from tapegrad.functions.matrices import matrices, real
from tapegrad.functions.products import einsum
from tapegrad.functions.reductions import sum
from tapegrad.functions.shaping import atleast_1d, moveaxis, ravel, reshape
from tapegrad.functions.tensor import Tensor


def solve(a, b):
    """The z with a z = b: a (.., n, n); b a vector (n,), or matrices (.., n, k). Derivative: to b, g = a^-T d; to a, -g z^T."""
    a, b = matrices("solve", a, square=True), real("solve", b)
    shape_a, shape_b = value(a).shape, value(b).shape
    if not shape_b or shape_b[-1 if len(shape_b) == 1 else -2] != shape_a[-1]:
        raise ShapeError(f"solve: {describe(value(a))} and {describe(value(b))}: the rows do not fit")
    return recorded.solve(a, b)


def inv(a):
    """The inverses z of square matrices. Derivative: -z^T d z^T."""
    return recorded.inv(matrices("inv", a, square=True))


def pinv(a, rcond=1e-15, *, rtol=None):
    """The Moore-Penrose inverses; singular values up to `rcond` (or `rtol`) times the greatest count as 0.

    Derivative: for a fixed rank, after Golub and Pereyra (1973).
    """
    return recorded.pinv(matrices("pinv", a), rcond if rtol is None else rtol)


def lstsq(a, b, rcond=None):
    """The z of least |a z - b|, and of these of least |z|: (z, residuals, rank, singular values), as numpy.linalg.lstsq.

    z is pinv(a) b. a is one matrix (m, n), b (m,) or (m, k); the residuals are empty where rank < n or m <= n.
    """
    a, b = matrices("lstsq", a), real("lstsq", b)
    if value(a).ndim != 2 or value(b).ndim not in (1, 2) or value(a).shape[0] != value(b).shape[0]:
        raise ShapeError(f"lstsq: {describe(value(a))} and {describe(value(b))}; (m, n) and (m,) or (m, k) are needed")
    m, n = value(a).shape
    if rcond is None:
        rcond = np.finfo(value(a).dtype).eps * max(m, n)
    z, s = recorded.matmul(pinv(a, rcond), b), svdvals(a)
    rank = int((value(s) > rcond * value(s).max(initial=0)).sum())
    missed = atleast_1d(sum(square(recorded.matmul(a, z) - b), axis=0))
    return z, missed if rank == n < m else missed[:0], rank, s


def tensorsolve(a, b, axes=None):
    """The z with tensordot(a, z, z.ndim) = b (numpy.linalg.tensorsolve)."""
    if axes is not None:
        a = moveaxis(a, tuple(axes), tuple(range(-len(axes), 0)))
    shape, shape_b = value(a).shape, value(b).shape
    rest, n = shape[len(shape_b):], value(b).size
    if int(np.prod(rest)) != n:
        raise ShapeError(f"tensorsolve: {describe(value(a))} and {describe(value(b))}: not a square system")
    return reshape(solve(reshape(a, n, n), ravel(b)), rest)


def tensorinv(a, ind=2):
    """The inverse of the linear map tensordot(a, ., ..) that takes the axes from `ind` on to those before it."""
    shape = value(a).shape
    rows = int(np.prod(shape[:ind]))
    if ind <= 0 or rows * rows != value(a).size:
        raise ShapeError(f"tensorinv: ind={ind} of {describe(value(a))}: not a square map")
    return reshape(inv(reshape(a, rows, rows)), (*shape[ind:], *shape[:ind]))


def matrix_power(a, n):
    """The n-th power of square matrices, by repeated squaring; of the inverse where n < 0."""
    a = matrices("matrix_power", a, square=True)
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: exponent {n!r}; an integer is needed")
    if n == 0:
        return Tensor(np.broadcast_to(np.eye(value(a).shape[-1], dtype=value(a).dtype), value(a).shape))
    factor, n, z = (inv(a) if n < 0 else a), abs(int(n)), None
    while True:
        if n & 1:
            z = factor if z is None else recorded.matmul(z, factor)
        n >>= 1
        if not n:
            return recorded.alias(z) if z is a else z
        factor = recorded.matmul(factor, factor)


def multi_dot(arrays):
    """The product of two or more matrices in an order that takes few multiplications; the ends may be vectors."""
    arrays = list(arrays)
    shapes = [value(x).shape for x in arrays]
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


def det(a):
    """The determinants of square matrices. Derivative: d times the cofactors, also where the matrix is singular."""
    return recorded.det(matrices("det", a, square=True))
