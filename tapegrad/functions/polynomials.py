"""Polynomials as vectors of coefficients, that of the highest power first: compositions, under NumPy's names.

Derivatives to coefficients, zeros, points and values alike. Leading zeros are dropped where NumPy drops them. ShapeError for
what is no vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, constant, floats, like, value
from tapegrad.functions.convolution import convolve
from tapegrad.functions.decompositions import eigvals
from tapegrad.functions.elementwise import add, astype, divide, matmul, multiply, ones_like, sqrt, square, zeros_like
from tapegrad.functions.joining import concatenate, stack
from tapegrad.functions.reductions import sum
from tapegrad.functions.selecting import trace
from tapegrad.functions.shaping import atleast_1d, reshape, transpose
from tapegrad.functions.solving import inv, lstsq
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def polyval(p: Any, x: TensorLike) -> Tensor:
    """p[0] x^(n-1) + .. + p[n-1], by Horner's rule. Derivative: to x and to the coefficients.

    >>> tg.polyval([1.0, 0.0, 2.0], tg.tensor([2.0, 3.0]))
    tensor([ 6., 11.])
    >>> tg.grad(lambda x: tg.polyval([1.0, 0.0, 2.0], x))(3.0)
    array(6.)
    """
    z = zeros_like(multiply(value(p)[:1].sum(), x))
    for k in range(like(p).shape[0]):
        z = add(multiply(z, x), p[k])
    return z


def roots(p: TensorLike) -> Tensor:
    """The zeros of the polynomial p[0] x^n + .. + p[n], complex: the eigenvalues of its companion matrix, and 0 for each
    zero at the end of p.

    Derivative: that of linalg.eigvals; it is infinite where zeros coincide. ShapeError for what is no vector.

    >>> tg.roots([1.0, -3.0, 2.0]).data
    array([2.+0.j, 1.+0.j])
    >>> tg.grad(lambda p: tg.roots(p).real.max())(np.array([1.0, -3.0, 2.0])).round(6)
    array([-4., -2., -1.])
    """
    p = floats(atleast_1d(p))
    if like(p).ndim != 1:
        raise ShapeError(f"roots: a vector is needed: {describe(like(p))}")
    found = np.flatnonzero(value(p))
    last = len(found) and like(p).size - 1 - found[-1]
    zeros = np.zeros(last, np.result_type(like(p), np.complex64))
    if len(found) == 0 or found[-1] == found[0]:
        return as_tensor(zeros)
    p = p[found[0]:found[-1] + 1]
    n = like(p).size - 1
    companion = concatenate([reshape(divide(p[1:], -p[0]), (1, n)), np.eye(n - 1, n, dtype=like(p).dtype)], 0)
    return concatenate([eigvals(companion), zeros], 0)


def vander(x: TensorLike, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of the elements of a vector as columns, N of them (by default as many as elements), x^(N-1) first; with
    increasing=True, 1 first. ShapeError for another shape.

    >>> tg.vander(tg.tensor([2.0, 3.0]), 3)
    tensor([[4., 2., 1.],
            [9., 3., 1.]])
    >>> tg.grad(lambda x: tg.vander(x, 3).sum())(np.array([2.0, 3.0]))
    array([5., 7.])
    """
    if like(x).ndim != 1:
        raise ShapeError(f"vander: a vector is needed: {describe(like(x))}")
    N = like(x).size if N is None else N
    kind = np.promote_types(like(x).dtype, int)
    x = x if like(x).dtype == kind else astype(x, kind)
    powers = [ones_like(x)]
    while len(powers) < N:
        powers.append(multiply(powers[-1], x))
    z = stack(powers if increasing else powers[::-1], -1)
    return z if N else z[:, :0]


