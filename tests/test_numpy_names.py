"""tapegrad.numpy: every name of NumPy, NumPy's results without tensors, tensors with them, and refusals where a gradient would
go."""

import inspect
import subprocess
import sys
import types

import numpy
import pytest

import tapegrad as tg
import tapegrad.numpy as np
from tapegrad import functions
from tapegrad.errors import DtypeError, GradientError

MODULES = [(numpy, np), (numpy.linalg, np.linalg), (numpy.fft, np.fft), (numpy.random, np.random)]
NAMES = [pytest.param(theirs, ours, name, id=f"{theirs.__name__}.{name}") for theirs, ours in MODULES
         for name in dir(theirs) if not name.startswith("__")]
X = numpy.array([[1.0, 2.0], [3.0, 5.0]])


def signature(function):
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return None


@pytest.mark.parametrize("theirs, ours, name", NAMES)
def test_every_name_is_there(theirs, ours, name):
    one, other = getattr(theirs, name), getattr(ours, name)
    assert name in dir(ours)
    if name in ("c_", "r_"):
        assert other.theirs is one and other.__doc__ == one.__doc__
    elif isinstance(one, type) or not callable(one):
        assert other is one or isinstance(one, types.ModuleType) or theirs is numpy.random
    else:
        assert callable(other) and signature(other) == signature(one) and other.__doc__ == one.__doc__
        assert getattr(other, "__name__", None) == getattr(one, "__name__", getattr(other, "__name__", None))


def test_every_function_of_tapegrad_is_under_its_name():
    """A name that NumPy and tapegrad share is tapegrad's for tensors; else a gradient would be refused that there is."""
    x = tg.tensor(X, requires_grad=True)
    for name in ("sum", "tanh", "reshape", "median", "poly", "concatenate", "std"):
        z = getattr(np, name)([x, x] if name == "concatenate" else x, *([4] if name == "reshape" else []))
        assert isinstance(z, tg.Tensor) and z.requires_grad, name
    assert hasattr(functions, "sum")


HISTOGRAM = lambda F, x: F.histogram([x[0, 0], 2.0])[0]  # noqa: E731
CALLS = [
    lambda F, x: F.sum(x, 0), lambda F, x: F.add(x, 1.0), lambda F, x: F.mean(a=x, axis=1), lambda F, x: F.linalg.inv(x),
    lambda F, x: F.multiply(2.0, x), lambda F, x: F.fft.rfft(x), lambda F, x: F.stack((x, x)),
    lambda F, x: F.where(x > 2.5, x, 0.0),
    lambda F, x: F.sum([x, 2 * x]), lambda F, x: F.array([x[0], x[1]]), lambda F, x: F.dot(x, x),
    lambda F, x: F.linalg.norm([x, x]),
    lambda F, x: F.concatenate(([x[0], x[1]], [x[0], x[1]])), lambda F, x: F.einsum("ij,jk->ik", x, x),
    lambda F, x: F.asarray(x),
    lambda F, x: F.copy(x), lambda F, x: F.ascontiguousarray(x), lambda F, x: F.require(x),
    lambda F, x: F.asarray([x[0], x[1]]),
    lambda F, x: F.asarray_chkfinite(x), lambda F, x: F.asfortranarray(x),
    lambda F, x: F.add.reduce(x, axis=1), lambda F, x: F.broadcast_arrays(x, 1.0)[1], HISTOGRAM,
    lambda F, x: F.r_[x[0], 1:4, 2.0, x[1]], lambda F, x: F.c_[x, x[0]], lambda F, x: F.r_["1", x, x],
    lambda F, x: F.c_[x[0], [1, 2]],
    lambda F, x: F.full((2, 2), x[0, 0]), lambda F, x: F.linspace(x[0], 2.0, 3), lambda F, x: F.max(x, axis=(0, 1)),
]


@pytest.mark.parametrize("call", CALLS)
def test_values(call):
    """Without a tensor, what NumPy gives: the same type, dtype and bits; with one that requires nothing, these values."""
    expected, plain, from_tensor = call(numpy, X), call(np, X), call(np, tg.tensor(X))
    assert type(plain) is type(expected) and plain.dtype == expected.dtype
    numpy.testing.assert_array_equal(plain, expected)
    numpy.testing.assert_allclose(getattr(from_tensor, "data", from_tensor), expected, rtol=1e-15)


@pytest.mark.parametrize("call", [call for call in CALLS if call is not HISTOGRAM])
def test_gradients(call):
    def function(x):
        z = call(np, x)
        assert isinstance(z, tg.Tensor)
        return z if z.dtype.kind == "f" else tg.real(z) ** 2 + tg.imag(z)

    tg.gradcheck(function, X, order=2)


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: np.histogram(x), GradientError, "np.histogram"),
    (lambda x: np.setdiff1d(x, [1.0]), GradientError, "detach"),
    (lambda x: np.histogram(X, weights=x), GradientError, "weights"),
    (lambda x: np.random.normal(x), GradientError, "lost"), (lambda x: np.add(x, x, dtype="f4"), DtypeError, "np.add"),
    (lambda x: np.float32(x[0, 0]), GradientError, "lost"),
    (lambda x: np.copyto(X.copy(), x), DtypeError, "copyto"), (lambda x: np.add(x, x, out=X.copy()), DtypeError, "out"),
    (lambda x: np.put([1.0, 2.0], [0], x[0, 0]), DtypeError, "put"), (lambda x: np.vectorize(abs)(x), GradientError, "lost"),
])
def test_refused(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.tensor(X, requires_grad=True))
    assert words in str(caught.value) or "requires" in str(caught.value)


