"""The operations of random programs, each in tapegrad, in PyTorch and in numbers with infinitesimals.

A row is (tapegrad's, PyTorch's, the reference's); the functions take the operands and then the parameters of a step.
"""

from types import SimpleNamespace

import numpy as np

import tapegrad as tg
from fuzz import infinitesimal as R

try:
    import torch as T
except ImportError:
    T = SimpleNamespace(sin=None, cos=None, exp=None, tanh=None, sigmoid=None, square=None, abs=None, relu=None, outer=None,
                        maximum=None, minimum=None, hypot=None, autograd=SimpleNamespace(Function=object))


@tg.primitive(lambda delta, out, x: delta * 3 * x ** 2)
def cube(x):
    return x ** 3


@tg.primitive(lambda delta, out, x: -delta)
def reversed_gradient(x):
    return x * 1.0


@tg.primitive(lambda delta, out, x, y: delta * y, lambda delta, out, x, y: tg.sum(delta * x), scalar=False)
def scaled(x, y):
    return x * y


class Reversed(T.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, d):
        return -d


def _reversed(x):
    return R.Number({s: v if s == 0 else -v for s, v in x.parts.items()})


def _scaled(x, y):
    if y.shape:
        raise R.Undefined("scaled takes a number")
    return x * y


def _norm(x, axis):
    return R.sqrt(R.total(x * x, axis) + 0.0)


def _softplus(x):
    return R.log(R.exp(x) + 1)


def _matrix(x):
    if x.value.ndim != 2:
        raise R.Undefined("no matrix")
    return x


def _leaky_relu(x):
    R.apart(x.value, 0.0, ties=True)
    return x * np.where(x.value > 0, 1.0, 0.01)


def _floor(x):
    R.apart(x.value, np.round(x.value))
    return R.number(np.floor(x.value))


def _clip(x, low, high):
    R.apart(x.value, low)
    R.apart(x.value, high)
    return R.where((x.value > low) & (x.value < high), x, np.clip(x.value, low, high))


def _torch_index(index):
    """Whether PyTorch has the index as it is; it has no negative steps."""
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(i, slice) and (i.step or 1) < 0 for i in parts)


def torch_getitem(x, index):
    if _torch_index(index):
        return x[index]
    where = np.arange(x.numel()).reshape(x.shape)[index]
    return x.reshape(-1)[T.tensor(where.copy().reshape(-1))].reshape(where.shape)


def torch_assigned(x, y, index):
    """x with y at the index; of elements that are assigned to twice, PyTorch would give a gradient to both."""
    source = np.full(x.shape, -1)
    R.assigned(source, index, np.zeros(y.shape))        # whether NumPy would
    while y.ndim > source[index].ndim:
        y = y[0]
    spread = T.broadcast_to(y, source[index].shape).reshape(-1) if y.numel() else y.reshape(-1)
    source[index] = np.arange(spread.numel()).reshape(source[index].shape)
    if not spread.numel():
        return x * 1
    source = T.tensor(source)
    return T.where(source < 0, x, spread[T.clip(source, 0)])


ELEMENTWISE = {
    "sin": (tg.sin, T.sin, R.sin),
    "cos": (np.cos, T.cos, lambda x: R.sin(x + np.pi / 2)),
    "exp": (lambda x: tg.exp(x * 0.3), lambda x: T.exp(x * 0.3), lambda x: R.exp(x * 0.3)),
    "tanh": (tg.tanh, T.tanh, R.tanh),
    "sigmoid": (tg.sigmoid, T.sigmoid, R.sigmoid),
    "softplus": (tg.softplus, lambda x: T.nn.functional.softplus(x), _softplus),
    "silu": (tg.silu, lambda x: T.nn.functional.silu(x), lambda x: x * R.sigmoid(x)),
    "square": (tg.square, T.square, lambda x: x * x),
    "negative": (lambda x: -x, lambda x: -x, lambda x: -x),
    "abs": (abs, T.abs, R.absolute),
    "relu": (tg.relu, T.relu, R.relu),
    "leaky_relu": (tg.leaky_relu, lambda x: T.nn.functional.leaky_relu(x), _leaky_relu),
    "log": (lambda x: tg.log(x * x + 1.5), lambda x: T.log(x * x + 1.5), lambda x: R.log(x * x + 1.5)),
    "sqrt": (lambda x: np.sqrt(x * x + 0.5), lambda x: T.sqrt(x * x + 0.5), lambda x: R.sqrt(x * x + 0.5)),
    "reciprocal": (lambda x: 1 / (x * x + 1), lambda x: 1 / (x * x + 1), lambda x: R.power(x * x + 1, -1)),
    "power": (lambda x: x ** 3, lambda x: x ** 3, lambda x: R.power(x, 3)),
    "root": (lambda x: (x * x + 0.5) ** 1.5, lambda x: (x * x + 0.5) ** 1.5, lambda x: R.power(x * x + 0.5, 1.5)),
    "clip": (lambda x: tg.clip(x, -0.7, 0.7), lambda x: T.clip(x, -0.7, 0.7), lambda x: _clip(x, -0.7, 0.7)),
    "cube": (cube, lambda x: x ** 3, lambda x: x * x * x),
    "reversed_gradient": (reversed_gradient, lambda x: Reversed.apply(x), _reversed),
    "floor": (tg.floor, lambda x: T.floor(x).detach(), _floor),
}

