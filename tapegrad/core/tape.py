"""The tape: a Wengert list, one per thread.

The tape is a plain Python list of entries (registers.py) in the order in which the operations ran. So no sorting is
ever needed: walking the list downwards meets every use of a value before the operation that made it.

How dead entries leave. A tensor holds its entry, an entry holds the entries of its operands, and the tape holds all of
them. An entry whose reference count says that only the tape is left can never be reached again. `reap` walks the list
once from the end, dropping such entries; each drop releases the operands, which come next. It runs when the tape is
looked at, when it is longer than `limit`, and when results of more than LARGE bytes have used up `room`. Where a reap finds
mostly living entries, the next one comes when there is twice as much. So a loop that never calls backward() stays flat
without no_grad, at a cost below 0.1 microseconds an entry, and a training loop is left alone.
(Rejected: weak references from the tape, which free at once but make every recorded operation a fifth slower;
finalisers on tensors, dearer still.)

How threads are kept apart. `thread.tape` is this thread's tape. An entry knows its tape, and the sweep refuses a delta
for an entry of another one. Leaves may be shared: a sweep keeps their deltas to itself until it ends.

How a mutated value is noticed. It cannot happen: an array that the tape has saved is never handed out (tensor.py).
"""

import threading
from functools import wraps
from math import inf
from sys import getrefcount

from tapegrad.core import naming
from tapegrad.core.refcount import LONE_POPPED

LIMIT = 128                             # entries: so many that die together are too few for a garbage collection
ROOM = 16 * 2**20                       # bytes
LARGE = 32 * 2**10                      # bytes of a result, up to which the recorders only count the entries


class TapeBase:
    """A thread's list of recorded operations. Reads as a list of `(z, g, (y1, .., yk))`, all of them names.

    `len(t)`, `t[i]` and iteration give the living entries; `print(t)` lists lines like `z3 = tanh(z2)`.
    """

    __slots__ = ("entries", "limit", "room", "initial", "recording", "watch")

    def __init__(self):
        self.entries, self.recording = [], True
        self.limit, self.room = self.initial = LIMIT, ROOM      # initial: what an empty tape starts with
        self.watch = None                               # what is called with every contribution (anomaly.py)

    def grown(self, nbytes):
        """An entry was appended that is large, or one more than `limit`: reap, if it is time."""
        self.room -= nbytes
        if self.room < 0 or len(self.entries) > self.limit:
            self.reap()

    def reap(self):
        """Drop the entries that nothing but the tape can reach."""
        entries, living, held, before = self.entries, [], 0, len(self.entries)
        pop = entries.pop
        for _ in range(before):
            entry = pop()
            if getrefcount(entry) > LONE_POPPED and entry.tape is not None:
                living.append(entry)
                held += sum([value.nbytes for value in entry.saved if hasattr(value, "nbytes")])
        living.reverse()
        entries.extend(living)
        self.limit, self.room = max(LIMIT, 2 * len(living)), max(ROOM, held)
        self.initial = (2 * self.limit, 2 * self.room) if 2 * len(living) > before else (LIMIT, ROOM)

    def keep_all(self):
        """Let nothing leave by itself, until `limit` and `room` are set again."""
        self.limit = self.room = inf

    def wengert(self):
        """The living entries as a plain list of `(z, g, (y1, .., yk))`, all of them strings."""
        self.reap()
        return naming.named(self.entries)

    def __len__(self):
        self.reap()
        return len(self.entries)

    def __getitem__(self, position):
        return self.wengert()[position]

    def __iter__(self):
        return iter(self.wengert())

    def __str__(self):
        self.reap()
        return "\n".join(naming.lines(self.entries))

    def __repr__(self):
        return f"<tape of {len(self)} entries>"


class _Thread(threading.local):
    def __init__(self):
        self.tape = Tape()


Tape = TapeBase             # the class of tapes: that of debug/views.py, with the ways to look at them
thread = _Thread()


def tapes_are(cls):
    """Decorator of the class that tapes are to have."""
    global Tape
    Tape = cls
    thread.tape = cls()
    return cls


def tape():
    """This thread's tape."""
    return thread.tape


class _Recording:
    """A context manager, also a decorator, that turns this thread's recording on or off, and back at its end."""

    recording = None

    def __new__(cls, function=None):
        self = super().__new__(cls)
        self._before = []
        return self if function is None else self(function)

    def __enter__(self):
        tape = thread.tape
        self._before.append(tape.recording)
        tape.recording = self.recording
        return self

    def __exit__(self, *exception):
        thread.tape.recording = self._before.pop()

    def __call__(self, function):
        @wraps(function)
        def wrapped(*args, **kwargs):
            with type(self)():
                return function(*args, **kwargs)

        return wrapped


class no_grad(_Recording):
    """`with no_grad():` nothing is recorded on this thread; results do not require gradients. Also `@no_grad()`."""

    recording = False


class enable_grad(_Recording):
    """`with enable_grad():` records again inside a `no_grad()`. Also `@enable_grad()`."""

    recording = True
