"""Fixed points, with derivatives by the parameter of the map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapegrad.compat.autograd.tracer import plain, values
from tapegrad.core.tape import no_grad
from tapegrad.transforms.implicit import root_at

__all__ = ["fixed_point"]


def fixed_point(f: Callable[[Any], Callable[[Any], Any]], a: Any, x0: Any, distance: Callable[[Any, Any], Any],
                tol: float) -> Any:
    """The x with x = f(a)(x), found by repeating from x0 until distance(x, the x before) <= tol.

    The derivative by a is that of the solution (see tg.custom_root); there is none by x0.

    >>> from tapegrad.compat.autograd.misc.fixed_points import fixed_point
    >>> root = lambda a: fixed_point(lambda a: lambda x: (x + a / x) / 2, a, 1.0, lambda x, y: abs(x - y), 1e-12)
    >>> root(4.0), tg.compat.autograd.grad(root)(4.0)
    (np.float64(2.0), np.float64(0.25))
    """
    with no_grad():
        step = f(values(a))
        x, before = step(values(x0)), values(x0)
        while distance(x, before) > tol:
            x, before = step(x), x
    return plain(root_at("fixed_point", lambda x, a: x - f(a)(x), plain(x), (a,)))