def poly(seq_of_zeros: TensorLike) -> Tensor:
    """The coefficients of the product of (x - zero); of a square matrix a, those of det(x - a), after Faddeev and LeVerrier.

    >>> tg.poly([1.0, 2.0])
    tensor([ 1., -3.,  2.])
    >>> tg.grad(lambda zeros: tg.poly(zeros)[2])(np.array([1.0, 2.0]))
    array([2., 1.])
    """
    x = floats(atleast_1d(seq_of_zeros))
    one = np.ones(1, x.dtype)
    if x.ndim == 2 and x.shape[0] == x.shape[1] > 0:
        coefficients, power = [as_tensor(one[0])], as_tensor(np.eye(len(x), dtype=x.dtype))
        for k in range(1, len(x) + 1):
            product = matmul(x, power)
            coefficients.append(trace(product) / -k)
            power = product + coefficients[-1] * np.eye(len(x), dtype=x.dtype)
        return stack(coefficients)
    if x.ndim != 1:
        raise ShapeError(f"poly: a vector or a square matrix is needed: {describe(x)}")
    z, nothing = as_tensor(one), 0 * one
    for k in range(len(x)):
        z = concatenate([z, nothing]) - concatenate([nothing, z * x[k]])
    return z


def _vector(name: str, p: TensorLike) -> Tensor:
    z: Tensor = atleast_1d(p)
    if z.ndim != 1:
        raise ShapeError(f"{name}: the coefficients are a vector: {describe(z)}")
    return z


def _trimmed(name: str, p: TensorLike) -> Tensor:
    """The coefficients from the first on that is not 0; one at least."""
    p = _vector(name, p)
    found = np.flatnonzero(p._value)
    return p[int(found[0]):] if found.size else p[len(p) - 1:]


def _longer(p: Tensor, n: int) -> Tensor:
    return concatenate([np.zeros(n - len(p), p.dtype), p]) if len(p) < n else p


def polyadd(a1: TensorLike, a2: TensorLike) -> Tensor:
    """The sum of two polynomials.

    >>> tg.polyadd([1.0, 2.0], [9.0, 5.0, 4.0])
    tensor([9., 6., 6.])
    """
    p, q = _vector("polyadd", a1), _vector("polyadd", a2)
    n = max(len(p), len(q))
    return _longer(p, n) + _longer(q, n)


def polysub(a1: TensorLike, a2: TensorLike) -> Tensor:
    """The difference of two polynomials.

    >>> tg.polysub([2.0, 10.0, -2.0], [3.0, 10.0, -4.0])
    tensor([-1.,  0.,  2.])
    """
    p, q = _vector("polysub", a1), _vector("polysub", a2)
    n = max(len(p), len(q))
    return _longer(p, n) - _longer(q, n)


def polymul(a1: TensorLike, a2: TensorLike) -> Tensor:
    """The product of two polynomials.

    >>> tg.polymul([1.0, 2.0, 3.0], [9.0, 5.0, 1.0])
    tensor([ 9., 23., 38., 17.,  3.])
    """
    return convolve(_trimmed("polymul", a1), _trimmed("polymul", a2))


def polydiv(u: TensorLike, v: TensorLike) -> tuple[Tensor, Tensor]:
    """(quotient, remainder) of two polynomials, by long division. Leading coefficients of the remainder that are 0 are dropped.

    >>> tg.polydiv([3.0, 5.0, 2.0], [2.0, 1.0])
    (tensor([1.5 , 1.75]), tensor([0.25]))
    """
    r, v = floats(_vector("polydiv", u)), floats(_vector("polydiv", v))
    parts: list[Tensor] = []
    for k in range(len(r) - len(v) + 1):
        parts.append(r[k] / v[0])
        r = concatenate([r[:k], r[k:k + len(v)] - parts[-1] * v, r[k + len(v):]])
    left = np.flatnonzero(~np.isclose(r._value, 0, rtol=1e-14))
    return stack(parts) if parts else r[:1] * 0, r[min(int(left[0]) if left.size else len(r), len(r) - 1):]


