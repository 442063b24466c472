"""`tapegrad.scipy.optimize`: the names of scipy.optimize. SciPy searches; derivatives, of and by what it finds, are tapegrad's.

A function that gives a tensor for a tensor is differentiated for SciPy, which would take differences; with jac= it is
SciPy's call unchanged. Where `args` holds tensors that require a gradient, what is found is a tensor, with derivatives by
them from the equations that hold at it (transforms/implicit.py), not from the steps. A start, a bracket or a bound has no
derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize as theirs

from tapegrad import functions
from tapegrad.core.tape import no_grad
from tapegrad.errors import GradientError
from tapegrad.functions.arguments import constant
from tapegrad.functions.tensor import Tensor
from tapegrad.numpy.dispatch import Names, holds_tensor, wrapping
from tapegrad.transforms.functional import grad, hessian, hvp, jacobian, value_and_grad
from tapegrad.transforms.implicit import computed, root_at, values, wanted

WITHOUT_GRADIENT = ("nelder-mead", "powell", "cobyla", "cobyqa")
WITH_PRODUCT, WITH_HESSIAN = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr"), ("dogleg", "trust-exact")

Function = Callable[..., Any]


def _start(name: str, x0: Any, args: Any) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """The start as an array of floats, the arguments as a tuple, and their values."""
    args = args if isinstance(args, tuple) else (args,)
    x = constant(name, x0)
    return x.astype(float) if x.dtype.kind not in "fc" else x, args, values(args)


def _knows_tensors(fun: Function, x: Any, held: tuple[Any, ...]) -> bool:
    with no_grad():
        return isinstance(fun(Tensor(x), *held), Tensor)


def _needed(name: str, known: bool, args: Any) -> bool:
    """Whether derivatives by the arguments are wanted; GradientError where the function does not give any."""
    if wanted(args) and not known:
        raise GradientError(f"{name}: an argument requires a gradient, and there is none to be had: the function gives no "
                            "tensor for a tensor, or jac= is given; use tapegrad's functions in it, without jac=, or .detach() "
                            "the argument")
    return bool(wanted(args))


@wrapping(theirs.minimize)
def minimize(fun: Function, x0: Any, args: Any = (), method: Any = None, jac: Any = None, hess: Any = None, hessp: Any = None,
             bounds: Any = None, constraints: Any = (), tol: Any = None, callback: Any = None, options: Any = None) -> Any:
    """The x at which fun(x, *args) is least, near x0: SciPy's result, whose .x and .fun are tensors where args requires a
    gradient.

    Gradients, and Hessians or their products where the method takes them, are tapegrad's if fun gives a tensor for a tensor.
    Derivative of x by args: at the least value the gradient g is 0, so that dx = -(dg/dx)^-1 dg/darg. GradientError for that
    with bounds or constraints.

    >>> minimize = tg.scipy.optimize.minimize
    >>> found = minimize(lambda x, a: tg.sum((x - a) ** 2), np.zeros(2), np.array([1.0, 2.0]))
    >>> found.x.round(6)
    array([1., 2.])
    >>> slope = tg.jacobian(lambda a: minimize(lambda x, a: tg.sum((x * x - a) ** 2), np.ones(2), a, tol=1e-12).x)
    >>> slope(np.array([1.0, 4.0])).round(6) + 0.0
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    x, args, held = _start("minimize", x0, args)
    known = jac is None and _knows_tensors(fun, x, held)
    kind = method.lower() if isinstance(method, str) else ""
    implicit = _needed("minimize", known, args)
    if implicit and (bounds is not None or constraints):
        raise GradientError("minimize: no derivative by args with bounds or constraints; .detach() the argument")
    searched, more = fun, held
    if known:
        searched, more = lambda x: computed("minimize", fun(x, *held)), ()
        if kind not in WITHOUT_GRADIENT:
            both = value_and_grad(fun)
            searched, jac = lambda x: tuple(both(x, *held)), True
        if hess is None is hessp and kind in WITH_PRODUCT:
            hessp = lambda x, p: hvp(lambda x: fun(x, *held), (x,), (p,))[0]  # noqa: E731
        elif hess is None is hessp and kind in WITH_HESSIAN:
            hess = lambda x: hessian(fun)(x, *held)  # noqa: E731
    found = theirs.minimize(searched, x, more, method, jac, hess, hessp, bounds, constraints, tol, callback, options)
    if implicit or holds_tensor(args):
        found.x = root_at("minimize", grad(fun), np.asarray(found.x), args)
        found.fun = fun(found.x, *args)
    return found


