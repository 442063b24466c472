"""What networks need: activations, and the softmax family along one axis.

Piecewise functions are sums of products with 0 and 1: np.where takes thirty times as long where its condition is irregular.
"""

import numpy as np

from tapegrad.kernels import limits
from tapegrad.kernels import softmax as rows
from tapegrad.kernels.error_function import CUBIC_TERM, LINEAR_TERM
from tapegrad.primitives.registry import primitive
from tapegrad.primitives.scalar import kernel


def _floats(x):
    """Integers as float64, in which differences don't wrap around; TypeError for complex numbers."""
    if x.dtype.kind == "c":
        raise TypeError("not defined for complex numbers")
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _logsumexp(x, axis):
    x = _floats(x)
    top = np.maximum.reduce(x, axis, None, None, True, -np.inf)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):                  # where every element is -inf, so is the result
        return np.log(np.add.reduce(np.exp(x - top), axis, None, None, True)) + top


def _logsumexp_dx(F, d, z, x, axis):
    share = F.exp(x - z)                                # off by the rounding of z, which the quotient takes out again
    return F.strong_multiply(d, share / F.sum(share, (axis,) if isinstance(axis, int) else axis, True))


def _log_softmax(x, axis):
    x = _floats(x)
    if not x.size:
        return x.copy()
    shifted = x - np.maximum.reduce(x, axis, None, None, True)
    return shifted - np.log(np.add.reduce(np.exp(shifted), axis, None, None, True))


def _log_softmax_dx(F, d, z, _x, axis):
    return d - F.strong_multiply(F.sum(d, (axis,), True), F.exp(z))


def _softmax(x, axis):
    x = _floats(x)
    z = np.exp(x - np.maximum.reduce(x, axis, None, None, True, -np.inf))
    z /= np.add.reduce(z, axis, None, None, True)
    return z


def _softmax_dx(F, d, z, _x, axis):
    return F.strong_multiply(d - F.sum(F.strong_multiply(d, z), (axis,), True), z)


def _softmax_cross_entropy(x, classes):
    x = _floats(x)
    shifted = x - np.maximum.reduce(x, -1, None, None, True)
    matrix = shifted.reshape(-1, x.shape[-1])
    chosen = matrix[np.arange(len(matrix)), classes.ravel()].reshape(classes.shape)
    return np.log(np.add.reduce(np.exp(shifted), -1)) - chosen


def _softmax_cross_entropy_dx(F, d, _z, x, classes):
    if isinstance(classes, np.ndarray):
        classes_there = np.zeros(x.shape, x.dtype)
        classes_there.reshape(-1, x.shape[-1])[np.arange(classes.size), classes.ravel()] = 1
    else:
        classes_there = F.astype(F.equal(F.reshape(classes, (*classes.shape, 1)), np.arange(x.shape[-1])), x.dtype)
    return F.strong_multiply(F.reshape(d, (*d.shape, 1)), F.softmax(x, len(x.shape) - 1) - classes_there)


def _fast(kernel, plain):
    """A G of this family by a kernel, where that takes the operands."""
    def forward(x, static):
        z = kernel(x, static) if x.size >= limits.NARROW else None
        return plain(x, static) if z is None else z

    return forward


def _fast_dx(kernel, plain):
    """A rule that reads z by a kernel, likewise."""
    def rule(F, d, z, x, axis):
        w = kernel(d, z, axis) if z.size >= limits.NARROW else None
        return plain(F, d, z, x, axis) if w is None else w

    return rule


def _fast_softmax_cross_entropy_dx(F, d, z, x, classes):
    w = rows.cross_entropy_derivative(d, x, classes) if x.size >= limits.NARROW else None
    return _softmax_cross_entropy_dx(F, d, z, x, classes) if w is None else w


def _softplus(x, beta, threshold):
    y = x * beta
    return np.where(y > threshold, x, (np.maximum(y, 0) + np.log1p(np.exp(-np.abs(y)))) / beta)


def _softplus_dx(F, d, _z, x, beta, threshold):
    y = x * beta
    return F.where(F.greater(y, threshold), d, d * F.sigmoid(y))


def _elu(x, alpha, rate):
    return np.maximum(x, 0) + alpha * np.expm1(rate * np.minimum(x, 0))


def _elu_dx(F, d, _z, x, alpha, rate):
    right = F.astype(F.greater(x, 0), d.dtype)
    return d * (right + (1 - right) * (alpha * rate * F.exp(rate * F.minimum(x, 0))))


def _hardtanh_dx(F, d, _z, x, low, high):
    return F.strong_multiply(F.astype(F.logical_and(F.greater(x, low), F.less(x, high)), d.dtype), d)


def _silu_dx(F, d, _z, x):
    s = F.sigmoid(x)
    return d * (s + F.strong_multiply(s * (1 - s), x))


def _gelu_tanh_dx(F, d, _z, x):
    square = x * x
    s = F.sigmoid(x * (LINEAR_TERM + CUBIC_TERM * square))
    return d * (s + F.strong_multiply(s * (1 - s), x * (LINEAR_TERM + (3 * CUBIC_TERM) * square)))


kernel("sigmoid", lambda F, d, z, _x: d * (z * (1 - z)))
kernel("silu", _silu_dx)
kernel("gelu_tanh", _gelu_tanh_dx)
kernel("tanh", lambda F, d, z, _x: d * (1 - z * z))
kernel("relu", lambda F, d, z, _x: F.where(z > 0, d, 0))
primitive("softplus", _softplus, _softplus_dx, pointwise=True)
primitive("elu", _elu, _elu_dx, pointwise=True)
primitive("hardtanh", np.clip, _hardtanh_dx, drops=True)

primitive("softmax", _softmax, _softmax_dx).fast(
    forward=_fast(rows.softmax, _softmax), rules=(_fast_dx(rows.softmax_derivative, _softmax_dx),), exact="d")
primitive("log_softmax", _log_softmax, _log_softmax_dx).fast(
    forward=_fast(rows.log_softmax, _log_softmax), rules=(_fast_dx(rows.log_softmax_derivative, _log_softmax_dx),), exact="d")
# -log(softmax(x)[class]) of each row
primitive("softmax_cross_entropy", _softmax_cross_entropy, _softmax_cross_entropy_dx).fast(
    forward=_fast(rows.cross_entropy, _softmax_cross_entropy), rules=(_fast_softmax_cross_entropy_dx,), exact="d")
primitive("logsumexp", _logsumexp, _logsumexp_dx)
