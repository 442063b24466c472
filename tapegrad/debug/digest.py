"""Arrays as JSON that a page can show: small ones in full, larger ones as a heat map, a histogram and statistics.

A heat map is a grid of means over blocks of the array, a byte per cell: LEVELS steps on either side of ZERO, up to the largest
absolute mean, and a code each for what is not finite. Means are linear, so that the page can add the maps of contributions.
JSON has no NaN and no infinity: they are the strings "nan", "inf", "-inf". A complex number is a pair of numbers.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b
from math import isfinite
from typing import Any

import numpy as np

from tapegrad.debug.notes import Summary
from tapegrad.typing import Array

ZERO = LEVELS = 126
MINUS_INFINITY, INFINITY, NAN = 253, 254, 255
BINS = 24
IN_FULL, CELLS = 64, (24, 32)           # elements; rows and columns of a heat map
BUDGET = 1_000_000                      # bytes for the heat maps of a page
EXACT = 2 ** 53                         # beyond it, JavaScript's numbers are not those of an integer array


class Digests:
    """The digests of arrays, in `digests`; equal arrays share one. `count` is how many arrays there will be, about."""

    def __init__(self, count: int) -> None:
        self.digests: list[dict[str, Any]] = []
        self._places: dict[Any, int] = {}
        self._by_id: dict[int, tuple[Any, int]] = {}    # the array is held, so that its id stays its own
        cells = max(16, min(CELLS[0] * CELLS[1], BUDGET // max(count, 1)))
        self.columns = min(CELLS[1], max(4, int(cells ** 0.5 * 4 / 3)))
        self.rows = min(CELLS[0], max(1, cells // self.columns))
        self.in_full = IN_FULL if count * IN_FULL < 16 * BUDGET // 10 else 12

    def of(self, x: Any) -> int:
        """The place of an array's digest in `digests`."""
        x = np.asarray(x)
        known = self._by_id.get(id(x))
        if known is not None and known[0] is x:
            return known[1]
        key = x.shape, x.dtype.str, blake2b(x.tobytes(), digest_size=16).digest()
        place = self._add(key, lambda: self._digest(x))
        self._by_id[id(x)] = x, place
        return place

    def of_summary(self, summary: Summary, shape: tuple[int, ...], dtype: Any) -> int:
        """The place of the digest of an array of which there is a summary only."""
        found = {"shape": list(shape), "dtype": str(dtype), **_statistics(summary)}
        return self._add((*shape, str(dtype), str(found)), lambda: found)

    def _add(self, key: Any, make: Any) -> int:
        if key not in self._places:
            self._places[key] = len(self.digests)
            self.digests.append(make())
        return self._places[key]

    def _digest(self, x: Array) -> dict[str, Any]:
        digest: dict[str, Any] = {"shape": list(x.shape), "dtype": str(x.dtype)}
        if x.size <= self.in_full:
            return digest | {"full": [_number(value) for value in x.ravel().tolist()]}
        summary = Summary(x)
        real = np.abs(x) if x.dtype.kind == "c" else x
        if real.dtype != np.float32:
            real = real.astype(np.float64)
        digest |= _statistics(summary)
        with np.errstate(all="ignore"):
            digest["norm"] = _number(float(np.sqrt(np.square(real, dtype=np.float64).sum())))
            digest |= self._heat(real) | _histogram(real, summary)
        return digest

    def _heat(self, x: Array) -> dict[str, Any]:
        table = x.reshape(1, -1) if x.ndim < 2 else x.reshape(-1, x.shape[-1])
        means = _blocks(_blocks(table, self.rows, 0), self.columns * (2 if x.ndim < 2 else 1), 1)
        finite = np.isfinite(means)
        scale = float(np.abs(means, where=finite, out=np.zeros(means.shape)).max())
        codes = np.full(means.shape, ZERO, np.uint8)
        if scale:
            codes[finite] = np.rint(means[finite] / scale * LEVELS + ZERO).astype(np.uint8)
        codes[np.isnan(means)], codes[means == np.inf], codes[means == -np.inf] = NAN, INFINITY, MINUS_INFINITY
        return {"heat": b64encode(codes.tobytes()).decode(), "columns": means.shape[1], "scale": float(f"{scale:.5g}")}


def _blocks(x: Array, most: int, axis: int) -> Array:
    """The means of at most `most` blocks along an axis."""
    n = x.shape[axis]
    if n <= most:
        return np.asarray(x, float)
    starts = np.arange(most) * n // most
    sizes = np.diff(np.append(starts, n))
    return np.add.reduceat(x, starts, axis=axis, dtype=float) / (sizes[:, None] if axis == 0 else sizes)


def _histogram(x: Array, summary: Summary) -> dict[str, Any]:
    """Counts of the finite elements in bins of equal width from `low` to `high`."""
    values = x.reshape(-1) if summary.finite else x[np.isfinite(x)]
    if not values.size:
        return {}
    low, high = float(values.min()), float(values.max())
    width = (high - low) / BINS
    if not (width and isfinite(width)):
        return {}
    at = np.minimum(((values - low) / width).astype(np.intp), BINS - 1)
    return {"counts": np.bincount(at, minlength=BINS).tolist(), "low": _short(low), "high": _short(high)}


def _statistics(summary: Summary) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if summary.size:
        found = {name: _short(getattr(summary, name)) for name in ("min", "max", "mean")}
    return found | {name: getattr(summary, name) for name in ("nans", "infs") if getattr(summary, name)}


def _short(x: Any) -> Any:
    return _number(float(f"{x:.6g}")) if isinstance(x, float) else _number(x)


def _number(x: Any) -> Any:
    """A number as JSON has it."""
    if isinstance(x, complex):
        return [_number(x.real), _number(x.imag)]
    if isinstance(x, float):
        return x if isfinite(x) else "nan" if x != x else "inf" if x > 0 else "-inf"
    return x if isinstance(x, bool) or isinstance(x, int) and abs(x) <= EXACT else str(x)