@wrapping(theirs.root)
def root(fun: Function, x0: Any, args: Any = (), method: str = "hybr", jac: Any = None, tol: Any = None, callback: Any = None,
         options: Any = None) -> Any:
    """An x with fun(x, *args) = 0, near x0: SciPy's result, whose .x is a tensor where args requires a gradient.

    The Jacobian is tapegrad's if fun gives a tensor for a tensor. Derivative of x by args: -(df/dx)^-1 df/darg.

    >>> f = lambda x, a: x * x - a
    >>> tg.scipy.optimize.root(f, np.ones(2), np.array([4.0, 9.0])).x.round(6)
    array([2., 3.])
    >>> tg.jacobian(lambda a: tg.scipy.optimize.root(f, np.ones(2), a).x)(np.array([4.0, 16.0])).round(6) + 0.0
    array([[0.25 , 0.   ],
           [0.   , 0.125]])
    """
    x, args, held = _start("root", x0, args)
    known = not callable(jac) and jac is None and _knows_tensors(fun, x, held)
    implicit = _needed("root", known, args)
    searched, more = fun, held
    if known:
        searched, more = lambda x: computed("root", fun(x, *held)), ()
        if method in ("hybr", "lm"):
            jac = lambda x: jacobian(fun)(x, *held)  # noqa: E731
    found = theirs.root(searched, x, more, method, jac, tol, callback, options)
    if implicit or holds_tensor(args):
        found.x = root_at("root", fun, np.asarray(found.x), args)
    return found


@wrapping(theirs.least_squares)
def least_squares(fun: Function, x0: Any, jac: Any = "2-point", *more: Any, args: Any = (), kwargs: Any = None,
                  **options: Any) -> Any:
    """The x at which the sum of fun(x, *args)^2 is least: SciPy's result, whose .x is a tensor where args requires a gradient.

    The Jacobian is tapegrad's if fun gives a tensor for a tensor, unless jac= says otherwise. Derivative of x by args: that of
    minimize; GradientError for it where a bound is active.

    >>> t, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])
    >>> fit = lambda y: tg.scipy.optimize.least_squares(lambda x, y: x[0] + x[1] * t - y, np.zeros(2), args=(y,)).x
    >>> fit(y).round(6)
    array([1., 2.])
    >>> tg.jacobian(fit)(y)[1].round(6) + 0.0
    array([-0.5,  0. ,  0.5])
    """
    x, args, held = _start("least_squares", x0, args)
    kwargs = kwargs or {}

    def residuals(x: Any, *args: Any) -> Any:
        return fun(x, *args, **kwargs)

    known = isinstance(jac, str) and jac == "2-point" and _knows_tensors(residuals, x, held)
    implicit = _needed("least_squares", known, args)
    if known:
        found = theirs.least_squares(lambda x: computed("least_squares", residuals(x, *held)), x,
                                     lambda x: jacobian(residuals)(x, *held), *more, **options)
    else:
        found = theirs.least_squares(fun, x, jac, *more, args=held, kwargs=kwargs, **options)
    if implicit or holds_tensor(args):
        if implicit and np.any(found.active_mask):
            raise GradientError("least_squares: no derivative by args where a bound is active; .detach() the argument")
        half = grad(lambda x, *args: functions.sum(functions.square(residuals(x, *args))) * 0.5)
        found.x = root_at("least_squares", half, found.x, args)
    return found


def _bracketing(name: str) -> Any:
    search = getattr(theirs, name)

    def found(f: Function, a: Any, b: Any, args: Any = (), *more: Any, **options: Any) -> Any:
        args = args if isinstance(args, tuple) else (args,)
        held = values(args)
        given = [float(constant(name, end)) for end in (a, b)]
        x = search(lambda x: float(computed(name, f(x, *held))), *given, (), *more, **options)
        if not holds_tensor(args):
            return x
        report = isinstance(x, tuple)
        z = root_at(name, f, np.asarray(x[0] if report else x, float), args)
        return (z, *x[1:]) if report else z

    found.__name__ = found.__qualname__ = name
    found.__doc__ = f"""The x between a and b with f(x, *args) = 0: a tensor where args requires a gradient.

    Derivative of x by args: -df/darg / (df/dx), if f gives a tensor for a tensor.

    >>> tg.scipy.optimize.{name}(lambda x, a: x * x - a, 0.0, 4.0, 4.0, xtol=1e-12)
    2.0
    >>> tg.grad(lambda a: tg.scipy.optimize.{name}(lambda x, a: x * x - a, 0.0, 4.0, a, xtol=1e-12))(4.0)
    array(0.25)
    """
    return wrapping(getattr(theirs, name))(found)


bisect, brenth, brentq, ridder = [_bracketing(name) for name in ("bisect", "brenth", "brentq", "ridder")]

__all__ = list(theirs.__all__)
_names = Names(globals(), theirs, "scipy.optimize", lambda name: None)
__dir__, __getattr__ = _names.dir, _names.get
