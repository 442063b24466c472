"""Losses that are negative log-likelihoods of distributions and of alignments, under PyTorch's names. See losses.py for
`reduction`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import as_tensor, derived, floats, like, number, value, whole
from tapegrad.functions.elementwise import exp, log, logaddexp, maximum, square, where
from tapegrad.functions.indexing import getitem
from tapegrad.functions.joining import concatenate, stack
from tapegrad.functions.reduced_losses import check_reduction, pair, reduced
from tapegrad.functions.reductions import mean, sum
from tapegrad.functions.shaping import expand_dims, reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, TensorLike

_IMPOSSIBLE = -1e30                                     # a log-probability; of -inf, differences would be NaN


def gaussian_nll_loss(input: TensorLike, target: TensorLike, var: TensorLike, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Tensor:
    """(log(v) + (x - target)^2 / v) / 2, where v = max(var, eps): -log of the normal density, without its constant.

    var    the variance, one per element, or per row: of the shape of the input, that with a last axis of 1, or without the
           last axis
    full   whether to add log(2 pi) / 2

    Derivative: d (x - target) / v to x, its negative to the target; d (1 - (x - target)^2 / v) / (2 v) to var, 0 where it is
    less than eps. ValueError for a negative variance. Source: Nix and Weigend (1994).

    >>> tg.gaussian_nll_loss([1.0, 2.0], [0.0, 0.0], [1.0, 4.0], reduction="none")
    tensor([0.5       , 1.19314718])
    """
    x, target = pair("gaussian_nll_loss", input, target, reduction)
    v, eps = as_tensor(var, beside=x), number("gaussian_nll_loss", eps)
    if x.ndim and v.shape == x.shape[:-1]:
        v = expand_dims(v, -1)
    if v.shape not in ((), x.shape, (*x.shape[:-1], 1)):
        raise ShapeError(f"gaussian_nll_loss: var {describe(v)} for an input {describe(x)}")
    derived("checked", _check_variances, whole(v))
    v = maximum(v, eps)
    losses = 0.5 * (log(v) + square(x - target) / v)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def _check_variances(v: Array) -> bool:
    if not (v >= 0).all():
        raise ValueError(f"gaussian_nll_loss: a variance of {v.min()}; it is at least 0")
    return True


def poisson_nll_loss(input: TensorLike, target: TensorLike, log_input: bool = True, full: bool = False, eps: float = 1e-8,
                     reduction: str = "mean") -> Tensor:
    """exp(x) - target x, where x is the log of the rate; x - target log(x + eps) of the rate itself, with log_input=False.

    full   whether to add Stirling's approximation of log(target!), for targets greater than 1

    Derivative: d (exp(x) - target) to x, or d (1 - target / (x + eps)).

    >>> tg.poisson_nll_loss([0.0, 1.0], [1.0, 2.0], reduction="none")
    tensor([1.        , 0.71828183])
    """
    x, target = pair("poisson_nll_loss", input, target, reduction)
    losses = exp(x) - target * x if log_input else x - target * log(x + number("poisson_nll_loss", eps))
    if full:
        large = derived("large", lambda t: t > 1, target)
        t = where(large, target, 1.0)
        losses = losses + where(large, t * log(t) - t + 0.5 * log(2 * math.pi * t), 0.0)
    return reduced(losses, reduction)


def _lengths(name: str, given: TensorLike | Sequence[int], n: int, least: int, most: int) -> Array:
    lengths = np.atleast_1d(value(given))
    if lengths.shape != (n,) or lengths.dtype.kind not in "iu":
        raise ShapeError(f"ctc_loss: {name} {describe(lengths)}; {n} integers are needed")
    if n and not (least <= lengths.min() and lengths.max() <= most):
        raise ValueError(f"ctc_loss: {name} from {lengths.min()} to {lengths.max()}; they are from {least} to {most}")
    return lengths.astype(np.intp)


def _labels(lengths: Array, blank: int, classes: int, held: Array) -> Array:
    """(N, 2 S + 1): the labels of each example with blanks before, between and behind them."""
    n, longest = len(lengths), int(lengths.max(initial=0))
    inside = np.arange(longest) < lengths[:, None]
    labels = np.full((n, longest), blank)
    if held.ndim == 1 and held.size == lengths.sum():
        labels[inside] = held
    elif held.ndim == 2 and len(held) == n and held.shape[1] >= longest:
        labels[inside] = held[:, :longest][inside]
    else:
        raise ShapeError(f"ctc_loss: targets {describe(held)} for target_lengths of sum {lengths.sum()}; they are (N, S), or "
                         "all behind each other")
    chosen = labels[inside]
    if chosen.size and not (0 <= chosen.min() and chosen.max() < classes):
        raise IndexError(f"ctc_loss: targets from {chosen.min()} to {chosen.max()} for {classes} classes")
    if (chosen == blank).any():
        raise ValueError(f"ctc_loss: {blank}, which is the blank, among the targets")
    extended = np.full((n, 2 * longest + 1), blank)
    extended[:, 1::2] = labels
    return extended


def _skips(blank: int, dtype: Any, labels: Array) -> Array:
    """What it costs to skip what is before a label: 0 past a blank, unless it stands between two equal labels."""
    skips = np.zeros(labels.shape, bool)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    return np.where(skips, 0.0, _IMPOSSIBLE).astype(dtype)


def ctc_loss(log_probs: TensorLike, targets: TensorLike, input_lengths: TensorLike, target_lengths: TensorLike, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Tensor:
    """-log of the probability of the targets, summed over all alignments: connectionist temporal classification.

    log_probs        (T, N, classes), or (T, classes) for one example: log-probabilities of each class at each time
    targets          (N, S), padded, or (sum of target_lengths,): integers that are not the blank
    input_lengths    (N,): how many of the T times count
    target_lengths   (N,): how many of the S targets
    reduction        "mean" of the losses, each divided by its number of targets; "sum"; "none"
    zero_infinity    losses of targets that no alignment gives, since the input is too short, are infinite, or 0 with this

    Derivative: to log_probs, -d times the probability that an alignment has that class at that time; 0 where the loss is
    infinite. Source: Graves et al., Connectionist temporal classification (2006), equation 6, in logarithms.

    >>> tg.ctc_loss(np.log(np.full((2, 1, 2), 0.5)), [[1]], [2], [1])
    tensor(0.28768207)
    """
    check_reduction("ctc_loss", reduction)
    logs = floats(log_probs)
    single = logs.ndim == 2
    if single:
        logs = expand_dims(logs, 1)
        targets = derived("targets", np.atleast_2d, targets)
    if logs.ndim != 3 or not logs.shape[0]:
        raise ShapeError(f"ctc_loss: log_probs {describe(logs)}; it is (T, N, classes) or (T, classes)")
    times, n, classes = logs.shape
    if not 0 <= blank < classes:
        raise IndexError(f"ctc_loss: blank={blank} for {classes} classes")
    ends = _lengths("input_lengths", input_lengths, n, 1, times)
    counts = _lengths("target_lengths", target_lengths, n, 0, np.iinfo(np.intp).max)
    if like(targets).dtype.kind not in "iu":
        raise DtypeError(f"ctc_loss: targets {describe(like(targets))}; integers are needed")
    labels = derived("labels", partial(_labels, counts, blank, classes), targets)
    rows, places = np.arange(n), labels.shape[1]
    emitted = maximum(getitem(logs, (slice(None), rows[:, None], labels)), _IMPOSSIBLE)

    start = np.where(np.arange(places) < 2, 0.0, _IMPOSSIBLE).astype(logs.dtype)
    skips_cost = derived("skips", partial(_skips, blank, logs.dtype), labels)
    barred = np.full((n, 2), _IMPOSSIBLE, logs.dtype)

    alpha = getitem(emitted, 0) + start
    for t in range(1, int(ends.max(initial=1))):
        before = concatenate([barred, alpha], 1)
        ways = stack([alpha, getitem(before, (slice(None), slice(1, -1))),
                      getitem(before, (slice(None), slice(0, -2))) + skips_cost])
        following = reshape(recorded.logsumexp(ways, 0), alpha.shape) + getitem(emitted, t)
        alpha = following if t < ends.min() else where((t < ends)[:, None], following, alpha)

    last = getitem(alpha, (rows, 2 * counts))
    label = where(counts > 0, getitem(alpha, (rows, np.maximum(2 * counts - 1, 0))), _IMPOSSIBLE)
    losses = -logaddexp(last, label)
    impossible = derived("impossible", lambda z: z > -_IMPOSSIBLE / 10, losses)
    if bool(derived("some", np.any, whole(impossible))):
        losses = where(impossible, 0.0 if zero_infinity else math.inf, losses)
    if reduction == "mean":
        return mean(losses / np.maximum(counts, 1).astype(logs.dtype))
    return sum(losses) if reduction == "sum" else getitem(losses, 0) if single else losses
