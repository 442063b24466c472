"""Activations as modules: each applies the function of tapegrad that its documentation names, with its options.

`inplace` is taken for programs that were written for PyTorch; the input is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tapegrad.functions import activations as F
from tapegrad.functions.arguments import like
from tapegrad.functions.elementwise import tanh
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import NEEDED, Module, Parameter, applied
from tapegrad.typing import DTypeLike, TensorLike

_INPLACE: dict[str, Any] = {"unused": ("inplace",), "inplace": False}

ReLU = applied("ReLU", F.relu, "tg.relu: max(x, 0).", "()([-1.0, 2.0])", "tensor([0., 2.])", **_INPLACE)
ReLU6 = applied("ReLU6", F.relu6, "tg.relu6: min(max(x, 0), 6).", "()([-1.0, 8.0])", "tensor([0., 6.])", **_INPLACE)
LeakyReLU = applied("LeakyReLU", F.leaky_relu, "tg.leaky_relu: x where x > 0, negative_slope x elsewhere.",
                    "(0.1)([-1.0, 2.0])", "tensor([-0.1,  2. ])", unused=("inplace",), negative_slope=0.01, inplace=False)
ELU = applied("ELU", F.elu, "tg.elu: x where x > 0, alpha (exp(x) - 1) elsewhere.", "()([-1.0, 2.0])",
              "tensor([-0.63212056,  2.        ])", unused=("inplace",), alpha=1.0, inplace=False)
SELU = applied("SELU", F.selu, "tg.selu: an elu that keeps mean 0 and variance 1.", "()([-1.0, 1.0])",
               "tensor([-1.11133074,  1.05070099])", **_INPLACE)
CELU = applied("CELU", F.celu, "tg.celu: x where x > 0, alpha (exp(x / alpha) - 1) elsewhere.", "(2.0)([-1.0, 2.0])",
               "tensor([-0.78693868,  2.        ])", unused=("inplace",), alpha=1.0, inplace=False)
GELU = applied("GELU", F.gelu, "tg.gelu: x Phi(x), Phi the normal distribution; approximate='tanh' for a formula near it.",
               "()([-1.0, 1.0])", "tensor([-0.15865525,  0.84134475])", approximate="none")
SiLU = applied("SiLU", F.silu, "tg.silu: x sigmoid(x).", "()([0.0, 1.0])", "tensor([0.        , 0.73105858])", **_INPLACE)
Mish = applied("Mish", F.mish, "tg.mish: x tanh(softplus(x)).", "()(1.0)", "tensor(0.86509839)", **_INPLACE)
Sigmoid = applied("Sigmoid", F.sigmoid, "tg.sigmoid: 1 / (1 + e^-x).", "()(0.0)", "tensor(0.5)")
LogSigmoid = applied("LogSigmoid", F.logsigmoid, "tg.logsigmoid: log(sigmoid(x)).", "()(0.0)", "tensor(-0.69314718)")
Hardsigmoid = applied("Hardsigmoid", F.hardsigmoid, "tg.hardsigmoid: relu6(x + 3) / 6.", "()([-4.0, 0.0])",
                      "tensor([0. , 0.5])",
                      **_INPLACE)
Hardswish = applied("Hardswish", F.hardswish, "tg.hardswish: x relu6(x + 3) / 6.", "()([0.0, 4.0])", "tensor([0., 4.])",
                    **_INPLACE)
Hardtanh = applied("Hardtanh", F.hardtanh, "tg.hardtanh: x held between min_val and max_val.", "()([-2.0, 0.5])",
                   "tensor([-1. ,  0.5])", unused=("inplace",), min_val=-1.0, max_val=1.0, inplace=False)
Tanh = applied("Tanh", tanh, "tg.tanh: the hyperbolic tangent.", "()(1.0)", "tensor(0.76159416)")
Tanhshrink = applied("Tanhshrink", F.tanhshrink, "tg.tanhshrink: x - tanh(x).", "()(1.0)", "tensor(0.23840584)")
Softplus = applied("Softplus", F.softplus, "tg.softplus: log(1 + exp(beta x)) / beta, x itself where beta x > threshold.",
                   "()(0.0)",
                   "tensor(0.69314718)", beta=1.0, threshold=20.0)
Softsign = applied("Softsign", F.softsign, "tg.softsign: x / (1 + |x|).", "()([-1.0, 3.0])", "tensor([-0.5 ,  0.75])")
Threshold = applied("Threshold", F.threshold, "tg.threshold: x where x > threshold, value elsewhere.", "(0.5, 0.0)([0.5, 2.0])",
                    "tensor([0., 2.])", unused=("inplace",), threshold=NEEDED, value=NEEDED, inplace=False)
Hardshrink = applied("Hardshrink", F.hardshrink, "tg.hardshrink: x where |x| > lambd, 0 elsewhere.", "()([0.25, 2.0])",
                     "tensor([0., 2.])", lambd=0.5)
Softshrink = applied("Softshrink", F.softshrink, "tg.softshrink: x moved by lambd towards 0.", "()([0.25, 2.0])",
                     "tensor([0. , 1.5])", lambd=0.5)
GLU = applied("GLU", F.glu, "tg.glu: a sigmoid(b), where a and b are the two halves of x along dim.",
              "()([2.0, 4.0, 0.0, 0.0])",
              "tensor([1., 2.])", renamed={"dim": "axis"}, dim=-1)


def _along(function: Callable[..., Tensor], input: TensorLike, axis: int | None) -> Tensor:
    """PyTorch's axis where none is given: 0 of one or three axes, else 1."""
    default = 0 if like(input).ndim in (0, 1, 3) else 1
    return function(input, default if axis is None else axis)


Softmax = applied("Softmax", partial(_along, F.softmax),
                  "tg.softmax along dim; where that is None, along 0 of one or three axes, else 1.",
                  "(dim=-1)([0.0, 0.0])", "tensor([0.5, 0.5])", renamed={"dim": "axis"}, dim=None)
LogSoftmax = applied("LogSoftmax", partial(_along, F.log_softmax), "tg.log_softmax along dim; see Softmax.",
                     "(dim=-1)([0.0, 0.0])", "tensor([-0.69314718, -0.69314718])", renamed={"dim": "axis"}, dim=None)
Softmin = applied("Softmin", partial(_along, F.softmin), "tg.softmin along dim; see Softmax.", "(dim=-1)([0.0, 0.0])",
                  "tensor([0.5, 0.5])",
                  renamed={"dim": "axis"}, dim=None)


class PReLU(Module):
    """tg.prelu: x where x > 0, weight x elsewhere; the weight (num_parameters,) is `init` at first.

    num_parameters   1, or as many as the channels, axis 1 of x

    >>> tg.nn.PReLU()(np.array([-1.0, 2.0], "f4")).tolist()
    [-0.25, 2.0]
    """

    weight: Tensor

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.weight = Parameter(np.full(num_parameters, init, dtype))

    def forward(self, input: TensorLike) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
