"""Rows of activations and of windows."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cases.case import Case, away_from_zero, distinct, real


def _windows(x, kernel, positions, stride, dilation):
    n = len(kernel)
    spans = [step * (k - 1) + 1 for k, step in zip(kernel, dilation)]
    z = sliding_window_view(x, spans, axis=tuple(range(-n, 0)))
    outer = z.ndim - 2 * n
    z = z[(..., *(slice(None, None, step) for step in (*stride, *dilation)))]
    z = z[(slice(None),) * outer + tuple(slice(count) for count in positions)]
    return np.moveaxis(z, range(outer, outer + n), range(-n, 0))


def _unwindow(d, size, stride, dilation):
    n = len(size)
    x = np.zeros((*d.shape[:-2 * n], *size))
    for k in np.ndindex(d.shape[-2 * n:-n]):
        for o in np.ndindex(d.shape[-n:]):
            at = tuple(i * s + j * t for i, s, j, t in zip(o, stride, k, dilation))
            x[(..., *at)] += d[(..., *k, *o)]
    return x


def _layer_norm(x, W, b, n, eps, centred):
    rows = x.reshape(*x.shape[:x.ndim - n], -1)
    u = rows - rows.mean(-1, keepdims=True) * centred
    return (u / np.sqrt((u ** 2).mean(-1, keepdims=True) + eps)).reshape(x.shape) * W + b


def _heads(x, part, heads):
    return np.stack(np.split(np.split(x, 3, -1)[part], heads, -1), 1)


def _attention_weights(x, mask, heads, scale):
    e = np.exp(np.einsum("nhid,nhjd->nhij", _heads(x, 0, heads), _heads(x, 1, heads)) * scale + mask)
    return e / e.sum(-1, keepdims=True)


def _attention_output(w, x, heads):
    return np.concatenate(list(np.einsum("nhij,nhjd->hnid", w, _heads(x, 2, heads))), -1)


def _group_norm(x, W, b, groups, eps):
    rows = x.reshape(x.shape[0] * groups, -1)
    z = ((rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + eps)).reshape(x.shape)
    W, b = [p.reshape(-1, *[1] * (x.ndim - 2)) for p in (W, b)]
    return z * W + b


def _moments(x):
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    return np.stack([rows.mean(1), rows.var(1)])


def _batch_norm(x, W, b, moments, eps):
    mean, variance, W, b = [p.reshape(-1, *[1] * (x.ndim - 2)) for p in (*_moments(x), W, b)]
    return (x - mean) / np.sqrt(variance + eps) * W + b


def _places(x, W_shape, stride, widths, dilation):
    """(place in the output, place in the kernel, place in the input) of all that a convolution over two axes multiplies."""
    size = [(n + sum(w) - t * (k - 1) - 1) // s + 1 for n, k, s, w, t in zip(x, W_shape, stride, widths, dilation)]
    for o in np.ndindex(*size):
        for k in np.ndindex(*W_shape):
            at = tuple(i * s + j * t - w[0] for i, j, s, t, w in zip(o, k, stride, dilation, widths))
            if all(0 <= i < n for i, n in zip(at, x)):
                yield o, k, at


def _convolution(x, W, b, stride, widths, dilation, groups):
    z = np.zeros((x.shape[0], W.shape[0], *[
        (n + sum(w) - t * (k - 1) - 1) // s + 1 for n, k, s, w, t in zip(x.shape[2:], W.shape[2:], stride, widths, dilation)]))
    for o, k, at in _places(x.shape[2:], W.shape[2:], stride, widths, dilation):
        z[:, :, *o] += x[:, :, *at] @ W[:, :, *k].T
    return z + b[:, None, None]


def _convolution_input(d, W, size, stride, widths, dilation, groups):
    x = np.zeros((d.shape[0], W.shape[1], *size))
    for o, k, at in _places(size, W.shape[2:], stride, widths, dilation):
        x[:, :, *at] += d[:, :, *o] @ W[:, :, *k]
    return x


def _convolution_weight(d, x, kernel, stride, widths, dilation, groups):
    W = np.zeros((d.shape[1], x.shape[1], *kernel))
    for o, k, at in _places(x.shape[2:], kernel, stride, widths, dilation):
        W[:, :, *k] += d[:, :, *o].T @ x[:, :, *at]
    return W


def _pooled(reduce):
    def pool(x, kernel, stride, widths, dilation):
        found = {}
        for o, _, at in _places(x.shape[2:], kernel, stride, widths, dilation):
            found.setdefault(o, []).append(x[:, :, *at])
        z = np.zeros((*x.shape[:2], *np.max(list(found), 0) + 1))
        for o, values in found.items():
            z[:, :, *o] = reduce(values)
        return z

    return pool


def _unpool_max(d, x, kernel, stride, widths, dilation):
    z, w = _pooled(lambda values: np.max(values, 0))(x, kernel, stride, widths, dilation), np.zeros(x.shape)
    for o, _, at in _places(x.shape[2:], kernel, stride, widths, dilation):
        w[:, :, *at] += d[:, :, *o] * (x[:, :, *at] == z[:, :, *o])
    return w


def _picked_max(d, x, kernel, stride, widths, dilation):
    z = _pooled(lambda values: np.max(values, 0))(x, kernel, stride, widths, dilation)
    w = np.zeros(z.shape)
    for o, _, at in _places(x.shape[2:], kernel, stride, widths, dilation):
        w[:, :, *o] += d[:, :, *at] * (x[:, :, *at] == z[:, :, *o])
    return w


def _unpool_sum(d, size, kernel, stride, widths, dilation):
    w = np.zeros((*d.shape[:2], *size))
    for o, _, at in _places(size, kernel, stride, widths, dilation):
        w[:, :, *at] += d[:, :, *o]
    return w


WIDTHS = ((1, 0), (1, 1))
STEPS = [((1, 1), WIDTHS, (1, 1)), ((2, 1), WIDTHS, (1, 2))]            # of x (5, 4) and a kernel of (2, 2), (5, 5) and (3, 4)
POOLS = [((2, 2), *steps) for steps in STEPS]
PLAIN_POOL = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
_normal = np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2, otypes=[float])

CASES = [
    Case("erf", reference=np.vectorize(math.erf, otypes=[float])),
    Case("erfc", reference=np.vectorize(math.erfc, otypes=[float])),
    Case("erf_slope", reference=lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x)),
    Case("gelu", reference=lambda x: x * _normal(x)),
    Case("gelu_slope", reference=lambda x: _normal(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)),
    Case("gelu_tanh", reference=lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))),
    Case("silu", reference=lambda x: x / (1 + np.exp(-x))),
    Case("softplus", static=((1.0, 20.0), (2.0, 1.5), (1.0, math.inf)),
         reference=lambda x, beta, threshold: np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)),
    Case("elu", (away_from_zero,), ((1.0, 1.0), (0.5, 2.0)),
         lambda x, alpha, rate: np.where(x > 0, x, alpha * np.expm1(rate * x))),
    Case("hardtanh", static=((-1.0, 1.0), (0.0, 6.0)), reference=np.clip),
    Case("windows", reference=_windows, shapes=[((5, 4),), ((2, 5, 4),), ((0, 5, 4),)],
         static=(((2,), (3,), (1,), (1,)), ((2,), (2,), (1,), (2,)), ((3,), (1,), (2,), (1,)), ((1,), (2,), (3,), (1,)),
                 ((2, 3), (2, 1), (2, 1), (1, 1)), ((2, 1), (3, 2), (1, 2), (2, 1)))),
    Case("unwindow", reference=_unwindow, shapes=[((2, 2, 3, 2),), ((2, 2, 2, 3, 2),), ((0, 2, 2, 3, 2),)],
         static=(((4,), (1,), (1,)), ((6,), (1,), (2,)), ((6,), (2,), (1,)), ((4, 5), (1, 3), (1, 1)),
                 ((5, 4), (1, 2), (2, 1)))),
    Case("linear", (real,) * 3, reference=lambda x, W, b: x @ W.T + b,
         shapes=[((3, 4), (2, 4), (2,)), ((4,), (2, 4), (2,)), ((2, 3, 4), (5, 4), (5,)), ((0, 4), (2, 4), (2,))]),
    Case("attention_weights", (real,) * 2, ((2, 0.5), (1, 1.0)), _attention_weights,
         [((2, 3, 12), (3, 3)), ((1, 4, 6), (1, 1, 1, 4))]),
    Case("attention_output", (real,) * 2, ((2,),), _attention_output, [((2, 2, 3, 3), (2, 3, 12))]),
    Case("layer_norm", (real,) * 3, ((1, 1e-5, True), (1, 0.1, False)), _layer_norm,
         [((3, 4), (4,), (4,)), ((2, 3, 4), (4,), (4,))]),
    Case("group_norm", (real,) * 3, ((2, 1e-5), (1, 0.1)), _group_norm,
         [((3, 6), (6,), (6,)), ((2, 4, 3), (4,), (4,)), ((2, 4, 2, 2), (4,), (4,))]),
    Case("batch_norm", (real,) * 3, ((None, 1e-5), (None, 0.1)), _batch_norm, [((6, 3), (3,), (3,)), ((2, 3, 5), (3,), (3,))]),
    Case("convolution", (real,) * 3, tuple([(*steps, 1) for steps in STEPS]), _convolution,
         [((2, 3, 5, 4), (2, 3, 2, 2), (2,))]),
    Case("convolution_input", (real,) * 2, (((5, 4), *STEPS[0], 1),), _convolution_input, [((2, 2, 5, 5), (2, 3, 2, 2))]),
    Case("convolution_weight", (real,) * 2, (((2, 2), *STEPS[1], 1),), _convolution_weight, [((2, 2, 3, 4), (2, 3, 5, 4))]),
    Case("max_pool", (distinct,), (*POOLS, PLAIN_POOL), _pooled(lambda values: np.max(values, 0)), [((2, 3, 5, 4),)]),
    Case("unpool_max", (real, distinct), (POOLS[1],), _unpool_max, [((2, 3, 3, 4), (2, 3, 5, 4))]),
    Case("picked_max", (real, distinct), (POOLS[1],), _picked_max, [((2, 3, 5, 4), (2, 3, 5, 4))]),
    Case("sum_pool", static=(*POOLS, PLAIN_POOL),
         reference=_pooled(lambda values: np.sum(values, 0)), shapes=[((2, 3, 5, 4),)]),
    Case("unpool_sum", static=(((5, 4), *POOLS[1]),), reference=_unpool_sum, shapes=[((2, 3, 3, 4),)]),
]
CONSTANT = [Case("channel_moments", reference=_moments, shapes=[((6, 3),), ((2, 3, 5),)])]
