"""Rows of linear algebra. Where a row is of the symmetric part of its operand, so is the reference."""

import numpy as np

from cases.case import Case, away_from_zero, real


def regular(shape, seed):
    """Far from singular, with different singular values and eigenvalues."""
    return 0.3 * real(shape, seed) + np.diag(np.arange(2.0, 2.0 + max(shape)))[:shape[-2], :shape[-1]]


def positive_definite(shape, seed):
    return regular(shape, seed) @ np.swapaxes(regular(shape, seed), -1, -2)


def symmetric(shape, seed):
    return symmetric_part(regular(shape, seed))


def symmetric_part(x):
    return (x + np.swapaxes(x, -1, -2)) / 2


def hollow(shape, seed):
    return real(shape, seed) * (1 - np.eye(shape[-1]))


def _rows(*parts):
    return np.concatenate(parts, -2)


def _det_hessian(d, x):
    det = np.linalg.det(x)[..., None, None]
    c = det * np.swapaxes(np.linalg.inv(x), -1, -2)
    return (c * (d * c).sum((-2, -1), keepdims=True) - c @ np.swapaxes(d, -1, -2) @ c) / det


def _slogdet(x):
    return np.stack(np.linalg.slogdet(x), -1)


def _qr(x):
    q, r = np.linalg.qr(x)
    return _rows(q, np.swapaxes(r, -1, -2))


def _eigh(x):
    values, vectors = np.linalg.eigh(symmetric_part(x))
    return _rows(values[..., None, :], vectors)


def _eig(x):
    values, vectors = np.linalg.eig(x)
    return _rows(values[..., None, :], vectors).astype(complex)


def _without_phases(z):
    values, vectors = z[..., :1, :], z[..., 1:, :]
    return abs(vectors) ** 2 * values + vectors[..., :1, :] * vectors.conj()


def _svd(x):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return _rows(s[..., None, :], u, np.swapaxes(vh, -1, -2))


def _norm(x, order, axis, keepdims):
    return (np.abs(x) ** order).sum(axis, keepdims=keepdims) ** (1 / order)


SQUARE = [((3, 3),), ((2, 3, 3),), ((1, 1),), ((0, 2, 2),)]
TALL = [((3, 3),), ((4, 2),), ((2, 3, 2),)]
WIDE = [((2, 4),), ((2, 2, 3),)]
SYSTEMS = [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 3, 3), (2, 3, 2)), ((3, 3), (2, 3, 2)),
           ((2, 3, 3), (3, 2))]
NORMS = tuple((order, *how) for order in (2, 3, 1.5) for how in ((None, False), ((1,), False), ((0, 1), True)))

CASES = [
    Case("solve", (regular, real), reference=np.linalg.solve, shapes=SYSTEMS),
    Case("inv", (regular,), reference=np.linalg.inv, shapes=SQUARE),
    Case("pinv", (regular,), ((1e-15,),), np.linalg.pinv, TALL + WIDE),
    Case("det", (regular,), reference=np.linalg.det, shapes=SQUARE),
    Case("cofactors", (regular,), shapes=SQUARE,
         reference=lambda x: np.linalg.det(x)[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2)),
    Case("det_hessian", (real, regular), reference=_det_hessian,
         shapes=[((3, 3), (3, 3)), ((2, 2, 2), (2, 2, 2)), ((1, 1), (1, 1))]),
    Case("slogdet", (regular,), reference=_slogdet, shapes=SQUARE),
    Case("cholesky", (positive_definite,), reference=lambda x: np.linalg.cholesky(symmetric_part(x)), shapes=SQUARE),
    Case("qr", (regular,), reference=_qr, shapes=TALL),
    Case("eigh", (symmetric,), reference=_eigh, shapes=SQUARE),
    Case("eig", (regular,), reference=_eig, shapes=SQUARE, seen=_without_phases),
    Case("without_phase", (hollow,), (("eigh",),), lambda x, name: x, SQUARE),
    Case("svd", (regular,), reference=_svd, shapes=TALL + WIDE),
    Case("norm", (away_from_zero,), NORMS, _norm, [((3, 4),), ((2, 1),)]),
]
