"""Strong zeros: where a delta is exactly 0 nothing flows, however infinite or NaN the derivative is that it is multiplied by.

    where(x > 0, x * log(x), 0.)        at 0 and below, log(x) gets the delta 0 * x, and x the delta 0 / x + 0 * log(x)

A rule whose factor may be infinite where z is finite multiplies by it with F.strong_multiply. For the others, of which x * y
is the most common of all, that would cost too much. They have a twin, `strong(rule)`, which is taken only if it matters:
core/walk.py says when.
"""

from typing import Any

import numpy as np

from tapegrad.primitives.registry import arrays


def has_nan(z):
    """Whether an element of z is NaN. The square of a complex number may overflow to NaN: then True, too."""
    if z.ndim == 0:
        return bool(z != z)
    flat = z if z.ndim == 1 else z.ravel("K")
    square = flat.dot(flat)                             # a third of the time of a sum
    return bool(square != square)


def masked(c: Any, d: Any) -> Any:
    """c, with 0 for NaN where d is 0."""
    return np.where(np.isnan(c) & np.equal(d, 0), c.dtype.type(0), c)


def stopped(F: Any, rule: Any, d: Any, saved: Any, c: Any) -> Any:
    """The contribution c = rule(F, d, *saved) of a pointwise row, with 0 where d is 0. It is linear in d."""
    if F is not arrays:                                 # its derivative by what d is multiplied by must stop, too
        return F.strong_multiply(d, rule(F, F.ones_like(d), *saved))
    return masked(c, d) if has_nan(c) else c


def strong(rule: Any) -> Any:
    """The strong twin of a rule of a pointwise row."""
    def stopping(F: Any, d: Any, *saved: Any) -> Any:
        c = rule(F, d, *saved)
        return None if c is None else stopped(F, rule, d, saved, c)

    return stopping
