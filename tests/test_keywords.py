"""An unknown keyword: the error says what to write, in every function and method that has an axis."""

import inspect
import pickle

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import functions


def with_an_axis():
    for where, place, names in (("tg.", tg, dir(functions)), ("tg.linalg.", tg.linalg, tg.linalg.__all__),
                                ("tg.fft.", tg.fft, tg.fft.__all__),
                                ("Tensor.", tg.Tensor, [name for name in dir(tg.Tensor) if not name.startswith("_")])):
        for name in names:
            function = getattr(place, name)
            if name == "apply_along_axis":              # it hands further keywords on
                continue
            if inspect.isfunction(function):
                found = [p for p in inspect.signature(function).parameters.values() if p.name in ("axis", "axes")]
                if found and found[0].kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
                    yield pytest.param(function, found[0].name, id=where + name)


FUNCTIONS = list(with_an_axis())


@pytest.mark.parametrize("function, name", FUNCTIONS)
def test_dim_is_answered_with_the_name_of_the_axis(function, name):
    with pytest.raises(TypeError, match=rf"{function.__name__}\(\) got an unexpected keyword argument 'dim'; write {name}=$"):
        parameters = list(inspect.signature(function).parameters.values())[1:]
        needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
        function(tg.tensor([1.0]), *[1 for _ in needed], dim=0)


def test_there_are_many():
    names = {parameter.id for parameter in FUNCTIONS}
    assert len(names) > 100 and {"tg.sum", "tg.softmax", "tg.stack", "tg.linalg.norm", "tg.fft.fft", "Tensor.mean"} <= names


@pytest.mark.parametrize("call, words", [
    (lambda x: tg.mean(x, keepdim=True), "keepdims="), (lambda x: x.std(keepdim=True), "keepdims="),
    (lambda x: tg.var(x, unbiased=False), "ddof="), (lambda x: tg.quantile(x, 0.5, interpolation="linear"), "method="),
    (lambda x: tg.sum(x, axsi=0), "axis="), (lambda x: x.logsumexp(keepdim=True), "keepdims=")])
def test_other_words(call, words):
    with pytest.raises(TypeError, match=f"; write {words}$"):
        call(tg.tensor([1.0, 2.0]))


@pytest.mark.parametrize("call, words", [
    (lambda x: tg.sum(x, nothing_like_it=0), r"nothing_like_it'$"),
    (lambda x: tg.sum(x, out=np.zeros(())), "out= would write"), (lambda x: tg.sum(), "missing 1 required")])
def test_other_errors_stay_as_they_are(call, words):
    with pytest.raises(TypeError, match=words):
        call(tg.tensor([1.0, 2.0]))


@pytest.mark.parametrize("function", [tg.sum, tg.linalg.norm, tg.fft.fft, tg.softmax], ids=lambda f: f.__name__)
def test_functions_can_be_pickled(function):
    assert pickle.loads(pickle.dumps(function)) is function
