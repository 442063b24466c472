"""The optimisers' steps, as formulas of numbers or arrays. Those of FORMULAS have no literals: numba would widen float32."""

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


def amsgrad(x: Any, g: Any, m: Any, v: Any, v_max: Any, rate: Any, floor: Any, *others: Any) -> Any:
    """The new (x, m, v, v_max): adam() with the greatest v so far in the place of v."""
    _, m, v = adam(x, g, m, v, rate, floor, *others)
    v_max = np.maximum(v_max, v)
    return others[-1] * x - rate * m / (np.sqrt(v_max) + floor), m, v, v_max


def without_bias(t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """(rate, floor) of step t: with them adam() moves by lr * m' / (sqrt(v') + eps), m' = m / (1 - beta1^t), v' likewise."""
    scale = (1 - beta2 ** t) ** 0.5
    return lr * scale / (1 - beta1 ** t), eps * scale


def nadam(x: Any, g: Any, m: Any, v: Any, of_g: Any, of_m: Any, beta1: Any, beta2: Any, eps: Any, bias: Any, weight_decay: Any,
          shrink: Any) -> Any:
    """The new (x, m, v); of_g and of_m are the rates of g and m, bias = 1 - beta2^t."""
    g = decayed(x, g, weight_decay)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g)
    return shrink * x - (of_g * g + of_m * m) / (np.sqrt(v / bias) + eps), m, v


def rmsprop(x: Any, g: Any, square: Any, velocity: Any, mean: Any, lr: Any, old: Any, new: Any, eps: Any, weight_decay: Any,
            momentum: Any, centered: Any) -> Any:
    """The new (x, square, velocity, mean); old = alpha, new = 1 - alpha."""
    g = decayed(x, g, weight_decay)
    square = old * square + new * (g * g)
    variance = square
    if centered:
        mean = mean + new * (g - mean)
        variance = square - mean * mean
    d = g / (np.sqrt(variance) + eps)
    if momentum:
        d = velocity = momentum * velocity + d
    return x - lr * d, square, velocity, mean


def adagrad(x: Any, g: Any, total: Any, lr: Any, weight_decay: Any, eps: Any) -> Any:
    """The new (x, total)."""
    g = decayed(x, g, weight_decay)
    total = total + g * g
    return x - lr * (g / (np.sqrt(total) + eps)), total


# Those that the kernels call.
FORMULAS = decayed, sgd, momentum_sgd, adam, without_bias
