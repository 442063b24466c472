"""Gradients averaged over the ranks while the sweep still runs.

Parameters are put into buckets, the last first, as a sweep finishes them. When the deltas of all in a bucket are final, its
sum over the ranks is started, and goes on while the sweep does; at its end backward() waits for what has not arrived. The
buckets are started in one order on every rank, whatever was final first, so that they meet.

A bucket holds, beside the deltas times the number of examples that they are the mean over, a flag for each parameter, whether
this rank has a delta for it, and that number. So one message says it all: sum / examples is the mean over all examples, and a
parameter that no rank has used gets no gradient, as on one process. Source: Li et al., PyTorch Distributed: Experiences on
Accelerating Data Parallel Training (2020), who start from the same buckets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import Any
from weakref import ref

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.reduction import reducers
from tapegrad.core.tape import effect, thread
from tapegrad.distributed.sharing import broadcast
from tapegrad.distributed.world import World, world
from tapegrad.errors import DistributedError, DtypeError, GradientError, describe
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import Module
from tapegrad.typing import Array

BUCKET = 256 * 1024         # bytes; docs/distributed.md has the measurements
# Parameters are summed in these dtypes: MPI knows no numbers of 16 bits, and complex numbers are pairs.
SUMMED = {"float16": "float32", "float32": "float32", "float64": "float64", "complex64": "float32", "complex128": "float64"}


class _Bucket:
    """Some parameters, whose deltas are summed by one message: [deltas, flags, examples]."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.places: list[int] = []                     # among the parameters
        self.parts: list[Array] = []                    # of the buffer, in the shapes of the parameters
        self.nbytes = self.waiting = 0

    def allocate(self, like: list[tuple[tuple[int, ...], np.dtype[Any]]]) -> None:
        """Make the buffer, for parameters of these shapes and dtypes."""
        kinds = [np.dtype(dtype.char) if dtype.kind == "c" else self.dtype for _, dtype in like]
        sizes = [int(np.prod(shape)) * kind.itemsize // self.dtype.itemsize for (shape, _), kind in zip(like, kinds)]
        self.buffer: Array = np.zeros(sum(sizes) + len(sizes) + 1, self.dtype)
        self.flags = self.buffer[-len(sizes) - 1:-1]
        pieces = np.split(self.buffer[:sum(sizes)], np.cumsum(sizes)[:-1])
        self.parts = [piece.view(kind).reshape(shape) for piece, kind, (shape, _) in zip(pieces, kinds, like)]


class _Averaging:
    """The Reducer of some parameters. `examples` is what the next deltas are the mean over."""

    def __init__(self, others: World, parameters: list[Tensor], bucket_bytes: int) -> None:
        self.world, self.comm = others, others.comm.Dup()       # sums of two models may be started in different orders
        self.parameters = [ref(x) for x in parameters]
        self.examples: float | None = None
        self.like = [(x.shape, x.dtype) for x in parameters]
        self.buckets: list[_Bucket] = []
        for i in reversed(range(len(parameters))):
            dtype, nbytes = SUMMED[parameters[i].dtype.name], parameters[i]._value.nbytes
            bucket = self.buckets[-1] if self.buckets else None
            if bucket is None or bucket.dtype != dtype or bucket.nbytes + nbytes > bucket_bytes:
                self.buckets.append(bucket := _Bucket(dtype))
            bucket.places.append(i)
            bucket.nbytes += nbytes
        self.where: dict[int, tuple[_Bucket, int]] = {}         # {place among the parameters: (bucket, place in it)}
        for bucket in self.buckets:
            bucket.allocate([self.like[i] for i in bucket.places])
            self.where.update({i: (bucket, k) for k, i in enumerate(bucket.places)})
        self.leaves: dict[Leaf, int] = {}
        self.lock = Lock()
        self.told: set[int] = set()                     # the parameters whose delta is in its bucket
        self.broken = ""                                # the error of an earlier sweep
        self.requests: list[Any] = []                   # a sum for each of the first buckets
        self.used = self.flying = False                 # whether there is any delta; whether a sum is on its way

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
        self.requests, self.used, self.flying = [], False, False
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
        if delta is None or not self.examples:
            bucket.parts[k][...] = 0
        else:
            part = bucket.parts[k]
            np.multiply(delta, self.examples, out=part, dtype=part.dtype)       # a product of float16 would overflow
        bucket.flags[k] = delta is not None
        bucket.waiting -= 1
        self.told.add(i)

    def _start(self) -> None:
        """Start the sums of the buckets that are complete, in their order."""
        while len(self.requests) < len(self.buckets) and not (bucket := self.buckets[len(self.requests)]).waiting:
            bucket.buffer[-1] = self.examples
            self.requests.append(self.comm.Iallreduce(self.world.mpi.IN_PLACE, bucket.buffer))
            self.flying = True

    def progress(self) -> None:
        if self.flying:                                 # MPI goes on with its work when it is asked
            self.flying = not self.world.mpi.Request.Testall(self.requests)

    def finish(self, found: dict[Any, Any]) -> None:
        try:
            of = {i: leaf for leaf, i in self.leaves.items()}
            for i in range(len(self.parameters)):
                if i not in self.told:
                    self._put(i, found.get(of[i]) if i in of else None)
            if not self.used:
                return
            self._start()
            self.world.wait("backward", *self.requests)
            for leaf, i in self.leaves.items():
                bucket, k = self.where[i]
                found.pop(leaf, None)
                if bucket.flags[k]:
                    (shape, dtype), examples = self.like[i], bucket.buffer[-1]
                    found[leaf] = np.divide(bucket.parts[k], examples or 1, out=np.empty(shape, dtype), casting="same_kind")
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
    bucket_bytes   how many bytes of gradients are summed by one message
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
