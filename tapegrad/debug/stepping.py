"""backward(), entry by entry: to see what the sweep does, and to stop where it goes wrong.

The sweep is the one of sweep.py. It runs to its end when backward_steps is called, with derivatives that tell what they got
and gave, and what it did is then gone through again.
"""

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.sweep import backward, fit
from tapegrad.core.tape import thread
from tapegrad.debug.names import Names, place
from tapegrad.debug.notes import Summary, notes_of
from tapegrad.debug.watching import observed
from tapegrad.primitives import arrays

NOT_FINITE = "delta not finite"


def backward_steps(loss, gradient=None, *, retain_graph=False, stop=None):
    """loss.backward(gradient, retain_graph=...), as an iterable of the Steps that it took, from the last entry to the first.

    stop   end after the step of the entry with this name or position on the tape; after the first that gets or gives a delta
           which is "delta not finite"; or after the first for which this function of a Step is true

        for step in tg.backward_steps(loss, stop="h"):
            print(step)

    The gradients are accumulated when this is called; stopping ends what is shown.
    """
    reached = _condition(stop)
    notes, entries = notes_of(thread.tape), list(thread.tape.entries)
    names, before, taken = Names(notes), [], []
    name_of = {entry: names(note) for entry, note in zip(entries, notes)}
    try:
        for index, (entry, note) in enumerate(zip(entries, notes)):
            before.append((entry, entry.plan))
            step = Step(index, names(note), names.line(note), place(note))
            ys = [(name_of[y] if y in name_of else names.of.get(y), y.shape, y.dtype)
                  if type(y) in (Entry, Leaf) else None for y in entry.ys]
            entry.plan = observed(entry, _see(step, note.g, ys, taken))
        backward(loss, gradient, retain_graph=retain_graph)
    finally:
        for entry, plan in before:
            entry.plan = plan
    return Steps(taken, reached)


def _see(step, g, ys, taken):
    def see(position, first, d, c, start, end, saved):
        if first:
            step.delta = d
            taken.append(step)
        if c is not None:
            name, shape, dtype = ys[position]
            with np.errstate(all="ignore"):
                step.contributions.append((name or "the kept gradient", g, fit(arrays, c, shape, dtype)))

    return see


class Step:
    """What the sweep did with one entry.

    index, name, entry, place   the position on the tape, the name of z, the text `h = tanh(z2)`, the user's line
    delta                       the complete delta of z
    contributions               [(name of y, g, the contribution to its delta)]
    """

    def __init__(self, index, name, entry, place):
        self.index, self.name, self.entry, self.place, self.delta, self.contributions = index, name, entry, place, None, []

    @property
    def finite(self):
        return all(np.isfinite(x).all() for x in (self.delta, *(c for _, _, c in self.contributions)))

    def __str__(self):
        where = f"    [{self.place}]" if self.place else ""
        lines = [f"{self.entry}{where}", f"    delta[{self.name}] = {_text(self.delta)}"]
        return "\n".join(lines + [f"    delta[{y}] += delta[{self.name}] d({g})/d{y} = {_text(c)}"
                                  for y, g, c in self.contributions])


class Steps:
    """The steps of a backward(), up to the one where it is to stop; `stopped` is that one, or None."""

    def __init__(self, taken, reached):
        self.steps, self.stopped = [], None
        for step in taken:
            self.steps.append(step)
            if reached(step):
                self.stopped = step
                break

    def __iter__(self):
        return iter(self.steps)

    def __len__(self):
        return len(self.steps)

    def __getitem__(self, position):
        return self.steps[position]

    def __str__(self):
        return "\n".join(map(str, self.steps))


def _condition(stop):
    if callable(stop):
        return stop
    if stop == NOT_FINITE:
        return lambda step: not step.finite
    if stop is None or isinstance(stop, (str, int)):
        return lambda step: stop is not None and stop == (step.name if isinstance(stop, str) else step.index)
    raise TypeError(f"backward_steps: stop is a name, a position, {NOT_FINITE!r} or a function of a step; got {stop!r}")


def _text(x):
    if x.size > 6:
        return f"{x.dtype} {x.shape}: {Summary(x)}"
    return np.array2string(x, precision=6, separator=", ").replace("\n", "")
