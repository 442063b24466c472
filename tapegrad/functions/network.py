"""The functions of networks under PyTorch's names. Activations are kernels; the losses are compositions."""

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import single_axis, value
from tapegrad.functions.elementwise import multiply, negative
from tapegrad.functions.indexing import getitem
from tapegrad.functions.reductions import mean, sum
from tapegrad.functions.shaping import reshape
from tapegrad.record import recorded
from tapegrad.tensor import Tensor

relu = recorded.relu
sigmoid = recorded.sigmoid


def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along `axis`, computed from x - max(x), so that nothing overflows."""
    return recorded.softmax(x, single_axis("softmax", x, axis))


def log_softmax(x, axis=-1):
    """log(softmax(x)) along `axis`, as x - logsumexp(x): exact where softmax itself would be 0."""
    return recorded.log_softmax(x, single_axis("log_softmax", x, axis))


def logsumexp(x, axis=-1, keepdims=False):
    """log(sum(exp(x))) along `axis`, as max(x) + log(sum(exp(x - max(x)))). Derivative: d * softmax(x)."""
    axis = single_axis("logsumexp", x, axis)
    z = recorded.logsumexp(x, axis)
    shape = value(z).shape
    return z if keepdims else reshape(z, shape[:axis] + shape[axis + 1:])


def cross_entropy(logits, target, reduction="mean"):
    """-sum(target * log_softmax(logits)) over the last axis: the loss of a classifier from its unnormalised scores.

    logits      (..., classes), a float dtype
    target      (...) integers, the class of each row; or (..., classes), a distribution over the classes for each row
    reduction   "mean" over the rows, "sum", or "none" for one loss per row

    Raises ShapeError, DtypeError, and IndexError for a class that is not there.
    """
    scores, wanted = value(logits), value(target)
    if scores.ndim == 0:
        raise ShapeError(f"cross_entropy: logits without a class axis: {describe(scores)}")
    if wanted.shape == scores.shape and wanted.dtype.kind == "f":
        losses = negative(sum(multiply(log_softmax(logits), target), axis=-1))
    elif wanted.shape == scores.shape[:-1] and wanted.dtype.kind in "iu":
        classes = scores.shape[-1]
        if wanted.size and not (0 <= wanted.min() and wanted.max() < classes):
            raise IndexError(f"cross_entropy: targets from {wanted.min()} to {wanted.max()} for {classes} classes")
        rows = tuple(np.indices(wanted.shape, sparse=True))
        losses = negative(getitem(log_softmax(logits), (*rows, wanted)))
    else:
        kind = ShapeError if wanted.dtype.kind in "iuf" else DtypeError
        raise kind(f"cross_entropy: logits {describe(scores)} and target {describe(wanted)}; the target is one integer "
                   "class per row, or one distribution per row in a float dtype")
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"cross_entropy: reduction={reduction!r}; it is 'mean', 'sum' or 'none'")
    return mean(losses) if reduction == "mean" else sum(losses)


def one_hot(ids, classes, dtype=np.float64):
    """(..., classes): 1 at the class of each id and 0 elsewhere. Not differentiable."""
    ids = value(ids)
    if ids.dtype.kind not in "iu":
        raise DtypeError(f"one_hot: ids of {ids.dtype}; integers are needed")
    return Tensor(np.eye(classes, dtype=dtype)[ids])
