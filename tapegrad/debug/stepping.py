"""backward(), entry by entry: to see what the sweep does, and to find the step at which it goes wrong.

The sweep is that of core/sweep.py. backward_steps runs it to its end, with derivatives that report their inputs and results;
the steps are then read from these reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.sweep import backward, fit
from tapegrad.core.tape import thread
from tapegrad.debug.names import Names, place, without_trace
from tapegrad.debug.notes import Summary, notes_of
from tapegrad.debug.table import Table
from tapegrad.debug.watching import observing
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import arrays
from tapegrad.typing import Array, TensorLike

NOT_FINITE = "delta not finite"


def backward_steps(loss: Tensor, gradient: TensorLike | None = None, *, retain_graph: bool = False,
                   stop: str | int | Callable[[Step], bool] | None = None) -> Steps:
    """loss.backward(gradient, retain_graph=...), as an iterable of its Steps, from the last entry to the first.

    stop   the last step to return: that of the entry with this name or position on the tape; with "delta not finite", the
           first with a delta or a contribution that is not finite; or the first for which this function of a Step is true

    The whole sweep runs and accumulates gradients when this is called; `stop` only limits the steps returned. TypeError for
    another `stop`.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> loss = tg.sum(tg.square(x))
    >>> for step in tg.backward_steps(loss):
    ...     print(step)
    loss = sum(z1, axis=None, keepdims=False)
        delta[loss] = 1.
        delta[z1] += delta[loss] d(sum)/dz1 = [1., 1.]
    z1 = square(x)
        delta[z1] = [1., 1.]
        delta[x] += delta[z1] d(square)/dx = [2., 4.]
    """
    reached = _condition(stop)
    notes, entries = notes_of(thread.tape), list(thread.tape.entries)
    names, taken, sees = Names(notes), list[Step](), list[tuple[Any, Callable[..., None]]]()
    name_of = {entry: names(note) for entry, note in zip(entries, notes)}
    for index, (entry, note) in enumerate(zip(entries, notes)):
        step = Step(index, names(note), names.line(note), place(note))
        ys = [(name_of[y] if y in name_of else names.of.get(y), y.shape, y.dtype)
              if type(y) in (Entry, Leaf) else None for y in entry.ys]
        sees.append((entry, _see(step, note.g, ys, taken)))
    with observing(sees):
        backward(loss, gradient, retain_graph=retain_graph)
    return Steps(taken, reached, without_trace(notes, "the lines of the steps"))


def _see(step: Step, g: str, ys: Sequence[Any], taken: list[Step]) -> Callable[..., None]:
    def see(position: int, first: bool, d: Any, c: Any, start: float, end: float, saved: Sequence[Any]) -> None:
        if first:
            step.delta = d
            taken.append(step)
        if c is not None:
            name, shape, dtype = ys[position]
            with np.errstate(all="ignore"):
                step.contributions.append((name or "the kept gradient", g, fit(arrays, c, shape, dtype)))

    return see


class Step:
    """One step of the sweep, for one entry.

    index, name, entry, place   the position on the tape, the name of z, the text `h = tanh(z2)`, the user's line
    delta                       the complete delta of z
    contributions               [(name of y, g, the contribution to its delta)]
    """

    def __init__(self, index: int, name: str, entry: str, place: str) -> None:
        self.index, self.name, self.entry, self.place = index, name, entry, place
        self.delta: Any = None
        self.contributions: list[tuple[str, str, Array]] = []

    @property
    def finite(self) -> bool:
        """Whether all elements of the delta and of the contributions are finite."""
        return all(np.isfinite(x).all() for x in (self.delta, *(c for _, _, c in self.contributions)))

    def __str__(self) -> str:
        where = f"    [{self.place}]" if self.place else ""
        lines = [f"{self.entry}{where}", f"    delta[{self.name}] = {_text(self.delta)}"]
        return "\n".join(lines + [f"    delta[{y}] += delta[{self.name}] d({g})/d{y} = {_text(c)}"
                                  for y, g, c in self.contributions])

    __repr__ = __str__


class Steps:
    """The steps of a backward(), up to the one that meets `stop`; `stopped` is that one, or None."""

    def __init__(self, taken: Sequence[Step], reached: Callable[[Step], bool], hints: Sequence[str] = ()) -> None:
        self._hints = hints
        self.steps: list[Step] = []
        self.stopped: Step | None = None
        for step in taken:
            self.steps.append(step)
            if reached(step):
                self.stopped = step
                break

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, position: int) -> Step:
        return self.steps[position]

    def table(self) -> Table:
        """The steps as a table, a row each."""
        return Table(f"backward() in {len(self)} steps", {
            "#": [step.index for step in self], "entry": [step.entry for step in self],
            "delta": [_text(step.delta) for step in self],
            "contributions": ["; ".join(f"{y}: {_text(c)}" for y, _, c in step.contributions) for step in self],
            "line": [step.place for step in self]},
            [f"stopped at {self.stopped.name}"] if self.stopped is not None else [], self._hints)

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _condition(stop: str | int | Callable[[Step], bool] | None) -> Callable[[Step], bool]:
    if callable(stop):
        return stop
    if stop == NOT_FINITE:
        return lambda step: not step.finite
    if stop is None or isinstance(stop, (str, int)):
        return lambda step: stop is not None and stop == (step.name if isinstance(stop, str) else step.index)
    raise TypeError(f"backward_steps: stop must be a name, a position, {NOT_FINITE!r} or a function of a step, got {stop!r}")


def _text(x: Array) -> str:
    if x.size > 6:
        return f"{x.dtype} {x.shape}: {Summary(x)}"
    return np.array2string(x, precision=6, separator=", ").replace("\n", "")
