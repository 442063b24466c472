"""Pooling in one and two dimensions under PyTorch's names: a reduction over the windows of the input.

The reshape in between copies the windows, which NumPy reduces forty times faster than the overlapping view.
"""

import math

import numpy as np

from tapegrad.core.record import wrap
from tapegrad.functions.convolution import batched, padded, per_axis, unbatched, windows
from tapegrad.functions.reductions import max, sum
from tapegrad.functions.shaping import reshape


def _pooled(name, n, x, kernel_size, stride, padding, dilation, fill):
    """The windows of each channel, (N, channels, elements of the kernel, *positions), and what is needed to finish."""
    x, single = batched(name, x, n)
    kernel = per_axis(name, "kernel_size", kernel_size, n, 1)
    stride = kernel if stride is None else per_axis(name, "stride", stride, n, 1)
    padding = per_axis(name, "padding", padding, n, 0)
    dilation = per_axis(name, "dilation", dilation, n, 1)
    if any(2 * width > k for width, k in zip(padding, kernel)):
        raise ValueError(f"{name}: padding={padding} is more than half of kernel_size={kernel}")
    widths = tuple([(width, width) for width in padding])
    covered = windows(name, padded(x, widths, fill), kernel, stride, dilation)
    together = reshape(covered, (*x.shape[:2], math.prod(kernel), *covered.shape[-n:]))
    return together, single, (x.shape[2:], widths, kernel, stride, dilation)


def _max_pool(name, n, x, kernel_size, stride, padding, dilation):
    covered, single, _ = _pooled(name, n, x, kernel_size, stride, padding, dilation, -math.inf)
    return unbatched(max(covered, 2), single)


def _avg_pool(name, n, x, kernel_size, stride, padding, count_include_pad):
    covered, single, (size, widths, *steps) = _pooled(name, n, x, kernel_size, stride, padding, 1, 0.0)
    count = covered.shape[2]
    if not count_include_pad and any(map(any, widths)):
        count = sum(windows(name, padded(wrap(np.ones(size, covered.dtype), None), widths), *steps), tuple(range(n)))
    return unbatched(sum(covered, 2) / count, single)


def max_pool1d(x, kernel_size, stride=None, padding=0, dilation=1):
    """The greatest element of each window of each channel: (N, channels, length) or (channels, length).

    stride    from one window to the next; by default kernel_size
    padding   elements of -inf on either side, at most half of kernel_size

    Derivative: d to the greatest element of each window; elements that tie share it evenly, as everywhere in tapegrad,
    where PyTorch gives all of it to the first. Raises ShapeError where the kernel is longer than the padded input,
    ValueError for other arguments.
    """
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    """max_pool1d over two axes: (N, channels, height, width) or (channels, height, width), numbers or pairs."""
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation)


def avg_pool1d(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """The mean of each window of each channel: (N, channels, length) or (channels, length).

    stride              from one window to the next; by default kernel_size
    padding             elements of 0 on either side, at most half of kernel_size
    count_include_pad   whether the padding counts as elements

    Raises ShapeError where the kernel is longer than the padded input, ValueError for other arguments.
    """
    return _avg_pool("avg_pool1d", 1, x, kernel_size, stride, padding, count_include_pad)


def avg_pool2d(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """avg_pool1d over two axes: (N, channels, height, width) or (channels, height, width), numbers or pairs."""
    return _avg_pool("avg_pool2d", 2, x, kernel_size, stride, padding, count_include_pad)
