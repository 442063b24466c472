"""Covariance and correlation: compositions, under NumPy's names."""

from __future__ import annotations

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import conjugated, like
from tapegrad.functions.elementwise import clip, divide, matmul, sqrt, subtract
from tapegrad.functions.joining import concatenate
from tapegrad.functions.reductions import mean
from tapegrad.functions.selecting import diagonal
from tapegrad.functions.shaping import atleast_2d, reshape, squeeze, transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def cov(m: TensorLike, y: TensorLike | None = None, rowvar: bool = True, bias: bool = False,
        ddof: int | None = None) -> Tensor:
    """The covariances of variables, one a row of m (with rowvar=False, a column) and of y: the mean of
    (x - mean) conj(x' - mean') over the n observations, with n - ddof for n; ddof is 1 by default, 0 with bias=True.

    The result has a row and a column for each variable; for a single variable it is a scalar. ValueError where n - ddof is not
    positive, ShapeError for more than two axes.

    >>> tg.cov(tg.tensor([[1.0, 2.0, 3.0], [1.0, 0.0, 5.0]]))
    tensor([[1., 2.],
            [2., 7.]])
    >>> tg.grad(tg.cov)(np.array([1.0, 2.0, 6.0]))
    array([-2., -1.,  3.])
    """
    rows = [_variables(x, rowvar) for x in (m, y) if x is not None]
    x = rows[0] if len(rows) == 1 else concatenate(rows, 0)
    x = subtract(x, mean(x, 1, keepdims=True))
    degrees = like(x).shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    if degrees <= 0:
        raise ValueError(f"cov: {like(x).shape[1]} observations leave no degrees of freedom: {describe(like(m))}")
    return squeeze(divide(matmul(x, conjugated(transpose(x))), degrees))


def corrcoef(x: TensorLike, y: TensorLike | None = None, rowvar: bool = True) -> Tensor:
    """The correlations of variables: their covariances, divided by both standard deviations. See cov. DtypeError for complex x.

    >>> tg.corrcoef(tg.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])).round(6)
    tensor([[1., 1.],
            [1., 1.]])
    >>> tg.grad(lambda x: tg.corrcoef(x, [1.0, 0.0, 0.0])[0, 1])(np.array([0.0, 1.0, 2.0])).round(6) + 0.0
    array([ 0.144338, -0.288675,  0.144338])
    """
    c = cov(x, y, rowvar)
    if like(c).dtype.kind == "c":
        raise DtypeError(f"corrcoef: {describe(like(x))}; a real dtype is needed")
    if like(c).ndim == 0:
        return divide(c, c)
    scale = sqrt(diagonal(c))
    return clip(divide(divide(c, reshape(scale, (-1, 1))), scale), -1, 1)


def _variables(x: TensorLike, rowvar: bool) -> Tensor:
    if like(x).ndim > 2:
        raise ShapeError(f"cov: more than two axes: {describe(like(x))}")
    rows = atleast_2d(x)
    return rows if rowvar or like(x).ndim < 2 else transpose(rows)
