"""What is the same on every rank, and what each gets a part of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from tapegrad.core.tape import changing, effect
from tapegrad.distributed.world import world
from tapegrad.errors import DtypeError, describe
from tapegrad.functions.random import generator
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import Module
from tapegrad.tree import leaves
from tapegrad.typing import Array, TensorLike

T = TypeVar("T")


@effect
def all_gather(value: Any) -> list[Any]:
    """The values of all ranks in their order, on every rank; anything that can be pickled.

    >>> tg.distributed.all_gather(3)
    [3]
    """
    others = world()
    return [value] if others is None else others.exchange("all_gather", value)


@effect
def all_reduce(x: TensorLike) -> Array:
    """The sum over all ranks of arrays of one shape and dtype, a new array that has the same bits on every rank.

    DistributedError, on every rank, where shapes or dtypes differ; DtypeError for what MPI does not sum; GradientError for a
    tensor that requires a gradient: that of a sum over ranks is not computed.

    >>> tg.distributed.all_reduce([1.0, 2.0])
    array([1., 2.])
    """
    if isinstance(x, Tensor):
        x._stays("all_reduce of a tensor that requires a gradient, which would be lost: use .detach()")
    held = np.asarray(x._value if isinstance(x, Tensor) else x)
    held = held.astype(held.dtype.newbyteorder("="), copy=False)
    if held.dtype.kind not in "iufc" or held.dtype == np.float16:
        raise DtypeError(f"all_reduce: {describe(held)}; integers, floats of 32 bits or more and complex numbers are summed")
    others = world()
    if others is None:
        return held.copy()
    others.alike("all_reduce", "what they sum", describe(held))
    return others.sum("all_reduce", held)


def _targets(module: Any) -> list[Any]:
    """What broadcast() writes to."""
    found: list[Any] = []
    for held in leaves(module):
        if isinstance(held, Module):
            found += [*held.parameters(), *held.buffers(), generator()]
        elif isinstance(held, (Tensor, np.ndarray, np.random.Generator)) or hasattr(held, "load_state_dict"):
            found.append(held)
        else:
            raise TypeError(f"broadcast: {describe(held)}; modules, tensors, arrays, generators and what has a state_dict have "
                            "something to be given")
    return found


@changing(_targets)
def broadcast(module: T) -> T:
    """Give every rank what rank 0 has, and return it: called once, before training.

    module   a module: its parameters and buffers, and the state of this thread's generator; or tensors, arrays, generators,
             what has a state_dict, as optimisers, and dictionaries, lists and tuples of them

    Afterwards all ranks draw the same random numbers. For dropout of its own each may then call tg.manual_seed(seed +
    tg.distributed.rank()); shard() gives the order of batches that rank 0 draws. DistributedError, on every rank, where names,
    shapes or dtypes differ. TypeError for anything else.

    >>> model = tg.distributed.broadcast(tg.nn.Linear(2, 3))
    """
    targets, others = _targets(module), world()
    if others is not None:
        others.same("broadcast", "what they hold", [describe(held) for held in targets])
        for held, given in zip(targets, others.from_first("broadcast", [_content(held) for held in targets])):
            _fill(held, given)
    return module


def _content(held: Any) -> Any:
    if isinstance(held, np.random.Generator):
        return held.bit_generator.state
    return held._value if isinstance(held, Tensor) else held if isinstance(held, np.ndarray) else held.state_dict()


def _fill(held: Any, given: Any) -> None:
    if isinstance(held, np.random.Generator):
        held.bit_generator.state = given
    elif isinstance(held, Tensor):
        held.data[...] = given
    elif isinstance(held, np.ndarray):
        held[...] = given
    else:
        held.load_state_dict(given)


def share(n: int) -> slice:
    """The places in a batch of n that this rank has: consecutive ones; how many differs by at most one between ranks.

    Of a batch that is too small for every rank to have one, each has all: the average of their gradients is the same.

    >>> tg.distributed.share(5)
    slice(0, 5, None)
    """
    others = world()
    if others is None or n < others.size:
        return slice(0, n)
    few, more = divmod(n, others.size)
    start = others.rank * few + min(others.rank, more)
    return slice(start, start + few + (others.rank < more))


class _Shard:
    """Of each batch of a sampler, the places that this rank has. See shard()."""

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler
        others = world()
        if others is not None:
            about = {name: getattr(sampler, name) for name in ("n", "batch_size", "drop_last") if hasattr(sampler, name)}
            others.same("shard", "their samplers", {"kind": type(sampler).__name__, "batches": len(sampler), **about})
            if hasattr(sampler, "state_dict"):
                broadcast(sampler)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Array]:
        others, batches = world(), None
        if others is None or others.rank == 0:
            batches = [np.asarray(ids) for ids in self.sampler]
            for ids in batches:
                if ids.ndim != 1:
                    raise TypeError(f"shard: {type(self.sampler).__name__} gives {describe(ids)}; the places of a batch are "
                                    "needed, as tg.data.BatchSampler gives them")
        if others is not None:
            batches = others.from_first("shard", batches)
            if hasattr(self.sampler, "state_dict"):
                broadcast(self.sampler)
        return iter([ids[share(len(ids))] for ids in batches or ()])

    def state_dict(self) -> dict[str, Any]:
        """That of the sampler."""
        return self.sampler.state_dict() if hasattr(self.sampler, "state_dict") else {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there."""
        if hasattr(self.sampler, "load_state_dict"):
            self.sampler.load_state_dict(state_dict)


@effect
def shard(sampler: Iterable[Any]) -> Any:
    """A sampler of this rank's part of each batch of `sampler`, to be the batch_sampler of a tg.data.DataLoader.

    sampler   gives the places of each batch, as tg.data.BatchSampler; the batches are those that a process alone would have,
              with the order that rank 0 draws

    A batch of n is cut into consecutive parts of n / world_size places, or one more; DataParallel weights each rank's gradients
    by their number. Of a batch with fewer places than there are ranks, each has all. DistributedError, on every rank, where
    the ranks' samplers are of other lengths or batch sizes. TypeError for a sampler without a length, or of single places.

    >>> sampler = tg.distributed.shard(tg.data.BatchSampler(5, 2))
    >>> [ids.tolist() for ids in sampler], len(sampler)
    ([[0, 1], [2, 3], [4]], 3)
    """
    if not hasattr(sampler, "__len__") or not hasattr(sampler, "__iter__"):
        raise TypeError(f"shard: {describe(sampler)}; a sampler of batches that has a length is needed")
    return _Shard(sampler)
