"""`import autograd` gives tapegrad.compat.autograd, until uninstall()."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["install", "uninstall"]

THEIRS, OURS = "autograd", "tapegrad.compat.autograd"


def _is_theirs(name: str) -> bool:
    return name == THEIRS or name.startswith(f"{THEIRS}.")


class _Alias(Loader):
    """Loads a module of ours under the name of theirs: the module itself, not a copy."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(spec.name.replace(THEIRS, OURS, 1))
        self.spec = module.__spec__
        for name, loaded in list(sys.modules.items()):  # else their import would replace what the package has under their name
            if name.startswith(f"{OURS}."):
                sys.modules.setdefault(name.replace(OURS, THEIRS, 1), loaded)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec                     # which the import system has replaced by that of the alias


class _Finder(MetaPathFinder):
    """Finds `autograd` and its modules."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        if not _is_theirs(fullname) or find_spec(fullname.replace(THEIRS, OURS, 1)) is None:
            return None
        return ModuleSpec(fullname, _Alias(), is_package=True)


_finder = _Finder()
_before: dict[str, Any] = {}


def install() -> None:
    """Have `import autograd`, `import autograd.numpy as np` and the like give tapegrad.compat.autograd.

    To be called before the modules that import autograd are imported: what they have of it already stays as it is. An
    autograd that is installed is out of the way until uninstall().

    >>> tg.compat.autograd.install()
    >>> import autograd.numpy as anp
    >>> from autograd import grad
    >>> grad(anp.sin)(0.0)
    np.float64(1.0)
    >>> tg.compat.autograd.uninstall()
    """
    if _finder in sys.meta_path:
        return
    _before.update({name: sys.modules.pop(name) for name in list(sys.modules) if _is_theirs(name)})
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Undo install(): `import autograd` finds autograd again, where there is one.

    >>> tg.compat.autograd.install()
    >>> import autograd
    >>> autograd is tg.compat.autograd
    True
    >>> tg.compat.autograd.uninstall()
    """
    if _finder not in sys.meta_path:
        return
    sys.meta_path.remove(_finder)
    # A module that has been imported is found here, before any finder is asked: ours go, autograd's own come back.
    for name in [name for name in sys.modules if _is_theirs(name)]:
        del sys.modules[name]
    sys.modules.update(_before)
    _before.clear()
