"""Normalisation by mean and variance, as one row each for what lies along rows, for groups of channels, and for channels.

    layer_norm   z = (x - mean) / sqrt(variance + eps) W + b, over the last n axes; without the mean if it is not `centred`
    group_norm   the same over the channels of each group, axis 1 of x, and all axes after it, with W and b for each channel
    batch_norm   the same for each channel, axis 1 of x, by the moments of the batch, (2, channels), or None

In elementary operations they take a dozen passes over x; kernels take two, and two in the reverse sweep. W and b are arrays of
the axes that are normalised, or of the channels, or the numbers 1 and 0.
"""

import math

import numpy as np

from tapegrad.kernels import limits
from tapegrad.kernels import normalisation as kernels
from tapegrad.primitives.registry import primitive


def _last(x_shape, n):
    return tuple(range(len(x_shape) - n, len(x_shape)))


def _all_but_channels(shape):
    return (0, *range(2, len(shape)))


def _along(F, p, ndim):
    """A parameter of channels beside an operand of so many axes; a number as it is."""
    return p if type(p) in (int, float) else F.reshape(p, (p.shape[0],) + (1,) * (ndim - 2))


def _standard(F, x, axes, eps, centred=True):
    """((x - mean) / deviation, 1 / deviation)"""
    u = x - F.mean(x, axes, True) if centred else x
    r = 1 / F.sqrt(F.mean(u * u, axes, True) + eps)
    return u * r, r


def _standard_dx(F, g, x, axes, eps, centred=True):
    """The contribution to x, of the delta g of what _standard gives."""
    h, r = _standard(F, x, axes, eps, centred)
    total = g - F.strong_multiply(F.mean(F.strong_multiply(g, h), axes, True), h)
    return F.strong_multiply(total - F.mean(g, axes, True) if centred else total, r)


def _layer_norm(x, W, b, n, eps, centred):
    axes = _last(x.shape, n)
    u = x - np.mean(x, axes, keepdims=True) if centred else x
    return u / np.sqrt(np.mean(u * u, axes, keepdims=True) + eps) * W + b


def _layer_norm_dx(F, d, _z, x, W, _b, n, eps, centred):
    return _standard_dx(F, F.strong_multiply(d, W), x, _last(x.shape, n), eps, centred)


def _layer_norm_dw(F, d, _z, x, _W, _b, n, eps, centred):
    return F.strong_multiply(d, _standard(F, x, _last(x.shape, n), eps, centred)[0])


def _fast_layer_norm(x, W, b, n, eps, centred):
    z = kernels.layer_norm(x, W, b, n, eps, centred) if x.size >= limits.NORMALISED else None
    return _layer_norm(x, W, b, n, eps, centred) if z is None else z


def _layer_norm_jointly(wanted, d, _z, x, W, b, n, eps, centred):
    W = W if wanted[0] else 1.0                         # the tape does not keep it for the others
    found = kernels.layer_norm_derivatives(d, x, W, n, eps, centred) if x.size >= limits.NORMALISED else None
    return _LAYER_NORM.one_by_one(wanted, d, None, x, W, b, n, eps, centred) if found is None else found


