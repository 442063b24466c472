"""The decompositions of stacks of matrices: what a row of primitives/decompositions.py returns as one array is taken apart.

All take real or complex matrices (.., m, n), or (.., n, n) where square or Hermitian ones are needed, with any number of axes
before. They raise ShapeError for other shapes, DtypeError for float16, LinAlgError where NumPy does. ^H is the conjugate
transpose. A complex vector may have any phase: backward() raises GradientError for a loss that depends on it. The sources of
the derivatives are in primitives/decompositions.py.
"""

from __future__ import annotations

from typing import NamedTuple

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, like
from tapegrad.functions.complex_parts import real
from tapegrad.functions.elementwise import matmul
from tapegrad.functions.joining import concatenate
from tapegrad.functions.matrices import adjoint, hermitian, hermitised, matrices
from tapegrad.functions.shaping import matrix_transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


class SlogdetResult(NamedTuple):
    """What slogdet returns: `sign` and `logabsdet`, both (..).

    >>> tg.linalg.slogdet(np.eye(2)).sign
    tensor(1.)
    """

    sign: Tensor
    logabsdet: Tensor


class QRResult(NamedTuple):
    """What qr returns: `Q` (.., m, k) and `R` (.., k, n).

    >>> tg.linalg.qr(np.ones((3, 2))).R.shape
    (2, 2)
    """

    Q: Tensor
    R: Tensor


class EighResult(NamedTuple):
    """What eigh returns: `eigenvalues` (.., n) and `eigenvectors` (.., n, n).

    >>> tg.linalg.eigh(np.eye(2)).eigenvalues
    tensor([1., 1.])
    """

    eigenvalues: Tensor
    eigenvectors: Tensor


class EigResult(NamedTuple):
    """What eig returns: `eigenvalues` (.., n) and `eigenvectors` (.., n, n), both complex.

    >>> tg.linalg.eig(np.eye(2)).eigenvalues.data
    array([1.+0.j, 1.+0.j])
    """

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVDResult(NamedTuple):
    """What svd returns: `U` (.., m, k), `S` (.., k) and `Vh` (.., k, n).

    >>> tg.linalg.svd(np.ones((3, 2)), full_matrices=False).S.shape
    (2,)
    """

    U: Tensor
    S: Tensor
    Vh: Tensor


def slogdet(a: TensorLike) -> SlogdetResult:
    """(sign, logabsdet) of the determinants of square matrices: det(a) = sign exp(logabsdet), both (..).

    Derivative of logabsdet: d a^-H; of a real sign: 0; of a complex one s: i Im(conj(s) d) a^-H.

    >>> sign, logabsdet = tg.linalg.slogdet(np.diag([-1.0, 4.0]))
    >>> print(sign, round(float(logabsdet), 6))
    tensor(-1.) 1.386294
    >>> tg.grad(lambda a: tg.linalg.slogdet(a).logabsdet)(np.diag([-1.0, 4.0])).diagonal()
    array([-1.  ,  0.25])
    """
    z = recorded.slogdet(matrices("slogdet", a, square=True))
    return SlogdetResult(z[..., 0], _real(z[..., 1]))


def _real(z: Tensor) -> Tensor:
    return real(z) if z.dtype.kind == "c" else z


def cholesky(a: TensorLike, /, *, upper: bool = False) -> Tensor:
    """The lower triangular z with z z^H = a, Hermitian and positive definite; with upper=True z^H.

    One triangle of a is read. Derivative: Hermitian, S = z^-H P z^-1 with P the lower triangle of z^H d, its diagonal halved;
    (S + S^H) / 2.

    >>> tg.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 10.0]]))
    tensor([[2., 0.],
            [1., 3.]])
    """
    z: Tensor = recorded.cholesky(hermitian("cholesky", a, upper))
    return as_tensor(adjoint(z)) if upper else z


def qr(a: TensorLike, mode: str = "reduced") -> QRResult | Tensor:
    """(Q, R) of matrices (.., m, n): a = Q R, Q (.., m, k) with orthonormal columns, R (.., k, n) upper triangular.

    mode   "reduced", k = min(m, n), or "r" for R alone; ValueError for others

    Derivative: in primitives/decompositions.py; it needs the first k columns of a to be linearly independent.

    >>> a = np.array([[3.0, 1.0], [4.0, 2.0]])
    >>> Q, R = tg.linalg.qr(a)
    >>> bool(np.allclose((Q @ R).data, a))
    True
    >>> np.abs(tg.linalg.qr(a, mode="r").data).round(6)
    array([[5. , 2.2],
           [0. , 0.4]])
    """
    if mode not in ("reduced", "r"):
        raise ValueError(f"qr: mode={mode!r}; it is 'reduced' or 'r'")
    a = matrices("qr", a)
    m, n = like(a).shape[-2:]
    z: Tensor = recorded.qr(a[..., :m] if m < n else a)
    q, r = z[..., :m, :], matrix_transpose(z[..., m:, :])
    if m < n:                                           # a = [b | c] with square b = Q R: Q [R | Q^H c]
        r = concatenate([r, matmul(adjoint(q), a[..., m:])], -1)
    return QRResult(q, r) if mode == "reduced" else r


