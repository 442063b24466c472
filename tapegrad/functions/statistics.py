"""Covariance and polynomials: compositions, under NumPy's names."""

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import value
from tapegrad.functions.complex_parts import conjugated
from tapegrad.functions.elementwise import add, clip, divide, matmul, multiply, ones_like, sqrt, subtract, zeros_like
from tapegrad.functions.joining import concatenate, stack
from tapegrad.functions.reductions import mean
from tapegrad.functions.selecting import diagonal
from tapegrad.functions.shaping import atleast_2d, reshape, squeeze, transpose


def cov(m, y=None, rowvar=True, bias=False, ddof=None):
    """The covariances of variables, one a row of m (with rowvar=False, a column) and of y: the mean of
    (x - mean) conj(x' - mean') over the n observations, with n - ddof for n; ddof is 1 by default, 0 with bias=True.
    """
    rows = [_variables(x, rowvar) for x in (m, y) if x is not None]
    x = rows[0] if len(rows) == 1 else concatenate(rows, 0)
    x = subtract(x, mean(x, 1, keepdims=True))
    degrees = value(x).shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    if degrees <= 0:
        raise ValueError(f"cov: {value(x).shape[1]} observations leave no degrees of freedom: {describe(value(m))}")
    return squeeze(divide(matmul(x, conjugated(transpose(x))), degrees))


def corrcoef(x, y=None, rowvar=True):
    """The correlations of variables: their covariances, divided by both standard deviations. See cov."""
    c = cov(x, y, rowvar)
    if value(c).dtype.kind == "c":
        raise DtypeError(f"corrcoef: {describe(value(x))}; a real dtype is needed")
    if value(c).ndim == 0:
        return divide(c, c)
    scale = sqrt(diagonal(c))
    return clip(divide(divide(c, reshape(scale, (-1, 1))), scale), -1, 1)


def _variables(x, rowvar):
    if value(x).ndim > 2:
        raise ShapeError(f"cov: more than two axes: {describe(value(x))}")
    rows = atleast_2d(x)
    return rows if rowvar or value(rows).shape[0] == 1 else transpose(rows)


def polyval(p, x):
    """p[0] x^(n-1) + .. + p[n-1], by Horner's rule. Derivative: to x and to the coefficients."""
    z = zeros_like(multiply(value(p)[:1].sum(), x))
    for k in range(value(p).shape[0]):
        z = add(multiply(z, x), p[k])
    return z


def vander(x, N=None, increasing=False):
    """The powers of the elements of a vector as columns, N of them, x^(N-1) first; with increasing=True, 1 first."""
    if value(x).ndim != 1:
        raise ShapeError(f"vander: a vector is needed: {describe(value(x))}")
    N = value(x).size if N is None else N
    powers = [ones_like(x)]
    while len(powers) < N:
        powers.append(multiply(powers[-1], x))
    z = stack(powers if increasing else powers[::-1], -1)
    return z if N else z[:, :0]
