"""The short way of a gradient that is not inside of another one, on an empty tape, gives what the long way gives."""

import threading

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import errors

X = np.array([0.5, -1.0, 2.0])


def f(x):
    return (tg.sin(x) * x[0]).sum() + tg.tanh(x[1] * x[2])


def both_ways(run):
    """(run() on an empty tape, run() where the tape holds an entry)"""
    assert not len(tg.tape())
    short = run()
    held = tg.tensor(1.0, requires_grad=True) * 2.0
    long = run()
    assert held.requires_grad
    return short, long


def test_values_gradients_and_types():
    (value, gradient), long = both_ways(lambda: tg.value_and_grad(f)(X))
    for one, other in zip((value, gradient), long):
        assert type(one) is type(other) is np.ndarray
        np.testing.assert_array_equal(one, other)
    tg.gradcheck(f, X)
    np.testing.assert_array_equal(gradient, tg.vjp(f, X)[1](1.0)[0])


def test_a_tensor_from_outside():
    """The gradient can then be differentiated by it."""
    w = tg.tensor(3.0, requires_grad=True)
    value, gradient = tg.value_and_grad(lambda x: w * x * x)(2.0)
    assert value.item() == 12.0 and gradient.item() == 12.0
    gradient.backward()
    assert w.grad == 4.0


def test_nothing_is_left_on_the_tape():
    for _ in range(3):
        tg.grad(f)(X)
        assert not tg.tape().entries
    with pytest.raises(ZeroDivisionError):
        tg.grad(lambda x: 1 / 0)(X)
    np.testing.assert_array_equal(*both_ways(lambda: tg.grad(f)(X)))


def test_what_the_function_keeps_can_be_walked_back():
    def run():
        kept = []
        tg.grad(lambda x: (kept.extend([x, x * 2]), f(x))[1])(X)
        kept[1].sum().backward()
        return kept[0].grad

    for found in both_ways(run):
        np.testing.assert_array_equal(found, [2, 2, 2])


@pytest.mark.parametrize("factor", [1.0, tg.tensor(1.0, requires_grad=True)], ids=["apart", "with a tensor from outside"])
def test_hooks_are_called_once(factor):
    def run():
        called = []

        def hooked(x):
            y = x * factor
            x.register_hook(lambda d: called.append("x") or d * 2)
            y.register_hook(lambda d: called.append("y") or d * 3)
            return y.sum()

        found = tg.grad(hooked)(X)
        return np.asarray(getattr(found, "data", found)), called

    for found, called in both_ways(run):
        np.testing.assert_array_equal(found, [6, 6, 6])
        assert called == ["y", "x"]


def test_what_a_backward_inside_has_consumed():
    def consuming(x):
        y = (x * x).sum()
        y.backward()
        return y + x.sum()

    for _ in range(2):
        with pytest.raises(errors.ConsumedTapeError):
            tg.grad(consuming)(X)
        held = tg.tensor(1.0, requires_grad=True) * 2.0  # noqa: F841     the second time the tape is not empty

    def in_vain(x):
        x.sum().backward()
        return (x * x).sum()

    np.testing.assert_array_equal(tg.grad(in_vain)(X), 2 * X)


class TestThreads:
    @staticmethod
    def elsewhere(g):
        found = []
        worker = threading.Thread(target=lambda: found.append(g()))
        worker.start()
        worker.join()
        return found[0]

    @pytest.mark.parametrize("g", [lambda y: y.sum(), lambda y: (y * 2.0).sum(), lambda y: (y * y).sum()])
    @pytest.mark.parametrize("transform", [tg.grad, tg.jacobian, lambda g: lambda x: tg.vjp(g, x),
                                           lambda g: tg.grad(tg.checkpoint(g))])
    def test_a_detour_is_refused(self, g, transform):
        """Of what another thread has computed from the argument there would be no gradient."""
        fun = transform(lambda x: g(self.elsewhere(lambda: tg.sin(tg.exp(x)))) + x.sum())
        held = None
        for _ in range(2):
            with pytest.raises(errors.ThreadError, match="another thread has computed from its argument"):
                fun(X)
            held = tg.tensor(1.0, requires_grad=True) * 2.0
        assert held.requires_grad

    def test_what_does_not_depend_on_the_argument_is_a_factor(self):
        w = tg.tensor(3.0, requires_grad=True)
        factor = self.elsewhere(lambda: w * 2.0)
        for found in both_ways(lambda: tg.grad(lambda x: factor * x * x)(5.0)):
            assert found.item() == 60.0
