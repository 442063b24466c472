"""G and DG: the operators by name, and their derivatives, as functions of arrays. Views of the registry, not copies.

>>> from tapegrad import wengert
>>> float(wengert.G["half"](3.0))
1.5
>>> float(wengert.DG["multiply"][0](1.0, 6.0, 2.0, 3.0))
3.0
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from inspect import Parameter
from typing import Any

import numpy as np

from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import table
from tapegrad.wengert.evaluation import backprop, eval
from tapegrad.wengert.operators import Registered, candidates, canonical, names, parameters


class _ByName(Mapping):
    """A read-only mapping whose keys are the names of all operators."""

    def __init__(self, make):
        self._make = make

    def __getitem__(self, name):
        if not candidates(name):
            raise KeyError(name)
        return self._make(name)

    def __contains__(self, name):
        return isinstance(name, str) and bool(candidates(name))

    def __iter__(self):
        return iter(names())

    def __len__(self):
        return len(names())


class Operator(Registered):
    """G[g] of an operator that is not a row with operands only: `G[g](y1, .., yk)`."""

    def __call__(self, *arguments, **static):
        f, val = _entry(self.name, arguments, static)
        return eval(f, val)["z"]

    def __repr__(self):
        return f"<operator {self.name}>"


class Derivatives(Registered):
    """DG[g]: `DG[g][i](delta, out, y1, .., yk)` is the contribution of z = g(y1, .., yk) to the delta of argument i."""

    def __getitem__(self, i):
        if not 0 <= i < (self._count() or i + 1):
            raise IndexError(f"DG[{self.name!r}][{i}]: {self.name} has {self._count()} operands")
        return partial(_contribution, self.name, i)

    def __len__(self):
        if self._count() is None:
            raise TypeError(f"DG[{self.name!r}]: {self.name} takes any number of operands")
        return self._count()

    def __iter__(self):
        return iter([self[i] for i in range(len(self))])

    def _count(self):
        name = canonical(self.name)
        if name in table:
            return table[name].arity
        known = parameters(candidates(name)[0])
        return sum(parameter.default is Parameter.empty for parameter in known.parameters.values())

    def __repr__(self):
        return f"<the derivatives of {self.name}>"


@lru_cache
def _single(name, arguments):
    """A list of one entry. The same arguments give the same list, so it is prepared once."""
    return [("z", name, arguments)]


def _row(name):
    """The row of this name, if it takes operands only."""
    row = table.get(canonical(name))
    return row if row is not None and not row.static_names and not row.variadic else None


def _entry(name, arguments, static, wanted=None):
    """(list, val) of one entry with these arguments: operands get names, literals are written into the list."""
    ys, val, numbers = [], {}, _row(name) is not None
    for i, y in enumerate(arguments):
        if isinstance(y, (np.ndarray, np.generic, Tensor)) or isinstance(y, (int, float)) and (numbers or i == wanted):
            val[f"y{i}"] = y
            ys.append(f"y{i}")
        else:
            ys.append(repr(y))
    for key, value in static.items():
        val[f"k_{key}"] = value
        ys.append(f"{key}=k_{key}")
    return _single(name, tuple(ys)), val


def _contribution(name, i, delta, out, *arguments, **static):
    f, val = _entry(name, arguments, static, wanted=i)
    if out is not None:
        val["z"] = out
    return backprop(f, val, seed=delta, wrt=[f"y{i}"])[f"y{i}"]


def _operator(name):
    row = _row(name)
    return Operator(name) if row is None else row.g


G: Mapping[str, Callable[..., Any]] = _ByName(_operator)
DG: Mapping[str, Derivatives] = _ByName(Derivatives)
