"""Vector spaces: what a value and its derivatives are elements of, with autograd's operations on them.

The operations are written with functions of arrays and tensors, so that they can be differentiated themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from tapegrad import numpy as anp
from tapegrad.core.tensor import TensorBase
from tapegrad.tree import leaves, rebuild

__all__ = ["ArrayVSpace", "ComplexArrayVSpace", "ContainerVSpace", "SparseObject", "VSpace", "vspace"]


class VSpace:
    """The vector space of a value. Subclasses say what is in it, and `register` the types of values that belong to it.

    >>> space = vspace(np.zeros((2, 3)))
    >>> isinstance(space, VSpace), space.size, space.shape
    (True, 6, (2, 3))
    >>> space.inner_prod(space.ones(), 2 * space.ones())
    np.float64(12.0)
    """

    mappings: ClassVar[dict[type, Callable[[Any], VSpace]]] = {}
    iscomplex = False
    size: int

    def __init__(self, value: Any) -> None:
        pass

    def zeros(self) -> Any:
        """The vector 0."""
        raise NotImplementedError(f"{type(self).__name__}.zeros")

    def ones(self) -> Any:
        """The vector of ones."""
        raise NotImplementedError(f"{type(self).__name__}.ones")

    def standard_basis(self) -> Iterator[Any]:
        """The vectors of the basis, one after the other."""
        raise NotImplementedError(f"{type(self).__name__}.standard_basis")

    def randn(self) -> Any:
        """A vector of normal numbers, from NumPy's generator."""
        raise NotImplementedError(f"{type(self).__name__}.randn")

    def add(self, x_prev: Any, x_new: Any) -> Any:
        """The sum of two vectors."""
        return self._add(x_prev, x_new)

    def mut_add(self, x_prev: Any, x_new: Any) -> Any:
        """The sum of two vectors, in the place of the first; None is 0."""
        return self._mut_add(self.zeros() if x_prev is None else x_prev, x_new)

    def scalar_mul(self, x: Any, a: Any) -> Any:
        """A vector times a number."""
        return self._scalar_mul(x, a)

    def inner_prod(self, x: Any, y: Any) -> Any:
        """The inner product of two vectors."""
        return self._inner_prod(x, y)

    def covector(self, x: Any) -> Any:
        """The vector whose inner product with another is the pairing with x: its complex conjugate."""
        return self._covector(x)

    def _add(self, x: Any, y: Any) -> Any:
        return x + y

    def _mut_add(self, x: Any, y: Any) -> Any:
        x += y
        return x

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return x * a

    def _inner_prod(self, x: Any, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}._inner_prod")

    def _covector(self, x: Any) -> Any:
        return x

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}_{vars(self)}"

    @classmethod
    def register(cls, value_type: type, vspace_maker: Callable[[Any], VSpace] | None = None) -> None:
        """Values of a type belong to this class, or to what vspace_maker(value) makes."""
        VSpace.mappings[value_type] = vspace_maker or cls


class ArrayVSpace(VSpace):
    """Arrays of a shape and a dtype; the inner product is the sum of x y."""

    def __init__(self, value: Any) -> None:
        if not isinstance(value, TensorBase):
            value = np.asarray(value)
        self.shape, self.dtype = value.shape, value.dtype

    @property
    def size(self) -> int:                              # type: ignore[override]
        return int(np.prod(self.shape))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def zeros(self) -> Any:
        return np.zeros(self.shape, self.dtype)

    def ones(self) -> Any:
        return np.ones(self.shape, self.dtype)

    def standard_basis(self) -> Iterator[Any]:
        for unit in (1, 1j) if self.iscomplex else (1,):
            for place in np.ndindex(*self.shape):
                x = self.zeros()
                x[place] = unit
                yield x

    def randn(self) -> Any:
        return np.array(np.random.randn(*self.shape)).astype(self.dtype)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return anp.dot(anp.ravel(x), anp.ravel(y))


class ComplexArrayVSpace(ArrayVSpace):
    """Arrays of complex numbers, as a real space; the inner product is the sum of Re conj(x) y."""

    iscomplex = True

    @property
    def size(self) -> int:                              # type: ignore[override]
        return 2 * int(np.prod(self.shape))

    def ones(self) -> Any:
        return np.full(self.shape, 1 + 1j, self.dtype)

    def randn(self) -> Any:
        return super().randn() + np.asarray(1j * super().randn(), self.dtype)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return anp.real(anp.dot(anp.conj(anp.ravel(x)), anp.ravel(y)))

    def _covector(self, x: Any) -> Any:
        return anp.conj(x)


