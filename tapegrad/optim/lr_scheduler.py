"""Learning rates that change, under PyTorch's names: each is a formula of the number of steps.

A scheduler sets the rate for step 0 when it is made, and that of the next step at each step(). The formula is of the rate
that the group had at first, "initial_lr"; so there is no error that adds up. If something else has changed the rate in
between, say a second scheduler, then a scheduler multiplies what it finds by the quotient of its own rates, as PyTorch's do.

    scheduler = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(epochs):
        train(model, optimizer)
        scheduler.step()
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

from tapegrad.errors import StateError, describe
from tapegrad.functions.arguments import check_constant
from tapegrad.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "OneCycleLR",
           "ReduceLROnPlateau", "SequentialLR", "StepLR"]


def _of_groups(name: str, argument: str, given: Any, count: int) -> list[Any]:
    """One value for each group, of one for all or of a list."""
    check_constant(name, given)
    values = list(given) if isinstance(given, (list, tuple)) else [given] * count
    if len(values) != count:
        raise ValueError(f"{name}: {len(values)} values of {argument} for {count} groups of parameters")
    return values


class LRScheduler:
    """What is common to the schedulers: a subclass defines rate(base, epoch).

    base_lrs     the rates of the groups at first
    last_epoch   the step at which the rates are those of the optimiser; given to the constructor, the step before the first
                 one, to go on from there: the groups have "initial_lr" then, and the rate of that step or already of the next

    >>> class Halved(tg.optim.lr_scheduler.LRScheduler):
    ...     def rate(self, base, epoch):
    ...         return base / 2 ** epoch
    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=0.4)
    >>> scheduler = Halved(optimizer)
    >>> scheduler.step()
    >>> optimizer.lr
    0.2
    """

    absolute: ClassVar[bool] = False                    # whether the rate is set also where something else has changed it
    kept: ClassVar[tuple[str, ...]] = ("last_epoch", "base_lrs")

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: {describe(optimizer)}; an optimiser is needed")
        self.optimizer, self.last_epoch = optimizer, last_epoch + 1
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch != -1 and "initial_lr" not in group:
                raise ValueError(f"{type(self).__name__}: last_epoch={last_epoch} without initial_lr in group {i} of the "
                                 "parameters, which is its rate at first; load the optimiser's state, or set it")
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        groups = range(len(self.base_lrs))
        before = self.base_lrs if last_epoch == -1 else [self._rate(i, last_epoch) for i in groups]
        after = [self._rate(i, self.last_epoch) for i in groups]
        if last_epoch != -1:                            # a loaded optimiser may be where its scheduler had set it
            before = [new if group["lr"] == new else old for group, old, new in zip(optimizer.param_groups, before, after)]
        self._set(before, after)

    def rate(self, base: float, epoch: int) -> float:
        """The rate at a step, of a group whose rate was `base` at first."""
        raise NotImplementedError

    def _rate(self, i: int, epoch: int) -> float:
        """That of group i."""
        return self.rate(self.base_lrs[i], epoch)

    def _least(self) -> float:
        """What the rates come down to, above which quotients are taken."""
        return 0.0

    def _set(self, before: Sequence[float], after: Sequence[float]) -> None:
        """Change the rates of the optimiser from those of one step to those of another."""
        low = self._least()
        check_constant(type(self).__name__, after)
        for group, old, new in zip(self.optimizer.param_groups, before, after):
            alone = self.absolute or group["lr"] == old or old == low
            group["lr"] = new if alone else low + (group["lr"] - low) * (new - low) / (old - low)
        self._last = [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Set the rates of the next step."""
        self._go(self.last_epoch + 1)

    def _go(self, epoch: int) -> None:
        added = self.optimizer.param_groups[len(self.base_lrs):]
        if added and self.absolute:
            raise ValueError(f"{type(self).__name__}: the optimiser has {len(added)} groups of parameters that were added "
                             "afterwards; make a new scheduler")
        self.base_lrs += [group.setdefault("initial_lr", group["lr"]) for group in added]
        groups = range(len(self.base_lrs))
        before = [self._rate(i, self.last_epoch) for i in groups]
        self.last_epoch = epoch
        self._set(before, [self._rate(i, epoch) for i in groups])

    def get_last_lr(self) -> list[float]:
        """The rates of the groups that were set last."""
        return list(self._last)

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict() goes on from: numbers. Functions that were given are not part of it."""
        return {**{name: copy(getattr(self, name)) for name in self.kept}, "last_lrs": list(self._last)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what state_dict() gave. The rates themselves are part of the optimiser's state. StateError for another."""
        own = self.state_dict()
        if not isinstance(state_dict, Mapping) or set(state_dict) != set(own):
            raise StateError(f"{type(self).__name__}.load_state_dict: {describe(state_dict)}; a dictionary of {', '.join(own)} "
                             "is needed")
        for name, held in own.items():
            if isinstance(held, list) and len(state_dict[name]) != len(held):
                raise StateError(f"{type(self).__name__}.load_state_dict: {name} of {len(state_dict[name])} groups for "
                                 f"{len(held)}")
        for name in self.kept:
            held = state_dict[name]
            setattr(self, name, list(held) if isinstance(held, (list, tuple)) else held)
        self._last = list(state_dict["last_lrs"])


