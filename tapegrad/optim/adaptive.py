"""Steps divided by the size that gradients have had, without a mean of the gradients themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tapegrad.kernels import steps
from tapegrad.optim.fused import FusedOptimizer, Part
from tapegrad.optim.optimizer import Parameters
from tapegrad.typing import Array


class RMSprop(FusedOptimizer):
    """x -= lr * g / (sqrt(v) + eps), where v = alpha * v + (1 - alpha) * g^2.

    momentum       x -= lr * b instead, where b = momentum * b + g / (sqrt(v) + eps)
    centered       subtract the square of the running mean of g from v
    weight_decay   adds weight_decay * x to g
    maximize       go up instead of down
    Source: Tieleman and Hinton (2012); Graves (2013) for centered.

    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.RMSprop([x], lr=0.1, alpha=0.75)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data.round(6)
    array([ 0.8, -1.8])
    """

    means = ("square", "velocity", "mean")
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool
    maximize: bool

    def __init__(self, params: Parameters, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
                 momentum: float = 0.0, centered: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered,
                         maximize=maximize)

    def _moved(self, part: Part, k: int, t: int, x: Array, g: Array, *means: Array) -> Any:
        square, velocity, mean = means
        lr, alpha, eps, weight_decay, momentum = (
            float(part.group[name]) for name in ("lr", "alpha", "eps", "weight_decay", "momentum"))
        return steps.rmsprop(x, g, square, velocity, mean, lr, alpha, 1 - alpha, eps, weight_decay, momentum,
                             bool(part.group["centered"]))


class Adagrad(FusedOptimizer):
    """x -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps), where s is the sum of all g^2, at the parameter's step t.

    initial_accumulator_value   s at the start
    weight_decay                adds weight_decay * x to g
    maximize                    go up instead of down
    Source: Duchi, Hazan and Singer (2011).

    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adagrad([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data.round(6)
    array([ 0.9, -1.9])
    """

    means = ("sum",)
    lr_decay: float
    weight_decay: float
    initial_accumulator_value: float
    eps: float
    maximize: bool

    def __init__(self, params: Parameters, lr: float = 0.01, lr_decay: float = 0.0, weight_decay: float = 0.0,
                 initial_accumulator_value: float = 0.0, eps: float = 1e-10, *, maximize: bool = False) -> None:
        super().__init__(params, lr, lr_decay=lr_decay, weight_decay=weight_decay,
                         initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        known = len(vars(self).get("parts", ()))
        super().add_param_group(param_group)
        for part in self.parts[known:]:
            part.means["sum"] += np.asarray(part.group["initial_accumulator_value"], part.dtype)

    def _moved(self, part: Part, k: int, t: int, x: Array, g: Array, *means: Array) -> Any:
        total, = means
        lr, lr_decay, weight_decay, eps = (float(part.group[name]) for name in ("lr", "lr_decay", "weight_decay", "eps"))
        return steps.adagrad(x, g, total, lr / (1 + (t - 1) * lr_decay), weight_decay, eps)