def test_what_only_asks_is_answered():
    x = tg.tensor(X, requires_grad=True)
    assert np.shape(x) == (2, 2) and np.ndim(x) == 2 and np.result_type(x, numpy.float32) == numpy.float64
    assert np.isscalar(x) is False and np.iterable(x)


def test_under_no_grad_values_are_read():
    with tg.no_grad():
        assert np.histogram(tg.tensor(X, requires_grad=True))[0].sum() == 4


WRITTEN = [
    (lambda F, x, y: F.put(x, [0, -1, 2], y), 2), (lambda F, x, y: F.put(x, [5, 7], y[0], "wrap"), 1),
    (lambda F, x, y: F.put(x, [1, 9], y, mode="clip"), 2), (lambda F, x, y: F.putmask(x, MASK, y), 2),
    (lambda F, x, y: F.place(x, MASK, y), 2),
    (lambda F, x, y: F.put_along_axis(x, numpy.array([[1], [0]]), y.reshape(2, 1), 1), 2),
    (lambda F, x, y: F.put_along_axis(x, numpy.array([3, 0]), y, None), 2), (lambda F, x, y: F.fill_diagonal(x, y), 2),
    (lambda F, x, y: F.copyto(x, y), 2), (lambda F, x, y: F.copyto(x, y, where=MASK), 2),
    (lambda F, x, y: F.putmask(x, ~MASK, y), 3),
]
MASK = numpy.array([[True, False], [True, True]])


@pytest.mark.parametrize("write, n", WRITTEN)
def test_writing(write, n):
    """x becomes what NumPy makes of it, and what was written, and what stayed, has its derivative."""
    y = numpy.array([7.0, -2.0, 0.5])[:n]
    held = X.copy()
    write(numpy, held, y)

    def function(x, y):
        x = x * 1
        assert write(np, x, y) is None
        return x

    numpy.testing.assert_array_equal(function(tg.tensor(X), tg.tensor(y)).data, held)
    tg.gradcheck(function, X, y, order=2)
    array = X.copy()
    assert write(np, array, y) is None
    numpy.testing.assert_array_equal(array, held)


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: tg.put(x, [4], 1.0), IndexError, "put"), (lambda x: tg.put(x, [0], 1.0, "around"), ValueError, "mode"),
    (lambda x: tg.place(x, [True], 1.0), ValueError, "mask"), (lambda x: tg.place(x, MASK, []), ValueError, "nothing"),
    (lambda x: tg.fill_diagonal(x[0], 1.0), ValueError, "two axes"),
    (lambda x: tg.copyto(x, numpy.ones(2) * 1j), TypeError, "casting"),
    (lambda x: tg.put_along_axis(x, [0], 1.0, 1), ValueError, "axes"), (lambda x: tg.polyder(x[0], -1), ValueError, "polyint"),
    (lambda x: tg.poly(tg.ones((2, 3))), ValueError, "square"), (lambda x: tg.polyadd(x, x), ValueError, "vector"),
    (lambda x: tg.polyint(x[0], 3, [1.0, 2.0]), ValueError, "constants"),
    (lambda x: tg.polyfit(x[0], tg.ones(3), 1), ValueError, "polyfit"),
    (lambda x: tg.polyfit(x[0], x[1], 1, cov=True), ValueError, "unscaled"),
    (lambda x: tg.trim_zeros(x, "x"), ValueError, "trim"),
    (lambda x: tg.piecewise(x, [x > 0], [1.0, 2.0, 3.0]), ValueError, "conditions"),
    (lambda x: tg.polyint(x, -1), ValueError, "polyder"),
    (lambda x: tg.polyfit(x[0], x[1], 1, w=[1.0]), ValueError, "weights"),
    (lambda x: tg.apply_over_axes(lambda x, axis: x.sum(), x, 0), ValueError, "drop one"),
    (lambda x: tg.apply_along_axis(tg.sum, 0, x[:, :0]), ValueError, "no vector"),
])
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call(tg.tensor(X))


def test_star_import_and_submodules():
    code = ("from tapegrad.numpy import *\nfrom tapegrad.numpy.linalg import inv\nfrom tapegrad.numpy import random, fft, pi\n"
            "import tapegrad as tg, numpy\nprint(sum(tg.ones(2)), random.default_rng is numpy.random.default_rng, pi)")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "tensor(2.) True 3.141592653589793\n"


def test_it_is_loaded_when_asked_for():
    # A fresh process tells by its sys.modules, which is public, what was loaded.
    code = ("import sys, tapegrad.numpy as np\nnp.sum([1.0, 2.0])\n"
            "print(*[m for m in ('numba', 'scipy', 'tapegrad.functions.polynomials') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_name_that_numpy_does_not_have():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        getattr(np, "nothing_like_it")  # noqa: B009
