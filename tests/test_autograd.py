"""Beside autograd, where it is installed: the same functions, written once, give the same values and derivatives."""

import warnings

import numpy as np
import pytest

import tapegrad.compat.autograd as ours
import tapegrad.compat.autograd.numpy as ours_np
from tapegrad.compat.autograd import extend

theirs = pytest.importorskip("autograd")
theirs_np = pytest.importorskip("autograd.numpy")

X = np.array([0.5, -1.0, 2.0])
C = np.array([0.5 + 1j, -1.0 + 0.5j, 2.0 - 1j])
M = np.arange(9.0).reshape(3, 3) / 7 + np.eye(3)

SCALARS = {
    "elementwise": lambda F, x: F.sum(F.sin(x) * F.exp(-x ** 2) + F.tanh(x) / (1 + x ** 2)),
    "reductions": lambda F, x: F.mean(x) * F.std(x) + F.max(x) - F.prod(x),
    "indexing": lambda F, x: x[0] * x[-1] + F.sum(x[1:] ** 2) + F.dot(x, x[::-1]),
    "lists": lambda F, x: F.sum(F.array([x[0], x[1] * 2.0, 3.0]) * F.concatenate([x[:1], x[1:]])),
    "linalg": lambda F, x: F.linalg.det(M + F.outer(x, x)) + F.sum(F.linalg.solve(M, x)),
    "eigh": lambda F, x: F.sum(F.linalg.eigh(F.outer(x, x) + F.diag(x))[0] * np.array([1.0, 2.0, 3.0])),
    "where": lambda F, x: F.sum(F.where(x > 0, x ** 2, -x)) + F.sum(F.maximum(x, 0.3)),
    "einsum": lambda F, x: F.einsum("i,ij,j->", x, M, F.cos(x)),
    "fft": lambda F, x: F.sum(F.abs(F.fft.fft(x)) ** 2 * np.array([1.0, 2.0, 3.0])),
}


def agree(one, other):
    if isinstance(other, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(other, (list, tuple)):
        assert type(one) is type(other) and len(one) == len(other)
        for mine, its in zip(one, other):
            agree(mine, its)
        return
    assert np.shape(one) == np.shape(other)
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def both(call, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(call(ours, ours_np)(*args), call(theirs, theirs_np)(*args))


@pytest.mark.parametrize("function", SCALARS.values(), ids=SCALARS)
@pytest.mark.parametrize("operator", ["grad", "value_and_grad", "hessian"])
def test_scalars(function, operator):
    both(lambda A, F: getattr(A, operator)(lambda x: function(F, x)), X)


@pytest.mark.parametrize("operator", ["jacobian", "elementwise_grad", "deriv"])
def test_vectors(operator):
    both(lambda A, F: getattr(A, operator)(lambda x: F.sin(x) * x[0]), X)


def test_products():
    f = SCALARS["elementwise"]
    both(lambda A, F: A.hessian_vector_product(lambda x: f(F, x)), X, X + 1)
    both(lambda A, F: A.vector_jacobian_product(lambda x: F.sin(x) * x[0]), X, X + 1)
    both(lambda A, F: lambda v: A.make_jvp(lambda x: F.sin(x) * x[0])(X)(v), X + 1)
    both(lambda A, F: lambda v: A.make_vjp(lambda x: F.sin(x) * x[0])(X)[0](v), X + 1)
    both(lambda A, F: A.make_ggnvp(lambda x: F.sin(x) * x[0])(X), X + 1)


def test_structures():
    both(lambda A, F: A.grad(lambda p: F.sum(p["W"] * p["b"][0]) + p["b"][1] ** 2), {"W": X, "b": (2.0, 3.0), "c": [X]})
    both(lambda A, F: A.grad(lambda x, y: F.sum(x * y), [0, 1]), X, X + 1)


@pytest.mark.parametrize("function", [
    lambda F, z: F.sum(F.abs(z) ** 2), lambda F, z: F.real(F.sum(z ** 3)), lambda F, z: F.sum(F.imag(F.exp(z)) * F.angle(z))])
def test_complex(function):
    both(lambda A, F: A.grad(lambda z: function(F, z)), C)


def test_complex_operators():
    both(lambda A, F: A.holomorphic_grad(lambda z: F.sum(F.sin(z) * z)), C)
    both(lambda A, F: A.make_vjp(lambda z: z ** 2 * F.conj(z))(C)[0], C + 1j)
    both(lambda A, F: A.make_jvp(lambda z: z ** 2 * F.sin(z))(C), C + 1j)


def test_primitives():
    from autograd import extend as their_extend

    def call(A, F):
        E = extend if A is ours else their_extend
        f = E.primitive(lambda x, y: np.sum(x ** 2) * y)
        E.defvjp(f, lambda ans, x, y: lambda g: g * 2 * x * y, lambda ans, x, y: lambda g: g * F.sum(x ** 2))
        return A.hessian(lambda x: f(F.sin(x), x[0]))

    both(call, X)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_optimizers(name):
    from autograd.misc import optimizers as their_optimizers

    from tapegrad.compat.autograd.misc import optimizers

    both(lambda A, F: lambda x: getattr(optimizers if A is ours else their_optimizers, name)(
        A.grad(lambda p, i: F.sum((p["x"] - X) ** 2)), {"x": x}, num_iters=20), np.zeros(3))


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_scipy(mode):
    pytest.importorskip("scipy")
    import autograd.scipy.signal as their_signal
    import autograd.scipy.stats.norm as their_norm

    from tapegrad.compat.autograd.scipy import signal, stats

    both(lambda A, F: A.grad(lambda x: F.sum((stats.norm if A is ours else their_norm).logpdf(x, x[0], 2.0))), X)
    a, b = np.random.default_rng(0).normal(size=(2, 3, 5, 6)), np.random.default_rng(1).normal(size=(3, 4, 2, 3))
    both(lambda A, F: A.grad(lambda a, b: F.sum(F.sin((signal if A is ours else their_signal).convolve(
        a, b, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode=mode))), [0, 1]), a, b)
