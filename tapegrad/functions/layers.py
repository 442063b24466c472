"""Layers under PyTorch's names, as compositions: functions of their input and their parameters.

x is the input. Their derivatives are those of the functions that they are made of. Raises ShapeError where shapes do not fit.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from tapegrad.core.record import drawn, recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.activations import softmax
from tapegrad.functions.arguments import (
    all_true,
    as_tensor,
    check_constant,
    constant,
    derived,
    floats,
    like,
    normalized_axis,
    number,
    single_axis,
    static,
    whole,
)
from tapegrad.functions.elementwise import absolute, matmul, maximum, positive, sqrt, where
from tapegrad.functions.generators import drawn_from
from tapegrad.functions.indexing import getitem
from tapegrad.functions.moments import squared_size
from tapegrad.functions.reductions import max, mean, sum
from tapegrad.functions.running import move
from tapegrad.functions.shaping import matrix_transpose, reshape, transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array, Axis, DTypeLike, Shape, TensorLike


def linear(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """x weight^T + bias: (..., in), (out, in), (out,) -> (..., out).

    Derivative: d weight to x, d^T x to the weight, d to the bias, the last two summed over the leading axes.

    >>> tg.linear([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 10.0])
    tensor([ 1.,  2., 13.])
    """
    x, W = as_tensor(input), as_tensor(weight)
    shape, size = x.shape, W.shape
    if len(size) != 2 or not shape or shape[-1] != size[1] or bias is not None and like(bias).shape != size[:1]:
        given = "" if bias is None else f", bias {describe(like(bias))}"
        raise ShapeError(f"linear: input {describe(x)}, weight {describe(W)}{given}; they are (..., in), (out, in) and (out,)")
    return matmul(x, transpose(W)) if bias is None else recorded.linear(x, W, bias)


def one_hot(input: TensorLike, num_classes: int = -1, dtype: DTypeLike = np.float64) -> Tensor:
    """(..., classes): 1 at the class of each integer and 0 elsewhere. Not differentiable. DtypeError for other dtypes,
    IndexError for a class that is not there.

    num_classes   by default one more than the greatest integer

    >>> tg.one_hot([2, 0])
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if like(input).dtype.kind not in "iu":
        raise DtypeError(f"one_hot: ids of {like(input).dtype}; integers are needed")
    classes = int(derived("most", lambda ids: ids.max(initial=-1), input)) + 1 if num_classes == -1 else num_classes
    return as_tensor(derived("one_hot", partial(_one_hot, classes, dtype), input))


def _one_hot(classes: int, dtype: DTypeLike, ids: Array) -> Array:
    _check_ids("one_hot", classes, "classes", ids)
    return np.eye(classes, dtype=dtype)[ids]


def embedding(input: TensorLike, weight: TensorLike, padding_idx: int | None = None) -> Tensor:
    """The rows weight[input]: (...) integers, (rows, width) -> (..., width).

    Derivative: d, added into the rows; none at padding_idx. Raises DtypeError for an input that is not integers, IndexError
    for a row that is not there.

    >>> tg.embedding([1, 1], [[1.0, 2.0], [3.0, 4.0]])
    tensor([[3., 4.],
            [3., 4.]])
    """
    ids, W = like(input), as_tensor(weight)
    if ids.dtype.kind not in "iu":
        raise DtypeError(f"embedding: ids of {ids.dtype}; integers are needed")
    if W.ndim != 2:
        raise ShapeError(f"embedding: weight {describe(W)}; it is (rows, width)")
    rows = W.shape[0]
    derived("checked", partial(_check_ids, "embedding", rows, "rows"), whole(input))
    z = getitem(W, input)
    if padding_idx is None:
        return z
    if not -rows <= padding_idx < rows:
        raise IndexError(f"embedding: padding_idx={padding_idx} for {rows} rows")
    padding = derived("is_padding", lambda ids: (ids == padding_idx % rows)[..., None], input)
    return where(padding, getitem(W.detach(), input), z)


def _check_ids(name: str, n: int, what: str, ids: Array) -> bool:
    if ids.size and not (0 <= ids.min() and ids.max() < n):
        raise IndexError(f"{name}: ids from {ids.min()} to {ids.max()} for {n} {what}")
    return True


