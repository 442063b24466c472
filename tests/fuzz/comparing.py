"""Programs compared: the same steps on tapegrad and on the oracles, log against log; shortened where they differ."""

import numpy as np

from fuzz.engines import Infinitesimals
from fuzz.model import Model
from fuzz.ours import Ours
from fuzz.programs import program


def difference(found, wanted):
    """(What differs between two observations or None, how many values were compared)."""
    if not found["outcome"] & wanted["outcome"]:
        return f"outcome {sorted(found['outcome'])}, expected {sorted(wanted['outcome'])}", 1
    for what in sorted(found.keys() | wanted.keys()):
        if what == "outcome" or "ok" not in wanted["outcome"] and what.startswith("h"):
            continue
        a, b = found.get(what), wanted.get(what)
        a, b = (np.zeros(np.shape(b)) if a is None else a), (np.zeros(np.shape(a)) if b is None else b)
        if np.shape(a) != np.shape(b):
            return f"{what} has shape {np.shape(a)}, expected {np.shape(b)}", 1
        if not (abs(a - b) <= 1e-8 + 1e-7 * abs(b)).all():
            return f"{what} is {a.tolist()}, expected {b.tolist()}"[:500], 1
    return None, len(found)


def logs_differ(found, wanted):
    """(The first difference of two logs or None, how many values were compared)."""
    compared = 0
    for i, (a, b) in enumerate(zip(found, wanted)):
        what, n = difference(a, b)
        compared += n
        if what:
            return f"observation {i}: {what}", compared
    return (None if len(found) == len(wanted) else f"{len(found)} observations, expected {len(wanted)}"), compared


def log_of(machine, steps):
    machine.run(steps)
    return machine.finish()


def differs(steps, tried=Ours):
    """What differs between a machine and the oracle, or None; None, too, for what is no program, as the oracle finds."""
    try:
        wanted = log_of(Model(Infinitesimals()), steps)
    except Exception:
        return None
    return logs_differ(log_of(tried(), steps), wanted)[0]


def shorter(steps):
    """Programs with one step less, or a block or a body less."""
    for i in reversed(range(len(steps))):
        yield steps[:i] + steps[i + 1:]
    for i, step in enumerate(steps):
        for j, part in enumerate(step):
            if isinstance(part, list) and part and isinstance(part[0], tuple):
                if j == 1:                              # a block
                    yield steps[:i] + part + steps[i + 1:]
                for less in shorter(part):
                    if less:
                        yield steps[:i] + [(*step[:j], less, *step[j + 1:])] + steps[i + 1:]


def shortest(steps, tried=Ours):
    """A program that differs in the same way, from which nothing can be left out."""
    way = way_of(differs(steps, tried))
    while True:
        for fewer in shorter(steps):
            if way_of(differs(fewer, tried)) == way:
                steps = fewer
                break
        else:
            return steps


def way_of(difference):
    return difference and [word for word in ("outcome", ".grad", "h", "shape") if word in difference.split(" is ")[0]][:1]


def check(steps, tried=Ours):
    """AssertionError if tapegrad differs from the oracle: a program that once did, as a test."""
    wanted = log_of(Model(Infinitesimals()), steps)
    what, _ = logs_differ(log_of(tried(), steps), wanted)
    assert what is None, what


def run_seed(seed, tried=Ours):
    """(What a seed shows, as the shortest program that does, or None; how many values were compared)."""
    steps, wanted = program(seed, Infinitesimals())
    what, compared = logs_differ(log_of(tried(), steps), wanted)
    if what is None:
        return None, compared
    steps = shortest(steps, tried)
    lines = "".join(f"    {step!r},\n" for step in steps)
    return f"seed {seed}: {what}\nthe shortest program: {differs(steps, tried)}\ncheck([\n{lines}])", compared
