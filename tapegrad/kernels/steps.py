"""The optimisers' steps, as formulas of numbers or arrays. They contain no literals: with these numba would widen float32."""

from __future__ import annotations

from typing import Any

import numpy as np


def decayed(x: Any, g: Any, weight_decay: Any) -> Any:
    """The gradient plus that of weight_decay |x|^2 / 2."""
    return g + weight_decay * x if weight_decay else g       # 0 times an infinite x would be NaN


def sgd(x: Any, g: Any, lr: Any, weight_decay: Any) -> Any:
    """The new x."""
    return x - lr * decayed(x, g, weight_decay)


def momentum_sgd(x: Any, g: Any, v: Any, lr: Any, weight_decay: Any, momentum: Any, nesterov: Any) -> Any:
    """The new (x, v)."""
    d = decayed(x, g, weight_decay)
    v = momentum * v + d
    return x - lr * (d + momentum * v if nesterov else v), v


def adam(x: Any, g: Any, m: Any, v: Any, rate: Any, floor: Any, old_m: Any, new_m: Any, old_v: Any, new_v: Any,
         weight_decay: Any, shrink: Any) -> Any:
    """The new (x, m, v); old_m = beta1, new_m = 1 - beta1, for v likewise; shrink = 1 unless the decay is AdamW's."""
    g = decayed(x, g, weight_decay)
    m = m + new_m * (g - m) if new_m < old_m else g - old_m * (g - m)       # from the nearer of m and g: g - m is rounded
    v = old_v * v + new_v * (g * g)
    return shrink * x - rate * m / (np.sqrt(v) + floor), m, v


def without_bias(t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """(rate, floor) of step t: with them adam() moves by lr * m' / (sqrt(v') + eps), m' = m / (1 - beta1^t), v' likewise."""
    scale = (1 - beta2 ** t) ** 0.5
    return lr * scale / (1 - beta1 ** t), eps * scale


FORMULAS = decayed, sgd, momentum_sgd, adam, without_bias
