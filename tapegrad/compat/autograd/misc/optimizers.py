"""Gradient descent in autograd's form: `optimizer(grad, x0, callback, num_iters, ..)`, of arrays or structures of them.

grad(x, i) gives the gradient at x in the step i, from 0; callback(x, i, g) is called before each step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad import numpy as anp
from tapegrad.compat.autograd.misc.flatten import flatten
from tapegrad.compat.autograd.wrap_util import wraps

__all__ = ["adam", "rmsprop", "sgd", "unflatten_optimizer"]

Function = Callable[..., Any]


def unflatten_optimizer(optimize: Function) -> Function:
    """An optimizer of vectors as one of structures.

    >>> from tapegrad.compat.autograd.misc.optimizers import unflatten_optimizer
    >>> halved = unflatten_optimizer(lambda grad, x, callback, n: x - grad(x, 0) / 2)
    >>> halved(lambda x, i: {"w": 2 * x["w"]}, {"w": np.array([4.0])}, None, 1)
    {'w': array([0.])}
    """
    @wraps(optimize)
    def of_structures(grad: Function, x0: Any, callback: Function | None = None, *args: Any, **kwargs: Any) -> Any:
        vector, unflatten = flatten(x0)

        def gradient(x: Any, i: int) -> Any:
            return flatten(grad(unflatten(x), i))[0]

        def called(x: Any, i: int, g: Any) -> Any:
            return callback(unflatten(x), i, unflatten(g))      # type: ignore[misc]

        return unflatten(optimize(gradient, vector, called if callback else None, *args, **kwargs))

    return of_structures


def _steps(grad: Function, x: Any, callback: Function | None, num_iters: int, step: Callable[[Any, Any, int], Any]) -> Any:
    for i in range(num_iters):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        x = step(x, g, i)
    return x


@unflatten_optimizer
def sgd(grad: Function, x: Any, callback: Function | None = None, num_iters: int = 200, step_size: float = 0.1,
        mass: float = 0.9) -> Any:
    """Descent with momentum: v <- mass v - (1 - mass) g, x <- x + step_size v.

    >>> tg.compat.autograd.misc.optimizers.sgd(lambda x, i: 2 * x, np.array([1.0])).round(4)
    array([-0.])
    """
    velocity: Any = np.zeros(len(x))

    def step(x: Any, g: Any, i: int) -> Any:
        nonlocal velocity
        velocity = mass * velocity - (1.0 - mass) * g
        return x + step_size * velocity

    return _steps(grad, x, callback, num_iters, step)


@unflatten_optimizer
def rmsprop(grad: Function, x: Any, callback: Function | None = None, num_iters: int = 100, step_size: float = 0.1,
            gamma: float = 0.9, eps: float = 1e-8) -> Any:
    """Steps over the root of a running mean of g^2, which starts at 1: m <- gamma m + (1 - gamma) g^2, x <- x - step_size g /
    (sqrt(m) + eps). Source: Tieleman and Hinton, Lecture 6.5 (2012).

    >>> tg.compat.autograd.misc.optimizers.rmsprop(lambda x, i: 2 * x, np.array([1.0])).round(2)
    array([0.01])
    """
    square: Any = np.ones(len(x))

    def step(x: Any, g: Any, i: int) -> Any:
        nonlocal square
        square = square * gamma + g ** 2 * (1 - gamma)
        return x - step_size * g / (anp.sqrt(square) + eps)

    return _steps(grad, x, callback, num_iters, step)


@unflatten_optimizer
def adam(grad: Function, x: Any, callback: Function | None = None, num_iters: int = 100, step_size: float = 0.001,
         b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:
    """Adam. Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015).

    >>> tg.compat.autograd.misc.optimizers.adam(lambda x, i: 2 * x, np.array([1.0]), step_size=0.1).round(4)
    array([0.0029])
    """
    mean: Any = np.zeros(len(x))
    square: Any = np.zeros(len(x))

    def step(x: Any, g: Any, i: int) -> Any:
        nonlocal mean, square
        mean = (1 - b1) * g + b1 * mean
        square = (1 - b2) * g ** 2 + b2 * square
        return x - step_size * (mean / (1 - b1 ** (i + 1))) / (anp.sqrt(square / (1 - b2 ** (i + 1))) + eps)

    return _steps(grad, x, callback, num_iters, step)
