"""The subscripts of einsum in all the forms that NumPy takes, made explicit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from string import ascii_letters
from typing import Any

from tapegrad.errors import ShapeError
from tapegrad.functions.arguments import like
from tapegrad.typing import TensorLike


def explicit(subscripts: Any = "", *operands: Any) -> tuple[str, Sequence[TensorLike]]:
    """(subscripts as "ab,bc->ac", operands): with ->, without ..., one letter for each axis of each operand."""
    given: Sequence[TensorLike] = operands
    if not isinstance(subscripts, str):
        subscripts, given = _from_lists(subscripts, operands)
    return _explicit(subscripts, tuple([like(x).shape for x in given])), given


@lru_cache(512)
def _explicit(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> str:
    text = subscripts.replace(" ", "")
    given = ", ".join(map(str, shapes))
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if stray := set(text.replace("->", "", 1).replace("...", "")) - set(ascii_letters + ","):
        raise ShapeError(f"einsum({subscripts!r}): {', '.join(sorted(map(repr, stray)))} in the subscripts")
    if len(terms) != len(shapes):
        raise ShapeError(f"einsum({subscripts!r}): subscripts for {len(terms)} operands, {len(shapes)} given: {given}")
    free = [letter for letter in ascii_letters if letter not in text]
    rests = [len(shape) - len(term.replace("...", "")) if "..." in term else 0 for term, shape in zip(terms, shapes)]
    for term, shape, rest in zip(terms, shapes, rests):
        if term.count("...") > 1 or rest < 0 or ("..." not in term and len(term) != len(shape)):
            raise ShapeError(f"einsum({subscripts!r}): {term!r} for an operand of shape {shape}: {given}")
    most = max(rests)
    rest_letters = "".join(free[:most])
    full = [term.replace("...", rest_letters[most - rest:]) for term, rest in zip(terms, rests)]
    if not arrow:
        letters = inputs.replace("...", "").replace(",", "")
        output = rest_letters + "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    elif "..." in output:
        output = output.replace("...", rest_letters, 1)
    elif most:
        raise ShapeError(f"einsum({subscripts!r}): the operands have '...' and the result does not: {given}")
    if len(set(output)) < len(output) or not set(output) <= set("".join(full)):
        raise ShapeError(f"einsum({subscripts!r}): the result has a letter twice, or one that no operand has: {given}")
    for term, shape in zip(full, shapes):
        lengths: dict[str, int] = {}
        for letter, n in zip(term, shape):
            if lengths.setdefault(letter, n) != n:
                raise ShapeError(f"einsum({subscripts!r}): {letter!r} stands for lengths {lengths[letter]} and {n}: {given}")
    return f"{','.join(full)}->{output}"


def _from_lists(first: TensorLike, rest: Sequence[Any]) -> tuple[str, Sequence[TensorLike]]:
    """einsum(x, [0, 1], y, [1, 2], [0, 2]) as subscripts and operands."""
    arguments = (first, *rest)
    operands, lists = arguments[0:len(arguments) // 2 * 2:2], arguments[1::2]
    terms = [_letters(sublist) for sublist in lists]
    text = ",".join(terms)
    return text + ("->" + _letters(arguments[-1]) if len(arguments) % 2 else ""), operands


def _letters(sublist: Iterable[Any]) -> str:
    try:
        return "".join(["..." if i is Ellipsis else ascii_letters[i] for i in sublist])
    except (TypeError, IndexError) as error:
        raise ShapeError(f"einsum: {sublist!r} as a list of subscripts; integers 0 to 51 or Ellipsis are needed") from error
