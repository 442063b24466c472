"""The policy of all kernels: when numba is imported, what runs without it, and how kernels are compiled and cached.

Loading. Importing tapegrad does not import numba. The first operation that has a kernel imports numba and loads the kernels
of its kind. Which kernel runs is decided by dtypes, shapes, layouts and values, and by whether numba is installed and enabled;
never by what was imported or called before, so the same program gives the same bits in every process. Operations that are too
small to gain from a kernel always run on NumPy, and load nothing.

Fallback. NumPy computes instead of a kernel if numba is missing, fails to import or is disabled by NUMBA_DISABLE_JIT, or if
the memory layout of CPython's and NumPy's objects is not the one that kernels/objects.py expects.

Files. Code that needs numba is in kernels/jit, in modules that import it. `Late` imports them on demand, from the modules
beside this one, which do not import numba and hold the code that is needed without it.

Contract. A kernel that adds to an array, or fills one, returns True when it has done so. It returns False if it does not take
these operands; no array has been modified then. A function that returns a result returns None instead. `nothing` is the
fallback kernel, which supports no operands.

Programs. Kernels of programs and loops (kernels/program.py) are text, which kernels/jit/lowering.py compiles by llvmlite, the
library below numba. numba itself is not imported for them: that takes as long as all of the first call. NUMBA_DISABLE_JIT,
NUMBA_CPU_NAME, NUMBA_CPU_FEATURES and NUMBA_CACHE_DIR mean the same for them.

Cache. numba caches compiled kernels on disk. A kernel's name contains a checksum of the files of kernels/, so editing any of
them recompiles it. A broken cache is removed and written again; if none can be written, each process compiles.

Failure. If compilation fails, a RuntimeWarning says why, once, and NumPy computes for the rest of the process.

Progress. Compiling for the first time takes seconds, which a terminal shows (progress.py). `python -m tapegrad warmup` does
it ahead, for all that is in `every`.

Threads. Kernels are loaded and compiled under `lock`, by one thread at a time; calling them needs no lock.

Traces. A run that is only traced, because a program of kernels of its own will take its place (compiler/), is not worth seconds
of compiling: in a thread inside of `loading_none()`, kernels that have not been loaded are `nothing`.
"""

import os
import sys
import threading
import warnings
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from threading import get_ident

from tapegrad.kernels.objects import known_layout
from tapegrad.kernels.progress import shown

lock = threading.RLock()


@cache
def compiler():
    """The module numba, or None if it is missing, broken or disabled."""
    try:
        import numba
        return None if numba.config.DISABLE_JIT else numba
    except Exception:   # an incompatible NumPy or llvmlite raises various errors
        return None


_tracing = set()        # threads


@contextmanager
def loading_none():
    """While a function is traced in this thread: no kernel is loaded or compiled."""
    me = get_ident()
    if me in _tracing:
        yield
        return
    _tracing.add(me)
    try:
        yield
    finally:
        _tracing.discard(me)


def loads():
    """Whether this thread may load kernels."""
    return get_ident() not in _tracing


@cache
def enabled():
    """Whether numba is installed and not disabled, and llvmlite with it, without importing them."""
    if "numba" in sys.modules:                          # then it can be asked, also whether a program has disabled it
        return compiler() is not None
    return find_spec("numba") is not None and find_spec("llvmlite") is not None and not _disabled()


def _disabled():
    try:
        return int(os.environ.get("NUMBA_DISABLE_JIT") or 0) != 0
    except ValueError:                                  # as numba does, which says so when it is imported
        return False


def nothing(*operands):
    """Fallback kernel: does nothing and returns False."""
    return False


def failed(name, problem):
    """Warn that a kernel has failed and NumPy is used instead."""
    warnings.warn(f"tapegrad: falling back to NumPy for {name}, because numba failed: {problem}", RuntimeWarning, stacklevel=4)


every = []              # all Late, in the order in which their modules were imported


class Late:
    """Kernels as attributes, loaded on first access.

    load    function that imports a module of kernels/jit and returns an object with the kernels as attributes
    names   of the kernels; each is `nothing` if it is not available
    usable  whether what it imports is installed and enabled
    """

    def __init__(self, load, *names, usable=lambda: compiler() is not None):
        self._load, self._names, self._usable = load, names, usable
        every.append(self)

    def __str__(self):
        return ", ".join(self._names)

    def load(self):
        """Load the kernels; whether they are available."""
        return getattr(self, self._names[0]) is not nothing

    def __getattr__(self, name):
        if name not in self._names:
            raise AttributeError(f"there is no kernel {name!r}")
        if not loads():
            return nothing
        with lock:
            if name not in vars(self):
                vars(self).update(dict.fromkeys(self._names, nothing) | self._loaded())
        return vars(self)[name]

    def _loaded(self):
        if not (self._usable() and known_layout()):
            return {}
        try:
            with shown(str(self)):
                kernels = self._load()
            return {name: getattr(kernels, name) for name in self._names}
        except Exception as problem:
            failed(str(self), problem)
            return {}
