"""What is common to all optimisers: groups of parameters, their hyperparameters, steps, and the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any

from tapegrad.core.tape import changing, effect, enable_grad
from tapegrad.core.tensor import is_parameter
from tapegrad.errors import StateError, describe
from tapegrad.functions.arguments import check_constant
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer:
    """The parameters of a model, and what is common to all ways of moving them. A subclass defines move(i, x, g).

    params         tensors, leaves that require a gradient, or have done so before they were frozen; or groups of them,
                   dictionaries {"params": tensors} with the hyperparameters that are other than those of the optimiser,
                   {"params": tensors, "lr": 0.01}
    lr             the learning rate, at least 0
    param_groups   the groups with all of their hyperparameters, which may be changed between steps

    A hyperparameter is an attribute, too: optimizer.lr = 0.1 is for all groups, and optimizer.lr reads that of all, or,
    inside of move, that of the parameter's group; ValueError where they differ.

    TypeError for parameters that are not a list of tensors; ValueError for an empty list, for a tensor that is given twice,
    is no leaf or requires no gradient, and for a hyperparameter out of its range.

    >>> class SignDescent(tg.optim.Optimizer):
    ...     def move(self, i, x, g):
    ...         x -= self.lr * np.sign(g)
    >>> x, y = tg.tensor([1.0, -2.0], requires_grad=True), tg.tensor(3.0, requires_grad=True)
    >>> optimizer = SignDescent([{"params": [x]}, {"params": [y], "lr": 2.0}], lr=0.5)
    >>> ((x * x).sum() + y * y).backward()
    >>> optimizer.step()
    >>> x.data, y.data
    (array([ 0.5, -1.5]), array(1.))
    """

    lr: float
    _group: dict[str, Any] | None                       # that of the parameter which is being moved

    def __init__(self, params: Parameters, lr: float, **others: Any) -> None:
        name = type(self).__name__
        vars(self).update(defaults={"lr": lr, **others}, _group=None)
        self.parameters: list[Tensor] = []
        self.param_groups: list[dict[str, Any]] = []
        if isinstance(params, Tensor):
            raise TypeError(f"{name}: the parameters are a list of tensors, not one tensor")
        given: list[Any] = list(params)
        if not given:
            raise ValueError(f"{name}: the list of parameters is empty")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Move more parameters from now on: {"params": tensors}, and the hyperparameters that are other than the optimiser's.

        >>> x, y = tg.tensor(1.0, requires_grad=True), tg.tensor(2.0, requires_grad=True)
        >>> optimizer = tg.optim.SGD([x], lr=0.1)
        >>> optimizer.add_param_group({"params": [y], "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        name = type(self).__name__
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f'{name}: {describe(param_group)} for a group; it is {{"params": tensors, ..}}')
        params = [param_group["params"]] if isinstance(param_group["params"], Tensor) else list(param_group["params"])
        if not params:
            raise ValueError(f"{name}: the list of parameters of a group is empty")
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: {describe(parameter)} among the parameters, which are tensors")
            if not is_parameter(parameter):
                raise ValueError(f"{name}: {parameter!r} is not a leaf that requires a gradient")
        if len({*map(id, self.parameters), *map(id, params)}) < len(self.parameters) + len(params):
            raise ValueError(f"{name}: a parameter is given twice")
        unknown = set(param_group) - {"params", "initial_lr", *self.defaults}
        if unknown:
            raise ValueError(f"{name}: {', '.join(sorted(unknown))} in a group; its hyperparameters are "
                             f"{', '.join(self.defaults)}")
        group = {**self.defaults, **param_group, "params": params}
        self._check(**{key: group[key] for key in self.defaults})
        self.parameters += params
        self.param_groups.append(group)

    def _check(self, betas: Sequence[float] = (0, 0), nesterov: bool = False, **others: float) -> None:
        """ValueError for hyperparameters out of their ranges, GradientError for those that require a gradient."""
        name = type(self).__name__
        check_constant(name, [*betas, *others.values()])
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{name}: betas={betas}; they are two numbers from 0 to less than 1")
        for key, value in others.items():
            if not 0 <= value < inf:
                raise ValueError(f"{name}: {key}={value} is negative or not finite")
        if nesterov and (not others["momentum"] or others.get("dampening")):
            raise ValueError(f"{name}: nesterov={nesterov} with momentum={others['momentum']} and dampening="
                             f"{others.get('dampening', 0)}; it needs a momentum, and no dampening")

    def __getattr__(self, name: str) -> Any:
        known = vars(self)
        if name not in known.get("defaults", ()):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        if known["_group"] is not None:
            return known["_group"][name]
        held = [group[name] for group in self.param_groups]
        if any(value != held[0] for value in held):
            raise ValueError(f"{type(self).__name__}: {name} is {', '.join(map(str, held))} in its groups; read param_groups")
        return held[0]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self).get("defaults", ()):
            check_constant(type(self).__name__, value)
            for group in self.param_groups:
                group[name] = value
        else:
            super().__setattr__(name, value)

    @effect
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters: `.grad` is None again, or, without set_to_none, zeros where there was one.

        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> tg.optim.SGD([x], lr=0.1).zero_grad()
        >>> print(x.grad)
        None
        """
        for parameter in self.parameters:
            parameter.zero_grad(set_to_none)

    @changing(lambda optimizer, *_: optimizer.parameters)
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient.

        closure   called first, to compute the gradients; the loss that it returns is returned

        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> tg.optim.SGD([x], lr=0.5).step()
        >>> x.item()
        0.0
        """
        loss = None if closure is None else self._called(closure)
        i = 0
        try:
            for group in self.param_groups:
                self._group = group
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self.move(i, parameter.data, parameter.grad)
                    i += 1
        finally:
            self._group = None
        return loss

    @staticmethod
    def _called(closure: Callable[[], Any]) -> Any:
        with enable_grad():
            return closure()

    def move(self, i: int, x: Array, g: Array) -> None:
        """Write into x, the array of parameter i, whose gradient is g."""
        raise NotImplementedError

    # The state

    def _state(self, i: int) -> dict[str, Any]:
        """What is remembered of parameter i: numbers, and copies of arrays."""
        return {}

    def _check_state(self, i: int, state: Mapping[str, Any], group: Mapping[str, Any], name: str) -> None:
        """An error where that is nothing to remember of parameter i with the hyperparameters of that group."""
        if state:
            raise StateError(f"{name}: parameter {i} has {', '.join(state)}; nothing is known of it")

    def _put_state(self, i: int, state: Mapping[str, Any]) -> None:
        """Remember it."""

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict() goes on from: the hyperparameters of each group, with the places of its parameters among all,
        and what is remembered of each parameter, in order.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> tg.optim.SGD([x], lr=0.1, momentum=0.9).state_dict()
        {'param_groups': [{'lr': 0.1, 'momentum': 0.9, 'dampening': 0.0, 'weight_decay': 0.0, 'nesterov': False,
                           'maximize': False, 'params': [0]}],
         'state': [{'steps': 0, 'velocity': array([0., 0.])}]}
        """
        groups, start = [], 0
        for group in self.param_groups:
            end = start + len(group["params"])
            groups.append({**group, "params": list(range(start, end))})
            start = end
        return {"param_groups": groups, "state": [self._state(i) for i in range(len(self.parameters))]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what state_dict() gave. What does not fit raises, and nothing is changed.

        StateError for another number of groups or parameters and for hyperparameters of another optimiser, ValueError for
        one out of its range, ShapeError and DtypeError for other arrays.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = tg.optim.Adam([x], lr=0.1)
        >>> optimizer.load_state_dict(tg.optim.Adam([x], lr=0.01).state_dict())
        >>> optimizer.lr
        0.01
        """
        name = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, Mapping) or not {"param_groups", "state"} <= set(state_dict):
            raise StateError(f"{name}: {describe(state_dict)}; a dictionary with param_groups and state is needed")
        groups, state = state_dict["param_groups"], state_dict["state"]
        if len(state) != len(self.parameters):
            raise StateError(f"{name}: {len(state)} parameters; there are {len(self.parameters)}")
        if [len(group["params"]) for group in groups] != [len(group["params"]) for group in self.param_groups]:
            raise StateError(f"{name}: groups of {', '.join(str(len(group['params'])) for group in groups)} parameters; they "
                             f"are of {', '.join(str(len(group['params'])) for group in self.param_groups)}")
        for group in groups:
            if set(group) - {"params", "initial_lr"} != set(self.defaults):
                raise StateError(f"{name}: hyperparameters {', '.join(set(group) - {'params'})}, not "
                                 f"{', '.join(self.defaults)}")
            self._check(**{key: group[key] for key in self.defaults})
        for i, (of, own) in enumerate(zip(state, [group for group in groups for _ in group["params"]])):
            self._check_state(i, of, own, name)
        for i, of in enumerate(state):
            self._put_state(i, of)
        for group, saved in zip(self.param_groups, groups):
            group.update({key: value for key, value in saved.items() if key != "params"})