def eigh(a: TensorLike, UPLO: str = "L") -> EighResult:
    """(eigenvalues, eigenvectors) of Hermitian matrices: real, ascending (.., n), and in the columns of (.., n, n).

    Derivative: V (diag(dw) + K * (V^H dV)) V^H, made Hermitian, with K_ij = 1 / (w_j - w_i) off the diagonal. Where
    eigenvalues are equal that of the eigenvectors is infinite or NaN.

    UPLO   the triangle that is read, "L" or "U"; ValueError for others

    >>> w, V = tg.linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> w.data.round(6)
    array([1., 3.])
    >>> bool(np.allclose((V * w @ V.T).data, [[2, 1], [1, 2]]))
    True
    """
    z: Tensor = recorded.eigh(hermitian("eigh", a, _is_upper("eigh", UPLO)))
    return EighResult(_real(z[..., 0, :]), z[..., 1:, :])


def eigvalsh(a: TensorLike, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending: (.., n). See eigh for UPLO. Derivative: V diag(d) V^H.

    >>> tg.linalg.eigvalsh(np.array([[2.0, 1.0], [1.0, 2.0]])).data.round(6)
    array([1., 3.])
    """
    z: Tensor = recorded.eigh(hermitian("eigvalsh", a, _is_upper("eigvalsh", UPLO)))
    return _real(z[..., 0, :])


def _is_upper(name: str, UPLO: str) -> bool:
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"{name}: UPLO={UPLO!r}; it is 'L' or 'U'")
    return UPLO in "Uu"


def eig(a: TensorLike) -> EigResult:
    """(eigenvalues, eigenvectors) of square matrices: a V = V diag(w), w (.., n), unit vectors in the columns of V (.., n, n).

    Both are complex, whatever the values are (NumPy's are real where all of them happen to be), in NumPy's order.
    Derivative: V^-H (diag(dw) + K * (V^H dV - V^H V diag(V^H dV))) V^H, with K_ij = 1 / conj(w_j - w_i) off the diagonal, of
    which a real `a` gets the real part. Where eigenvalues are equal that of the eigenvectors is infinite or NaN.

    >>> w, V = tg.linalg.eig(np.array([[0.0, -1.0], [1.0, 0.0]]))
    >>> w.data
    array([0.+1.j, 0.-1.j])
    >>> tg.grad(lambda a: tg.linalg.eig(a).eigenvalues.imag.max())(np.array([[0.0, -1.0], [1.0, 0.0]]))
    array([[ 0. , -0.5],
           [ 0.5,  0. ]])
    """
    z: Tensor = recorded.eig(matrices("eig", a, square=True))
    return EigResult(z[..., 0, :], z[..., 1:, :])


def eigvals(a: TensorLike) -> Tensor:
    """The eigenvalues of square matrices, complex: (.., n). See eig. Derivative: V^-H diag(d) V^H.

    >>> tg.linalg.eigvals(np.array([[0.0, -1.0], [1.0, 0.0]])).data
    array([0.+1.j, 0.-1.j])
    """
    z: Tensor = recorded.eig(matrices("eigvals", a, square=True))
    return z[..., 0, :]


def svd(a: TensorLike, full_matrices: bool = True, compute_uv: bool = True,
        hermitian: bool = False) -> SVDResult | Tensor:
    """(U, S, Vh) of matrices (.., m, n): a = U diag(S) Vh, with k = min(m, n) singular values, descending.

    The columns of U and the rows of Vh are k. The further ones of full_matrices=True, NumPy's default, have no derivative: that
    is an error unless m = n. Where singular values are equal, or one is 0 and m != n, that of U and Vh is infinite or NaN.
    With compute_uv=False it is svdvals(a). hermitian=True reads the lower triangle of a Hermitian `a`.

    >>> a = np.array([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    >>> U, S, Vh = tg.linalg.svd(a, full_matrices=False)
    >>> S.data.round(6)
    array([3., 2.])
    >>> bool(np.allclose((U * S @ Vh).data, a))
    True
    """
    a = hermitised("svd", a) if hermitian else matrices("svd", a)
    if not compute_uv:
        return svdvals(a)
    m, n = like(a).shape[-2:]
    if full_matrices and m != n:
        raise ShapeError(f"svd: full_matrices=True for {describe(like(a))}: the vectors beyond min(m, n) have no derivative; "
                         "use full_matrices=False")
    z: Tensor = recorded.svd(a)
    return SVDResult(z[..., 1:1 + m, :], _real(z[..., 0, :]), matrix_transpose(z[..., 1 + m:, :]))


def svdvals(x: TensorLike, /) -> Tensor:
    """The singular values of matrices, descending: (.., min(m, n)). Derivative: U diag(d) Vh.

    >>> tg.linalg.svdvals(np.array([[0.0, 2.0], [3.0, 0.0]])).data.round(6)
    array([3., 2.])
    """
    z: Tensor = recorded.svd(matrices("svdvals", x))
    return _real(z[..., 0, :])
