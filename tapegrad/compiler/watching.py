"""Watching a run: calls of what acts on the world outside, and code that the reader has not found.

Python tells a profiling function of every call. A function that prints, reads a clock or a file does not do that in a
replay, so it can't be replayed. Code that is reached in a way that guards.py does not follow is read when it is first called.
"""

from __future__ import annotations

import builtins
import gc
import io
import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tapegrad.compiler.guards import Reader
from tapegrad.compiler.tracer import HOME, Tracer

IMPURE = {builtins.print, builtins.input, builtins.globals, io.open}
MODULES = {"time", "posix", "nt", "_io", "_socket", "select", "_random", "_thread", "_datetime", "_contextvars"}    # in C
GENERATORS = {"default_rng", "RandomState", "SeedSequence", "urandom"}
LIBRARY = tuple({HOME, os.path.dirname(np.__file__), "<frozen", "<__array_function__", "<guards", *[
    path for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")]})
STANDARD = sysconfig.get_paths()["stdlib"]
NUMPY = os.path.dirname(np.__file__)
USERS, PYTHON, NUMPYS, OTHER = range(4)
BETWEEN = PYTHON, NUMPYS
ACTS = "urandom", "write", "print", "open"                # of their code
PACKAGES = f"{os.sep}tapegrad{os.sep}nn{os.sep}"                     # of our own, the code of modules is as a user's


def origin(code: types.CodeType) -> int:
    """Whose a code is: the user's, Python's standard library's, or another library's."""
    name = code.co_filename
    if not name.startswith(LIBRARY) or PACKAGES in name:
        return USERS
    if name.startswith(NUMPY):
        return NUMPYS
    return PYTHON if name.startswith(STANDARD) and "site-packages" not in name else OTHER


@contextmanager
def watched(reader: Reader, tracer: Tracer) -> Iterator[set[types.CodeType] | None]:
    """While the function runs, refuse what acts on the world, and have the reader read all code that is called.

    Gives the set of codes of users that have been called, at the end; None if they can't be watched.
    """
    if sys.getprofile() is not None:                    # somebody else watches
        yield None
        return
    called: set[types.CodeType] = set()
    known: dict[types.CodeType, int] = dict.fromkeys(reader.codes, USERS)

    def seen(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in known:
                known[code] = origin(code)
                if known[code] == USERS and tracer.reason is None:
                    _read(reader, tracer, code, frame.f_globals)
                    known.update(dict.fromkeys(reader.codes, USERS))
            if known[code] == USERS:
                called.add(code)
        elif event == "c_call" and tracer.reason is None and not tracer.drawing:
            of = known.get(frame.f_code, OTHER)
            if of == USERS and _acts(arg) or of in BETWEEN and getattr(arg, "__name__", "") in ACTS and _is_users(frame):
                tracer.refuse(f"it calls {getattr(arg, '__qualname__', arg)}")

    sys.setprofile(seen)
    try:
        yield called
    finally:
        sys.setprofile(None)


def _is_users(frame: Any) -> bool:
    """Whether code of Python's or NumPy's library runs because the user's has called it."""
    while frame is not None and (of := origin(frame.f_code)) in BETWEEN:
        frame = frame.f_back
    return frame is None or of == USERS


def _acts(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    home = owner.__name__ if isinstance(owner, types.ModuleType) else type(owner).__module__ if not isinstance(owner, type) \
        else owner.__module__
    name = getattr(function, "__name__", "")
    if home in ("datetime", "_datetime"):
        return name in ("now", "utcnow", "today")
    return function in IMPURE or home in MODULES or name == "write"


def _read(reader: Reader, tracer: Tracer, code: types.CodeType, space: dict[str, Any]) -> None:
    """Read a code that is about to run for the first time."""
    # A frame tells its code, but not its function, which alone has the cells that a closure reads. The collector knows who
    # refers to the code; where that is not exactly one function, the call is run as it is.
    functions = [f for f in gc.get_referrers(code) if type(f) is types.FunctionType] if code.co_freevars else []
    if code.co_freevars and len(functions) != 1:
        tracer.refuse(f"it calls {code.co_name}, whose closure can't be found")
        return
    try:
        if functions:
            reader.function(functions[0])
        else:
            reader.code(code, space)
    except Exception as error:
        tracer.refuse(str(error))
        return
    for x in reader.inputs[len(tracer.inputs):]:
        if x._data is None or not tracer.is_known(x._data):
            tracer.add_input(x)
        else:
            tracer.refuse(f"it calls {code.co_name}, which reads a tensor that the call has made")
