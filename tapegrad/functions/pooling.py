"""Pooling in one, two and three dimensions under PyTorch's names: a reduction over the windows of the input.

With ceil_mode a window more is taken where one begins inside of the input, or of the padding before it, and is not whole.

All raise ShapeError if the kernel is longer than the padded input, ValueError for other arguments.
"""

from __future__ import annotations

import builtins
import math
from functools import lru_cache
from typing import Any

import numpy as np

from tapegrad.core.record import recorded, wrap
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import floats
from tapegrad.functions.elementwise import matmul, where
from tapegrad.functions.indexing import getitem
from tapegrad.functions.reductions import max, sum
from tapegrad.functions.shaping import moveaxis
from tapegrad.functions.tensor import Tensor
from tapegrad.functions.windows import Widths, batched, check_spans, padded, per_axis, unbatched, windows
from tapegrad.typing import Array, Shape, TensorLike

_Steps = tuple[tuple[int, ...], tuple[int, ...], Widths, tuple[int, ...]]


def _steps(name: str, n: int, x: TensorLike, kernel_size: Shape, stride: Shape | None, padding: Shape, dilation: Shape,
           ceil_mode: bool) -> tuple[Tensor, bool, _Steps, Widths, Widths]:
    """x with a batch axis, whether it had none, the kernel, stride, widths and dilation, and of the widths those of the padding
    and what ceil_mode adds behind it.
    """
    x, single = batched(name, x, n)
    kernel = per_axis(name, "kernel_size", kernel_size, n, 1)
    stride = kernel if stride is None else per_axis(name, "stride", stride, n, 1)
    padding = per_axis(name, "padding", padding, n, 0)
    dilation = per_axis(name, "dilation", dilation, n, 1)
    widths, more, around = _widths(name, x.shape[2:], kernel, stride, padding, dilation, bool(ceil_mode))
    return x, single, (kernel, stride, around, dilation), widths, more


@lru_cache(256)                                         # of a small image it takes longer than its pooling
def _widths(name: str, size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...],
            dilation: tuple[int, ...], ceil_mode: bool) -> tuple[Widths, Widths, Widths]:
    """Those of the padding, what ceil_mode adds behind it, and both."""
    if any(2 * width > k for width, k in zip(padding, kernel)):
        raise ValueError(f"{name}: padding={padding} is more than half of kernel_size={kernel}")
    widths = tuple([(width, width) for width in padding])
    more = tuple([(0, _rest(length, width, step * (k - 1) + 1, by) if ceil_mode else 0) for length, width, k, step, by in
                  zip(size, padding, kernel, dilation, stride)])
    around = tuple([(before, after + rest) for (before, after), (_, rest) in zip(widths, more)])
    check_spans(name, size, kernel, around, dilation)
    return widths, more, around


def _rest(length: int, width: int, span: int, stride: int) -> int:
    """How far the last window, which need not be whole, goes beyond the padded input; none begins in the padding at the end."""
    last = -(-(length + 2 * width - span) // stride)
    if last * stride >= length + width:
        last -= 1
    return builtins.max(last * stride + span - length - 2 * width, 0)


def _max_pool(name: str, n: int, x: TensorLike, kernel_size: Shape, stride: Shape | None, padding: Shape,
              dilation: Shape, ceil_mode: bool) -> Tensor:
    x, single, steps, _, _ = _steps(name, n, x, kernel_size, stride, padding, dilation, ceil_mode)
    if x.dtype.kind == "c":
        raise DtypeError(f"{name}: {describe(x)}; complex numbers have no greatest")
    return unbatched(recorded.max_pool(x, *steps), single)


def _avg_pool(name: str, n: int, x: TensorLike, kernel_size: Shape, stride: Shape | None, padding: Shape,
              ceil_mode: bool, count_include_pad: bool, divisor_override: int | None = None) -> Tensor:
    x, single, steps, widths, more = _steps(name, n, x, kernel_size, stride, padding, 1, ceil_mode)
    kernel, stride, _, dilation = steps
    count: Tensor | int = math.prod(kernel)
    if divisor_override is not None:
        if not divisor_override:
            raise ValueError(f"{name}: divisor_override={divisor_override}; it is not 0")
        count = divisor_override
    elif any(map(any, more)) or not count_include_pad and any(map(any, widths)):
        counted = padded(wrap(np.ones(x.shape[-n:], x.dtype), None), widths, float(count_include_pad))
        count = sum(windows(name, padded(counted, more), kernel, stride, dilation), tuple(range(n)))
    return unbatched(recorded.sum_pool(x, *steps) / count, single)


def max_pool1d(input: TensorLike, kernel_size: Shape, stride: Shape | None = None, padding: Shape = 0,
               dilation: Shape = 1, ceil_mode: bool = False) -> Tensor:
    """The greatest element of each window of each channel: (N, channels, length) or (channels, length).

    stride    from one window to the next; by default kernel_size
    padding   elements of -inf on either side, at most half of kernel_size

    Derivative: d to the greatest element of each window; elements that tie share it evenly, as everywhere in tapegrad,
    where PyTorch gives all of it to the first.

    >>> tg.max_pool1d(np.array([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[5., 3.]])
    >>> tg.grad(lambda x: tg.max_pool1d(x, 2).sum())(np.array([[1.0, 5.0, 3.0, 3.0]]))
    array([[0. , 1. , 0.5, 0.5]])
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(input: TensorLike, kernel_size: Shape, stride: Shape | None = None, padding: Shape = 0,
               dilation: Shape = 1, ceil_mode: bool = False) -> Tensor:
    """max_pool1d over two axes: (N, channels, height, width) or (channels, height, width), numbers or pairs.

    >>> tg.max_pool2d(np.arange(8.0).reshape(1, 2, 4), (2, 2))
    tensor([[[5., 7.]]])
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(input: TensorLike, kernel_size: Shape, stride: Shape | None = None, padding: Shape = 0,
               ceil_mode: bool = False, count_include_pad: bool = True) -> Tensor:
    """The mean of each window of each channel: (N, channels, length) or (channels, length).

    stride              from one window to the next; by default kernel_size
    padding             elements of 0 on either side, at most half of kernel_size
    count_include_pad   whether the padding counts as elements

    Derivative: d shared evenly by the elements of each window.

    >>> tg.avg_pool1d(np.array([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[3. , 2.5]])
    >>> tg.avg_pool1d(np.array([[1.0, 5.0]]), 2, padding=1, count_include_pad=False)
    tensor([[1., 5.]])
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(input: TensorLike, kernel_size: Shape, stride: Shape | None = None, padding: Shape = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """avg_pool1d over two axes: (N, channels, height, width) or (channels, height, width), numbers or pairs.

    divisor_override   by what the sum of a window is divided, instead of by the number of its elements

    >>> tg.avg_pool2d(np.arange(8.0).reshape(1, 2, 4), (2, 2))
    tensor([[[2.5, 4.5]]])
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)


