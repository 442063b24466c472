"""Timing in turns: A B C A B C ..., so that what disturbs the machine disturbs all, and ratios are taken turn by turn."""

import gc
import statistics
import time

LEAST_TURNS = 5


def timed(step, calls=1):
    """A run: a function that runs `calls` steps and returns the seconds of one."""
    def run():
        start = time.perf_counter()
        for _ in range(calls):
            step()
        return (time.perf_counter() - start) / calls

    return run


def interleave(runs, seconds, baseline):
    """{peer: (median of its seconds, median of its ratio to the baseline)} of runs that return seconds, run in turns.

    Each runs at least LEAST_TURNS times, and all of them together for about `seconds` in the clock's time. The ratio is None
    where the baseline is not among them. Garbage is collected as it is by default, but nobody's collection has to walk over
    the modules of the other libraries: what there is after two rounds is frozen.
    """
    for run in runs.values():
        run(), run()
    gc.collect()
    gc.freeze()
    times, end = {peer: [] for peer in runs}, time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values()), default=LEAST_TURNS) < LEAST_TURNS:
        for peer, run in runs.items():
            times[peer].append(run())
    gc.unfreeze()
    return {peer: (statistics.median(found), ratio(found, times.get(baseline))) for peer, found in times.items()}


def ratio(times, others):
    """The median of the ratios of each turn."""
    return others and statistics.median(a / b for a, b in zip(times, others))
