"""What an operation costs in numbers that are the same on every machine: calls, and arrays that are allocated.

Only tapegrad's own calls are counted, so that another NumPy does not change them.
"""

import ctypes
import gc
import sys
import tracemalloc
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import tapegrad

# Comprehensions are functions before CPython 3.12; whether `with` calls a lock's methods visibly depends on the version, too.
NOT_COUNTED = ("<listcomp>", "<dictcomp>", "__enter__", "__exit__")
PACKAGE = Path(tapegrad.__file__).parent
SMALLEST = 1024         # bytes: NumPy takes smaller arrays out of a cache of its own, unseen


@contextmanager
def uncollected():
    """No garbage is collected inside: that may call anything."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def profiled(see):
    """`see(frame, event, called)` is called for every call inside."""
    before = sys.getprofile()
    sys.setprofile(see)
    try:
        yield
    finally:
        sys.setprofile(before)


def is_ours(frame):
    """Whether a frame runs a function of tapegrad; the frames that numba makes up for compiled ones have no __name__."""
    return frame.f_globals.get("__name__", "").partition(".")[0] == "tapegrad"


def where(frame):
    """'record.binary.op' of a frame."""
    return f"{frame.f_globals['__name__'].rpartition('.')[2]}.{frame.f_code.co_qualname}".replace("<locals>.", "")


def calls(function):
    """{name: how often it was called}, of tapegrad's functions in Python, and of the functions in C that those call."""
    python, in_c = Counter(), Counter()

    def see(frame, event, called):
        if event == "call" and is_ours(frame) and frame.f_code.co_name not in NOT_COUNTED:
            python[where(frame)] += 1
        elif event == "c_call" and is_ours(frame) and called.__name__ not in NOT_COUNTED:
            in_c[called.__qualname__] += 1

    with uncollected(), profiled(see):
        function()
    return python, in_c


class _Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free")]


class _Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler: what allocates the data of arrays. See NEP 49."""

    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("allocator", _Allocator)]


def _numpy_function(position, *parameters):
    """A function of NumPy's C API, by its place in the table, which is part of the ABI."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    functions = ctypes.cast(pointer(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(ctypes.py_object, *parameters)(functions[position])


_set_handler, _get_handler = _numpy_function(304, ctypes.py_object), _numpy_function(305)


def arrays(function):
    """{name: how many arrays of SMALLEST bytes and more were allocated in it} of the innermost function of tapegrad."""
    found, standard = Counter(), _get_handler()
    pointer, capsule = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_New
    handler = _Handler.from_buffer_copy(_Handler.from_address(pointer(standard, b"mem_handler")))
    in_c = {name: ctypes.CFUNCTYPE(ctypes.c_void_p, *[ctypes.c_size_t] * n)(getattr(handler.allocator, name))
            for name, n in (("malloc", 2), ("calloc", 3))}

    def note(size):
        frame = sys._getframe(2)
        while frame is not None and not is_ours(frame):
            frame = frame.f_back
        if size >= SMALLEST:
            found["outside" if frame is None else where(frame)] += 1

    def malloc(context, size):
        note(size)
        return in_c["malloc"](context or 0, size)

    def calloc(context, count, size):
        note(count * size)
        return in_c["calloc"](context or 0, count, size)

    ours = [ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_size_t] * n)(f)
            for f, n in ((malloc, 1), (calloc, 2))]
    handler.allocator.malloc, handler.allocator.calloc = [ctypes.cast(f, ctypes.c_void_p) for f in ours]
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handler))       # an array that lives on needs it to be freed
    with uncollected():
        _set_handler(capsule(ctypes.addressof(handler), b"mem_handler", None))
        try:
            function()
        finally:
            _set_handler(standard)
    return found


def tracked(function):
    """{type: objects} of what garbage collection walks over and was not there before, and of what it still does later."""
    gc.collect()
    with uncollected():
        before = _objects()
        kept = function()
        new = _objects()
        gc.collect()
        old = _objects()
        del kept
    return new - before, old - before


def _objects():
    return Counter(type(one).__name__ for one in gc.get_objects())


def blocks(function, undo):
    """The blocks of memory, by the line that allocated them, that there are more of after it, and after undo(its result).

    The result is there to the end, and what is left in a cycle is left.
    """
    _empty_free_lists()
    with uncollected():
        tracemalloc.start()
        try:
            before = _living()
            kept = function()
            there = _living()
            undo(kept)
            _empty_free_lists()
            left = _living()
        finally:
            tracemalloc.stop()
    return there - before, left - before


def most_bytes(function):
    """The most memory that it takes at once, beyond what was there: Python's and NumPy's, in bytes."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        function()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before


def _empty_free_lists():
    """Have Python free the blocks that it keeps for its next tuples: a full collection does that, here of nothing."""
    gc.freeze()
    gc.collect()
    gc.unfreeze()


def _living():
    """{file and line: blocks} of those that tapegrad's lines have allocated and that have not been freed."""
    found = Counter()
    for trace in tracemalloc.take_snapshot().statistics("lineno"):
        file = Path(trace.traceback[0].filename)
        if PACKAGE in file.parents:
            found[f"{file.relative_to(PACKAGE)}:{trace.traceback[0].lineno}"] += trace.count
    return found
