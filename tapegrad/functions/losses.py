"""Losses under PyTorch's names, as compositions. The classes of a classifier are the last axis.

Every loss takes reduction="mean" over its elements, "sum", or "none" for one loss per element; ValueError for another. The two
operands have one shape, or the target is a single number; ShapeError where they differ. In what is said of them, x is the
input; "Derivative" is that of one element's loss, whose delta is d: with "mean", the delta of the result divided by the number
of elements.
"""

from __future__ import annotations

import math

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.activations import log_softmax, relu, softplus
from tapegrad.functions.arguments import as_tensor, constant, single_axis, value
from tapegrad.functions.elementwise import (
    absolute,
    astype,
    equal,
    exp,
    floats,
    less,
    log,
    maximum,
    multiply,
    negative,
    sqrt,
    square,
    squared_size,
    where,
)
from tapegrad.functions.indexing import getitem
from tapegrad.functions.reductions import mean, sum
from tapegrad.functions.shaping import broadcast_to
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike

_LEAST_PROBABILITY = math.exp(-100)


def check_reduction(name: str, reduction: str, known: tuple[str, ...] = ("mean", "sum", "none")) -> None:
    """ValueError for a reduction that is not known."""
    if reduction not in known:
        raise ValueError(f"{name}: reduction={reduction!r}; it is {', '.join(map(repr, known[:-1]))} or {known[-1]!r}")


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of the losses, or themselves."""
    return mean(losses) if reduction == "mean" else sum(losses) if reduction == "sum" else losses


def pair(name: str, x: TensorLike, target: TensorLike, reduction: str, other: str = "target") -> tuple[Tensor, Tensor]:
    """Two operands of one shape (or a single number as the second) as tensors, and a reduction that is known."""
    x = as_tensor(x)
    x = x if x.dtype.kind in "fc" else floats(x)
    target = as_tensor(target, beside=x)
    if target.dtype.kind not in "fc":
        target = astype(target, np.result_type(x.dtype, target.dtype))      # of small integers, differences wrap around
    if target.shape != x.shape and target.ndim:
        raise ShapeError(f"{name}: {describe(x)} and {other} {describe(target)}; they must have one shape")
    check_reduction(name, reduction)
    return x, target


def mse_loss(input: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """(x - target)^2, of complex numbers |x - target|^2. Derivative: 2 (x - target) d to x, and its negative to the target.

    >>> tg.mse_loss([1.0, 2.0], [0.0, 0.0])
    tensor(2.5)
    >>> tg.grad(tg.mse_loss)(np.array([1.0, 2.0]), 0.0)
    array([1., 2.])
    """
    x, target = pair("mse_loss", input, target, reduction)
    return reduced(squared_size(x - target), reduction)


def l1_loss(input: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """|x - target|. Derivative: sign(x - target) d to x, and its negative to the target.

    >>> tg.l1_loss([1.0, -2.0], [0.0, 0.0])
    tensor(1.5)
    """
    x, target = pair("l1_loss", input, target, reduction)
    return reduced(absolute(x - target), reduction)


def smooth_l1_loss(input: TensorLike, target: TensorLike, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """e^2 / (2 beta) where e = |x - target| < beta, e - beta / 2 elsewhere. Source: Girshick, Fast R-CNN (2015).

    Derivative: d (x - target) / beta, held between -d and d, to x, and its negative to the target. ValueError for a negative
    beta.

    >>> tg.smooth_l1_loss([0.5, 3.0], [0.0, 0.0], reduction="none")
    tensor([0.125, 2.5  ])
    """
    x, target = pair("smooth_l1_loss", input, target, reduction)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta={beta} is negative")
    e = absolute(x - target)
    return reduced(where(less(e, beta), square(e) * (0.5 / beta), e - 0.5 * beta) if beta else e, reduction)


def huber_loss(input: TensorLike, target: TensorLike, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """e^2 / 2 where e = |x - target| < delta, delta (e - delta / 2) elsewhere. Source: Huber (1964).

    Derivative: d (x - target), the difference held between -delta and delta, to x, and its negative to the target.
    ValueError for a delta that is not positive.

    >>> tg.huber_loss([0.5, 3.0], [0.0, 0.0], reduction="none", delta=2.0)
    tensor([0.125, 4.   ])
    """
    x, target = pair("huber_loss", input, target, reduction)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta={delta}; it must be greater than 0")
    e = absolute(x - target)
    return reduced(where(less(e, delta), square(e) * 0.5, delta * (e - 0.5 * delta)), reduction)


def binary_cross_entropy(input: TensorLike, target: TensorLike, weight: TensorLike | None = None,
                         reduction: str = "mean") -> Tensor:
    """-(target log(p) + (1 - target) log(1 - p)), p the input; a logarithm is at least -100. `weight` multiplies the losses.

    Where p is on the wrong side to the last bit, the loss is 100 and flat. binary_cross_entropy_with_logits has no such
    place. Derivative: d (p - target) / (p (1 - p)) to p. ValueError where p is outside [0, 1].

    >>> tg.binary_cross_entropy([0.5, 0.25], [1.0, 0.0], reduction="none")
    tensor([0.69314718, 0.28768207])
    """
    p, target = pair("binary_cross_entropy", input, target, reduction)
    held = value(p)
    if held.size and (held.min() < 0 or held.max() > 1):
        raise ValueError(f"binary_cross_entropy: p from {held.min()} to {held.max()}; a probability is from 0 to 1")
    losses = -(target * log(maximum(p, _LEAST_PROBABILITY)) + (1 - target) * log(maximum(1 - p, _LEAST_PROBABILITY)))
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(input: TensorLike, target: TensorLike, weight: TensorLike | None = None,
                                     reduction: str = "mean", pos_weight: TensorLike | None = None) -> Tensor:
    """binary_cross_entropy of sigmoid(x), as target softplus(-x) + (1 - target) softplus(x), which is exact everywhere.

    weight       multiplies the losses
    pos_weight   multiplies the part of the positives, target log(sigmoid(x))

    Derivative: d (sigmoid(x) - target) to x, without weights.

    >>> tg.binary_cross_entropy_with_logits([0.0, 1000.0], [1.0, 0.0], reduction="none")
    tensor([6.93147181e-01, 1.00000000e+03])
    >>> tg.grad(tg.binary_cross_entropy_with_logits)(0.0, 1.0)
    array(-0.5)
    """
    x, target = pair("binary_cross_entropy_with_logits", input, target, reduction)
    positive = target * softplus(-x, 1.0, math.inf)
    if pos_weight is not None:
        positive = positive * pos_weight
    losses = positive + (1 - target) * softplus(x, 1.0, math.inf)
    return reduced(losses if weight is None else losses * weight, reduction)


def cross_entropy(input: TensorLike, target: TensorLike, reduction: str = "mean", *, weight: TensorLike | None = None,
                  ignore_index: int = -100, label_smoothing: float = 0.0) -> Tensor:
    """-sum(target * log_softmax(input)) over the last axis: the loss of a classifier from its unnormalised scores.

    input             (..., classes), a float dtype
    target            (...) integers, the class of each row; or (..., classes), a distribution over the classes for each row
    reduction         "mean" over the rows, "sum", or "none" for one loss per row
    weight            (classes,), the weight of each class; the mean over classes given as integers is then the weighted one
    ignore_index      rows with this integer as their class have loss 0 and are not counted
    label_smoothing   s from 0 to 1: the target is mixed with the uniform distribution, (1 - s) target + s / classes

    Derivative: d (softmax(input) - target) to the input, the target as a distribution, without weights. Raises ShapeError,
    DtypeError, and IndexError for a class that is not there. Source: of label_smoothing, Szegedy et al. (2016).

    >>> tg.cross_entropy([[0.0, 0.0], [0.0, 1000.0]], [0, 1], reduction="none")
    tensor([0.69314718, 0.        ])
    >>> tg.grad(tg.cross_entropy)(np.array([[0.0, 0.0]]), [0])
    array([[-0.5,  0.5]])
    """
    scores, wanted = value(input), value(target)
    if scores.ndim == 0:
        raise ShapeError(f"cross_entropy: input without a class axis: {describe(scores)}")
    check_reduction("cross_entropy", reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing}; it is from 0 to 1")
    classes = scores.shape[-1]
    if wanted.shape == scores.shape and wanted.dtype.kind == "f":
        if label_smoothing:
            target = as_tensor(target) * (1 - label_smoothing) + label_smoothing / classes
        if weight is not None:
            target = multiply(target, _class_weight("cross_entropy", weight, scores))
        return reduced(negative(sum(multiply(log_softmax(input), target), axis=-1)), reduction)
    if wanted.shape != scores.shape[:-1] or wanted.dtype.kind not in "iu":
        kind = ShapeError if wanted.dtype.kind in "iuf" else DtypeError
        raise kind(f"cross_entropy: input {describe(scores)} and target {describe(wanted)}; the target is one integer "
                   "class per row, or one distribution per row in a float dtype")
    ignored = _are_ignored("cross_entropy", wanted, classes, ignore_index)
    if weight is None and not label_smoothing and not ignored:
        return reduced(recorded.softmax_cross_entropy(input, np.array(wanted)), reduction)     # the tape saves the copy
    return _of_classes("cross_entropy", log_softmax(input), wanted, weight, ignore_index, reduction, label_smoothing)


def nll_loss(input: TensorLike, target: TensorLike, weight: TensorLike | None = None, ignore_index: int = -100,
             reduction: str = "mean") -> Tensor:
    """-input at the target class, where the input is log-probabilities: cross_entropy without its log_softmax.

    Derivative: -d at the target class, 0 elsewhere.

    >>> tg.nll_loss([[-0.5, -1.0], [-2.0, -0.25]], [0, 1])
    tensor(0.375)
    """
    logs, wanted = floats(input), value(target)
    check_reduction("nll_loss", reduction)
    if logs.ndim == 0 or wanted.shape != logs.shape[:-1]:
        raise ShapeError(f"nll_loss: {describe(logs)} and target {describe(wanted)}; the target is one integer class per row")
    if wanted.dtype.kind not in "iu":
        raise DtypeError(f"nll_loss: target of {wanted.dtype}; integers are needed")
    _are_ignored("nll_loss", wanted, logs.shape[-1], ignore_index)
    return _of_classes("nll_loss", logs, wanted, weight, ignore_index, reduction, 0.0)


def _class_weight(name: str, weight: TensorLike, scores: Array) -> Array:
    held = constant(name, weight)
    if held.shape != scores.shape[-1:]:
        raise ShapeError(f"{name}: weight {describe(held)} for {scores.shape[-1]} classes; it is one number per class")
    return held.astype(scores.dtype)


def _are_ignored(name: str, wanted: Array, classes: int, ignore_index: int) -> bool:
    """Whether some of the classes are ignore_index; IndexError where others are not there."""
    if not wanted.size:
        return False
    if not 0 <= ignore_index < classes and np.maximum.reduce(wanted.view(f"u{wanted.itemsize}"), None) < classes:
        return False                                    # the usual case, in half of the time: negative ones would be large
    low, high = np.minimum.reduce(wanted, None), np.maximum.reduce(wanted, None)
    ignored: bool = low <= ignore_index <= high and (wanted == ignore_index).any()
    if not (0 <= low and high < classes):
        counted = wanted[wanted != ignore_index]
        if counted.size and not (0 <= counted.min() and counted.max() < classes):
            raise IndexError(f"{name}: targets from {counted.min()} to {counted.max()} for {classes} classes")
    return ignored


def _of_classes(name: str, logs: Tensor, wanted: Array, weight: TensorLike | None, ignore_index: int, reduction: str,
                smoothing: float) -> Tensor:
    """The loss of log-probabilities at integer classes."""
    classes, ignored = logs.shape[-1], wanted == ignore_index
    some = ignored.any()
    if some:
        wanted = np.where(ignored, 0, wanted)
    rows: tuple[Array, ...] = tuple(np.indices(wanted.shape, sparse=True))
    losses = negative(getitem(logs, (*rows, wanted)))
    if weight is not None:
        weight = _class_weight(name, weight, value(logs))
        losses = losses * weight[wanted]
    if smoothing:
        uniform = sum(logs if weight is None else logs * weight, axis=-1)
        losses = losses * (1 - smoothing) - uniform * (smoothing / classes)
    if some:
        losses = where(ignored, 0.0, losses)
    if reduction == "mean" and (some or weight is not None):
        counted = np.where(ignored, 0, 1 if weight is None else weight[wanted])
        return sum(losses) / float(counted.sum())
    return reduced(losses, reduction)


def kl_div(input: TensorLike, target: TensorLike, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target (log(target) - x), where x are log-probabilities; 0 where target is 0.

    reduction    as for every loss; or "batchmean", the sum divided by the length of the first axis, which is the
                 Kullback-Leibler divergence of a batch of distributions
    log_target   whether the target, too, is log-probabilities

    Derivative: -target d to x.

    >>> tg.kl_div(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean")
    tensor(0.69314718)
    """
    check_reduction("kl_div", reduction, ("mean", "batchmean", "sum", "none"))
    batchmean = reduction == "batchmean"
    x, target = pair("kl_div", input, target, "sum" if batchmean else reduction)
    if log_target:
        losses = exp(target) * (target - x)
    else:
        zero = equal(target, 0)
        losses = where(zero, 0.0, target * (log(where(zero, 1.0, target)) - x))
    return sum(losses) / x.shape[0] if batchmean else reduced(losses, reduction)