class StepLR(LRScheduler):
    """base * gamma^(epoch // step_size).

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [(scheduler.step(), optimizer.lr)[1] for _ in range(4)]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size={step_size}; it is at least 1")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int) -> float:
        return base * self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """base * gamma^(how many of the milestones are reached).

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> [(scheduler.step(), optimizer.lr)[1] for _ in range(4)]
    [0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, epoch)


class ExponentialLR(LRScheduler):
    """base * gamma^epoch.

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> [(scheduler.step(), optimizer.lr)[1] for _ in range(3)]
    [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int) -> float:
        return base * self.gamma ** epoch


class LinearLR(LRScheduler):
    """base times a factor that goes from start_factor to end_factor along a line, in total_iters steps, and stays there.

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> optimizer.lr, [(scheduler.step(), optimizer.lr)[1] for _ in range(3)]
    (0.5, [0.75, 1.0, 1.0])
    """

    def __init__(self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5,
                 last_epoch: int = -1) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: start_factor={start_factor}, end_factor={end_factor}; they are greater than 0, or at "
                             "least 0, and at most 1")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int) -> float:
        share = min(epoch, self.total_iters) / self.total_iters if self.total_iters else 1.0
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base - eta_min) (1 + cos(pi epoch / T_max)) / 2: down in T_max steps, and up again after them.

    Source: Loshchilov and Hutter, SGDR (2017), without its restarts.

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> [(scheduler.step(), round(optimizer.lr, 6))[1] for _ in range(3)]
    [0.5, 0.0, 0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if not T_max > 0:
            raise ValueError(f"CosineAnnealingLR: T_max={T_max}; it is greater than 0")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2

    def _least(self) -> float:
        return self.eta_min


class LambdaLR(LRScheduler):
    """base * lr_lambda(epoch); one function, or a list of one for each group.

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> scheduler.step()
    >>> optimizer.lr
    0.5
    """

    absolute = True

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
                 last_epoch: int = -1) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != count:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {count} groups of parameters")
        super().__init__(optimizer, last_epoch)

    def _rate(self, i: int, epoch: int) -> float:
        return float(self.base_lrs[i] * self.lr_lambdas[i](epoch))


class OneCycleLR(LRScheduler):
    """Up from max_lr / div_factor to max_lr, and down to the start / final_div_factor, in total_steps.

    max_lr            a number, or one for each group
    total_steps       or epochs and steps_per_epoch, whose product it is
    pct_start         the share of the steps that go up
    anneal_strategy   "cos" for half a cosine, "linear" for a line
    cycle_momentum    let the momentum, or beta1, go from max_momentum down to base_momentum and up again meanwhile; these are
                      numbers, or one for each group
    three_phase       down to the start as fast as up first, and then to the end

    ValueError at a step after the last one.
    Source: Smith and Topin, Super-convergence (2018).

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = tg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> round(optimizer.lr, 6), [(scheduler.step(), round(optimizer.lr, 3))[1] for _ in range(3)]
    (0.04, [0.52, 1.0, 0.95])
    """

    absolute = True

    def __init__(self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
                 epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
                 anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float | Sequence[float] = 0.85,
                 max_momentum: float | Sequence[float] = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
                 three_phase: bool = False, last_epoch: int = -1) -> None:
        check_constant("OneCycleLR", (pct_start, div_factor, final_div_factor))
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1 or not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: {total_steps} steps and pct_start={pct_start}; at least 1, and from 0 to 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy={anneal_strategy!r}; it is 'cos' or 'linear'")
        groups = optimizer.param_groups
        peaks, lows, highs = (_of_groups("OneCycleLR", name, given, len(groups)) for name, given in (
            ("max_lr", max_lr), ("base_momentum", base_momentum), ("max_momentum", max_momentum)))
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(f"OneCycleLR: cycle_momentum with {type(optimizer).__name__}, which has no momentum")
        self.total_steps, self.anneal_strategy, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum
        self.momenta = list(zip(lows, highs))
        self.peaks, self.div_factor, self.final_div_factor = peaks, div_factor, final_div_factor
        up = pct_start * total_steps - 1
        self.ends = [up, 2 * up, total_steps - 1] if three_phase else [up, total_steps - 1]
        if last_epoch == -1:
            for group, peak in zip(groups, peaks):
                group["initial_lr"] = peak / div_factor
        super().__init__(optimizer, last_epoch)

    def _between(self, values: Sequence[float], epoch: int) -> float:
        """What goes through the values, one at the start and one at each end of a phase."""
        start = 0.0
        for k, end in enumerate(self.ends):
            if epoch <= end or k == len(self.ends) - 1:
                share = (epoch - start) / (end - start) if end != start else 1.0
                share = share if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * share)) / 2
                return values[k] + (values[k + 1] - values[k]) * share
            start = end
        raise AssertionError

    def _rate(self, i: int, epoch: int) -> float:
        if epoch >= self.total_steps:
            raise ValueError(f"OneCycleLR: step {epoch + 1} of {self.total_steps}")
        peak = self.peaks[i]
        start = peak / self.div_factor
        middle = [start] if len(self.ends) == 3 else []
        return self._between([start, peak, *middle, start / self.final_div_factor], epoch)

    def _set(self, before: Sequence[float], after: Sequence[float]) -> None:
        super()._set(before, after)
        if self.cycle_momentum:
            for group, (least, most) in zip(self.optimizer.param_groups, self.momenta):
                momentum = self._between([most, least, most, most][:len(self.ends) + 1], self.last_epoch)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum


class SequentialLR(LRScheduler):
    """The first scheduler until the first milestone, the second one from there on, from its step 0, and so on.

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> warm = tg.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> fall = tg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = tg.optim.lr_scheduler.SequentialLR(optimizer, [warm, fall], milestones=[2])
    >>> optimizer.lr, [(scheduler.step(), optimizer.lr)[1] for _ in range(4)]
    (0.5, [0.75, 1.0, 0.5, 0.25])
    """

    absolute = True

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
                 last_epoch: int = -1) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers and {len(milestones)} milestones; one less is needed")
        if list(milestones) != sorted(milestones):
            raise ValueError(f"SequentialLR: milestones={list(milestones)}; they ascend")
        for scheduler in schedulers:
            if not isinstance(scheduler, LRScheduler) or scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: {type(scheduler).__name__}, which is not a schedule of this optimiser by "
                                 "steps")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, last_epoch)

    def _rate(self, i: int, epoch: int) -> float:
        k = bisect_right(self.milestones, epoch)
        return self.schedulers[k]._rate(i, epoch - (self.milestones[k - 1] if k else 0))

    def _set(self, before: Sequence[float], after: Sequence[float]) -> None:
        k = bisect_right(self.milestones, self.last_epoch)
        scheduler = self.schedulers[k]
        scheduler.last_epoch = self.last_epoch - (self.milestones[k - 1] if k else 0)
        for group, rate in zip(self.optimizer.param_groups, after):
            group["lr"] = rate
        scheduler._set(after, after)                    # what else it sets, a momentum
        self._last = list(after)


class ReduceLROnPlateau:
    """The rate times `factor` after a quantity has not become better for more than `patience` steps: step(quantity).

    mode        "min" where less is better, "max" where more
    threshold   better is by more than this share of the best, or, with threshold_mode="abs", by more than this
    cooldown    steps after a reduction during which nothing is counted
    min_lr      below which no rate goes: a number, or one for each group
    eps         less than which a rate does not change

    >>> optimizer = tg.optim.SGD([tg.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> [(scheduler.step(loss), optimizer.lr)[1] for loss in (3.0, 2.0, 2.0, 2.0)]
    [1.0, 1.0, 1.0, 0.5]
    """

    kept = "best", "num_bad_epochs", "cooldown_counter", "last_epoch"

    def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
                 min_lr: float | Sequence[float] = 0.0, eps: float = 1e-8) -> None:
        check_constant("ReduceLROnPlateau", (factor, threshold, eps))
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor={factor}; it is between 0 and 1")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: mode={mode!r}, threshold_mode={threshold_mode!r}; they are 'min' or 'max', "
                             "and 'rel' or 'abs'")
        self.min_lrs = _of_groups("ReduceLROnPlateau", "min_lr", min_lr, len(optimizer.param_groups))
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.best, self.num_bad_epochs, self.cooldown_counter = math.inf if mode == "min" else -math.inf, 0, 0
        self.last_epoch = 0

    def _is_better(self, quantity: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * quantity < sign * self.best - self.threshold
        bound = self.best * (1 - sign * self.threshold) if math.isfinite(self.best) else self.best
        return sign * quantity < sign * bound

    def step(self, metrics: Any) -> None:
        """Count a step with this value of the quantity, a number or a tensor of one element; reduce the rates if it is time."""
        quantity = float(metrics.item() if hasattr(metrics, "item") else metrics)
        self.last_epoch += 1
        if self._is_better(quantity):
            self.best, self.num_bad_epochs = quantity, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs):
                new = max(group["lr"] * self.factor, least)
                if group["lr"] - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def get_last_lr(self) -> list[float]:
        """The rates of the groups."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict() goes on from."""
        return {name: getattr(self, name) for name in self.kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what state_dict() gave. StateError for another."""
        if not isinstance(state_dict, Mapping) or set(state_dict) != set(self.kept):
            raise StateError(f"ReduceLROnPlateau.load_state_dict: {describe(state_dict)}; a dictionary of "
                             f"{', '.join(self.kept)} is needed")
        vars(self).update(state_dict)
