"""The decompositions of stacks of matrices: what a row of primitives/decompositions.py returns as one array is taken apart."""

from typing import NamedTuple

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import value
from tapegrad.functions.joining import concatenate
from tapegrad.functions.matrices import matrices, symmetric
from tapegrad.functions.shaping import matrix_transpose
from tapegrad.functions.tensor import Tensor


class SlogdetResult(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class QRResult(NamedTuple):
    Q: Tensor
    R: Tensor


class EighResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class SVDResult(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


def slogdet(a):
    """(sign, logabsdet) of the determinants of square matrices. Derivative of logabsdet: d a^-T; of the sign: 0."""
    z = recorded.slogdet(matrices("slogdet", a, square=True))
    return SlogdetResult(z[..., 0], z[..., 1])


def cholesky(a, *, upper=False):
    """The lower triangular z with z z^T = a, symmetric and positive definite; with upper=True its transpose.

    Derivative: symmetric, S = z^-T P z^-1 with P the lower triangle of z^T d, its diagonal halved; (S + S^T) / 2.
    """
    z = recorded.cholesky(symmetric("cholesky", a, upper))
    return matrix_transpose(z) if upper else z


def qr(a, mode="reduced"):
    """(Q, R) of matrices (.., m, n): a = Q R, Q (.., m, k) with orthonormal columns, R (.., k, n) upper triangular.

    mode   "reduced", k = min(m, n), or "r" for R alone
    """
    if mode not in ("reduced", "r"):
        raise ValueError(f"qr: mode={mode!r}; it is 'reduced' or 'r'")
    a = matrices("qr", a)
    m, n = value(a).shape[-2:]
    z = recorded.qr(a[..., :m] if m < n else a)
    q, r = z[..., :m, :], matrix_transpose(z[..., m:, :])
    if m < n:                                           # a = [b | c] with square b = Q R: Q [R | Q^T c]
        r = concatenate([r, recorded.matmul(matrix_transpose(q), a[..., m:])], -1)
    return QRResult(q, r) if mode == "reduced" else r


def eigh(a, UPLO="L"):
    """(eigenvalues, eigenvectors) of symmetric matrices: ascending (.., n), and in the columns of (.., n, n).

    Derivative: V (diag(dw) + K * (V^T dV)) V^T, made symmetric, with K_ij = 1 / (w_j - w_i) off the diagonal. Where
    eigenvalues are equal that of the eigenvectors is infinite or NaN.
    """
    z = recorded.eigh(symmetric("eigh", a, _is_upper("eigh", UPLO)))
    return EighResult(z[..., 0, :], z[..., 1:, :])


def eigvalsh(a, UPLO="L"):
    """The eigenvalues of symmetric matrices, ascending. Derivative: V diag(d) V^T."""
    return recorded.eigh(symmetric("eigvalsh", a, _is_upper("eigvalsh", UPLO)))[..., 0, :]


def _is_upper(name, UPLO):
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"{name}: UPLO={UPLO!r}; it is 'L' or 'U'")
    return UPLO in "Uu"


def svd(a, full_matrices=True, compute_uv=True):
    """(U, S, Vh) of matrices (.., m, n): a = U diag(S) Vh, with k = min(m, n) singular values, descending.

    The columns of U and the rows of Vh are k. The further ones of full_matrices=True, NumPy's default, have no derivative: that
    is an error unless m = n. Where singular values are equal, or one is 0 and m != n, that of U and Vh is infinite or NaN.
    """
    if not compute_uv:
        return svdvals(a)
    a = matrices("svd", a)
    m, n = value(a).shape[-2:]
    if full_matrices and m != n:
        raise ShapeError(f"svd: full_matrices=True for {describe(value(a))}: the vectors beyond min(m, n) have no derivative; "
                         "use full_matrices=False")
    z = recorded.svd(a)
    return SVDResult(z[..., 1:1 + m, :], z[..., 0, :], matrix_transpose(z[..., 1 + m:, :]))


def svdvals(x):
    """The singular values of matrices, descending. Derivative: U diag(d) V^T."""
    return recorded.svd(matrices("svdvals", x))[..., 0, :]
