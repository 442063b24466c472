"""Losses under PyTorch's names, as compositions. The classes of a classifier are one axis; see cross_entropy.

Every loss takes reduction="mean" over its elements, "sum", or "none" for one loss per element; ValueError for another. The two
operands have one shape, or the target is a single number; ShapeError where they differ. In what is said of them, x is the
input; "Derivative" is that of one element's loss, whose delta is d: with "mean", the delta of the result divided by the number
of elements.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.core.tape import listening
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.activations import log_softmax, relu, softplus
from tapegrad.functions.arguments import as_tensor, constant, derived, floats, like, single_axis, static, value, whole
from tapegrad.functions.elementwise import (
    absolute,
    astype,
    equal,
    exp,
    less,
    log,
    maximum,
    multiply,
    negative,
    sqrt,
    square,
    where,
)
from tapegrad.functions.indexing import getitem
from tapegrad.functions.moments import squared_size
from tapegrad.functions.reduced_losses import check_reduction, pair, reduced
from tapegrad.functions.reductions import sum
from tapegrad.functions.shaping import broadcast_to, moveaxis
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike

_LEAST_PROBABILITY = math.exp(-100)


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
    derived("checked", _check_probabilities, whole(p))
    losses = -(target * log(maximum(p, _LEAST_PROBABILITY)) + (1 - target) * log(maximum(1 - p, _LEAST_PROBABILITY)))
    return reduced(losses if weight is None else losses * weight, reduction)


def _check_probabilities(p: Array) -> bool:
    if p.size and (p.min() < 0 or p.max() > 1):
        raise ValueError(f"binary_cross_entropy: p from {p.min()} to {p.max()}; a probability is from 0 to 1")
    return True


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
                  ignore_index: int = -100, label_smoothing: float = 0.0, axis: int | None = None) -> Tensor:
    """-sum(target * log_softmax(input)) over the classes: the loss of a classifier from its unnormalised scores.

    input             (classes,), (N, classes), or more axes, see `axis`; a float dtype
    target            the input's shape without the classes, integers: the class of each row; or the input's shape, a
                      distribution over the classes for each row
    reduction         "mean" over the rows, "sum", or "none" for one loss per row
    weight            (classes,), the weight of each class; the mean over classes given as integers is then the weighted one
    ignore_index      rows with this integer as their class have loss 0 and are not counted; ValueError for one from 0 up with
                      distributions
    label_smoothing   s from 0 to 1: the target is mixed with the uniform distribution, (1 - s) target + s / classes
    axis              of the classes: of up to two axes the last. Of more, 1 (N, classes, ...), which is PyTorch's layout, or -1
                      (N, ..., classes); ShapeError where it is not given and the shape of the target does not tell which

    Derivative: d (softmax(input) - target) to the input, the target as a distribution, without weights. Raises ShapeError,
    DtypeError, and IndexError for a class that is not there. Source: of label_smoothing, Szegedy et al. (2016).

    >>> tg.cross_entropy([[0.0, 0.0], [0.0, 1000.0]], [0, 1], reduction="none")
    tensor([0.69314718, 0.        ])
    >>> tg.grad(tg.cross_entropy)(np.array([[0.0, 0.0]]), [0])
    array([[-0.5,  0.5]])
    """
    scores, wanted = like(input), like(target)
    if axis is not None or not 0 < scores.ndim < 3:
        input, axis = _classes_last("cross_entropy", input, axis, wanted)
        scores = like(input)
    check_reduction("cross_entropy", reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing}; it is from 0 to 1")
    classes = scores.shape[-1]
    if wanted.ndim == scores.ndim and wanted.dtype.kind == "f" and wanted.shape == _given_shape(scores, axis):
        if ignore_index >= 0:
            raise ValueError(f"cross_entropy: ignore_index={ignore_index} with a target of distributions {describe(wanted)}; "
                             "it is for classes given as integers")
        target = target if axis is None else moveaxis(target, axis, -1)
        if label_smoothing:
            target = as_tensor(target) * (1 - label_smoothing) + label_smoothing / classes
        if weight is not None:
            target = multiply(target, _class_weight("cross_entropy", weight, scores))
        return reduced(negative(sum(multiply(log_softmax(input), target), axis=-1)), reduction)
    if wanted.shape != scores.shape[:-1] or wanted.dtype.kind not in "iu":
        raise _not_classes("cross_entropy", wanted, scores, axis, ", or one distribution per row in a float dtype")
    ignored = _are_ignored("cross_entropy", classes, ignore_index, _seen(target))
    if weight is None and not label_smoothing and not ignored:
        ids = static(target)                            # the tape saves the copy
        return reduced(recorded.softmax_cross_entropy(input, ids), reduction)
    return _of_classes("cross_entropy", log_softmax(input), target, weight, ignore_index, ignored, reduction, label_smoothing)


def nll_loss(input: TensorLike, target: TensorLike, weight: TensorLike | None = None, ignore_index: int = -100,
             reduction: str = "mean", *, axis: int | None = None) -> Tensor:
    """-input at the target class, where the input is log-probabilities: cross_entropy without its log_softmax.

    Derivative: -d at the target class, 0 elsewhere.

    >>> tg.nll_loss([[-0.5, -1.0], [-2.0, -0.25]], [0, 1])
    tensor(0.375)
    """
    wanted = like(target)
    logs, axis = _classes_last("nll_loss", floats(input), axis, wanted)
    check_reduction("nll_loss", reduction)
    if wanted.shape != logs.shape[:-1] or wanted.dtype.kind not in "iu":
        raise _not_classes("nll_loss", wanted, like(logs), axis, "")
    ignored = _are_ignored("nll_loss", logs.shape[-1], ignore_index, _seen(target))
    return _of_classes("nll_loss", logs, target, weight, ignore_index, ignored, reduction, 0.0)


def _classes_last(name: str, scores: Any, axis: int | None, wanted: Array) -> tuple[Any, int | None]:
    """The scores with the classes as their last axis, and the axis that they were, None if it was the last."""
    shape = like(scores).shape
    last = len(shape) - 1
    if last < 0:
        raise ShapeError(f"{name}: input without a class axis: {describe(like(scores))}")
    if axis is not None:
        axis = single_axis(name, scores, axis)
    elif last > 1 and wanted.shape in (shape, shape[:1] + shape[2:]):
        if wanted.shape in (shape, shape[:-1]):
            raise ShapeError(f"{name}: the classes of {describe(like(scores))} may be axis 1 or the last; write axis=1, "
                             "which is PyTorch's layout, or axis=-1")
        axis = 1
    return (scores, None) if axis in (None, last) else (moveaxis(scores, axis, -1), axis)


def _given_shape(scores: Array, axis: int | None) -> tuple[int, ...]:
    """The shape of scores before their classes were moved from `axis` to the end."""
    *rows, classes = scores.shape
    return scores.shape if axis is None else (*rows[:axis], classes, *rows[axis:])


def _not_classes(name: str, wanted: Array, scores: Array, axis: int | None, more: str) -> Exception:
    """The error for a target that is not an integer for each row of the scores."""
    fits = wanted.shape == scores.shape[:-1]
    kind = DtypeError if wanted.dtype.kind not in "iuf" or fits and not more else ShapeError
    return kind(f"{name}: input {scores.dtype} {_given_shape(scores, axis)} with the classes in axis "
                f"{scores.ndim - 1 if axis is None else axis}, and target {describe(wanted)}; the target is one integer class "
                f"per row{more}")


def _class_weight(name: str, weight: TensorLike, scores: Array) -> Array:
    held = constant(name, weight)
    if held.shape != scores.shape[-1:]:
        raise ShapeError(f"{name}: weight {describe(held)} for {scores.shape[-1]} classes; it is one number per class")
    return held.astype(scores.dtype)


def _seen(target: TensorLike) -> Any:
    """The classes as they are looked at: of all examples under vmap, and as a tensor where a tracer listens."""
    classes = whole(target)
    return classes if listening and isinstance(classes, Tensor) else value(classes)


def _are_ignored(name: str, classes: int, ignore_index: int, wanted: Tensor | Array) -> bool:
    """Whether some of the classes are ignore_index; IndexError where others are not there."""
    if listening and isinstance(wanted, Tensor):
        return bool(derived("ignored", partial(_are_ignored, name, classes, ignore_index), wanted))
    wanted = like(wanted) if isinstance(wanted, Tensor) else wanted
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


def _of_classes(name: str, logs: Tensor, target: TensorLike, weight: TensorLike | None, ignore_index: int, some: bool,
                reduction: str, smoothing: float) -> Tensor:
    """The loss of log-probabilities at integer classes, `some` of which are ignore_index."""
    classes, wanted = logs.shape[-1], target
    weights = None if weight is None else _class_weight(name, weight, like(logs))
    if some:
        wanted = derived("classes", lambda ids: np.where(ids == ignore_index, 0, ids), target)
    rows: tuple[Array, ...] = tuple(np.indices(like(target).shape, sparse=True))
    losses = negative(getitem(logs, (*rows, wanted)))
    if weights is not None:
        losses = losses * derived("weights", lambda ids: weights[ids], wanted)
    if smoothing:
        uniform = sum(logs if weights is None else logs * weights, axis=-1)
        losses = losses * (1 - smoothing) - uniform * (smoothing / classes)
    if some:
        losses = where(derived("ignored", lambda ids: ids == ignore_index, target), 0.0, losses)
    if reduction == "mean" and (some or weights is not None):
        counted = derived("counted", partial(_counted, weights, ignore_index), target)
        return sum(losses) / (astype(counted, losses.dtype) if isinstance(counted, Tensor) else counted)
    return reduced(losses, reduction)


def _counted(weights: Array | None, ignore_index: int, ids: Array) -> float:
    """The sum of the weights of the classes that are not ignored."""
    there = ids != ignore_index
    return float(there.sum() if weights is None else weights[ids[there]].sum())


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
    """x where target is 1, max(margin - x, 0) where it is -1; of another target, their sum, as PyTorch has it.

    Derivative to x: d, or -d where x < margin, else 0.

    >>> tg.hinge_embedding_loss([0.25, 0.25], [1, -1], reduction="none")
    tensor([0.25, 0.75])
    """
    x, target = pair("hinge_embedding_loss", input, target, reduction)
    return reduced(where(equal(target, -1), 0.0, x) + where(equal(target, 1), 0.0, relu(margin - x)), reduction)


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
