"""Attention of several heads, and the encoder of a transformer."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.core.tape import tracer
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.activations import gelu, relu, softmax
from tapegrad.functions.arguments import as_tensor, derived, like, value
from tapegrad.functions.elementwise import matmul
from tapegrad.functions.joining import concatenate
from tapegrad.functions.layers import dropout as dropped
from tapegrad.functions.layers import linear, masked_softmax
from tapegrad.functions.reductions import mean
from tapegrad.functions.shaping import broadcast_to, expand_dims, matrix_transpose, reshape, squeeze, swapaxes
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.containers import ModuleList
from tapegrad.nn.init import xavier_normal_, xavier_uniform_, zeros_
from tapegrad.nn.linear import Linear
from tapegrad.nn.module import Module, Parameter
from tapegrad.nn.normalisation import Dropout, LayerNorm
from tapegrad.typing import DTypeLike, TensorLike


def _added(name: str, mask: TensorLike | None) -> Any:
    """What is added to the scores: a mask of numbers, or -inf where one of booleans, PyTorch's, is True."""
    if mask is None:
        return None
    if like(mask).dtype.kind == "b":
        return derived("added", lambda hidden: np.where(hidden, -np.inf, 0.0), mask)
    if like(mask).dtype.kind != "f":
        raise DtypeError(f"{name}: a mask {describe(like(mask))}; it is booleans, True where a key does not "
                         "count, or floats to be added")
    return mask


