"""What a terminal shows while kernels are compiled, or a function is recorded: one line on stderr, which goes away then.

That takes seconds, once per installation, or for a long loop. Nothing is shown if stderr is not a terminal, or for what takes
less than PATIENCE seconds, as kernels do that are read from the cache. The line is tqdm's if tqdm is installed.
"""

import sys
import threading
import time
from contextlib import contextmanager

PATIENCE = 1.0          # seconds
INTERVAL = 0.2


class _Line:
    """tqdm's part that is used here, without tqdm."""

    def __init__(self, desc):
        self.desc, self.start = desc, time.perf_counter()
        self.refresh()

    def refresh(self):
        print(f"\r{self.desc}: {time.perf_counter() - self.start:.0f} s", end="", file=sys.stderr, flush=True)

    def close(self):
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _line(text):
    try:
        from tqdm import tqdm
    except ImportError:
        return _Line(text)
    return tqdm(desc=text, bar_format="{desc}: {elapsed}", leave=False, nrows=20, file=sys.stderr)


def _show(text, done):
    if done.wait(PATIENCE):
        return
    line = _line(f"tapegrad: {text}")
    while not done.wait(INTERVAL):
        line.refresh()
    line.close()


def is_terminal(stream):
    try:
        return stream.isatty()
    except (AttributeError, ValueError):                # none, a program's own that can only write, or closed
        return False


@contextmanager
def shown(names, doing="compiling kernels, for this run and later ones"):
    """While this is done for the kernels or function of these names: the line, if it takes long."""
    if not is_terminal(sys.stderr):
        yield
        return
    done = threading.Event()
    watcher = threading.Thread(target=_show, args=(f"{doing} ({names})", done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
