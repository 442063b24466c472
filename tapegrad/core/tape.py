"""The tape: a Wengert list, one per thread.

The tape is a plain Python list of entries (entry.py) in the order in which the operations ran. So no topological sort is
needed: from the end of the list, every use of a value comes before the operation that computed it.

How dead entries are removed. A tensor holds its entry, an entry holds the entries of its operands, and the tape holds all of
them. An entry whose reference count shows that only the tape holds it can never be reached again. `reap` walks the list once
from the end and drops such entries; each drop releases the operands, which come next. It runs when the tape is read, when it
is longer than `limit`, and when results of more than LARGE bytes have used up `room`. If a reap finds mostly living entries,
the next one runs when there is twice as much. So the memory of a loop that never calls backward() is bounded without no_grad,
at a cost below 0.1 microseconds per entry, and a training loop is not slowed down.
(Rejected: weak references from the tape, which free at once but make every recorded operation a fifth slower;
finalisers on tensors, which are slower still.)

Threads. `thread.tape` is this thread's tape. An entry knows its tape, and the sweep raises ThreadError for a delta of an entry
of another one. Leaves may be shared: a sweep stores their deltas privately until it ends.

Mutation of a saved value. It cannot happen: an array that the tape has saved is never handed out (tensor.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from itertools import islice, takewhile
from math import inf
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from tapegrad.core import naming
from tapegrad.core.refcount import LONE_POPPED
from tapegrad.kernels.allocator import keep_freed_memory

if TYPE_CHECKING:
    from tapegrad.core.entry import Entry
    from tapegrad.debug.views import Tape

T = TypeVar("T", bound=Callable[..., Any])
F = TypeVar("F", bound=Callable[..., Any])
Listed = tuple[str, str, tuple[str, ...]]

LIMIT = 128                             # entries: so few, released together, trigger no garbage collection
ROOM = 16 * 2**20                       # bytes
LARGE = 32 * 2**10                      # bytes of a result; for smaller ones the recorders only count entries


class Mark:
    """`with tape.marked() as mark:` tells later what was recorded since.

    entry      the one after which that begins, or None: the next before it, where a backward() has consumed it
    consumed   the entries made since that a backward() has consumed meanwhile
    """

    __slots__ = ("tape", "entry", "consumed")

    def __init__(self, tape: TapeBase) -> None:
        self.tape = tape
        self.consumed: set[Any] = set()                 # set[Any]() takes four times as long
        self.entry = tape.entries[-1] if tape.entries else None

    def __enter__(self) -> Mark:
        self.tape.marks.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        self.tape.marks.remove(self)

    def made(self) -> list[Entry]:
        """The entries recorded since, in their order."""
        found = list(takewhile(lambda entry: entry is not self.entry, reversed(self.tape.entries)))
        return found[::-1]


class TapeBase:
    """A thread's list of recorded operations: a sequence of `(z, g, (y1, .., yk))`, all of them names.

    `len(t)`, `t[i]` and iteration give the living entries; `print(t)` lists lines like `z3 = tanh(z2)`.
    """

    __slots__ = ("entries", "limit", "room", "initial", "recording", "watch", "marks", "wanted", "tracer", "levels")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.recording = True
        self.limit: float = LIMIT
        self.room: float = ROOM
        self.initial: tuple[float, float] = self.limit, self.room       # limit and room of an empty tape
        self.watch: Callable[..., None] | None = None   # called with every contribution (debug/anomaly.py)
        self.marks: list[Mark] = []
        self.wanted: Collection[Any] = ()               # the registers whose deltas the running sweep was asked for
        self.tracer: Any = None                         # what listens to every operation of this thread (compiler/tracer.py)
        self.levels: list[Any] = []                     # the runs under vmap that this thread is in (transforms/batched.py)

    def grown(self, nbytes: int) -> None:
        """Called when a large entry, or one beyond `limit`, was appended: reap if `room` or `limit` is exceeded."""
        self.room -= nbytes
        keep_freed_memory()                             # of the step, for the next one
        if self.room < 0 or len(self.entries) > self.limit:
            self.reap()

    def reap(self) -> None:
        """Drop the entries that only the tape holds; not while a sweep walks over them, of which some have a delta by then."""
        if self.limit == inf:
            return
        entries, living, before = self.entries, [], len(self.entries)
        pop = entries.pop
        for _ in range(before):
            entry = pop()
            if getrefcount(entry) > LONE_POPPED and entry.tape is not None:
                living.append(entry)
        living.reverse()
        entries.extend(living)
        self.limit = max(LIMIT, 2 * len(living))
        if not living:
            self.room = ROOM
        elif self.room < 0:                             # else there is some left; to add up takes longer than to drop
            self.room = max(ROOM, sum([value.nbytes for entry in living for value in entry.saved if hasattr(value, "nbytes")]))
        self.initial = (2 * self.limit, 2 * self.room) if 2 * len(living) > before else (LIMIT, ROOM)

    def marked(self) -> Mark:
        """A mark behind what is recorded now."""
        return Mark(self)

    def drop_consumed(self) -> None:
        """Drop the entries that a backward() has consumed, and put marks on such ones before them."""
        for mark in self.marks:
            made = mark.made()
            mark.consumed |= {entry for entry in made if entry.tape is None}
            if mark.entry is not None and mark.entry.tape is None:
                older = islice(reversed(self.entries), len(made), None)
                mark.entry = next((entry for entry in older if entry.tape is not None), None)
        self.entries[:] = [entry for entry in self.entries if entry.tape is not None]

    def keep_all(self) -> None:
        """Disable reaping, until `limit` and `room` are set again."""
        self.limit = self.room = inf

    def living(self) -> list[Entry]:
        """The entries for reading: those that are still to be reached, and have not been consumed."""
        self.reap()
        return [entry for entry in self.entries if entry.tape is not None]

    def wengert(self) -> list[Listed]:
        """The living entries as a plain list of `(z, g, (y1, .., yk))`, all of them strings."""
        return naming.named(self.living())

    def __len__(self) -> int:
        return len(self.living())

    def __getitem__(self, position: Any) -> Any:
        return self.wengert()[position]

    def __iter__(self) -> Iterator[Listed]:
        return iter(self.wengert())

    def __str__(self) -> str:
        return "\n".join(naming.lines(self.living()))

    def __repr__(self) -> str:
        return f"<tape of {len(self)} entries>"


class _Thread(threading.local):
    def __init__(self) -> None:
        self.tape: Tape = _class_of_tapes()


_class_of_tapes: Any = TapeBase             # replaced by Tape of debug/views.py, which has the methods for reading it
thread = _Thread()
listening: list[Any] = []                   # the tracers of all threads


def tracer() -> Any:
    """What listens to this thread's operations, recorded or not; None if nothing does."""
    return thread.tape.tracer if listening else None


