"""`tapegrad.scipy.interpolate`: the names of scipy.interpolate; a cubic spline takes tensors for its values and for the
points."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate as theirs

from tapegrad import functions
from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError
from tapegrad.errors import describe as described
from tapegrad.functions.arguments import constant, floats, single_axis, value
from tapegrad.numpy.dispatch import Names, holds_tensor
from tapegrad.primitives import spline as _row  # noqa: F401
from tapegrad.typing import TensorLike

__all__ = list(theirs.__all__)


class CubicSpline:
    """The piecewise cubic function with two continuous derivatives through values y at increasing x, along `axis` of y.

    bc_type   what holds at the ends: "not-a-knot", "clamped" or "natural"; without tensors, any of SciPy's

    Called with points and the order of a derivative, it gives SciPy's arrays, or a tensor where y or the points are one. It
    is linear in y: the values are a matrix times y. Derivative: to y, by the transpose of that; to the points, d times the
    spline's own derivative; to x none.

    >>> spline = tg.scipy.interpolate.CubicSpline(np.arange(4.0), tg.tensor([0.0, 1.0, 8.0, 27.0]))
    >>> spline(1.5).round(9)
    tensor(3.375)
    >>> tg.grad(lambda t: spline(t))(2.0).round(9)
    np.float64(12.0)
    """

    def __init__(self, x: Any, y: TensorLike, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> None:
        self.x, self.bc_type, self.extrapolate = np.array(constant("CubicSpline", x)), bc_type, extrapolate
        self.of_tensors = holds_tensor([y])
        array = np.array(value(y))
        self.held = y if self.of_tensors else array
        self.axis = single_axis("CubicSpline", array, axis)
        if self.of_tensors and (self.x.ndim != 1 or array.shape[self.axis] != self.x.size):
            raise ShapeError(f"CubicSpline: {described(self.x)} points and values {described(array)}")
        self.spline = theirs.CubicSpline(self.x, array, axis, bc_type, extrapolate)

    def __call__(self, x: TensorLike, nu: int = 0, extrapolate: Any = None) -> Any:
        if not self.of_tensors and not holds_tensor([x]):
            return self.spline(x, nu, extrapolate)
        if self.bc_type not in ("not-a-knot", "clamped", "natural"):
            raise ValueError("CubicSpline: of tensors, bc_type is 'not-a-knot', 'clamped' or 'natural'")
        points, values = floats(x), functions.moveaxis(floats(self.held), self.axis, 0)
        matrix = recorded.special_spline(points, self.x, self.bc_type, int(nu),
                                         self.extrapolate if extrapolate is None else extrapolate)
        z = functions.tensordot(matrix, values, 1)
        places = list(range(points.ndim))
        return z if self.axis == 0 else functions.moveaxis(z, places, [self.axis + i for i in places])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "spline":
            raise AttributeError(name)
        return getattr(self.spline, name)


_names = Names(globals(), theirs, "scipy.interpolate", lambda name: None)
__dir__, __getattr__ = _names.dir, _names.get
