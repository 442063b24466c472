"""What other libraries make of a tensor, where Python leaves it to them.

S @ x, of a sparse matrix of SciPy and a tensor, is S's to answer, who asks the tensor for an array and multiplies that: the
gradient would be lost. But where it gets an array of one Python object, it takes x for something that it does not know, and
Python asks the tensor, whose `__rmatmul__` records the product. So that is what a tensor answers SciPy's products, and those
only: they are told by the function that asks. Should it get another name, the tensor refuses, as it does elsewhere, or gives
its value if it requires no gradient; tg.matmul(S, x) always records.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

import numpy as np

PRODUCTS = "_matmul_dispatch", "_mul_dispatch"


def asks_for_product(caller: FrameType) -> bool:
    """Whether the function that asks a tensor for an array is a sparse matrix's product."""
    return caller.f_code.co_name in PRODUCTS and str(caller.f_globals.get("__name__")).startswith("scipy.sparse")


def unknown(x: Any) -> Any:
    """An array without axes, of one Python object."""
    array = np.empty((), object)
    array[()] = x
    return array
