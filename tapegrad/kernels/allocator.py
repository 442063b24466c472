"""Configuring the C library's allocator: whether it keeps freed memory."""

import ctypes
import os
from functools import cache

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1                 # values from malloc.h
LARGEST = 32 * 2 ** 20                                  # bytes: glibc's maximum for MMAP_THRESHOLD


@cache
def keep_freed_memory():
    """Make the C library keep freed memory for reuse by the next evaluation, or step: up to 64 MiB.

    By default it returns large blocks to the system each time, which clears them before they are used again: twice the time
    for the list of an LSTM, 1.6 times for the step of a small transformer. glibc raises the limit by itself once a block of
    that size has been freed; mallopt sets it at once. Does nothing with another C library, or if the environment sets these
    limits.
    """
    if {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & set(os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(MMAP_THRESHOLD, LARGEST)
    mallopt(TRIM_THRESHOLD, 2 * LARGEST)