def _in_groups(F, x, groups):
    """(N, channels, ..) as (N, groups, elements of a group)."""
    return F.reshape(x, (x.shape[0], groups, math.prod(x.shape[1:]) // groups))


def _group_norm(x, W, b, groups, eps):
    rows = _layer_norm(_in_groups(np, x, groups), 1.0, 0.0, 1, eps, True)
    return rows.reshape(x.shape) * _along(np, W, x.ndim) + _along(np, b, x.ndim)


def _group_norm_dx(F, d, _z, x, W, _b, groups, eps):
    g = F.strong_multiply(d, _along(F, W, len(x.shape)))
    return F.reshape(_standard_dx(F, _in_groups(F, g, groups), _in_groups(F, x, groups), (2,), eps), x.shape)


def _group_norm_dw(F, d, _z, x, _W, _b, groups, eps):
    h = F.reshape(_standard(F, _in_groups(F, x, groups), (2,), eps)[0], x.shape)
    return F.sum(F.strong_multiply(d, h), _all_but_channels(x.shape), False)


def _fast_group_norm(x, W, b, groups, eps):
    z = kernels.group_norm(x, W, b, groups, eps) if x.size >= limits.NORMALISED else None
    return _group_norm(x, W, b, groups, eps) if z is None else z


def _group_norm_jointly(wanted, d, _z, x, W, b, groups, eps):
    W = W if wanted[0] else 1.0
    found = kernels.group_norm_derivatives(d, x, W, groups, eps) if x.size >= limits.NORMALISED else None
    return _GROUP_NORM.one_by_one(wanted, d, None, x, W, b, groups, eps) if found is None else found


def _channel_moments(x):
    if x.dtype.kind == "c":
        raise TypeError("not defined for complex numbers")
    axes = _all_but_channels(x.shape)
    mean = np.mean(x, axes, keepdims=True)
    u = x - mean
    return np.stack([mean.ravel(), np.mean(u * u, axes)])


def _fast_channel_moments(x):
    z = kernels.channel_moments(x) if x.size >= limits.NORMALISED else None
    return _channel_moments(x) if z is None else z


def _batch_norm(x, W, b, moments, eps):
    moments = _channel_moments(x) if moments is None else moments
    mean, variance, W, b = (_along(np, p, x.ndim) for p in (*moments, W, b))
    return (x - mean) / np.sqrt(variance + eps) * W + b


def _batch_norm_dx(F, d, _z, x, W, _b, moments, eps):
    return _standard_dx(F, F.strong_multiply(d, _along(F, W, len(x.shape))), x, _all_but_channels(x.shape), eps)


def _batch_norm_dw(F, d, _z, x, _W, _b, moments, eps):
    axes = _all_but_channels(x.shape)
    return F.sum(F.strong_multiply(d, _standard(F, x, axes, eps)[0]), axes, False)


def _sum_by_channel(F, d, _z, _x, _W, _b, _static, _eps):
    return F.sum(d, _all_but_channels(d.shape), False)


def _fast_batch_norm(x, W, b, moments, eps):
    moments = _fast_channel_moments(x) if moments is None else moments
    z = kernels.batch_norm(x, W, b, moments, eps) if x.size >= limits.NORMALISED else None
    return _batch_norm(x, W, b, moments, eps) if z is None else z


def _batch_norm_jointly(wanted, d, _z, x, W, b, moments, eps):
    W = W if wanted[0] else 1.0
    moments = _fast_channel_moments(x) if moments is None else moments
    found = kernels.batch_norm_derivatives(d, x, W, moments, eps) if x.size >= limits.NORMALISED else None
    return _BATCH_NORM.one_by_one(wanted, d, None, x, W, b, moments, eps) if found is None else found


def _alone(jointly):
    """The rule for x where no other delta is wanted, by the kernel for all."""
    return lambda F, d, *saved: jointly((True, False, False), d, *saved)[0]


_LAYER_NORM = primitive("layer_norm", _layer_norm, _layer_norm_dx, _layer_norm_dw,
                        lambda F, d, _z, _x, _W, _b, n, eps, centred: d).fast(
    forward=_fast_layer_norm, rules=(_alone(_layer_norm_jointly), None, None), jointly=_layer_norm_jointly)
_GROUP_NORM = primitive("group_norm", _group_norm, _group_norm_dx, _group_norm_dw, _sum_by_channel).fast(
    forward=_fast_group_norm, rules=(_alone(_group_norm_jointly), None, None), jointly=_group_norm_jointly)
primitive("channel_moments", _channel_moments, None).fast(forward=_fast_channel_moments)
# The derivative by x is the whole one, through the moments, too.
_BATCH_NORM = primitive("batch_norm", _batch_norm, _batch_norm_dx, _batch_norm_dw, _sum_by_channel).fast(
    forward=_fast_batch_norm, rules=(_alone(_batch_norm_jointly), None, None), jointly=_batch_norm_jointly)
