"""Inverses, determinants and decompositions of stacks of matrices, and norms.

A decomposition with several results is one row, whose result has them in one array, stacked by rows:

    eigh, eig  (.., 1 + n, n)       the eigenvalues as a row, V
    svd        (.., 1 + m + n, k)   the singular values as a row, U, the transpose of Vh
    qr         (.., m + n, k)       Q, the transpose of R
    slogdet    (.., 2)              sign, logarithm

The public functions (linalg.py) take them out by indexing. So the decomposition is computed and recorded once, its
derivative is one formula for all results, which reads nothing but the results, and a derivative of it is again recorded.

eigh and cholesky are functions of the Hermitian part (x + x^H) / 2 here, and so their derivatives are Hermitian.
A complex vector of eigh, eig or svd may have any phase. The derivative is that for which it does not turn, v^H dv = 0, and
exists for functions that do not depend on the phase (`without_phase`).

Where eigenvalues or singular values are equal, 1 / (difference) is infinite. It is multiplied strongly: where the delta of
the vectors is exactly 0, as it is if only the values are used, the result is 0, and the gradient is finite.

Sources: M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation (2008), for
inv, solve, det, eigh, svd; I. Murray, Differentiation of the Cholesky decomposition (arXiv 1602.07527); S. Walter and
L. Lehmann, Algorithmic differentiation of linear algebra functions (arXiv 1001.1654) for qr; J. Townsend, Differentiating
the singular value decomposition (2016), and Z. Wan and S. Zhang (arXiv 1909.02659) for svd of rectangular matrices;
G. Golub and V. Pereyra, The differentiation of pseudo-inverses (1973), for pinv; C. Boeddeker, P. Hanebrink, L. Drude,
J. Heymann and R. Haeb-Umbach, On the computation of complex-valued gradients (arXiv 1701.00392), for eig and complex matrices.
"""

from functools import lru_cache

import numpy as np

from tapegrad.errors import GradientError
from tapegrad.kernels import limits, triangular
from tapegrad.primitives.reductions import kept
from tapegrad.primitives.registry import HOLOMORPHIC, LINEAR, arrays, primitive

BLOCK = 64              # rows of a Cholesky factor whose contribution is computed at once


def _t(F, x):
    return F.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _h(F, x):
    return _t(F, _conjugate(F, x))


def _conjugate(F, x):
    return F.conjugate(x) if x.dtype.kind == "c" else x


def _hermitian(F, x):
    return (x + _h(F, x)) * 0.5


def _skew(F, x):
    return (x - _h(F, x)) * 0.5


def _adjoint(x):
    return np.swapaxes(x, -1, -2).conj()


def _eye(n):
    return np.eye(n, dtype=bool)


def _inverse_gaps(F, x):
    """1 / (x_j - x_i) at (i, j) for rows x; infinite where they are equal, 0 on the diagonal."""
    gaps = x - _t(F, x)
    equal = F.equal(gaps, 0)
    at_equal = np.where(_eye(x.shape[-1]), 0, np.inf).astype(x.dtype)
    return F.where(equal, at_equal, 1 / F.where(equal, 1.0, gaps))


def _lower_half(F, x):
    """The lower triangle with half the diagonal."""
    n = x.shape[-1]
    return F.where(_eye(n), x * 0.5, F.where(np.tri(n, dtype=bool), x, 0.0))


def _stacked(*parts):
    return np.concatenate(parts, -2)


# Inverses and determinants


def _fast_solve(x, y):
    z = triangular.solve(x, y)
    return np.linalg.solve(x, y) if z is None else z


def _solve_dy(F, d, x, z_ndim, y_ndim):
    if y_ndim == 1:
        return F.solve(_t(F, x), d[..., None])[..., 0]
    return F.solve(_t(F, x), d)


def _solve_dx(F, d, z, x, y):
    return _solve_dx_by(F, _solve_dy(F, d, x, z.ndim, y.ndim), z, y)


def _solve_dx_by(F, dy, z, y):
    return -dy[..., None] * z[..., None, :] if y.ndim == 1 else -dy @ _t(F, z)


def _solve_jointly(wanted, d, z, x, y):
    dy = _solve_dy(arrays, d, x, z.ndim, y.ndim)        # once for both
    return _solve_dx_by(arrays, dy, z, y), dy


