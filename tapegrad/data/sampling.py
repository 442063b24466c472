"""In which order items are taken, and in which batches. A sampler is iterated once an epoch, and gives places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tapegrad.errors import StateError, describe
from tapegrad.functions.arguments import value
from tapegrad.functions.random import generator
from tapegrad.typing import Array, TensorLike


class BatchSampler:
    """The places 0 .. n - 1 in batches of batch_size, the last one shorter, unless drop_last.

    shuffle   take them in another random order at each epoch
    seed      of a generator of its own, so that the orders are the same in every run; by default this thread's generator

    >>> [ids.tolist() for ids in tg.data.BatchSampler(5, 2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool = False, *, drop_last: bool = False,
                 seed: int | None = None) -> None:
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"{type(self).__name__}: batch_size={batch_size}; it is an integer of at least 1")
        self.n, self.batch_size, self.shuffle, self.drop_last = n, int(batch_size), shuffle, drop_last
        self.generator = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.n // self.batch_size if self.drop_last else -(-self.n // self.batch_size)

    def _order(self, rng: np.random.Generator) -> Array:
        return rng.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _cut(self, order: Array) -> list[Array]:
        return [order[k * self.batch_size:(k + 1) * self.batch_size] for k in range(len(self))]

    def __iter__(self) -> Iterator[Array]:
        return iter(self._cut(self._order(generator() if self.generator is None else self.generator)))

    def state_dict(self) -> dict[str, Any]:
        """The state of its own generator, from which load_state_dict() goes on; None where it has none."""
        return {"generator": None if self.generator is None else self.generator.bit_generator.state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what state_dict() gave. StateError for another."""
        if not isinstance(state_dict, Mapping) or set(state_dict) != {"generator"}:
            raise StateError(f"{type(self).__name__}.load_state_dict: {describe(state_dict)}; a dictionary with generator is "
                             "needed")
        state = state_dict["generator"]
        if (state is None) != (self.generator is None):
            raise StateError(f"{type(self).__name__}.load_state_dict: the state is one "
                             f"{'without' if state is None else 'with'} a seed, and this sampler has "
                             f"{'one' if state is None else 'none'}")
        if self.generator is not None:
            try:
                self.generator.bit_generator.state = state
            except (KeyError, TypeError, ValueError) as error:
                raise StateError(f"{type(self).__name__}.load_state_dict: no state of a generator: {error}") from None


class BucketBatchSampler(BatchSampler):
    """Batches of items of like length: sorted by length, those of one length in random order, cut, and the batches shuffled.

    lengths   an integer for each item
    shuffle   otherwise the order is that of the lengths, always the same

    >>> sampler = tg.data.BucketBatchSampler([5, 1, 4, 1, 5, 4], batch_size=2, seed=0)
    >>> sorted(sorted(ids.tolist()) for ids in sampler)
    [[0, 4], [1, 3], [2, 5]]
    """

    def __init__(self, lengths: TensorLike | Sequence[int], batch_size: int, shuffle: bool = True, *, drop_last: bool = False,
                 seed: int | None = None) -> None:
        self.lengths = value(lengths)
        if self.lengths.ndim != 1:
            raise ValueError(f"BucketBatchSampler: lengths {describe(self.lengths)}; one number for each item is needed")
        super().__init__(len(self.lengths), batch_size, shuffle, drop_last=drop_last, seed=seed)

    def __iter__(self) -> Iterator[Array]:
        rng = generator() if self.generator is None else self.generator
        order = self._order(rng)
        batches = self._cut(order[np.argsort(self.lengths[order], kind="stable")])
        if self.shuffle:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        return iter(batches)
