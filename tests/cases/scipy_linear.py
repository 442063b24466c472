"""Rows of SciPy's linear algebra and of its filters."""

import numpy as np
import scipy.interpolate
import scipy.linalg
import scipy.signal

import tapegrad.primitives.scipy_linear
import tapegrad.primitives.spline  # noqa: F401
from cases.case import Case, real


def regular(shape, seed):
    return 0.2 * real(shape, seed) + 2 * np.eye(shape[-1])


def first_is_one(shape, seed):
    x = 0.3 * real(shape, seed)
    x[0] = 1.2
    return x


SQUARE = [((3, 3),), ((1, 1),)]
CASES = [
    Case("special_solve_triangular", (regular, real), static=((0, True, False), (1, True, False), (0, False, True),
    (1, False, False)),
         reference=lambda a, b, trans, lower, unit: scipy.linalg.solve_triangular(a, b, trans, lower, unit),
         shapes=[((3, 3), (3,)), ((3, 3), (3, 2))]),
    Case("special_matrix_function", (regular,), static=(("expm",), ("logm",), ("sqrtm",)), shapes=SQUARE,
         reference=lambda x, name: getattr(scipy.linalg, name)(x)),
    Case("special_solve_sylvester", (regular, regular, real), shapes=[((3, 3), (2, 2), (3, 2))],
         reference=scipy.linalg.solve_sylvester),
    Case("special_lfilter", (real, first_is_one, real), shapes=[((3,), (2,), (7,)), ((1,), (3,), (2, 5)), ((4,), (1,), (2,))],
         reference=scipy.signal.lfilter),
    Case("special_spline", static=tuple((np.arange(5.0), bc, nu, None) for bc in ("not-a-knot", "natural") for nu in (0, 1)),
         reference=lambda t, x, bc, nu, _: scipy.interpolate.CubicSpline(x, np.eye(5), 0, bc)(t, nu),
         shapes=[((3,),), ((),), ((2, 2),)]),
]
