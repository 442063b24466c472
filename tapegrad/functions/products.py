"""Products under NumPy's names: all of them are matmul, or multiply, between the right transposes and reshapes.

Their derivatives are those of matmul and multiply. All raise ShapeError if the shapes do not fit.

einsum contracts two operands at a time. `_steps` works out from the subscripts and shapes alone, once, what is to be done;
`_contract` does it: axes that only one operand has are summed first; axes that both have and nobody needs afterwards are
the inner axis of one matmul, of which axes that both have and somebody needs are the stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, TypeVar

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, normalized_axis, single_axis, value
from tapegrad.functions.complex_parts import conjugated
from tapegrad.functions.elementwise import matmul, multiply
from tapegrad.functions.selecting import diagonal
from tapegrad.functions.shaping import expand_dims, moveaxis, ravel, squeeze
from tapegrad.functions.subscripts import explicit
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike

Operand = TypeVar("Operand", bound=TensorLike)


def dot(x: TensorLike, y: TensorLike) -> Tensor:
    """The product of numbers, vectors and matrices; with more axes, over the last of x and the second to last of y.

    x (n,), y (n,) gives a scalar, (m, n) and (n, k) give (m, k), (.., n) and (.., n, k) give the axes of x but the last,
    then those of y but the second to last. If one of them is a scalar, it is multiply(x, y).

    >>> tg.dot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    >>> tg.grad(lambda x: tg.dot(x, x))(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    if value(x).ndim == 0 or value(y).ndim == 0:
        return multiply(x, y)
    return matmul(x, y) if value(y).ndim <= 2 else tensordot(x, y, ((-1,), (-2,)))


def vdot(x: TensorLike, y: TensorLike) -> Tensor:
    """The sum of conj(x) y over all elements, both flattened: a scalar.

    >>> tg.vdot(np.array([1 + 2j, 3]), np.array([1, 1j]))
    tensor(1.+1.j, dtype=complex128)
    """
    return matmul(conjugated(ravel(x)), ravel(y))


def vecdot(x: TensorLike, y: TensorLike, axis: int = -1) -> Tensor:
    """sum(conj(x) y) over `axis`, which has the same length in both; the other axes are broadcast.

    >>> tg.vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    """
    x = moveaxis(x, single_axis("vecdot", x, axis), -1)
    y = moveaxis(y, single_axis("vecdot", y, axis), -1)
    if value(x).shape[-1] != value(y).shape[-1]:
        raise ShapeError(f"vecdot: {describe(value(x))} and {describe(value(y))}: vectors of different lengths")
    z: Tensor = recorded.sum(multiply(conjugated(x), y), (max(value(x).ndim, value(y).ndim) - 1,), False)
    return z


def matvec(x: TensorLike, y: TensorLike) -> Tensor:
    """Matrices x (.., m, n) times vectors y (.., n): (.., m), the other axes broadcast.

    >>> tg.matvec(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    """
    _at_least("matvec", x, 2)
    _at_least("matvec", y, 1)
    return matmul(x, y) if value(y).ndim == 1 else squeeze(matmul(x, expand_dims(y, -1)), -1)


def vecmat(x: TensorLike, y: TensorLike) -> Tensor:
    """conj(x) y, vectors x (.., m) times matrices y (.., m, n): (.., n), the other axes broadcast.

    >>> tg.vecmat(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    _at_least("vecmat", x, 1)
    _at_least("vecmat", y, 2)
    x = conjugated(x)
    return matmul(x, y) if value(x).ndim == 1 else squeeze(matmul(expand_dims(x, -2), y), -2)


def inner(x: TensorLike, y: TensorLike) -> Tensor:
    """sum_k x[.., k] y[.., k]: the axes of x but the last, then those of y but the last; the product if one is a scalar.

    >>> tg.inner(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    """
    if value(x).ndim == 0 or value(y).ndim == 0:
        return multiply(x, y)
    return tensordot(x, y, ((-1,), (-1,)))


def outer(x: TensorLike, y: TensorLike) -> Tensor:
    """x[i] * y[j], both flattened: a matrix.

    >>> tg.outer(np.array([1.0, 2.0]), np.array([1.0, 10.0, 100.0]))
    tensor([[  1.,  10., 100.],
            [  2.,  20., 200.]])
    """
    return multiply(recorded.reshape(as_tensor(x), (-1, 1)), ravel(y))


def tensordot(x: TensorLike, y: TensorLike, axes: int | Sequence[int | Sequence[int]] = 2) -> Tensor:
    """The sum of products over axes of x and of y; the result has the other axes of x, then those of y.

    axes   an int: so many of the last axes of x and of the first of y; or (axes of x, axes of y), ints or lists

    >>> x = np.arange(6.0).reshape(1, 2, 3)
    >>> tg.tensordot(x, np.ones((2, 3)))
    tensor([15.])
    >>> tg.tensordot(x, np.ones((3, 2)), axes=([1, 2], [1, 0])).shape
    (1,)
    """
    nx, ny = value(x).ndim, value(y).ndim
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(nx, ny):
            raise ShapeError(f"tensordot: {axes} axes: {describe(value(x))} and {describe(value(y))}")
        axes = range(nx - axes, nx), range(axes)
    axes_x, axes_y = (normalized_axis("tensordot", z, (i,) if isinstance(i, (int, np.integer)) else tuple(i))
                      for z, i in zip((x, y), axes))
    shape_x, shape_y = value(x).shape, value(y).shape
    if [shape_x[i] for i in axes_x] != [shape_y[i] for i in axes_y]:
        raise ShapeError(f"tensordot: axes {axes_x} and {axes_y}: {describe(value(x))} and {describe(value(y))} differ")
    free_x = tuple([i for i in range(nx) if i not in axes_x])
    free_y = tuple([i for i in range(ny) if i not in axes_y])
    length = prod([shape_x[i] for i in axes_x])
    kept_x, kept_y = [shape_x[i] for i in free_x], [shape_y[i] for i in free_y]
    z = matmul(_arranged(x, free_x + axes_x, (prod(kept_x), length)), _arranged(y, axes_y + free_y, (length, prod(kept_y))))
    return _arranged(z, (0, 1), (*kept_x, *kept_y))


def kron(x: TensorLike, y: TensorLike) -> Tensor:
    """The Kronecker product: a block y * x[i, ..] for each element of x; lengths of axes are multiplied.

    >>> tg.kron(np.array([1.0, 10.0]), np.array([1.0, 2.0, 3.0]))
    tensor([ 1.,  2.,  3., 10., 20., 30.])
    """
    shape_x, shape_y = value(x).shape, value(y).shape
    ndim = max(len(shape_x), len(shape_y))
    shape_x, shape_y = (1,) * (ndim - len(shape_x)) + shape_x, (1,) * (ndim - len(shape_y)) + shape_y
    x = recorded.reshape(as_tensor(x), tuple([n for length in shape_x for n in (length, 1)]))
    y = recorded.reshape(as_tensor(y), tuple([n for length in shape_y for n in (1, length)]))
    z: Tensor = recorded.reshape(multiply(x, y), tuple([m * n for m, n in zip(shape_x, shape_y)]))
    return z


def cross(x: TensorLike, y: TensorLike, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The cross product of vectors of length 3 along `axis`, or along axisa of x, axisb of y and axisc of the result.

    Derivative: to x, y cross d; to y, d cross x.

    >>> tg.cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    for vectors, i in ((x, axisa), (y, axisb)):
        if value(vectors).shape[single_axis("cross", vectors, i)] != 3:
            raise ShapeError(f"cross: {describe(value(x))} and {describe(value(y))} along axes {axisa} and {axisb}: "
                             "the vectors have three elements")
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    after, before = np.array([1, 2, 0]), np.array([2, 0, 1])
    z = x[..., after] * y[..., before] - x[..., before] * y[..., after]
    return moveaxis(z, -1, axisc)


def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Tensor:
    """The sum of products that the subscripts say, in every form of numpy.einsum.

        einsum("ij,jk->ik", x, y)       a letter per axis; letters that the result does not have are summed over
        einsum("ii->i", x)              a letter twice in one operand: the diagonal
        einsum("ij,jk", x, y)           without ->: the letters that occur once, in alphabetical order
        einsum("...ij,...jk", x, y)     ... stands for the remaining axes, broadcast against each other
        einsum(x, [0, 1], y, [1, 2], [0, 2])

    optimize   the order in which more than two operands are contracted: False, from the left; True, "greedy", "optimal" or
               a path as from numpy.einsum_path

    Derivative: einsum again, of d and the other operands. Raises ShapeError if the subscripts do not fit, ValueError for
    another `optimize`.

    >>> tg.einsum("ij,j->i", np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    >>> tg.grad(lambda x: tg.einsum("i,i,i->", x, x, x))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    subscripts, given = explicit(subscripts, operands)
    if isinstance(optimize, (list, tuple)):
        optimize = tuple(map(tuple, optimize[1:])) if optimize[0] == "einsum_path" else optimize[0]
    if not isinstance(optimize, tuple) and optimize not in (None, True, False, "greedy", "optimal"):
        raise ValueError(f"einsum: optimize={optimize!r}; it is True, False, 'greedy', 'optimal' or a path")
    left: list[TensorLike] = list(given)
    for positions, *step in _steps(subscripts, tuple([value(x).shape for x in left]), optimize):
        taken = [left[i] for i in positions]
        for i in sorted(positions, reverse=True):
            del left[i]
        left.append(_contract(*taken, *step) if len(taken) == 2 else _summed(*taken, *step))
    return as_tensor(left[0])


@lru_cache(512)
def _steps(subscripts: str, shapes: tuple[tuple[int, ...], ...], path: Any) -> list[tuple[Any, ...]]:
    """What einsum does, in order: (positions of two operands, their letters, those of the result), or of one operand."""
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    lengths: dict[str, int] = {}
    for term, shape in zip(terms, shapes):
        for letter, n in zip(term, shape):
            if lengths.setdefault(letter, n) in (1, n):
                lengths[letter] = n
            elif n != 1:
                raise ShapeError(f"einsum({subscripts!r}): lengths {lengths[letter]} and {n} for {letter!r} in shapes "
                                 f"{', '.join(map(str, shapes))}")
    spread = [[letter for letter, n in zip(term, shape) if n == 1 != lengths[letter]] for term, shape in zip(terms, shapes)]
    steps: list[tuple[Any, ...]] = []
    if any(spread):                                     # axes of length 1 that are spread: each counts as not there
        lefts = ["".join([i for i in dict.fromkeys(term) if i not in dropped]) for term, dropped in zip(terms, spread)]
        steps, terms = [((0,), term, left) for term, left in zip(terms, lefts)], lefts
    for pair in _pairs(subscripts, shapes, path):
        x, y = (terms[i] for i in pair)
        terms = [term for i, term in enumerate(terms) if i not in pair]
        needed = set(output).union(*terms)
        left = "".join([letter for letter in dict.fromkeys(x + y) if letter in needed]) if terms else output
        terms.append(left)
        steps.append((pair, x, y, left))
    return steps if len(shapes) > 1 else [((0,), terms[0], output)]


def _pairs(subscripts: str, shapes: tuple[tuple[int, ...], ...], path: Any) -> list[tuple[int, int]]:
    """The positions of the two operands of each contraction, which leave the list; the result goes to its end."""
    if not path or len(shapes) < 3:
        return [(0, 1)] + [(n, 0) for n in range(len(shapes) - 2, 0, -1)] if len(shapes) > 1 else []
    if not isinstance(path, tuple):
        dummies = [np.broadcast_to(0.0, shape) for shape in shapes]
        path = np.einsum_path(subscripts, *dummies, optimize=path)[0][1:]
    pairs, count = [], len(shapes)
    for positions in path:
        later, *earlier = sorted(positions, reverse=True)
        for i in earlier:
            pairs.append((i, later))
            count -= 1
            later = count - 1
    return pairs


def _summed(x: TensorLike, letters: Sequence[str], output: Sequence[str]) -> TensorLike:
    """One operand: diagonals of letters that occur twice, sums over those that `output` does not have, a transpose."""
    letters = list(letters)
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            x = diagonal(x, 0, first, second)
            del letters[second], letters[first]
            letters.append(letter)
    axes = tuple([i for i, letter in enumerate(letters) if letter not in output])
    if axes:
        x = recorded.sum(x, axes, False)
        letters = [letter for letter in letters if letter in output]
    return _arranged(x, tuple([letters.index(letter) for letter in output if letter in letters]))


def _contract(x: TensorLike, y: TensorLike, letters_x: str, letters_y: str, output: str) -> Tensor:
    """Two operands: the letters of the result are `output`, those that both have and it has not are summed over."""
    own_x = "".join([i for i in dict.fromkeys(letters_x) if i in output or i in letters_y])
    own_y = "".join([i for i in dict.fromkeys(letters_y) if i in output or i in letters_x])
    x = _summed(x, letters_x, own_x) if own_x != letters_x else x
    y = _summed(y, letters_y, own_y) if own_y != letters_y else y
    both = [i for i in own_x if i in own_y]
    inner = [i for i in both if i not in output]
    sizes = dict(zip(own_x + own_y, value(x).shape + value(y).shape))
    if not inner:
        return multiply(_aligned(x, own_x, output), _aligned(y, own_y, output))
    stack = [i for i in both if i in output]
    free_x = [i for i in own_x if i not in both]
    free_y = [i for i in own_y if i not in both]

    def matrices(value: TensorLike, letters: str, rows: list[str], columns: list[str]) -> TensorLike:
        order = tuple([letters.index(i) for i in (*stack, *rows, *columns)])
        return _arranged(value, order, (*[sizes[i] for i in stack], prod([sizes[i] for i in rows]),
                                        prod([sizes[i] for i in columns])))

    z = matmul(matrices(x, own_x, free_x, inner), matrices(y, own_y, inner, free_y))
    letters = [*stack, *free_x, *free_y]
    z = _arranged(z, None, tuple([sizes[i] for i in letters]))
    return _arranged(z, tuple([letters.index(i) for i in output]))


def _aligned(x: TensorLike, letters: str, output: str) -> TensorLike:
    """x with its axes in the order of `output`, and axes of length 1 for the letters that it does not have."""
    x = _arranged(x, tuple([letters.index(i) for i in output if i in letters]))
    lengths = iter(value(x).shape)
    return _arranged(x, None, tuple([next(lengths) if i in letters else 1 for i in output]))


def _arranged(x: Operand, order: tuple[int, ...] | None, shape: tuple[int, ...] | None = None) -> Operand | Tensor:
    """transpose and reshape, each where it changes something."""
    if order is not None and order != tuple(range(len(order))):
        x = recorded.transpose(x, order)
    return x if shape is None or value(x).shape == shape else recorded.reshape(x, shape)


def _at_least(name: str, x: TensorLike, ndim: int) -> None:
    if value(x).ndim < ndim:
        raise ShapeError(f"{name}: an operand with at least {ndim} axes is needed: {describe(value(x))}")
