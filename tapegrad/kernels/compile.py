"""When numba is loaded, what is done without it, and how kernels are compiled and cached: the policy of all kernels.

Loading. Importing tapegrad loads no numba. The first operation that has a kernel loads numba and the kernels of its kind.
Which kernel runs is decided by dtypes, shapes, layouts and values, and by whether numba is installed and enabled; never by
what was imported or called before, so the same program gives the same bits in every process. Operations that are too small to
gain from a kernel always run on NumPy, so they load nothing.

Without numba (it is missing, does not import, or NUMBA_DISABLE_JIT is set; or CPython and NumPy do not lay out their objects
as kernels/objects.py reads them) NumPy computes what a kernel would.

Files. What needs numba stands in kernels/jit, in modules that import it; they are imported by `Late`, from the modules beside
this one, which import nothing and hold what is needed without numba.

Contract. A kernel that adds to an array, or fills one, returns True when it has done so. False says that it does not take these
operands, and that nothing was touched. What gives a result gives None then. `nothing` is the kernel that takes no operands.

Cache. numba keeps compiled kernels on disk. A kernel's name contains a checksum of the files of kernels/, so an edit of any of
them renews it. A cache that is broken is removed, and written anew; where none can be written, each process compiles.

Failure. Where compiling fails, a RuntimeWarning says why, once, and NumPy computes for the rest of the process.

Threads. Kernels are loaded and compiled under `lock`, by one thread at a time; then they need no lock.
"""

import threading
import warnings
from functools import cache

from tapegrad.kernels.objects import known_layout

lock = threading.RLock()


@cache
def compiler():
    """numba, or None if there is none that works."""
    try:
        import numba
        return None if numba.config.DISABLE_JIT else numba
    except Exception:   # an unsuitable NumPy or llvmlite shows in several ways
        return None


def nothing(*operands):
    """Fallback kernel: does nothing and returns False."""
    return False


def failed(name, problem):
    """Warn that NumPy computes instead of a kernel."""
    warnings.warn(f"tapegrad: plain NumPy takes the place of {name}, numba failed: {problem}", RuntimeWarning, stacklevel=4)


class Late:
    """Kernels as attributes, loaded when one of them is first asked for.

    load    imports a module of kernels/jit and returns what has the kernels as attributes
    names   of the kernels; each is `nothing` where it is not to be had
    """

    def __init__(self, load, *names):
        self._load, self._names = load, names

    def __getattr__(self, name):
        if name not in self._names:
            raise AttributeError(f"there is no kernel {name!r}")
        with lock:
            if name not in vars(self):
                vars(self).update(dict.fromkeys(self._names, nothing) | self._loaded())
        return vars(self)[name]

    def _loaded(self):
        if compiler() is None or not known_layout():
            return {}
        try:
            kernels = self._load()
            return {name: getattr(kernels, name) for name in self._names}
        except Exception as problem:
            failed(", ".join(self._names), problem)
            return {}
