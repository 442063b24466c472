"""The error function, and gelu, x Phi(x) with the normal distribution Phi: kernels (kernels/formulas.py)."""

import math

from tapegrad.primitives.scalar import kernel

ROOT_HALF = math.sqrt(0.5)

kernel("erf", lambda F, d, _z, x: d * F.erf_slope(x))
kernel("erfc", lambda F, d, _z, x: -d * F.erf_slope(x))
kernel("erf_slope", lambda F, d, _z, x: d * (-2 * x * F.erf_slope(x)))      # 2/sqrt(pi) exp(-x^2)
kernel("gelu", lambda F, d, _z, x: d * F.gelu_slope(x))
# Phi(x) + x phi(x), whose derivative is phi(x) (2 - x^2)
kernel("gelu_slope", lambda F, d, _z, x: d * ((ROOT_HALF / 2) * F.erf_slope(ROOT_HALF * x) * (2 - x * x)))
