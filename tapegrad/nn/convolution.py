"""Convolutions, pools, and images in other sizes, as modules."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.functions import convolution, pooling, resampling
from tapegrad.functions.arguments import as_tensor
from tapegrad.functions.joining import pad
from tapegrad.functions.tensor import Tensor
from tapegrad.functions.windows import Widths, padding_widths, per_axis
from tapegrad.nn.module import NEEDED, Module, applied, drawn
from tapegrad.typing import DTypeLike, Shape, TensorLike

_CONVOLUTIONS = convolution.conv1d, convolution.conv2d, convolution.conv3d
_TRANSPOSES = convolution.conv_transpose1d, convolution.conv_transpose2d, convolution.conv_transpose3d
_PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class _Convolution(Module):
    """A weight, a bias, and how the one is moved."""

    n: ClassVar[int]
    transposed: ClassVar[bool] = False
    weight: Tensor
    bias: Tensor | None

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Shape, stride: Shape, padding: Shape | str,
                 dilation: Shape, groups: int, bias: bool, padding_mode: str, dtype: DTypeLike) -> None:
        super().__init__()
        name = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: {in_channels} channels in and {out_channels} out in {groups} groups; they must "
                             "be multiples")
        if padding_mode not in _PADDING_MODES or self.transposed and padding_mode != "zeros":
            known = ("zeros",) if self.transposed else _PADDING_MODES
            raise ValueError(f"{name}: padding_mode={padding_mode!r}; it is {' or '.join(map(repr, known))}")
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.n, 1)
        self.stride, self.dilation = (per_axis(name, key, given, self.n, 1)
                                      for key, given in (("stride", stride), ("dilation", dilation)))
        self.padding: Any = padding
        if self.transposed or not isinstance(padding, str):
            self.padding = per_axis(name, "padding", padding, self.n, 0)        # type: ignore[arg-type]
        else:
            self._widths()                              # an error here, not at the first call
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        drawn(self, {"weight": (*channels, *self.kernel_size), "bias": (out_channels,) if bias else None},
              channels[1] * math.prod(self.kernel_size), dtype)

    def _widths(self) -> Widths:
        return padding_widths(type(self).__name__, self.padding, self.kernel_size, self.stride, self.dilation, self.n)

    def forward(self, input: TensorLike) -> Tensor:
        x, padding = as_tensor(input), self.padding
        if self.padding_mode != "zeros":
            x = pad(x, ((0, 0),) * (x.ndim - self.n) + self._widths(), _PADDING_MODES[self.padding_mode])
            padding = (0,) * self.n
        return _CONVOLUTIONS[self.n - 1](x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        defaults = {"padding": (0,) * self.n, "output_padding": (0,) * self.n, "dilation": (1,) * self.n, "groups": 1,
                    "padding_mode": "zeros"}
        more = [f"{key}={held!r}" for key, default in defaults.items() if (held := vars(self).get(key, default)) != default]
        more += ["bias=False"] if self.bias is None else []
        return ", ".join([f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}",
                          *more])


class _Conv(_Convolution):
    """A convolution."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Shape, stride: Shape = 1, padding: Shape | str = 0,
                 dilation: Shape = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)


class Conv1d(_Conv):
    """tg.conv1d: (N, in_channels, length) or (in_channels, length), with a weight and a bias.

    weight         (out_channels, in_channels / groups, kernel), uniform on (-a, a) at first,
    a = 1 / sqrt(its elements per output)
    bias           (out_channels,), too, or none
    padding        elements on either side, "same" or "valid"
    padding_mode   what these are: "zeros", "reflect", "replicate" or "circular"

    >>> tg.nn.Conv1d(3, 8, 5, padding="same")(np.ones((2, 3, 10), "f4")).shape
    (2, 8, 10)
    """

    n = 1


class Conv2d(_Conv):
    """tg.conv2d, as Conv1d over two axes, each option a number or a pair.

    >>> tg.nn.Conv2d(3, 8, (3, 5), stride=2, padding=1)(np.ones((2, 3, 8, 9), "f4")).shape
    (2, 8, 4, 4)
    """

    n = 2


class Conv3d(_Conv):
    """tg.conv3d, as Conv1d over three axes, each option a number or a triple.

    >>> tg.nn.Conv3d(1, 2, 3)(np.ones((1, 1, 4, 5, 6), "f4")).shape
    (1, 2, 2, 3, 4)
    """

    n = 3


class _ConvTranspose(_Convolution):
    """A transposed convolution."""

    transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Shape, stride: Shape = 1, padding: Shape = 0,
                 output_padding: Shape = 0, groups: int = 1, bias: bool = True, dilation: Shape = 1,
                 padding_mode: str = "zeros", *, dtype: DTypeLike = np.float32) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
        self.output_padding = per_axis(type(self).__name__, "output_padding", output_padding, self.n, 0)

    def forward(self, input: TensorLike) -> Tensor:
        return _TRANSPOSES[self.n - 1](input, self.weight, self.bias, self.stride, self.padding, self.output_padding,
                                       self.groups, self.dilation)


class ConvTranspose1d(_ConvTranspose):
    """tg.conv_transpose1d, with a weight (in_channels, out_channels / groups, kernel) and a bias.

    padding          elements taken off either side of the result
    output_padding   elements put at its end

    >>> tg.nn.ConvTranspose1d(3, 2, 4, stride=2)(np.ones((1, 3, 5), "f4")).shape
    (1, 2, 12)
    """

    n = 1


