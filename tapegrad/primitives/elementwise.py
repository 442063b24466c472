"""Elementwise functions of one array, choices between arrays, and those without a derivative."""

import numpy as np

from tapegrad.primitives.registry import primitive


def _share(F, d, x, y):
    """The part of d that goes to x where x wins over y: all of it where x != y chooses x, half where they are equal."""
    return F.where(F.equal(x, y), d * 0.5, d)


primitive("exp", np.exp, lambda F, d, z, _x: F.strong_multiply(d, z))
primitive("log", np.log, lambda F, d, _z, x: F.strong_multiply(d, 1 / x))
primitive("sqrt", np.sqrt, lambda F, d, z, _x: F.strong_multiply(d, 0.5 / z))
primitive("square", np.square, lambda F, d, _z, x: d * (2 * x))
primitive("absolute", np.absolute, lambda F, d, _z, x: d * F.sign(x))
primitive("sin", np.sin, lambda F, d, _z, x: d * F.cos(x))
primitive("cos", np.cos, lambda F, d, _z, x: -d * F.sin(x))

primitive("maximum", np.maximum, lambda F, d, _z, x, y: F.where(F.greater_equal(x, y), _share(F, d, x, y), F.zeros_like(d)),
                                 lambda F, d, _z, x, y: F.where(F.less_equal(x, y), _share(F, d, x, y), F.zeros_like(d)))
primitive("minimum", np.minimum, lambda F, d, _z, x, y: F.where(F.less_equal(x, y), _share(F, d, x, y), F.zeros_like(d)),
                                 lambda F, d, _z, x, y: F.where(F.greater_equal(x, y), _share(F, d, x, y), F.zeros_like(d)))
primitive("where", np.where, None,
                             lambda F, d, _z, c, _x, _y: F.where(c, d, F.zeros_like(d)),
                             lambda F, d, _z, c, _x, _y: F.where(c, F.zeros_like(d), d))
primitive("astype", lambda x, dtype: x.astype(dtype), lambda F, d, _z, _x, dtype: d)

for name in ("sign", "floor", "ceil", "rint", "isnan", "isinf", "isfinite", "logical_not", "zeros_like", "ones_like"):
    primitive(name, getattr(np, name), None)
for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or",
             "floor_divide"):
    primitive(name, getattr(np, name), None, None)
