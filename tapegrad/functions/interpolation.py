"""Interpolation between samples, under NumPy's name."""

from __future__ import annotations

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import floats, value
from tapegrad.functions.elementwise import add, divide, multiply, subtract, where
from tapegrad.functions.indexing import getitem
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def interp(x: TensorLike, xp: TensorLike, fp: TensorLike, left: TensorLike | None = None,
           right: TensorLike | None = None) -> Tensor:
    """The straight lines through the points (xp, fp), xp ascending, at x; left of them `left`, right of them `right`, which are
    the first and the last of fp by default.

    Derivative: to x, the slope there, at a point that of the line on its right; to fp, by the nearness of its two points; to xp
    as well. ShapeError unless xp and fp are vectors of one length.

    >>> tg.interp(tg.tensor([0.5, 1.5, 9.0]), [0.0, 1.0, 2.0], [0.0, 10.0, 30.0])
    tensor([ 5., 20., 30.])
    >>> tg.grad(lambda x: tg.interp(x, [0.0, 1.0, 2.0], [0.0, 10.0, 30.0]))(1.5)
    array(20.)
    """
    x, xp, fp = floats(x), floats(xp), floats(fp)
    points, samples = value(xp), value(fp)
    if points.ndim != 1 or points.shape != samples.shape or not points.size:
        raise ShapeError(f"interp: points {describe(points)} and samples {describe(samples)}; vectors of one length are needed")
    at = value(x)
    outside = ((at < points[0], getitem(fp, 0) if left is None else left),
               (at > points[-1], getitem(fp, -1) if right is None else right))
    if points.size == 1:
        z = add(multiply(x, 0.0), getitem(fp, 0))
    else:
        i = np.clip(np.searchsorted(points, at, "right") - 1, 0, points.size - 2)
        before, after = getitem(xp, i), getitem(xp, i + 1)
        start = getitem(fp, i)
        nearness = divide(subtract(x, before), subtract(after, before))
        z = add(start, multiply(subtract(getitem(fp, i + 1), start), nearness))
    for there, end in outside:
        z = where(there, end, z)
    return z
