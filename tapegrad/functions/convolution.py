"""Convolution and its transpose in one, two and three dimensions: PyTorch's under its names, and NumPy's convolve.

A convolution is one matrix product with the windows of the padded input (primitives/convolution.py), its transpose the
contribution to its input. What networks call convolution does not reverse the kernel; NumPy's does.
The derivative of each, to its input and to its weight, is a product of d with the other one's windows.

All raise ShapeError if shapes do not fit or the kernel is longer than the padded input, ValueError for other arguments.
"""

from __future__ import annotations

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, like
from tapegrad.functions.elementwise import matmul
from tapegrad.functions.indexing import getitem
from tapegrad.functions.shaping import reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.functions.windows import batched, check_spans, padded, padding_widths, per_axis, unbatched, windows
from tapegrad.typing import Shape, TensorLike


def _operands(name: str, x: TensorLike, W: TensorLike, b: TensorLike | None, groups: int, n: int, inputs: int,
              outputs: int) -> tuple[Tensor, bool, Tensor, int]:
    """x with a batch axis, W and b as tensors whose shapes fit; `inputs` and `outputs` are the axes of W for channels."""
    x, single = batched(name, x, n)
    W = as_tensor(W)
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ValueError(f"{name}: groups={groups!r}; it is an integer of at least 1")
    layout = ("channels out, channels in / groups" if outputs == 0 else "channels in, channels out / groups") + ", ..."
    if W.ndim != n + 2 or 0 in W.shape:
        raise ShapeError(f"{name}: weight {describe(W)}; it is ({layout}), with {n} axes of space")
    channels = W.shape[inputs] * (groups if outputs == 0 else 1)
    if x.shape[1] != channels or W.shape[0] % groups:
        raise ShapeError(f"{name}: input {describe(x)} and weight {describe(W)} with groups={groups}; the input has "
                         f"{x.shape[1]} channels, the weight, which is ({layout}), is for {channels}")
    count: int = W.shape[outputs] * (1 if outputs == 0 else groups)
    if b is not None and like(b).shape != (count,):
        raise ShapeError(f"{name}: bias {describe(like(b))} for {count} channels out")
    return x, single, W, count


def _biased(z: Tensor, b: TensorLike | None, n: int) -> Tensor:
    return z if b is None else z + reshape(b, (-1,) + (1,) * n)


def _conv(name: str, n: int, x: TensorLike, W: TensorLike, b: TensorLike | None, stride: Shape, padding: Shape | str,
          dilation: Shape, groups: int) -> Tensor:
    x, single, W, count = _operands(name, x, W, b, groups, n, inputs=1, outputs=0)
    kernel, size = W.shape[2:], x.shape[2:]
    stride, dilation = per_axis(name, "stride", stride, n, 1), per_axis(name, "dilation", dilation, n, 1)
    widths = padding_widths(name, padding, kernel, stride, dilation, n)
    check_spans(name, size, kernel, widths, dilation)
    z = recorded.convolution(x, W, 0.0 if b is None else b, stride, widths, dilation, int(groups))
    return unbatched(z, single)


def _conv_transpose(name: str, n: int, x: TensorLike, W: TensorLike, b: TensorLike | None, stride: Shape, padding: Shape,
                    output_padding: Shape, groups: int, dilation: Shape) -> Tensor:
    x, single, W, count = _operands(name, x, W, b, groups, n, inputs=0, outputs=1)
    kernel, size = W.shape[2:], x.shape[2:]
    stride, dilation = per_axis(name, "stride", stride, n, 1), per_axis(name, "dilation", dilation, n, 1)
    padding = per_axis(name, "padding", padding, n, 0)
    more = per_axis(name, "output_padding", output_padding, n, 0)
    if any(extra >= max(step, spread) for extra, step, spread in zip(more, stride, dilation)):
        raise ValueError(f"{name}: output_padding={output_padding} is not smaller than stride or dilation")
    full = tuple([(length - 1) * step + spread * (k - 1) + 1 + extra
                  for length, step, spread, k, extra in zip(size, stride, dilation, kernel, more)])
    if any(length <= 2 * width for length, width in zip(full, padding)):
        raise ShapeError(f"{name}: padding={padding} takes away all of an output of {full}")
    # Elements so far beyond x that a convolution of the result would have a position more than x: zeros.
    beyond = tuple([max(0, extra - step + 1) for extra, step in zip(more, stride)])
    ends = tuple([length - width for length, width in zip(full, padding)])
    if any(beyond):
        whole = tuple([length - extra for length, extra in zip(full, beyond)])
        z = recorded.convolution_input(x, W, whole, stride, ((0, 0),) * n, dilation, int(groups))
        z = padded(z, tuple([(0, extra) for extra in beyond]))
        z = getitem(z, (Ellipsis, *map(slice, padding, ends)))
    else:
        inner, widths = tuple([end - width for end, width in zip(ends, padding)]), tuple(zip(padding, padding))
        z = recorded.convolution_input(x, W, inner, stride, widths, dilation, int(groups))
    return unbatched(_biased(z, b, n), single)


