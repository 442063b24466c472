"""Gradients averaged over the ranks while the sweep still runs.

Parameters are put into buckets, the last first, as a sweep finishes them; one that is larger than a bucket is a table of its
own (messages.py). When the deltas of all in a bucket are final, its sum over the ranks is started, and goes on while the sweep
does; at its end backward() waits for what has not arrived. Buckets and tables are started in one order on every rank, whatever
was final first, so that they meet. Source: Li et al., PyTorch Distributed: Experiences on Accelerating Data Parallel Training
(2020), who start from the same buckets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import prod
from threading import Lock
from typing import Any
from weakref import ref

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.reduction import reducers
from tapegrad.core.tape import effect, thread
from tapegrad.distributed.messages import SUMMED, Bucket, Like, Table
from tapegrad.distributed.sharing import broadcast
from tapegrad.distributed.world import World, world
from tapegrad.errors import DistributedError, DtypeError, GradientError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import Module

BUCKET = 256 * 1024         # bytes; docs/distributed.md has the measurements


def _messages(like: list[Like], bucket_bytes: int) -> list[Bucket | Table]:
    """What the deltas of parameters are summed by, those of the last parameters first."""
    found: list[Bucket | Table] = []
    places, size = list[int](), 0
    for i in reversed(range(len(like))):
        shape, dtype = like[i]
        summed, nbytes = SUMMED[dtype.name], prod(shape) * dtype.itemsize
        if nbytes > bucket_bytes and len(shape) > 1:
            found.append(Table(i, like[i]))
            continue
        if places and (size + nbytes > bucket_bytes or summed != SUMMED[like[places[0]][1].name]):
            found.append(Bucket(places, [like[k] for k in places]))
            places, size = [], 0
        places.append(i)
        size += nbytes
    return [*found, Bucket(places, [like[k] for k in places])] if places else found


class _Averaging:
    """The Reducer of some parameters. `examples` is what the next deltas are the mean over."""

    def __init__(self, others: World, parameters: list[Tensor], bucket_bytes: int) -> None:
        self.world, self.comm = others, others.comm.Dup()       # sums of two models may be started in different orders
        self.of_tables = others.comm.Dup()                      # as may those of tables and of buckets
        self.parameters = [ref(x) for x in parameters]
        self.examples: float | None = None
        self.buckets = _messages([(x.shape, x.dtype) for x in parameters], bucket_bytes)
        self.tables = [(at, bucket) for at, bucket in enumerate(self.buckets) if isinstance(bucket, Table)]
        # {place among the parameters: (bucket, place in it)}
        self.where = {i: (bucket, k) for bucket in self.buckets for k, i in enumerate(bucket.places)}
        self.leaves: dict[Leaf, int] = {}
        self.lock = Lock()
        self.told: set[int] = set()                     # the parameters whose delta is in its bucket
        self.broken = ""                                # the error of an earlier sweep
        self.requests: list[Any] = []                   # one for each of the first buckets
        self.sums: list[Any] = []                       # one for each of the first tables
        self.used = self.flying = False                 # whether there is any delta; whether a message is on its way

    def begin(self) -> Collection[Leaf]:
        """A parameter that was frozen meanwhile has no leaf, or another one."""
        if self.broken:
            raise DistributedError(f"backward: an earlier backward() of this DataParallel module has failed: {self.broken}")
        if not self.lock.acquire(blocking=False):
            raise GradientError("backward: called while another backward() averages the gradients of the same DataParallel "
                                "module, in a hook or another thread")
        tensors = [parameter() for parameter in self.parameters]
        if not any([x is not None for x in tensors]):
            reducers.remove(self)
        self.leaves = {x._register: i for i, x in enumerate(tensors) if x is not None and type(x._register) is Leaf}
        self.told.clear()
        self.requests, self.sums, self.used, self.flying = [], [], False, False
        for bucket in self.buckets:
            bucket.waiting = len(bucket.places)
        return self.leaves

    def final(self, leaf: Leaf, delta: Any) -> None:
        self._put(self.leaves[leaf], delta)
        if self.used:
            self._start()

    def _put(self, i: int, delta: Any) -> None:
        bucket, k = self.where[i]
        if delta is not None and not self.used:
            self.used = True
            if self.examples is None:
                raise GradientError("backward: this DataParallel has not been told of how many examples the loss is the mean: "
                                    "call the module by it, or set .examples")
        bucket.put(k, delta, self.examples or 0.0)
        bucket.waiting -= 1
        self.told.add(i)

    def _start(self) -> None:
        """Start the buckets that are complete, and the sums of tables whose rows are known, in their order."""
        mpi = self.world.mpi
        while len(self.requests) < len(self.buckets) and not (bucket := self.buckets[len(self.requests)]).waiting:
            self.requests.append(bucket.start(mpi, self.comm))
            self.flying = True
        while len(self.sums) < len(self.tables) and (at := self.tables[len(self.sums)][0]) < len(self.requests) \
                and self.requests[at].Test():
            self._start_sum()

    def _start_sum(self) -> None:
        self.sums.append(self.tables[len(self.sums)][1].start_sum(self.world.mpi, self.of_tables))

    def progress(self) -> None:
        if self.flying:                                 # MPI goes on with its work when it is asked
            self._start()
            self.flying = not self.world.mpi.Request.Testall([*self.requests, *self.sums]) or len(self.sums) < len(self.tables)

    def finish(self, found: dict[Any, Any]) -> None:
        try:
            of = {i: leaf for leaf, i in self.leaves.items()}
            for i in range(len(self.parameters)):
                if i not in self.told:
                    self._put(i, found.get(of[i]) if i in of else None)
            if not self.used:
                return
            self._start()
            for at, _ in self.tables[len(self.sums):]:
                self.world.wait("backward", self.requests[at])
                self._start_sum()
            self.world.wait("backward", *self.requests, *self.sums)
            for leaf, i in self.leaves.items():
                bucket, k = self.where[i]
                bucket.averaged(k, found, leaf)
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            self.lock.release()

    def abandon(self, error: BaseException | None) -> None:
        if self.requests:                               # the others wait for what does not come any more
            self._failed(error)
        self.lock.release()

    def _failed(self, error: BaseException | None) -> None:
        self.broken = f"{type(error).__name__}: {error}"
        self.world.tell(f"rank {self.world.rank}: {self.broken}")


class DataParallel:
    """A module whose gradients are the mean over the examples of all ranks: backward() averages them while it runs.

    module         a module, which then is called through this; or tensors, a list of them or a dictionary by name, for a model
                   that is none. The values of rank 0 are broadcast
    batch_axis     the axis of the module's first argument along which the examples are
    bucket_bytes   how many bytes of gradients are summed by one message. Of a larger parameter those rows are summed for which
                   any rank has a gradient that is not 0
    examples       how many examples the loss of the next backward() is the mean over: set by each call of the module that
                   records; for tensors, or a loss that is another mean (over the words of sentences), to be set. It may be 0

    Every rank calls backward() equally often, and uses some of the parameters each time. It gives each parameter the gradient
    sum_r n_r g_r / sum_r n_r, where g_r is that of rank r and n_r its examples: that of the mean over all, to rounding, with
    the same bits on every rank. A parameter that some ranks have not used counts as 0 there; what none has used gets no
    gradient. Hooks of parameters get the averages. Buffers, as the statistics of batch norm, stay each rank's own. All else,
    parameters(), state_dict(), train(), is the module's, under the same names.

    tg.grad, tg.autograd.grad and the other functions that return derivatives give those of this rank. DistributedError, on
    every rank, where names, shapes or dtypes differ; GradientError for backward(create_graph=True); DtypeError for a parameter
    of long doubles; ValueError for a parameter that another DataParallel has.

    >>> model = tg.distributed.DataParallel(tg.nn.Linear(2, 1))
    >>> model(np.ones((3, 2), "f4")).mean().backward()
    >>> model.weight.grad, model.examples
    (array([[1., 1.]], dtype=float32), 3)
    """

    def __init__(self, module: Module | Iterable[Tensor] | Mapping[str, Tensor], batch_axis: int = 0,
                 bucket_bytes: int = BUCKET) -> None:
        if isinstance(module, Module):
            tensors = list(module.parameters())
        else:
            tensors = list(module.values() if isinstance(module, Mapping) else module)
        for x in tensors:
            if not isinstance(x, Tensor):
                raise TypeError(f"DataParallel: {describe(x)} among the parameters; a module, or tensors are needed")
            if x.dtype.name not in SUMMED:
                raise DtypeError(f"DataParallel: a parameter {describe(x)}; {', '.join(SUMMED)} are summed")
        if not tensors or bucket_bytes < 1:
            raise ValueError("DataParallel: there are no parameters" if not tensors else
                             f"DataParallel: bucket_bytes={bucket_bytes}; it is at least 1")
        self.module, self.batch_axis = module, batch_axis
        self._averaging: Any = _Alone()
        others = world()
        if others is None:
            return
        taken = {id(parameter()) for reducer in reducers for parameter in getattr(reducer, "parameters", ())}
        if any(id(x) in taken for x in tensors):
            raise ValueError("DataParallel: a parameter belongs to another DataParallel already")
        broadcast(tensors + (list(module.buffers()) if isinstance(module, Module) else []))
        self._averaging = _Averaging(others, tensors, bucket_bytes)
        reducers.append(self._averaging)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if not isinstance(self.module, Module):
            raise TypeError("DataParallel: it was given tensors, and not a module that could be called")
        if thread.tape.recording:
            first = next((x for x in (*inputs, *options.values()) if hasattr(x, "shape")), None)
            if first is None or len(first.shape) <= self.batch_axis:
                raise TypeError(f"DataParallel: an array or a tensor with the axis {self.batch_axis} of the examples is needed "
                                "among the arguments")
            self._count(first.shape[self.batch_axis])
        return self.module(*inputs, **options)

    @effect
    def _count(self, examples: float) -> None:
        self._averaging.examples = examples

    @property
    def examples(self) -> float | None:
        """How many examples the loss of the next backward() is the mean over; None before that is known."""
        return self._averaging.examples             # type: ignore[no-any-return]

    @examples.setter
    def examples(self, n: float) -> None:
        if not 0 <= n < np.inf:
            raise ValueError(f"DataParallel: examples={n}; a number of at least 0 is needed")
        self._count(float(n))

    def __getattr__(self, name: str) -> Any:
        if name in ("module", "_averaging"):            # before they are there, as in copies
            raise AttributeError(name)
        return getattr(self.module, name)

    def __repr__(self) -> str:
        return f"DataParallel({self.module!r})"


class _Alone:
    """What stands for _Averaging without other ranks."""

    examples: float | None = None
