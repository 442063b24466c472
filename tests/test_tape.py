"""The tape: what it lists, under which names, what leaves it, and who may use it."""

import platform
import threading
import tracemalloc

import numpy as np
import pytest
from page_faults import faults

import tapegrad as tg
from tapegrad import errors


def leaf(*shape, name=None, seed=0):
    return tg.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True, name=name)


class TestListing:
    def test_an_operation_is_an_entry_in_order(self):
        x, y = leaf(3), leaf(3)
        z = (x + x) * y
        assert tg.tape().wengert() == [("z1", "add", ("x", "x")), ("z", "multiply", ("z1", "y"))]
        assert str(tg.tape()) == "z1 = add(x, x)\nz = multiply(z1, y)"
        assert len(tg.tape()) == 2 and tg.tape()[-1] == ("z", "multiply", ("z1", "y"))
        assert [(z, g, ys) for z, g, ys in tg.tape()] == tg.tape().wengert()
        assert z.requires_grad

    def test_own_names_come_before_variables_and_no_name_comes_twice(self):
        a, b = leaf(2, name="x"), leaf(2, name="x")
        x = a * b
        x.name = "product"
        h = tg.tanh(x)
        first, h = h, tg.tanh(h)
        assert first is not h
        assert tg.tape().wengert() == [("product", "multiply", ("x", "x_2")), ("first", "tanh", ("product",)),
                                       ("h", "tanh", ("first",))]

    def test_numbers_constants_and_arguments(self):
        total = (leaf(2, 3) * 2.5 + np.ones(3)).sum(axis=0)
        assert str(tg.tape()) == ("z1 = multiply(x1, 2.5)\nz2 = add(z1, c1)\n"
                                  "total = sum(z2, axis=(0,), keepdims=False)")
        assert total.shape == (3,)

    def test_an_unnamed_result_does_not_take_a_given_name(self):
        x = leaf(2, name="z1")
        y = tg.exp(x + x)
        assert tg.tape().wengert() == [("z2", "add", ("z1", "z1")), ("y", "exp", ("z2",))]
        assert y.name is None

    def test_constants_are_not_recorded(self):
        x = tg.tensor([1.0, 2.0])
        assert not (x * 2 + np.ones(2)).requires_grad and len(tg.tape()) == 0


class TestLifetime:
    def test_what_nothing_can_reach_leaves(self):
        x = leaf(3)
        y = tg.exp(x)
        z = tg.tanh(y)
        assert len(tg.tape()) == 2
        del y
        assert len(tg.tape()) == 2                      # z still needs it
        del z
        assert len(tg.tape()) == 0

    def test_a_forward_only_loop_stays_flat(self):
        x = leaf(1000)                                  # 16 KB per turn, 80 MB in all
        tracemalloc.start()
        for _ in range(5000):
            y = tg.sin(x * 2.0)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 4e6 and len(tg.tape()) == 2 and y.shape == (1000,)

    def test_the_living_survive_a_reap(self):
        x = leaf(4)
        z = x
        for _ in range(20000):                          # many more than the tape may have before it looks for the dead
            z = z + x
        assert len(tg.tape()) == 20000
        z.sum().backward()
        np.testing.assert_allclose(x.grad, np.full(4, 20001.0))
        assert len(tg.tape()) == 0

    def test_200000_entries_walk_back_without_recursion(self):
        x = leaf(1)
        z = x
        for _ in range(200_000):
            z = z * 1.0
        z.backward()
        assert x.grad == [1.0]

    def test_200000_entries_die_without_recursion(self):
        x = leaf(1)
        z = x
        for _ in range(200_000):
            z = z * 1.0
        del z
        assert len(tg.tape()) == 0

    def test_backward_leaves_the_rest_of_the_tape(self):
        x, y = leaf(2), leaf(2)
        a, b = (x * y).sum(), (x + y).sum()
        a.backward()
        assert [g for _, g, _ in tg.tape()] == ["add", "sum"]
        b.backward()
        assert len(tg.tape()) == 0
        np.testing.assert_allclose(x.grad, y.data + 1)

    @pytest.mark.parametrize("does", [
        lambda: tg.grad(lambda y: y * y)(3.0), lambda: len(tg.tape()), lambda: str(tg.tape()), lambda: tg.tape().wengert(),
        lambda: tg.tape().show(), lambda: leaf(2).sum().backward(), lambda: tg.compile(tg.sin)(tg.tensor(1.0))])
    def test_nothing_leaves_while_a_sweep_walks(self, does):
        """Entries whose uses have been consumed, so that only the tape holds them, wait for their turn with a delta."""
        x = leaf(2)
        first = [x * k for k in (3, 5, 7)]
        hooked = x * 2
        hooked.register_hook(lambda d: does() and None)
        total = sum([y * 1.0 for y in (hooked, *first)]).sum()
        del hooked, first
        total.backward()
        np.testing.assert_array_equal(x.grad, [17, 17])
        assert len(tg.tape()) == 0


