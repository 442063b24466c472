"""The quasi-Newton method L-BFGS, with and without a line search."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from tapegrad.core.tape import changing
from tapegrad.errors import DtypeError, ShapeError, StateError, describe
from tapegrad.functions.arguments import value
from tapegrad.optim.optimizer import Optimizer, Parameters
from tapegrad.typing import Array


class Point(NamedTuple):
    """A place on the line of a search: x + t d, the loss and the gradient there, and its slope along d."""

    t: float
    loss: float
    g: Array
    slope: float


def _between(one: Point, other: Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is least, held between low and high: Nocedal and Wright, (3.59)."""
    left, right = (one, other) if one.t <= other.t else (other, one)
    a = left.slope + right.slope - 3 * (left.loss - right.loss) / (left.t - right.t)
    square = a * a - left.slope * right.slope
    if square < 0:
        return (low + high) / 2
    root = math.sqrt(square)
    t = right.t - (right.t - left.t) * ((right.slope + root - a) / (right.slope - left.slope + 2 * root))
    return min(max(t, low), high)


def strong_wolfe(at: Callable[[float], Point], start: Point, t: float, size: float, enough: float = 1e-4, flat: float = 0.9,
                 tolerance: float = 1e-9, most: int = 25) -> tuple[Point, int]:
    """A point with the strong Wolfe conditions, and how many were computed: Nocedal and Wright, algorithms 3.5 and 3.6.

    at        the point at a step length
    size      the largest element of the direction: steps of less than the tolerance are the end
    """
    def too_high(point: Point) -> bool:
        return point.loss > start.loss + enough * point.t * start.slope

    def is_flat(point: Point) -> bool:
        return abs(point.slope) <= -flat * start.slope

    before, now, count = start, at(t), 1
    tried = 0
    while tried < most:                                 # first find two points with what is wanted between them
        if too_high(now) or tried > 1 and now.loss >= before.loss:
            break
        if is_flat(now):
            return now, count
        if now.slope >= 0:
            break
        t = _between(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t)
        before, now = now, at(t)
        count, tried = count + 1, tried + 1
    else:
        before = start
    low, high = (before, now) if before.loss <= now.loss else (now, before)
    stuck = False
    while tried < most and abs(high.t - low.t) * size >= tolerance:
        left, right = sorted((low.t, high.t))
        t, margin = _between(low, high, left, right), 0.1 * (right - left)
        if min(right - t, t - left) < margin:           # near an end twice: move it inside
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        now = at(t)
        count, tried = count + 1, tried + 1
        if too_high(now) or now.loss >= low.loss:
            low, high = (low, now) if low.loss <= now.loss else (now, low)
            continue
        if is_flat(now):
            return now, count
        low, high = now, low if now.slope * (high.t - low.t) >= 0 else high
    return low, count


