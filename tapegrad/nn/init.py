"""Initial values of parameters, under PyTorch's names: each writes into the array of a tensor, and returns the tensor.

They draw from this thread's generator, which tg.manual_seed(n) seeds, unless they are given another. fan_in and fan_out of a
weight are the lengths of its axes 1 and 0, times the elements of the kernel. Raises ShapeError for a tensor with too few axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import check_constant
from tapegrad.functions.generators import drawn_from
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array

__all__ = ["calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
           "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_"]

Generator = np.random.Generator | int | None


def _written(tensor: Tensor, values: Any) -> Tensor:
    tensor.data[...] = values
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Uniform on [a, b).

    >>> x = tg.nn.init.uniform_(tg.zeros(100), 2.0, 3.0)
    >>> bool((x >= 2).all() and (x < 3).all())
    True
    """
    return _written(tensor, drawn_from(generator).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None) -> Tensor:
    """Normal with a mean and a standard deviation.

    >>> tg.nn.init.normal_(tg.zeros((2, 3))).shape
    (2, 3)
    """
    return _written(tensor, drawn_from(generator).normal(mean, std, tensor.shape))


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
                  generator: Generator = None) -> Tensor:
    """Normal, drawn again where it is outside of [a, b]. ValueError where that is far from the mean.

    >>> x = tg.nn.init.trunc_normal_(tg.zeros(100), std=5.0)
    >>> bool((abs(x) <= 2).all())
    True
    """
    check_constant("trunc_normal_", (mean, std, a, b))
    if not a < b or a > mean + 3 * std or b < mean - 3 * std:
        raise ValueError(f"trunc_normal_: [{a}, {b}] for mean={mean} and std={std}; normal numbers are hardly ever there")
    rng = drawn_from(generator)
    x: Array = np.asarray(rng.normal(mean, std, tensor.shape))
    while (outside := (x < a) | (x > b)).any():
        x[outside] = rng.normal(mean, std, int(outside.sum()))
    return _written(tensor, x)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """A number everywhere.

    >>> tg.nn.init.constant_(tg.zeros(2), 3.0)
    tensor([3., 3.])
    """
    return _written(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere.

    >>> tg.nn.init.ones_(tg.zeros(2))
    tensor([1., 1.])
    """
    return _written(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere.

    >>> tg.nn.init.zeros_(tg.ones(2))
    tensor([0., 0.])
    """
    return _written(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity, of a matrix.

    >>> tg.nn.init.eye_(tg.zeros((2, 2)))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: {describe(tensor)}; a matrix is needed")
    return _written(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The weight of a convolution that keeps its input: 1 in the middle of the kernel from each channel to itself, else 0.

    >>> tg.nn.init.dirac_(tg.ones((1, 1, 3)))
    tensor([[[0., 1., 0.]]])
    """
    if not 3 <= tensor.ndim <= 5 or tensor.shape[0] % groups:
        raise ShapeError(f"dirac_: {describe(tensor)} in {groups} groups; the weight of a convolution is needed")
    out, channels, *kernel = tensor.shape
    z = np.zeros(tensor.shape)
    for i in range(out):
        if i % (out // groups) < channels:
            z[(i, i % (out // groups), *[k // 2 for k in kernel])] = 1
    return _written(tensor, z)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By what the weights before an activation are multiplied so that variances stay: PyTorch's recommendations.

    nonlinearity   "linear", "conv1d" and its like, "sigmoid", "tanh", "relu", "leaky_relu" (`param`: its slope), "selu"

    >>> tg.nn.init.calculate_gain("relu") ** 2
    2.0000000000000004
    """
    if nonlinearity in ("linear", "sigmoid") or nonlinearity.startswith("conv"):
        return 1.0
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: nonlinearity={nonlinearity!r}; it is linear, conv1d, .., sigmoid, leaky_relu, "
                         f"{', '.join(gains)}")
    return gains[nonlinearity]


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ShapeError(f"{name}: {describe(tensor)}; the fans of a weight with at least two axes are needed")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Uniform on (-a, a), a = gain sqrt(6 / (fan_in + fan_out)). Source: Glorot and Bengio (2010).

    >>> x = tg.nn.init.xavier_uniform_(tg.zeros((2, 4)))
    >>> bool((abs(x) <= 1).all())
    True
    """
    a = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Normal with the standard deviation gain sqrt(2 / (fan_in + fan_out)). Source: Glorot and Bengio (2010).

    >>> tg.nn.init.xavier_normal_(tg.zeros((2, 4))).shape
    (2, 4)
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))), generator)


def _kaiming(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode={mode!r}; it is 'fan_in' or 'fan_out'")
    fan = _fans(name, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator = None) -> Tensor:
    """Uniform with the standard deviation gain / sqrt(fan). Source: He et al., Delving deep into rectifiers (2015).

    a                    the slope of the leaky_relu that follows
    mode, nonlinearity   which fan, "fan_in" or "fan_out"; see calculate_gain for the gain

    >>> x = tg.nn.init.kaiming_uniform_(tg.zeros((2, 6)))
    >>> bool((abs(x) <= 1).all())
    True
    """
    bound = math.sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    generator: Generator = None) -> Tensor:
    """Normal with the standard deviation gain / sqrt(fan); see kaiming_uniform_.

    >>> tg.nn.init.kaiming_normal_(tg.zeros((2, 6))).shape
    (2, 6)
    """
    return normal_(tensor, 0.0, _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator = None) -> Tensor:
    """gain times a matrix with orthonormal rows, or columns where there are more rows; further axes count as columns.

    Source: Saxe, McClelland and Ganguli (2014).

    >>> x = tg.nn.init.orthogonal_(tg.zeros((2, 3)))
    >>> bool((abs(x @ x.T - np.eye(2)) < 1e-12).all())
    True
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: {describe(tensor)}; at least two axes are needed")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    x = drawn_from(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(x)
    q *= np.sign(np.diagonal(r))                        # so that every orthogonal matrix is equally probable
    return _written(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator = None) -> Tensor:
    """Normal, of a matrix, with the share `sparsity` of each column, rounded up, set to 0. Source: Martens (2010).

    >>> int((tg.nn.init.sparse_(tg.ones((10, 3)), 0.75) == 0).sum())
    24
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: {describe(tensor)}; a matrix is needed")
    rng = drawn_from(generator)
    x = rng.normal(0.0, std, tensor.shape)
    for column in x.T:
        column[rng.permutation(len(column))[:math.ceil(sparsity * len(column))]] = 0
    return _written(tensor, x)
