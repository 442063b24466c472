"""What losses share: their operands, and how they are reduced."""

from __future__ import annotations

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, floats
from tapegrad.functions.elementwise import astype
from tapegrad.functions.reductions import mean, sum
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def check_reduction(name: str, reduction: str, known: tuple[str, ...] = ("mean", "sum", "none")) -> None:
    """ValueError for a reduction that is not known."""
    if not isinstance(reduction, str) or reduction not in known:
        given = describe(reduction) if isinstance(reduction, (Tensor, np.ndarray)) else repr(reduction)
        raise ValueError(f"{name}: reduction={given}; it is {', '.join(map(repr, known[:-1]))} or {known[-1]!r}")


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of the losses, or themselves."""
    return mean(losses) if reduction == "mean" else sum(losses) if reduction == "sum" else losses


def pair(name: str, x: TensorLike, target: TensorLike, reduction: str, other: str = "target") -> tuple[Tensor, Tensor]:
    """Two operands of one shape (or a single number as the second) as tensors, and a reduction that is known."""
    x = as_tensor(x)
    x = x if x.dtype.kind in "fc" else floats(x)
    target = as_tensor(target, beside=x)
    if target.dtype.kind not in "fc":
        target = astype(target, np.result_type(x.dtype, target.dtype))      # of small integers, differences wrap around
    if target.shape != x.shape and target.ndim:
        raise ShapeError(f"{name}: {describe(x)} and {other} {describe(target)}; they must have one shape")
    check_reduction(name, reduction)
    return x, target
