"""Adam and its kin: steps by the running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapegrad.kernels import steps
from tapegrad.optim.fused import FusedOptimizer, Part
from tapegrad.optim.optimizer import Parameters
from tapegrad.typing import Array


class Adam(FusedOptimizer):
    """x -= lr * m' / (sqrt(v') + eps), where m' and v' are the running means of g and g^2 without their bias to 0.

    m = beta1 * m + (1 - beta1) * g, m' = m / (1 - beta1^t) at the parameter's step t, and so for v, with beta2.
    weight_decay   adds weight_decay * x to g
    amsgrad        take the greatest v so far in the place of v. Source: Reddi, Kale and Kumar (2018)
    maximize       go up instead of down
    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.

    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adam([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data.round(6)
    array([ 0.5, -1.5])
    """

    kernel, beyond, means, more = "adam", "amsgrad", ("m", "v"), {"v_max": "amsgrad"}
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    amsgrad: bool
    maximize: bool

    def __init__(self, params: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.0, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize)

    def _numbers(self, group: Mapping[str, Any]) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        return float(group["lr"]), float(beta1), float(beta2), float(group["eps"]), *self._decay(group)

    def _decay(self, group: Mapping[str, Any]) -> tuple[float, float]:
        """What is added to g times x, and what x shrinks to."""
        return float(group["weight_decay"]), 1.0

    def _moved(self, part: Part, k: int, t: int, x: Array, g: Array, *means: Array) -> Any:
        lr, beta1, beta2, eps, weight_decay, shrink = self._numbers(part.group)
        rate, floor = steps.without_bias(t, lr, beta1, beta2, eps)
        step: Any = steps.adam if len(means) == 2 else steps.amsgrad
        return step(x, g, *means, rate, floor, beta1, 1 - beta1, beta2, 1 - beta2, weight_decay, shrink)


class AdamW(Adam):
    """Adam with decoupled weight decay: x shrinks to (1 - lr * weight_decay) * x first, and g stays.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2, in PyTorch's form, whose decay
    is multiplied by lr.

    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.AdamW([x], lr=0.5, weight_decay=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data.round(6)
    array([ 0.45, -1.4 ])
    """

    def __init__(self, params: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.01, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def _decay(self, group: Mapping[str, Any]) -> tuple[float, float]:
        return 0.0, 1 - float(group["lr"]) * float(group["weight_decay"])


class NAdam(FusedOptimizer):
    """Adam whose momentum looks ahead, as Nesterov's does: x -= lr (a g + b m) / (sqrt(v') + eps), with Adam's m and v'.

        mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), at the parameter's step t,
        a = (1 - mu_t) / (1 - mu_1 .. mu_t),  b = mu_(t+1) / (1 - mu_1 .. mu_(t+1))

    weight_decay             adds weight_decay * x to g
    decoupled_weight_decay   x shrinks to (1 - lr * weight_decay) * x first instead, as AdamW's does
    maximize                 go up instead of down
    Source: Dozat, Incorporating Nesterov Momentum into Adam (2016), in PyTorch's form.

    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.NAdam([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data.round(3)
    array([ 0.472, -1.472])
    """

    means, numbers = ("m", "v"), {"mu_product": 1.0}
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    momentum_decay: float
    decoupled_weight_decay: bool
    maximize: bool

    def __init__(self, params: Parameters, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
                 maximize: bool = False) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
                         decoupled_weight_decay=decoupled_weight_decay, maximize=maximize)

    def _moved(self, part: Part, k: int, t: int, x: Array, g: Array, *means: Array) -> Any:
        group, (m, v) = part.group, means
        beta1, beta2 = map(float, group["betas"])
        lr, decay = float(group["lr"]), float(group["weight_decay"])
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (at * float(group["momentum_decay"]))) for at in (t, t + 1))
        product = float(part.numbers["mu_product"][k]) * mu
        part.numbers["mu_product"][k] = product
        shrink, added = (1 - lr * decay, 0.0) if group["decoupled_weight_decay"] else (1.0, decay)
        return steps.nadam(x, g, m, v, lr * (1 - mu) / (1 - product), lr * following / (1 - product * following),
                           beta1, beta2, float(group["eps"]), 1 - beta2 ** t, added, shrink)
