"""autograd's operators on functions, under its names and with its arguments: arrays in, arrays out."""

from __future__ import annotations

import warnings
from inspect import getfullargspec, signature
from typing import Any

import numpy as np

from tapegrad import numpy as anp
from tapegrad.compat.autograd.core import Output, floats
from tapegrad.compat.autograd.core import make_jvp as _make_jvp
from tapegrad.compat.autograd.core import make_vjp as _make_vjp
from tapegrad.compat.autograd.tracer import Function, conjugated, plain
from tapegrad.compat.autograd.vspaces import vspace
from tapegrad.compat.autograd.wrap_util import unary_to_nary
from tapegrad.errors import VmapError
from tapegrad.functions.tensor import Tensor
from tapegrad.transforms import checkpointing, functional
from tapegrad.tree import leaves, rebuild

__all__ = ["checkpoint", "deriv", "elementwise_grad", "grad", "grad_and_aux", "grad_named", "hessian",
           "hessian_tensor_product", "hessian_vector_product", "holomorphic_grad", "jacobian", "make_ggnvp", "make_hvp",
           "make_jvp", "make_jvp_reversemode", "make_vjp", "multigrad_dict", "tensor_jacobian_product", "value_and_grad",
           "vector_jacobian_product"]

make_vjp = unary_to_nary(_make_vjp)
make_jvp = unary_to_nary(_make_jvp)


def _evaluated(name: str, fun: Function, x: Any, scalar: bool = True, valued: bool = False) -> tuple[Any, Any]:
    """(fun(x) where it is asked for, its gradient or that of its sum); TypeError for values that have none."""
    output = Output(fun, name, scalar)
    value, gradient = functional.evaluated(name, output, (floats(x),), {}, 0, scalar, valued)
    return plain(value if output.traced else output.value) if valued else None, plain(conjugated(gradient))


@unary_to_nary
def value_and_grad(fun: Function, x: Any) -> tuple[Any, Any]:
    """The function that returns both the value of fun and its gradient.

    >>> value_and_grad(lambda x: x ** 2)(3.0)
    (np.float64(9.0), np.float64(6.0))
    """
    return _evaluated("value_and_grad", fun, x, valued=True)


@unary_to_nary
def grad(fun: Function, x: Any) -> Any:
    """
    Returns a function which gives the gradient of fun, which returns a single real number, by the argument number argnum: a
    position, or a list of them. It takes the arguments of fun. The gradient is an array, a number or a structure of them, as
    the argument is. TypeError where fun returns anything else than a real number.

    >>> grad(lambda x, y: x * y, argnum=1)(2.0, 3.0)
    np.float64(2.0)
    """
    return _evaluated("grad", fun, x)[1]


@unary_to_nary
def elementwise_grad(fun: Function, x: Any) -> Any:
    """The gradient of the sum of fun's value: for a function that works element by element, its derivative at each element.

    >>> elementwise_grad(lambda x: x ** 3)(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    return _evaluated("elementwise_grad", fun, x, scalar=False)[1]


@unary_to_nary
def deriv(fun: Function, x: Any) -> Any:
    """The derivative of fun in the direction of ones.

    >>> deriv(lambda x: x ** 3)(2.0)
    np.float64(12.0)
    """
    return _make_jvp(fun, x)(vspace(x).ones())[1]


@unary_to_nary
def jacobian(fun: Function, x: Any) -> Any:
    """The derivative of fun, an array of shape m, by an array x of shape n: an array of shape m + n.

    >>> jacobian(lambda x: x * x[0])(np.array([2.0, 3.0]))
    array([[4., 0.],
           [3., 2.]])
    """
    output = Output(fun)
    try:
        J = functional.jacobian(output)(floats(x))
    except VmapError:                                   # a user's vjp looks at elements: all rows at once can't be had
        return _row_by_row(fun, x)
    if not output.traced:
        return np.zeros(np.shape(plain(output.value)) + np.shape(x))
    return plain(conjugated(J))


def _row_by_row(fun: Function, x: Any) -> Any:
    """The Jacobian, a sweep per element of the value."""
    vjp, value = _make_vjp(fun, x)
    rows = [vjp(e) for e in vspace(value).standard_basis()]
    return anp.reshape(anp.stack(rows), anp.shape(value) + anp.shape(x))


@unary_to_nary
def holomorphic_grad(fun: Function, x: Any) -> Any:
    """The complex derivative of a function of a complex number that has one.

    >>> holomorphic_grad(lambda z: z ** 2)(1 + 2j)
    np.complex128(2+4j)
    """
    if not vspace(x).iscomplex:
        warnings.warn("Input to holomorphic_grad is not complex", stacklevel=2)
    return grad(lambda x: anp.real(fun(x)))(x)


def grad_named(fun: Function, argname: str) -> Function:
    """The gradient by the argument of a name.

    >>> grad_named(lambda x, y: x * y, "y")(2.0, 3.0)
    np.float64(2.0)
    """
    named: Function = grad(fun, getfullargspec(fun).args.index(argname))
    return named


@unary_to_nary
def hessian(fun: Function, x: Any) -> Any:
    """The second derivatives of fun: for a value of shape m and x of shape n an array of shape m + n + n.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(jacobian(fun))(x)


