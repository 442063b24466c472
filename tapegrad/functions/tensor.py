"""The class Tensor: what `x * y`, `x.sum()`, `np.sin(x)` and `loss.backward()` are.

The array and its register are in core/tensor.py. An operator is the recorder of its row (core/record.py); a method is the
function of the same name, with the same arguments after the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Never

import numpy as np

from tapegrad import functions
from tapegrad.core import sweep
from tapegrad.core.record import recorded, results_are
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.keywords import unknown_keyword
from tapegrad.functions.numpy_protocol import array_function, array_ufunc
from tapegrad.functions.sparse import operand as sparse_operand

if TYPE_CHECKING:
    from tapegrad.typing import Axis, DTypeLike, TensorLike

Operator = Callable[..., "Tensor"]


def _in_place(name: str, op: Operator) -> Operator:
    """The operator `x op= y`: what `x[...] = x op y` does, as the one entry of op. See tg.setitem.

    ShapeError or DtypeError where the result does not have the shape of x, or a dtype of its kind.
    """
    def operator(x: Tensor, y: TensorLike) -> Tensor:
        what = f"x {name} y"
        x._refuse_write(what)
        z = op(x, y)
        if z.shape != x.shape:
            raise ShapeError(f"{what}: the result has shape {z.shape}, x is {describe(x)}; write x = x {name[:-1]} y")
        if z.dtype != x.dtype:
            if not np.can_cast(z.dtype, x.dtype, "same_kind"):
                raise DtypeError(f"{what}: the result has dtype {z.dtype}, x is {describe(x)}; write x = x {name[:-1]} y")
            z = recorded.astype(z, x.dtype)
        x._write(z)
        return x

    operator.__doc__ = f"x[...] = x {name[:-1]} y, as one entry. See tg.setitem."
    return operator


@results_are
class Tensor(TensorBase):
    __doc__ = f"""{TensorBase.__doc__}
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4.])
    """
    __slots__ = ()
    __array_priority__ = 1000
    __hash__ = TensorBase.__hash__
    _foreign = staticmethod(sparse_operand)

    # Operators

    def __eq__(self, other: Any) -> Any:
        try:
            return recorded.equal(self, other)
        except DtypeError:                              # None, a string: Python says whether they are the same object
            return NotImplemented

    def __ne__(self, other: Any) -> Any:
        try:
            return recorded.not_equal(self, other)
        except DtypeError:
            return NotImplemented

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
    __lt__: ClassVar[Operator] = recorded.less
    __le__: ClassVar[Operator] = recorded.less_equal
    __gt__: ClassVar[Operator] = recorded.greater
    __ge__: ClassVar[Operator] = recorded.greater_equal

    __iadd__: ClassVar[Operator] = _in_place("+=", recorded.add)
    __isub__: ClassVar[Operator] = _in_place("-=", recorded.subtract)
    __imul__: ClassVar[Operator] = _in_place("*=", recorded.multiply)
    __itruediv__: ClassVar[Operator] = _in_place("/=", recorded.divide)
    __ipow__: ClassVar[Operator] = _in_place("**=", recorded.power)
    __imatmul__: ClassVar[Operator] = _in_place("@=", recorded.matmul)
    __ifloordiv__: ClassVar[Operator] = _in_place("//=", recorded.floor_divide)
    __imod__: ClassVar[Operator] = _in_place("%=", recorded.remainder)
    __iand__: ClassVar[Operator] = _in_place("&=", lambda x, y: functions.bitwise_and(x, y))
    __ior__: ClassVar[Operator] = _in_place("|=", lambda x, y: functions.bitwise_or(x, y))
    __ixor__: ClassVar[Operator] = _in_place("^=", lambda x, y: functions.bitwise_xor(x, y))
    __ilshift__: ClassVar[Operator] = _in_place("<<=", lambda x, y: functions.left_shift(x, y))
    __irshift__: ClassVar[Operator] = _in_place(">>=", lambda x, y: functions.right_shift(x, y))

    def __radd__(self, other: TensorLike) -> Tensor:
        return functions.add(other, self)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return functions.subtract(other, self)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return functions.multiply(other, self)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return functions.divide(other, self)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return functions.power(other, self)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return functions.matmul(other, self)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return functions.floor_divide(other, self)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return functions.remainder(other, self)

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

    def __copy__(self) -> Tensor:
        """A shallow copy, as by copy.copy: of a result one more result, through which its gradient flows."""
        if not self.is_leaf:
            return +self
        make, arguments = self.__reduce__()
        return make(*arguments)                         # type: ignore[no-any-return]

    def __pos__(self) -> Tensor:
        return functions.positive(self)

    def __round__(self, ndigits: int = 0) -> Tensor:
        self._number("round(x)")
        return functions.round(self, ndigits)

    def __getitem__(self, index: Any) -> Tensor:
        return functions.getitem(self, index)

    def __setitem__(self, index: Any, value: TensorLike) -> None:
        functions.setitem(self, index, value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # NumPy's functions of a tensor

    __array_ufunc__ = array_ufunc
    __array_function__ = array_function

    # The reverse sweep

    def backward(self, gradient: TensorLike | None = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        sweep.backward(self, gradient, retain_graph=retain_graph, create_graph=create_graph)

    backward.__doc__ = f"""{sweep.backward.__doc__}
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (3 * x).sum().backward()
    >>> x.grad
    array([3., 3.])
    """

    # Parts and shapes

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).T
        tensor([[1., 3.],
                [2., 4.]])
        """
        return functions.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two axes exchanged.

        >>> tg.zeros((2, 3, 4)).mT.shape
        (2, 4, 3)
        """
        return functions.matrix_transpose(self)

    @property
    def real(self) -> Tensor:
        """The real part. See tg.real.

        >>> tg.tensor([1 + 2j]).real
        tensor([1.])
        """
        return functions.real(self)

    @property
    def imag(self) -> Tensor:
        """The imaginary part. See tg.imag.

        >>> tg.tensor([1 + 2j]).imag
        tensor([2.])
        """
        return functions.imag(self)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Tensor:
        """The same elements in another shape: `x.reshape(2, 3)` or `x.reshape((2, 3))`. See tg.reshape.

        >>> tg.tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1)
        tensor([[1., 2.],
                [3., 4.]])
        """
        return functions.reshape(self, shape[0] if len(shape) == 1 else shape, order, copy=copy)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in reverse order, or in the order given: `x.transpose(1, 0)` or `x.transpose((1, 0))`. See tg.transpose.

        >>> tg.zeros((2, 3, 4)).transpose(1, 0, 2).shape
        (3, 2, 4)
        """
        return functions.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged. See tg.swapaxes.

        >>> tg.zeros((2, 3, 4)).swapaxes(0, 2).shape
        (4, 3, 2)
        """
        return functions.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Axis = None, **unknown: Never) -> Tensor:
        """Without the axes of length 1. See tg.squeeze.

        >>> tg.zeros((1, 3, 1)).squeeze().shape
        (3,)
        """
        if unknown:
            raise unknown_keyword(Tensor.squeeze, unknown)
        return functions.squeeze(self, axis)

    def ravel(self, order: str = "C") -> Tensor:
        """All elements along one axis. See tg.ravel.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).ravel()
        tensor([1., 2., 3., 4.])
        """
        return functions.ravel(self, order)

    def flatten(self, order: str = "C") -> Tensor:
        """All elements along one axis. See tg.flatten.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).flatten()
        tensor([1., 2., 3., 4.])
        """
        return functions.flatten(self, order)

    def repeat(self, repeats: Any, axis: int | None = None, **unknown: Never) -> Tensor:
        """Each element `repeats` times. See tg.repeat.

        >>> tg.tensor([1.0, 2.0]).repeat(2)
        tensor([1., 1., 2., 2.])
        """
        if unknown:
            raise unknown_keyword(Tensor.repeat, unknown)
        return functions.repeat(self, repeats, axis)

    def take(self, indices: TensorLike, axis: int | None = None, out: None = None,
             mode: str = "raise", **unknown: Never) -> Tensor:
        """The elements at the positions `indices`. See tg.take.

        >>> tg.tensor([1.0, 2.0, 3.0]).take([2, 0])
        tensor([3., 1.])
        """
        if unknown:
            raise unknown_keyword(Tensor.take, unknown)
        return functions.take(self, indices, axis, out, mode)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The elements on a diagonal. See tg.diagonal.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).diagonal()
        tensor([1., 4.])
        """
        return functions.diagonal(self, offset, axis1, axis2)

    def choose(self, choices: Any, out: None = None, mode: str = "raise") -> Tensor:
        """The elements of `choices` that this tensor of integers names. See tg.choose.

        >>> tg.tensor([0, 1]).choose([[1.0, 2.0], [3.0, 4.0]])
        tensor([1., 4.])
        """
        return functions.choose(self, choices, out, mode)

    def nonzero(self) -> tuple[Tensor, ...]:
        """The indices of the elements that are not 0. See tg.nonzero.

        >>> tg.tensor([0.0, 2.0, 3.0]).nonzero()
        (tensor([1, 2], dtype=int64),)
        """
        return functions.nonzero(self)

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The elements converted to another dtype. See tg.astype.

        >>> tg.tensor([1.0, 2.0, 3.0]).astype("f4")
        tensor([1., 2., 3.], dtype=float32)
        """
        return functions.astype(self, dtype)

    # Reductions

    def sum(self, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False,
            initial: TensorLike | None = None, where: TensorLike = True, **unknown: Never) -> Tensor:
        """The sum over `axis`. See tg.sum.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0)
        tensor([4., 6.])
        """
        if unknown:
            raise unknown_keyword(Tensor.sum, unknown)
        return functions.sum(self, axis, dtype, out, keepdims, initial, where)

    def prod(self, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False,
             initial: TensorLike | None = None, where: TensorLike = True, **unknown: Never) -> Tensor:
        """The product over `axis`. See tg.prod.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).prod(axis=0)
        tensor([3., 8.])
        """
        if unknown:
            raise unknown_keyword(Tensor.prod, unknown)
        return functions.prod(self, axis, dtype, out, keepdims, initial, where)

    def mean(self, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, keepdims: bool = False, *,
             where: TensorLike = True, **unknown: Never) -> Tensor:
        """The arithmetic mean over `axis`. See tg.mean.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(axis=0)
        tensor([2., 3.])
        """
        if unknown:
            raise unknown_keyword(Tensor.mean, unknown)
        return functions.mean(self, axis, dtype, out, keepdims, where=where)

    def max(self, axis: Axis = None, out: None = None, keepdims: bool = False, initial: TensorLike | None = None,
            where: TensorLike = True, **unknown: Never) -> Tensor:
        """The greatest element over `axis`. See tg.max.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).max(axis=0)
        tensor([3., 4.])
        """
        if unknown:
            raise unknown_keyword(Tensor.max, unknown)
        return functions.max(self, axis, out, keepdims, initial, where)

    def min(self, axis: Axis = None, out: None = None, keepdims: bool = False, initial: TensorLike | None = None,
            where: TensorLike = True, **unknown: Never) -> Tensor:
        """The least element over `axis`. See tg.min.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).min(axis=0)
        tensor([1., 2.])
        """
        if unknown:
            raise unknown_keyword(Tensor.min, unknown)
        return functions.min(self, axis, out, keepdims, initial, where)

    def ptp(self, axis: Axis = None, out: None = None, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The greatest element less the least, over `axis`. See tg.ptp.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).ptp()
        tensor(3.)
        """
        if unknown:
            raise unknown_keyword(Tensor.ptp, unknown)
        return functions.ptp(self, axis, out, keepdims)

    def var(self, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, ddof: float = 0,
            keepdims: bool = False, *, where: TensorLike = True, mean: TensorLike | None = None,
            correction: float | None = None, **unknown: Never) -> Tensor:
        """The variance over `axis`. See tg.var.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).var()
        tensor(1.25)
        """
        if unknown:
            raise unknown_keyword(Tensor.var, unknown)
        return functions.var(self, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)

    def std(self, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None, ddof: float = 0,
            keepdims: bool = False, *, where: TensorLike = True, mean: TensorLike | None = None,
            correction: float | None = None, **unknown: Never) -> Tensor:
        """The standard deviation over `axis`. See tg.std.

        >>> tg.tensor([1.0, 3.0]).std()
        tensor(1.)
        """
        if unknown:
            raise unknown_keyword(Tensor.std, unknown)
        return functions.std(self, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)

    def median(self, axis: Axis = None, out: None = None, overwrite_input: bool = False,
               keepdims: bool = False, **unknown: Never) -> Tensor:
        """The middle element over `axis`. See tg.median.

        >>> tg.tensor([1.0, 2.0, 3.0]).median()
        tensor(2.)
        """
        if unknown:
            raise unknown_keyword(Tensor.median, unknown)
        return functions.median(self, axis, out, overwrite_input, keepdims)

    def quantile(self, q: TensorLike, axis: Axis = None, out: None = None, overwrite_input: bool = False,
                 method: str = "linear", keepdims: bool = False, **unknown: Never) -> Tensor:
        """The q-quantile over `axis`. See tg.quantile.

        >>> tg.tensor([1.0, 2.0, 3.0]).quantile(0.25)
        tensor(1.5)
        """
        if unknown:
            raise unknown_keyword(Tensor.quantile, unknown)
        return functions.quantile(self, q, axis, out, overwrite_input, method, keepdims)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None,
              out: None = None) -> Tensor:
        """The sum of a diagonal. See tg.trace.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).trace()
        tensor(5.)
        """
        return functions.trace(self, offset, axis1, axis2, dtype, out)

    def argmax(self, axis: int | None = None, out: None = None, *, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The position of the greatest element: a constant. See tg.argmax.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).argmax(axis=1)
        tensor([1, 1], dtype=int64)
        """
        if unknown:
            raise unknown_keyword(Tensor.argmax, unknown)
        return functions.argmax(self, axis, out, keepdims=keepdims)

    def argmin(self, axis: int | None = None, out: None = None, *, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The position of the least element: a constant. See tg.argmin.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).argmin(axis=1)
        tensor([0, 0], dtype=int64)
        """
        if unknown:
            raise unknown_keyword(Tensor.argmin, unknown)
        return functions.argmin(self, axis, out, keepdims=keepdims)

    def all(self, axis: Axis = None, out: None = None, keepdims: bool = False, *,
            where: TensorLike = True, **unknown: Never) -> Tensor:
        """Whether all elements over an axis are true: a constant. See tg.all.

        >>> tg.tensor([True, False]).all()
        tensor(False, dtype=bool)
        """
        if unknown:
            raise unknown_keyword(Tensor.all, unknown)
        return functions.all(self, axis, out=out, keepdims=keepdims, where=where)

    def any(self, axis: Axis = None, out: None = None, keepdims: bool = False, *,
            where: TensorLike = True, **unknown: Never) -> Tensor:
        """Whether an element over an axis is true: a constant. See tg.any.

        >>> tg.tensor([True, False]).any()
        tensor(True, dtype=bool)
        """
        if unknown:
            raise unknown_keyword(Tensor.any, unknown)
        return functions.any(self, axis, out=out, keepdims=keepdims, where=where)

    def argsort(self, axis: int | None = -1, kind: str | None = None, order: None = None, *,
                stable: bool | None = None, **unknown: Never) -> Tensor:
        """The positions of the elements in ascending order: a constant. See tg.argsort.

        >>> tg.tensor([3.0, 1.0, 2.0]).argsort()
        tensor([1, 2, 0], dtype=int64)
        """
        if unknown:
            raise unknown_keyword(Tensor.argsort, unknown)
        return functions.argsort(self, axis, kind, order, stable=stable)

    def argpartition(self, kth: Any, axis: int | None = -1, kind: str = "introselect",
                     order: None = None, **unknown: Never) -> Tensor:
        """The positions of the elements as partition puts them: a constant. See tg.argpartition.

        >>> tg.tensor([3.0, 1.0, 2.0]).argpartition(1)
        tensor([1, 2, 0], dtype=int64)
        """
        if unknown:
            raise unknown_keyword(Tensor.argpartition, unknown)
        return functions.argpartition(self, kth, axis, kind, order)

    def searchsorted(self, v: TensorLike, side: str = "left", sorter: TensorLike | None = None) -> Tensor:
        """Where elements would be inserted into this sorted vector: a constant. See tg.searchsorted.

        >>> tg.tensor([1.0, 2.0, 3.0]).searchsorted(2.5)
        tensor(2, dtype=int64)
        """
        return functions.searchsorted(self, v, side, sorter)

    def cumsum(self, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None, **unknown: Never) -> Tensor:
        """The running sum along `axis`. See tg.cumsum.

        >>> tg.tensor([1.0, 2.0, 3.0]).cumsum()
        tensor([1., 3., 6.])
        """
        if unknown:
            raise unknown_keyword(Tensor.cumsum, unknown)
        return functions.cumsum(self, axis, dtype, out)

    def cumprod(self, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None, **unknown: Never) -> Tensor:
        """The running product along `axis`. See tg.cumprod.

        >>> tg.tensor([1.0, 2.0, 3.0]).cumprod()
        tensor([1., 2., 6.])
        """
        if unknown:
            raise unknown_keyword(Tensor.cumprod, unknown)
        return functions.cumprod(self, axis, dtype, out)

    def dot(self, other: TensorLike, out: None = None) -> Tensor:
        """The product with a vector, a matrix or a scalar. See tg.dot.

        >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).dot([1.0, 1.0])
        tensor([3., 7.])
        """
        return functions.dot(self, other, out)

    # Functions of each element, and of rows

    def exp(self) -> Tensor:
        """e^x. See tg.exp.

        >>> tg.tensor([0.0, 1.0]).exp().round(4)
        tensor([1.    , 2.7183])
        """
        return functions.exp(self)

    def log(self) -> Tensor:
        """The natural logarithm. See tg.log.

        >>> tg.tensor([1.0, 2.0]).log().round(4)
        tensor([0.    , 0.6931])
        """
        return functions.log(self)

    def sqrt(self) -> Tensor:
        """The square root. See tg.sqrt.

        >>> tg.tensor([1.0, 4.0]).sqrt()
        tensor([1., 2.])
        """
        return functions.sqrt(self)

    def square(self) -> Tensor:
        """x^2. See tg.square.

        >>> tg.tensor([1.0, 2.0, 3.0]).square()
        tensor([1., 4., 9.])
        """
        return functions.square(self)

    def abs(self) -> Tensor:
        """The absolute value. See tg.abs.

        >>> tg.tensor([-1.0, 2.0]).abs()
        tensor([1., 2.])
        """
        return functions.absolute(self)

    def sin(self) -> Tensor:
        """The sine. See tg.sin.

        >>> tg.tensor([0.0, 1.0]).sin().round(4)
        tensor([0.    , 0.8415])
        """
        return functions.sin(self)

    def cos(self) -> Tensor:
        """The cosine. See tg.cos.

        >>> tg.tensor([0.0, 1.0]).cos().round(4)
        tensor([1.    , 0.5403])
        """
        return functions.cos(self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent. See tg.tanh.

        >>> tg.tensor([0.0, 1.0]).tanh().round(4)
        tensor([0.    , 0.7616])
        """
        return functions.tanh(self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + e^-x). See tg.sigmoid.

        >>> tg.tensor([0.0, 1.0]).sigmoid().round(4)
        tensor([0.5   , 0.7311])
        """
        return functions.sigmoid(self)

    def relu(self) -> Tensor:
        """max(x, 0). See tg.relu.

        >>> tg.tensor([-1.0, 2.0]).relu()
        tensor([0., 2.])
        """
        return functions.relu(self)

    def softmax(self, axis: int = -1, **unknown: Never) -> Tensor:
        """e^x / sum(e^x) along `axis`. See tg.softmax.

        >>> tg.tensor([0.0, 0.0]).softmax()
        tensor([0.5, 0.5])
        """
        if unknown:
            raise unknown_keyword(Tensor.softmax, unknown)
        return functions.softmax(self, axis)

    def log_softmax(self, axis: int = -1, **unknown: Never) -> Tensor:
        """The logarithm of softmax along `axis`. See tg.log_softmax.

        >>> tg.tensor([0.0, 0.0]).log_softmax().round(4)
        tensor([-0.6931, -0.6931])
        """
        if unknown:
            raise unknown_keyword(Tensor.log_softmax, unknown)
        return functions.log_softmax(self, axis)

    def logsumexp(self, axis: Axis = None, b: TensorLike | None = None, keepdims: bool = False, **unknown: Never) -> Tensor:
        """log(sum(e^x)). See tg.logsumexp.

        >>> tg.tensor([0.0, 0.0]).logsumexp().round(4)
        tensor(0.6931)
        """
        if unknown:
            raise unknown_keyword(Tensor.logsumexp, unknown)
        return functions.logsumexp(self, axis, b, keepdims)

    def conj(self) -> Tensor:
        """The complex conjugate. See tg.conj.

        >>> tg.tensor([1 + 2j]).conj()
        tensor([1.-2.j], dtype=complex128)
        """
        return functions.conj(self)

    def conjugate(self) -> Tensor:
        """The complex conjugate. See tg.conjugate.

        >>> tg.tensor([1 + 2j]).conjugate()
        tensor([1.-2.j], dtype=complex128)
        """
        return functions.conjugate(self)

    def clip(self, min: TensorLike | None = None, max: TensorLike | None = None, out: None = None) -> Tensor:
        """The elements, but none below or above the given bounds. See tg.clip.

        >>> tg.tensor([-1.0, 0.5, 2.0]).clip(0.0, 1.0)
        tensor([0. , 0.5, 1. ])
        """
        return functions.clip(self, min, max, out)

    def round(self, decimals: int = 0, out: None = None) -> Tensor:
        """Rounded to a number of decimals: a constant. See tg.round.

        >>> tg.tensor([1.26, 2.71828]).round(1)
        tensor([1.3, 2.7])
        """
        return functions.round(self, decimals, out=out)


def from_dlpack(x: Any, /) -> Tensor:
    """A Tensor with a copy of the data of anything that has `__dlpack__`: an array or tensor of another library.

    >>> tg.from_dlpack(np.array([1.0, 2.0]))
    tensor([1., 2.])
    """
    return Tensor(np.from_dlpack(x))


def tensor(data: TensorLike, dtype: DTypeLike | None = None, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A Tensor that holds a copy of `data`. See Tensor for the arguments.

    >>> tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    tensor([1., 2.], name='x', requires_grad=True)
    """
    return Tensor(data, dtype, requires_grad, name)
