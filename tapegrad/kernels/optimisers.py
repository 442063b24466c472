"""Kernels that apply the steps of the optimisers (kernels/steps.py) to all parameters of a precision in one call.

A kernel takes the parameters and their gradients in a tuple, and reads the addresses of their elements (kernels/objects.py):
NumPy takes 1 us to return one, longer than updating a bias. The caller must have checked that the arrays are C-contiguous and
have the size that the kernel iterates over.

The running means belong to the optimiser, so those of all parameters are stored in one array: those of parameter k are at
offsets[k] .. offsets[k + 1].
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
    """The kernel "sgd" or "adam" for float32 or float64, compiled on first use; None for another dtype or without numba."""
    kernel = getattr(jit[dtype], name) if dtype in jit else nothing
    return None if kernel is nothing else kernel
