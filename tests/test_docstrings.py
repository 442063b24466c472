"""The documentation in the code: every public name has a docstring with an example, and every example runs."""

import doctest
import inspect
from importlib.util import find_spec

import numpy as np
import pytest

import tapegrad as tg

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FINDER = doctest.DocTestFinder(exclude_empty=True)
PLACES = {"tg": tg} | {f"tg.{name}": getattr(tg, name) for name in tg.MODULES if name != "scipy"}
PLACES |= {"tg.nn.init": tg.nn.init, "tg.nn.utils": tg.nn.utils,
           "tg.optim.lr_scheduler": tg.optim.lr_scheduler}
if find_spec("scipy"):
    PLACES |= {f"tg.scipy.{name}": getattr(tg.scipy, name) for name in tg.scipy.__all__}


def names_of(place):
    """A module's public names; those of tapegrad itself are what it lists."""
    return [name for name in (dir(place) if place is tg else place.__all__) if not name.startswith("_")]


def is_ours(value):
    """Whether it is a function or class of tapegrad; NumPy's and SciPy's, where there is nothing to add, have their own
    text."""
    text = getattr(getattr(value, "__wrapped__", None), "__doc__", None)
    where = getattr(value, "__module__", None) or ""
    return callable(value) and where.startswith("tapegrad") and (text is None or value.__doc__ != text)


PUBLIC = {f"{where}.{name}": getattr(place, name) for where, place in PLACES.items() for name in names_of(place)
          if is_ours(getattr(place, name))}
# What shares its docstring, as tg.pow and tg.power do, is run under its first name.
EXAMPLES = {inspect.unwrap(value): (name, value) for name, value in reversed(PUBLIC.items())}
EXAMPLES = sorted([(name, tests) for name, value in EXAMPLES.values()
                   if (tests := [test for test in FINDER.find(value, name, module=False) if test.examples])],
                  key=lambda pair: pair[0])


def is_result(value):
    """A named tuple that a function returns; that function's docstring shows it."""
    return inspect.isclass(value) and issubclass(value, tuple)


def test_every_public_name_has_a_docstring_with_an_example():
    without = [name for name, value in PUBLIC.items() if not is_result(value) and ">>>" not in (value.__doc__ or "")]
    assert not without, f"{len(without)} of {len(PUBLIC)} have no example: {' '.join(without)}"


def test_every_public_method_has_a_docstring():
    without = [f"{name}.{member}" for name, value in PUBLIC.items() if inspect.isclass(value) and not is_result(value)
               for member in dir(value) if not member.startswith("_") and not inspect.getdoc(getattr(value, member))
               and (callable(getattr(value, member)) or isinstance(getattr(value, member), property))]
    assert not without, f"{len(without)} have no docstring: {' '.join(without)}"


@pytest.mark.parametrize("tests", [tests for _, tests in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_examples(tests, capsys):
    for test in tests:
        test.globs = {"tg": tg, "np": np, "__name__": "example"}
        failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(test)
        assert tried and not failed, capsys.readouterr().out
