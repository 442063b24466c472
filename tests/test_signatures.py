"""The functions and methods under NumPy's names take NumPy's arguments: the same names, order, kinds and defaults."""

import inspect

import numpy as np
import pytest

import tapegrad as tg

# Parameters of NumPy's that are not taken, and why.
NOT_TAKEN = {
    "device": "there is one",
    "like": "what is made is a tensor",
    "ndmax": "for arrays of objects, from NumPy 2.4 on",
    "descending": "from NumPy 2.5 on",
}
NOT_TAKEN_BY = {
    "corrcoef": ({"dtype"}, "the operand's .astype() says the same"),
    "cov": ({"fweights", "aweights", "dtype"}, "every observation counts once; for dtype, see corrcoef"),
    "interp": ({"period"}, "the points are on a line"),
    "pad": ({"kwargs", "constant_values"}, "NumPy's are those of other modes, too"),
    "clip": ({"kwargs"}, "those of a ufunc"),
    "from_dlpack": ({"copy"}, "the data are always copied"),
    **dict.fromkeys(("quantile", "percentile", "nanquantile", "nanpercentile"),
                    ({"weights"}, "for method='inverted_cdf' only")),
}
OF_METHODS = {
    "astype": ({"order", "casting", "subok", "copy"}, "every cast is allowed and gives a new tensor of some layout"),
    "item": ({"args"}, "the tensor has one element"),
}
OUR_OWN = {"load", "save", "show_config"}               # another thing under the same name
NOT_GIVEN = inspect.signature(np.sum).parameters["initial"].default


def parameters(function):
    """The parameters of a function, or None where it does not say."""
    try:
        return [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "requires_grad")]
    except (TypeError, ValueError):
        return None


def passes_all_on(taken):
    return [p.kind for p in taken] == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]


def pairs(numpy, ours, names):
    """(NumPy's function, ours) under each name, where NumPy's says what it takes. A ufunc's operands are positional."""
    for name in names:
        theirs = getattr(numpy, name, None)
        if callable(theirs) and not isinstance(theirs, (type, np.ufunc)) and name not in OUR_OWN:
            if parameters(theirs) is not None:
                yield name, theirs, getattr(ours, name)


FUNCTIONS = [pytest.param(*found, id=f"{numpy.__name__}.{found[0]}")
             for numpy, ours in ((np, tg), (np.linalg, tg.linalg), (np.fft, tg.fft)) for found in pairs(numpy, ours, dir(ours))]
METHODS = [pytest.param(*found, id=found[0])
           for found in pairs(np.ndarray, tg.Tensor, [name for name in dir(tg.Tensor) if not name.startswith("_")])]


@pytest.mark.parametrize("name, theirs, ours", FUNCTIONS)
def test_functions(name, theirs, ours):
    not_taken, taken = {*NOT_TAKEN, *NOT_TAKEN_BY.get(name, ((), ""))[0]}, parameters(ours)
    if passes_all_on(taken):
        return
    wanted = [p for p in parameters(theirs) if p.name not in not_taken]
    taken = [p for p in taken if p.name not in not_taken]
    assert [(p.name, p.kind) for p in taken] == [(p.name, p.kind) for p in wanted]
    for p, q in zip(taken, wanted):
        assert q.default is NOT_GIVEN or p.default is q.default or p.default == q.default, p


@pytest.mark.parametrize("name, theirs, ours", METHODS)
def test_methods(name, theirs, ours):
    """A method may take more than NumPy's, behind; what NumPy takes by position only may also be named."""
    not_taken = {"kwargs", *NOT_TAKEN, *OF_METHODS.get(name, ((), ""))[0]}
    wanted = [p for p in parameters(theirs) if p.name not in not_taken]
    taken = parameters(ours)[:len(wanted)]
    assert [p.name for p in taken] == [p.name for p in wanted]
    assert [p.default for p in taken] == [p.default for p in wanted]


def test_there_is_something_to_compare():
    names = {parameter.values[0] for parameter in (*FUNCTIONS, *METHODS)}
    assert {"sum", "reshape", "concatenate", "quantile"} <= names


X = np.arange(12.0).reshape(3, 4) / 7 - 0.5