class ContainerVSpace(VSpace):
    """Dicts, lists and tuples: `shape` is the structure of the spaces of what they hold."""

    def __init__(self, value: Any) -> None:
        self.shape = rebuild(value, iter([vspace(leaf) for leaf in leaves(value)]))

    @property
    def size(self) -> int:                              # type: ignore[override]
        return sum(space.size for space in leaves(self.shape))

    def _map(self, method: str, *trees: Any) -> Any:
        """The structure of what a method of each space gives of what the trees hold there."""
        spaces = leaves(self.shape)
        columns = [self._in_order(tree) for tree in trees]
        return rebuild(self.shape, iter([getattr(space, method)(*xs) for space, *xs in zip(spaces, *columns)]))

    def _in_order(self, tree: Any) -> list[Any]:
        """The leaves of a structure in the order of the space, whatever the order of its dicts' keys."""
        return _leaves_by(self.shape, tree)

    def zeros(self) -> Any:
        return self._map("zeros")

    def ones(self) -> Any:
        return self._map("ones")

    def randn(self) -> Any:
        return self._map("randn")

    def standard_basis(self) -> Iterator[Any]:
        for i, space in enumerate(leaves(self.shape)):
            for x in space.standard_basis():
                held = leaves(self.zeros())
                yield rebuild(self.shape, iter([*held[:i], x, *held[i + 1:]]))

    def _add(self, x: Any, y: Any) -> Any:
        return self._map("_add", x, y)

    def _mut_add(self, x: Any, y: Any) -> Any:
        return self._map("_mut_add", x, y)

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return rebuild(self.shape, iter([space._scalar_mul(part, a)
                                         for space, part in zip(leaves(self.shape), self._in_order(x))]))

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return sum(leaves(self._map("_inner_prod", x, y)))

    def _covector(self, x: Any) -> Any:
        return self._map("_covector", x)


def _leaves_by(shape: Any, tree: Any) -> list[Any]:
    if isinstance(shape, dict):
        return [leaf for key, part in shape.items() for leaf in _leaves_by(part, tree[key])]
    if isinstance(shape, (list, tuple)):
        return [leaf for part, held in zip(shape, tree) for leaf in _leaves_by(part, held)]
    return [tree]


class SparseObject:
    """What a vjp may give instead of a vector of mostly zeros: mut_add(x) adds it to the vector x of the space vs.

    >>> from tapegrad.compat.autograd.extend import defvjp, primitive
    >>> def of_first(g):
    ...     def add(x):
    ...         x[0] += g
    ...         return x
    ...     return SparseObject(vspace(np.zeros(3)), add)
    >>> first = primitive(lambda x: x[0])
    >>> defvjp(first, lambda ans, x: of_first)
    >>> tg.compat.autograd.grad(first)(np.ones(3))
    array([1., 0., 0.])
    """

    __slots__ = ("vs", "mut_add")

    def __init__(self, vs: VSpace, mut_add: Callable[[Any], Any]) -> None:
        self.vs, self.mut_add = vs, mut_add

    def dense(self) -> Any:
        """The vector itself."""
        return self.mut_add(self.vs.zeros())


def _array_space(value: Any) -> VSpace:
    return (ComplexArrayVSpace if value.dtype.kind == "c" else ArrayVSpace)(value)


for _real in (float, np.float16, np.float32, np.float64, np.longdouble):
    ArrayVSpace.register(_real)
for _complex in (complex, np.complex64, np.complex128, np.clongdouble):
    ComplexArrayVSpace.register(_complex)
VSpace.register(np.ndarray, _array_space)
VSpace.register(SparseObject, lambda x: x.vs)


def vspace(value: Any) -> VSpace:
    """The vector space of a value; TypeError where its type has none.

    >>> vspace(np.zeros((2, 3))).size
    6
    """
    maker = VSpace.mappings.get(type(value))
    if maker is not None:
        return maker(value)
    if isinstance(value, TensorBase):
        return _array_space(value)
    if isinstance(value, (dict, list, tuple)):
        return ContainerVSpace(value)
    raise TypeError(f"there is no vector space of {value!r}, which is a {type(value).__name__}; it takes floats and complex "
                    "numbers, arrays, and dicts, lists and tuples of them")
