"""Distances between vectors, and losses of them, under PyTorch's names. See losses.py for `reduction`."""

from __future__ import annotations

from tapegrad.errors import ShapeError, describe
from tapegrad.functions.activations import relu
from tapegrad.functions.arguments import as_tensor, floats, number
from tapegrad.functions.elementwise import equal, minimum, sqrt, square, where
from tapegrad.functions.norms import vector_norm
from tapegrad.functions.reduced_losses import check_reduction, reduced
from tapegrad.functions.reductions import sum
from tapegrad.functions.shaping import expand_dims
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def pairwise_distance(x1: TensorLike, x2: TensorLike, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis. Derivative: that of the norm, whose size is 1 also for equal vectors.

    >>> tg.pairwise_distance([[1.0, 2.0]], [[4.0, 6.0]], eps=0.0)
    tensor([5.])
    """
    difference = floats(x1) - floats(x2) + number("pairwise_distance", eps)
    if not difference.ndim:
        raise ShapeError("pairwise_distance: two numbers; vectors along the last axis are needed")
    return vector_norm(difference, axis=-1, keepdims=keepdim, ord=number("pairwise_distance", p))


def cdist(x1: TensorLike, x2: TensorLike, p: float = 2.0) -> Tensor:
    """The p-norm of each row of x1 minus each of x2: (.., P, M) and (.., R, M) give (.., P, R).

    It is that of the differences themselves, exact for near rows, and takes memory for P R M numbers. Derivative: that of the
    norm, 0 where two rows are equal.

    >>> tg.cdist([[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0]])
    tensor([[0.],
            [5.]])
    """
    x, y = floats(x1), floats(x2)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeError(f"cdist: {describe(x)} and {describe(y)}; they are (.., P, M) and (.., R, M)")
    return vector_norm(expand_dims(x, -2) - expand_dims(y, -3), axis=-1, ord=number("cdist", p))


def triplet_margin_loss(anchor: TensorLike, positive: TensorLike, negative: TensorLike, margin: float = 1.0, p: float = 2,
                        eps: float = 1e-6, swap: bool = False, reduction: str = "mean") -> Tensor:
    """max(|anchor - positive| - |anchor - negative| + margin, 0), of vectors along the last axis, by pairwise_distance.

    swap   take |positive - negative| where that is less than |anchor - negative|

    Source: Schroff, Kalenichenko and Philbin, FaceNet (2015); Balntas et al. (2016) for swap. Derivative: that of the
    distances, where the loss is not 0.

    >>> tg.triplet_margin_loss([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]], eps=0.0)
    tensor(4.)
    """
    check_reduction("triplet_margin_loss", reduction)
    margin = number("triplet_margin_loss", margin)
    a, near, far = floats(anchor), floats(positive), floats(negative)
    if not a.shape == near.shape == far.shape:
        raise ShapeError(f"triplet_margin_loss: anchor {describe(a)}, positive {describe(near)}, negative {describe(far)}; "
                         "they have one shape")
    away = pairwise_distance(a, far, p, eps)
    if swap:
        away = minimum(away, pairwise_distance(near, far, p, eps))
    return reduced(relu(pairwise_distance(a, near, p, eps) - away + margin), reduction)


def cosine_embedding_loss(input1: TensorLike, input2: TensorLike, target: TensorLike, margin: float = 0.0,
                          reduction: str = "mean") -> Tensor:
    """1 - c where target is 1, max(c - margin, 0) where it is -1; c is the cosine of the angle between two vectors.

    input1, input2   (N, M) or (M,)
    target           (N,) or (), each 1 or -1

    Derivative: -d to c where target is 1, d where it is -1 and the loss is not 0.

    >>> tg.cosine_embedding_loss([[1.0, 0.0]], [[3.0, 4.0]], [1])
    tensor(0.4)
    """
    check_reduction("cosine_embedding_loss", reduction)
    x, y, wanted = floats(input1), floats(input2), as_tensor(target)
    if x.ndim not in (1, 2) or x.shape != y.shape or wanted.shape != x.shape[:-1]:
        raise ShapeError(f"cosine_embedding_loss: {describe(x)}, {describe(y)}, target {describe(wanted)}; they are (N, M), "
                         "(N, M), (N,), or (M,), (M,), ()")
    one, other = sum(square(x), -1) + 1e-12, sum(square(y), -1) + 1e-12
    cosine = sum(x * y, -1) / sqrt(one * other)
    return reduced(where(equal(wanted, 1), 1 - cosine, relu(cosine - number("cosine_embedding_loss", margin))), reduction)
