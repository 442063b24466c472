"""What the C library does with memory that is let go."""

import ctypes
import os
from functools import cache

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1                 # as malloc.h numbers them
LARGEST = 32 * 2 ** 20                                  # the most that glibc takes for the first


@cache
def keep_freed_memory():
    """Have the C library keep the memory of values that are let go, for those of the next evaluation.

    It would otherwise give large blocks back to the system each time, which clears them before they come back: twice the time
    for the list of an LSTM. glibc comes to keep them by itself once a block of that size has been freed; mallopt says so at
    once. Nothing is done with another C library, or where the environment has set these limits.
    """
    if {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & set(os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(MMAP_THRESHOLD, LARGEST)
    mallopt(TRIM_THRESHOLD, 2 * LARGEST)