class ConvTranspose2d(_ConvTranspose):
    """tg.conv_transpose2d, as ConvTranspose1d over two axes.

    >>> tg.nn.ConvTranspose2d(3, 2, 2, stride=2)(np.ones((1, 3, 4, 5), "f4")).shape
    (1, 2, 8, 10)
    """

    n = 2


class ConvTranspose3d(_ConvTranspose):
    """tg.conv_transpose3d, as ConvTranspose1d over three axes.

    >>> tg.nn.ConvTranspose3d(1, 1, 2)(np.ones((1, 1, 2, 3, 4), "f4")).shape
    (1, 1, 3, 4, 5)
    """

    n = 3


_MAX: dict[str, Any] = {"kernel_size": NEEDED, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
_MEAN: dict[str, Any] = {"kernel_size": NEEDED, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True}
_MEANS: dict[str, Any] = {**_MEAN, "divisor_override": None}

MaxPool1d = applied("MaxPool1d", pooling.max_pool1d, "tg.max_pool1d: the greatest element of each window of each channel.",
                    "(2)(np.array([[1.0, 5.0, 2.0, 3.0]]))", "tensor([[5., 3.]])", **_MAX)
MaxPool2d = applied("MaxPool2d", pooling.max_pool2d, "tg.max_pool2d: MaxPool1d over two axes.",
                    "(2)(np.arange(8.0).reshape(1, 2, 4))", "tensor([[[5., 7.]]])", **_MAX)
MaxPool3d = applied("MaxPool3d", pooling.max_pool3d, "tg.max_pool3d: MaxPool1d over three axes.",
                    "(2)(np.arange(8.0).reshape(1, 2, 2, 2))", "tensor([[[[7.]]]])", **_MAX)
AvgPool1d = applied("AvgPool1d", pooling.avg_pool1d, "tg.avg_pool1d: the mean of each window of each channel.",
                    "(2)(np.array([[1.0, 5.0, 2.0, 3.0]]))", "tensor([[3. , 2.5]])", **_MEAN)
AvgPool2d = applied("AvgPool2d", pooling.avg_pool2d, "tg.avg_pool2d: AvgPool1d over two axes.",
                    "(2)(np.arange(8.0).reshape(1, 2, 4))", "tensor([[[2.5, 4.5]]])", **_MEANS)
AvgPool3d = applied("AvgPool3d", pooling.avg_pool3d, "tg.avg_pool3d: AvgPool1d over three axes.",
                    "(2)(np.arange(8.0).reshape(1, 2, 2, 2))", "tensor([[[[3.5]]]])", **_MEANS)
AdaptiveAvgPool1d = applied(
    "AdaptiveAvgPool1d", pooling.adaptive_avg_pool1d, "tg.adaptive_avg_pool1d: the means of equal parts of each channel.",
    "(2)(np.array([[1.0, 2.0, 3.0]]))", "tensor([[1.5, 2.5]])", output_size=NEEDED)
AdaptiveAvgPool2d = applied(
    "AdaptiveAvgPool2d", pooling.adaptive_avg_pool2d, "tg.adaptive_avg_pool2d: AdaptiveAvgPool1d over two axes.",
    "((1, 2))(np.arange(8.0).reshape(1, 2, 4))", "tensor([[[2.5, 4.5]]])", output_size=NEEDED)
AdaptiveMaxPool1d = applied(
    "AdaptiveMaxPool1d", pooling.adaptive_max_pool1d, "tg.adaptive_max_pool1d: the greatest elements of equal parts.",
    "(2)(np.array([[1.0, 2.0, 3.0]]))", "tensor([[2., 3.]])", output_size=NEEDED)
AdaptiveMaxPool2d = applied(
    "AdaptiveMaxPool2d", pooling.adaptive_max_pool2d, "tg.adaptive_max_pool2d: AdaptiveMaxPool1d over two axes.",
    "((1, 2))(np.arange(8.0).reshape(1, 2, 4))", "tensor([[[5., 7.]]])", output_size=NEEDED)
Upsample = applied(
    "Upsample", resampling.interpolate, "tg.interpolate: images in another size.",
    "(scale_factor=2)(tg.tensor([[[1.0, 3.0]]]))",
    "tensor([[[1., 1., 3., 3.]]])", size=None, scale_factor=None, mode="nearest", align_corners=None,
    recompute_scale_factor=None)
PixelShuffle = applied(
    "PixelShuffle", resampling.pixel_shuffle, "tg.pixel_shuffle: channels become blocks of pixels.",
    "(2)(np.zeros((4, 3, 2))).shape", "(1, 6, 4)", upscale_factor=NEEDED)
PixelUnshuffle = applied(
    "PixelUnshuffle", resampling.pixel_unshuffle, "tg.pixel_unshuffle: blocks of pixels become channels.",
    "(2)(np.zeros((1, 6, 4))).shape", "(4, 3, 2)", downscale_factor=NEEDED)
Unfold = applied("Unfold", resampling.unfold, "tg.unfold: what a kernel covers at each of its positions.",
                 "(2)(np.zeros((1, 1, 3, 3))).shape", "(1, 4, 4)", kernel_size=NEEDED, dilation=1, padding=0, stride=1)
Fold = applied("Fold", resampling.fold, "tg.fold: the columns of Unfold added back.", "(3, 2)(np.zeros((1, 4, 4))).shape",
               "(1, 1, 3, 3)", output_size=NEEDED, kernel_size=NEEDED, dilation=1, padding=0, stride=1)