def changing(tensors: Callable[..., Any]) -> Callable[[F], F]:
    """Decorator of what changes things beside tensors, or tensors in place: a tracer has it done again at each replay.

    `tensors(*args, **kwargs)` are those whose values it changes.
    """
    def decorate(method: F) -> F:
        @wraps(method)
        def told(*args: Any, **kwargs: Any) -> Any:
            listener = thread.tape.tracer if listening else None
            return method(*args, **kwargs) if listener is None else listener.effect(method, args, kwargs, tensors)

        return told         # type: ignore[return-value]

    return decorate


def no_tensors(*args: Any, **kwargs: Any) -> tuple[()]:
    """What changes no tensor."""
    return ()


effect = changing(no_tensors)


def tapes_are(cls: T) -> T:
    """Class decorator: tapes are instances of this class."""
    global _class_of_tapes
    _class_of_tapes = cls
    thread.tape = cls()
    return cls


def tape() -> Tape:
    """This thread's tape: the operations that it has recorded and can still differentiate, as a Wengert list.

    >>> x = tg.tensor(2.0, requires_grad=True, name="x")
    >>> y = tg.sin(x * x)
    >>> print(tg.tape())
    z1 = multiply(x, x)
    y = sin(z1)
    >>> tg.tape()[0]
    ('z1', 'multiply', ('x', 'x'))
    """
    return thread.tape


class _Recording:
    """A context manager, also a decorator, that turns this thread's recording on or off, and restores it on exit."""

    recording: bool
    _before: list[bool]

    @overload
    def __new__(cls, function: None = None) -> Self: ...

    @overload
    def __new__(cls, function: F) -> F: ...     # type: ignore[misc]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = super().__new__(cls)
        self._before = []
        return self if function is None else self(function)

    def __enter__(self) -> Self:
        tape = thread.tape
        self._before.append(tape.recording)
        tape.recording = self.recording
        return self

    def __exit__(self, *exception: object) -> None:
        thread.tape.recording = self._before.pop()

    def __call__(self, function: F) -> F:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return wrapped      # type: ignore[return-value]


class no_grad(_Recording):
    """`with no_grad():` nothing is recorded on this thread; results do not require gradients. Also `@no_grad()`.

    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """

    recording = False


class enable_grad(_Recording):
    """`with enable_grad():` records again inside a `no_grad()`. Also `@enable_grad()`.

    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.no_grad(), tg.enable_grad():
    ...     y = x * x
    >>> y.requires_grad
    True
    """

    recording = True
