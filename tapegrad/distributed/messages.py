"""What the ranks send each other of their gradients: sums of several parameters at once, and of the rows of a large one.

What is summed is the delta times the number of examples that it is the mean over, and that number; and for each parameter
whether this rank has a delta for it. So sum / examples is the mean over all examples, and a parameter that no rank has used
gets no gradient, as on one process.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tapegrad.core.refcount import owned
from tapegrad.kernels.rows import used
from tapegrad.typing import Array

# Parameters are summed in these dtypes: MPI knows no numbers of 16 bits, and complex numbers are pairs.
SUMMED = {"float16": "float32", "float32": "float32", "float64": "float64", "complex64": "float32", "complex128": "float64"}
Like = tuple[tuple[int, ...], np.dtype[Any]]


def _kind(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """In which the deltas of a parameter are multiplied by the examples: products of float16 would overflow."""
    return np.dtype(dtype.char if dtype.kind == "c" else SUMMED[dtype.name])


class Bucket:
    """Some parameters, whose deltas are summed by one message: [deltas, whether there are any, examples].

    places   of the parameters
    """

    def __init__(self, places: list[int], like: list[Like]) -> None:
        self.places, self.like, self.waiting = places, like, len(places)
        dtype, kinds = np.dtype(SUMMED[like[0][1].name]), [_kind(dtype) for _, dtype in like]
        sizes = [prod(shape) * kind.itemsize // dtype.itemsize for (shape, _), kind in zip(like, kinds)]
        self.buffer: Array = np.zeros(sum(sizes) + len(sizes) + 1, dtype)
        self.flags = self.buffer[-len(sizes) - 1:-1]
        pieces = np.split(self.buffer[:sum(sizes)], np.cumsum(sizes)[:-1])
        self.parts = [piece.view(kind).reshape(shape) for piece, kind, (shape, _) in zip(pieces, kinds, like)]

    def put(self, k: int, delta: Any, examples: float) -> None:
        part = self.parts[k]
        if delta is None or not examples:
            part[...] = 0
        else:
            np.multiply(delta, examples, out=part, dtype=part.dtype)
        self.flags[k], self.buffer[-1] = delta is not None, examples

    def start(self, mpi: Any, comm: Any) -> Any:
        """The request of the message."""
        return comm.Iallreduce(mpi.IN_PLACE, self.buffer)

    def averaged(self, k: int, found: dict[Any, Any], leaf: Any) -> None:
        """Put the mean over all examples there, or nothing if no rank has a delta."""
        found.pop(leaf, None)
        if self.flags[k]:
            shape, dtype = self.like[k]
            found[leaf] = np.divide(self.parts[k], self.buffer[-1] or 1, out=np.empty(shape, dtype), casting="same_kind")


class Table:
    """A parameter that is larger than a bucket, of which a step may use few rows, as one of embeddings.

    The first message says which rows any rank has a delta for that is not 0, by a bit each, and whether any has a delta; the
    second, of all these rows, is their sum, and that of the examples.
    """

    def __init__(self, place: int, like: Like) -> None:
        self.places, self.waiting = [place], 1
        (self.rows, *self.row), self.dtype = like[0], like[1]
        self.kind, self.number = _kind(self.dtype), np.dtype(SUMMED[self.dtype.name])

    def put(self, k: int, delta: Any, examples: float) -> None:
        taken = delta is not None and examples
        self.mine: Array = used(delta) if taken else np.empty(0, int)       # type: ignore[no-untyped-call]
        self.part = np.multiply(delta.take(self.mine, 0), examples, dtype=self.kind) if taken else None
        mine = np.zeros(self.rows, bool)
        mine[self.mine] = True
        self.bits = np.append(np.packbits(mine), np.uint8(delta is not None))
        self.examples = examples

    def start(self, mpi: Any, comm: Any) -> Any:
        return comm.Iallreduce(mpi.IN_PLACE, self.bits, mpi.BOR)

    def start_sum(self, mpi: Any, comm: Any) -> Any:
        """The request of the second message, when the first one is there."""
        of_eight = np.flatnonzero(self.bits[:-1])
        found = np.flatnonzero(np.unpackbits(self.bits[of_eight]).view(bool))
        self.there, self.used = bool(self.bits[-1]), 8 * of_eight[found >> 3] + (found & 7)
        n = len(self.used)
        self.buffer = np.zeros(n * prod(self.row) * self.kind.itemsize // self.number.itemsize + 1, self.number)
        self.sums = self.buffer[:-1].view(self.kind).reshape(n, *self.row)
        if self.part is not None:
            self.sums[slice(None) if len(self.mine) == n else np.searchsorted(self.used, self.mine)] = self.part
        self.buffer[-1], self.part = self.examples, None
        return comm.Iallreduce(mpi.IN_PLACE, self.buffer)

    def averaged(self, k: int, found: dict[Any, Any], leaf: Any) -> None:
        """As a bucket does; rows that no rank has used are 0 already."""
        held = leaf in found and self.examples
        mean = owned(found.pop(leaf)) if held else np.zeros((self.rows, *self.row), self.dtype)
        if self.there:
            self.sums /= self.buffer[-1] or 1
            mean[slice(None) if len(self.used) == self.rows else self.used] = self.sums
            found[leaf] = mean
        del self.buffer, self.sums
