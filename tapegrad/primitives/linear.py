"""The matrix product, with NumPy's rules for vectors and stacks of matrices."""

import math

import numpy as np

from tapegrad.kernels import blas, limits
from tapegrad.kernels import onehot as indicator
from tapegrad.primitives.registry import HOLOMORPHIC, arrays, primitive


def _matmul(x, y):
    return x.dot(y) if x.ndim == 2 == y.ndim else _stacked(x, y) if x.ndim > 2 == y.ndim else np.matmul(x, y)


def _stacked(x, y):
    """The product of a stack of matrices with one matrix: one product, of all rows. np.matmul computes one for each of them."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).dot(y).reshape(*x.shape[:-1], y.shape[1])


def _fast_matmul(x, y):
    try:
        if x.ndim != 2 or y.ndim != 2:
            return _stacked(x, y) if x.ndim > 2 == y.ndim and x.shape[-1] == y.shape[0] else np.matmul(x, y)
    except AttributeError:                              # a number: NumPy says what is wrong with it
        return np.matmul(x, y)
    if x.size >= limits.LOOKED_UP and (z := indicator.product(x, y)) is not None:
        return z
    return x.dot(y)


def _transposed(F, x):
    return F.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _rows(F, x):
    return F.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _matmul_dx(F, d, _z, _x, y):
    if d.ndim == 2 == y.ndim:
        return F.matmul(d, y.T)
    if y.ndim == 1:                                     # (.., k, n) @ (n,) -> (.., k)
        return d[..., None] * y
    if d.ndim == y.ndim - 1:                            # (n,) @ (.., n, m) -> (.., m)
        return F.matmul(d[..., None, :], _transposed(F, y))[..., 0, :]
    return F.matmul(d, _transposed(F, y))


def _matmul_dy(F, d, _z, x, y):
    if x.ndim == 2 == d.ndim:
        return F.matmul(x.T, d)
    if x.ndim == 1:
        return x * d if d.ndim == 0 else x[:, None] * d[..., None, :]
    if d.ndim == x.ndim - 1:                            # (.., k, n) @ (n,) -> (.., k): summed in one product
        rows = _rows(F, x) if x.ndim > 2 else x
        return F.matmul(rows.T, F.reshape(d, (math.prod(d.shape),)) if d.ndim > 1 else d)
    if y.ndim == 2:                                     # one matrix for a stack of them: one product, of all rows
        return F.matmul(_rows(F, x).T, _rows(F, d))
    return F.matmul(_transposed(F, x), d)


def _transposed_often(y):
    """y.T, in order where it has been asked for before in this sweep: a product with it is then a tenth faster."""
    key = id(y)
    seen = arrays.memo.get(key)
    if seen is not None and seen[0] is y:
        return seen[1]
    if y.size < 512 or y.ndim != 2 or y.dtype.char != "f" or not (y.flags.carray and blas.adds_products()):
        return y.T                                      # float64, too: as an exported program has it
    if seen is None:
        arrays.memo[key] = _ONCE                        # no reference, which would keep the array for longer
        return y.T
    arrays.memo[key] = seen = y, np.ascontiguousarray(y.T)
    return seen[1]


_ONCE = None, None


def _fast_matmul_dx(F, d, z, x, y):
    return F.matmul(d, _transposed_often(y)) if d.ndim == 2 == y.ndim else _matmul_dx(F, d, z, x, y)


def _add_matmul_dx(held, d, _z, _x, y):
    if held.size < limits.ADDED:
        return False
    transposed = _transposed_often(y)
    if transposed.base is y:
        return blas.add_product(held, d, y, transposed_y=True)
    return blas.add_product(held, d, transposed)


def _add_matmul_dy(held, d, _z, x, y):
    if x.ndim > 2 == y.ndim and d.ndim == x.ndim and x.flags.carray and d.flags.carray:
        x, d = _rows(arrays, x), _rows(arrays, d)
    return (x.size >= limits.COLLECTED and x.ndim == 2 and indicator.add_product(held, x, d)
            or held.size >= limits.ADDED and blas.add_product(held, x, d, transposed_x=True))


def _linear(x, W, b):
    return _matmul(x, W.T) + b


def _by_products(F, x, W, b):
    return F.matmul(x, F.transpose(W, None)) + b


def _linear_dw(F, d, _z, x, _W, _b):
    return F.transpose(F.matmul(F.transpose(_rows(F, x), None), _rows(F, d)), None)


def _fast_linear(x, W, b):
    z = blas.linear(x, W, b) if x.size >= limits.LINEAR else None
    if z is None:
        z = _matmul(x, W.T)
        z = np.add(z, b, z) if z.ndim and z.dtype is getattr(b, "dtype", None) else z + b
    return z


def _fast_linear_dw(F, d, _z, x, _W, _b):
    return F.matmul(_rows(F, d).T, _rows(F, x)) if d.dtype.char == "f" else _linear_dw(F, d, _z, x, _W, _b)


def _add_linear_dx(held, d, _z, _x, W, _b):
    return held.size >= limits.ADDED and held.flags.carray and d.flags.carray and \
        blas.add_product(_rows(arrays, held), _rows(arrays, d), W)


def _add_linear_dw(held, d, _z, x, _W, _b):
    return held.size >= limits.ADDED and x.flags.carray and d.flags.carray and \
        blas.add_product(held, _rows(arrays, d), _rows(arrays, x), transposed_x=True)


def _add_linear_db(held, d, _z, _x, _W, _b):
    return d.size >= limits.ADDED and d.flags.carray and blas.add_rows(held, _rows(arrays, d))


primitive("matmul", _matmul, _matmul_dx, _matmul_dy, complex=HOLOMORPHIC, fresh=True).fast(
    forward=_fast_matmul, rules=(_fast_matmul_dx, None), accumulate=(_add_matmul_dx, _add_matmul_dy))
primitive("linear", _linear, lambda F, d, _z, _x, W, _b: F.matmul(d, W), _linear_dw, lambda F, d, _z, _x, _W, _b: d,
          complex=HOLOMORPHIC, fresh=True, composition=_by_products).fast(
    forward=_fast_linear, rules=(None, _fast_linear_dw, None), accumulate=(_add_linear_dx, _add_linear_dw, _add_linear_db))
