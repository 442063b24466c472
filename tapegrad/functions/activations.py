"""Activations under PyTorch's names. A piecewise one has, at its corners, the derivative of PyTorch: that of the flat side."""

import math

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, single_axis, value
from tapegrad.functions.elementwise import absolute, greater, tanh
from tapegrad.functions.indexing import getitem
from tapegrad.functions.shaping import reshape

relu = recorded.relu
sigmoid = recorded.sigmoid

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def erf(x):
    """2/sqrt(pi) int_0^x exp(-t^2) dt, to 2 units in the last place. Derivative: d * 2/sqrt(pi) exp(-x^2)."""
    return recorded.erf(x)


def erfc(x):
    """1 - erf(x), to a relative error of 2 + x^2 units in the last place. Derivative: -d * 2/sqrt(pi) exp(-x^2)."""
    return recorded.erfc(x)


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


def softplus(x, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold. Derivative: d * sigmoid(beta x)."""
    if not beta > 0:
        raise ValueError(f"softplus: beta={beta}; it must be greater than 0")
    return recorded.softplus(x, float(beta), float(threshold))


def logsigmoid(x):
    """log(sigmoid(x)), as -log(1 + exp(-x)): exact where sigmoid itself would be 0."""
    return -recorded.softplus(-as_tensor(x), 1.0, math.inf)


def silu(x):
    """x sigmoid(x), also known as swish. Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units (2017)."""
    return as_tensor(x) * sigmoid(x)


swish = silu


def mish(x):
    """x tanh(softplus(x)). Source: Misra, Mish: a self regularized non-monotonic activation function (2019)."""
    return as_tensor(x) * tanh(softplus(x))


def gelu(x, approximate="none"):
    """x Phi(x), where Phi is the normal distribution: x erfc(-x / sqrt(2)) / 2, which keeps the tail of negative x.

    approximate   "none", or "tanh" for x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2

    Source: Hendrycks and Gimpel, Gaussian error linear units (2016).
    """
    x = as_tensor(x)
    if approximate == "tanh":
        return x * 0.5 * (1 + tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * (x * x))))
    if approximate != "none":
        raise ValueError(f"gelu: approximate={approximate!r}; it is 'none' or 'tanh'")
    return x * 0.5 * erfc(x * -math.sqrt(0.5))


def elu(x, alpha=1.0):
    """x where x > 0, alpha (exp(x) - 1) elsewhere. Source: Clevert, Unterthiner and Hochreiter (2015)."""
    return recorded.elu(x, float(alpha), 1.0)


def selu(x):
    """1.0507 elu(x, alpha=1.6733), which keeps mean 0 and variance 1. Source: Klambauer et al. (2017)."""
    return SELU_SCALE * recorded.elu(x, SELU_ALPHA, 1.0)


def celu(x, alpha=1.0):
    """x where x > 0, alpha (exp(x / alpha) - 1) elsewhere: smooth for every alpha but 0. Source: Barron (2017)."""
    if alpha == 0:
        raise ValueError("celu: alpha=0; x is divided by it")
    return recorded.elu(x, float(alpha), 1 / alpha)


def _right(x):
    """1 where x > 0 and 0 elsewhere, in the dtype of x."""
    return recorded.astype(greater(x, 0), x.dtype if x.dtype.kind == "f" else float)


def leaky_relu(x, negative_slope=0.01):
    """x where x > 0, negative_slope x elsewhere. Derivative at 0: negative_slope."""
    x = as_tensor(x)
    right = _right(x)
    return x * (right + negative_slope * (1 - right))


def prelu(x, weight):
    """x where x > 0, weight x elsewhere; `weight` is one number, or (channels,) along axis 1 of x.

    Raises ShapeError where there are neither 1 nor as many weights as channels.
    """
    x = as_tensor(x)
    weight = as_tensor(weight, beside=x)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ShapeError(f"prelu: x {describe(x)} and weight {describe(weight)}; give 1 or {channels} weights")
    if weight.ndim == 1:
        weight = reshape(weight, (-1,) + (1,) * max(x.ndim - 2, 0))
    right = _right(x)
    z = x * (right + weight * (1 - right))
    return z if z.ndim == x.ndim else reshape(z, x.shape)


def hardtanh(x, min_val=-1.0, max_val=1.0):
    """x held between min_val and max_val. Derivative: d strictly between them, 0 elsewhere."""
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is not below max_val={max_val}")
    return recorded.hardtanh(x, float(min_val), float(max_val))


def relu6(x):
    """min(max(x, 0), 6)."""
    return hardtanh(x, 0.0, 6.0)


def hardsigmoid(x):
    """relu6(x + 3) / 6."""
    return relu6(as_tensor(x) + 3) / 6


def hardswish(x):
    """x relu6(x + 3) / 6. Source: Howard et al., Searching for MobileNetV3 (2019)."""
    return as_tensor(x) * hardsigmoid(x)


def softsign(x):
    """x / (1 + |x|)."""
    x = as_tensor(x)
    return x / (1 + absolute(x))


def tanhshrink(x):
    """x - tanh(x)."""
    return as_tensor(x) - tanh(x)


def glu(x, axis=-1):
    """a sigmoid(b), where a and b are the two halves of x along `axis`. Source: Dauphin et al. (2016).

    Raises ShapeError where that axis has an odd length.
    """
    axis = single_axis("glu", x, axis)
    half, odd = divmod(value(x).shape[axis], 2)
    if odd:
        raise ShapeError(f"glu: axis {axis} of {describe(value(x))} has an odd length and no halves")
    before = (slice(None),) * axis
    return getitem(x, (*before, slice(None, half))) * sigmoid(getitem(x, (*before, slice(half, None))))
