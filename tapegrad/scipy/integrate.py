"""`tapegrad.scipy.integrate`: the names of scipy.integrate. SciPy integrates; derivatives are integrals, too, of the adjoint
equations.

Values and derivatives are as exact as the tolerances that are given. An integrand or a right-hand side that is to be
differentiated gives a tensor for tensors, and reads what is to be differentiated by from its arguments, `args`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import integrate as theirs

from tapegrad import functions
from tapegrad.errors import DtypeError, GradientError, ShapeError
from tapegrad.errors import describe as described
from tapegrad.functions.arguments import as_tensor, constant, value
from tapegrad.functions.tensor import Tensor
from tapegrad.numpy.dispatch import Names, holds_tensor, wrapping
from tapegrad.transforms.functional import vjp
from tapegrad.transforms.implicit import closed, computed, filled, kept, recorded_value, values, wanted
from tapegrad.tree import leaves
from tapegrad.typing import Array, TensorLike

__all__ = list(theirs.__all__)
_names = Names(globals(), theirs, "scipy.integrate", lambda name: None)
__dir__, __getattr__ = _names.dir, _names.get

Function = Callable[..., Any]


@_names.of("trapezoid")
def trapezoid(y: TensorLike, x: TensorLike | None = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """The integral by the trapezoidal rule: see tg.trapezoid.

    >>> tg.scipy.integrate.trapezoid(tg.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    return functions.trapezoid(y, x, dx, axis)


@wrapping(theirs.quad)
def quad(func: Function, a: Any, b: Any, args: Any = (), *more: Any, **options: Any) -> Any:
    """(The integral of func(x, *args) from a to b, an estimate of its error, ..), as SciPy gives it.

    The first is a tensor where a, b or args requires a gradient. Derivative: to b, d func(b); to a, -d func(a); to args, d
    times the integral of the derivative, one for each element, by quad with the same options.

    >>> quad = tg.scipy.integrate.quad
    >>> integral = lambda c: quad(lambda x, c: tg.exp(-c * x), 0.0, np.inf, c)[0]
    >>> round(integral(2.0), 9)
    0.5
    >>> tg.grad(integral)(2.0).round(9), tg.grad(tg.grad(integral))(2.0).round(9)
    (np.float64(-0.25), np.float64(0.25))
    """
    args = args if isinstance(args, tuple) else (args,)
    whole = (a, b, args)
    chosen, (low, high, held) = wanted(whole), values(whole)
    found = theirs.quad(lambda x: float(computed("quad", func(x, *held))), float(low), float(high), (), *more, **options)
    if not chosen:
        return (Tensor(found[0]), *found[1:]) if holds_tensor(whole) else found
    if options.get("weight") is not None:
        raise GradientError("quad: no derivative with weight=; write the weight into the function")
    closed("quad", func, 0.5 * (low + high) if np.isfinite(low + high) else low if np.isfinite(low) else 0.0, *args)
    whole, more, options = kept(whole), kept(more), kept(options)
    ends = [next((i for i, x in enumerate(chosen) if x is end), None) for end in (a, b)]

    def pull(d: Any, _z: Any, *xs: Any) -> Sequence[Any]:
        start, stop, given = filled(whole, chosen, xs)
        parts: list[Any] = []
        for i, x in enumerate(xs):
            c: Any = 0.0
            if i == ends[0]:
                c = c - func(start, *given)
            if i == ends[1]:
                c = c + func(stop, *given)
            if any(leaf is chosen[i] for leaf in leaves(args)):
                c = c + _integral(i, x, xs, start, stop)
            parts.append(d * c)
        return parts

    def _integral(i: int, x: Any, xs: Sequence[Any], start: Any, stop: Any) -> Any:
        """The integral of the derivative by the i-th of the chosen, an element at a time."""
        def slope(t: Any, place: int, *xs: Any) -> Any:
            moved = lambda x: functions.positive(func(t, *filled(whole, chosen, [*xs[:i], x, *xs[i + 1:]])[2]))  # noqa: E731
            z, back = vjp(moved, xs[i])
            g = back(functions.ones_like(z) if isinstance(z, Tensor) else np.ones_like(z))[0]
            return functions.ravel(g)[place]

        each = [quad(slope, start, stop, (place, *xs), *more, **options)[0] for place in range(value(x).size)]
        return functions.reshape(functions.stack([functions.positive(z) for z in each]), value(x).shape)

    integral = recorded_value("quad", found[0], chosen, pull)
    return (integral, *found[1:])


def _flow(name: str, f: Function, y0: Any, t: Array, args: tuple[Any, ...], solve: Function) -> Tensor:
    """The values (len(t), n) at the times t of y' = f(y, t, *args), y(t[0]) = y0, by solve(f of arrays, y0, times)."""
    y0 = as_tensor(y0)
    chosen, whole, t = wanted((y0, args)), kept((y0, args)), np.array(t)
    start, held = values(whole)
    if any([x.dtype.kind == "c" for x in (start, *chosen)]):
        raise DtypeError(f"{name}: complex numbers have no derivative here; give their real and imaginary parts")
    start = np.atleast_1d(np.asarray(start, float))
    if start.ndim != 1:
        raise ShapeError(f"{name}: the start is a vector: {described(start)}")

    def right(y: Any, s: Any) -> Any:
        return np.asarray(computed(name, f(y, s, *held)), float)

    z = solve(right, start, t)
    if not chosen:
        return Tensor(z)
    given = closed(name, f, start, float(t[0]), *args)
    if np.shape(given) != start.shape:
        raise ShapeError(f"{name}: the right-hand side gave shape {np.shape(given)} for {described(start)}")

    def pull(d: Any, z: Any, *xs: Any) -> Sequence[Any]:
        n, sizes = start.size, [x.size for x in chosen]

        def backward(state: Any, s: Any, *xs: Any) -> Any:
            """Of (y, its adjoint u, what the arguments get), in time that runs backwards, -s."""
            y, u = state[:n], state[n:2 * n]
            moved = lambda y, *xs: functions.positive(f(y, -s, *filled(whole, chosen, xs)[1]))  # noqa: E731
            dy, back = vjp(moved, y, *xs)
            parts = back(u)
            return functions.concatenate([-functions.positive(dy), *[functions.ravel(part) for part in parts]])

        u = d[-1]
        gathered: Any = np.zeros(sum(sizes))
        for k in range(len(t) - 1, 0, -1):
            state = functions.concatenate([z[k], u, gathered])
            end = _flow(name, backward, state, -t[k - 1:k + 1][::-1], xs, solve)[-1]
            u, gathered = end[n:2 * n] + d[k - 1], end[2 * n:]
        found, before = [], 0
        for x, size in zip(chosen, sizes):
            part = functions.reshape(gathered[before:before + size], x.shape)
            found.append(part + functions.reshape(u, x.shape) if x is y0 else part)
            before += size
        return found

    return recorded_value(name, z, chosen, pull)


@wrapping(theirs.odeint)
def odeint(func: Function, y0: Any, t: Any, args: Any = (), Dfun: Any = None, col_deriv: int = 0, full_output: int = 0,
           ml: Any = None, mu: Any = None, rtol: Any = None, atol: Any = None, *more: Any, tfirst: bool = False,
           **options: Any) -> Any:
    """The solution (len(t), n) of y' = func(y, t, *args) at the times t, y(t[0]) = y0: a tensor where y0 or args requires a
    gradient.

    Derivative: u' = -(df/dy)^T u, solved backwards in time with the same tolerances, to y0 u(t[0]) and to args the integral of
    u^T df/darg; to t none. Source: Chen et al., Neural ordinary differential equations (2018).

    >>> odeint = tg.scipy.integrate.odeint
    >>> decay = lambda y0, k: odeint(lambda y, t, k: -k * y, y0, [0.0, 1.0], (k,), rtol=1e-10, atol=1e-10)[-1, 0]
    >>> decay(np.array([2.0]), 1.0).round(7)
    np.float64(0.7357589)
    >>> tg.grad(decay, 1)(np.array([2.0]), 1.0).round(7)
    np.float64(-0.7357589)
    """
    args = args if isinstance(args, tuple) else (args,)
    times = constant("odeint", t)
    f: Function = (lambda y, t, *args: func(t, y, *args)) if tfirst else func
    if not wanted((y0, args)):
        held = values(args)
        right = lambda y, t: np.asarray(computed("odeint", f(y, t, *held)))  # noqa: E731
        slope: Function | None = None if Dfun is None else lambda y, t: Dfun(*((t, y) if tfirst else (y, t)), *held)
        z = theirs.odeint(right, value(y0), times, (), slope, col_deriv, full_output, ml, mu, rtol, atol, *more, **options)
        return Tensor(z) if holds_tensor((y0, args)) and not full_output else z
    if full_output or Dfun is not None:
        raise GradientError("odeint: no derivative with full_output= or Dfun=; leave them out")
    options = kept({"rtol": rtol, "atol": atol, **options})
    return _flow("odeint", f, y0, times, args, lambda f, y, t: theirs.odeint(f, y, t, **options))


@wrapping(theirs.solve_ivp)
def solve_ivp(fun: Function, t_span: Any, y0: Any, method: Any = "RK45", t_eval: Any = None, dense_output: bool = False,
              events: Any = None, vectorized: bool = False, args: Any = None, **options: Any) -> Any:
    """The solution of y' = fun(t, y, *args) over t_span: SciPy's result, whose .y (n, len(t)) is a tensor where y0 or args
    requires a gradient. Derivative: as that of odeint, by the same method and tolerances; the times that SciPy chose are
    constants. GradientError for a t_span that requires a gradient.

    >>> f = lambda t, y, k: -k * y
    >>> solve = lambda k: tg.scipy.integrate.solve_ivp(f, (0.0, 1.0), [2.0], args=(k,), rtol=1e-9, atol=1e-9)
    >>> solve(1.0).y[0, -1].round(7), tg.grad(lambda k: solve(k).y[0, -1])(1.0).round(7)
    (np.float64(0.7357589), np.float64(-0.7357589))
    """
    args = () if args is None else args
    held, span = values(args), constant("solve_ivp", t_span)
    right = lambda t, y: np.asarray(computed("solve_ivp", fun(t, y, *held)))  # noqa: E731
    found = theirs.solve_ivp(right, span, np.asarray(value(y0)), method, t_eval, dense_output, events, vectorized,
                             **options)
    if not wanted((y0, args)):
        if holds_tensor((y0, args)):
            found.y = Tensor(found.y)
        return found
    if dense_output or events is not None or vectorized:
        raise GradientError("solve_ivp: no derivative with dense_output=, events= or vectorized=; leave them out")
    if not found.success:
        raise GradientError(f"solve_ivp: no derivative of a solution that failed: {found.message}")
    options, times = kept(options), found.t if found.t[0] == span[0] else np.concatenate([span[:1], found.t])

    def solve(f: Function, y: Array, t: Array) -> Array:
        z = theirs.solve_ivp(lambda s, y: f(y, s), (t[0], t[-1]), y, method, t, **options)
        if not z.success:
            raise GradientError(f"solve_ivp: the adjoint equation failed: {z.message}")
        return np.asarray(z.y.T)

    z = _flow("solve_ivp", lambda y, t, *args: fun(t, y, *args), y0, times, tuple(args), solve)
    found.y = functions.transpose(z if times is found.t else z[1:])
    return found
