"""What is sampled from: arrays of one length, parts of a dataset, and sequences of several lengths put into one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.core.record import wrap
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import value
from tapegrad.functions.generators import drawn_from
from tapegrad.functions.joining import pad, stack
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike


class TensorDataset:
    """Arrays or tensors of one length: item i is the tuple of their i-th slices.

    ShapeError where their lengths differ. It may be indexed as arrays are, dataset[2], dataset[:10], dataset[ids].

    >>> dataset = tg.data.TensorDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    >>> len(dataset), dataset[1]
    (3, (array([2., 3.]), np.int64(1)))
    """

    def __init__(self, *tensors: TensorLike) -> None:
        held = [x if isinstance(x, Tensor) else value(x) for x in tensors]
        if not held or any(not x.ndim for x in held) or len({len(x) for x in held}) > 1:
            raise ShapeError(f"TensorDataset: {', '.join(map(describe, held)) or 'nothing'}; arrays of one length are needed")
        self.tensors: tuple[Any, ...] = tuple(held)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple([x[index] for x in self.tensors])

    def batch(self, ids: Array) -> tuple[Any, ...]:
        """The items at an array of places, as arrays."""
        return self[ids]


class Subset:
    """The items of a dataset at some places.

    >>> part = tg.data.Subset(["a", "b", "c"], [2, 0])
    >>> len(part), part[0]
    (2, 'c')
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | Array) -> None:
        self.dataset, self.indices = dataset, np.asarray(indices, np.intp)
        if hasattr(dataset, "batch"):
            self.batch = lambda ids: dataset.batch(self.indices[ids])

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]


def random_split(dataset: Any, lengths: Sequence[float], seed: np.random.Generator | int | None = None) -> list[Subset]:
    """Parts of a dataset, each item in one of them at random, of these lengths, or of these shares, whose sum is 1.

    seed   or a generator; by default this thread's. ValueError where the lengths are not those of the dataset. What rounding
           leaves of shares goes to the first parts, one item each.

    >>> [len(part) for part in tg.data.random_split(range(10), [0.75, 0.25], seed=0)]
    [8, 2]
    """
    n, shares = len(dataset), list(lengths)
    if not all(x >= 0 for x in shares):
        raise ValueError(f"random_split: lengths={shares}; they are at least 0")
    if abs(sum(shares) - 1) < 1e-9 and not all(isinstance(x, (int, np.integer)) for x in shares):
        counts = [int(n * share) for share in shares]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    elif all(isinstance(x, (int, np.integer)) for x in shares):
        counts = [int(x) for x in shares]
    else:
        raise ValueError(f"random_split: lengths={shares}; they are integers, or shares whose sum is 1")
    if sum(counts) != n:
        raise ValueError(f"random_split: lengths={shares} of {sum(counts)} items in all; there are {n}")
    order = drawn_from(seed).permutation(n)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


def pad_sequence(sequences: Sequence[TensorLike], batch_first: bool = False, padding_value: float = 0.0,
                 padding_side: str = "right") -> Tensor:
    """Sequences (length, ..) as one tensor (longest, N, ..), or (N, longest, ..) with batch_first, filled up with a number.

    Derivative: to each sequence, its part of d. ShapeError where they differ in other axes than the first.

    >>> tg.data.pad_sequence([[1.0, 2.0], [3.0]], batch_first=True)
    tensor([[1., 2.],
            [3., 0.]])
    """
    held = [x if isinstance(x, Tensor) else value(x) for x in sequences]
    if not held or any(not x.ndim for x in held) or len({x.shape[1:] for x in held}) > 1:
        raise ShapeError(f"pad_sequence: {', '.join(map(describe, held)) or 'nothing'}; sequences (length, ..) are needed, "
                         "whose "
                         "other axes are the same")
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side={padding_side!r}; it is 'right' or 'left'")
    longest = max(len(x) for x in held)
    if any(isinstance(x, Tensor) and x.requires_grad for x in held):
        missing = [(0, longest - len(x)) if padding_side == "right" else (longest - len(x), 0) for x in held]
        others = [((0, 0),) * (x.ndim - 1) for x in held]
        return stack([pad(x, (ends, *rest), constant_values=padding_value) for x, ends, rest in zip(held, missing, others)],
                     0 if batch_first else 1)
    arrays = [value(x) for x in held]
    z = np.full((len(arrays), longest, *arrays[0].shape[1:]), padding_value, np.result_type(*arrays))
    for row, x in zip(z, arrays):
        row[slice(len(x)) if padding_side == "right" else slice(longest - len(x), None)] = x
    return wrap(z if batch_first else np.ascontiguousarray(z.swapaxes(0, 1)), None)
