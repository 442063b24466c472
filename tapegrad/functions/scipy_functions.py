"""SciPy's special functions of tensors, found by SciPy's ufunc. Loaded, with SciPy, when one of them is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.functions.arguments import constant
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives.special import ROWS


def special_function(ufunc: Any) -> Callable[..., Tensor] | None:
    """SciPy's function as one of tensors, or None. GradientError for a gradient by an argument that has no derivative."""
    row = ROWS.get(ufunc)
    if row is None:
        return None
    name, function = ufunc.__name__, getattr(recorded, row.name)
    constants = [i for i, rule in enumerate(row.dg) if rule is None] if len(row.dg) > 1 else []

    def of_tensors(*operands: Any) -> Tensor:
        if len(operands) != row.arity:
            raise TypeError(f"{name}: {len(operands)} arguments given, {row.arity} expected; out= is not recorded")
        if constants:
            operands = tuple([_parameter(constant(name, x)) if i in constants else x for i, x in enumerate(operands)])
        z: Tensor = function(*operands)
        return z

    of_tensors.__name__ = of_tensors.__qualname__ = name
    return of_tensors


def _parameter(x: Any) -> Any:
    """A number as a Python number, which leaves float32 as it is."""
    return x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x
