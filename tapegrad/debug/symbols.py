"""Derivative rules in symbols: what DG adds to the delta of an operand, as a formula.

    multiply(x, y)    to x: δz ⊙ y        tanh(x)    δz ⊙ (1 - z ⊙ z)        matmul(x, y)    to x: δz @ yᵀ

The rule of the registry is run over nodes (primitives/node.py), and what it gives is written with operators between operands.
So there is a formula for every row whose rule runs over nodes, and none is written down twice. For another rule, such as a
user's for arrays, it is δz · ∂g/∂x.

A formula is a list of texts and of places: DELTA, Z, or the position of an operand, which the reader names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.graph import numpy_forms, reverse
from tapegrad.primitives import node
from tapegrad.transforms.extend import users

DELTA, Z = -1, -2
LONGEST = 40                            # tokens; a longer formula explains nothing
LARGEST = 100_000                       # elements: with more, finding the shapes of intermediate results takes too long
SUM, PRODUCT, POWER, ATOM = range(4)
INFIX = {"add": (" + ", SUM), "subtract": (" - ", SUM), "multiply": (" ⊙ ", PRODUCT), "strong_multiply": (" ⊙ ", PRODUCT),
         "divide": (" / ", PRODUCT), "matmul": (" @ ", PRODUCT), "equal": (" = ", SUM), "less": (" < ", SUM),
         "greater": (" > ", SUM), "less_equal": (" ≤ ", SUM), "greater_equal": (" ≥ ", SUM), "not_equal": (" ≠ ", SUM)}
CONSTANT = {"zeros_like": "0", "ones_like": "1"}
NAMES = {"sum": "Σ", "sum_rows": "Σ", "broadcast_to": "broadcast"}
Formula = list[str | int]
Node: Any = node.Node
_subscript: Any = numpy_forms.subscript
_rule_of: Any = reverse.rule_of
_read: Any = reverse.read


class Formulas:
    """The formulas of entries; entries of a row that are alike share one."""

    def __init__(self) -> None:
        self.known: dict[Any, Formula] = {}

    def __call__(self, note: Any, i: int) -> Formula:
        """The formula of the contribution of an entry's note to its operand i."""
        kinds = tuple([(y.shape, y.dtype) if hasattr(y, "shape") else y for y in note.ys])
        try:
            key = note.row, i, note.shape, note.dtype, kinds, repr(note.static)
            if key not in self.known:
                self.known[key] = _formula(note, i)
        except Exception:                               # a rule or an argument that can't be told by its type
            return _unknown(note, i)
        return self.known[key]


def _unknown(note: Any, i: int) -> Formula:
    return [DELTA, f" · ∂{note.g}/∂", i]


def _formula(note: Any, i: int) -> Formula:
    sizes = [int(np.prod(y.shape)) for y in (note, *note.ys) if hasattr(y, "shape")]
    if note.g in users or max(sizes) > LARGEST:
        return _unknown(note, i)
    ys = tuple([Node(None, (), (), y.shape, y.dtype) if hasattr(y, "shape") else y for y in note.ys])
    z = Node(note.row, ys, tuple([note.static[name] for name in note.row.static_names]), note.shape, note.dtype)
    d = Node(None, (), (), note.shape, note.dtype)
    with np.errstate(all="ignore"):
        c: Any = _rule_of(z, i)(node.nodes, d, *_read(z, i), *z.static)
    places: dict[Any, int] = {y: at for at, y in reversed(list(enumerate(ys))) if isinstance(y, Node)}
    places |= {z: Z, d: DELTA}
    tokens, _ = _written(c, places)
    if len(tokens) > LONGEST:
        return _unknown(note, i)
    axes = _broadcast(c.shape, ys[i].shape)
    tokens = [f"Σ over axis {', '.join(map(str, axes))} of ", *tokens] if axes else tokens
    return [*_joined(tokens)]


def _broadcast(shape: tuple[int, ...], to: tuple[int, ...]) -> list[int]:
    extra = len(shape) - len(to)
    return [axis for axis in range(len(shape)) if axis < extra or to[axis - extra] == 1 != shape[axis]]


def _written(x: Any, places: dict[Any, int]) -> tuple[Formula, int]:
    """(the formula of a node, how strongly its outermost operator binds)."""
    if not isinstance(x, Node):
        return [_number(x)], ATOM if not _number(x).startswith("-") else SUM
    if x in places:
        return [places[x]], ATOM
    row, operands = x.row, x.operands
    name = row.name if row.lifted is None else row.lifted[0].name
    if name in CONSTANT:
        return [CONSTANT[name]], ATOM
    if name == "multiply" and operands[0] is operands[1]:
        return [*_bound(operands[0], places, ATOM)[0], "²"], POWER
    if name in INFIX:
        sign, binds = INFIX[name]
        if sign == " ⊙ " and not all(np.shape(y) for y in operands):
            sign = " · "
        (left, _), (right, tight) = (_bound(y, places, binds) for y in operands[:2])
        if tight == binds and sign in (" - ", " / ", " @ "):
            right = ["(", *right, ")"]
        return _short([*left, sign, *right]), binds
    if name == "negative":
        return ["-", *_bound(operands[0], places, PRODUCT)[0]], SUM
    if name == "power" and not isinstance(operands[1], Node):
        power = _number(operands[1])
        return [*_bound(operands[0], places, ATOM)[0], {"2": "²", "3": "³"}.get(power, f"^({power})")], POWER
    if name == "getitem" and x.static:
        return [*_bound(operands[0], places, ATOM)[0], _index(*x.static)], ATOM
    if name in ("transpose", "swapaxes") and x.ndim == 2:
        return [*_bound(operands[0], places, ATOM)[0], "ᵀ"], POWER
    if name == "alias" or name == "astype" and operands[0].dtype.kind != "b":
        return _written(operands[0], places)
    if name == "astype":                                # Iverson's bracket
        return ["[", *_written(operands[0], places)[0], "]"], ATOM
    if name == "conjugate":
        return ["conj(", *_written(operands[0], places)[0], ")"], ATOM
    tokens: Formula = [f"{NAMES.get(name, name)}("]
    for k, y in enumerate(operands):
        tokens += [", "] * bool(k) + _written(y, places)[0]
    more = [_number(item) for item in x.static if item is not None and not isinstance(item, bool)]
    return _short([*tokens, *[f", {item}" for item in more], ")"]), ATOM


def _bound(x: Any, places: dict[Any, int], binds: int) -> tuple[Formula, int]:
    tokens, own = _written(x, places)
    return (tokens, own) if own >= binds else (["(", *tokens, ")"], ATOM)


def _short(tokens: Formula) -> Formula:
    if len(tokens) > LONGEST:
        raise ValueError("a long formula")
    return tokens


def _number(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return _number(x.item()) if x.size == 1 else f"array{x.shape}"
    if isinstance(x, (slice, tuple)) and any(isinstance(part, slice) for part in (x if isinstance(x, tuple) else (x,))):
        return _index(x)
    return _cut(f"{x:.4g}" if isinstance(x, float) else " ".join(repr(x).split()))


def _index(index: Any) -> str:
    parts = [part if isinstance(part, str) else ".." for part in _subscript(index)]     # an array is no text
    return f"[{_cut(''.join(parts))}]"


def _cut(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]} .."


def _joined(tokens: Formula) -> Formula:
    """The same with adjacent texts as one."""
    joined: Formula = []
    for token in tokens:
        if joined and isinstance(token, str) and isinstance(joined[-1], str):
            joined[-1] += token
        else:
            joined.append(token)
    return joined
