"""Activations under PyTorch's names, and erf. All are for real numbers; all but softmax and its like are elementwise.

In what is said of them, x is the input, z the result and d its delta. A piecewise one has, at its corners, the derivative of
PyTorch: that of the flat side. Raises ShapeError for an axis that is not there, DtypeError for a dtype that x may not have.
"""

from __future__ import annotations

import math

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import (
    as_tensor,
    documented,
    floats,
    like,
    normalized_axis,
    number,
    single_axis,
    value,
)
from tapegrad.functions.elementwise import absolute, astype, exp, greater, less_equal, log, sign, subtract, tanh, where
from tapegrad.functions.indexing import getitem
from tapegrad.functions.reductions import sum
from tapegrad.functions.shaping import reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Axis, TensorLike, Unary

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

relu: Unary = documented(recorded.relu, "max(x, 0)", "[-1.0, 2.0]", "[0., 2.]", "d where x > 0, 0 elsewhere")
sigmoid: Unary = documented(recorded.sigmoid, "1 / (1 + e^-x), without overflow", "0.0", "0.5", "d z (1 - z)", "0.25")
erf: Unary = documented(
    recorded.erf, "2/sqrt(pi) int_0^x exp(-t^2) dt, to 2 units in the last place", "0.5", "0.52049988",
    "d 2/sqrt(pi) exp(-x^2)", "0.87878258")
erfc: Unary = documented(
    recorded.erfc, "1 - erf(x), to a relative error of 2 + x^2 units in the last place", "0.5", "0.47950012",
    "-d 2/sqrt(pi) exp(-x^2)", "-0.87878258")


