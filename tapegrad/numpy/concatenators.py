"""`r_` and `c_`, NumPy's ways to join arrays and slices by an index, for tensors, too."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.functions import concatenate, ravel
from tapegrad.functions.arguments import like
from tapegrad.numpy.dispatch import holds_tensor


class Concatenator:
    """np.r_ or np.c_: `np.r_[x, 1:4, 0.0]`. With a tensor among the parts the result is a tensor.

    NumPy joins the positions that the numbers of all parts have in one vector; these are then taken from it.
    """

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs
        self.__doc__ = theirs.__doc__

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not holds_tensor(parts):
            return self.theirs[key]
        vectors: list[Any] = []
        places: list[Any] = []
        start = 0
        for part in parts:
            if isinstance(part, str):
                places.append(part)
                continue
            x = np.r_[part] if isinstance(part, slice) else part
            shape = like(x).shape
            size = int(np.prod(shape))
            vectors.append(ravel(x))
            places.append(np.arange(start, start + size).reshape(shape) if shape else start)
            start += size
        return concatenate(vectors)[np.asarray(self.theirs[tuple(places)])]

    def __len__(self) -> int:
        return 0


r_, c_ = Concatenator(np.r_), Concatenator(np.c_)
