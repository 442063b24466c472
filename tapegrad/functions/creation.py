"""Tensors made from numbers, which may be tensors themselves, under NumPy's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.core.record import holds_tensors
from tapegrad.errors import ShapeError, refuse_masked
from tapegrad.functions.arguments import as_tensor, like, value
from tapegrad.functions.elementwise import add, astype, floor, log10, multiply, positive, power, sign, subtract
from tapegrad.functions.joining import stack
from tapegrad.functions.shaping import broadcast_to, moveaxis, reshape
from tapegrad.functions.tensor import Tensor
from tapegrad.tree import leaves
from tapegrad.typing import DTypeLike, Shape, TensorLike


def _maker(name: str, text: str, example: str, shown: str) -> Callable[..., Tensor]:
    """NumPy's function of that name, whose result is a tensor, with PyTorch's `requires_grad`."""
    make: Callable[..., Any] = getattr(np, name)

    def made(*arguments: Any, requires_grad: bool = False, **options: Any) -> Tensor:
        return Tensor(make(*arguments, **options), requires_grad=requires_grad)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = (f"{text}\n\nnp.{name}, with its arguments, as a tensor; with requires_grad=True a leaf that has a gradient."
                    f"\n\n>>> {example}\n{shown}\n")
    return made


arange = _maker("arange", "The numbers start, start + step, .. below stop.", "tg.arange(0.0, 6.0, 2.0)", "tensor([0., 2., 4.])")
empty = _maker("empty", "A tensor of a shape whose elements are not set.", "tg.empty((2, 3)).shape", "(2, 3)")
eye = _maker("eye", "1 on the k-th diagonal of an (N, M) matrix and 0 elsewhere.", "tg.eye(2, 3, k=1)",
             "tensor([[0., 1., 0.],\n        [0., 0., 1.]])")
identity = _maker("identity", "The identity matrix of n rows.", "tg.identity(2)", "tensor([[1., 0.],\n        [0., 1.]])")
ones = _maker("ones", "1 everywhere.", "tg.ones(2, requires_grad=True)", "tensor([1., 1.], requires_grad=True)")
tri = _maker("tri", "1 on and below the k-th diagonal of an (N, M) matrix and 0 above it.", "tg.tri(2, 3)",
             "tensor([[1., 0., 0.],\n        [1., 1., 0.]])")
zeros = _maker("zeros", "0 everywhere.", 'tg.zeros(2, dtype="f4")', "tensor([0., 0.], dtype=float32)")


def array(object: Any, dtype: DTypeLike | None = None, *, copy: bool = True, order: str = "K", subok: bool = False,
          ndmin: int = 0) -> Tensor:
    """A tensor of nested lists whose elements may be tensors, which are stacked. Derivative: to each element, its d.

    ndmin   the least number of axes; those that are missing come first, with length 1
    copy, order and subok make no difference here

    >>> tg.array([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    >>> tg.grad(lambda x: (tg.array([x, 2 * x]) * [1.0, 10.0]).sum())(3.0)
    array(21.)
    """
    z = _stacked(object)
    z = z if dtype is None else astype(z, dtype)
    return reshape(z, (1,) * (ndmin - z.ndim) + z.shape) if z.ndim < ndmin else z


def _stacked(data: Any) -> Tensor:
    if isinstance(data, (list, tuple)) and any(isinstance(leaf, Tensor) for leaf in leaves(data)):
        return stack([part if isinstance(part, Tensor) else _stacked(part) for part in data])
    return positive(data) if isinstance(data, Tensor) else Tensor(data)


def full(shape: Shape, fill_value: TensorLike, dtype: DTypeLike | None = None, order: str = "C") -> Tensor:
    """`fill_value` (a number, or what broadcasts to the shape) everywhere. Derivative: the sum of d.

    `order` makes no difference.

    >>> tg.full((2, 2), 7.0)
    tensor([[7., 7.],
            [7., 7.]])
    >>> tg.grad(lambda x: tg.full((2, 2), x).sum())(7.0)
    array(4.)
    """
    refuse_masked(fill_value)
    given = as_tensor(fill_value) if holds_tensors(fill_value) else fill_value
    z = broadcast_to(given if isinstance(given, Tensor) else np.asarray(given, dtype), shape)
    return z if dtype is None else astype(z, dtype)


def linspace(start: TensorLike, stop: TensorLike, num: int = 50, endpoint: bool = True, retstep: bool = False,
             dtype: DTypeLike | None = None, axis: int = 0) -> Any:
    """`num` numbers at equal distances from start to stop, which is left out with endpoint=False; of tensors, along a new
    axis at `axis`. With retstep, (the numbers, their distance). ShapeError for num < 0.

    Derivative: to each end, the sum of d times the nearness to it.

    >>> tg.linspace(0.0, tg.tensor(1.0), 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> tg.grad(lambda stop: tg.linspace(0.0, stop, 5).sum())(1.0)
    array(2.5)
    """
    if num < 0:
        raise ShapeError(f"linspace: num={num}; it is at least 0")
    ndim = np.broadcast(value(start), value(stop)).ndim
    kind = np.result_type(1.0, *[like(end).dtype for end in (start, stop) if type(end) not in (int, float)])
    nearness = np.linspace(0, 1, num, endpoint).astype(kind).reshape(-1, *[1] * ndim)
    z = moveaxis(add(multiply(start, 1 - nearness), multiply(stop, nearness)), 0, axis)
    z = z if dtype is None else astype(floor(z) if np.dtype(dtype).kind in "iu" else z, dtype)
    if not retstep:
        return z
    segments = num - 1 if endpoint else num
    return z, multiply(subtract(stop, start), 1 / segments if segments > 0 else np.nan)


def logspace(start: TensorLike, stop: TensorLike, num: int = 50, endpoint: bool = True, base: TensorLike = 10.0,
             dtype: DTypeLike | None = None, axis: int = 0) -> Tensor:
    """The powers of `base` with exponents at equal distances from start to stop. See linspace. Derivative: to both ends and to
    the base.

    >>> tg.logspace(0.0, tg.tensor(3.0), 4, base=2.0)
    tensor([1., 2., 4., 8.])
    >>> tg.grad(lambda base: tg.logspace(0.0, 3.0, 4, base=base).sum())(2.0)
    array(17.)
    """
    z = power(base, linspace(start, stop, num, endpoint, axis=axis))
    return z if dtype is None else astype(z, dtype)


def geomspace(start: TensorLike, stop: TensorLike, num: int = 50, endpoint: bool = True,
              dtype: DTypeLike | None = None, axis: int = 0) -> Tensor:
    """`num` numbers from start to stop, each the same multiple of the one before. See linspace. ValueError unless both ends are
    of one sign and not 0.

    >>> tg.geomspace(1.0, tg.tensor(8.0), 4).round(6)
    tensor([1., 2., 4., 8.])
    >>> tg.grad(lambda stop: tg.geomspace(1.0, stop, 3).sum())(np.array([4.0])).round(6)
    array([1.25])
    """
    kind = np.result_type(value(start), value(stop))
    kind = kind if kind.kind in "fc" and like(start).dtype.kind in "fc" else np.result_type(kind, np.float64)
    start, stop = astype(start, kind), astype(stop, kind)
    if np.any(value(start) == 0) or np.any(value(sign(start)) != value(sign(stop))):
        raise ValueError("geomspace: start and stop are not 0, and of one sign")
    exponents = linspace(log10(multiply(start, sign(start))), log10(multiply(stop, sign(stop))), num, endpoint, axis=0)
    z = moveaxis(multiply(power(10.0, exponents), sign(start)), 0, axis)
    return z if dtype is None else astype(z, dtype)
