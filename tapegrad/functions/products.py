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
from tapegrad.errors import ShapeError, describe, is_sparse
from tapegrad.functions.arguments import as_tensor, conjugated, like, normalized_axis, refuse_out, single_axis
from tapegrad.functions.elementwise import astype, matmul, multiply, positive
from tapegrad.functions.selecting import diagonal
from tapegrad.functions.shaping import expand_dims, moveaxis, ravel, squeeze
from tapegrad.functions.subscripts import explicit
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import DTypeLike, TensorLike

_Operand = TypeVar("_Operand", bound=TensorLike)


def dot(a: TensorLike, b: TensorLike, out: None = None) -> Tensor:
    """The product of numbers, vectors and matrices; with more axes, over the last of `a` and the second to last of `b`.

    (n,) and (n,) give a scalar, (m, n) and (n, k) give (m, k), (.., n) and (.., n, k) the axes of `a` but the last, then
    those of `b` but the second to last. If one of them is a scalar, it is multiply(a, b). TypeError for an out=. One of them
    may be a sparse matrix of SciPy, a constant: then it is matmul(a, b).

    >>> tg.dot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    >>> tg.grad(lambda x: tg.dot(x, x))(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    if out is not None:
        refuse_out("dot", out)
    if is_sparse(a) or is_sparse(b):
        return matmul(a, b)
    if like(a).ndim == 0 or like(b).ndim == 0:
        return multiply(a, b)
    return matmul(a, b) if like(b).ndim <= 2 else tensordot(a, b, ((-1,), (-2,)))


def vdot(a: TensorLike, b: TensorLike, /) -> Tensor:
    """The sum of conj(a) b over all elements, both flattened: a scalar.

    >>> tg.vdot(np.array([1 + 2j, 3]), np.array([1, 1j]))
    tensor(1.+1.j, dtype=complex128)
    """
    return matmul(conjugated(ravel(a)), ravel(b))


def vecdot(x1: TensorLike, x2: TensorLike, /, *, axis: int = -1) -> Tensor:
    """sum(conj(x1) x2) over `axis`, which has the same length in both; the other axes are broadcast.

    >>> tg.vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    """
    x1 = moveaxis(x1, single_axis("vecdot", x1, axis), -1)
    x2 = moveaxis(x2, single_axis("vecdot", x2, axis), -1)
    if like(x1).shape[-1] != like(x2).shape[-1]:
        raise ShapeError(f"vecdot: {describe(like(x1))} and {describe(like(x2))}: vectors of different lengths")
    if min(like(x1).ndim, like(x2).ndim) == 1:        # a product with one vector needs no array of all products
        return matmul(conjugated(x1), x2) if like(x2).ndim == 1 else matmul(x2, conjugated(x1))
    return recorded.sum(multiply(conjugated(x1), x2), (max(like(x1).ndim, like(x2).ndim) - 1,), False)


def matvec(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """Matrices x1 (.., m, n) times vectors x2 (.., n): (.., m), the other axes broadcast.

    >>> tg.matvec(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    """
    _at_least("matvec", x1, 2)
    _at_least("matvec", x2, 1)
    return matmul(x1, x2) if like(x2).ndim == 1 else squeeze(matmul(x1, expand_dims(x2, -1)), -1)


def vecmat(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """conj(x1) x2, vectors x1 (.., m) times matrices x2 (.., m, n): (.., n), the other axes broadcast.

    >>> tg.vecmat(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    _at_least("vecmat", x1, 1)
    _at_least("vecmat", x2, 2)
    x1 = conjugated(x1)
    return matmul(x1, x2) if like(x1).ndim == 1 else squeeze(matmul(expand_dims(x1, -2), x2), -2)


def inner(a: TensorLike, b: TensorLike, /) -> Tensor:
    """sum_k a[.., k] b[.., k]: the axes of `a` but the last, then those of `b` but the last; a b if one is a scalar.

    >>> tg.inner(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    """
    if like(a).ndim == 0 or like(b).ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, ((-1,), (-1,)))


def outer(a: TensorLike, b: TensorLike, out: None = None) -> Tensor:
    """a[i] * b[j], both flattened: a matrix. TypeError for an out=.

    >>> tg.outer(np.array([1.0, 2.0]), np.array([1.0, 10.0, 100.0]))
    tensor([[  1.,  10., 100.],
            [  2.,  20., 200.]])
    """
    refuse_out("outer", out)
    return multiply(recorded.reshape(as_tensor(a), (-1, 1)), ravel(b))


def tensordot(a: TensorLike, b: TensorLike, axes: int | Sequence[int | Sequence[int]] = 2) -> Tensor:
    """The sum of products over axes of `a` and of `b`; the result has the other axes of `a`, then those of `b`.

    axes   an int: so many of the last axes of `a` and of the first of `b`; or a pair, axes of `a` and of `b`, ints or lists

    >>> x = np.arange(6.0).reshape(1, 2, 3)
    >>> tg.tensordot(x, np.ones((2, 3)))
    tensor([15.])
    >>> tg.tensordot(x, np.ones((3, 2)), axes=([1, 2], [1, 0])).shape
    (1,)
    """
    na, nb = like(a).ndim, like(b).ndim
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(na, nb):
            raise ShapeError(f"tensordot: {axes} axes: {describe(like(a))} and {describe(like(b))}")
        axes = range(na - axes, na), range(axes)
    axes_a, axes_b = (normalized_axis("tensordot", z, (i,) if isinstance(i, (int, np.integer)) else tuple(i))
                      for z, i in zip((a, b), axes))
    shape_a, shape_b = like(a).shape, like(b).shape
    if [shape_a[i] for i in axes_a] != [shape_b[i] for i in axes_b]:
        raise ShapeError(f"tensordot: axes {axes_a} and {axes_b}: {describe(like(a))} and {describe(like(b))} differ")
    free_a = tuple([i for i in range(na) if i not in axes_a])
    free_b = tuple([i for i in range(nb) if i not in axes_b])
    length = prod([shape_a[i] for i in axes_a])
    kept_a, kept_b = [shape_a[i] for i in free_a], [shape_b[i] for i in free_b]
    z = matmul(_arranged(a, free_a + axes_a, (prod(kept_a), length)), _arranged(b, axes_b + free_b, (length, prod(kept_b))))
    return _arranged(z, (0, 1), (*kept_a, *kept_b))


def kron(a: TensorLike, b: TensorLike) -> Tensor:
    """The Kronecker product: a block b * a[i, ..] for each element of `a`; lengths of axes are multiplied.

    >>> tg.kron(np.array([1.0, 10.0]), np.array([1.0, 2.0, 3.0]))
    tensor([ 1.,  2.,  3., 10., 20., 30.])
    """
    shape_a, shape_b = like(a).shape, like(b).shape
    ndim = max(len(shape_a), len(shape_b))
    shape_a, shape_b = (1,) * (ndim - len(shape_a)) + shape_a, (1,) * (ndim - len(shape_b)) + shape_b
    a = recorded.reshape(as_tensor(a), tuple([n for length in shape_a for n in (length, 1)]))
    b = recorded.reshape(as_tensor(b), tuple([n for length in shape_b for n in (1, length)]))
    return recorded.reshape(multiply(a, b), tuple([m * n for m, n in zip(shape_a, shape_b)]))


def cross(a: TensorLike, b: TensorLike, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The cross product of vectors of length 3 along `axis`, or along axisa of `a`, axisb of `b` and axisc of the result.

    Derivative: to `a`, b cross d; to `b`, d cross a.

    >>> tg.cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    for vectors, i in ((a, axisa), (b, axisb)):
        if like(vectors).shape[single_axis("cross", vectors, i)] != 3:
            raise ShapeError(f"cross: {describe(like(a))} and {describe(like(b))} along axes {axisa} and {axisb}: "
                             "the vectors have three elements")
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    after, before = np.array([1, 2, 0]), np.array([2, 0, 1])
    z = a[..., after] * b[..., before] - a[..., before] * b[..., after]
    return moveaxis(z, -1, axisc)


def einsum(*operands: Any, out: None = None, optimize: Any = False, **kwargs: Any) -> Tensor:
    """The sum of products that the subscripts say, in every form of numpy.einsum.

        einsum("ij,jk->ik", x, y)       a letter per axis; letters that the result does not have are summed over
        einsum("ii->i", x)              a letter twice in one operand: the diagonal
        einsum("ij,jk", x, y)           without ->: the letters that occur once, in alphabetical order
        einsum("...ij,...jk", x, y)     ... stands for the remaining axes, broadcast against each other
        einsum(x, [0, 1], y, [1, 2], [0, 2])

    optimize   the order in which more than two operands are contracted: False, from the left; True, "greedy", "optimal" or
               a path as from numpy.einsum_path
    kwargs     dtype, that of the calculation, with casting as in numpy.einsum; order="K", "A" or "C"

    Derivative: einsum again, of d and the other operands. Raises ShapeError if the subscripts do not fit, ValueError for
    another `optimize` or order, TypeError for an out= and a dtype that casting forbids.

    >>> tg.einsum("ij,j->i", np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.])
    >>> tg.grad(lambda x: tg.einsum("i,i,i->", x, x, x))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    if out is not None:
        refuse_out("einsum", out)
    subscripts, given = explicit(*operands)
    if isinstance(optimize, (list, tuple)):
        optimize = tuple(map(tuple, optimize[1:])) if optimize[0] == "einsum_path" else optimize[0]
    if not isinstance(optimize, tuple) and optimize not in (None, True, False, "greedy", "optimal"):
        raise ValueError(f"einsum: optimize={optimize!r}; it is True, False, 'greedy', 'optimal' or a path")
    left: list[TensorLike] = [*given] if not kwargs else _converted(given, **kwargs)
    for positions, *step in _steps(subscripts, tuple([like(x).shape for x in left]), optimize):
        taken = [left[i] for i in positions]
        for i in sorted(positions, reverse=True):
            del left[i]
        left.append(_contract(*taken, *step) if len(taken) == 2 else _summed(*taken, *step))
    z = left[0]
    return positive(z) if any(z is x for x in operands) else as_tensor(z)


def _converted(operands: Sequence[TensorLike], dtype: DTypeLike | None = None, casting: Any = "safe",
               order: str = "K") -> list[TensorLike]:
    """The operands in the dtype of the calculation."""
    if order not in ("K", "A", "C"):
        raise ValueError(f"einsum: order={order!r}; it is 'K', 'A' or 'C'")
    if dtype is None:
        return [*operands]
    for x in operands:
        if not np.can_cast(like(x).dtype, dtype, casting):
            raise TypeError(f"einsum: {describe(like(x))} as {np.dtype(dtype)} with casting={casting!r}")
    return [astype(x, dtype) for x in operands]


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
    sizes = dict(zip(own_x + own_y, like(x).shape + like(y).shape))
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
    lengths = iter(like(x).shape)
    return _arranged(x, None, tuple([next(lengths) if i in letters else 1 for i in output]))


def _arranged(x: Any, order: tuple[int, ...] | None, shape: tuple[int, ...] | None = None) -> _Operand | Tensor:
    """transpose and reshape, each where it changes something."""
    if order is not None and order != tuple(range(len(order))):
        x = recorded.transpose(x, order)
    return x if shape is None or like(x).shape == shape else recorded.reshape(x, shape)


def _at_least(name: str, x: TensorLike, ndim: int) -> None:
    if like(x).ndim < ndim:
        raise ShapeError(f"{name}: an operand with at least {ndim} axes is needed: {describe(like(x))}")
