"""Normalisation and dropout, as modules."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor
from tapegrad.functions.layers import batch_norm, dropout, group_norm, layer_norm, rms_norm
from tapegrad.functions.running import count
from tapegrad.functions.shaping import expand_dims, squeeze
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import Applied, Module, Parameter, applied
from tapegrad.typing import DTypeLike, Shape, TensorLike


def _scale(module: Module, shape: tuple[int, ...], weight: bool, bias: bool, dtype: Any) -> None:
    """A weight of ones and a bias of zeros, or None."""
    module.register_parameter("weight", Parameter(np.ones(shape, dtype)) if weight else None)
    module.register_parameter("bias", Parameter(np.zeros(shape, dtype)) if bias else None)


class _BatchNorm(Module):
    """The parameters and the statistics of channels."""

    axes: ClassVar[tuple[int, ...]]
    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, *, bias: bool = True, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _scale(self, (num_features,), affine, affine and bias, dtype)
        for name, start in (("running_mean", np.zeros(num_features, dtype)), ("running_var", np.ones(num_features, dtype)),
                            ("num_batches_tracked", np.array(0))):
            self.register_buffer(name, start if track_running_stats else None)

    def forward(self, input: TensorLike) -> Tensor:
        x = as_tensor(input)
        if x.ndim not in self.axes or x.shape[1] != self.num_features:
            raise ShapeError(f"{type(self).__name__}: input {describe(x)}; it is (N, {self.num_features}, ..) with "
                             f"{' or '.join(map(str, self.axes))} axes")
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            count(self.num_batches_tracked)
            if momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        tracked = self.running_mean is not None
        return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training or not tracked,
                          momentum or 0.0, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"track_running_stats={self.track_running_stats}")


class BatchNorm1d(_BatchNorm):
    """tg.batch_norm of (N, channels) or (N, channels, length): in training by the batch, else by running statistics.

    momentum   how far these move at each batch; None for the mean over all batches
    affine, bias   whether there are a weight, ones at first, and a bias, zeros, (num_features,) each
    track_running_stats   whether there are running_mean, running_var and num_batches_tracked; else the batch is used always

    >>> tg.nn.BatchNorm1d(3)(np.eye(3, dtype="f4")).shape
    (3, 3)
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """BatchNorm1d of images: (N, channels, height, width).

    >>> tg.nn.BatchNorm2d(3).eval()(np.ones((1, 3, 2, 2), "f4")).shape
    (1, 3, 2, 2)
    """

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """BatchNorm1d of volumes: (N, channels, depth, height, width).

    >>> tg.nn.BatchNorm3d(3).eval()(np.ones((1, 3, 2, 2, 2), "f4")).shape
    (1, 3, 2, 2, 2)
    """

    axes = (5,)


class LayerNorm(Module):
    """tg.layer_norm over the last axes, whose lengths are `normalized_shape`, with a weight of ones and a bias of zeros.

    elementwise_affine, bias   whether there are these

    >>> tg.nn.LayerNorm(3)(np.ones((2, 3), "f4")).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, normalized_shape: Shape, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True, *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.normalized_shape: tuple[int, ...] = tuple(np.atleast_1d(normalized_shape).tolist())
        self.eps, self.elementwise_affine = eps, elementwise_affine
        _scale(self, self.normalized_shape, elementwise_affine, elementwise_affine and bias, dtype)

    def forward(self, input: TensorLike) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """tg.rms_norm over the last axes, whose lengths are `normalized_shape`, with a weight of ones at first.

    >>> tg.nn.RMSNorm(2, eps=0.0)(np.array([[1.0, 7.0]])).data.round(6)
    array([[0.2, 1.4]])
    """

    weight: Tensor | None

    def __init__(self, normalized_shape: Shape, eps: float | None = None, elementwise_affine: bool = True, *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.normalized_shape: tuple[int, ...] = tuple(np.atleast_1d(normalized_shape).tolist())
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter("weight", Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None)

    def forward(self, input: TensorLike) -> Tensor:
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """tg.group_norm of (N, num_channels, ..) in `num_groups` groups, with a weight of ones and a bias of zeros at first.

    >>> tg.nn.GroupNorm(2, 4)(np.ones((1, 4, 3), "f4")).shape
    (1, 4, 3)
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, bias: bool = True,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_channels} channels in {num_groups} groups; they are shared out evenly")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _scale(self, (num_channels,), affine, affine and bias, dtype)

    def forward(self, input: TensorLike) -> Tensor:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _InTraining(Applied):
    """A function that is random while the module is in training, and the identity otherwise."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        p = vars(self)["p"]
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p={p}; a probability is from 0 to 1")

    def forward(self, *inputs: Any) -> Any:
        return type(self).function(*inputs, training=self.training, **self.options())


def _of_channels(input: TensorLike, p: float, training: bool) -> Tensor:
    """Whole channels of (N, channels, ..) at once."""
    x = as_tensor(input)
    if x.ndim < 2:
        raise ShapeError(f"dropout of channels: input {describe(x)}; it is (N, channels, ..)")
    return x * dropout(np.ones((*x.shape[:2], *[1] * (x.ndim - 2)), x.dtype), p, training) if training else x


def _of_channels_1d(input: TensorLike, p: float, training: bool) -> Tensor:
    """Whole channels of (N, channels, length), or of one example (channels, length)."""
    x = as_tensor(input)
    if x.ndim not in (2, 3):
        raise ShapeError(f"Dropout1d: input {describe(x)}; it is (N, channels, length) or (channels, length)")
    return squeeze(_of_channels(expand_dims(x, 0), p, training), 0) if x.ndim == 2 else _of_channels(x, p, training)


Dropout = applied(
    "Dropout", dropout, "tg.dropout in training: each element is 0 with probability p, and 1 / (1 - p) times itself else.",
    "(0.5).eval()([1.0, 2.0])", "tensor([1., 2.])", base=_InTraining, unused=("inplace",), p=0.5, inplace=False)
Dropout1d = applied(
    "Dropout1d", _of_channels_1d,
    "Dropout of whole channels of (N, channels, length) or (channels, length): all elements of one are dropped together.",
    "().eval()([[[1.0, 2.0]]])", "tensor([[[1., 2.]]])", base=_InTraining, unused=("inplace",), p=0.5, inplace=False)
Dropout2d = applied(
    "Dropout2d", _of_channels, "Dropout of whole channels of (N, channels, height, width).",
    "().eval()(np.ones((1, 1, 1, 2)))", "tensor([[[[1., 1.]]]])", base=_InTraining, unused=("inplace",), p=0.5, inplace=False)
