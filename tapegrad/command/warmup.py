"""`python -m tapegrad warmup`: compiles the library's kernels ahead of their first use, into numba's cache.

What tg.compile and loops compile depends on the program, and is compiled, and cached, when the program first runs.
"""

import time
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from tapegrad import kernels
from tapegrad.core.record import recorded
from tapegrad.functions.tensor import tensor
from tapegrad.kernels.compile import compiler, every
from tapegrad.kernels.elementwise import PLAIN


def _steps():
    """[(names of kernels, a function that compiles them and says whether they are available)]"""
    for module in iter_modules(kernels.__path__):
        if not module.ispkg:
            import_module(f"{kernels.__name__}.{module.name}")

    def both(name):
        x = tensor(np.zeros(1), requires_grad=True)
        getattr(recorded, name)(x).backward(np.ones(1))
        return True

    return [(str(late), late.load) for late in every] + [(name, lambda name=name: both(name)) for name in PLAIN]


def warmup():
    """Compile all kernels, or read them from numba's cache; returns how many groups are available."""
    if compiler() is None:
        print("numba is missing or disabled: there are no kernels to compile; NumPy computes")
        return 0
    steps, start, ready = _steps(), time.perf_counter(), 0
    for number, (names, load) in enumerate(steps, start=1):
        before = time.perf_counter()
        ready += load()
        print(f"{number:3} of {len(steps)}  {time.perf_counter() - before:6.2f} s  {names}", flush=True)
    print(f"{ready} of {len(steps)} groups of kernels are ready, after {time.perf_counter() - start:.1f} s")
    return ready