def hinge_embedding_loss(input: TensorLike, target: TensorLike, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """x where target is 1, max(margin - x, 0) where it is -1. Derivative to x: d, or -d where x < margin, else 0.

    >>> tg.hinge_embedding_loss([0.25, 0.25], [1, -1], reduction="none")
    tensor([0.25, 0.75])
    """
    x, target = pair("hinge_embedding_loss", input, target, reduction)
    return reduced(where(equal(target, 1), x, relu(margin - x)), reduction)


def margin_ranking_loss(input1: TensorLike, input2: TensorLike, target: TensorLike, margin: float = 0.0,
                        reduction: str = "mean") -> Tensor:
    """max(-target (input1 - input2) + margin, 0): input1 should be the greater where target is 1, input2 where it is -1.

    Derivative: -target d to input1 and target d to input2, where the loss is not 0.

    >>> tg.margin_ranking_loss([1.0, 2.0], [3.0, 1.0], [1.0, 1.0], reduction="none")
    tensor([2., 0.])
    """
    x1, x2 = pair("margin_ranking_loss", input1, input2, reduction, other="input2")
    x1, target = pair("margin_ranking_loss", x1, target, reduction)
    return reduced(relu(-target * (x1 - x2) + margin), reduction)


def soft_margin_loss(input: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target x)), where target is 1 or -1. Derivative: -target d sigmoid(-target x) to x.

    >>> tg.soft_margin_loss([0.0, 1000.0], [1.0, -1.0], reduction="none")
    tensor([6.93147181e-01, 1.00000000e+03])
    """
    x, target = pair("soft_margin_loss", input, target, reduction)
    return reduced(softplus(-target * x, 1.0, math.inf), reduction)


def cosine_similarity(x1: TensorLike, x2: TensorLike, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)) along `axis`, of operands that broadcast against each other.

    Derivative: d (x2 / |x2| - z x1 / |x1|) / |x1| to x1, and so to x2, where the lengths are greater than eps.

    >>> tg.cosine_similarity([[1.0, 0.0]], [[3.0, 4.0]])
    tensor([0.6])
    """
    x1, x2 = floats(x1), floats(x2)
    if "c" in x1.dtype.kind + x2.dtype.kind:
        raise DtypeError(f"cosine_similarity: {describe(x1)} and {describe(x2)}; real dtypes are needed")
    product = x1 * x2
    axis = single_axis("cosine_similarity", product, axis)
    one, other = (maximum(sqrt(sum(square(broadcast_to(x, product.shape)), axis, keepdims=True)), eps) for x in (x1, x2))
    return sum(product / (one * other), axis)
