"""tg.compile: derivatives of a compiled function, of any order, are those of the function; so are hooks and the tape."""

import numpy as np
import pytest
from compiled_calls import strict, x_of

import tapegrad as tg
from tapegrad.errors import ConsumedTapeError


def test_several_results_run_backward_once_or_one_by_one():
    @strict
    def f(x, y):
        return x * y, tg.exp(x), y.detach() * 2, x

    for together in (True, False, True):
        x, y = x_of(2.0), x_of(3.0)
        for _ in range(2):
            u, v, w, same = f(x, y)
            assert same is x and not w.requires_grad
            x.grad = y.grad = None
            if together:
                (u + v).sum().backward()
            else:
                u.backward()
                v.backward()
            np.testing.assert_allclose([x.grad[0], y.grad[0]], [3 + np.exp(2), 2])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_any_order_of_derivatives(order):
    def f(x):
        return (tg.tanh(x) * x ** 3).sum()

    compiled, expected = strict(f), f
    found = compiled
    for _ in range(order):
        found, expected = tg.elementwise_grad(found), tg.elementwise_grad(expected)
    for x in (np.array([0.3, 1.0]), np.array([0.4, 2.0])):
        np.testing.assert_allclose(found(x), expected(x), rtol=1e-11)
    assert compiled.cache[0].replays


@pytest.mark.parametrize("transform", [tg.grad, tg.value_and_grad, tg.jacobian, tg.hessian])
def test_transforms_of_compiled_functions(transform):
    def f(x):
        return (x[1:] * tg.sin(x[:-1])).sum() if transform is not tg.jacobian else x[1:] * tg.sin(x[:-1])

    compiled = strict(f)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=4)
        for found, expected in zip(transform(compiled)(x), transform(f)(x)):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        for found, expected in zip(tg.jvp(compiled, (x,), (x,)), tg.jvp(f, (x,), (x,))):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert tg.gradcheck(compiled, np.arange(1.0, 4.0), order=2)


def test_consumed_tapes_and_retain_graph():
    f = strict(lambda x: (x * x).sum())
    x = x_of(3.0)
    f(x)
    z = f(x)
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(ConsumedTapeError, match="consumed"):
        z.backward()
    u = x * 2
    v = f(u)
    v.backward()
    with pytest.raises(ConsumedTapeError):
        f(u).backward()


def test_hooks_and_retained_gradients_around():
    f = strict(lambda x: x * 3)
    for _ in range(3):
        x, seen = x_of(2.0), []
        x.register_hook(seen.append)
        y = x * 2
        y.retain_grad()
        z = f(y)
        z.retain_grad()
        z.register_hook(lambda d: d * 10)
        z.backward()
        assert y.grad.item() == 30.0 and x.grad.item() == 60.0 and len(seen) == 1


@pytest.mark.parametrize("inside", ["hook", "retain"])
def test_hooks_inside_are_run_as_they_are(inside):
    seen = []

    def f(x):
        y = x * 2
        if inside == "hook":
            y.register_hook(seen.append)
        else:
            y.retain_grad()
        return y * 3

    compiled = tg.compile(f, fallback="silent")
    for _ in range(3):
        x = x_of(1.0)
        compiled(x).backward()
        assert x.grad.item() == 6.0
    assert len(seen) == (3 if inside == "hook" else 0)


def test_checkpoints_and_user_primitives_inside_and_around():
    @tg.primitive(lambda delta, out, x: delta * 3 * x ** 2, name="cube_of_compile")
    def cube(x):
        return x ** 3

    f = strict(lambda x: tg.checkpoint(lambda x: cube(tg.sin(x)))(x))
    around = tg.checkpoint(f)
    for value in (1.0, 2.0, 3.0):
        expected = 3 * np.sin(value) ** 2 * np.cos(value)
        for g in (f, around):
            x = x_of(value)
            g(x).backward()
            np.testing.assert_allclose(x.grad, [expected])


def test_what_a_users_rule_keeps_stays_as_it_is():
    """It has no part in the memory of a program, over which later instructions and calls write."""
    kept = []

    def rule(delta, out, x):
        kept.extend([(value, value.copy()) for value in (delta, out, x)])
        return delta * 3 * x ** 2

    cube = tg.primitive(rule, name="cube_that_keeps")(lambda x: x ** 3)
    f = strict(lambda x: tg.tanh(cube(tg.sin(x) * 2)).sum())
    for end in (1.0, 2.0, 3.0):
        f(x_of(*np.linspace(0.0, end, 600))).backward()
    assert len(kept) == 9
    for value, copy in kept:
        np.testing.assert_array_equal(value, copy)


def test_what_has_no_register_ends_derivatives():
    @strict
    def f(x):
        with tg.no_grad():
            y = tg.exp(x)
        return x * x.detach() * y + y.sum() * x

    for value in (1.0, 2.0):
        x = x_of(value)
        f(x).backward()
        np.testing.assert_allclose(x.grad, [value * np.exp(value) + np.exp(value)])


def twice(h):
    """(compiled, x, y) of a function of two leaves that has been called twice."""
    compiled = tg.compile(h, fallback="error")
    x, y = [tg.tensor(v, requires_grad=True) for v in (0.5, 2.0)]
    for _ in range(2):
        compiled(x, y).backward()
    x.grad = y.grad = None
    return compiled, x, y


def test_gradients_of_a_replay_accumulate_and_belong_to_the_caller():
    compiled, x, y = twice(lambda x, y: x * y + x)
    compiled(x, y)                                      # its entry is dead, and before the next on the tape
    compiled(x, y).backward()
    first = x.grad
    assert x.grad == 3.0 and y.grad == 0.5
    compiled(x, y).backward(np.array(2.0))
    assert x.grad == 9.0 and y.grad == 1.5 and first.base is None and len(tg.tape()) == 0
    compiled(x, x).backward()
    assert x.grad == 9.0 + 2.0
    x.grad[...] = 7.0
    compiled(x, y).backward()
    assert x.grad == 10.0


def test_hooks_and_graphs_of_a_replay_are_those_of_a_sweep():
    compiled, x, y = twice(lambda x, y: x * y)
    remove = x.register_hook(lambda d: d * 10)
    z = compiled(x, y)
    z.register_hook(lambda d: d * 3)
    z.backward(retain_graph=True)
    assert x.grad == 60.0 and y.grad == 1.5
    remove()
    z.backward()
    assert x.grad == 66.0
    with pytest.raises(ConsumedTapeError):
        z.backward()
    assert tg.autograd.grad(tg.autograd.grad(compiled(x, y), x, create_graph=True)[0], y)[0] == 1.0


def test_a_result_that_is_read_after_it_is_not_the_end_of_the_tape():
    compiled, x, y = twice(lambda x, y: x * y)
    z = compiled(x, y)
    later = z * x
    z.backward()
    assert x.grad == 2.0
    with pytest.raises(ConsumedTapeError):
        later.backward()
    compiled(x * 2, y).backward()
    assert x.grad == 2.0 + 4.0
