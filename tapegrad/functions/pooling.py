"""Pooling in one and two dimensions under PyTorch's names: a reduction over the windows of the input.

The reshape in between copies the windows, which NumPy reduces forty times faster than the overlapping view.

All raise ShapeError if the kernel is longer than the padded input, ValueError for other arguments.
"""

from __future__ import annotations

import math

import numpy as np

from tapegrad.core.record import wrap
from tapegrad.errors import DtypeError, describe
from tapegrad.functions.reductions import max, sum
from tapegrad.functions.shaping import reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.functions.windows import Widths, batched, padded, per_axis, unbatched, windows
from tapegrad.typing import Shape, TensorLike


def _pooled(name: str, n: int, x: TensorLike, kernel_size: Shape, stride: Shape | None, padding: Shape, dilation: Shape,
            ceil_mode: bool, fill: float = -math.inf,
            ) -> tuple[Tensor, bool, tuple[Shape, Widths, tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """The windows of each channel, (N, channels, elements of the kernel, *positions), and what is needed to finish."""
    if ceil_mode:
        raise ValueError(f"{name}: ceil_mode={ceil_mode}; only whole windows are pooled")
    x, single = batched(name, x, n)
    kernel = per_axis(name, "kernel_size", kernel_size, n, 1)
    stride = kernel if stride is None else per_axis(name, "stride", stride, n, 1)
    padding = per_axis(name, "padding", padding, n, 0)
    dilation = per_axis(name, "dilation", dilation, n, 1)
    if any(2 * width > k for width, k in zip(padding, kernel)):
        raise ValueError(f"{name}: padding={padding} is more than half of kernel_size={kernel}")
    widths = tuple([(width, width) for width in padding])
    if fill == -math.inf and x.dtype.kind != "f":       # the least number of the dtype
        if x.dtype.kind == "c":
            raise DtypeError(f"{name}: {describe(x)}; complex numbers have no greatest")
        fill = False if x.dtype.kind == "b" else np.iinfo(x.dtype).min
    covered = windows(name, padded(x, widths, fill), kernel, stride, dilation)
    together = reshape(covered, (*x.shape[:2], math.prod(kernel), *covered.shape[-n:]))
    return together, single, (x.shape[2:], widths, kernel, stride, dilation)


def _max_pool(name: str, n: int, x: TensorLike, kernel_size: Shape, stride: Shape | None, padding: Shape,
              dilation: Shape, ceil_mode: bool) -> Tensor:
    covered, single, _ = _pooled(name, n, x, kernel_size, stride, padding, dilation, ceil_mode)
    return unbatched(max(covered, 2), single)


def _avg_pool(name: str, n: int, x: TensorLike, kernel_size: Shape, stride: Shape | None, padding: Shape,
              ceil_mode: bool, count_include_pad: bool) -> Tensor:
    covered, single, (size, widths, *steps) = _pooled(name, n, x, kernel_size, stride, padding, 1, ceil_mode, 0.0)
    count: Tensor | int = covered.shape[2]
    if not count_include_pad and any(map(any, widths)):
        count = sum(windows(name, padded(wrap(np.ones(size, covered.dtype), None), widths), *steps), tuple(range(n)))
    return unbatched(sum(covered, 2) / count, single)


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
               ceil_mode: bool = False, count_include_pad: bool = True) -> Tensor:
    """avg_pool1d over two axes: (N, channels, height, width) or (channels, height, width), numbers or pairs.

    >>> tg.avg_pool2d(np.arange(8.0).reshape(1, 2, 4), (2, 2))
    tensor([[[2.5, 4.5]]])
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad)
