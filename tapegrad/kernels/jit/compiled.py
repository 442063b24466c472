"""Compiling: a function and its signature become what is called, from numba's cache where there is one."""

import zlib
from pathlib import Path

import numba

from tapegrad.kernels.compile import failed, nothing


def _checksum():
    files = sorted(Path(__file__).parent.parent.rglob("*.py"))
    return f"{zlib.crc32(b''.join([file.read_bytes() for file in files])):08x}"


CHECKSUM = _checksum()      # of all that kernels are made of: numba itself looks only at the file that a kernel stands in


def compiled(function, signature, **options):
    """The function, compiled; `nothing`, with a warning, where numba fails.

    What is returned is what numba's dispatcher would call once it has looked at the types of the operands, which takes four
    times as long as the call: they are converted to the signature's, unchecked.
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
    """Remove what numba has cached of a function: it may be broken."""
    try:
        folder = Path(numba.njit(cache=True)(function).stats.cache_path)
    except Exception:       # there is no place for a cache
        return
    for file in folder.glob(f"*{function.__qualname__}-*.nb?"):
        file.unlink(missing_ok=True)
