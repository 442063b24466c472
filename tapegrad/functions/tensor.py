"""The class Tensor: what `x * y`, `x.sum()`, `np.sin(x)` and `loss.backward()` are.

The array and its register are in core/tensor.py. An operator is the recorder of its row (core/record.py); a method is the
function of the same name, with the same arguments after the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from tapegrad import functions
from tapegrad.core import sweep
from tapegrad.core.record import recorded, results_are
from tapegrad.core.tensor import TensorBase
from tapegrad.functions import numpy_protocol
from tapegrad.typing import Axis, DTypeLike, Shape, TensorLike

Operator = Callable[..., "Tensor"]


@results_are
class Tensor(TensorBase):
    __doc__ = TensorBase.__doc__
    __slots__ = ()
    __array_priority__ = 1000
    __hash__ = TensorBase.__hash__

    # Operators

    __add__: ClassVar[Operator] = recorded.add
    __sub__: ClassVar[Operator] = recorded.subtract
    __mul__: ClassVar[Operator] = recorded.multiply
    __truediv__: ClassVar[Operator] = recorded.divide
    __pow__: ClassVar[Operator] = recorded.power
    __matmul__: ClassVar[Operator] = recorded.matmul
    __floordiv__: ClassVar[Operator] = recorded.floor_divide
    __mod__: ClassVar[Operator] = recorded.remainder
    __neg__: ClassVar[Operator] = recorded.negative
    __abs__: ClassVar[Operator] = recorded.absolute
    __eq__: ClassVar[Operator] = recorded.equal         # type: ignore[assignment]
    __ne__: ClassVar[Operator] = recorded.not_equal     # type: ignore[assignment]
    __lt__: ClassVar[Operator] = recorded.less
    __le__: ClassVar[Operator] = recorded.less_equal
    __gt__: ClassVar[Operator] = recorded.greater
    __ge__: ClassVar[Operator] = recorded.greater_equal

    def __radd__(self, other: TensorLike) -> Tensor:
        return recorded.add(other, self)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return recorded.subtract(other, self)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return recorded.multiply(other, self)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return recorded.divide(other, self)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return recorded.power(other, self)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return recorded.matmul(other, self)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return recorded.floor_divide(other, self)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return recorded.remainder(other, self)

    def __divmod__(self, other: TensorLike) -> tuple[Tensor, Tensor]:
        return functions.divmod(self, other)

    def __rdivmod__(self, other: TensorLike) -> tuple[Tensor, Tensor]:
        return functions.divmod(other, self)

    def __and__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_and(self, other)

    def __rand__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_and(other, self)

    def __or__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_or(self, other)

    def __ror__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_or(other, self)

    def __xor__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_xor(self, other)

    def __rxor__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_xor(other, self)

    def __lshift__(self, other: TensorLike) -> Tensor:
        return functions.left_shift(self, other)

    def __rlshift__(self, other: TensorLike) -> Tensor:
        return functions.left_shift(other, self)

    def __rshift__(self, other: TensorLike) -> Tensor:
        return functions.right_shift(self, other)

    def __rrshift__(self, other: TensorLike) -> Tensor:
        return functions.right_shift(other, self)

    def __invert__(self) -> Tensor:
        return functions.invert(self)

    def __pos__(self) -> Tensor:
        return self

    def __round__(self, ndigits: int = 0) -> Tensor:
        return functions.round(self, ndigits)

    def __getitem__(self, index: Any) -> Tensor:
        return functions.getitem(self, index)

    def __setitem__(self, index: Any, value: TensorLike) -> None:
        functions.setitem(self, index, value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # NumPy's functions of a tensor

    __array_ufunc__ = numpy_protocol.array_ufunc
    __array_function__ = numpy_protocol.array_function

    # The reverse sweep

    def backward(self, gradient: TensorLike | None = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        sweep.backward(self, gradient, retain_graph=retain_graph, create_graph=create_graph)

    backward.__doc__ = sweep.backward.__doc__

    # Parts and shapes

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order."""
        return functions.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two axes exchanged."""
        return functions.matrix_transpose(self)

    @property
    def real(self) -> Tensor:
        """The real part."""
        return functions.real(self)

    @property
    def imag(self) -> Tensor:
        """The imaginary part."""
        return functions.imag(self)

    def reshape(self, *shape: Shape, **options: Any) -> Tensor:
        return functions.reshape(self, *shape, **options)

    def transpose(self, *axes: Axis) -> Tensor:
        return functions.transpose(self, *axes)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return functions.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Axis = None) -> Tensor:
        return functions.squeeze(self, axis)

    def ravel(self, order: str = "C") -> Tensor:
        return functions.ravel(self, order)

    def flatten(self, order: str = "C") -> Tensor:
        return functions.flatten(self, order)

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        return functions.repeat(self, repeats, axis)

    def take(self, indices: TensorLike, axis: int | None = None, mode: str = "raise") -> Tensor:
        return functions.take(self, indices, axis, mode)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return functions.diagonal(self, offset, axis1, axis2)

    def choose(self, choices: Any, mode: str = "raise") -> Tensor:
        return functions.choose(self, choices, mode)

    def nonzero(self) -> tuple[Tensor, ...]:
        return functions.nonzero(self)

    def astype(self, dtype: DTypeLike) -> Tensor:
        return functions.astype(self, dtype)

    # Reductions

    def sum(self, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.sum(self, axis, keepdims, **options)

    def prod(self, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.prod(self, axis, keepdims, **options)

    def mean(self, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.mean(self, axis, keepdims, **options)

    def max(self, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.max(self, axis, keepdims, **options)

    def min(self, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.min(self, axis, keepdims, **options)

    def ptp(self, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.ptp(self, axis, keepdims, **options)

    def var(self, axis: Axis = None, **options: Any) -> Tensor:
        return functions.var(self, axis, **options)

    def std(self, axis: Axis = None, **options: Any) -> Tensor:
        return functions.std(self, axis, **options)

    def median(self, axis: Axis = None, **options: Any) -> Tensor:
        return functions.median(self, axis, **options)

    def quantile(self, q: TensorLike, axis: Axis = None, **options: Any) -> Tensor:
        return functions.quantile(self, q, axis, **options)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return functions.trace(self, offset, axis1, axis2)

    def argmax(self, axis: int | None = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.argmax(self, axis, keepdims, **options)

    def argmin(self, axis: int | None = None, keepdims: bool = False, **options: Any) -> Tensor:
        return functions.argmin(self, axis, keepdims, **options)

    def all(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.all(self, *arguments, **options)

    def any(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.any(self, *arguments, **options)

    def argsort(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.argsort(self, *arguments, **options)

    def argpartition(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.argpartition(self, *arguments, **options)

    def searchsorted(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.searchsorted(self, *arguments, **options)

    def cumsum(self, axis: int | None = None, dtype: DTypeLike = None, out: None = None) -> Tensor:
        return functions.cumsum(self, axis, dtype, out)

    def cumprod(self, axis: int | None = None, dtype: DTypeLike = None, out: None = None) -> Tensor:
        return functions.cumprod(self, axis, dtype, out)

    def dot(self, other: TensorLike) -> Tensor:
        return functions.dot(self, other)

    # Functions of each element, and of rows

    def exp(self) -> Tensor:
        return functions.exp(self)

    def log(self) -> Tensor:
        return functions.log(self)

    def sqrt(self) -> Tensor:
        return functions.sqrt(self)

    def square(self) -> Tensor:
        return functions.square(self)

    def abs(self) -> Tensor:
        return functions.absolute(self)

    def sin(self) -> Tensor:
        return functions.sin(self)

    def cos(self) -> Tensor:
        return functions.cos(self)

    def tanh(self) -> Tensor:
        return functions.tanh(self)

    def sigmoid(self) -> Tensor:
        return functions.sigmoid(self)

    def relu(self) -> Tensor:
        return functions.relu(self)

    def softmax(self, axis: int = -1) -> Tensor:
        return functions.softmax(self, axis)

    def log_softmax(self, axis: int = -1) -> Tensor:
        return functions.log_softmax(self, axis)

    def logsumexp(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.logsumexp(self, *arguments, **options)

    def conj(self) -> Tensor:
        return functions.conj(self)

    def conjugate(self) -> Tensor:
        return functions.conjugate(self)

    def clip(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.clip(self, *arguments, **options)

    def round(self, *arguments: Any, **options: Any) -> Tensor:
        return functions.round(self, *arguments, **options)


def from_dlpack(x: Any) -> Tensor:
    """A Tensor with a copy of the data of anything that has `__dlpack__`: an array or tensor of another library.

    >>> import numpy as np, tapegrad as tg
    >>> tg.from_dlpack(np.array([1.0, 2.0]))
    tensor([1., 2.])
    """
    return Tensor(np.from_dlpack(x))


def tensor(data: TensorLike, dtype: DTypeLike = None, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A Tensor that holds a copy of `data`. See Tensor for the arguments.

    >>> import tapegrad as tg
    >>> tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    tensor([1., 2.], name='x', requires_grad=True)
    """
    return Tensor(data, dtype, requires_grad, name)