def _inv_dx(F, d, z, _x):
    transposed = _t(F, z)
    return -(transposed @ d @ transposed)


def _pinv_dx(F, d, z, x, _rtol):
    dh, zh, zx, xz = _h(F, d), _h(F, z), z @ x, x @ z
    outside, inside = dh @ z @ zh, zh @ z @ dh
    return outside - xz @ outside + inside - inside @ zx - zh @ d @ zh


def _products_without_one(s):
    return np.where(_eye(s.shape[-1]), 1, s[..., None, :]).prod(-1)


def _cofactors(x):
    """The derivative of det: det(x) inv(x)^T, which also exists where x is singular."""
    det = np.linalg.det(x)
    singular = det == 0
    z = np.linalg.inv(np.where(singular[..., None, None], _eye(x.shape[-1]), x)) * det[..., None, None]
    z = np.swapaxes(z, -1, -2)
    if singular.any():
        u, s, vh = np.linalg.svd(x[singular])
        signs = np.linalg.det(u) * np.linalg.det(vh)
        z[singular] = (u.conj() * (_products_without_one(s) * signs[..., None])[..., None, :]) @ vh.conj()
    return z.astype(x.dtype, copy=False)


def _det_hessian(d, x):
    """The second derivative of det applied to d: a polynomial in the singular values, so that no x is an exception.

    In terms of u^H d v it is -p_ij d_ji off the diagonal and sum_j p_ij d_jj on it, p_ij the product of all values but two.
    """
    u, s, vh = np.linalg.svd(x)
    n = s.shape[-1]
    larger = np.where(s == 0, np.inf, s)[..., :, None]
    p = np.triu(_products_without_one(s)[..., None, :] / larger, 1)         # the value that is left out first is the larger
    if n > 1:
        p[..., -2, -1] = s[..., :-2].prod(-1)
    p = (p + np.swapaxes(p, -1, -2)) * (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    turned = _adjoint(u) @ d @ _adjoint(vh)
    diagonal = (p @ np.diagonal(turned, axis1=-2, axis2=-1)[..., None]) * _eye(n)
    return u.conj() @ (diagonal - p * np.swapaxes(turned, -1, -2)) @ vh.conj()


def _inner(F, x, y):
    return F.sum(x * y, (x.ndim - 2, x.ndim - 1), True)


def _det_hessian_dx(F, e, z, d, x):
    """From z = (c <d, c> - c d^T c) / det, c the cofactors."""
    c = F.cofactors(x)
    det = F.det(x)[..., None, None]
    ct = _t(F, c)
    dc = e * _inner(F, d, c) + d * _inner(F, e, c) - e @ ct @ d - d @ ct @ e
    return F.det_hessian(dc / det, x) - c * (_inner(F, e, z) / det)


def _slogdet(x):
    sign, logarithm = np.linalg.slogdet(x)
    return np.stack((sign, logarithm), -1)


def _slogdet_dx(F, d, z, x):
    """The sign of a complex determinant turns with it: d sign = i sign Im(trace(x^-1 dx))."""
    regular = F.not_equal(z, -np.inf)[..., 1, None, None]
    inverse = _h(F, F.inv(F.where(regular, x, _eye(x.shape[-1]).astype(x.dtype))))
    d_sign, d = d[..., 0], d[..., 1]
    if x.dtype.kind == "c":
        d = F.real(d) + 1j * F.imag(F.conjugate(z[..., 0]) * d_sign)
    return F.strong_multiply(d[..., None, None], F.where(regular, inverse, np.inf))


primitive("solve", np.linalg.solve, _solve_dx,
                                    lambda F, d, z, x, y: _solve_dy(F, d, x, z.ndim, y.ndim),
          complex=HOLOMORPHIC).fast(forward=_fast_solve, jointly=_solve_jointly)
primitive("inv", np.linalg.inv, _inv_dx, complex=HOLOMORPHIC)
primitive("pinv", lambda x, rtol: np.linalg.pinv(x, rcond=rtol), _pinv_dx, complex=LINEAR)
primitive("det", np.linalg.det, lambda F, d, _z, x: d[..., None, None] * F.cofactors(x), complex=HOLOMORPHIC)
primitive("cofactors", _cofactors, lambda F, d, _z, x: F.det_hessian(d, x), complex=HOLOMORPHIC)
primitive("det_hessian", _det_hessian, lambda F, e, _z, _d, x: F.det_hessian(e, x), _det_hessian_dx, complex=HOLOMORPHIC)
primitive("slogdet", _slogdet, _slogdet_dx, complex=LINEAR)


# Decompositions


def _cholesky_dx(F, d, z, _x):
    zh = _h(F, z)
    half = F.solve(zh, _lower_half(F, zh @ d))
    return _hermitian(F, F.solve(zh, _h(F, half)))


def _cholesky(x):
    part = x + _adjoint(x)
    part *= 0.5
    return np.linalg.cholesky(part)


@lru_cache
def _halving(n, dtype):
    """Ones in the lower triangle, 0.5 on the diagonal."""
    x = np.tri(n, dtype=dtype)
    np.fill_diagonal(x, 0.5)
    return x


def _fast_cholesky_dx(F, d, z, x):
    if z.ndim != 2 or d.dtype is not z.dtype or z.dtype.char not in "fd" or len(z) < limits.BLOCKED or not (
            triangular.is_finite(z) and triangular.is_finite(d)):
        return _cholesky_dx(F, d, z, x)
    g = np.array(d, order="C")
    _reverse_cholesky(np.ascontiguousarray(z), g)
    return g


def _reverse_cholesky(z, g):
    """The contribution of a Cholesky factor z, in the place of its delta g, by halves: [[z1, 0], [c, z2]] is that of
    [[z1 z1^T, .], [c z1^T, c c^T + z2 z2^T]]. It takes a quarter of the multiplications of the formula for the whole."""
    n, k = len(z), len(z) // 2
    if n <= BLOCK:
        half = z.T @ g
        half *= _halving(n, half.dtype)
        triangular.divide(half, z)
        half = np.array(half.T, order="C")
        triangular.divide(half, z)
        np.add(half, half.T, g)
        g *= 0.5
        return
    c, dc = z[k:, :k], g[k:, :k]
    _reverse_cholesky(z[k:, k:], g[k:, k:])
    dc -= (2 * g[k:, k:]) @ c
    triangular.divide(dc, z[:k, :k])
    g[:k, :k] -= dc.T @ c
    _reverse_cholesky(z[:k, :k], g[:k, :k])
    dc *= 0.5
    g[:k, k:] = dc.T


def _qr(x):
    q, r = np.linalg.qr(x)
    return _stacked(q, np.swapaxes(r, -1, -2))


def _qr_dx(F, d, z, x_shape):
    m = x_shape[-2]
    q, rt, dq, drt = z[..., :m, :], z[..., m:, :], d[..., :m, :], d[..., m:, :]
    r = _t(F, rt)
    lower = _lower_half(F, r @ _conjugate(F, drt) - _h(F, dq) @ q)
    return _h(F, F.solve(r, _h(F, dq + q @ (lower + _h(F, lower)))))


def _eigh(x):
    values, vectors = np.linalg.eigh((x + _adjoint(x)) * 0.5)
    return _stacked(values[..., None, :], vectors)


def _eigh_dx(F, d, z, _x):
    values, v, dvalues, dv = z[..., :1, :], z[..., 1:, :], d[..., :1, :], d[..., 1:, :]
    inner = _h(F, v) @ dv
    if v.dtype.kind == "c":
        inner = F.without_phase(inner, "eigh")
    turned = F.strong_multiply(_skew(F, inner), _inverse_gaps(F, values))
    return _hermitian(F, (v * dvalues + v @ turned) @ _h(F, v))


def _eig(x):
    values, vectors = np.linalg.eig(x)
    return _stacked(values[..., None, :], vectors).astype(np.result_type(x, np.complex64), copy=False)


def _eig_dx(F, d, z, _x):
    """v^-H (diag(dw) + K * (v^H dv - v^H v diag(v^H dv))) v^H: the vectors keep their length, and don't turn."""
    values, v, dvalues, dv = z[..., :1, :], z[..., 1:, :], d[..., :1, :], d[..., 1:, :]
    vh = _h(F, v)
    inner = F.without_phase(vh @ dv, "eig")
    eye = _eye(v.shape[-1])
    lengths = F.sum(F.where(eye, inner, 0.0), (v.ndim - 2,), True)
    turned = F.strong_multiply(inner - vh @ v * lengths, F.conjugate(_inverse_gaps(F, values)))
    return F.solve(vh, F.where(eye, dvalues, turned) @ vh)


def _without_phase(inner, name):
    """v^H dv for unit vectors v, which are any of those with a factor exp(i phi): that has no derivative by phi.

    Tolerated as rounding: in each matrix half the digits of its deltas, plus sqrt(n) times the precision, for at a minimum
    rounding is all that is left of them.
    """
    eps = np.finfo(inner.dtype).eps
    turning = np.abs(np.diagonal(inner, axis1=-2, axis2=-1).imag).max(-1, initial=0)
    if (turning > np.sqrt(eps) * np.abs(inner).max((-2, -1), initial=0) + np.sqrt(inner.shape[-1]) * eps).any():
        raise GradientError(f"{name}: the loss depends on the phase of a complex vector, which is arbitrary: use what does "
                            "not, as its absolute values or its products with conj of others")
    return inner


def _svd(x):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return _stacked(s[..., None, :], u, np.swapaxes(vh, -1, -2))


def _svd_dx(F, d, z, x_shape):
    m, n = x_shape[-2:]
    s, u, v = z[..., :1, :], z[..., 1:1 + m, :], _conjugate(F, z[..., 1 + m:, :])
    ds, du, dv = d[..., :1, :], d[..., 1:1 + m, :], _conjugate(F, d[..., 1 + m:, :])
    vh, st = _h(F, v), _t(F, s)
    udu, vdv = _h(F, u) @ du, vh @ dv
    if u.dtype.kind == "c":                             # u and v turn together, or s would have a phase
        vdv = F.without_phase(udu + vdv, "svd") - udu
        ds = F.real(ds)
    turned = F.strong_multiply(_skew(F, udu) * s + st * _skew(F, vdv), 2 * _inverse_gaps(F, s * s))
    if u.dtype.kind == "c":
        turned = turned + F.strong_multiply(F.where(_eye(s.shape[-1]), _skew(F, udu), 0.0), 1 / s)
    dx = (u * ds + u @ turned) @ vh
    if m > n:
        dx = dx + F.strong_multiply(du - u @ udu, 1 / s) @ vh
    if m < n:
        dx = dx + u @ _h(F, F.strong_multiply(dv - v @ vdv, 1 / s))
    return dx


primitive("cholesky", _cholesky, _cholesky_dx, complex=LINEAR).fast(rules=(_fast_cholesky_dx,))
primitive("qr", _qr, _qr_dx, complex=LINEAR)
primitive("eigh", _eigh, _eigh_dx, complex=LINEAR)
primitive("eig", _eig, _eig_dx, complex=LINEAR)
primitive("svd", _svd, _svd_dx, complex=LINEAR)
primitive("without_phase", _without_phase, lambda F, d, _z, _inner, _name: d, complex=LINEAR)


# Norms


def _norm(x, order, axis, keepdims):
    if order == 2 and axis is None and not keepdims:
        flat = x.ravel()
        return np.sqrt(flat.dot(flat))
    if order == 2:
        return np.sqrt(np.add.reduce(x * x, axis, None, None, keepdims))
    return np.add.reduce(np.absolute(x) ** order, axis, None, None, keepdims) ** (1 / order)


def _norm_dx(F, d, z, x, order, axis, keepdims):
    """d x / z, or d sign(x) (|x| / z)^(order - 1); where the norm is 0, its derivative is 0."""
    z, d = (kept(F, value, x.shape, axis, keepdims) for value in (z, d))
    if order == 2:
        return F.strong_multiply(d, F.direction(x, z))
    z = F.where(F.equal(z, 0), 1.0, z)
    nothing = F.equal(x, 0)
    size = F.where(nothing, 1.0, F.absolute(x)) / z
    return F.strong_multiply(d, F.where(nothing, 0.0, F.sign(x) * size ** (order - 1)))


primitive("norm", _norm, _norm_dx)
