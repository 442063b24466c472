"""Images made larger, smaller, or cut into patches, under PyTorch's names. The axes of space are the last ones.

Raises ShapeError for shapes that do not fit, ValueError for other arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, constant, floats
from tapegrad.functions.axes import along
from tapegrad.functions.indexing import getitem
from tapegrad.functions.pooling import _adaptive_avg_pool
from tapegrad.functions.shaping import reshape, transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.functions.windows import batched, padded, per_axis, unbatched, windows
from tapegrad.typing import Array, Shape, TensorLike

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
_SHARPNESS = -0.75                                      # of the cubic: that of PyTorch


def _cubic(t: Array) -> list[Array]:
    """The weights of the four neighbours at -1, 0, 1, 2 of a place t in [0, 1): Keys (1981)."""
    a = _SHARPNESS
    near = [((a + 2) * s - (a + 3)) * s * s + 1 for s in (t, 1 - t)]
    far = [((a * s - 5 * a) * s + 8 * a) * s - 4 * a for s in (t + 1, 2 - t)]
    return [far[0], *near, far[1]]


def _taps(mode: str, n: int, m: int, factor: float | None, align: bool) -> list[tuple[Array, Array]]:
    """What element i of m along an axis is made of: the elements at some places of n, each with a weight."""
    step = 1 / factor if factor is not None else n / m
    i = np.arange(m, dtype=np.float64)
    if mode.startswith("nearest"):
        at = np.floor((i + 0.5 if mode == "nearest-exact" else i) * step)
        return [(np.minimum(at, n - 1).astype(np.intp), np.ones(m))]
    at = i * ((n - 1) / (m - 1) if m > 1 else 0.0) if align else (i + 0.5) * step - 0.5
    if mode == "bicubic":
        start, weights = np.floor(at), _cubic(at - np.floor(at))
    else:
        at = np.maximum(at, 0)
        start = np.floor(at)
        weights = [1 - (at - start), at - start]
    first = -1 if mode == "bicubic" else 0
    return [(np.clip(start + first + k, 0, n - 1).astype(np.intp), weight) for k, weight in enumerate(weights)]


def interpolate(input: TensorLike, size: Shape | None = None, scale_factor: float | Sequence[float] | None = None,
                mode: str = "nearest", align_corners: bool | None = None,
                recompute_scale_factor: bool | None = None) -> Tensor:
    """The input (N, channels, *space) in another size, or in `scale_factor` times its size, rounded down.

    mode            "nearest", "nearest-exact", "linear" for one axis of space, "bilinear" for two, "trilinear" for three,
                    "bicubic" for two, "area" for means
    align_corners   whether the outermost elements stay the outermost; otherwise the edges of the image stay where they are
    recompute_scale_factor   whether distances are those of the rounded size, not of the factor

    Derivative: d, by the weights of each element.

    >>> tg.interpolate(tg.tensor([[[1.0, 3.0]]]), size=4, mode="linear")
    tensor([[[1. , 1.5, 2.5, 3. ]]])
    >>> tg.interpolate(tg.tensor([[[1.0, 3.0]]]), scale_factor=2)
    tensor([[[1., 1., 3., 3.]]])
    """
    x = floats(input)
    n = x.ndim - 2
    if n not in (1, 2, 3):
        raise ShapeError(f"interpolate: input {describe(x)}; it is (N, channels, *space) with 1, 2 or 3 axes of space")
    if mode not in ("nearest", "nearest-exact", "area") and n != (2 if mode == "bicubic" else _LINEAR.get(mode)):
        raise ValueError(f"interpolate: mode={mode!r} for {n} axes of space; it is 'nearest', 'nearest-exact', 'area', or "
                         f"{[None, 'linear', 'bilinear or bicubic', 'trilinear'][n]}")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError(f"interpolate: align_corners with mode={mode!r}, which has no corners to align")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give size or scale_factor, and not both")
    if recompute_scale_factor and size is not None:
        raise ValueError("interpolate: recompute_scale_factor with size, which is what it would recompute the factor from")
    factors: list[float | None] = [None] * n
    if scale_factor is not None:
        given = constant("interpolate", scale_factor)
        if given.shape not in ((), (n,)) or not (given > 0).all():
            raise ValueError(f"interpolate: scale_factor={scale_factor!r}; it is positive, one number or {n}")
        found = np.broadcast_to(given, n).tolist()
        size = tuple([math.floor(length * factor) for length, factor in zip(x.shape[2:], found)])
        factors = [None] * n if recompute_scale_factor else found
    lengths = per_axis("interpolate", "size", size, n, 1)       # type: ignore[arg-type]
    if mode == "area":
        return _adaptive_avg_pool("interpolate", n, x, lengths)
    for axis, (length, wanted, factor) in enumerate(zip(x.shape[2:], lengths, factors), 2):
        taps = _taps(mode, length, wanted, factor, bool(align_corners))
        along_axis = (wanted, *[1] * (x.ndim - 1 - axis))
        parts = [along(x, at, axis) if len(taps) == 1 else along(x, at, axis) * weight.reshape(along_axis).astype(x.dtype)
                 for at, weight in taps]
        x = parts[0]
        for part in parts[1:]:
            x = x + part
    return x


def unfold(input: TensorLike, kernel_size: Shape, dilation: Shape = 1, padding: Shape = 0, stride: Shape = 1) -> Tensor:
    """What a kernel covers at each of its positions, as columns: (N, channels, height, width) to
    (N, channels kernel elements, positions), padded with zeros. Derivative: fold of d.

    >>> tg.unfold(np.arange(9.0).reshape(1, 3, 3), 2)
    tensor([[0., 1., 3., 4.],
            [1., 2., 4., 5.],
            [3., 4., 6., 7.],
            [4., 5., 7., 8.]])
    """
    x, single = batched("unfold", input, 2)
    kernel, step = per_axis("unfold", "kernel_size", kernel_size, 2, 1), per_axis("unfold", "stride", stride, 2, 1)
    widths = tuple([(width, width) for width in per_axis("unfold", "padding", padding, 2, 0)])
    covered = windows("unfold", padded(x, widths), kernel, step, per_axis("unfold", "dilation", dilation, 2, 1))
    return unbatched(reshape(covered, (x.shape[0], x.shape[1] * math.prod(kernel), math.prod(covered.shape[-2:]))), single)


def fold(input: TensorLike, output_size: Shape, kernel_size: Shape, dilation: Shape = 1, padding: Shape = 0,
         stride: Shape = 1) -> Tensor:
    """The columns of `unfold` added back to an image of a size: where windows overlap, the sum. Derivative: unfold of d.

    >>> tg.fold(tg.unfold(np.ones((1, 3, 3)), 2), 3, 2)
    tensor([[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]])
    """
    x = as_tensor(input)
    size, kernel = per_axis("fold", "output_size", output_size, 2, 1), per_axis("fold", "kernel_size", kernel_size, 2, 1)
    spread, around = per_axis("fold", "dilation", dilation, 2, 1), per_axis("fold", "padding", padding, 2, 0)
    step = per_axis("fold", "stride", stride, 2, 1)
    full = tuple([n + 2 * width for n, width in zip(size, around)])
    positions = tuple([(n - k - (k - 1) * (s - 1)) // by + 1 for n, k, s, by in zip(full, kernel, spread, step)])
    if x.ndim not in (2, 3) or x.shape[-2] % math.prod(kernel) or x.shape[-1] != math.prod(positions) or min(positions) < 1:
        raise ShapeError(f"fold: input {describe(x)}; for output_size={size} and kernel_size={kernel} it is "
                         f"(N, channels {math.prod(kernel)}, {math.prod(positions)})")
    outer = (*x.shape[:-2], x.shape[-2] // math.prod(kernel))
    z = recorded.unwindow(reshape(x, (*outer, *kernel, *positions)), full, step, spread)
    if not any(around):
        return z
    return getitem(z, (Ellipsis, *[slice(width, n - width) for width, n in zip(around, full)]))


def _shuffled(name: str, x: TensorLike, factor: Any, up: bool) -> Tensor:
    x, r = as_tensor(x), int(constant(name, factor))
    if x.ndim < 3 or r < 1 or (x.shape[-3] % (r * r) if up else x.shape[-2] % r or x.shape[-1] % r):
        raise ShapeError(f"{name}: input {describe(x)} with a factor of {r}; it is (.., channels, height, width), and "
                         f"{'the channels are a multiple of its square' if up else 'height and width are multiples of it'}")
    outer, (channels, height, width) = x.shape[:-3], x.shape[-3:]
    k = len(outer)
    if up:
        x = reshape(x, (*outer, channels // r**2, r, r, height, width))
        order, shape = (0, 3, 1, 4, 2), (channels // r**2, height * r, width * r)
    else:
        x = reshape(x, (*outer, channels, height // r, r, width // r, r))
        order, shape = (0, 2, 4, 1, 3), (channels * r**2, height // r, width // r)
    return reshape(transpose(x, (*range(k), *[k + i for i in order])), (*outer, *shape))


def pixel_shuffle(input: TensorLike, upscale_factor: int) -> Tensor:
    """(.., channels r^2, height, width) to (.., channels, height r, width r): channels become r x r blocks of pixels.

    Derivative: d, moved back. Source: Shi et al., Real-time single image and video super-resolution (2016).

    >>> tg.pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    return _shuffled("pixel_shuffle", input, upscale_factor, True)


def pixel_unshuffle(input: TensorLike, downscale_factor: int) -> Tensor:
    """(.., channels, height r, width r) to (.., channels r^2, height, width): the inverse of pixel_shuffle.

    Derivative: pixel_shuffle of d.

    >>> tg.pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).shape
    (4, 1, 1)
    """
    return _shuffled("pixel_unshuffle", input, downscale_factor, False)
