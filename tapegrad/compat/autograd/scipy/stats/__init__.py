"""`autograd.scipy.stats`: the names of tapegrad.scipy.stats. A distribution is a module: import autograd.scipy.stats.t."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from tapegrad.compat.autograd.faces import face_of
from tapegrad.scipy import stats as _ours


def _module(name: str) -> ModuleType:
    """A module whose names are the methods of a distribution."""
    module = ModuleType(f"{__name__}.{name}", f"The methods of {name}.")
    module.__spec__ = ModuleSpec(module.__name__, None)
    distribution = getattr(_ours, name)
    module.__getattr__ = lambda method: getattr(distribution, method)      # type: ignore[method-assign]
    return module


for _name in ("beta", "chi2", "dirichlet", "gamma", "multivariate_normal", "norm", "poisson", "t"):
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _module(_name)

__getattr__, __dir__ = face_of(_ours, globals())