def _last_axes(name: str, x: TensorLike, normalized_shape: Shape,
               *parameters: TensorLike | None) -> tuple[Tensor, tuple[int, ...]]:
    """x as a tensor and the axes that `normalized_shape` names, which it and the parameters must have."""
    x = floats(x)
    shape = tuple(np.atleast_1d(normalized_shape).tolist())
    if not shape or x.shape[-len(shape):] != shape:
        raise ShapeError(f"{name}: normalized_shape={shape} is not the end of the shape of x {describe(x)}")
    for parameter in parameters:
        if parameter is not None and like(parameter).shape != shape:
            raise ShapeError(f"{name}: a parameter {describe(like(parameter))} for normalized_shape={shape}")
    return x, tuple(range(x.ndim - len(shape), x.ndim))


def _scaled(z: Tensor, weight: TensorLike | None, bias: TensorLike | None) -> Tensor:
    z = z if weight is None else z * weight
    return z if bias is None else z + bias


def _normalised(x: Tensor, axes: tuple[int, ...], weight: TensorLike | None, bias: TensorLike | None, eps: float,
                centred: bool) -> Tensor:
    """x over its last axes: the row for real numbers, or what it does in elementary operations."""
    if x.dtype.kind == "c":
        x = x - mean(x, axes, keepdims=True) if centred else x
        return _scaled(x / sqrt(mean(squared_size(x), axes, keepdims=True) + eps), weight, bias)
    given, after = _shared_out(weight, bias)
    return _scaled(recorded.layer_norm(x, *given, len(axes), eps, centred), *after)


def _shared_out(weight: TensorLike | None, bias: TensorLike | None) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Weight and bias for a row that normalises, and for after it: complex ones, of which it has no derivative."""
    if any([p is not None and like(p).dtype.kind == "c" for p in (weight, bias)]):
        return (1.0, 0.0), (weight, bias)
    return (1.0 if weight is None else weight, 0.0 if bias is None else bias), (None, None)


def layer_norm(input: TensorLike, normalized_shape: Shape, weight: TensorLike | None = None, bias: TensorLike | None = None,
               eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last axes, whose lengths are `normalized_shape`.

    Raises ShapeError where x does not end in it or a parameter does not have it.
    Source: Ba, Kiros and Hinton, Layer normalization (2016).

    >>> tg.layer_norm([[1.0, 3.0]], 2, eps=0.0)
    tensor([[-1.,  1.]])
    """
    x, axes = _last_axes("layer_norm", input, normalized_shape, weight, bias)
    return _normalised(x, axes, weight, bias, float(eps), True)


