"""The documentation in the code: every public name has a docstring with an example, and every example runs."""

import doctest
import inspect

import numpy as np
import pytest
from public_names import PUBLIC, errors

import tapegrad as tg

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FINDER = doctest.DocTestFinder(exclude_empty=True)
# What shares its docstring, as tg.pow and tg.power do, is run under its first name.
ALL = PUBLIC | {f"tg.errors.{name}": value for name, value in errors().items()}
EXAMPLES = {inspect.unwrap(value): (name, value) for name, value in reversed(ALL.items())}
EXAMPLES = sorted([(name, tests) for name, value in EXAMPLES.values()
                   if (tests := [test for test in FINDER.find(value, name, module=False) if test.examples])],
                  key=lambda pair: pair[0])


def is_result(value):
    """A named tuple that a function returns; that function's docstring shows it."""
    return inspect.isclass(value) and issubclass(value, tuple)


def test_every_public_name_has_a_docstring_with_an_example():
    without = [name for name, value in ALL.items() if not is_result(value) and ">>>" not in (value.__doc__ or "")]
    without.remove("tg.errors.DistributedError")        # it needs several processes
    assert not without, f"{len(without)} of {len(ALL)} have no example: {' '.join(without)}"


def test_every_public_method_has_a_docstring():
    without = [f"{name}.{member}" for name, value in PUBLIC.items() if inspect.isclass(value) and not is_result(value)
               for member in dir(value) if not member.startswith("_") and not inspect.getdoc(getattr(value, member))
               and (callable(getattr(value, member)) or isinstance(getattr(value, member), property))]
    assert not without, f"{len(without)} have no docstring: {' '.join(without)}"


def names_of_autograd():
    """autograd's names stand in its examples as they do in programs, after `from autograd import grad`."""
    module = tg.compat.autograd
    return {**vars(module.test_util), **vars(module.extend), **vars(module), "anp": module.numpy}


@pytest.mark.parametrize("tests", [tests for _, tests in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_examples(tests, capsys):
    for test in tests:
        test.globs = {"tg": tg, "np": np, "__name__": "example", **(names_of_autograd() if ".compat." in test.name else {})}
        failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(test)
        assert tried and not failed, capsys.readouterr().out
