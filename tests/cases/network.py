"""Rows of activations and of windows."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cases.case import Case, away_from_zero


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


CASES = [
    Case("erf", reference=np.vectorize(math.erf, otypes=[float])),
    Case("erfc", reference=np.vectorize(math.erfc, otypes=[float])),
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
]
