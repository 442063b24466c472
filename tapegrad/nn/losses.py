"""Losses as modules: each applies the function of tapegrad that its documentation names, with its options.

Where the function finds the axis of the classes by the shapes, the module has them as axis 1, as PyTorch's has:
(N, classes, ..).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tapegrad.functions import distances, likelihoods, losses
from tapegrad.functions.arguments import as_tensor
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import Applied, applied
from tapegrad.typing import TensorLike


class _Weighted(Applied):
    """A loss whose weights are buffers, part of the state where they are given."""

    tensors = "weight", "pos_weight"


def _classes_second(function: Callable[..., Tensor], input: TensorLike, target: TensorLike, **options: Any) -> Tensor:
    x = as_tensor(input)
    return function(x, target, axis=1 if x.ndim > 2 else None, **options)


MSELoss = applied("MSELoss", losses.mse_loss, "tg.mse_loss: (x - target)^2.", "()([1.0, 2.0], [0.0, 0.0])", "tensor(2.5)",
                  reduction="mean")
L1Loss = applied("L1Loss", losses.l1_loss, "tg.l1_loss: |x - target|.", "()([1.0, -2.0], [0.0, 0.0])", "tensor(1.5)",
                 reduction="mean")
SmoothL1Loss = applied("SmoothL1Loss", losses.smooth_l1_loss,
                       "tg.smooth_l1_loss: e^2 / (2 beta) of small e = |x - target|, else "
                       "e - beta / 2.", "()([0.5], [0.0])", "tensor(0.125)", reduction="mean", beta=1.0)
HuberLoss = applied("HuberLoss", losses.huber_loss,
                    "tg.huber_loss: e^2 / 2 of small e = |x - target|, else delta (e - delta / 2).",
                    "()([0.5], [0.0])", "tensor(0.125)", reduction="mean", delta=1.0)
BCELoss = applied("BCELoss", losses.binary_cross_entropy, "tg.binary_cross_entropy of probabilities.", "()([0.5], [1.0])",
                  "tensor(0.69314718)", base=_Weighted, weight=None, reduction="mean")
BCEWithLogitsLoss = applied(
    "BCEWithLogitsLoss", losses.binary_cross_entropy_with_logits, "tg.binary_cross_entropy_with_logits: of sigmoid(x).",
    "()([0.0], [1.0])", "tensor(0.69314718)", base=_Weighted, weight=None, reduction="mean", pos_weight=None)
CrossEntropyLoss = applied(
    "CrossEntropyLoss", partial(_classes_second, losses.cross_entropy),
    "tg.cross_entropy of scores (N, classes, ..), and classes (N, ..) as integers, or probabilities (N, classes, ..).",
    "()([[0.0, 0.0]], [1])", "tensor(0.69314718)", base=_Weighted, weight=None, ignore_index=-100, reduction="mean",
    label_smoothing=0.0)
NLLLoss = applied(
    "NLLLoss", partial(_classes_second, losses.nll_loss),
    "tg.nll_loss of log-probabilities (N, classes, ..), and classes (N, ..).",
    "()([[-0.5, -1.0]], [1])", "tensor(1.)", base=_Weighted, weight=None, ignore_index=-100, reduction="mean")
KLDivLoss = applied("KLDivLoss", losses.kl_div, "tg.kl_div: target (log(target) - x) of log-probabilities x.",
                    "()([-1.0], [1.0])", "tensor(1.)", reduction="mean", log_target=False)
HingeEmbeddingLoss = applied(
    "HingeEmbeddingLoss", losses.hinge_embedding_loss, "tg.hinge_embedding_loss: x, or max(margin - x, 0).",
    "()([0.25], [-1])", "tensor(0.75)", margin=1.0, reduction="mean")
MarginRankingLoss = applied(
    "MarginRankingLoss", losses.margin_ranking_loss, "tg.margin_ranking_loss: max(-target (x1 - x2) + margin, 0).",
    "()([1.0], [3.0], [1.0])", "tensor(2.)", margin=0.0, reduction="mean")
SoftMarginLoss = applied("SoftMarginLoss", losses.soft_margin_loss, "tg.soft_margin_loss: log(1 + exp(-target x)).",
                         "()([0.0], [1.0])", "tensor(0.69314718)", reduction="mean")
CosineEmbeddingLoss = applied(
    "CosineEmbeddingLoss", distances.cosine_embedding_loss, "tg.cosine_embedding_loss: 1 - cos, or max(cos - margin, 0).",
    "()([[1.0, 0.0]], [[3.0, 4.0]], [1])", "tensor(0.4)", margin=0.0, reduction="mean")
TripletMarginLoss = applied(
    "TripletMarginLoss", distances.triplet_margin_loss, "tg.triplet_margin_loss: max(|a - p| - |a - n| + margin, 0).",
    "(eps=0.0)([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]])", "tensor(4.)", margin=1.0, p=2.0, eps=1e-6, swap=False,
    reduction="mean")
GaussianNLLLoss = applied(
    "GaussianNLLLoss", likelihoods.gaussian_nll_loss, "tg.gaussian_nll_loss: -log of a normal density; called with var, too.",
    "()([1.0], [0.0], [1.0])", "tensor(0.5)", full=False, eps=1e-6, reduction="mean")
PoissonNLLLoss = applied(
    "PoissonNLLLoss", likelihoods.poisson_nll_loss, "tg.poisson_nll_loss: exp(x) - target x.", "()([0.0], [1.0])", "tensor(1.)",
    log_input=True, full=False, eps=1e-8, reduction="mean")
CTCLoss = applied(
    "CTCLoss", likelihoods.ctc_loss, "tg.ctc_loss: of alignments; called with the lengths of inputs and targets, too.",
    "()(np.log(np.full((2, 1, 2), 0.5)), [[1]], [2], [1])", "tensor(0.28768207)", blank=0, reduction="mean",
    zero_infinity=False)
PairwiseDistance = applied(
    "PairwiseDistance", distances.pairwise_distance, "tg.pairwise_distance: the p-norm of x1 - x2 + eps.",
    "(eps=0.0)([[1.0, 2.0]], [[4.0, 6.0]])", "tensor([5.])", p=2.0, eps=1e-6, keepdim=False)
CosineSimilarity = applied(
    "CosineSimilarity", losses.cosine_similarity, "tg.cosine_similarity along dim.", "()([[1.0, 0.0]], [[3.0, 4.0]])",
    "tensor([0.6])", renamed={"dim": "axis"}, dim=1, eps=1e-8)
