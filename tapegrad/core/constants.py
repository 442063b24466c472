"""Constants: arrays of the caller's, which the tape may keep and the caller may write into.

So the tape has its own copy of each. That of a large array is made once and serves every use of it, for as long as the array
lives and has not changed: each use compares the two, byte by byte, which takes an eighth of the time of a copy in new memory.
That is a pass over twice its bytes, and shows beside a product with few columns, which is one pass over them. An array that
is read-only (`x.flags.writeable = False`) and owns its memory, or is a view of memory that is read-only throughout, is taken at
its word and kept as it is: such a use costs what that of a tensor does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import ref

import numpy as np

Array = np.ndarray[Any, Any]

SMALL, LARGEST = 2 ** 16, 2 ** 28               # bytes: below it a copy costs nothing; above it two would be too many
_copies: dict[int, tuple[ref[Array], Array]] = {}


def private(x: Array) -> Array:
    """A copy of x, to be read only, that nobody writes into; x itself if nobody can."""
    if not x.flags.writeable and _is_read_only(x):
        return x
    if not SMALL < x.nbytes <= LARGEST or not x.flags.forc:
        return x.copy()
    key = id(x)
    known, held = _copies.get(key, (None, x))
    if known is None or known() is not x or not _same(x, held):
        held = x.copy("K")
        _copies[key] = ref(x, lambda gone: _forget(key, gone)), held
    return held


def _is_read_only(x: Any) -> bool:
    """Whether an array, what it is a view of, and so on to the owner of the memory, are read-only."""
    while isinstance(x, np.ndarray):
        if x.flags.writeable:
            return False
        if x.base is None:
            return True
        x = x.base
    return type(x) is bytes or type(x).__name__ == "mmap" and memoryview(x).readonly


def _forget(key: int, gone: ref[Array]) -> None:
    if _copies.get(key, (None,))[0] is gone:
        del _copies[key]


def _same(x: Array, held: Array) -> bool:
    return (x.dtype == held.dtype and x.shape == held.shape and x.strides == held.strides
            and _compare()(x.__array_interface__["data"][0], held.__array_interface__["data"][0], x.nbytes) == 0)


@cache
def _compare() -> Callable[[int, int, int], int]:
    """The C library's memcmp; where that is not to be had, nothing is the same."""
    try:
        memcmp = ctypes.CDLL(None).memcmp
    except (AttributeError, OSError, TypeError):
        return lambda *_: 1
    memcmp.argtypes, memcmp.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], ctypes.c_int
    return memcmp
