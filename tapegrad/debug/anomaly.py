"""The origin of the first NaN or infinity: the entry and the line of the user's code.

While `detect_anomaly()` is active, a watcher (watching.py) checks the result of every row's operator, and the sweep passes
every contribution to `watch`. Otherwise neither is installed, and there is no overhead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tapegrad.core import naming
from tapegrad.core.tape import thread
from tapegrad.core.tensor import elements
from tapegrad.debug.watching import users_place, watching
from tapegrad.errors import AnomalyError


def _bad(value: Any) -> str | None:
    """The first non-finite element of an array, like `nan at (0, 2) of float64 (1, 3)`; None if all are finite."""
    value = np.asarray(elements(value))
    if value.dtype.kind not in "fc" or np.isfinite(value).all():
        return None
    where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
    return f"{value[where]} at {where} of {value.dtype} {value.shape}"


class _Forward:
    """The watcher that raises AnomalyError if a result is not finite."""

    def computed(self, row: Any, args: Sequence[Any], z: Any, start: float, end: float) -> None:
        if wrong := _bad(z):
            operands = ", ".join(f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else repr(x) for x in args)
            raise AnomalyError(f"{row.name}({operands}) gave {wrong}\n  {users_place()}")

    def appended(self, entry: Any) -> None:
        """Nothing to do: the list has recorded the user's line."""


def _watch(entry: Any, y: Any, c: Any) -> None:
    wrong = _bad(c)
    if wrong is None:
        return
    place = getattr(entry, "where", "recorded before detect_anomaly()")
    entries = [entry for entry in thread.tape.entries if entry.tape is not None]
    text = naming.lines(entries)[entries.index(entry)]
    operand = next(i for i, register in enumerate(entry.ys) if register is y)
    raise AnomalyError(f"backward of {text}: the delta of operand {operand} got {wrong}\n  {place}")


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """`with detect_anomaly():` the first NaN or infinity on this thread, forward or backward, raises AnomalyError.

    The error names the operation, the element, and the line of the user's code that recorded the entry.

    >>> with tg.detect_anomaly():
    ...     tg.log(np.array([1.0, 0.0]))
    Traceback (most recent call last):
    tapegrad.errors.AnomalyError: log(float64 (2,)): ... gave -inf at (1,) of float64 (2,)...
    """
    tape = thread.tape
    before, tape.watch = tape.watch, _watch
    try:
        with watching(_Forward()), np.errstate(all="ignore"):
            yield
    finally:
        tape.watch = before
