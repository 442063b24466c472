"""Recurrent networks: the loop over times of a course on them, with PyTorch's parameters.

The products with the inputs of all times are one product before the loop. The rows of the weights are those of the gates, one
below the other: i, f, g, o of an LSTM, r, z, n of a GRU. Weights are uniform on (-a, a) at first, a = 1 / sqrt(hidden_size).

With `lengths`, example k of a padded batch ends after lengths[k] times: its states stop there, and its outputs beyond are 0.
The other direction begins at its last time. That is what packed sequences are for in PyTorch.

Compiled by tg.compile, the loop is a product and a kernel per time and direction of the sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.functions.activations import relu, sigmoid
from tapegrad.functions.arguments import as_tensor, value
from tapegrad.functions.elementwise import matmul, tanh, where
from tapegrad.functions.joining import concatenate, stack
from tapegrad.functions.layers import dropout, linear
from tapegrad.functions.shaping import expand_dims, squeeze, swapaxes, transpose
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import Module, drawn
from tapegrad.typing import Array, DTypeLike, TensorLike

State = tuple[Tensor, ...]                              # (h,), and (h, c) of an LSTM
Step = Callable[[Tensor, State, Tensor, Any], State]


# A step: from the products with the input, bias included, the state, weight_hh^T and bias_hh to the next state.

def _plain_step(nonlinearity: Callable[[TensorLike], Tensor]) -> Step:
    return lambda x, state, W, b: (nonlinearity(x + _affine(state[0], W, b)),)


def _affine(h: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
    z = matmul(h, W)
    return z if b is None else z + b


def _lstm_step(x: Tensor, state: State, W: Tensor, b: Tensor | None) -> State:
    h, c = state
    n = c.shape[-1]
    z = x + _affine(h, W, b)
    c = sigmoid(z[..., n:2 * n]) * c + sigmoid(z[..., :n]) * tanh(z[..., 2 * n:3 * n])
    return sigmoid(z[..., 3 * n:]) * tanh(c), c


def _gru_step(x: Tensor, state: State, W: Tensor, b: Tensor | None) -> State:
    h, = state
    n = h.shape[-1]
    y = _affine(h, W, b)
    gates = sigmoid(x[..., :2 * n] + y[..., :2 * n])
    new = tanh(x[..., 2 * n:] + gates[..., :n] * y[..., 2 * n:])
    return (new + gates[..., n:] * (h - new),)


_STEPS: dict[str, Step] = {"tanh": _plain_step(tanh), "relu": _plain_step(relu), "lstm": _lstm_step, "gru": _gru_step}


def _of(nonlinearity: str, name: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: nonlinearity={nonlinearity!r}; it is 'tanh' or 'relu'")
    return nonlinearity


class _Recurrent(Module):
    """Layers of a kind of step, in one direction or in both."""

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    step: str

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, bias: bool, batch_first: bool, dropout: float,
                 bidirectional: bool, dtype: DTypeLike, proj_size: int = 0) -> None:
        super().__init__()
        name = type(self).__name__
        if num_layers < 1 or hidden_size < 1:
            raise ValueError(f"{name}: num_layers={num_layers}, hidden_size={hidden_size}; they are at least 1")
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout={dropout}; a probability is from 0 to 1")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size={proj_size} is not less than hidden_size={hidden_size}")
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional, self.proj_size = batch_first, dropout, bidirectional, proj_size
        out, rows = proj_size or hidden_size, self.gates * hidden_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                width = out * (1 + bidirectional) if layer else input_size
                shapes: dict[str, tuple[int, ...] | None] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                drawn(self, {key + suffix: shape for key, shape in shapes.items()}, hidden_size, dtype)

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][:1 + self.bidirectional]

    def _starts(self, hx: Any, n: int, single: bool, dtype: np.dtype[Any]) -> list[Tensor]:
        """The given states, (layers and directions, N, width) each, or zeros."""
        name, count = type(self).__name__, self.num_layers * (1 + self.bidirectional)
        widths = (self.proj_size or self.hidden_size, self.hidden_size)[:self.states]
        if hx is None:
            return [as_tensor(np.zeros((count, n, width), dtype)) for width in widths]
        given = [hx] if self.states == 1 else list(hx) if isinstance(hx, (tuple, list)) else [hx]
        starts = [as_tensor(x) for x in given]
        wanted = [(count, width) if single else (count, n, width) for width in widths]
        if [x.shape for x in starts] != wanted:
            raise ShapeError(f"{name}: states {', '.join(map(describe, starts))}; the shapes are {', '.join(map(str, wanted))}")
        return [expand_dims(x, 1) if single else x for x in starts]

    def _direction(self, x: Tensor, state: State, suffix: str, reverse: bool, alive: Array | None
                   ) -> tuple[list[Tensor], State]:
        """The outputs at each time, and the last state, of one direction of a layer."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        held = vars(self)                               # which tells a tracer that any attribute may be read
        W_ih, W_hh, b_ih, b_hh, W_hr = [cast(Any, held.get(name + suffix)) for name in names]
        step, products, W = _STEPS[self.step], linear(x, W_ih, b_ih), transpose(W_hh)
        project = None if W_hr is None else transpose(W_hr)
        outputs: list[Any] = [None] * x.shape[0]
        for t in range(x.shape[0])[::-1 if reverse else 1]:
            new = step(products[t], state, W, b_hh)
            if project is not None:
                new = matmul(new[0], project), *new[1:]
            if alive is None or alive[t].all():
                state, outputs[t] = new, new[0]
            else:
                state = tuple([where(alive[t], z, before) for z, before in zip(new, state)])
                outputs[t] = where(alive[t], new[0], 0.0)
        return outputs, state

    def forward(self, input: TensorLike, hx: Any = None, lengths: TensorLike | Sequence[int] | None = None
                ) -> tuple[Tensor, Any]:
        """The outputs of the last layer at each time, and the last states of all layers.

        input     (T, N, input_size), (N, T, input_size) with batch_first, or (T, input_size) for one example
        hx        the states at the start, 0 by default: (layers directions, N, width), a pair (h, c) of an LSTM
        lengths   (N,) integers, where each example ends
        """
        x, name = as_tensor(input), type(self).__name__
        single = x.ndim == 2
        x = expand_dims(x, 1) if single else swapaxes(x, 0, 1) if self.batch_first and x.ndim == 3 else x
        if x.ndim != 3 or x.shape[2] != self.input_size or not x.shape[0]:
            raise ShapeError(f"{name}: input {describe(value(input))}; it is "
                             f"({'N, T' if self.batch_first else 'T, N'}, {self.input_size}) with at least one time")
        times, n = x.shape[:2]
        alive = None if lengths is None else self._alive(lengths, times, n)
        if alive is not None and not alive.all():
            x = where(alive, x, 0.0)                    # what stands behind the end is not read, NaN neither
        starts = self._starts(hx, n, single, x.dtype if x.dtype.kind == "f" else np.dtype(float))
        finals: list[State] = []
        for layer in range(self.num_layers):
            sides = []
            for reverse, suffix in enumerate(self._suffixes(layer)):
                state = tuple([start[len(finals)] for start in starts])
                outputs, final = self._direction(x, state, suffix, bool(reverse), alive)
                sides.append(stack(outputs))
                finals.append(final)
            x = concatenate(sides, 2) if len(sides) > 1 else sides[0]
            if self.dropout and layer < self.num_layers - 1:
                x = dropout(x, self.dropout, self.training)
        last = [stack(states) for states in zip(*finals)]
        if single:
            x, last = squeeze(x, 1), [squeeze(z, 1) for z in last]
        elif self.batch_first:
            x = swapaxes(x, 0, 1)
        return x, last[0] if self.states == 1 else tuple(last)

    def _alive(self, lengths: TensorLike | Sequence[int], times: int, n: int) -> Array:
        held = value(lengths)
        if held.shape != (n,) or held.dtype.kind not in "iu" or n and not (0 <= held.min() and held.max() <= times):
            raise ShapeError(f"{type(self).__name__}: lengths {describe(held)} {held.tolist()}; {n} integers from 0 to {times} "
                             "are needed")
        return (np.arange(times)[:, None] < held)[..., None]

    def extra_repr(self) -> str:
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0}
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *[
            f"{key}={getattr(self, key)}" for key, default in defaults.items() if getattr(self, key) != default]])


