"""Putting the arguments of NumPy's functions in order, and giving recorders their documentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from tapegrad.core.record import constant as constant_of
from tapegrad.core.record import holds_tensors, recorded, stacked, taken_over, wrap
from tapegrad.core.tape import listening, thread, tracer
from tapegrad.errors import DtypeError, GradientError, ShapeError, describe, refuse_masked
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive
from tapegrad.tree import leaves
from tapegrad.typing import Array, Axis, TensorLike


def documented(recorder: Any, what: str, at: str, value: str, derivative: str = "", slope: str = "") -> Any:
    """The recorder itself, with a docstring that is made of what it computes, an example, and the rule of its derivative.

    documented(recorded.exp, "e^x", "1.0", "2.71828183", "d z", "2.71828183") says that exp(1.0) is 2.71828183, and its
    derivative there, too. A function of two operands has two slopes; one without a rule has no derivative.
    """
    name, slopes = recorder.__name__, [f"array({number})" for number in slope.split()]
    rule = f"Derivative: {derivative}" if derivative else "Not differentiable: the result is a constant"
    asked, given = ("", slopes[0]) if len(slopes) == 1 else (", argnums=(0, 1)", f"({', '.join(slopes)})")
    recorder.__module__ = "tapegrad.functions"          # where pickle looks for it
    recorder.__doc__ = (f"{what}. {rule}.\n\n>>> tg.{name}({at})\ntensor({value})\n"
                        + (f">>> tg.grad(tg.{name}{asked})({at})\n{given}\n" if slopes else ""))
    return recorder


def value(x: Any) -> Array:
    """The array of a tensor, or x as an array, for reading: of a list, tensors among its elements, their values.

    Of a tensor that stands for an example under vmap it is a constant that does, of which NumPy's functions are those here.
    """
    if type(x) is Tensor:
        return x._value
    return x._to_look_at() if isinstance(x, Tensor) else _array_of(x, value)    # type: ignore[attr-defined]


def whole(x: Any) -> Any:
    """x itself; under vmap, what it is for all examples, to be looked at without telling which element is whose."""
    return x._whole() if isinstance(x, Tensor) else x


def all_true(condition: Any) -> bool:
    """Whether all elements of an array of booleans are true; under vmap, for all examples."""
    return bool(derived("all_true", np.all, whole(condition)))


def like(x: Any) -> Array:
    """What `value(x)` is, for its shape and dtype: what is done does not depend on the elements."""
    return x._array if isinstance(x, Tensor) else _array_of(x, like)


def _array_of(x: Any, part: Callable[[Any], Array]) -> Array:
    if type(x) is not np.ndarray:
        refuse_masked(x)
    return np.asarray([part(y) for y in x] if holds_tensors(x) else x)


def static(x: Any) -> Array:
    """A copy of the value of x, to become a static argument. A tracer knows which value it is.

    A tensor that stands for an example under vmap stays what it is: what it becomes depends on the example.
    """
    if holds_tensors(x):
        x = stacked(x)
    if isinstance(x, Tensor) and type(x) is not Tensor:
        return x                                        # type: ignore[return-value]
    array = np.array(like(x))
    if listening and isinstance(x, Tensor) and (listener := tracer()) is not None:
        listener.linked(array, x)
    return array


def derived(name: str, g: Callable[..., Any], *xs: Any) -> Any:
    """g(*values), of which there is no derivative. To a tracer it is an operation; then the result is a tensor."""
    if (batched := taken_over(xs)) is not None:
        return batched._operate(Primitive(name, lambda *arrays: np.asarray(g(*arrays)), (None,) * len(xs)), xs, ())
    listener = tracer() if listening else None
    if listener is None or any([not isinstance(x, (Tensor, np.ndarray)) for x in xs]):
        return g(*map(value, xs))
    try:
        z = wrap(np.asarray(g(*map(like, xs))), None)
    except Exception:
        listener.failed()
        raise
    row = Primitive(name, lambda *arrays: np.asarray(g(*arrays)), (None,) * len(xs))
    listener.operation(row, xs, list(map(like, xs)), (), z)
    return z


def constant(name: str, x: Any) -> Array:
    """The array of an argument that has no derivative; GradientError where one would be expected of it."""
    check_constant(name, x)
    return value(x)


def check_constant(name: str, x: Any) -> None:
    """GradientError where a derivative would be expected by an argument that has none."""
    if not thread.tape.recording:
        return
    for leaf in leaves(x):
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            raise GradientError(f"{name}: there is no derivative by the argument {describe(leaf)}, which requires one; "
                                ".detach() it")


def operand(x: TensorLike) -> Tensor | Array:
    """x itself if it is a tensor or an array; a number, or a list whose elements may be tensors, as a tensor."""
    return x if isinstance(x, (Tensor, np.ndarray)) else as_tensor(x)


def number(name: str, x: Any) -> float:
    """An argument that is a number without a derivative, as a float; GradientError where one would be expected of it."""
    return float(constant(name, x))


def as_tensor(x: Any, beside: Tensor | None = None) -> Tensor:
    """x itself if it is a tensor, else one with its value: a Python number in the dtype of the tensor `beside`."""
    if isinstance(x, Tensor):
        return x
    if type(x) is np.ndarray and x.dtype.kind in "biufc":
        return constant_of(x)
    if holds_tensors(x):
        return stacked(x)                               # type: ignore[no-any-return]
    return Tensor(x, beside.dtype if type(x) in (int, float) and beside is not None and beside.dtype.kind in "fc" else None)


def floats(x: TensorLike) -> Tensor:
    """x as a tensor of floats or complex numbers: of integers and booleans, which would wrap around, as float64."""
    return as_tensor(x) if like(x).dtype.kind in "fc" else recorded.astype(x, np.float64)


def conjugated(x: TensorLike) -> TensorLike:
    """The complex conjugate, and a real x itself, without an entry on the tape."""
    return recorded.conjugate(x) if like(x).dtype.kind == "c" else x


def real_only(name: str, x: Any) -> None:
    """An error where x is complex and requires a gradient, which the function would lose."""
    if isinstance(x, Tensor) and x.requires_grad and x.dtype.kind == "c":
        raise DtypeError(f"{name}: no derivative for {describe(x)}; apply it to tg.real(x) and tg.imag(x)")


def refuse_out(name: str, out: object) -> None:
    """TypeError for an out= that is given."""
    if out is not None:
        raise TypeError(f"{name}: out= would write into a tensor; assign the result")


def checked(name: str, out: object, keepdims: object = False) -> bool:
    """keepdims, which may be a number, as a bool; TypeError for an out=."""
    if out is not None:
        refuse_out(name, out)
    return keepdims if type(keepdims) is bool else bool(keepdims)


@overload
def normalized_axis(name: str, x: Any, axis: None) -> None: ...
@overload
def normalized_axis(name: str, x: Any, axis: int | Sequence[int]) -> tuple[int, ...]: ...
def normalized_axis(name: str, x: Any, axis: Axis) -> tuple[int, ...] | None:
    """None, or a tuple of axes counted from 0; an error that names the operation where there is no such axis.

    As in NumPy, a scalar has an axis 0 over which nothing is reduced.
    """
    if axis is None:
        return None
    ndim = like(x).ndim
    if type(axis) is int and -ndim <= axis < ndim:      # most are, and the rest takes four times as long
        return axis % ndim,
    if ndim == 0 and isinstance(axis, (int, np.integer)) and axis in (0, -1):
        return ()
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for i in axes:
        if not -ndim <= i < ndim:
            raise ShapeError(f"{name}: axis {i} of an operand with {ndim} axes: {describe(like(x))}")
    counted = tuple([int(i) % ndim for i in axes])
    if len(set(counted)) < len(counted):
        raise ShapeError(f"{name}: axis {tuple(axes)} names an axis twice: {describe(like(x))}")
    return counted


def single_axis(name: str, x: Any, axis: int) -> int:
    """An axis counted from 0."""
    axes = normalized_axis(name, x, int(axis))
    if not axes:
        raise ShapeError(f"{name}: axis {axis} of an operand with 0 axes: {describe(like(x))}")
    return axes[0]
