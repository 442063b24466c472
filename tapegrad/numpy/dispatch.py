"""One function from two: theirs (NumPy's or SciPy's) of arrays and numbers, ours of tensors.

`Names` makes them for all names of a module, each when it is first asked for. A call without a tensor is theirs, unchanged,
after a look at the types of the arguments. With a tensor, or a list that holds one, it is the function of that name here.
Where there is none, theirs gets the values, unless a gradient would be lost: that is a GradientError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, update_wrapper
from types import ModuleType
from typing import Any

import numpy as np

from tapegrad.core.tape import thread
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import GradientError, describe
from tapegrad.functions.numpy_protocol import READERS, array_ufunc
from tapegrad.functions.tensor import Tensor

Function = Callable[..., Any]

PLAIN = frozenset({np.ndarray, float, int, bool, complex, str, bytes, type(None), type(Ellipsis), slice, type, np.dtype,
                   *np.sctypeDict.values()})
_is_plain = PLAIN.issuperset
# What says something of an array's memory, type or shape, and nothing of its values.
ASKING = frozenset({*READERS, "isscalar", "iterable", "common_type", "min_scalar_type", "isfortran", "typename", "isdtype",
                    "may_share_memory", "shares_memory", "einsum_path", "issubdtype"})
OF_UFUNCS = ("accumulate", "at", "identity", "nargs", "nin", "nout", "ntypes", "outer", "reduce", "reduceat", "resolve_dtypes",
             "signature", "types")


def wrapping(theirs: Function) -> Callable[[Function], Any]:
    """A decorator of the function that calls theirs, whose signature it shows."""
    def decorate(ours: Function) -> Function:
        ours.__wrapped__ = theirs        # type: ignore[attr-defined]
        return ours

    return decorate


def holds_tensor(xs: Iterable[Any]) -> bool:
    """Whether there is a tensor among the items, or in lists, tuples and dicts that they are."""
    for x in xs:
        kind = type(x)
        if kind in PLAIN:
            continue
        if kind is tuple or kind is list:
            if not _is_plain(map(type, x)) and holds_tensor(x):
                return True
        elif issubclass(kind, TensorBase) or isinstance(x, dict) and holds_tensor(x.values()):
            return True
        elif isinstance(x, (list, tuple)) and holds_tensor(x):
            return True
    return False


def wants_gradient(x: Any) -> TensorBase | None:
    """A tensor in a structure whose gradient would be lost if only values were read, or None."""
    if isinstance(x, TensorBase):
        return x if x.requires_grad and thread.tape.recording else None
    if isinstance(x, (list, tuple, dict)):
        for part in x.values() if isinstance(x, dict) else x:
            if (found := wants_gradient(part)) is not None:
                return found
    return None


def values(x: Any) -> Any:
    """A structure with the values of its tensors in their place."""
    if isinstance(x, TensorBase):
        return x._value
    if isinstance(x, dict):
        return type(x)((key, values(part)) for key, part in x.items())
    if isinstance(x, (list, tuple)):
        parts = [values(part) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return x


def on_values(label: str, theirs: Function, *args: Any, **kwargs: Any) -> Any:
    """Theirs of the values; GradientError where a gradient would be lost."""
    lost = wants_gradient((args, kwargs))
    if lost is not None and label.rpartition(".")[2] not in ASKING:
        raise GradientError(f"{label}: it has no derivative here, and {describe(lost)} requires a gradient, which would be "
                            "lost; give .detach() of it, or a function of tapegrad that has one")
    return theirs(*values(args), **values(kwargs))


def dispatched(label: str, theirs: Function, ours: Function | None) -> Function:
    """The function that is theirs for arrays and numbers, and ours where a tensor is given; it reads as theirs."""
    plain = PLAIN
    of_tensors = partial(on_values, label, theirs) if ours is None else ours
    with_options = of_tensors
    if ours is not None and isinstance(theirs, np.ufunc):
        with_options = partial(array_ufunc, None, theirs, "__call__")    # type: ignore[arg-type]

    def function(*args: Any, **kwargs: Any) -> Any:
        for x in args:                                  # written out: this is all that a call without a tensor costs
            if (kind := type(x)) not in plain:
                if kind is Tensor:
                    return with_options(*args, **kwargs) if kwargs else of_tensors(*args)
                break
        else:
            if not kwargs:
                return theirs(*args)
        if holds_tensor(args) or kwargs and holds_tensor(kwargs.values()):
            return with_options(*args, **kwargs) if kwargs else of_tensors(*args)
        return theirs(*args, **kwargs)

    update_wrapper(function, theirs)
    if isinstance(theirs, np.ufunc):
        for name in OF_UFUNCS:
            setattr(function, name, getattr(theirs, name, None))
    return function


class Names:
    """The names of a module of theirs, in a module of ours: its __getattr__ and __dir__ are methods of this.

    names   the globals of our module, where what is made is kept
    home    how their module is called in messages
    ours    a name -> our function, or None
    """

    def __init__(self, names: dict[str, Any], theirs: ModuleType, home: str, ours: Callable[[str], Function | None]) -> None:
        self.names, self.theirs, self.home, self.ours = names, theirs, home, ours

    def get(self, name: str) -> Any:
        if name.startswith("__") and name not in self.theirs.__all__:
            raise AttributeError(f"module {self.names['__name__']!r} has no attribute {name!r}")
        found = getattr(self.theirs, name)
        if callable(found) and not isinstance(found, type):
            same = getattr(found, "__name__", name)     # np.abs is np.absolute, under another name
            ours = self.ours(name) or (self.ours(same) if getattr(self.theirs, same, None) is found else None)
            found = dispatched(f"{self.home}.{name}", found, ours)
            found.__module__ = self.names["__name__"]
        self.names[name] = found
        return found

    def of(self, name: str) -> Callable[[Function], Any]:
        """A decorator of our function of that name: theirs for arrays, ours for tensors, with our documentation."""
        def decorate(ours: Function) -> Any:
            made = dispatched(f"{self.home}.{name}", getattr(self.theirs, name), ours)
            made.__doc__, made.__module__ = ours.__doc__, self.names["__name__"]
            return made

        return decorate

    def dir(self) -> list[str]:
        return sorted({*dir(self.theirs), *[name for name in self.names if not name.startswith("_")]})
