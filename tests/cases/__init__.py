"""One row per primitive: what the tables of tests run it on. A primitive without a row fails test_table.py.

The families are those of tapegrad/primitives. CASES have a derivative, CONSTANT have none: their result is a constant.
"""

from importlib.util import find_spec

from cases import core, elementwise, fourier, linalg, network, reductions, shaping

FAMILIES = [core, elementwise, reductions, network, shaping, linalg, fourier]
if find_spec("scipy"):                                  # an extra
    from cases import scipy_linear, sparse, special

    FAMILIES += [special, scipy_linear, sparse]
CASES = [case for family in FAMILIES for case in family.CASES]
CONSTANT = [case for family in FAMILIES for case in getattr(family, "CONSTANT", [])]
