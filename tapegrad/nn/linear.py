"""Products with weights, rows of a table, and what only changes the shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapegrad.functions.arguments import as_tensor, single_axis
from tapegrad.functions.layers import embedding, linear
from tapegrad.functions.shaping import reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.init import normal_
from tapegrad.nn.module import Module, Parameter, drawn
from tapegrad.typing import DTypeLike, TensorLike


class Linear(Module):
    """x weight^T + bias: (..., in_features) -> (..., out_features); see tg.linear.

    weight   (out_features, in_features), uniform on (-a, a) with a = 1 / sqrt(in_features) at first; bias (out_features,), too

    >>> tg.nn.Linear(3, 2)(np.ones((4, 3), "f4")).shape
    (4, 2)
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        shapes = {"weight": (out_features, in_features), "bias": (out_features,) if bias else None}
        drawn(self, shapes, in_features, dtype)

    def forward(self, input: TensorLike) -> Tensor:
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """The rows weight[input]: (...) integers -> (..., embedding_dim); see tg.embedding.

    weight        (num_embeddings, embedding_dim), normal at first
    padding_idx   a row that is 0 at first, and that has no gradient

    >>> tg.nn.Embedding(10, 3)([[1, 2], [4, 5]]).shape
    (2, 2, 3)
    """

    weight: Tensor

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *,
                 dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise IndexError(f"Embedding: padding_idx={padding_idx} for {num_embeddings} rows")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = normal_(Parameter(np.empty((num_embeddings, embedding_dim), dtype)))
        if padding_idx is not None:
            self.weight.data[padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings: TensorLike, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """One whose weight is a copy of a matrix, without a gradient where `freeze`."""
        weight = Parameter(embeddings)
        rows, width = weight.shape
        made = cls(rows, width, padding_idx, dtype=weight.dtype)
        made.weight = weight
        weight.requires_grad = not freeze
        return made

    def forward(self, input: TensorLike) -> Tensor:
        return embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Identity(Module):
    """Its input, whatever it is made with.

    >>> tg.nn.Identity()(3.0)
    3.0
    """

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Flatten(Module):
    """The axes from start_dim to end_dim as one.

    >>> tg.nn.Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: TensorLike) -> Tensor:
        x = as_tensor(input)
        first, last = single_axis("Flatten", x, self.start_dim), single_axis("Flatten", x, self.end_dim)
        if first > last:
            raise ValueError(f"Flatten: start_dim={self.start_dim} is behind end_dim={self.end_dim} of {x.ndim} axes")
        return reshape(x, (*x.shape[:first], math.prod(x.shape[first:last + 1]), *x.shape[last + 1:]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis in place of several, whose lengths are `unflattened_size`; one of them may be -1.

    >>> tg.nn.Unflatten(1, (3, 4))(np.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: TensorLike) -> Tensor:
        x = as_tensor(input)
        axis = single_axis("Unflatten", x, self.dim)
        return reshape(x, (*x.shape[:axis], *self.unflattened_size, *x.shape[axis + 1:]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