def max_pool3d(input: TensorLike, kernel_size: Shape, stride: Shape | None = None, padding: Shape = 0,
               dilation: Shape = 1, ceil_mode: bool = False) -> Tensor:
    """max_pool1d over three axes: (N, channels, depth, height, width) or without N, numbers or triples.

    >>> tg.max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[7.]]]])
    """
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool3d(input: TensorLike, kernel_size: Shape, stride: Shape | None = None, padding: Shape = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """avg_pool1d over three axes: (N, channels, depth, height, width) or without N, numbers or triples.

    >>> tg.avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5]]]])
    """
    return _avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)


def _adaptive(name: str, n: int, x: TensorLike, output_size: Any) -> tuple[Tensor, bool, tuple[int, ...]]:
    """x with a batch axis, and the length of each axis of the output, where None stands for that of the input."""
    x, single = batched(name, floats(x), n)
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(given) == n:
        given = tuple([length if wanted is None else wanted for wanted, length in zip(given, x.shape[2:])])
    if 0 in x.shape[2:]:
        raise ShapeError(f"{name}: input {describe(x)} without elements to pool")
    return x, single, per_axis(name, "output_size", given, n, 1)


def _parts(n: int, m: int) -> tuple[Array, Array]:
    """Where each of m parts of n elements begins and ends: PyTorch's, which overlap by one where m does not divide n."""
    i = np.arange(m)
    return i * n // m, -(-(i + 1) * n // m)


def _adaptive_avg_pool(name: str, n: int, x: TensorLike, output_size: Any) -> Tensor:
    """The means over m parts of each of the last n axes: one product with a matrix per axis."""
    x, single, size = _adaptive(name, n, x, output_size)
    for axis, m in enumerate(size, 2):
        start, end = _parts(x.shape[axis], m)
        at = np.arange(x.shape[axis])[:, None]
        share = ((at >= start) & (at < end)) / (end - start)
        x = moveaxis(matmul(moveaxis(x, axis, -1), share.astype(x.dtype)), -1, axis)
    return unbatched(x, single)


def _adaptive_max_pool(name: str, n: int, x: TensorLike, output_size: Any) -> Tensor:
    x, single, size = _adaptive(name, n, x, output_size)
    places: list[Array] = []
    there: Array = np.ones((), bool)
    for i, (length, m) in enumerate(zip(x.shape[2:], size)):
        start, end = _parts(length, m)
        at = start[:, None] + np.arange((end - start).max())
        along = (*at.shape, *[1] * (2 * (n - 1 - i)))
        there = there & (at < end[:, None]).reshape(along)
        places.append(np.minimum(at, length - 1).reshape(along))
    covered = getitem(x, (slice(None), slice(None), *places))
    if not there.all():
        covered = where(there, covered, -math.inf)
    return unbatched(max(covered, tuple(range(3, 3 + 2 * n, 2))), single)


def adaptive_avg_pool1d(input: TensorLike, output_size: Shape) -> Tensor:
    """The means of `output_size` parts of each channel, as equal as can be: (N, channels, length) or (channels, length).

    Part i is from i length // output_size to the next whole number of (i + 1) length / output_size, as PyTorch's. Derivative:
    d shared evenly by the elements of each part.

    >>> tg.adaptive_avg_pool1d(np.array([[1.0, 2.0, 3.0]]), 2)
    tensor([[1.5, 2.5]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: TensorLike, output_size: Shape) -> Tensor:
    """adaptive_avg_pool1d over two axes: a number or a pair, None for the length of the input.

    >>> tg.adaptive_avg_pool2d(np.arange(8.0).reshape(1, 2, 4), (1, 2))
    tensor([[[2.5, 4.5]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_max_pool1d(input: TensorLike, output_size: Shape) -> Tensor:
    """The greatest elements of `output_size` parts of each channel; see adaptive_avg_pool1d for the parts.

    Derivative: d to the greatest element of each part, shared evenly by those that tie.

    >>> tg.adaptive_max_pool1d(np.array([[1.0, 2.0, 3.0]]), 2)
    tensor([[2., 3.]])
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size)


def adaptive_max_pool2d(input: TensorLike, output_size: Shape) -> Tensor:
    """adaptive_max_pool1d over two axes: a number or a pair, None for the length of the input.

    >>> tg.adaptive_max_pool2d(np.arange(8.0).reshape(1, 2, 4), (1, 2))
    tensor([[[5., 7.]]])
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size)
