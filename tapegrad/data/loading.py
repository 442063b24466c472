"""A loader: batches of a dataset, epoch by epoch, which can go on in the middle of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tapegrad.data.sampling import BatchSampler
from tapegrad.errors import DtypeError, ShapeError, StateError, describe
from tapegrad.functions.joining import stack
from tapegrad.functions.tensor import Tensor


def collate(items: list[Any]) -> Any:
    """Items as one batch: arrays, tensors and numbers stacked along a new first axis, inside of tuples, lists and dictionaries.

    Strings and other things stay a list. ShapeError where shapes differ.

    >>> tg.data.collate([(np.ones(2), 3), (np.zeros(2), 4)])
    (array([[1., 1.],
           [0., 0.]]), array([3, 4]))
    """
    first = items[0]
    if isinstance(first, (tuple, list)):
        if len({len(item) for item in items}) > 1:
            raise ShapeError(f"collate: items of {', '.join(str(len(item)) for item in items)} parts; write a collate_fn for "
                             "them")
        parts = [collate(list(held)) for held in zip(*items)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)      # a named tuple, or another
    if isinstance(first, dict):
        return {key: collate([item[key] for item in items]) for key in first}
    if isinstance(first, (np.ndarray, np.generic, Tensor)):
        if len({item.shape for item in items}) > 1:
            raise ShapeError(f"collate: items {', '.join(map(describe, items[:4]))}; for sequences of several lengths write a "
                             "collate_fn with tg.data.pad_sequence")
        return stack(items) if isinstance(first, Tensor) else np.stack(items)
    return np.array(items) if isinstance(first, (bool, int, float, complex)) else items


class DataLoader:
    """Batches of a dataset, anything with a length and items by number: each iteration is an epoch.

    batch_size      how many items a batch has; the last one may have less
    shuffle         take the items in another random order at each epoch
    seed            of the orders, which are then the same in every run; by default they are drawn from this thread's generator
    drop_last       leave out a last batch that is shorter
    collate_fn      makes a batch of a list of items; see tg.data.collate, which is the default
    batch_sampler   instead of the four before: gives the places of each batch, as BucketBatchSampler does

    state_dict() and load_state_dict() go on where a run was, in the middle of an epoch, too, if the order has a seed.

    >>> dataset = tg.data.TensorDataset(np.arange(5.0), np.arange(5))
    >>> loader = tg.data.DataLoader(dataset, batch_size=2)
    >>> [x.tolist() for x, y in loader], len(loader)
    ([[0.0, 1.0], [2.0, 3.0], [4.0]], 3)
    """

    def __init__(self, dataset: Any, batch_size: int = 1, shuffle: bool = False, *, seed: int | None = None,
                 drop_last: bool = False, collate_fn: Callable[[list[Any]], Any] | None = None,
                 batch_sampler: Iterable[Any] | None = None) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"DataLoader: {describe(dataset)}; a dataset with a length and items by number is needed")
        if batch_sampler is not None and (batch_size != 1 or shuffle or seed is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler with batch_size, shuffle, seed or drop_last; it says all of that "
                             "itself")
        self.dataset, self.collate_fn = dataset, collate_fn
        self.batch_sampler: Any = BatchSampler(len(dataset), batch_size, shuffle, drop_last=drop_last, seed=seed) \
            if batch_sampler is None else batch_sampler
        self._start: Any = None                         # the sampler's state at the start of this epoch
        self._position = self._skip = 0

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def _batch(self, ids: Any) -> Any:
        places = np.asarray(ids)
        if places.size and places.dtype.kind not in "iu":
            raise DtypeError(f"DataLoader: a batch of {describe(places)} by the batch_sampler; places of items are integers")
        if self.collate_fn is None and hasattr(self.dataset, "batch"):
            return self.dataset.batch(places.astype(np.intp, copy=False))
        return (self.collate_fn or collate)([self.dataset[int(i)] for i in places])

    def __iter__(self) -> Iterator[Any]:
        skip, self._skip = self._skip, 0
        self._start = self.batch_sampler.state_dict() if hasattr(self.batch_sampler, "state_dict") else None
        for k, ids in enumerate(self.batch_sampler):
            if k >= skip:
                self._position = k + 1
                yield self._batch(ids)
        self._position = 0

    def _has_order(self) -> bool:
        """Whether the order of an epoch can be made again."""
        sampler = self.batch_sampler
        return hasattr(sampler, "state_dict") and not (
            getattr(sampler, "shuffle", False) and getattr(sampler, "generator", None) is None)

    def state_dict(self) -> dict[str, Any]:
        """Where the run is: {"sampler": its state at the start of this epoch, "position": batches that were given of it}.

        StateError in the middle of an epoch whose order has no seed.
        """
        position = self._skip or self._position
        if position >= len(self):                       # the epoch is over, whether or not the loop has noticed
            position = 0
        if position and not self._has_order():
            raise StateError("DataLoader.state_dict: in the middle of an epoch whose order cannot be made again; give a seed")
        sampler = self.batch_sampler
        current = sampler.state_dict() if hasattr(sampler, "state_dict") else None
        return {"sampler": self._start if position and not self._skip else current, "position": position}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what state_dict() gave: the next iteration gives what was left of that epoch. StateError for another."""
        if not isinstance(state_dict, Mapping) or set(state_dict) != {"sampler", "position"}:
            raise StateError(f"DataLoader.load_state_dict: {describe(state_dict)}; a dictionary of sampler and position is "
                             "needed")
        position = state_dict["position"]
        if not isinstance(position, int) or not 0 <= position < max(len(self), 1):
            raise StateError(f"DataLoader.load_state_dict: position={position} of {len(self)} batches")
        if (state_dict["sampler"] is None) == hasattr(self.batch_sampler, "state_dict"):
            raise StateError(f"DataLoader.load_state_dict: {type(self.batch_sampler).__name__} is no sampler like that of the "
                             f"state, whose own state is {describe(state_dict['sampler'])}")
        if state_dict["sampler"] is not None:
            self.batch_sampler.load_state_dict(state_dict["sampler"])
        self._skip, self._position = position, 0
