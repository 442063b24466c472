"""Derivatives checked by differences, in random directions: AssertionError where they do not agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from tapegrad.compat.autograd.core import make_jvp, make_vjp
from tapegrad.compat.autograd.tracer import Function
from tapegrad.compat.autograd.vspaces import vspace
from tapegrad.compat.autograd.wrap_util import get_name, unary_to_nary

__all__ = ["EPS", "RTOL", "TOL", "check_equivalent", "check_grads", "check_jvp", "check_vjp", "combo_check",
           "make_numerical_jvp", "scalar_close"]

TOL = RTOL = EPS = 1e-6


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers agree to TOL, or to RTOL of their sum.

    >>> scalar_close(1.0, 1.0 + 1e-9), scalar_close(1.0, 1.1)
    (True, False)
    """
    return bool(abs(a - b) < TOL or abs(a - b) / abs(a + b) < RTOL)


def make_numerical_jvp(f: Function, x: Any) -> Function:
    """The function v -> (f(x + h v) - f(x - h v)) / 2h, with 2h = EPS.

    >>> round(make_numerical_jvp(lambda x: x ** 2, 3.0)(1.0), 6)
    6.0
    """
    space, values = vspace(x), vspace(f(x))

    def jvp(v: Any) -> Any:
        ends = [f(space.add(x, space.scalar_mul(v, step))) for step in (EPS / 2, -EPS / 2)]
        return values.scalar_mul(values.add(ends[0], values.scalar_mul(ends[1], -1.0)), 1 / EPS)

    return jvp


def check_vjp(f: Function, x: Any) -> None:
    """<v, vjp(u)> against the difference <u, jvp(v)>, for random u and v.

    >>> check_vjp(lambda x: x ** 2, np.array([1.0, 2.0]))
    """
    vjp, y = make_vjp(f, x)
    space, values = vspace(x), vspace(y)
    v, u = space.randn(), values.randn()
    pulled = space.covector(vjp(values.covector(u)))
    assert vspace(pulled) == space, f"the vjp of {get_name(f)} is in {vspace(pulled)}, and its argument in {space}"
    exact, numeric = space.inner_prod(v, pulled), values.inner_prod(u, make_numerical_jvp(f, x)(v))
    assert scalar_close(numeric, exact), (
        f"Derivative (VJP) check of {get_name(f)} failed with arg {x}:\nanalytic: {exact}\nnumeric:  {numeric}")


def check_jvp(f: Function, x: Any) -> None:
    """jvp(v) against the difference, for a random v.

    >>> check_jvp(lambda x: x ** 2, np.array([1.0, 2.0]))
    """
    v = vspace(x).randn()
    check_equivalent(make_jvp(f, x)(v)[1], make_numerical_jvp(f, x)(v))


def check_equivalent(x: Any, y: Any) -> None:
    """Whether x and y are in the same space, and have the same inner product with a random vector.

    >>> check_equivalent(np.ones(2), np.ones(2))
    >>> check_equivalent(np.ones(2), np.ones(3))
    Traceback (most recent call last):
    AssertionError: VSpace mismatch:
    ...
    """
    space = vspace(x)
    assert space == vspace(y), f"VSpace mismatch:\nx: {space}\ny: {vspace(y)}"
    v = space.randn()
    assert scalar_close(space.inner_prod(x, v), space.inner_prod(y, v)), f"Value mismatch:\nx: {x}\ny: {y}"


@unary_to_nary
def check_grads(f: Function, x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> None:
    """check_jvp and check_vjp, and those of the derivatives up to the given order.

    >>> check_grads(lambda x: x ** 3)(2.0)
    """
    for mode in modes:
        if mode not in ("fwd", "rev"):
            raise ValueError(f"check_grads: mode {mode!r}; it is 'fwd' or 'rev'")
        check, name = (check_jvp, "jvp") if mode == "fwd" else (check_vjp, "vjp")
        check(f, x)
        if order > 1:
            derivative = _of_jvp(f) if mode == "fwd" else _of_vjp(f)
            derivative.__name__ = f"{name}_{get_name(f)}"
            v = vspace(x if mode == "fwd" else f(x)).randn()
            check_grads(derivative, (0, 1), modes, order=order - 1)(x, v)


def _of_jvp(f: Function) -> Function:
    return lambda x, v: make_jvp(f, x)(v)[1]


def _of_vjp(f: Function) -> Function:
    return lambda x, v: make_vjp(f, x)[0](v)


def combo_check(fun: Function, *args: Any, **kwargs: Any) -> Callable[..., None]:
    """check_grads(fun, *args, **kwargs) at every combination of the lists of arguments that are given then.

    >>> combo_check(tg.multiply)([1.0, 2.0], [3.0, 4.0])
    """
    def check(*lists: Any, **named: Any) -> None:
        for given in product(*lists):
            for options in product(*named.values()):
                check_grads(fun, *args, **kwargs)(*given, **dict(zip(named, options)))

    return check