def _shows_some(mask: Tensor | None) -> bool:
    """Whether it is known that each query may look at some key."""
    return mask is None or type(mask) is Tensor and tracer() is None and bool((value(mask) > -np.inf).any(-1).all())


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(E / heads)) v in each of num_heads parts of the E = embed_dim features, which are projected first.

    Parameters: in_proj_weight (3 E, E) and in_proj_bias (3 E,), those of query, key and value one below the other, or
    q_proj_weight (E, E), k_proj_weight (E, kdim) and v_proj_weight (E, vdim) where kdim or vdim is not E; out_proj, a Linear;
    bias_k and bias_v (1, 1, E), with add_bias_kv.

    dropout        of the weights of attention, in training
    add_bias_kv    whether a key and a value that are parameters are put behind the others
    add_zero_attn  whether a key and a value of 0 are
    batch_first    whether sequences are (N, length, E); otherwise they are (length, N, E)

    Source: Vaswani et al., Attention is all you need (2017), in PyTorch's form.

    >>> attention = tg.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = np.ones((3, 5, 8), "f4")
    >>> output, weights = attention(x, x, x)
    >>> output.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    q_proj_weight: Tensor
    k_proj_weight: Tensor
    v_proj_weight: Tensor
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
                 add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False, *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: embed_dim={embed_dim} in num_heads={num_heads} parts; it must be a multiple")
        if not 0 <= dropout <= 1:
            raise ValueError(f"MultiheadAttention: dropout={dropout}; a probability is from 0 to 1")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self.add_zero_attn = add_zero_attn

        def weight(*shape: int) -> Tensor:
            return xavier_uniform_(Parameter(np.empty(shape, dtype)))

        one = self.kdim == self.vdim == embed_dim
        if not one:
            self.q_proj_weight, self.k_proj_weight = weight(embed_dim, embed_dim), weight(embed_dim, self.kdim)
            self.v_proj_weight = weight(embed_dim, self.vdim)
        self.register_parameter("in_proj_weight", weight(3 * embed_dim, embed_dim) if one else None)
        self.register_parameter("in_proj_bias", Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None)
        for name in ("bias_k", "bias_v"):
            more = xavier_normal_(Parameter(np.empty((1, 1, embed_dim), dtype))) if add_bias_kv else None
            self.register_parameter(name, more)
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype)
        if self.out_proj.bias is not None:
            zeros_(self.out_proj.bias)

    def _projected(self, inputs: list[Tensor]) -> list[Tensor]:
        n = self.embed_dim
        if self.in_proj_weight is None:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        elif inputs[0] is inputs[1] is inputs[2]:       # one product instead of three
            z = linear(inputs[0], self.in_proj_weight, self.in_proj_bias)
            return [z[..., i * n:(i + 1) * n] for i in range(3)]
        else:
            weights = [self.in_proj_weight[i * n:(i + 1) * n] for i in range(3)]
        biases = [None if self.in_proj_bias is None else self.in_proj_bias[i * n:(i + 1) * n] for i in range(3)]
        return [linear(x, W, b) for x, W, b in zip(inputs, weights, biases)]

    def _among_places(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the places of one sequence make of each other, and the weights."""
        x = linear(x, self.in_proj_weight, self.in_proj_bias)       # type: ignore[arg-type]
        added = 0.0 if mask is None else mask.astype(x.dtype)
        weights = self._dropped(recorded.attention_weights(x, added, self.num_heads, self._scale))
        return recorded.attention_output(weights, x, self.num_heads), weights

    def _looked_up(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """What queries find, and the weights."""
        n, queries = q.shape[:2]
        if self.bias_k is not None and self.bias_v is not None:
            k, v = (concatenate([x, broadcast_to(b, (n, 1, self.embed_dim))], 1)
                    for x, b in ((k, self.bias_k), (v, self.bias_v)))
        if self.add_zero_attn:
            k, v = (concatenate([x, np.zeros((n, 1, self.embed_dim), x.dtype)], 1) for x in (k, v))
        q, k, v = self._heads(q * self._scale), self._heads(k), self._heads(v)
        scores = matmul(q, matrix_transpose(k))
        weights = self._dropped(softmax(scores) if mask is None else masked_softmax(scores, mask.astype(scores.dtype)))
        return reshape(swapaxes(matmul(weights, v), 1, 2), (n, queries, self.embed_dim)), weights

    def _dropped(self, weights: Tensor) -> Tensor:
        return dropped(weights, self.dropout, self.training) if self.dropout else weights

    @property
    def _scale(self) -> float:
        return 1 / math.sqrt(self.embed_dim // self.num_heads)

    def _heads(self, x: Tensor) -> Tensor:
        """(N, length, E) as (N, heads, length, E / heads)."""
        return swapaxes(reshape(x, (*x.shape[:2], self.num_heads, self.embed_dim // self.num_heads)), 1, 2)

    def _mask(self, shape: tuple[int, ...], more: int, attn_mask: TensorLike | None, key_padding_mask: TensorLike | None,
              is_causal: bool) -> Any:
        """What is added to the scores (N, heads, L, S), or None; `more` keys at the end always count."""
        n, heads, queries, keys = shape
        given, padding = (_added("MultiheadAttention", mask) for mask in (attn_mask, key_padding_mask))
        if is_causal and given is None:
            given = np.where(np.tri(queries, keys, dtype=bool), 0.0, -np.inf)
        if given is not None:
            if like(given).shape not in ((queries, keys), (n * heads, queries, keys)):
                raise ShapeError(f"MultiheadAttention: attn_mask {describe(like(given))}; it is ({queries}, {keys}) or "
                                 f"({n * heads}, {queries}, {keys})")
            given = reshape(given, (1, queries, keys) if like(given).ndim == 2 else (n, heads, queries, keys))
        if padding is not None:
            if like(padding).shape != (n, keys):
                raise ShapeError(f"MultiheadAttention: key_padding_mask {describe(like(padding))}; it is ({n}, {keys})")
            padding = reshape(padding, (n, 1, 1, keys))
            given = padding if given is None else given + padding
        if given is not None and more:
            given = concatenate([given, np.zeros((*like(given).shape[:-1], more))], -1)
        return given

    def forward(self, query: TensorLike, key: TensorLike, value: TensorLike, key_padding_mask: TensorLike | None = None,
                need_weights: bool = True, attn_mask: TensorLike | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
        """(L, N, E) and the weights of attention (N, L, S), for queries (L, N, E), keys (S, N, kdim), values (S, N, vdim).

        key_padding_mask       (N, S): True where a key does not count; or numbers that are added to the scores
        attn_mask              (L, S) or (N heads, L, S): True where a query does not look at a key; or numbers
        need_weights           whether the weights are returned, or None in their place
        average_attn_weights   whether these are the means over the heads, or (N, heads, L, S)
        is_causal              let each query look at the keys up to its own place, unless attn_mask is given

        A query that may look at nothing gets the bias of out_proj alone. One example comes without the axis of N.
        """
        name = "MultiheadAttention"
        q = as_tensor(query)
        inputs = [q, *[q if x is query else as_tensor(x) for x in (key, value)]]
        single = q.ndim == 2
        wanted = (self.embed_dim, self.kdim, self.vdim)
        if any(x.ndim != (2 if single else 3) or x.shape[-1] != n for x, n in zip(inputs, wanted)) or \
                inputs[1].shape[:-1] != inputs[2].shape[:-1]:
            raise ShapeError(f"{name}: query {describe(inputs[0])}, key {describe(inputs[1])}, value {describe(inputs[2])}; "
                             f"they are {'(N, L, ' if self.batch_first else '(L, N, '}features), with {wanted} features")
        if single or not self.batch_first:
            put: Callable[[Tensor], Tensor] = (lambda x: expand_dims(x, 0)) if single else (lambda x: swapaxes(x, 0, 1))
            moved = {id(x): put(x) for x in inputs}
            inputs = [moved[id(x)] for x in inputs]
        if inputs[0].shape[0] != inputs[1].shape[0]:
            raise ShapeError(f"{name}: {inputs[0].shape[0]} queries' examples and {inputs[1].shape[0]} keys'")
        n, queries, keys = *inputs[0].shape[:2], inputs[1].shape[1]
        if single and key_padding_mask is not None:
            key_padding_mask = expand_dims(key_padding_mask, 0)
        more = (self.bias_k is not None) + self.add_zero_attn
        mask = self._mask((n, self.num_heads, queries, keys), more, attn_mask, key_padding_mask, is_causal)
        if self.in_proj_weight is not None and inputs[0] is inputs[1] is inputs[2] and not more and _shows_some(mask):
            z, weights = self._among_places(inputs[0], mask)
        else:
            q, k, v = self._projected(inputs)
            z, weights = self._looked_up(q, k, v, mask)
        z = self.out_proj(z)
        shown = None if not need_weights else mean(weights, 1) if average_attn_weights else weights
        if single:
            return squeeze(z, 0), None if shown is None else squeeze(shown, 0)
        return z if self.batch_first else swapaxes(z, 0, 1), shown

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"


_ACTIVATIONS: dict[str, Callable[[Any], Tensor]] = {"relu": relu, "gelu": gelu}


class TransformerEncoderLayer(Module):
    """x = norm1(x + attention(x)), then norm2(x + linear2(activation(linear1(x)))); with norm_first, both norms before.

    activation    "relu", "gelu", or a function
    dropout       of the weights of attention, and of what is added to x, and before linear2, in training
    norm_first    x + attention(norm1(x)), then x + linear2(activation(linear1(norm2(x))))

    Parameters: those of self_attn, linear1 (dim_feedforward, d_model), linear2, norm1, norm2. Called with the source
    (length, N, d_model), or (N, length, d_model) with batch_first, and masks as MultiheadAttention has them.

    >>> layer = tg.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(np.ones((3, 5, 8), "f4"), is_causal=True).shape
    (3, 5, 8)
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
                 activation: str | Callable[[Tensor], Tensor] = relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
                 norm_first: bool = False, bias: bool = True, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        if activation not in _ACTIVATIONS if isinstance(activation, str) else not callable(activation):
            raise ValueError(f"TransformerEncoderLayer: activation={activation!r}; it is 'relu', 'gelu', or a function")
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype) for _ in range(2))
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = _ACTIVATIONS[activation] if isinstance(activation, str) else activation

    def _attended(self, x: Tensor, mask: TensorLike | None, padding: TensorLike | None, is_causal: bool) -> Tensor:
        z, _ = self.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)
        return self.dropout1(z)                         # type: ignore[no-any-return]

    def _fed(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))     # type: ignore[no-any-return]

    def forward(self, src: TensorLike, src_mask: TensorLike | None = None, src_key_padding_mask: TensorLike | None = None,
                is_causal: bool = False) -> Tensor:
        x = as_tensor(src)
        masks = src_mask, src_key_padding_mask, is_causal
        if self.norm_first:
            x = x + self._attended(self.norm1(x), *masks)
            return x + self._fed(self.norm2(x))
        x = self.norm1(x + self._attended(x, *masks))
        return self.norm2(x + self._fed(x))             # type: ignore[no-any-return]


class TransformerEncoder(Module):
    """num_layers copies of a layer, one after the other, and a norm at the end where one is given.

    The copies begin with the same parameters, as PyTorch's do.

    >>> layer = tg.nn.TransformerEncoderLayer(8, 2, 16)
    >>> tg.nn.TransformerEncoder(layer, 2)(np.ones((5, 3, 8), "f4")).shape
    (5, 3, 8)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(self, src: TensorLike, mask: TensorLike | None = None, src_key_padding_mask: TensorLike | None = None,
                is_causal: bool = False) -> Tensor:
        x = as_tensor(src)
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask, is_causal)
        return x if self.norm is None else self.norm(x)
