"""What convolution and pooling share: their arguments, the padding, and the windows that a kernel covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor
from tapegrad.functions.joining import pad
from tapegrad.functions.shaping import reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Shape, TensorLike

Widths = tuple[tuple[int, int], ...]


def per_axis(name: str, argument: str, given: Shape, n: int, least: int) -> tuple[int, ...]:
    """An argument given as an int for all n axes, or as one int per axis, as a tuple."""
    if type(given) is int and given >= least:
        return (given,) * n
    counts: tuple[Any, ...] = tuple(given) if isinstance(given, (tuple, list)) else (given,) * n
    if len(counts) != n or not all(isinstance(count, (int, np.integer)) and count >= least for count in counts):
        raise ValueError(f"{name}: {argument}={given!r}; it is an integer of at least {least}, or a tuple of {n}")
    return tuple(map(int, counts))


def padded(x: Tensor, widths: Widths, fill: float = 0.0) -> Tensor:
    """x with `fill` around its last axes, by (before, after) for each of them."""
    if not any(map(any, widths)):
        return x
    return pad(x, ((0, 0),) * (x.ndim - len(widths)) + widths, constant_values=fill)


def check_spans(name: str, size: Sequence[int], kernel: Sequence[int], widths: Widths, dilation: Sequence[int]) -> None:
    """ShapeError for a kernel that is longer than the padded input."""
    full = tuple([before + count + after for count, (before, after) in zip(size, widths)])
    spans = tuple([step * (k - 1) + 1 for k, step in zip(kernel, dilation)])
    if any(span > count for span, count in zip(spans, full)):
        raise ShapeError(f"{name}: a kernel that spans {spans} on an input of {full}, padding included")


def windows(name: str, x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """(..., *kernel, *positions): what a kernel covers as it moves over the last axes of x."""
    size = x.shape[-len(kernel):]
    check_spans(name, size, kernel, ((0, 0),) * len(kernel), dilation)
    spans = [step * (k - 1) + 1 for k, step in zip(kernel, dilation)]
    positions = tuple([(count - span) // step + 1 for count, span, step in zip(size, spans, stride)])
    return recorded.windows(x, kernel, positions, stride, dilation)


def batched(name: str, x: TensorLike, n: int) -> tuple[Tensor, bool]:
    """x as (N, channels, *size), and whether the batch axis had to be put there."""
    x = as_tensor(x)
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(f"{name}: input {describe(x)}; it has {n} axes of space, (N, channels, ...) or (channels, ...)")
    return (x, False) if x.ndim == n + 2 else (reshape(x, (1, *x.shape)), True)


def unbatched(z: Tensor, single: bool) -> Tensor:
    """z without the batch axis that batched() put there."""
    return reshape(z, z.shape[1:]) if single else z


def same_widths(kernel: Sequence[int], dilation: Sequence[int]) -> Widths:
    """The widths (before, after) with which an output is as long as the input."""
    totals = [step * (k - 1) for k, step in zip(kernel, dilation)]
    return tuple([(total // 2, total - total // 2) for total in totals])


def padding_widths(name: str, padding: Shape | str, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int],
                   n: int) -> Widths:
    """What is put before and behind each axis; ValueError for what is no padding."""
    if padding == "valid":
        return ((0, 0),) * n
    if padding == "same":
        if any(step != 1 for step in stride):
            raise ValueError(f"{name}: padding='same' with stride={stride}; it needs a stride of 1")
        return same_widths(kernel, dilation)
    if isinstance(padding, str):
        raise ValueError(f"{name}: padding={padding!r}; it is 'same', 'valid', or numbers")
    return tuple([(width, width) for width in per_axis(name, "padding", padding, n, 0)])
