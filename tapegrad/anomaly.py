"""Where the first NaN or infinity comes from: which entry, and which line of the user's code.

While `detect_anomaly()` is on, the thread's list of entries is one that notes the user's line with every entry, every row's
operator looks at what it computed, and the sweep shows every contribution to `watch`. While it is off, none of that is
there, and nothing is paid for it.
"""

import sys
import threading
from contextlib import contextmanager
from traceback import FrameSummary

import numpy as np

from tapegrad import listing
from tapegrad.errors import AnomalyError
from tapegrad.primitives import table
from tapegrad.tape import thread

_lock = threading.Lock()
_watchers = 0


def users_line():
    """The innermost line of the stack that is not tapegrad's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("tapegrad"):
        frame = frame.f_back
    return FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _place(line):
    return f"{line.filename}, line {line.lineno}, in {line.name}: {line.line}"


def _bad(value):
    """What is wrong with an array, like `NaN at (0, 2)`; None where all is finite."""
    value = np.asarray(getattr(value, "_value", value))
    if value.dtype.kind not in "fc" or np.isfinite(value).all():
        return None
    where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
    return f"{value[where]} at {where} of {value.dtype} {value.shape}"


class _NotingList(list):
    """The entries of a tape, each with the line that recorded it."""

    def append(self, entry):
        entry.where = users_line()
        super().append(entry)


class _Looking:
    """A row's operator that looks at its results on the threads that watch."""

    def __init__(self, row):
        self.row, self.g = row, row.g

    def __call__(self, *args):
        z = self.g(*args)
        if self.row.g is not self:                      # a kernel has put its compiled ufunc in our place
            self.g, self.row.g = self.row.g, self
        if thread.tape.watch is not None and (wrong := _bad(z)):
            operands = ", ".join(f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else repr(x) for x in args)
            raise AnomalyError(f"{self.row.name}({operands}) gave {wrong}\n  {_place(users_line())}")
        return z


def _watch(entry, y, c):
    wrong = _bad(c)
    if wrong is None:
        return
    line = getattr(entry, "where", None)
    place = _place(line) if line else "recorded before detect_anomaly()"
    entries = [entry for entry in thread.tape.entries if entry.tape is not None]
    text = listing.lines(entries)[entries.index(entry)]
    raise AnomalyError(f"backward of {text}: the delta of operand {entry.ys.index(y)} got {wrong}\n  {place}")


@contextmanager
def detect_anomaly():
    """`with detect_anomaly():` the first NaN or infinity on this thread, forward or backward, raises AnomalyError.

    The error names the operation, the element, and the line of the user's code that recorded the entry.
    """
    global _watchers
    tape = thread.tape
    before, tape.watch = tape.watch, _watch
    with _lock:
        _watchers += 1
        if _watchers == 1:
            for row in table.complete().values():
                row.g = _Looking(row)
    tape.entries = _NotingList(tape.entries)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        tape.watch = before
        if before is None:
            tape.entries = list(tape.entries)
        with _lock:
            _watchers -= 1
            if _watchers == 0:
                for row in table.values():
                    if isinstance(row.g, _Looking):
                        row.g = row.g.g