class RNN(_Recurrent):
    """h' = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh), or relu of it, at each time. Source: Elman (1990).

    num_layers     how many such networks, each on the outputs of the one before
    dropout        of the outputs of all layers but the last, in training
    bidirectional  whether each layer goes in both directions; the outputs are side by side

    Parameters of layer k: weight_ih_lk (hidden_size, width of its input), weight_hh_lk, bias_ih_lk, bias_hh_lk; `_reverse`
    those of the other direction. Called as output, h = rnn(input, h0, lengths=); see the file's header for the lengths.

    >>> output, h = tg.nn.RNN(3, 5)(np.ones((7, 2, 3), "f4"))
    >>> output.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype)
        self.nonlinearity = self.step = _of(nonlinearity, "RNN")


class GRU(_Recurrent):
    """Gated recurrent units: h' = (1 - z) n + z h, with the reset r and the update z, at each time.

        r, z = sigmoid(W x + b + U h + c),  n = tanh(W x + b + r (U h + c))

    with the rows of weight_ih = W, bias_ih = b, weight_hh = U, bias_hh = c for r, z and n. Options and shapes are those of RNN.
    Source: Cho et al. (2014), in PyTorch's form.

    >>> output, h = tg.nn.GRU(3, 5, batch_first=True, bidirectional=True)(np.ones((2, 7, 3), "f4"), lengths=[7, 4])
    >>> output.shape, h.shape, bool((output[1, 4:] == 0).all())
    ((2, 7, 10), (2, 2, 5), True)
    """

    gates, step = 3, "gru"

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
                 dropout: float = 0.0, bidirectional: bool = False, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype)


class LSTM(_Recurrent):
    """Long short-term memory: c' = f c + i g, h' = o tanh(c'), at each time.

        i, f, o = sigmoid(W x + b + U h + c0),  g = tanh(W x + b + U h + c0)

    with the rows of weight_ih = W, bias_ih = b, weight_hh = U, bias_hh = c0 for i, f, g and o. Options and shapes are those of
    RNN; called as output, (h, c) = lstm(input, (h0, c0), lengths=).

    proj_size   of an h that is weight_hr times o tanh(c'); 0 for none

    Source: Hochreiter and Schmidhuber (1997), with the forget gates of Gers, Schmidhuber and Cummins (2000).

    >>> output, (h, c) = tg.nn.LSTM(3, 5, num_layers=2)(np.ones((7, 2, 3), "f4"))
    >>> output.shape, h.shape, c.shape
    ((7, 2, 5), (2, 2, 5), (2, 2, 5))
    """

    gates, states, step = 4, 2, "lstm"

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
                 dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, proj_size)


class _Cell(Module):
    """One step: weight_ih, weight_hh, bias_ih, bias_hh."""

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    step: str

    def __init__(self, input_size: int, hidden_size: int, bias: bool, dtype: DTypeLike) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows, b = self.gates * hidden_size, (self.gates * hidden_size,) if bias else None
        drawn(self, {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size), "bias_ih": b, "bias_hh": b},
              hidden_size, dtype)

    def forward(self, input: TensorLike, hx: Any = None) -> Any:
        x, name = as_tensor(input), type(self).__name__
        wanted = (*x.shape[:-1], self.hidden_size)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(f"{name}: input {describe(x)}; it is (N, {self.input_size}) or ({self.input_size},)")
        if hx is None:
            hx = (np.zeros(wanted, x.dtype if x.dtype.kind == "f" else float),) * self.states
        elif self.states == 1:
            hx = (hx,)
        state = tuple([as_tensor(part) for part in hx])
        if [part.shape for part in state] != [wanted] * self.states:
            raise ShapeError(f"{name}: state {', '.join(map(describe, state))} for an input {describe(x)}; the shape is "
                             f"{wanted}")
        W_ih, W_hh, b_ih, b_hh = [vars(self)[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        new = _STEPS[self.step](linear(x, W_ih, b_ih), state, transpose(W_hh), b_hh)
        return new[0] if self.states == 1 else new

    def extra_repr(self) -> str:
        more = ", nonlinearity='relu'" if self.step == "relu" else ""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False") + more


class RNNCell(_Cell):
    """One step of an RNN: (N, input_size) and h (N, hidden_size) give the next h.

    >>> tg.nn.RNNCell(3, 5)(np.ones((2, 3), "f4")).shape
    (2, 5)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)
        self.nonlinearity = self.step = _of(nonlinearity, "RNNCell")


class GRUCell(_Cell):
    """One step of a GRU: (N, input_size) and h (N, hidden_size) give the next h.

    >>> tg.nn.GRUCell(3, 5)(np.ones((2, 3), "f4")).shape
    (2, 5)
    """

    gates, step = 3, "gru"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)


class LSTMCell(_Cell):
    """One step of an LSTM: (N, input_size) and (h, c), (N, hidden_size) each, give the next (h, c).

    >>> h, c = tg.nn.LSTMCell(3, 5)(np.ones((2, 3), "f4"))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    gates, states, step = 4, 2, "lstm"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)
