"""Rows whose G is SciPy's linear algebra or a recursive filter. Loading this file loads SciPy. See special.py for the names.

The derivative of a matrix function f in the direction E is the block above the diagonal of f([[x, E], [0, x]]), after Mathias
(1996);
its adjoint that of x^T in the direction d. A filter solves a * z = b * x, so that with g, d filtered backwards by 1 / a, the
contributions are correlations of g with x and z.
"""

import numpy as np
from scipy import linalg, signal

from tapegrad.primitives.decompositions import _t
from tapegrad.primitives.registry import primitive


def _solve_triangular(a, b, trans, lower, unit):
    return linalg.solve_triangular(a, b, trans, lower, unit)


def _triangular_db(F, d, _z, a, _b, trans, lower, unit):
    return F.special_solve_triangular(a, d, 1 - trans, lower, unit)


def _triangular_da(F, d, z, a, _b, trans, lower, unit):
    g = F.special_solve_triangular(a, d, 1 - trans, lower, unit)
    if g.ndim == 1:
        g, z = g[:, None], z[:, None]
    c = -(z @ _t(F, g) if trans else g @ _t(F, z))
    read = np.tri(a.shape[0], k=-1 if unit else 0, dtype=bool)
    return F.where(read if lower else read.T, c, 0.0)


def _matrix_function(x, name):
    exact = x.astype(float) if name == "logm" and x.dtype == np.float32 else x     # else logm warns of its own estimate
    z = getattr(linalg, name)(exact)
    if z.dtype.kind == "c" and x.dtype.kind != "c":
        raise TypeError("the result is complex, and has no derivative here")
    return z.astype(x.dtype, copy=False)


def _matrix_function_dx(F, d, _z, x, name):
    n, xt = x.shape[-1], _t(F, x)
    upper, lower = F.concatenate((xt, d), x.ndim - 1), F.concatenate((F.zeros_like(xt), xt), x.ndim - 1)
    return F.special_matrix_function(F.concatenate((upper, lower), x.ndim - 2), name)[..., :n, n:]


def _sylvester_g(F, d, a, b):
    return F.special_solve_sylvester(_t(F, a), _t(F, b), d)


def _reversed(x):
    return x[..., ::-1]


def _lags(F, g, x, n):
    """The sums of g[i] x[i - k] for k < n."""
    length = x.shape[-1]
    return F.stack([F.sum(g[..., k:] * x[..., :max(length - k, 0)], None, False) for k in range(n)], 0)


def _backwards(F, d, a):
    return _reversed(F.special_lfilter(np.ones(1, d.dtype), a, _reversed(d)))


primitive("special_solve_triangular", _solve_triangular, _triangular_da, _triangular_db)
primitive("special_matrix_function", _matrix_function, _matrix_function_dx)
primitive("special_solve_sylvester", linalg.solve_sylvester,
          lambda F, d, z, a, b, _q: -(_sylvester_g(F, d, a, b) @ _t(F, z)),
          lambda F, d, z, a, b, _q: -(_t(F, z) @ _sylvester_g(F, d, a, b)),
          lambda F, d, _z, a, b, _q: _sylvester_g(F, d, a, b))
primitive("special_lfilter", signal.lfilter,
          lambda F, d, _z, b, a, x: _lags(F, _backwards(F, d, a), x, b.shape[0]),
          lambda F, d, z, _b, a, _x: -_lags(F, _backwards(F, d, a), z, a.shape[0]),
          lambda F, d, _z, b, a, _x: _reversed(F.special_lfilter(b, a, _reversed(d))))
