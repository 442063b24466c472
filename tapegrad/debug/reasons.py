"""The reason why a result is not finite, from the first such element and its operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.typing import Array

LOGARITHMS = {"log": 0, "log2": 0, "log10": 0, "log1p": -1}
DOMAINS = {"sqrt": "square root of a negative number", "power": "power of a negative number",
           "arcsin": "arcsin outside of [-1, 1]", "arccos": "arccos outside of [-1, 1]",
           "arccosh": "arccosh below 1", "arctanh": "arctanh outside of [-1, 1]"}


def bad_element(z: Any) -> tuple[int, ...] | None:
    """The index of the first NaN, or else of the first infinite element; None if all are finite."""
    z = np.asarray(z)
    if z.dtype.kind not in "fc" or np.isfinite(z).all():
        return None
    first = np.argwhere(np.isnan(z) if np.isnan(z).any() else ~np.isfinite(z))[0]
    return tuple(map(int, first))


def why(name: str, operands: Sequence[Any], z: Any) -> str | None:
    """The reason why z = g(*operands) is not finite; None if it is. `name` is that of g."""
    z = np.asarray(z)
    index = bad_element(z)
    if index is None:
        return None
    arrays = [np.asarray(x) for x in operands if isinstance(x, (np.ndarray, np.generic, float, int, complex))]
    arrays = [x for x in arrays if x.dtype.kind in "iufc"]
    try:
        xs = [np.broadcast_to(x, z.shape)[index].item() for x in arrays]
    except ValueError:                                  # not elementwise
        return _of_many(name, arrays, z[index])
    return _of_one(name, xs, z[index], z.dtype)


def _of_one(name: str, xs: list[Any], z: Any, dtype: np.dtype[Any]) -> str:
    """Elementwise operations: the operands of the element are known."""
    numbers = ", ".join(f"{x:.6g}" for x in xs)
    at = f"{name}({numbers}) = {z}"
    if any(x != x for x in xs):
        return f"NaN came in with an operand: {at}"
    infinite = [x for x in xs if abs(x) == np.inf]
    x, y = (xs + [0, 0])[:2]
    if z != z:
        if name in ("multiply", "strong_multiply") and infinite:
            return f"0 * inf: {at}"
        if name in ("add", "subtract") and infinite:
            return f"inf - inf: {at}"
        if name == "divide":
            return f"{'inf / inf' if infinite else '0 / 0'}: {at}"
        if name in LOGARITHMS:
            return f"log of a negative number: {at}"
        return f"{DOMAINS.get(name, f'{name} is not defined there')}: {at}"
    if infinite:
        return f"infinity came in with an operand: {at}"
    if name in ("divide", "reciprocal") and (y if name == "divide" else x) == 0:
        return f"division by zero: {at}"
    if name in LOGARITHMS and x == LOGARITHMS[name]:
        return f"log of zero: {at}"
    if name == "power" and x == 0:
        return f"zero to a negative power: {at}"
    if name == "arctanh":
        return f"arctanh of 1: {at}"
    return f"overflow: {at}, and {dtype} ends at {np.finfo(dtype).max:.3g}"


def _of_many(name: str, operands: Sequence[Array], z: Any) -> str:
    """Other operations: only the whole operands are known."""
    nans, infs = (sum(int(f(x).sum()) for x in operands) for f in (np.isnan, np.isinf))
    if nans:
        return f"NaN came in with an operand: {nans} of its elements are NaN"
    if infs:
        reason = "inf - inf, or 0 * inf, in a sum" if z != z else "infinity came in with an operand"
        return f"{reason}: {infs} elements of the operands are infinite"
    return f"overflow: the operands of {name} are finite and its result is {z}"


def why_delta(name: str, d: Any, saved: Sequence[Any], c: Any) -> str | None:
    """The reason why a contribution c = d * g'(saved) is not finite; None if it is. `name` is that of g."""
    index = bad_element(c)
    if index is None:
        return None
    if bad_element(d) is not None:
        return f"the delta that came to {name} is not finite: {np.asarray(d)[bad_element(d)]} at {bad_element(d)}"
    values = [x for x in saved if isinstance(x, np.ndarray)]
    if any(bad_element(x) is not None for x in values):
        return f"a value that the derivative of {name} reads is not finite"
    try:
        at = ", ".join(f"{np.broadcast_to(x, c.shape)[index]:.6g}" for x in values)
        delta = f"delta {np.broadcast_to(d, c.shape)[index]:.6g}"
    except ValueError:
        at, delta = "the values that it reads", "a finite delta"
    overflow = name in ("matmul", "multiply", "sum", "mean", "add", "subtract", "getitem")
    what = "the product with the delta overflows" if overflow else f"the derivative of {name} is infinite, or overflows,"
    return f"{what} at {at} ({delta}): {np.asarray(c)[index]} at {index}"