def rms_norm(input: TensorLike, normalized_shape: Shape, weight: TensorLike | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, over the last axes, whose lengths are `normalized_shape`.

    eps   by default the precision of the dtype of x

    Raises ShapeError where x does not end in it or the weight does not have it.
    Source: Zhang and Sennrich, Root mean square layer normalization (2019).

    >>> tg.rms_norm([[1.0, 7.0]], 2, eps=0.0)
    tensor([[0.2, 1.4]])
    """
    x, axes = _last_axes("rms_norm", input, normalized_shape, weight)
    return _normalised(x, axes, weight, None, float(np.finfo(x.dtype).eps if eps is None else eps), False)


def group_norm(input: TensorLike, num_groups: int, weight: TensorLike | None = None, bias: TensorLike | None = None,
               eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias: x is (N, channels, ...), mean and variance those of each example in
    each of `num_groups` groups of its channels, weight and bias (channels,).

    Raises ShapeError where shapes do not fit. Source: Wu and He, Group normalization (2018).

    >>> tg.group_norm([[1.0, 3.0, 10.0, 30.0]], 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    x = floats(input)
    num_groups = int(constant("group_norm", num_groups))
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(f"group_norm: x {describe(x)} in {num_groups} groups; it is (N, channels, ...), with so many channels "
                         "that they can be shared out")
    for parameter in (weight, bias):
        if parameter is not None and like(parameter).shape != (x.shape[1],):
            raise ShapeError(f"group_norm: a parameter {describe(like(parameter))} for {x.shape[1]} channels: x {describe(x)}")
    if x.dtype.kind == "c":
        z = reshape(x, (x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups))
        z = reshape(_normalised(z, (2,), None, None, float(eps), True), x.shape)
    else:
        given, (weight, bias) = _shared_out(weight, bias)
        z = recorded.group_norm(x, *given, num_groups, float(eps))
    along = (1, x.shape[1]) + (1,) * (x.ndim - 2)
    return _scaled(z, *(None if p is None else reshape(p, along) for p in (weight, bias)))


def batch_norm(input: TensorLike, running_mean: Tensor | Array | None = None, running_var: Tensor | Array | None = None,
               weight: TensorLike | None = None, bias: TensorLike | None = None, training: bool = False, momentum: float = 0.1,
               eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias, for each channel: x is (N, channels, ...), the rest (channels,).

    training       normalise by the mean and variance of this batch, over all axes but that of the channels, and, where
                   running_mean and running_var are given, move those: (1 - momentum) running + momentum batch, in place,
                   with the unbiased variance. Otherwise normalise by the running ones, which are then needed.
    running_mean, running_var   arrays, or tensors that do not require gradients

    Raises ShapeError where shapes do not fit; ValueError where statistics are missing, or of a single value per channel.
    Source: Ioffe and Szegedy, Batch normalization (2015).

    >>> tg.batch_norm([[1.0, 0.0], [3.0, 4.0]], training=True, eps=0.0)
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """
    x = floats(input)
    if x.ndim < 2:
        raise ShapeError(f"batch_norm: x {describe(x)} without an axis of channels; it is (N, channels, ...)")
    channels = x.shape[1]
    for parameter in (running_mean, running_var, weight, bias):
        if parameter is not None and like(parameter).shape != (channels,):
            raise ShapeError(f"batch_norm: a parameter {describe(like(parameter))} for {channels} channels: x {describe(x)}")
    if (running_mean is None) != (running_var is None) or not training and running_mean is None:
        raise ValueError("batch_norm: give running_mean and running_var, or training=True and neither")
    along = (1, channels) + (1,) * (x.ndim - 2)
    if training:
        count = x.size // channels if channels else 0
        if count < 2:
            raise ValueError(f"batch_norm: {count} values per channel have no variance: x {describe(x)}")
        if x.dtype.kind == "c":
            axes = (0, *range(2, x.ndim))
            middle = mean(x, axes, keepdims=True)
            x = x - middle
            variance = mean(squared_size(x), axes, keepdims=True)
            z = x / sqrt(variance + eps)
        else:
            given, (weight, bias) = _shared_out(weight, bias)
            moments = recorded.channel_moments(x)
            middle, variance = getitem(moments, 0), getitem(moments, 1)
            z = recorded.batch_norm(x, *given, static(moments), float(eps))
        if running_mean is not None:
            for running in (running_mean, running_var):
                if not isinstance(running, (Tensor, np.ndarray)) or running.dtype.kind not in "fc":
                    raise DtypeError(f"batch_norm: running statistics {describe(running)}, which move in place; they are "
                                     "arrays or tensors of floats")
                check_constant("batch_norm", running)
            momentum = number("batch_norm", momentum)
            move(running_mean, middle, momentum)
            move(running_var, variance, momentum, count / (count - 1))
    else:
        x = x - reshape(as_tensor(running_mean), along)
        z = x / sqrt(reshape(as_tensor(running_var), along) + eps)
    return _scaled(z, *(None if p is None else reshape(p, along) for p in (weight, bias)))


def dropout(input: TensorLike, p: float = 0.5, training: bool = True, *,
            rng: np.random.Generator | int | None = None) -> Tensor:
    """x / (1 - p) with probability 1 - p and 0 with probability p, each element by itself; x where not training.

    rng   a numpy.random.Generator, or a seed for a new one; by default this thread's, which tg.manual_seed(n) seeds

    Derivative: d / (1 - p) where x is kept, 0 elsewhere. Raises ValueError for p outside [0, 1].
    Source: Srivastava et al., Dropout (2014).

    >>> set(tg.dropout(np.ones(100), 0.75, rng=0).tolist()) == {0.0, 4.0}
    True
    >>> tg.dropout([1.0, 2.0], training=False)
    tensor([1., 2.])
    """
    x = as_tensor(input)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p={p}; a probability is from 0 to 1")
    if not training or p == 0:
        return positive(x)
    return x * drawn(lambda: drawn_from(rng), partial(_kept, x.shape, x.dtype, p))


def _kept(shape: Shape, dtype: Any, p: float, rng: np.random.Generator) -> Array:
    """What x is multiplied by: 0, or what makes up for the zeros."""
    kept: Any = rng.random(shape, np.float32 if dtype.itemsize <= 4 else np.float64) >= p
    return kept.astype(dtype) if p == 1 else kept * dtype.type(1 / (1 - p))     # type: ignore[no-any-return]


def normalize(input: TensorLike, p: float = 2.0, axis: Axis = 1, eps: float = 1e-12) -> Tensor:
    """x / max(|x|, eps), where |x| is the p-norm along `axis` (an int, or a tuple). ValueError for a p that is not positive.

    >>> tg.normalize([[3.0, 4.0]])
    tensor([[0.6, 0.8]])
    """
    x = floats(input)
    axis = normalized_axis("normalize", x, axis)
    p = number("normalize", p)
    if p == 2:
        length = sqrt(sum(squared_size(x), axis, keepdims=True))
    elif p == math.inf:
        length = max(absolute(x), axis, keepdims=True)
    elif p > 0:
        length = sum(absolute(x) ** p, axis, keepdims=True) ** (1 / p)
    else:
        raise ValueError(f"normalize: p={p}; it is greater than 0")
    return x / maximum(length, eps)


def scaled_dot_product_attention(query: TensorLike, key: TensorLike, value: TensorLike, attn_mask: TensorLike | None = None,
                                 *, is_causal: bool = False, scale: float | None = None) -> Tensor:
    """softmax(query key^T scale + mask) value: (..., L, E), (..., S, E), (..., S, V) -> (..., L, V).

    attn_mask   booleans, True where the query may look at the key; or numbers that are added to the scores, -inf where it
                may not; (..., L, S)
    is_causal   let the query at position i look at the keys up to i; instead of attn_mask
    scale       by default 1 / sqrt(E)

    A query that may look at nothing gets 0. Raises ShapeError where shapes do not fit, ValueError where is_causal and
    attn_mask are both given. Source: Vaswani et al., Attention is all you need (2017).

    >>> tg.scaled_dot_product_attention([[0.0], [0.0]], [[0.0], [0.0]], [[1.0], [3.0]], is_causal=True)
    tensor([[1.],
            [2.]])
    """
    q, k, v = as_tensor(query), as_tensor(key), as_tensor(value)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(f"scaled_dot_product_attention: query {describe(q)}, key {describe(k)}, value {describe(v)}; they "
                         "are (..., L, E), (..., S, E) and (..., S, V)")
    if is_causal and attn_mask is not None:
        raise ValueError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = matmul(q * scale, matrix_transpose(k))
    if attn_mask is not None:
        _check_mask("scaled_dot_product_attention", attn_mask)
    if is_causal:
        attn_mask = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    return matmul(softmax(scores) if attn_mask is None else masked_softmax(scores, attn_mask), v)


def _check_mask(name: str, mask: TensorLike) -> None:
    """DtypeError for integers: 0 and 1, which would be added, are meant as booleans."""
    if like(mask).dtype.kind in "iu":
        raise DtypeError(f"{name}: a mask {describe(like(mask))}; it is booleans, as mask != 0, or floats that are added")


def masked_softmax(input: TensorLike, mask: TensorLike, axis: int = -1) -> Tensor:
    """softmax along `axis` of the elements that the mask shows, and 0 for the others; 0 throughout where it shows none.

    mask   booleans, True where an element counts; or numbers that are added to the input, -inf where it does not count. It is
           broadcast against the input

    Derivative: z (d - sum(d z)), also to a mask of numbers. DtypeError for a mask of integers.

    >>> tg.masked_softmax([[0.0, 0.0, 5.0], [1.0, 2.0, 3.0]], [[True, True, False], [False, False, False]])
    tensor([[0.5, 0.5, 0. ],
            [0. , 0. , 0. ]])
    """
    scores = floats(input)
    axis = single_axis("masked_softmax", scores, axis) - scores.ndim
    _check_mask("masked_softmax", mask)
    if like(mask).dtype.kind != "b":
        added = scores + mask
        seeing = derived("seeing", lambda x: (x != -np.inf).any(axis, keepdims=True), added)
        shares = softmax(added if all_true(seeing) else where(seeing, added, 0.0), axis)
    else:
        try:
            full = np.broadcast_shapes(like(mask).shape, scores.shape)
        except ValueError:
            raise ShapeError(f"masked_softmax: a mask {describe(like(mask))} for scores {describe(scores)}") from None
        seeing = derived("seeing", lambda shown: np.broadcast_to(shown, full).any(axis, keepdims=True), mask)
        shown = derived("shown", lambda shown, seeing: shown | ~seeing, mask, seeing)
        shares = softmax(where(shown, scores, -np.inf), axis)
    return shares if all_true(seeing) else where(seeing, shares, 0.0)
