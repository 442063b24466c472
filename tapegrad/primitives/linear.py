"""The matrix product, with NumPy's rules for vectors and stacks of matrices."""

import numpy as np

from tapegrad.primitives.registry import primitive


def _matmul(x, y):
    return x.dot(y) if x.ndim == 2 == y.ndim else np.matmul(x, y)


def _transposed(F, x):
    return F.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _matmul_dx(F, d, _z, _x, y):
    if d.ndim == 2 == y.ndim:
        return F.matmul(d, y.T)
    if y.ndim == 1:                                     # (.., k, n) @ (n,) -> (.., k)
        return d[..., None] * y
    if d.ndim == y.ndim - 1:                            # (n,) @ (.., n, m) -> (.., m)
        return F.matmul(d[..., None, :], _transposed(F, y))[..., 0, :]
    return F.matmul(d, _transposed(F, y))


def _matmul_dy(F, d, _z, x, _y):
    if x.ndim == 2 == d.ndim:
        return F.matmul(x.T, d)
    if x.ndim == 1:
        return x * d if d.ndim == 0 else x[:, None] * d[..., None, :]
    if d.ndim == x.ndim - 1:                            # (.., k, n) @ (n,) -> (.., k)
        return x * d[..., None]
    return F.matmul(_transposed(F, x), d)


primitive("matmul", _matmul, _matmul_dx, _matmul_dy)
