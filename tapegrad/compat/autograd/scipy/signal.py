"""`autograd.scipy.signal`: autograd's convolve, which takes axes; the other names are those of tapegrad.scipy.signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.compat.autograd.faces import face_of
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor
from tapegrad.functions.joining import pad
from tapegrad.functions.products import tensordot
from tapegrad.functions.shaping import flip, transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.functions.windows import windows
from tapegrad.numpy.dispatch import holds_tensor
from tapegrad.scipy import signal as _ours

__all__ = ["convolve"]

Axes = Sequence[Sequence[int]]


def convolve(A: Any, B: Any, axes: Axes | None = None, dot_axes: Axes = ((), ()), mode: str = "full") -> Any:
    """The convolution of A and B along pairs of axes, `axes`, summed over the products of other pairs, `dot_axes`.

    axes      (those of A, those of B); all of them by default
    mode      "full", "valid", where one lies inside the other along all axes, or "same" for the middle part of the size of A

    The result has the axes of A that are in neither, then those of B, then those of the convolution.

    >>> from tapegrad.compat.autograd.scipy.signal import convolve
    >>> convolve(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]), mode="valid")
    array([12., 23.])
    """
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"convolve: mode={mode!r}; it is 'full', 'valid' or 'same'")
    x, y = as_tensor(A), as_tensor(B)
    along = [list(one) for one in (axes or (range(x.ndim), range(y.ndim)))]
    summed = [list(one) for one in dot_axes]
    sizes = [[z.shape[i] for i in one] for z, one in zip((x, y), along)]
    inside = [all(n >= m for n, m in zip(*pair)) for pair in (sizes, sizes[::-1])]
    if mode == "valid" and not any(inside):
        raise ShapeError(f"convolve: {describe(x)} and {describe(y)}; for mode='valid' one must lie inside the other")
    swapped = mode == "valid" and not inside[0] or mode == "full" and y.size > x.size
    order = (1, 0) if swapped else (0, 1)
    z, free = _product([(x, y)[i] for i in order], [along[i] for i in order], [summed[i] for i in order], mode)
    if swapped:
        first, second = free
        z = transpose(z, (*range(first, first + second), *range(first), *range(first + second, z.ndim)))
    return z if holds_tensor((A, B)) else z.data


def _product(xs: Sequence[Tensor], along: Axes, summed: Axes, mode: str) -> tuple[Tensor, tuple[int, int]]:
    """The windows of the first, padded, times the second, reversed; and how many free axes each has."""
    free = [[i for i in range(x.ndim) if i not in one and i not in other] for x, one, other in zip(xs, along, summed)]
    x, y = [transpose(x, (*outer, *inner, *conv)) for x, outer, inner, conv in zip(xs, free, summed, along)]
    n, dots = len(along[0]), len(summed[0])
    outer = [len(one) for one in free]
    if not n:
        return tensordot(x, y, (range(outer[0], x.ndim), range(outer[1], y.ndim))), (outer[0], outer[1])
    kernel = y.shape[y.ndim - n:]
    widths = [(0, 0) if mode == "valid" else (k - 1, k - 1) if mode == "full" else (k - 1 - (k - 1) // 2, (k - 1) // 2)
              for k in kernel]
    x = pad(x, [(0, 0)] * (x.ndim - n) + widths)
    covered = windows("convolve", x, kernel, (1,) * n, (1,) * n)
    y = flip(y, tuple(range(y.ndim - n, y.ndim)))
    z = tensordot(covered, y, (range(outer[0], outer[0] + dots + n), range(outer[1], y.ndim)))
    return transpose(z, (*range(outer[0]), *range(outer[0] + n, z.ndim), *range(outer[0], outer[0] + n))), (outer[0], outer[1])

__getattr__, __dir__ = face_of(_ours, globals())