@pytest.mark.parametrize("call", [
    lambda F, x: F.sum(x, 0, np.float32), lambda F, x: F.sum(x, axis=1, keepdims=1),
    lambda F, x: F.sum(x, 0, None, None, True, 2.0),
    lambda F, x: F.mean(a=x, axis=0, out=None), lambda F, x: F.max(x, 0, None, 1),
    lambda F, x: F.std(x, 0, None, None, 1, True),
    lambda F, x: F.argmax(x, 1, keepdims=1), lambda F, x: F.nansum(x, 0, None, None, 1),
    lambda F, x: F.median(x, 0, keepdims=1),
    lambda F, x: F.average(x, keepdims=1), lambda F, x: F.ptp(x, 0, None, True), lambda F, x: F.nanmax(x, 0, None, True),
    lambda F, x: F.reshape(x, shape=(2, 6)), lambda F, x: F.reshape(x, (2, -1), "F"), lambda F, x: F.reshape(x, 12, order="F"),
    lambda F, x: F.reshape(x, (3, 2, 2), order="F", copy=True), lambda F, x: F.ravel(x, order="F"), lambda F, x: F.ravel(a=x),
    lambda F, x: F.transpose(x, axes=(1, 0)), lambda F, x: F.permute_dims(x, axes=[1, 0]), lambda F, x: F.transpose(x, None),
    lambda F, x: F.concatenate([x, x], 1, None, dtype=np.float32), lambda F, x: F.concat([x, x], axis=None, casting="no"),
    lambda F, x: F.stack(arrays=[x, x], axis=1, out=None, dtype="f4", casting="unsafe"),
    lambda F, x: F.vstack([x, x], dtype="f4"),
    lambda F, x: F.hstack(tup=[x, x], casting="same_kind"), lambda F, x: F.take(x, [1, 2], 0, None, "wrap"),
    lambda F, x: F.trace(x, 1, dtype=np.float32), lambda F, x: F.compress([True, False], x, 0, None),
    lambda F, x: F.tile(A=x, reps=2),
    lambda F, x: F.choose([0, 1, 0, 1], [x[0], x[1]], None, "raise"),
    lambda F, x: F.broadcast_to(array=x, shape=(2, 3, 4), subok=True),
    lambda F, x: F.full_like(x, 2.0, np.float32, "C", False, (2,)), lambda F, x: F.array(x, ndmin=4), lambda F, x: F.flip(m=x),
    lambda F, x: F.insert(arr=x, obj=1, values=0.0, axis=1), lambda F, x: F.diff(a=x, prepend=0.0), lambda F, x: F.diag(v=x),
])
def test_values(call):
    """Calls in NumPy's own ways give NumPy's values and dtypes."""
    got, expected = call(tg, tg.tensor(X)), call(np, X)
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_allclose(got.data, expected, rtol=1e-6)


@pytest.mark.parametrize("method", [
    lambda x: x.sum(0, np.float32), lambda x: x.sum(axis=0, keepdims=1), lambda x: x.max(0, None, True),
    lambda x: x.var(0, None, None, 1),
    lambda x: x.reshape(2, 6), lambda x: x.reshape((2, 6), order="F"), lambda x: x.reshape(-1), lambda x: x.transpose(1, 0),
    lambda x: x.transpose((1, 0)), lambda x: x.transpose(), lambda x: x.transpose(None), lambda x: x.flatten("F"),
    lambda x: x.ravel("F"),
    lambda x: x.take([0, 1], 0, None, "clip"), lambda x: x.all(1, keepdims=True), lambda x: x.argmin(0, None, keepdims=True),
    lambda x: x.argsort(1, "stable"), lambda x: x.round(1), lambda x: x.clip(-0.2, max=0.5),
    lambda x: x.trace(0, 0, 1, np.float32),
])
def test_values_of_methods(method):
    got, expected = method(tg.tensor(X)), method(X)
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_allclose(got.data, expected, rtol=1e-6)


@pytest.mark.parametrize("call", [
    lambda x: tg.reshape(x, (2, 6), order="F") * np.arange(12.0).reshape(2, 6), lambda x: tg.ravel(x, "F") * np.arange(12.0),
    lambda x: tg.concatenate([x, 2 * x], dtype=np.float64), lambda x: tg.stack([x, x], dtype=np.float64) * [[[1.0]], [[3.0]]],
    lambda x: tg.array([x, 3 * x], ndmin=5), lambda x: tg.trace(x, 1, dtype=np.float64),
])
def test_gradients(call):
    tg.gradcheck(call, X, order=2)


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: tg.sum(x, 0, True), TypeError, ["sum", "dtype=True", "keepdims="]),
    (lambda x: tg.concatenate([x, x], dtype=int), TypeError, ["concatenate", "float64", "int64", "same_kind"]),
    (lambda x: tg.stack([x, x], 0, np.zeros((2, 3, 4))), TypeError, ["stack", "out="]),
    (lambda x: tg.take(x, [0], 0, np.zeros(4)), TypeError, ["take", "out="]),
    (lambda x: x.all(0, np.zeros(4, bool)), TypeError, ["all", "out="]),
    (lambda x: tg.reshape(x, (2, 6), order="A"), ValueError, ["reshape", "order='A'"]),
])
def test_errors(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.tensor(X))
    assert all(word in str(caught.value) for word in words), caught.value
