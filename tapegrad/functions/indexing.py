"""Reading and writing parts of a tensor with any of NumPy's indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, GradientError
from tapegrad.functions.arguments import value
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


def _plain(index: Any) -> Any:
    """An index without tensors or lists, and without arrays that the caller could change under the tape."""
    if type(index) in (int, slice):                     # most are, and the rest takes three times as long
        return index
    if isinstance(index, tuple):
        return tuple([_plain(i) for i in index])
    if isinstance(index, (Tensor, np.ndarray, list)):
        array = np.array(value(index))
        if array.size == 0 and isinstance(index, list):
            array = array.astype(np.intp)
        if array.dtype.kind not in "biu":
            raise DtypeError(f"getitem: an index of {array.dtype}; integers or booleans are needed")
        return array
    return index


def setitem(x: Tensor, index: Any, y: TensorLike) -> None:
    """`x[index] = y`, recorded: x becomes the result of an entry that has y at the index and x elsewhere.

    What was computed from x before keeps its value and its derivative, views included. Derivative: to y, d at the index;
    to x, d elsewhere. GradientError for a leaf that requires a gradient, whose gradient would be of a value that is gone.

    >>> x = tg.tensor([1.0, 2.0, 3.0])
    >>> y = tg.tensor(5.0, requires_grad=True)
    >>> x[1] = y * 2
    >>> (x * [1.0, 10.0, 100.0]).sum().backward()
    >>> x.data, y.grad
    (array([ 1., 10.,  3.]), array(20.))
    """
    if x.requires_grad and x.is_leaf:
        raise GradientError("setitem: this tensor is a leaf that requires a gradient; assign to a result of it, x * 1, or, "
                            "where nothing is to be recorded, to x.data")
    z = recorded.setitem(x, y, _plain(index))
    x._become(z)
