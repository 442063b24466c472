"""Reading and writing parts of a tensor with any of NumPy's indices."""

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, GradientError
from tapegrad.functions.arguments import value
from tapegrad.functions.tensor import Tensor


def getitem(x, index):
    """`x[index]` with any of NumPy's indices. Derivative: d added into the indexed places; twice where indexed twice."""
    return recorded.getitem(x, _plain(index))


def _plain(index):
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


def setitem(x, index, y):
    """`x[index] = y`, recorded: x becomes the result of an entry that has y at the index and x elsewhere.

    What was computed from x before keeps its value and its derivative, views included. Derivative: to y, d at the index;
    to x, d elsewhere. GradientError for a leaf that requires a gradient, whose gradient would be of a value that is gone.
    """
    if x.requires_grad and x.is_leaf:
        raise GradientError("setitem: this tensor is a leaf that requires a gradient; assign to a result of it, x * 1, or, "
                            "where nothing is to be recorded, to x.data")
    z = recorded.setitem(x, y, _plain(index))
    x._become(z)
