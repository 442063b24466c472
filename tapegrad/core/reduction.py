"""What is told of leaves while a sweep still runs: that a delta is final, so that it can be averaged over processes meanwhile.

A leaf is an operand of many entries; its delta is final when the sweep has passed the first of them. To find these, the
tape is read once before such a sweep, which is the cost of it. Without a reducer there is none. Only backward() tells;
sweeps that return their deltas, as those of tg.grad, do not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from tapegrad.core.entry import Entry, Leaf
from tapegrad.errors import GradientError


class Reducer(Protocol):
    """Replaces the deltas of some leaves (distributed/reducer.py)."""

    def begin(self) -> Collection[Leaf]:
        """A sweep starts: the leaves that are to be told of."""

    def final(self, leaf: Leaf, delta: Any) -> None:
        """The delta of a leaf is final; None for 0."""

    def progress(self) -> None:
        """Called after some entries each."""

    def finish(self, found: dict[Any, Any]) -> None:
        """The sweep has ended with {leaf: delta}; the reducer's leaves get their new deltas there."""

    def abandon(self, error: BaseException | None) -> None:
        """The sweep has ended with an error."""


STRIDE = 16                             # entries
reducers: list[Reducer] = []            # of all threads


class Reduction:
    """The reducers during one sweep."""

    def __init__(self, create_graph: bool) -> None:
        self.create_graph, self.begun = create_graph, list[Reducer]()
        self.of: dict[Leaf, Reducer] = {}
        try:
            for reducer in tuple(reducers):
                self.of.update(dict.fromkeys(reducer.begin(), reducer))
                self.begun.append(reducer)
        except BaseException as error:
            self.abandon(error)
            raise

    def downwards(self, entries: Sequence[Entry], leaves: dict[Any, Any]) -> Iterator[Entry]:
        """The entries from the last one, for a sweep that has the deltas of leaves in `leaves`."""
        waiting, first = dict(self.of), dict[int, list[Leaf]]()
        for k, entry in enumerate(entries):
            for y in entry.ys:
                if type(y) is Leaf and y in waiting:
                    first.setdefault(k, []).append(y)
                    del waiting[y]
        if first and self.create_graph:
            raise GradientError("backward(create_graph=True): the gradients of a DataParallel module are averaged over ranks, "
                                "off the tape; tg.autograd.grad(.., create_graph=True) gives those of this rank")
        end = len(entries)
        for stop in sorted({0, *first}, reverse=True):
            while end > stop:
                start = max(stop, end - STRIDE)
                yield from entries[start:end][::-1]
                end = start
                for reducer in self.begun:
                    reducer.progress()
            for leaf in first.get(stop, ()):
                self.of[leaf].final(leaf, leaves.get(leaf))

    def finish(self, leaves: dict[Any, Any]) -> None:
        """The sweep has ended: what it found is replaced."""
        try:
            while self.begun:
                self.begun.pop(0).finish(leaves)
        except BaseException as error:
            self.abandon(error)
            raise

    def abandon(self, error: BaseException | None) -> None:
        """The sweep has ended with an error."""
        for reducer in self.begun:
            reducer.abandon(error)
        self.begun.clear()
