"""Reading and writing parts of a tensor with any of NumPy's indices."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.core.tape import thread
from tapegrad.errors import DtypeError, describe
from tapegrad.functions.arguments import like, static, value
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike

_getitem: Callable[..., Tensor] = recorded.getitem


def getitem(x: TensorLike, index: Any) -> Tensor:
    """`x[index]` with any of NumPy's indices. Derivative: d added into the indexed places; twice where indexed twice.

    DtypeError for an index that is neither of integers nor of booleans.

    >>> tg.getitem(tg.tensor([1.0, 2.0, 3.0]), slice(1, None))
    tensor([2., 3.])
    >>> tg.grad(lambda x: x[[0, 0, 2]].sum())(np.array([1.0, 2.0, 3.0]))
    array([2., 0., 1.])
    """
    return _getitem(x, _plain(index))


_BOUNDS = int, type(None)


def _plain(index: Any) -> Any:
    """An index without tensors or lists, and without arrays that the caller could change under the tape."""
    if type(index) is int:
        return index
    if isinstance(index, slice):
        if type(index.start) in _BOUNDS and type(index.stop) in _BOUNDS and type(index.step) in _BOUNDS:
            return index                                # most are, and the rest takes five times as long
        return slice(*[None if i is None else operator.index(i) for i in (index.start, index.stop, index.step)])
    if isinstance(index, tuple):
        return tuple([_plain(i) for i in index])
    if isinstance(index, (Tensor, np.ndarray, list)):
        array = static(index) if like(index).dtype.kind != "b" else np.array(value(index))     # of which shapes depend
        if array.size == 0 and isinstance(index, list):
            array = array.astype(np.intp)
        if array.dtype.kind not in "biu":
            raise DtypeError(f"getitem: an index of {array.dtype}; integers or booleans are needed")
        return array
    return index


def setitem(x: Tensor, index: Any, y: TensorLike) -> None:
    """`x[index] = y`, recorded: x becomes the result of an entry that has y at the index and x elsewhere.

    What was computed from x before keeps its value and its derivative, views included. Derivative: to y, d at the index;
    to x, d elsewhere. GradientError for a leaf that requires a gradient, whose gradient would be of a value that is gone;
    DtypeError for a y that requires one and is truncated to the dtype of x.

    Under no_grad an x that requires a gradient is written to like x.data: the value changes, and what x is to the tape stays.

    >>> x = tg.tensor([1.0, 2.0, 3.0])
    >>> y = tg.tensor(5.0, requires_grad=True)
    >>> x[1] = y * 2
    >>> (x * [1.0, 10.0, 100.0]).sum().backward()
    >>> x.data, y.grad
    (array([ 1., 10.,  3.]), array(20.))
    """
    x._refuse_write("setitem")
    if isinstance(y, Tensor) and y.requires_grad and thread.tape.recording and not np.can_cast(y.dtype, x.dtype, "same_kind"):
        raise DtypeError(f"setitem: {describe(y)}, which requires a gradient, into a tensor of {x.dtype}, where it would be "
                         f"lost; make that x.astype({str(y.dtype)!r})")
    x._write(recorded.setitem(x, y, _plain(index)))
