"""`python -m tapegrad show FILE` and `explore FILE`: a tape that tg.save_tape has saved, as a table and in a browser."""

from pathlib import Path

import numpy as np

from tapegrad.debug.tracing import traced
from tapegrad.export import load_tape


def _traced(path):
    """A trace of the tape in a file, evaluated again and, if its result is real, walked back with delta 1."""
    kept = load_tape(path)
    with traced(values=True, deltas=True) as trace:
        result = kept.record()
        if result.requires_grad and result.dtype.kind == "f":
            result.backward(np.ones(result.shape, result.dtype))
    return kept, trace


def show(path):
    """Print the entries, their values and deltas."""
    kept, trace = _traced(path)
    for kind, arrays in (("leaf", kept.leaves), ("constant", kept.constants)):
        for name, array in arrays.items():
            print(f"{kind:9}{name}: {array.dtype} {array.shape}")
    print(trace.show())


def explore(path, to=None):
    """Write the page that steps through the tape; returns its path."""
    _, trace = _traced(path)
    to = Path(to or Path(path).with_suffix(".html"))
    trace.explore(to)
    return to
