"""Complex numbers: the rows that take them apart, and what a rule means where z is complex.

The delta of a complex x is dL/dRe x + i dL/dIm x, of a real L: the direction in which L grows fastest, as for real x, and
PyTorch's convention. The rules of real rows hold for complex numbers, too, in one of these ways, which a row says by
`complex=`:

    LINEAR        linear with real coefficients, or with a rule made for complex numbers: the rule is run as it is
    HOLOMORPHIC   z = f(x) with a complex derivative, which the rule multiplies d by; by the Cauchy-Riemann equations
                  the contribution is conj(rule(conj(d)))

A row that says neither has no derivative where z is complex: the sweep raises DtypeError. Rows with a real z have their
rules run as they are. Source: Kreutz-Delgado, The Complex Gradient Operator and the CR-Calculus (2009).
"""

from typing import Any

import numpy as np

from tapegrad.errors import DtypeError
from tapegrad.primitives.registry import HOLOMORPHIC, LINEAR, primitive


def rules_of_complex(entry: Any, rules: Any) -> Any:
    """These rules of an entry whose result is complex, as they are to be run."""
    return [(i, rule_of_complex(entry.g, entry.dtype, rule)) for i, rule in rules]


def rule_of_complex(row: Any, dtype: Any, rule: Any) -> Any:
    """A rule of a row, as it is to be run when the result is of a complex dtype."""
    if row.complex is LINEAR:
        return rule
    if row.complex is not HOLOMORPHIC:
        raise DtypeError(f"{row.name}: no derivative where the result is {dtype}; take the real and the imaginary part, or "
                         "the absolute value, of what goes into it")
    return _conjugated(rule)


def _conjugated(rule: Any) -> Any:
    def holomorphic(F: Any, d: Any, *saved: Any) -> Any:
        c = rule(F, F.conjugate(d), *saved)
        return None if c is None else F.conjugate(c)

    return holomorphic


primitive("conjugate", np.conjugate, lambda F, d, _z, _x: F.conjugate(d), complex=LINEAR)
primitive("real", np.real, lambda F, d, _z, _x: d, view=True)
primitive("imag", np.imag, lambda F, d, _z, _x: d * 1j, view=True)