class TestRecording:
    def test_no_grad_and_enable_grad(self):
        x = leaf(2)
        with tg.no_grad():
            assert not (x * 2).requires_grad
            with tg.enable_grad():
                assert (x * 2).requires_grad
            assert not (x * 2).requires_grad
        assert (x * 2).requires_grad

    def test_as_decorators(self):
        x = leaf(2)

        @tg.no_grad()
        def f(a):
            return a * 2

        @tg.no_grad
        def g(a):
            """g's text"""
            return a * 2

        assert not f(x).requires_grad and not g(x).requires_grad and (x * 2).requires_grad
        assert g.__doc__ == "g's text"

    def test_an_exception_restores_recording(self):
        with pytest.raises(KeyError), tg.no_grad():
            raise KeyError
        assert leaf(1).sum().requires_grad

    def test_a_failing_operation_leaves_no_entry(self):
        x, y = leaf(3), leaf(4)
        with pytest.raises(errors.ShapeError):
            x * y
        assert len(tg.tape()) == 0


class TestThreads:
    def run(self, function):
        caught = []

        def target():
            try:
                caught.append(function())
            except BaseException as error:
                caught.append(error)

        worker = threading.Thread(target=target)
        worker.start()
        worker.join()
        return caught[0]

    def test_each_thread_has_its_tape(self):
        y = tg.exp(leaf(2))
        assert self.run(lambda: len(tg.tape())) == 0 and len(tg.tape()) == 1 and y.requires_grad

    def test_no_grad_is_of_one_thread(self):
        x = leaf(2)
        with tg.no_grad():
            assert self.run(lambda: (x * 2).requires_grad)

    def test_a_result_of_another_thread_is_refused(self):
        x = leaf(2)
        y = tg.exp(x)
        error = self.run(lambda: y.sum().backward())
        assert isinstance(error, errors.ThreadError) and "thread" in str(error)
        error = self.run(lambda: y.backward(np.ones(2)))
        assert isinstance(error, errors.ThreadError)
        y.sum().backward()                              # and the owner still can
        np.testing.assert_allclose(x.grad, np.exp(x.data))

    def test_eight_threads_train_at_once(self):
        """Each thread trains a model of its own; all end with the weights that one thread alone ends with."""
        def train():
            rng = np.random.default_rng(0)
            W, U = (tg.tensor(rng.normal(size=(4, 4)), requires_grad=True) for _ in range(2))
            optimiser = tg.optim.Adam([W, U], lr=0.01)
            for _ in range(60):
                h = tg.tensor(np.zeros((3, 4)))
                for _ in range(5):
                    h = tg.tanh(tg.sigmoid(h @ U) + np.ones((3, 4)) @ W)
                optimiser.zero_grad()
                tg.cross_entropy(h, np.array([0, 1, 2])).backward()
                optimiser.step()
            return W.data.copy()

        alone, found = train(), []
        workers = [threading.Thread(target=lambda: found.append(train())) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(found) == 8
        for W in found:
            np.testing.assert_array_equal(W, alone)

    def test_eight_threads_share_leaves(self):
        x = leaf(50)

        def work():
            for _ in range(200):
                (x * x).sum().backward()

        workers = [threading.Thread(target=work) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        np.testing.assert_allclose(x.grad, 1600 * 2 * x.data, rtol=1e-10)


STEP = """
import numpy as np
import tapegrad as tg
x = tg.tensor(np.full((200, 200), 1e-3), requires_grad=True)
def step():
    z = x
    for _ in range(20):
        z = z * x
    z.sum().backward()
    x.grad = None
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told to keep memory")
def test_memory_does_not_go_back_to_the_system_between_steps_unless_the_environment_says_so():
    """A step holds 6.4 MB, 1,600 pages."""
    assert faults(STEP) < 200 < 1000 < faults(STEP, MALLOC_TRIM_THRESHOLD_="131072")