def polyder(p: TensorLike, m: int = 1) -> Tensor:
    """The m-th derivative of a polynomial. ValueError for a negative m.

    >>> tg.polyder([1.0, 1.0, 1.0, 1.0])
    tensor([3., 2., 1.])
    """
    if m < 0:
        raise ValueError(f"polyder: m={m}; it must be at least 0, see polyint")
    z = _vector("polyder", p)
    for _ in range(int(m)):
        z = z[:-1] * np.arange(len(z) - 1, 0, -1)
    return z


def polyint(p: TensorLike, m: int = 1, k: TensorLike | None = None) -> Tensor:
    """The m-th integral of a polynomial, k the constants of the integrations: one, or m of them; 0 by default.

    >>> tg.polyint([6.0, 2.0], k=5.0)
    tensor([3., 2., 5.])
    """
    if m < 0:
        raise ValueError(f"polyint: m={m}; it must be at least 0, see polyder")
    constants = atleast_1d(0.0 if k is None else k)
    if len(constants) == 1 < m:
        constants = constants * np.ones(m)
    if len(constants) < m:
        raise ShapeError(f"polyint: {len(constants)} constants for m={m} integrations; give one, or {m}")
    z = floats(_vector("polyint", p))
    for i in range(int(m)):
        z = concatenate([z / np.arange(len(z), 0, -1), constants[i:i + 1]])
    return z


def polyfit(x: TensorLike, y: TensorLike, deg: int, rcond: float | None = None, full: bool = False, w: TensorLike | None = None,
            cov: bool | str = False) -> Any:
    """The polynomial of degree `deg` that fits values y (n,) or (n, k) at points x (n,) with least squares.

    rcond   singular values up to this times the greatest count as 0; n times the dtype's precision by default
    full    give (coefficients, residuals, rank, singular values, rcond)
    w       weights (n,) of the differences, which are squared with them
    cov     give (coefficients, their covariances), scaled by the residuals, or not where it is "unscaled"

    Derivative: to x, y and w, as that of linalg.lstsq.

    >>> tg.polyfit(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), 1).data.round(6)
    array([2., 1.])
    >>> tg.grad(lambda y: tg.polyfit(np.array([0.0, 1.0, 2.0]), y, 1)[0])(np.array([1.0, 3.0, 5.0])).round(6) + 0.0
    array([-0.5,  0. ,  0.5])
    """
    points, values, order = floats(x), floats(y), int(deg) + 1
    if deg < 0 or points.ndim != 1 or values.ndim not in (1, 2) or points.shape[0] != values.shape[0] or not points.size:
        raise ShapeError(f"polyfit: points {describe(points)}, values {describe(values)}, degree {deg}; (n,), (n,) or (n, k), "
                         "and at least 0 are needed")
    rcond = len(points) * float(np.finfo(points.dtype).eps) if rcond is None else float(constant("polyfit", rcond))
    powers = vander(points, order)
    if w is not None:
        weights = floats(w)
        if weights.shape != points.shape:
            raise ShapeError(f"polyfit: weights {describe(weights)} for points {describe(points)}")
        powers = powers * reshape(weights, (-1, 1))
        values = values * (reshape(weights, (-1, 1)) if values.ndim == 2 else weights)
    scale = sqrt(sum(square(powers), 0))
    scaled = divide(powers, scale)
    c, residuals, rank, s = lstsq(scaled, values, rcond)
    c = transpose(divide(transpose(c), scale))
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    base = divide(inv(matmul(transpose(scaled), scaled)), recorded.multiply(reshape(scale, (-1, 1)), scale))
    if cov == "unscaled":
        factor: Any = 1.0
    elif len(points) <= order:
        raise ValueError(f"polyfit: {len(points)} points for {order} coefficients leave nothing to scale the covariances by; "
                         "give cov='unscaled'")
    else:
        factor = residuals / (len(points) - order)
    return c, base * factor if values.ndim == 1 else reshape(base, (order, order, 1)) * factor
