"""The processes of a run: how it starts, how a rank waits for others, and how all of them end when one does.

A rank never blocks inside of MPI, where it could not be told of anything: operations are non-blocking, and `World.wait` asks
for them until they are complete. Meanwhile it listens for messages of ranks that end, or fail, and looks at the clock.

Each rank sends every other one message in its life, by a communicator of its own (`control`): an empty one when it ends, or
the text of its error. At its end it waits for those of all others.
"""

from __future__ import annotations

import atexit
import os
import pickle
import platform
import sys
from time import monotonic, sleep
from types import TracebackType
from typing import Any
from zlib import crc32

import numpy as np

from tapegrad.errors import DistributedError
from tapegrad.typing import Array

SPIN = 0.002            # seconds of asking without a pause: longer than most messages take
PAUSE = 0.0001          # seconds between questions after that
GRACE = 3.0             # seconds in which a message of a rank that has ended may still arrive
# What launchers tell of the number of processes: Open MPI's; MPICH's, Intel's and Slurm's (PMI); Microsoft's.
SIZES = "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"


class World:
    """The processes of a run, and communication between them.

    mpi       the module mpi4py.MPI
    timeout   seconds that one rank waits for the others
    """

    def __init__(self, mpi: Any, timeout: float) -> None:
        self.mpi, self.timeout = mpi, timeout
        self.comm, self.control = mpi.COMM_WORLD.Dup(), mpi.COMM_WORLD.Dup()
        self.rank: int = self.comm.rank
        self.size: int = self.comm.size
        self.ended: dict[int, str] = {}                 # {rank: "", or the text of its error}
        self.sent: list[tuple[Any, bytes]] = []         # MPI reads a text until its request is complete

    def wait(self, operation: str, *requests: Any) -> None:
        """Until the requests are complete. DistributedError where they cannot be any more."""
        start = now = monotonic()
        asked, lost = start, 0.0
        while not self.mpi.Request.Testall(requests):
            now = monotonic()
            if now - start < SPIN:
                continue
            sleep(PAUSE)
            if now - asked > 0.05:
                asked = now
                self.listen()
                lost = lost or (now if self.ended else 0.0)
            if lost and now - lost > GRACE:
                other, text = next(iter(self.ended.items()))
                raise DistributedError(f"{operation}: rank {self.rank} waits for rank {other}, which "
                                       + (f"has failed: {text}" if text else "has ended"))
            if now - start > self.timeout:
                raise DistributedError(f"{operation}: rank {self.rank} has waited {self.timeout:g} s for the others; they have "
                                       "stopped, are that slow (see init(timeout=)), or do something else")

    def listen(self) -> None:
        """Receive what ranks that end have sent."""
        status = self.mpi.Status()
        while self.control.Iprobe(self.mpi.ANY_SOURCE, 0, status):
            text = bytearray(status.Get_count(self.mpi.BYTE))
            self.control.Recv([text, self.mpi.BYTE], status.source, 0)
            self.ended[status.source] = text.decode(errors="replace")

    def tell(self, text: str) -> None:
        """Tell all other ranks, once, that this one ends."""
        message = text.encode(errors="replace")[:4000]
        if not self.sent:
            self.sent = [(self.control.Isend([message, self.mpi.BYTE], other, 0), message) for other in range(self.size)
                         if other != self.rank]

    def leave(self) -> None:
        """At the end of the process: MPI wants every message to be received before."""
        self.tell("")
        while len(self.ended) < self.size - 1:
            self.listen()
            sleep(10 * PAUSE)
        self.mpi.Request.Waitall([request for request, _ in self.sent])

    # What is sent

    def exchange(self, operation: str, held: Any) -> list[Any]:
        """The objects of all ranks, in their order."""
        mine = np.frombuffer(pickle.dumps(held), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.wait(operation, self.comm.Iallgather(np.array([mine.size]), sizes))
        everything, ends = np.empty(sizes.sum(), np.uint8), np.cumsum(sizes)
        self.wait(operation, self.comm.Iallgatherv(mine, [everything, sizes, ends - sizes, self.mpi.BYTE]))
        return [pickle.loads(part.data) for part in np.split(everything, ends[:-1])]

    def from_first(self, operation: str, held: Any) -> Any:
        """The object of rank 0."""
        sent = np.frombuffer(pickle.dumps(held), np.uint8) if self.rank == 0 else np.empty(0, np.uint8)
        size = np.array([sent.size])
        self.wait(operation, self.comm.Ibcast(size, 0))
        sent = sent if self.rank == 0 else np.empty(size[0], np.uint8)
        self.wait(operation, self.comm.Ibcast(sent, 0))
        return held if self.rank == 0 else pickle.loads(sent.data)

    def sum(self, operation: str, x: Array) -> Array:
        """The sum of an array over the ranks, the same bits on each."""
        z = np.empty_like(x, order="C")
        self.wait(operation, self.comm.Iallreduce(np.ascontiguousarray(x), z))
        return z

    def same(self, operation: str, what: str, held: Any) -> None:
        """DistributedError, on every rank, where they do not hold the same."""
        found = self.exchange(operation, held)
        if any(other != found[0] for other in found):
            shown = [f"rank {i}: {other}" for i, other in enumerate(found) if i == 0 or other != found[0]]
            raise DistributedError(f"{operation}: the ranks differ in {what}; {', '.join(shown[:4])}")

    def alike(self, operation: str, what: str, text: str) -> None:
        """The same, by one short message where they do."""
        sums = np.empty(self.size, np.int64)
        self.wait(operation, self.comm.Iallgather(np.array([crc32(text.encode())]), sums))
        if (sums != sums[0]).any():
            self.same(operation, what, text)


_world: World | None = None


def world() -> World | None:
    """The world, where there is more than this process."""
    return _world


def rank() -> int:
    """Which of the processes this is, from 0 to world_size() - 1; 0 before init(), and without MPI.

    >>> tg.distributed.rank()
    0
    """
    return 0 if _world is None else _world.rank


def world_size() -> int:
    """How many processes train together; 1 before init(), and without MPI.

    >>> tg.distributed.world_size()
    1
    """
    return 1 if _world is None else _world.size


def _started() -> int:
    """How many processes the launcher says that it has started."""
    told = [os.environ.get(name, "") for name in SIZES]
    return max([int(text) for text in told if text.isdigit()], default=1)


def init(timeout: float = 600.0) -> None:
    """Join the processes that mpiexec has started with this one. A process that was started alone stays alone.

    timeout   seconds that a rank waits for the others before it raises DistributedError

    From then on an error that ends this process ends all of them. Called again, it does nothing. DistributedError where
    mpiexec has started several processes and mpi4py is not installed, or is of another MPI than mpiexec, and where the
    processes run different versions of tapegrad, NumPy or Python. ValueError for a timeout that is not positive.

    >>> tg.distributed.init()           # without mpiexec
    >>> tg.distributed.rank(), tg.distributed.world_size()
    (0, 1)
    """
    global _world
    if not timeout > 0:
        raise ValueError(f"init: timeout={timeout}; seconds are needed, more than 0")
    if _world is not None:
        return
    started = _started()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:        # RuntimeError: there is no MPI for mpi4py to load
        if started > 1:
            raise DistributedError(f"init: mpiexec has started {started} processes, and mpi4py is not installed, or finds no "
                                   f"MPI ({error}); pip install 'tapegrad[distributed]'") from None
        return
    size = MPI.COMM_WORLD.size
    if size == 1 < started:
        raise DistributedError(f"init: mpiexec has started {started} processes, and for mpi4py each of them is alone: its MPI, "
                               f"{MPI.Get_library_version().split(',')[0].splitlines()[0]}, is not that of mpiexec; run the "
                               "mpiexec that is installed beside this Python")
    if size == 1:
        return
    joined = World(MPI, timeout)
    from tapegrad import __version__

    before = sys.excepthook

    def failed(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        before(kind, error, traceback)
        sys.stderr.flush()
        joined.comm.Abort(1)

    sys.excepthook = failed
    joined.same("init", "what they run", {"tapegrad": __version__, "NumPy": np.__version__,
                                          "Python": ".".join(platform.python_version_tuple()[:2]), "bytes": sys.byteorder})
    atexit.register(joined.leave)
    _world = joined
