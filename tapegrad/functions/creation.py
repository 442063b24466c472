"""Tensors made from numbers, which may be tensors themselves, under NumPy's names."""

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.functions.arguments import value
from tapegrad.functions.elementwise import add, astype, log10, multiply, power, sign, subtract
from tapegrad.functions.joining import stack
from tapegrad.functions.shaping import broadcast_to, moveaxis
from tapegrad.functions.tensor import Tensor
from tapegrad.tree import leaves


def _maker(name):
    """NumPy's function of that name, whose result is a tensor, with PyTorch's `requires_grad`."""
    make = getattr(np, name)

    def made(*arguments, requires_grad=False, **options):
        return Tensor(make(*arguments, **options), requires_grad=requires_grad)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"np.{name}, as a tensor; with requires_grad=True a leaf that backward() gives a gradient."
    return made


arange, empty, eye, identity, ones, tri, zeros = map(
    _maker, ("arange", "empty", "eye", "identity", "ones", "tri", "zeros"))


def array(data, dtype=None):
    """A tensor of nested lists whose elements may be tensors, which are stacked. Derivative: to each element, its d."""
    z = _stacked(data)
    return z if dtype is None else astype(z, dtype)


def _stacked(data):
    if isinstance(data, (list, tuple)) and any(isinstance(leaf, Tensor) for leaf in leaves(data)):
        return stack([_stacked(part) for part in data])
    return data if isinstance(data, Tensor) else Tensor(data)


def full(shape, fill_value, dtype=None):
    """`fill_value` (a number, or what broadcasts to the shape) everywhere. Derivative: the sum of d."""
    z = broadcast_to(fill_value if isinstance(fill_value, Tensor) else np.asarray(fill_value, dtype), shape)
    return z if dtype is None else astype(z, dtype)


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """`num` numbers at equal distances from start to stop, which is left out with endpoint=False; of tensors, along a new
    axis at `axis`. With retstep, their distance too. Derivative: to each end, the sum of d times the nearness to it.
    """
    if num < 0:
        raise ShapeError(f"linspace: num={num}; it is at least 0")
    ndim = np.broadcast(value(start), value(stop)).ndim
    kind = np.result_type(1.0, *[value(end).dtype for end in (start, stop) if type(end) not in (int, float)])
    nearness = np.linspace(0, 1, num, endpoint).astype(kind).reshape(-1, *[1] * ndim)
    z = moveaxis(add(multiply(start, 1 - nearness), multiply(stop, nearness)), 0, axis)
    z = z if dtype is None else astype(z, dtype)
    if not retstep:
        return z
    segments = num - 1 if endpoint else num
    return z, multiply(subtract(stop, start), 1 / segments if segments > 0 else np.nan)


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """The powers of `base` with exponents at equal distances from start to stop. See linspace."""
    z = power(base, linspace(start, stop, num, endpoint, axis=axis))
    return z if dtype is None else astype(z, dtype)


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from start to stop, each the same multiple of the one before. See linspace."""
    if np.any(value(start) == 0) or np.any(value(sign(start)) != value(sign(stop))):
        raise ValueError("geomspace: start and stop are not 0, and of one sign")
    exponents = linspace(log10(multiply(start, sign(start))), log10(multiply(stop, sign(stop))), num, endpoint, axis=0)
    z = moveaxis(multiply(power(10.0, exponents), sign(start)), 0, axis)
    return z if dtype is None else astype(z, dtype)