BINARY = {
    "add": (lambda x, y: x + y, lambda x, y: x + y, lambda x, y: x + y),
    "subtract": (lambda x, y: x - y, lambda x, y: x - y, lambda x, y: x - y),
    "multiply": (lambda x, y: x * y, lambda x, y: x * y, lambda x, y: x * y),
    "divide": (lambda x, y: x / (y * y + 1.0), lambda x, y: x / (y * y + 1.0), lambda x, y: x / (y * y + 1.0)),
    "maximum": (tg.maximum, T.maximum, R.maximum),
    "minimum": (np.minimum, T.minimum, lambda x, y: -R.maximum(-x, -y)),
    "where": (lambda x, y: tg.where(x > y, x * y, y), lambda x, y: T.where(x > y, x * y, y),
              lambda x, y: R.apart(x.value, y.value) or R.where(x.value > y.value, x * y, y + 0 * x)),
    "hypot": (lambda x, y: tg.hypot(x, y + 2.0), lambda x, y: T.hypot(x, y + 2.0),
              lambda x, y: R.sqrt(x * x + (y + 2.0) * (y + 2.0))),
    "matmul": (lambda x, y: x @ y, lambda x, y: x @ y, lambda x, y: R.product(np.matmul, x, y)),
    "outer": (lambda x, y: tg.outer(x, y), lambda x, y: T.outer(x.reshape(-1), y.reshape(-1)),
              lambda x, y: R.product(np.outer, x, y)),
    "einsum": (lambda x, y: tg.einsum("ij,kj->ki", x, y), lambda x, y: T.einsum("ij,kj->ki", x, y),
               lambda x, y: R.product(lambda x, y: np.einsum("ij,kj->ki", x, y), _matrix(x), _matrix(y))),
    "scaled": (scaled, lambda x, y: x * y, _scaled),
}

LARGE = {                                               # the second operand is a large array
    "averaged": (lambda x, c: (tg.sum(x) * c).mean(-1), lambda x, c: (x.sum() * c).mean(-1),
                 lambda x, c: R.total(x) * np.mean(c.value, -1)),
    "projected": (lambda x, c: tg.sum(x) + c.sum(-1) * 0.01 + tg.matmul(c, c.T)[0] * tg.sum(x) * 1e-4,
                  lambda x, c: x.sum() + c.sum(-1) * 0.01 + (c @ c.T)[0] * x.sum() * 1e-4,
                  lambda x, c: R.total(x) * (1 + (c.value @ c.value.T)[0] * 1e-4) + c.value.sum(-1) * 0.01),
}

REDUCING = {                                            # parameters: an axis
    "sum": (tg.sum, lambda x, a: x.sum() if a is None else x.sum(a), R.total),
    "mean": (lambda x, a: x.mean(axis=a, keepdims=True), lambda x, a: x.mean(_axes(x, a), keepdim=True),
             lambda x, a: R.mean(x, a, True)),
    "max": (tg.max, lambda x, a: T.amax(x, _axes(x, a)), R.greatest),
    "min": (lambda x, a: np.min(x, a), lambda x, a: T.amin(x, _axes(x, a)), lambda x, a: -R.greatest(-x, a)),
    "var": (lambda x, a: tg.var(x, a, ddof=1), lambda x, a: T.var(x, _axes(x, a)), lambda x, a: R.variance(x, a, 1)),
    "std": (tg.std, lambda x, a: T.std(x, _axes(x, a), correction=0), lambda x, a: R.sqrt(R.variance(x, a))),
    "norm": (lambda x, a: tg.linalg.norm(x, axis=a), lambda x, a: T.linalg.vector_norm(x, dim=_axes(x, a)), _norm),
    "logsumexp": (tg.logsumexp, lambda x, a: T.logsumexp(x, _axes(x, a)), lambda x, a: R.log(R.total(R.exp(x), a))),
}