class LBFGS(Optimizer):
    """x += t d, where d = -H g, and H is the inverse of the second derivative as the last steps have shown it.

    step(closure) makes up to max_iter such steps; the closure forgets the gradients, computes the loss, calls backward, and
    returns the loss. There is one group of parameters, of one dtype.

    max_eval           how often the closure may be called in a step; 5/4 max_iter by default
    tolerance_grad     the end, where no element of the gradient is greater
    tolerance_change   the end, where no element of x, or the loss, changes more
    history_size       how many steps H is made of
    line_search_fn     "strong_wolfe", or None for t = lr

    Source: Nocedal and Wright, Numerical Optimization (2006), algorithm 7.4, with PyTorch's first step and ends.

    >>> x = tg.tensor([-1.0, 1.0], requires_grad=True)
    >>> optimizer = tg.optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     _ = optimizer.step(closure)
    >>> x.data.round(4)
    array([1., 1.])
    """

    def __init__(self, params: Parameters, lr: float = 1.0, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
                 line_search_fn: str | None = None) -> None:
        super().__init__(params, lr, max_iter=max_iter, max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
                         tolerance_grad=tolerance_grad, tolerance_change=tolerance_change, history_size=history_size,
                         line_search_fn=line_search_fn)
        if len(self.param_groups) > 1:
            raise ValueError(f"LBFGS: {len(self.param_groups)} groups of parameters; it has one")
        dtypes = {x.dtype for x in self.parameters}
        if len(dtypes) > 1 or self.parameters[0].dtype.kind != "f":
            raise DtypeError(f"LBFGS: parameters of {', '.join(map(str, dtypes))}; one real dtype is needed")
        self._memory: dict[str, Any] = {"iterations": 0, "t": 0.0, "scale": 1.0, "direction": None, "gradient": None,
                                        "changes": [], "steps": []}

    def _check(self, line_search_fn: str | None = None, **others: Any) -> None:     # type: ignore[override]
        super()._check(**others)
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn={line_search_fn!r}; it is 'strong_wolfe' or None")

    def _gradient(self) -> Array:
        found: list[Array] = [np.zeros(x.size, x.dtype) if x.grad is None else np.ravel(value(x.grad)) for x in self.parameters]
        return np.concatenate(found)

    def _move_to(self, starts: list[Array], t: float, d: Array) -> None:
        """Every parameter at its start plus t times its part of the direction."""
        low = 0
        for x, start in zip(self.parameters, starts):
            x.data[...] = start + x.dtype.type(t) * d[low:low + x.size].reshape(x.shape)
            low += x.size

    def _direction(self, g: Array) -> Array:
        """-H g, after H has learnt from the last step."""
        memory, dot = self._memory, np.dot
        y, s = g - memory["gradient"], memory["direction"] * g.dtype.type(memory["t"])
        changes, steps = memory["changes"], memory["steps"]
        if dot(y, s) > 1e-10:                           # else the loss is not convex along the step
            if len(changes) == self.history_size:
                del changes[0], steps[0]
            changes.append(y)
            steps.append(s)
            memory["scale"] = float(dot(y, s) / dot(y, y))
        d: Array = -g
        weights: list[Any] = []
        for y, s in zip(changes[::-1], steps[::-1]):
            weights.append(dot(s, d) / dot(y, s))
            d = d - weights[-1] * y
        d = d * g.dtype.type(memory["scale"])
        for y, s, weight in zip(changes, steps, weights[::-1]):
            d = d + (weight - dot(y, d) / dot(y, s)) * s
        return d

    @changing(lambda optimizer, *_: optimizer.parameters)
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to max_iter steps; returns the loss before them. TypeError without a closure."""
        if closure is None:
            raise TypeError("LBFGS: step() without a closure, which computes the loss again; see the example of tg.optim.LBFGS")
        first, memory, lr = self._called(closure), self._memory, float(self.lr)
        if first is None:
            raise TypeError("LBFGS: the closure has returned None; it returns the loss")
        loss, g, evaluations = float(getattr(first, "_value", first)), self._gradient(), 1
        if np.abs(g).max(initial=0) <= self.tolerance_grad:
            return first
        for iteration in range(1, self.max_iter + 1):
            memory["iterations"] += 1
            d = -g if memory["iterations"] == 1 else self._direction(g)
            t = min(1.0, 1 / float(np.abs(g).sum())) * lr if memory["iterations"] == 1 else lr
            memory["gradient"], memory["direction"], memory["t"] = g, d, t
            slope, previous = float(np.dot(g, d)), loss
            if slope > -self.tolerance_change:
                break
            starts = [x.data.copy() for x in self.parameters]
            count = 0

            def at(t: float, starts: list[Array] = starts, d: Array = d) -> Point:
                self._move_to(starts, t, d)
                z = self._called(closure)
                g = self._gradient()
                return Point(t, float(getattr(z, "_value", z)), g, float(np.dot(g, d)))

            if self.line_search_fn is not None:
                found, count = strong_wolfe(at, Point(0.0, loss, g, slope), t, float(np.abs(d).max()))
                memory["t"], loss, g = found.t, found.loss, found.g
                self._move_to(starts, found.t, d)
            elif iteration < self.max_iter:
                _, loss, g, _ = at(t)
                count = 1
            else:
                self._move_to(starts, t, d)
            evaluations += count
            if evaluations >= self.max_eval or count and np.abs(g).max() <= self.tolerance_grad:
                break
            if np.abs(d).max() * abs(memory["t"]) <= self.tolerance_change or abs(loss - previous) < self.tolerance_change:
                break
        return first

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict() goes on from, with the steps that H is made of."""
        return {**super().state_dict(), "memory": deepcopy(self._memory)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what state_dict() gave. What does not fit raises, and nothing is changed; see Optimizer."""
        name, size, dtype = "LBFGS.load_state_dict", sum(x.size for x in self.parameters), self.parameters[0].dtype
        memory = state_dict.get("memory") if isinstance(state_dict, Mapping) else None
        if not isinstance(memory, Mapping) or set(memory) != set(self._memory):
            raise StateError(f"{name}: there is no memory of LBFGS in the state")
        for x in [*memory["changes"], *memory["steps"],
                  *[x for x in (memory["direction"], memory["gradient"]) if x is not None]]:
            if np.shape(x) != (size,):
                raise ShapeError(f"{name}: {describe(x)} for {size} numbers")
            if x.dtype != dtype:
                raise DtypeError(f"{name}: {describe(x)} for parameters of {dtype}")
        super().load_state_dict(state_dict)
        self._memory = {key: [x.copy() for x in held] if isinstance(held, (list, tuple)) else held for key,
                        held in memory.items()}
