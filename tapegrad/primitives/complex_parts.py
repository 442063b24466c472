"""Complex numbers: the rows that take them apart, and what a rule means where z is complex.

The delta of a complex x is dL/dRe x + i dL/dIm x, of a real L: the direction in which L grows fastest, as for real x, and
PyTorch's convention. The rules of real rows hold for complex numbers, too, in one of these ways:

    LINEAR        linear with real coefficients, or with a rule made for complex numbers: the rule is run as it is
    HOLOMORPHIC   z = f(x) with a complex derivative, which the rule multiplies d by; by the Cauchy-Riemann equations
                  the contribution is conj(rule(conj(d)))

A row that is in neither has no derivative where z is complex: the sweep raises DtypeError. Rows with a real z have their
rules run as they are. Source: Kreutz-Delgado, The Complex Gradient Operator and the CR-Calculus (2009).
"""

import numpy as np

from tapegrad.errors import DtypeError
from tapegrad.primitives.registry import primitive

LINEAR = frozenset(
    "add subtract negative alias reshape transpose broadcast_to concatenate stack roll sum mean cumsum getitem scatter setitem "
    "take_along_axis add_along_axis where astype windows unwindow checkpoint conjugate fft ifft rfft".split())
HOLOMORPHIC = frozenset(
    "multiply divide power strong_multiply matmul prod cumprod scan exp log sqrt square sin cos exp2 expm1 log2 log10 log1p "
    "reciprocal tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh".split())


def rules_of_complex(entry, rules):
    """These rules of an entry whose result is complex, as they are to be run."""
    return [(i, rule_of_complex(entry.g.name, entry.dtype, rule)) for i, rule in rules]


def rule_of_complex(name, dtype, rule):
    """A rule of the row `name`, as it is to be run when the result is of a complex dtype."""
    if name in LINEAR:
        return rule
    if name not in HOLOMORPHIC:
        raise DtypeError(f"{name}: no derivative where the result is {dtype}; take the real and the imaginary part, or "
                         "the absolute value, of what goes into it")
    return _conjugated(rule)


def _conjugated(rule):
    def holomorphic(F, d, *saved):
        c = rule(F, F.conjugate(d), *saved)
        return None if c is None else F.conjugate(c)

    return holomorphic


primitive("conjugate", np.conjugate, lambda F, d, _z, _x: F.conjugate(d))
primitive("real", np.real, lambda F, d, _z, _x: d)
primitive("imag", np.imag, lambda F, d, _z, _x: d * 1j)
