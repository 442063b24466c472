"""Modules that hold modules, one after the other or to be used by a forward that is written out; or parameters."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Self, overload

from tapegrad.core.tensor import is_parameter
from tapegrad.errors import describe
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.module import Module, Parameter
from tapegrad.typing import TensorLike


def _module(of: Module, part: Any) -> Module:
    if not isinstance(part, Module):
        raise TypeError(f"{type(of).__name__}: {describe(part)} among its modules; make it one, as nn.ReLU() of tg.relu")
    return part


class _Numbered(Module):
    """Modules under the names 0, 1, .."""

    def _fill(self, modules: Iterable[Module]) -> None:
        for name in [name for name, _ in self._parts()]:
            delattr(self, name)
        for i, part in enumerate(modules):
            setattr(self, str(i), _module(self, part))

    def _inside(self) -> list[Module]:
        return [part for _, part in self._parts()]

    def __len__(self) -> int:
        return len(self._inside())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._inside())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Any: ...
    def __getitem__(self, index: int | slice) -> Any:
        inside = self._inside()
        if isinstance(index, slice):
            return Sequential(dict(self._parts()[index])) if isinstance(self, Sequential) else ModuleList(inside[index])
        if not -len(inside) <= operator.index(index) < len(inside):
            raise IndexError(f"{type(self).__name__}: module {index} of {len(inside)}")
        return inside[index]

    def __setitem__(self, index: int, module: Module) -> None:
        names = [name for name, _ in self._parts()]
        setattr(self, names[index], _module(self, module))

    def __delitem__(self, index: int | slice) -> None:
        inside = self._inside()
        del inside[index]
        self._fill(inside)

    def __add__(self, other: Iterable[Module]) -> Self:
        """The modules of both, in a new one of its kind."""
        if not isinstance(other, Iterable):
            return NotImplemented
        made: Any = Sequential if isinstance(self, Sequential) else ModuleList
        joined: Self = made().extend(self).extend(other)
        return joined

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def pop(self, index: int = -1) -> Any:
        """Take a module out, and return it; those behind it move up."""
        module = self[index]
        del self[index]
        return module

    def append(self, module: Module) -> Self:
        """Put a module at the end; returns itself."""
        free = next(name for name in map(str, count(len(self))) if name not in vars(self))      # a slice has later names
        setattr(self, free, _module(self, module))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put modules at the end; returns itself."""
        for part in list(modules):
            self.append(part)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before that at the index; returns itself."""
        inside = self._inside()
        inside.insert(index, module)
        self._fill(inside)
        return self


class Sequential(_Numbered):
    """Modules one after the other: each is called with what the one before has returned. Also of a dictionary of them by name.

    >>> net = tg.nn.Sequential(tg.nn.Linear(4, 8), tg.nn.ReLU(), tg.nn.Linear(8, 3))
    >>> net(np.ones((5, 4), "f4")).shape, len(net)
    ((5, 3), 3)
    >>> net[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, part in modules[0].items():
                self.register_module(name, _module(self, part))
        else:
            self._fill(modules)                         # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        for part in self._inside():
            input = part(input)
        return input


class ModuleList(_Numbered):
    """A list of modules, which has no forward of its own.

    >>> layers = tg.nn.ModuleList([tg.nn.Linear(2, 2), tg.nn.Linear(2, 2)])
    >>> [name for name, _ in layers.named_parameters()]
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self._fill(modules)


class _ByName(Module):
    """What is there by name: a subclass says what, with _held() and __setitem__."""

    def _held(self) -> dict[str, Any]:
        raise NotImplementedError

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._held()

    def __len__(self) -> int:
        return len(self._held())

    def __iter__(self) -> Iterator[str]:
        return iter(self._held())

    def pop(self, name: str) -> Any:
        """Take what has that name out, and return it."""
        taken = self._held()[name]
        del self[name]
        return taken

    def clear(self) -> None:
        """Take all out."""
        for name in self:
            del self[name]

    def keys(self) -> Iterator[str]:
        """The names."""
        return iter(self)


class ModuleDict(_ByName):
    """Modules by name, which has no forward of its own.

    >>> parts = tg.nn.ModuleDict({"up": tg.nn.Linear(2, 8), "down": tg.nn.Linear(8, 2)})
    >>> "up" in parts, list(parts), parts["down"].weight.shape
    (True, ['up', 'down'], (2, 8))
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def _held(self) -> dict[str, Module]:
        return dict(self._parts())

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Put modules under their names."""
        for name, part in dict(modules).items():
            self[name] = part

    def __setitem__(self, name: str, module: Module) -> None:
        self.register_module(name, _module(self, module))

    def __getitem__(self, name: str) -> Any:
        return self._held()[name]

    def values(self) -> Iterator[Module]:
        """The modules."""
        return iter(self._held().values())

    def items(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for each."""
        return iter(self._held().items())


class _Parameters(Module):
    """Parameters by name; what is none becomes one."""

    def _put(self, name: str, parameter: TensorLike) -> None:
        self.register_parameter(name, parameter if is_parameter(parameter) else Parameter(parameter))   # type: ignore[arg-type]

    def _held(self) -> dict[str, Tensor]:
        return {name: vars(self)[name] for name in self._parameters}

    def __len__(self) -> int:
        return len(self._parameters)

    def extra_repr(self) -> str:
        """The names, dtypes and shapes."""
        return ", ".join([f"{name}: {describe(held)}" for name, held in self._held().items()])


class ParameterList(_Parameters):
    """A list of parameters. Arrays and tensors that are none are copied into some.

    >>> scales = tg.nn.ParameterList([np.ones(2), np.zeros(3)])
    >>> scales, list(scales.state_dict())
    (ParameterList(0: float64 (2,), 1: float64 (3,)), ['0', '1'])
    """

    def __init__(self, values: Iterable[TensorLike] = ()) -> None:
        super().__init__()
        self.extend(values)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._held().values())

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: int | slice) -> Tensor | ParameterList:
        return ParameterList(list(self)[index]) if isinstance(index, slice) else list(self)[index]

    def __setitem__(self, index: int, parameter: TensorLike) -> None:
        self._put(list(self._parameters)[index], parameter)

    def __iadd__(self, values: Iterable[TensorLike]) -> Self:
        return self.extend(values)

    def append(self, value: TensorLike) -> Self:
        """Put a parameter at the end; returns itself."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[TensorLike]) -> Self:
        """Put parameters at the end; returns itself."""
        for value in list(values):
            self.append(value)
        return self


class ParameterDict(_Parameters, _ByName):
    """Parameters by name. Arrays and tensors that are none are copied into some.

    >>> scales = tg.nn.ParameterDict({"up": np.ones(2), "down": np.zeros(3)})
    >>> list(scales), scales["down"].shape
    (['up', 'down'], (3,))
    """

    def __init__(self, parameters: Mapping[str, TensorLike] | Iterable[tuple[str, TensorLike]] = ()) -> None:
        super().__init__()
        self.update(parameters)

    def update(self, parameters: Mapping[str, TensorLike] | Iterable[tuple[str, TensorLike]]) -> None:
        """Put parameters under their names."""
        for name, parameter in dict(parameters).items():
            self[name] = parameter

    def __setitem__(self, name: str, parameter: TensorLike) -> None:
        self._put(name, parameter)

    def __getitem__(self, name: str) -> Tensor:
        return self._held()[name]

    def values(self) -> Iterator[Tensor]:
        """The parameters."""
        return iter(self._held().values())

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """(name, parameter) for each."""
        return iter(self._held().items())
