"""tapegrad.scipy: every public name of SciPy's modules is there, with SciPy's signature, and is SciPy's without tensors."""

import importlib
import inspect

import numpy as np
import pytest

pytest.importorskip("scipy")

import tapegrad as tg  # noqa: E402

NAMES = [pytest.param(module, name, id=f"{module}.{name}") for module in tg.scipy.__all__
         for name in importlib.import_module(f"scipy.{module}").__all__]


@pytest.mark.parametrize("module, name", NAMES)
def test_every_name_is_there(module, name):
    """It is SciPy's object, or wraps it: no helper of ours hides a name of SciPy's."""
    theirs, ours = getattr(importlib.import_module(f"scipy.{module}"), name), getattr(getattr(tg.scipy, module), name)
    assert name in dir(getattr(tg.scipy, module))
    if isinstance(ours, type) and ours is not theirs:   # a class of ours in the place of SciPy's
        assert (ours.__name__, ours.__module__) == (name, f"tapegrad.scipy.{module}")
    elif ours is not theirs and not inspect.ismodule(theirs):
        assert ours.__wrapped__ is theirs or ours.__wrapped__ is getattr(theirs, "__wrapped__", None)
        if inspect.isfunction(theirs):
            assert str(inspect.signature(ours)) == str(inspect.signature(theirs))


@pytest.mark.parametrize("module, name", [("special", "nothing_like_it"), ("stats", "nothing_like_it")])
def test_a_name_that_is_not_there(module, name):
    with pytest.raises(AttributeError, match="nothing_like_it"):
        getattr(getattr(tg.scipy, module), name)
    with pytest.raises(AttributeError, match="no module"):
        tg.scipy.nothing_like_it  # noqa: B018
    assert isinstance(tg.scipy.special.comb(4, 2), (float, np.floating))