def conv1d(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Shape = 1,
           padding: Shape | str = 0, dilation: Shape = 1, groups: int = 1) -> Tensor:
    """z[n, f, i] = bias[f] + sum over c, k of weight[f, c, k] input[n, c, i stride + k dilation], padded with zeros.

    input     (N, channels, length) or (channels, length)
    weight    (channels out, channels / groups, kernel)
    bias      (channels out,)
    padding   elements on either side; "valid" for none; "same" for an output as long as the input, with stride 1
    groups    the channels in and out fall into so many groups, each convolved by itself

    The result is (N, channels out, (padded length - dilation (kernel - 1) - 1) // stride + 1), as torch.nn.functional.conv1d.

    >>> x, W = np.arange(5.0).reshape(1, 5), np.array([[[1.0, 0.0, -1.0]]])
    >>> tg.conv1d(x, W)
    tensor([[-2., -2., -2.]])
    >>> tg.conv1d(x, W, stride=2, padding=1)
    tensor([[-1., -2.,  3.]])
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Shape = 1,
           padding: Shape | str = 0, dilation: Shape = 1, groups: int = 1) -> Tensor:
    """conv1d over two axes: (N, channels, height, width) or (channels, height, width), with
    weight (channels out, channels / groups, kernel height, kernel width). stride, padding and dilation are numbers or pairs.

    >>> tg.conv2d(np.arange(9.0).reshape(1, 3, 3), np.ones((1, 1, 2, 2)), np.array([100.0]))
    tensor([[[108., 112.],
             [120., 124.]]])
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Shape = 1,
                     padding: Shape = 0, output_padding: Shape = 0, groups: int = 1, dilation: Shape = 1) -> Tensor:
    """The derivative of conv1d with respect to its input, as a layer: each element adds a multiple of the kernel.

    input            (N, channels, length) or (channels, length)
    weight           (channels, channels out / groups, kernel)
    bias             (channels out,)
    padding          elements taken off either side of the result
    output_padding   elements put at its end

    The result has length (length - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.

    >>> tg.conv_transpose1d(np.array([[1.0, 10.0]]), np.array([[[1.0, 2.0]]]), stride=2)
    tensor([[ 1.,  2., 10., 20.]])
    """
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Shape = 1,
                     padding: Shape = 0, output_padding: Shape = 0, groups: int = 1, dilation: Shape = 1) -> Tensor:
    """conv_transpose1d over two axes, each argument a number or a pair.

    >>> tg.conv_transpose2d(np.array([[[1.0, 10.0]]]), np.array([[[[1.0], [2.0]]]]))
    tensor([[[ 1., 10.],
             [ 2., 20.]]])
    """
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv3d(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Shape = 1,
           padding: Shape | str = 0, dilation: Shape = 1, groups: int = 1) -> Tensor:
    """conv1d over three axes: (N, channels, depth, height, width) or without N, each argument a number or a triple.

    >>> tg.conv3d(np.arange(8.0).reshape(1, 2, 2, 2), np.ones((1, 1, 1, 2, 2)))
    tensor([[[[ 6.]],
             [[22.]]]])
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose3d(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Shape = 1,
                     padding: Shape = 0, output_padding: Shape = 0, groups: int = 1, dilation: Shape = 1) -> Tensor:
    """conv_transpose1d over three axes, each argument a number or a triple.

    >>> tg.conv_transpose3d(np.ones((1, 1, 1, 1)), np.arange(2.0).reshape(1, 1, 1, 1, 2))
    tensor([[[[0., 1.]]]])
    """
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def convolve(a: TensorLike, v: TensorLike, mode: str = "full") -> Tensor:
    """z[i] = sum over k of a[i - k] v[k]: the convolution of two vectors, as np.convolve.

    mode   "full", "same" for the middle part, as long as the longer vector, or "valid" where the shorter lies inside

    >>> tg.convolve(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]))
    tensor([ 1., 12., 23., 30.])
    """
    x, y = (reshape(z, (1,)) if z.ndim == 0 else z for z in (as_tensor(a), as_tensor(v)))
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size:
        raise ShapeError(f"convolve: {describe(x)} and {describe(y)}; two vectors that are not empty are needed")
    if y.size > x.size:
        x, y = y, x
    around = y.size - 1
    widths = {"full": (around, around), "same": (around - around // 2, around // 2), "valid": (0, 0)}
    if mode not in widths:
        raise ValueError(f"convolve: mode={mode!r}; it is 'full', 'same' or 'valid'")
    covered = windows("convolve", padded(x, (widths[mode],)), y.shape, (1,), (1,))
    return matmul(getitem(y, slice(None, None, -1)), covered)
