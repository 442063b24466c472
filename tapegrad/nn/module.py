"""What a module is: parameters, buffers and other modules as its attributes, and a forward made of tapegrad's functions.

There are no tables beside the attributes. A module notes which names are parameters and buffers, so that a parameter stays one
while it is frozen; the modules inside are the attributes that are modules. Names, order and layout of the state are PyTorch's.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from tapegrad.core.tensor import is_parameter
from tapegrad.errors import DtypeError, ShapeError, StateError, describe
from tapegrad.functions.arguments import value
from tapegrad.functions.tensor import Tensor
from tapegrad.nn.init import uniform_
from tapegrad.typing import Array, TensorLike


def Parameter(data: TensorLike, requires_grad: bool = True) -> Tensor:
    """A tensor that requires a gradient, with a copy of the data: what a module that it is assigned to counts as a parameter.

    It is a tg.Tensor like any other, and any leaf counts that requires a gradient, or has done so before it was frozen, as with
    requires_grad=False. Data keep their dtype; DtypeError for integers.

    >>> tg.nn.Parameter(np.zeros(2, "f4"))
    tensor([0., 0.], dtype=float32, requires_grad=True)
    """
    parameter = Tensor(value(data), requires_grad=True)
    parameter.requires_grad = requires_grad
    return parameter


def _name(tensor: Tensor | None, name: str) -> Tensor | None:
    """The tensor, under this name on the tape if it has none."""
    if tensor is not None and tensor.name is None:
        tensor.name = name
    return tensor


class Loaded(NamedTuple):
    """What load_state_dict(strict=False) left out: names without a value in the state, and values without a name."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """What networks are made of: a subclass assigns parameters and modules to its attributes, and defines forward.

    An attribute that is a leaf which requires a gradient (see Parameter), or None by register_parameter, is a parameter; one
    that is registered by register_buffer a buffer. Both have their attribute's name on the tape. A module is called as a
    function, which calls forward.

    training   whether dropout and normalisation behave as in training; see train() and eval()

    >>> class Scale(tg.nn.Module):
    ...     def __init__(self, n):
    ...         super().__init__()
    ...         self.factor = tg.nn.Parameter(np.ones(n))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> net = tg.nn.Sequential(Scale(2), tg.nn.ReLU())
    >>> net(np.array([-1.0, 2.0]))
    tensor([0., 2.], made by relu)
    >>> net.state_dict()
    {'0.factor': array([1., 1.])}
    """

    training: bool
    _parameters: dict[str, None]
    _buffers: dict[str, bool]                           # whether it is part of the state

    def __new__(cls, *_arguments: Any, **_options: Any) -> Self:
        module = super().__new__(cls)
        vars(module).update(training=True, _parameters={}, _buffers={})
        return module

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or what is unpickled, notes its own names."""
        vars(self).update(state, _parameters=dict(state["_parameters"]), _buffers=dict(state["_buffers"]))

    def __setattr__(self, name: str, value: Any) -> None:
        if is_parameter(value):
            self._buffers.pop(name, None)
            self._parameters[name] = None
            _name(value, name)
        elif isinstance(value, Module):
            self._parameters.pop(name, None)
            self._buffers.pop(name, None)
        elif name in self._parameters and value is not None:
            raise TypeError(f"{type(self).__name__}: {describe(value)} assigned to the parameter {name}; assign "
                            f"nn.Parameter(..) or None, or write to {name}.data")
        elif name in self._buffers and value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{type(self).__name__}: {describe(value)} assigned to the buffer {name}; assign a tensor or None")
        elif value is not None and isinstance(vars(self).get(name), Module):
            raise TypeError(f"{type(self).__name__}: {describe(value)} assigned to the module {name}; assign a module or None")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._parameters.pop(name, None)
        self._buffers.pop(name, None)
        super().__delattr__(name)

    def register_parameter(self, name: str, param: Tensor | None) -> None:
        """Assign a parameter, also one that does not require a gradient now, or None for none."""
        if param is not None and not isinstance(param, Tensor):
            raise TypeError(f"{type(self).__name__}.register_parameter: {name} is {describe(param)}; give a tensor or None")
        if param is not None and not param.is_leaf:
            raise ValueError(f"{type(self).__name__}.register_parameter: {name} is a result on the tape; use .detach()")
        self._new_name("register_parameter", name, name in self._parameters)
        self._buffers.pop(name, None)
        self._parameters[name] = None
        vars(self)[name] = _name(param, name)

    def register_buffer(self, name: str, tensor: TensorLike | None, persistent: bool = True) -> None:
        """Assign a tensor that is part of the state, unless not persistent, but no parameter; or None for none."""
        self._new_name("register_buffer", name, name in self._buffers)
        self._parameters.pop(name, None)
        self._buffers[name] = persistent
        vars(self)[name] = _name(tensor if isinstance(tensor, Tensor | None) else Tensor(tensor), name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Assign a module under a name that need not be one of Python's."""
        if not isinstance(module, Module | None):
            raise TypeError(f"{type(self).__name__}.register_module: {name} is {describe(module)}; give a module or None")
        self._new_name("register_module", name, isinstance(vars(self).get(name), Module))
        setattr(self, name, module)

    add_module = register_module

    def _new_name(self, method: str, name: str, replaces: bool) -> None:
        """ValueError for what is no name, and for that of an attribute, unless its like takes its place."""
        if not isinstance(name, str) or not name or "." in name or hasattr(type(self), name):
            raise ValueError(f"{type(self).__name__}.{method}: the name {name!r}; it is text without dots, "
                             "and not that of a method")
        if not replaces and vars(self).get(name) is not None:
            raise ValueError(f"{type(self).__name__}.{method}: there is an attribute {name} already, "
                             f"{describe(vars(self)[name])}; delete it first")

    # Calling

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)

    # What is inside

    def _parts(self) -> list[tuple[str, Module]]:
        """(name, module) for each attribute that is a module."""
        return [(name, part) for name, part in vars(self).items() if isinstance(part, Module)]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for each attribute that is a module; those that are there twice once."""
        found: dict[int, tuple[str, Module]] = {}
        for name, part in self._parts():
            found.setdefault(id(part), (name, part))
        return iter(found.values())

    def children(self) -> Iterator[Module]:
        """The modules among the attributes, each once."""
        return iter([part for _, part in self.named_children()])

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """("", itself), and (dotted name, module) for all that are inside; those that are there twice once."""
        found, seen = [], set()
        waiting: list[tuple[str, Module]] = [(prefix, self)]
        while waiting:
            name, module = waiting.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            found.append((name, module))
            waiting += [(f"{name}.{part}" if name else part, inside) for part, inside in module._parts()][::-1]
        return iter(found)

    def modules(self) -> Iterator[Module]:
        """Itself and all modules inside, each once."""
        found: dict[int, Module] = {}
        waiting: list[Module] = [self]                  # without names, which take twice as long: each step asks for these
        while waiting:
            module = waiting.pop()
            if id(module) not in found:
                found[id(module)] = module
                waiting += [part for part in vars(module).values() if isinstance(part, Module)][::-1]
        return iter(found.values())

    def _named(self, names: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Tensor]]:
        found, seen = [], set()
        for where, module in self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]:
            for name in getattr(module, names):
                tensor = vars(module)[name]
                if tensor is not None and not (remove_duplicate and id(tensor) in seen):
                    seen.add(id(tensor))
                    found.append((f"{where}.{name}" if where else name, tensor))
        return iter(found)

    def named_parameters(self, prefix: str = "", recurse: bool = True,
                         remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, parameter), those of the modules inside included; a shared one once."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """The parameters, those of the modules inside included; a shared one once."""
        found: dict[int, Tensor] = {}
        for module in self.modules() if recurse else [self]:
            own = vars(module)
            for name in module._parameters:
                if own[name] is not None:
                    found[id(own[name])] = own[name]
        return iter(found.values())

    def named_buffers(self, prefix: str = "", recurse: bool = True,
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer), those of the modules inside included; a shared one once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, those of the modules inside included; a shared one once."""
        return iter([tensor for _, tensor in self.named_buffers(recurse=recurse)])

    # The state

    def _state(self) -> dict[str, Tensor]:
        """The tensors of the state by name, shared ones under each of theirs."""
        found = {}
        for where, module in self.named_modules(remove_duplicate=False):
            for name in (*module._parameters, *[name for name, persistent in module._buffers.items() if persistent]):
                if vars(module)[name] is not None:
                    found[f"{where}.{name}" if where else name] = vars(module)[name]
        return found

    def state_dict(self) -> dict[str, Array]:
        """{name: array} of all parameters and buffers: copies, which later steps leave as they are."""
        return {name: tensor._value.copy() for name, tensor in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Loaded:
        """Write the arrays of a state into the parameters and buffers of their names; PyTorch's {k: v.numpy()} is one.

        strict   whether the names must be the same; otherwise those in both are loaded, and the others returned

        What does not fit raises, and nothing is changed: StateError for names, ShapeError and DtypeError for arrays.
        """
        name, own = f"{type(self).__name__}.load_state_dict", self._state()
        if not isinstance(state_dict, Mapping):
            raise StateError(f"{name}: {describe(state_dict)}; a dictionary of arrays by name is needed")
        missing, unexpected = [key for key in own if key not in state_dict], [key for key in state_dict if key not in own]
        if strict and (missing or unexpected):
            raise StateError(f"{name}: " + "; ".join(
                f"{', '.join(map(str, keys))} {'is' if len(keys) == 1 else 'are'} {what}"
                for keys, what in ((missing, "missing"), (unexpected, "unknown")) if keys))
        new = {key: value(state_dict[key]) for key in own if key in state_dict}
        for error, fact in ((ShapeError, "shape"), (DtypeError, "dtype")):
            wrong = [f"{key} is {describe(x)} for {describe(own[key])}" for key, x in new.items()
                     if getattr(x, fact) != getattr(own[key], fact)]
            if wrong:
                raise error(f"{name}: {'; '.join(wrong)}")
        for key, array in new.items():
            own[key].data[...] = array
        return Loaded(missing, unexpected)

    # Settings

    def train(self, mode: bool = True) -> Self:
        """Behave as in training, with all modules inside; returns itself."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Behave as outside of training: train(False)."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters: `.grad` is None again, or, without set_to_none, zeros where there was one."""
        for parameter in self.parameters():
            parameter.zero_grad(set_to_none)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze all parameters, or have gradients computed for them again; returns itself."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call fn with every module inside, and at the end with itself, which is returned."""
        for part in self.children():
            part.apply(fn)
        fn(self)
        return self

    # Seeing

    def extra_repr(self) -> str:
        """What stands in the parentheses of repr()."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {part!r}".replace("\n", "\n  ") for name, part in self._parts()]
        about, name = self.extra_repr(), type(self).__name__
        return f"{name}({about})" if not lines else f"{name}({about}\n  " + "\n  ".join(lines) + "\n)"


NEEDED: Any = inspect.Parameter.empty                   # the default of an option without one


class Applied(Module):
    """A module without parameters: a function of its inputs, called with options that are the attributes of the module."""

    function: ClassVar[Callable[..., Any]]
    keywords: ClassVar[Mapping[str, str]]               # the option's name: the function's
    tensors: ClassVar[tuple[str, ...]] = ()             # options that are buffers

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()
        try:
            bound = self.__signature__.bind(*arguments, **options)      # type: ignore[attr-defined]
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        bound.apply_defaults()
        for name, option in bound.arguments.items():
            if name in self.tensors:
                self.register_buffer(name, option)
            else:
                setattr(self, name, option)

    def options(self) -> dict[str, Any]:
        """The options under the names that the function has for them."""
        held = vars(self)                               # which tells a tracer that any attribute may be read
        return {theirs: held[ours] for ours, theirs in self.keywords.items()}

    def forward(self, *inputs: Any) -> Any:
        """The function of the inputs."""
        return type(self).function(*inputs, **self.options())

    def extra_repr(self) -> str:
        """The options that are set."""
        return ", ".join(f"{name}={held!r}" for name in self.keywords if (held := getattr(self, name)) is not None)


def applied(name: str, function: Callable[..., Any], text: str, call: str, shown: str, *, base: type[Applied] = Applied,
            renamed: Mapping[str, str] | None = None, unused: tuple[str, ...] = (), **options: Any) -> type[Applied]:
    """A class of modules that apply a function, documented by a text and an example: `call` gives `shown`.

    renamed   the function's names of options that have others there
    unused    options that are taken, as PyTorch's modules do, and mean nothing here
    """
    places = [inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default) for key,
              default in options.items()]
    module = sys._getframe(1).f_globals["__name__"]
    return type(name, (base,), {
        "__doc__": f"{text}\n\n>>> tg.nn.{name}{call}\n{shown}\n", "__module__": module, "__qualname__": name,
        "__signature__": inspect.Signature(places), "function": staticmethod(function),
        "keywords": {key: (renamed or {}).get(key, key) for key in options if key not in unused}})


def drawn(module: Module, shapes: Mapping[str, tuple[int, ...] | None], fan_in: int, dtype: Any) -> None:
    """Give the module parameters of these shapes, uniform on (-a, a), a = 1 / sqrt(fan_in); none where the shape is None."""
    sizes = [(name, n) for name, shape in shapes.items() for n in shape or ()]
    if wrong := [name for name, n in sizes if not isinstance(n, (int, np.integer)) or n < 0]:
        raise ValueError(f"{type(module).__name__}: {wrong[0]} of shape {shapes[wrong[0]]}; lengths are integers of at least 0")
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    for name, shape in shapes.items():
        if shape is None:
            module.register_parameter(name, None)
        else:
            setattr(module, name, uniform_(Parameter(np.empty(shape, dtype)), -bound, bound))