def softmax(input: TensorLike, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`, computed from x - max(x), so that nothing overflows.

    Derivative: z (d - sum(d z)).

    >>> tg.softmax([1.0, 2.0, 3.0])
    tensor([0.09003057, 0.24472847, 0.66524096])
    """
    return recorded.softmax(input, single_axis("softmax", input, axis))


def log_softmax(input: TensorLike, axis: int = -1) -> Tensor:
    """log(softmax(x)) along `axis`, as x - logsumexp(x): exact where softmax itself would be 0.

    Derivative: d - softmax(x) sum(d).

    >>> tg.log_softmax([0.0, 1000.0])
    tensor([-1000.,     0.])
    """
    return recorded.log_softmax(input, single_axis("log_softmax", input, axis))


def logsumexp(a: TensorLike, axis: Axis = None, b: TensorLike | None = None, keepdims: bool = False) -> Tensor:
    """log(sum(b exp(a))) over `axis`, all axes by default, as max(a) + log(sum(b exp(a - max(a)))); b is 1 by default.

    Derivative: to a, d * b exp(a - z), which without b is d * softmax(a); to b, d * exp(a - z). NaN where the sum is negative.
    SciPy's names, order and defaults.

    >>> tg.logsumexp([[1000.0, 1000.0]])
    tensor(1000.69314718)
    >>> tg.logsumexp([[0.0, 0.0], [1.0, 1.0]], axis=1, b=[0.5, 0.5])
    tensor([0., 1.])
    >>> tg.grad(tg.logsumexp)(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    if b is None:
        axes = normalized_axis("logsumexp", a, axis)
        z: Tensor = recorded.logsumexp(a, axes if axes is None or len(axes) != 1 else axes[0])
    else:
        weighted = np.where(value(b) == 0, -math.inf, value(a))
        axes = normalized_axis("logsumexp", weighted, axis)
        top = np.max(weighted, axes, keepdims=True)
        top = np.where(np.isfinite(top), top, 0.0).astype(np.result_type(value(a), np.float16))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            parts = recorded.strong_multiply(b, exp(subtract(a, top)))      # 0 exp(a) is 0 also where exp(a) is infinite
            z = log(sum(parts, axes, keepdims=True)) + top
    if keepdims:
        return z
    return reshape(z, tuple([n for i, n in enumerate(z.shape) if axes is not None and i not in axes]))


def softplus(input: TensorLike, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold. Derivative: d * sigmoid(beta x).

    ValueError for a beta that is not positive.

    >>> tg.softplus([0.0, 100.0])
    tensor([  0.69314718, 100.        ])
    >>> tg.grad(tg.softplus)(0.0)
    array(0.5)
    """
    beta, threshold = number("softplus", beta), number("softplus", threshold)
    if not beta > 0:
        raise ValueError(f"softplus: beta={beta}; it must be greater than 0")
    return recorded.softplus(input, beta, threshold)


def logsigmoid(input: TensorLike) -> Tensor:
    """log(sigmoid(x)), as -log(1 + exp(-x)): exact where sigmoid itself would be 0. Derivative: d sigmoid(-x).

    >>> tg.logsigmoid([-1000.0, 0.0])
    tensor([-1.00000000e+03, -6.93147181e-01])
    """
    return -softplus(-floats(input), 1.0, math.inf)


def silu(input: TensorLike) -> Tensor:
    """x sigmoid(x), also known as swish. Derivative: d (s + z (1 - s)), s = sigmoid(x).

    Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units (2017).

    >>> tg.silu([-1.0, 0.0, 1.0])
    tensor([-0.26894142,  0.        ,  0.73105858])
    """
    return recorded.silu(input)


swish = silu


def mish(input: TensorLike) -> Tensor:
    """x tanh(softplus(x)). Derivative: d (t + x (1 - t^2) sigmoid(x)), t = tanh(softplus(x)).

    Source: Misra, Mish: a self regularized non-monotonic activation function (2019).

    >>> tg.mish(1.0)
    tensor(0.86509839)
    >>> tg.grad(tg.mish)(0.0)
    array(0.6)
    """
    return as_tensor(input) * tanh(softplus(input))


def gelu(input: TensorLike, approximate: str = "none") -> Tensor:
    """x Phi(x), where Phi is the normal distribution, also in the tail of negative x, where Phi(x) is near 0.

    approximate   "none", or "tanh" for x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2

    Derivative: d (Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)). ValueError for another `approximate`.
    Source: Hendrycks and Gimpel, Gaussian error linear units (2016).

    >>> tg.gelu([-1.0, 1.0])
    tensor([-0.15865525,  0.84134475])
    >>> tg.gelu(1.0, approximate="tanh")
    tensor(0.84119199)
    """
    if approximate == "tanh":
        return recorded.gelu_tanh(input)
    if approximate != "none":
        raise ValueError(f"gelu: approximate={approximate!r}; it is 'none' or 'tanh'")
    return recorded.gelu(input)


def elu(input: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha (exp(x) - 1) elsewhere. Derivative: d where x > 0, d alpha exp(x) elsewhere.

    Source: Clevert, Unterthiner and Hochreiter (2015).

    >>> tg.elu([-1.0, 2.0])
    tensor([-0.63212056,  2.        ])
    """
    return recorded.elu(input, number("elu", alpha), 1.0)


def selu(input: TensorLike) -> Tensor:
    """1.0507 elu(x, alpha=1.6733), which keeps mean 0 and variance 1. Derivative: 1.0507 times that of elu.

    Source: Klambauer et al., Self-normalizing neural networks (2017).

    >>> tg.selu([-1.0, 1.0])
    tensor([-1.11133074,  1.05070099])
    """
    return _SELU_SCALE * elu(input, _SELU_ALPHA)


def celu(input: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha (exp(x / alpha) - 1) elsewhere: smooth for every alpha but 0, which is a ValueError.

    Derivative: d where x > 0, d exp(x / alpha) elsewhere. Source: Barron (2017).

    >>> tg.celu([-1.0, 2.0], alpha=2.0)
    tensor([-0.78693868,  2.        ])
    """
    alpha = number("celu", alpha)
    if alpha == 0:
        raise ValueError("celu: alpha=0; x is divided by it")
    return recorded.elu(input, alpha, 1 / alpha)


def _right(x: Tensor) -> Tensor:
    """1 where x > 0 and 0 elsewhere, in the dtype of x."""
    return astype(greater(x, 0), x.dtype if x.dtype.kind == "f" else float)


def leaky_relu(input: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, negative_slope x elsewhere. Derivative: d where x > 0, negative_slope d elsewhere.

    >>> tg.leaky_relu([-1.0, 2.0], 0.1)
    tensor([-0.1,  2. ])
    """
    x = as_tensor(input)
    right = _right(x)
    return x * (right + negative_slope * (1 - right))


def prelu(input: TensorLike, weight: TensorLike) -> Tensor:
    """x where x > 0, weight x elsewhere; `weight` is one number, or (channels,) along axis 1 of x.

    Derivative: to x, d where x > 0 and weight d elsewhere; to the weight, x d, summed where x <= 0. Raises ShapeError where
    there are neither 1 nor as many weights as channels. Source: He et al., Delving deep into rectifiers (2015).

    >>> tg.prelu([[-1.0, -1.0], [2.0, 2.0]], [0.1, 0.5])
    tensor([[-0.1, -0.5],
            [ 2. ,  2. ]])
    """
    x = as_tensor(input)
    weight = as_tensor(weight, beside=x)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ShapeError(f"prelu: x {describe(x)} and weight {describe(weight)}; give 1 or {channels} weights")
    if weight.ndim == 1:
        weight = reshape(weight, (-1,) + (1,) * max(x.ndim - 2, 0))
    right = _right(x)
    z = x * (right + weight * (1 - right))
    return z if z.ndim == x.ndim else reshape(z, x.shape)


def hardtanh(input: TensorLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x held between min_val and max_val. Derivative: d strictly between them, 0 elsewhere.

    ValueError where min_val is not below max_val.

    >>> tg.hardtanh([-2.0, 0.5, 2.0])
    tensor([-1. ,  0.5,  1. ])
    """
    min_val, max_val = number("hardtanh", min_val), number("hardtanh", max_val)
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is not below max_val={max_val}")
    return recorded.hardtanh(input, min_val, max_val)


def threshold(input: TensorLike, threshold: float, value: float) -> Tensor:
    """x where x > threshold, `value` elsewhere. Derivative: d where x > threshold, 0 elsewhere.

    >>> tg.threshold([-1.0, 0.5, 2.0], 0.5, 0.0)
    tensor([0., 0., 2.])
    """
    x = as_tensor(input)
    return where(less_equal(x, number("threshold", threshold)), number("threshold", value), x)     # NaN stays


def hardshrink(input: TensorLike, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, 0 elsewhere. Derivative: d where |x| > lambd, 0 elsewhere.

    >>> tg.hardshrink([-1.0, 0.25, 2.0])
    tensor([-1.,  0.,  2.])
    """
    x = as_tensor(input)
    return where(less_equal(absolute(x), number("hardshrink", lambd)), 0.0, x)


def softshrink(input: TensorLike, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0, and 0 where |x| <= lambd. Derivative: d where |x| > lambd, 0 elsewhere. ValueError for a
    negative lambd.

    >>> tg.softshrink([-1.0, 0.25, 2.0])
    tensor([-0.5,  0. ,  1.5])
    """
    lambd = number("softshrink", lambd)
    if not lambd >= 0:
        raise ValueError(f"softshrink: lambd={lambd}; it is at least 0")
    x = floats(input)
    return where(less_equal(absolute(x), lambd), 0.0, x - lambd * sign(x))


def softmin(input: TensorLike, axis: int = -1) -> Tensor:
    """softmax(-x) along `axis`. Derivative: z (sum(d z) - d).

    >>> tg.softmin([1.0, 1.0])
    tensor([0.5, 0.5])
    """
    return softmax(-floats(input), axis)


def relu6(input: TensorLike) -> Tensor:
    """min(max(x, 0), 6). Derivative: d where 0 < x < 6, 0 elsewhere.

    >>> tg.relu6([-1.0, 3.0, 8.0])
    tensor([0., 3., 6.])
    """
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: TensorLike) -> Tensor:
    """relu6(x + 3) / 6. Derivative: d / 6 where -3 < x < 3, 0 elsewhere.

    >>> tg.hardsigmoid([-4.0, 0.0, 4.0])
    tensor([0. , 0.5, 1. ])
    """
    return relu6(floats(input) + 3) / 6


def hardswish(input: TensorLike) -> Tensor:
    """x relu6(x + 3) / 6. Derivative: d (2 x + 3) / 6 where -3 < x < 3, d where x >= 3, 0 elsewhere.

    Source: Howard et al., Searching for MobileNetV3 (2019).

    >>> tg.hardswish([-3.0, 0.0, 4.0])
    tensor([-0.,  0.,  4.])
    """
    return as_tensor(input) * hardsigmoid(input)


def softsign(input: TensorLike) -> Tensor:
    """x / (1 + |x|). Derivative: d / (1 + |x|)^2.

    >>> tg.softsign([-1.0, 3.0])
    tensor([-0.5 ,  0.75])
    """
    x = floats(input)
    return x / (1 + absolute(x))


def tanhshrink(input: TensorLike) -> Tensor:
    """x - tanh(x). Derivative: d tanh(x)^2.

    >>> tg.tanhshrink(1.0)
    tensor(0.23840584)
    """
    return as_tensor(input) - tanh(input)


def glu(input: TensorLike, axis: int = -1) -> Tensor:
    """a sigmoid(b), where a and b are the two halves of x along `axis`.

    Derivative: d sigmoid(b) to a, d z (1 - sigmoid(b)) to b. Raises ShapeError where that axis has an odd length.
    Source: Dauphin et al., Language modeling with gated convolutional networks (2016).

    >>> tg.glu([2.0, 4.0, 0.0, 0.0])
    tensor([1., 2.])
    """
    axis = single_axis("glu", input, axis)
    half, odd = divmod(like(input).shape[axis], 2)
    if odd:
        raise ShapeError(f"glu: axis {axis} of {describe(like(input))} has an odd length and no halves")
    before = (slice(None),) * axis
    return getitem(input, (*before, slice(None, half))) * sigmoid(getitem(input, (*before, slice(half, None))))
