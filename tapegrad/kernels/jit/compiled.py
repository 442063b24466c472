"""Compiling a function for one signature, with numba's cache if there is one."""

from pathlib import Path

import numba

from tapegrad.kernels.checksum import CHECKSUM
from tapegrad.kernels.compile import failed, nothing


def compiled(function, signature, **options):
    """The function, compiled; `nothing`, with a warning, if numba fails.

    Returns the function that numba's dispatcher would call after inspecting the types of the operands, which takes four times
    as long as the call itself. Operands are converted to the types of the signature, unchecked.

    The function may close over numbers and types, not over functions of numba's: these are others in every process for numba's
    cache, which then would not be found again.
    """
    function.__qualname__ = f"{function.__name__}_{CHECKSUM}"
    problem = None
    for cached in (True, True, False):
        try:
            return numba.njit(signature, cache=cached, **options)(function).get_overload(signature)
        except Exception as error:
            problem = error
            remove_cached(function)
    failed(function.__name__, problem)
    return nothing


def remove_cached(function):
    """Remove numba's cache files of a function: they may be broken."""
    try:
        folder = Path(numba.njit(cache=True)(function).stats.cache_path)
    except Exception:       # no folder for a cache is writeable
        return
    for file in folder.glob(f"*{function.__qualname__}-*.nb?"):
        file.unlink(missing_ok=True)
