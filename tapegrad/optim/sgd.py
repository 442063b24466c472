"""Gradient descent with and without a momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapegrad.kernels import steps
from tapegrad.optim.fused import FusedOptimizer, Part
from tapegrad.optim.optimizer import Parameters
from tapegrad.typing import Array


class SGD(FusedOptimizer):
    """x -= lr * g, with a momentum x -= lr * v, where v = momentum * v + g, or, with nesterov, x -= lr * (g + momentum * v).

    dampening      v = momentum * v + (1 - dampening) * g instead, but for the first step, whose v is g
    weight_decay   adds weight_decay * x to g
    maximize       go up instead of down
    Source: Robbins and Monro (1951); Polyak (1964) for the momentum; Sutskever et al., On the importance of initialization
    and momentum in deep learning (2013) for nesterov, in PyTorch's form, whose v is not multiplied by lr.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([x], lr=0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> x.data
    array([0., 0.])
    """

    kernel, beyond, means = "sgd", "dampening", ("velocity",)
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    maximize: bool

    def __init__(self, params: Parameters, lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
                         maximize=maximize)

    def _numbers(self, group: Mapping[str, Any]) -> tuple[float, ...]:
        return float(group["lr"]), float(group["weight_decay"]), float(group["momentum"]), float(bool(group["nesterov"]))

    def _moved(self, part: Part, k: int, t: int, x: Array, g: Array, *means: Array) -> Any:
        (v,) = means
        lr, weight_decay, momentum, nesterov = self._numbers(part.group)
        if momentum:
            new = 1 - float(part.group["dampening"]) if t > 1 else 1.0
            return steps.momentum_sgd(x, new * g, v, lr, new * weight_decay, momentum, nesterov)
        return steps.sgd(x, g, lr, weight_decay), v