@unary_to_nary
def make_hvp(fun: Function, x: Any) -> tuple[Function, Any]:
    """(hvp, the gradient at x), where hvp(v) is the Hessian of fun at x times v.

    >>> hvp, gradient = make_hvp(lambda x: x ** 3)(2.0)
    >>> hvp(1.0)
    np.float64(12.0)
    """
    return _make_vjp(grad(fun), x)


def hessian_tensor_product(fun: Function, argnum: int = 0) -> Function:
    """The function of (*args, v) that gives the Hessian of fun times v, without the Hessian.

    >>> hessian_tensor_product(lambda x: anp.sum(x ** 3))(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """
    fun_grad = grad(fun, argnum)

    def directional(*args: Any, **kwargs: Any) -> Any:
        *args, v = args                                 # type: ignore[assignment]
        return anp.tensordot(fun_grad(*args, **kwargs), v, np.ndim(v))

    product: Function = grad(directional, argnum)
    return product


def tensor_jacobian_product(fun: Function, argnum: int = 0) -> Function:
    """The function of (*args, v) that gives v times the Jacobian of fun, over all axes of v.

    >>> tensor_jacobian_product(lambda x: x ** 2)(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([ 2., 40.])
    """
    def product(*args: Any, **kwargs: Any) -> Any:
        *args, v = args                                 # type: ignore[assignment]
        return anp.tensordot(v, fun(*args, **kwargs), np.ndim(v))

    found: Function = jacobian(product, argnum)
    return found


hessian_vector_product = hessian_tensor_product
vector_jacobian_product = tensor_jacobian_product


@unary_to_nary
def make_jvp_reversemode(fun: Function, x: Any) -> Function:
    """The function v -> the derivative of fun at x in the direction v: tapegrad's jvp is that of the reverse sweep anyway.

    >>> make_jvp_reversemode(lambda x: x ** 3)(2.0)(1.0)
    np.float64(12.0)
    """
    jvp = _make_jvp(fun, x)
    return lambda v: jvp(v)[1]


def _half_square(x: Any) -> Any:
    return anp.sum(x ** 2, axis=-1) / 2.0


def make_ggnvp(f: Function, g: Function = _half_square, f_argnum: int = 0) -> Function:
    """The function of x that gives v -> J^T H J v, the generalised Gauss-Newton matrix of g(f(x)) times v: J is the Jacobian of
    f at x, H the Hessian of g at f(x).

    >>> make_ggnvp(lambda x: 3 * x)(np.array([1.0]))(np.array([1.0]))
    array([9.])
    """
    @unary_to_nary
    def of_argument(f: Function, x: Any) -> Function:
        vjp, value = _make_vjp(f, x)
        hvp, jvp = _make_vjp(grad(g), value)[0], _make_jvp(f, x)
        return lambda v: vjp(hvp(jvp(v)[1]))

    return of_argument(f, f_argnum)                     # type: ignore[no-any-return]


@unary_to_nary
def grad_and_aux(fun: Function, x: Any) -> tuple[Any, Any]:
    """The function that returns the gradient of the first of fun's two results, and the second as it is.

    >>> grad_and_aux(lambda x: (x ** 2, "aux"))(3.0)
    (np.float64(6.0), 'aux')
    """
    found: list[Any] = []

    def split(x: Any) -> tuple[Any, list[Any]]:
        z, aux = fun(x)
        found.append(aux)
        return z, [leaf for leaf in leaves(aux) if isinstance(leaf, Tensor)]

    vjp, (value, tensors) = _make_vjp(split, x)
    if vspace(value).size != 1:
        raise TypeError(f"grad_and_aux takes functions whose first result is a single real number, and this one is {value!r}")
    gradient = vjp((vspace(value).ones(), [vspace(z).zeros() for z in tensors]))
    values = iter(tensors)
    return gradient, rebuild(found[0], iter([next(values) if isinstance(leaf, Tensor) else leaf for leaf in leaves(found[0])]))


def multigrad_dict(fun: Function) -> Function:
    """The function that gives the gradients by all arguments, {name: gradient}.

    >>> multigrad_dict(lambda x, y: x * y)(2.0, y=3.0)
    {'x': np.float64(3.0), 'y': np.float64(2.0)}
    """
    parameters = signature(fun)

    def gradients(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = parameters.bind(*args, **kwargs)
        bound.apply_defaults()

        def of_dict(arguments: dict[str, Any]) -> Any:
            bound.arguments = arguments
            return fun(*bound.args, **bound.kwargs)

        found: dict[str, Any] = grad(of_dict)(dict(bound.arguments))
        return found

    return gradients


def checkpoint(fun: Function) -> Function:
    """fun, which is run again for the gradient instead of being kept on the tape.

    >>> grad(checkpoint(lambda x: x ** 2))(3.0)
    np.float64(6.0)
    """
    return checkpointing.checkpoint(fun)
