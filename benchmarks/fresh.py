"""What a fresh process measures of itself, and prints as JSON; processes.py and growth.py start it.

    python benchmarks/fresh.py first tapegrad

Nothing is imported here before the clock runs. A process that is started by a large one begins with that one's peak of
memory, so peers.py runs these parts before it loads a library.
"""

import gc
import json
import statistics
import sys
import time
import tracemalloc
from importlib import import_module

STEPS = 30
LEAST_ENTRIES = 100_000                 # recorded altogether, so that short tapes are timed often enough


def first(module, peer=None, size=None):
    """Seconds of the processor: the import and, from the same start, until the first LSTM step of the peer has run."""
    start = time.process_time()
    import_module(module)
    imported = time.process_time() - start
    if peer is None:
        return {"import": imported}
    import models

    models.lstm_step(peer, *models.SIZES[size])()
    return {"import": imported, "first step": time.process_time() - start}


def peak():
    """The most memory that this process has held, in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory(peer, size):
    """Peak memory with the library, after a step of the smallest size, after STEPS of `size`; and how much those added.

    The small step loads and compiles what comes late: numba and its kernels, the buffers of BLAS. That is not the steps' own.
    """
    import models

    small = models.lstm_step(peer, *min(models.SIZES.values()))
    library = peak()
    small()
    loaded = peak()
    step = models.lstm_step(peer, *models.SIZES[size])
    before = peak()
    for _ in range(STEPS):
        step()
    return {"library": library, "after a small step": loaded, f"after {STEPS} steps": peak(),
            "the steps' own part": peak() - before}


def chain(length):
    """A function that records z = z * y, `length` times, and is the sum of the last."""
    import numpy as np

    import tapegrad as tg

    x, y = (tg.tensor(np.ones(4, np.float32), requires_grad=True) for _ in range(2))

    def forward():
        z = x
        for _ in range(length):
            z = z * y
        return z.sum()

    return forward


def growth(length):
    """Of a chain of products: medians of seconds, with and without garbage collection, and peak bytes; all per entry."""
    length = int(length)
    forward = chain(length)

    def step():
        start = time.perf_counter()
        loss = forward()
        middle = time.perf_counter()
        loss.backward()
        return (middle - start) / length, (time.perf_counter() - middle) / length

    before = peak()
    step()
    found = {"resident": (peak() - before) / length}
    times = {"": [], ", gc off": []}
    for _ in range(max(1, LEAST_ENTRIES // length)):
        times[""].append(step())
        gc.disable()
        times[", gc off"].append(step())
        gc.enable()
    for how, all_ in times.items():
        found |= {sweep + how: statistics.median(seconds) for sweep, seconds in zip(("forward", "backward"), zip(*all_))}
    return found


def traced_growth(length):
    """Of the same chain: the bytes that Python and NumPy allocate, kept after the forward sweep and most in both; per entry."""
    length = int(length)
    forward = chain(length)
    chain(10)().backward()              # what the first sweep loads is not the tape's
    tracemalloc.start()
    loss = forward()
    kept, _ = tracemalloc.get_traced_memory()
    loss.backward()
    return {"kept": kept / length, "most": tracemalloc.get_traced_memory()[1] / length}


def configuration():
    """What tapegrad runs on. In a process of its own, because SciPy and others load a second BLAS."""
    from tapegrad import config

    return config.configuration()


if __name__ == "__main__":
    functions = {f.__name__: f for f in (first, memory, growth, traced_growth, configuration)}
    print(json.dumps(functions[sys.argv[1]](*sys.argv[2:])))
