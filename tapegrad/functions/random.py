"""Random numbers, under PyTorch's names: constants, drawn from this thread's generator.

Each thread has one numpy.random.Generator, seeded by the system when it is first used, or by manual_seed(n). Everything in
tapegrad that is random draws from it, unless it is given another: these functions, dropout, the initial parameters of
tapegrad.nn, and the order of tapegrad.data's batches. So manual_seed(n) at the start of a program makes all of it reproducible.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import local
from typing import Any

import numpy as np

from tapegrad.core.record import drawn
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import constant, value
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import DTypeLike, TensorLike


class _Random(local):
    generator: np.random.Generator | None = None


_random = _Random()


def generator() -> np.random.Generator:
    """This thread's generator. What is drawn from it, by NumPy's methods, counts as drawn by tapegrad. Not differentiable.

    Its state, generator().bit_generator.state, may be kept and set again; tg.save and tg.load do so.

    >>> tg.generator() is tg.generator()
    True
    """
    found = _random.generator
    if found is None:
        found = _random.generator = np.random.default_rng()
    return found


def manual_seed(seed: int) -> np.random.Generator:
    """Put this thread's generator into the state of numpy.random.default_rng(seed), and return it. Other threads keep theirs.

    >>> first = tg.manual_seed(0) and tg.randn(3)
    >>> again = tg.manual_seed(0) and tg.randn(3)
    >>> bool((first == again).all())
    True
    """
    held = generator()
    held.bit_generator.state = np.random.default_rng(int(constant("manual_seed", seed))).bit_generator.state
    return held


def _shape(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape that is given as numbers, or as one tuple or list of them."""
    given = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in given):
        raise ShapeError(f"{name}: a shape {given!r}; give lengths, {name}(2, 3) or {name}((2, 3))")
    return tuple(map(int, given))


def _made(draw: Callable[[np.random.Generator], Any], dtype: DTypeLike, requires_grad: bool) -> Tensor:
    """What `draw` gives of this thread's generator; a compiled function draws anew at each call."""
    if np.dtype(dtype).kind not in "biufc":
        raise DtypeError(f"random numbers of dtype {np.dtype(dtype)}: a dtype of numbers is needed")
    z = drawn(generator, lambda numbers: np.asarray(draw(numbers), dtype))
    z.requires_grad = requires_grad
    return z


def rand(*size: Any, dtype: DTypeLike = np.float64, requires_grad: bool = False) -> Tensor:
    """Numbers uniform on [0, 1) in a shape: rand(2, 3) or rand((2, 3)).

    >>> tg.rand(2, 3).shape
    (2, 3)
    """
    return _made(lambda numbers: numbers.random(_shape("rand", size)), dtype, requires_grad)


def randn(*size: Any, dtype: DTypeLike = np.float64, requires_grad: bool = False) -> Tensor:
    """Numbers of mean 0 and variance 1, normally distributed, in a shape: randn(2, 3) or randn((2, 3)).

    >>> tg.randn(2, 3).shape
    (2, 3)
    """
    return _made(lambda numbers: numbers.standard_normal(_shape("randn", size)), dtype, requires_grad)


def rand_like(input: TensorLike, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """rand in the shape and dtype of the input. Not differentiable.

    >>> tg.rand_like(np.ones(3, "f4")).dtype
    dtype('float32')
    """
    like = value(input)
    return rand(like.shape, dtype=like.dtype if dtype is None else dtype, requires_grad=requires_grad)


def randn_like(input: TensorLike, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """randn in the shape and dtype of the input. Not differentiable.

    >>> tg.randn_like(np.ones((2, 2))).shape
    (2, 2)
    """
    like = value(input)
    return randn(like.shape, dtype=like.dtype if dtype is None else dtype, requires_grad=requires_grad)


def randint(low: int, high: Any = None, size: Any = None, *, dtype: DTypeLike = np.int64) -> Tensor:
    """Integers from low to high - 1, all equally probable: randint(low, high, size), or randint(high, size) from 0.

    >>> set(tg.randint(2, 4, (100,)).tolist()) == {2, 3}
    True
    """
    if size is None:
        low, high, size = 0, low, high
    low, high = int(constant("randint", low)), int(constant("randint", high))
    if not low < high:
        raise ValueError(f"randint: low={low} and high={high}; low is less")
    size = (size,) if isinstance(size, int) else tuple(size)
    return _made(lambda numbers: numbers.integers(low, high, _shape("randint", size)), dtype, False)


def randperm(n: int) -> Tensor:
    """0, 1, .., n - 1 in random order. ValueError for n < 0.

    >>> sorted(tg.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    if (n := int(constant("randperm", n))) < 0:
        raise ValueError(f"randperm: n={n}; a number of elements is needed")
    return _made(lambda numbers: numbers.permutation(n), np.int64, False)


def bernoulli(input: TensorLike) -> Tensor:
    """1 with the probability that the input says and 0 otherwise, each element by itself. ValueError outside of [0, 1].

    >>> tg.bernoulli([0.0, 1.0])
    tensor([0., 1.])
    """
    p = constant("bernoulli", input)
    if p.dtype.kind != "f":
        raise DtypeError(f"bernoulli: probabilities {describe(p)}; a float dtype is needed")
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"bernoulli: probabilities from {p.min()} to {p.max()}; they are from 0 to 1")
    return _made(lambda numbers: numbers.random(p.shape) < p, p.dtype, False)


def multinomial(input: TensorLike, num_samples: int, replacement: bool = False) -> Tensor:
    """`num_samples` indices drawn with probabilities in proportion to the weights: (n,) or (rows, n).

    replacement   whether an index may be drawn again

    ValueError for weights that are negative, not finite or all 0, and where there are too few to draw without replacement.

    >>> tg.multinomial([0.0, 3.0, 0.0], 2, replacement=True)
    tensor([1, 1], dtype=int64)
    """
    weights = constant("multinomial", input).astype(np.float64)
    if weights.ndim not in (1, 2):
        raise ShapeError(f"multinomial: weights {describe(weights)}; they are (n,) or (rows, n)")
    rows = np.atleast_2d(weights)
    totals = rows.sum(1, keepdims=True)
    if not (np.isfinite(rows).all() and (rows >= 0).all() and (totals > 0).all()):
        raise ValueError("multinomial: the weights are at least 0, finite, and not all 0 in any row")
    num_samples = int(constant("multinomial", num_samples))
    possible = (rows > 0).sum(1).min()
    if not replacement and num_samples > possible:
        raise ValueError(f"multinomial: {num_samples} indices without replacement from {possible} that can be drawn")

    def chosen(numbers: np.random.Generator) -> Any:
        found = [numbers.choice(len(row), num_samples, replacement, row / total) for row, total in zip(rows, totals)]
        return np.reshape(found, (*weights.shape[:-1], num_samples))

    return _made(chosen, np.int64, False)
