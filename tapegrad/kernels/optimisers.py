"""Kernels that apply the steps of the optimisers (kernels/steps.py) to all parameters of a precision in one call.

A kernel is given the parameters and their gradients in a tuple, and reads where their elements are (kernels/objects.py): NumPy
takes 1 us to say so, longer than moving a bias. The caller has checked that the arrays are C-contiguous and of the size that
the kernel goes through.

Why running means in one array. They belong to the optimiser, so those of all parameters stand one behind the other, and
those of parameter k are at offsets[k] .. offsets[k + 1].
"""

from functools import partial
from typing import Any

import numpy as np

from tapegrad.kernels.compile import Late, nothing


def _load(number):
    from tapegrad.kernels.jit import optimisers
    return optimisers.kernels(number)


jit = {np.dtype(number): Late(partial(_load, number), "sgd", "adam") for number in (np.float32, np.float64)}


def fused(name: str, dtype: Any) -> Any:
    """The kernel "sgd" or "adam" for a dtype, compiled at the first call; None unless it is float32 or float64, with numba."""
    kernel = getattr(jit[dtype], name) if dtype in jit else nothing
    return None if kernel is nothing else kernel