ALONG = {                                               # parameters: an axis that is there
    "cumsum": (tg.cumsum, lambda x, a: T.cumsum(x, a), lambda x, a: R.linear(lambda v: np.cumsum(v, a), x)),
    "cumprod": (tg.cumprod, lambda x, a: T.cumprod(x, a), R.cumprod),
    "prod": (tg.prod, lambda x, a: T.prod(x, a), R.prod),
    "softmax": (tg.softmax, lambda x, a: T.softmax(x, a), R.softmax),
    "log_softmax": (tg.log_softmax, lambda x, a: T.log_softmax(x, a), lambda x, a: R.log(R.softmax(x, a) + 0.0)),
    "sort": (tg.sort, lambda x, a: T.sort(x, a).values, R.sort),
    "flip": (tg.flip, lambda x, a: T.flip(x, [a]), lambda x, a: R.linear(lambda v: np.flip(v, a), x)),
    "roll": (lambda x, a: tg.roll(x, 1, a), lambda x, a: T.roll(x, 1, a), lambda x, a: R.linear(lambda v: np.roll(v, 1, a), x)),
    "repeat": (lambda x, a: tg.repeat(x, 2, a), lambda x, a: T.repeat_interleave(x, 2, a),
               lambda x, a: R.linear(lambda v: np.repeat(v, 2, a), x)),
    "stack": (lambda x, a: tg.stack([x, x * 2], a), lambda x, a: T.stack([x, x * 2], a),
              lambda x, a: R.linear(lambda v: np.stack([v, v * 2], a), x)),
    "expand": (lambda x, a: tg.expand_dims(x, a), lambda x, a: T.unsqueeze(x, a),
               lambda x, a: R.linear(lambda v: np.expand_dims(v, a), x)),
    "take": (lambda x, a: tg.take(x, [0, 0, -1], a), lambda x, a: T.index_select(x, a, T.tensor([0, 0, x.shape[a] - 1])),
             lambda x, a: R.linear(lambda v: np.take(v, [0, 0, -1], a), x)),
}

SHAPING = {
    "transpose": (lambda x: x.T, lambda x: x.permute(tuple(range(x.ndim))[::-1]), lambda x: R.linear(np.transpose, x)),
    "ravel": (lambda x: x.reshape(-1), lambda x: x.reshape(-1), lambda x: R.linear(np.ravel, x)),
    "squeeze": (lambda x: np.squeeze(x), lambda x: x.squeeze(), lambda x: R.linear(np.squeeze, x)),
    "spread": (lambda x: tg.broadcast_to(x, (2, *x.shape)), lambda x: x.expand(2, *x.shape),
               lambda x: R.linear(lambda v: np.broadcast_to(v, (2, *v.shape)), x)),
    "pad": (lambda x: tg.pad(x, 1)[1:], lambda x: T.nn.functional.pad(x, [1, 1] * x.ndim)[1:],
            lambda x: R.linear(lambda v: np.pad(v, 1)[1:], x)),
    "tril": (tg.tril, lambda x: T.tril(x), lambda x: R.linear(np.tril, _matrix(x))),
    "diagonal": (lambda x: tg.diagonal(x), lambda x: T.diagonal(x), lambda x: R.linear(np.diagonal, _matrix(x))),
}

JOINING = {                                             # parameters: an axis; any number of operands
    "concatenate": (lambda *xs: tg.concatenate(xs[:-1], xs[-1]), lambda *xs: T.concatenate(xs[:-1], xs[-1]),
                    lambda *xs: R.joined(lambda vs: np.concatenate(vs, xs[-1]), xs[:-1])),
}

INDEXING = {                                            # parameters: an index; assigned is what item assignment makes
    "getitem": (lambda x, i: x[i], torch_getitem, lambda x, i: R.linear(lambda v: v[i], x)),
    "assigned": (None, torch_assigned, lambda x, y, i: R.assigned(x, i, y)),
}

OPERATIONS = {**ELEMENTWISE, **BINARY, **LARGE, **REDUCING, **ALONG, **SHAPING, **JOINING, **INDEXING}


def _axes(x, axis):
    return tuple(range(x.ndim)) if axis is None else (axis,)
