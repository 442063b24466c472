"""Is a derivative right? Compared with central differences, to any order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from tapegrad.errors import GradcheckError
from tapegrad.functions.tensor import Tensor
from tapegrad.transforms.functional import grad, weighted
from tapegrad.tree import leaves, rebuild
from tapegrad.typing import Tree


def gradcheck(fun: Callable[..., Tree], *args: Tree, order: int = 1, eps: float | None = None, atol: float | None = None,
              rtol: float | None = None) -> bool:
    """True if the derivatives of `fun` at `args` agree with central differences; GradcheckError with the element if not.

    fun     takes tensors, or structures of them, of a float or complex dtype; returns a tensor or a structure of tensors
    order   check the derivatives up to this order, the n-th from differences of the (n-1)-th
    eps     the step h of (f(x + h) - f(x - h)) / 2h; by default the cube root of the dtype's precision
    atol, rtol   |derivative - difference| <= atol + rtol |difference|; by default 100 eps^2 and 1000 eps^2

    The real and the imaginary part of a complex argument are moved one by one. The outputs are projected on fixed random
    weights, so that one number stands for all of them.

    >>> tg.gradcheck(tg.tanh, np.array([0.5, -1.0]), order=2)
    True
    >>> tg.gradcheck(lambda x: x * x.detach(), np.array([1.0]))
    Traceback (most recent call last):
    tapegrad.errors.GradcheckError: gradcheck: <lambda>, element (0,) of argument 0 (float64 (1,)): the derivative is ...
    """
    def projected(*xs: Tree) -> Any:
        total: Any = 0.0
        rng = np.random.default_rng(0)
        for z in leaves(fun(*xs)):
            w = rng.uniform(0.5, 1.5, size=z.shape)
            if z.dtype.kind == "c":
                w = w + 1j * rng.uniform(0.5, 1.5, size=z.shape)
            total = total + weighted(z, w.astype(z.dtype))
        return total

    args = rebuild(args, iter([np.array(x._value if isinstance(x, Tensor) else x) for x in leaves(args)]))
    positions = tuple(range(len(args)))
    gradient = grad(projected, positions)
    found = leaves(gradient(*args))
    values = leaves(args)
    for k, (x, g) in enumerate(zip(values, found)):
        step = eps or float(np.finfo(x.dtype).eps) ** (1 / 3)
        absolute = atol if atol is not None else 100 * step ** 2
        relative = rtol if rtol is not None else 1000 * step ** 2
        for i, part in product(np.ndindex(x.shape), (1, 1j) if x.dtype.kind == "c" else (1,)):
            ends = []
            for sign in (1, -1):
                moved = x.copy()
                moved[i] += sign * step * part
                given = map(Tensor, [*values[:k], moved, *values[k + 1:]])
                ends.append(float(projected(*rebuild(args, given))))
            difference = (ends[0] - ends[1]) / (2 * step)
            derivative = float((g[i] / part).real)
            if not abs(derivative - difference) <= absolute + relative * abs(difference):
                raise GradcheckError(
                    f"gradcheck: {getattr(fun, '__name__', 'the function')}, element {i} of argument {k} "
                    f"({x.dtype} {x.shape}){', imaginary part' if part == 1j else ''}: the derivative is {derivative:.9g}, the "
                    f"difference {difference:.9g}")
    return gradcheck(gradient, *args, order=order - 1, eps=eps, atol=atol, rtol=rtol) if order > 1 else True
