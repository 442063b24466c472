"""Tracing: what is noted, that nothing is left of it when it is off, and what may go wrong in between."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from watching import called_in, is_off

import tapegrad as tg
from tapegrad import errors


def leaf(values, dtype=None, name=None):
    return tg.tensor(values, dtype=dtype, requires_grad=True, name=name)


def step(W, x):
    h = tg.tanh(x @ W)
    loss = (h * h).sum()
    return loss


class TestOff:
    def test_nothing_is_there(self):
        W = leaf(np.eye(2))
        assert not called_in(lambda: step(W, np.ones((3, 2))).backward())
        with tg.traced():
            assert called_in(lambda: step(W, np.ones((3, 2))).backward())

    def test_nothing_is_loaded(self):
        code = ("import sys, tapegrad as tg\nx = tg.tensor([1.], requires_grad=True)\n(x * x).sum().backward()\n"
                "print([m for m in sys.modules if m.startswith('tapegrad.debug.') and m != 'tapegrad.debug.views'])")
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

    def test_again_after_a_trace(self):
        W = leaf(np.eye(2))
        with tg.traced(), tg.detect_anomaly(), tg.traced():
            step(W, np.ones((3, 2))).backward()
        assert is_off()
        step(W, np.ones((3, 2)))
        assert is_off()

    def test_after_an_exception(self):
        W = leaf(np.eye(2))
        with pytest.raises(errors.ShapeError), tg.traced() as t:
            W @ np.ones(3)
        assert is_off() and len(t) == 0
        with pytest.raises(ZeroDivisionError), tg.traced() as t:
            h = W @ np.ones(2)
            raise ZeroDivisionError
        assert is_off() and len(t) == 1
        h.sum().backward()
        np.testing.assert_array_equal(W.grad, np.ones((2, 2)))

    def test_after_an_anomaly_in_the_sweep(self):
        x = leaf([0.0])
        with pytest.raises(errors.AnomalyError), tg.traced() as t, tg.detect_anomaly():
            tg.sqrt(x).sum().backward()
        assert is_off() and t.blame().phase == "backward"


class TestNotes:
    def test_what_is_noted(self):
        W = leaf([[1.0, 2.0], [3.0, np.nan]], name="W")
        with tg.traced() as t:
            h = W * 2  # the line
            h.sum().backward()
        note = t.notes[0]
        assert (note.g, note.shape, note.dtype) == ("multiply", (2, 2), np.float64)
        assert t.show().rows[0]["entry"] == "h = multiply(W, 2)"
        assert note.place.filename == __file__ and note.place.line == "h = W * 2  # the line"
        assert note.place.name == "test_what_is_noted"
        assert note.value.nans == 1 and not note.value.finite and note.forward > 0
        assert note.delta.mean == 1 and note.backward > 0
        assert note.z is None and note.values is None and note.d is None and note.contributions == []
        assert t.notes[1].ys[0] is note and len(tg.tape()) == 0

    def test_values_and_deltas(self):
        x = leaf([1.0, 2.0])
        with tg.traced(values=True, deltas=True) as t:
            z = x * x
            z.backward(np.ones(2))
        note = t.notes[0]
        np.testing.assert_array_equal(note.z, [1, 4])
        np.testing.assert_array_equal(note.values[0], [1, 2])
        np.testing.assert_array_equal(note.d, [1, 1])
        assert [position for position, _ in note.contributions] == [0, 1]
        np.testing.assert_array_equal(sum(c for _, c in note.contributions), x.grad)

    def test_kept_values_are_those_of_the_moment(self):
        x = leaf([1.0, 2.0])
        with tg.traced(values=True, deltas=True) as t:
            z = x * 3
            (z + z + z).sum().backward()
            x.data[...] = 100
            z.data[...] = 100
            x.grad[...] = 100
        np.testing.assert_array_equal(t.notes[0].z, [3, 6])
        np.testing.assert_array_equal(t.notes[0].values[0], [1, 2])
        np.testing.assert_array_equal(t.notes[0].d, [3, 3])

    def test_kept_values_of_arrays_that_are_written_into(self):
        x, a, seed = leaf([1.0, 2.0]), np.array([3.0, 4.0]), np.ones(2)
        with tg.traced(values=True, deltas=True) as t:
            (x * a).backward(seed)
            tg.concatenate([x + a, a]).backward(np.ones(4))
        a[...] = seed[...] = 100
        np.testing.assert_array_equal([t.notes[0].values[1], t.notes[1].values[1], t.notes[2].values[0][1]], 3 * [[3, 4]])
        np.testing.assert_array_equal(t.notes[0].d, [1, 1])
        assert t.check()

    def test_gradients_are_the_same(self):
        random = np.random.default_rng(0)
        W, x = leaf(random.normal(size=(4, 4))), random.normal(size=(5, 4))
        gradients = []
        for around in (None, tg.traced(), tg.traced(values=True, deltas=True)):
            W.zero_grad()
            if around is None:
                step(W, x).backward()
            else:
                with around:
                    step(W, x).backward()
            gradients.append(W.grad)
        np.testing.assert_array_equal(gradients[0], gradients[1])
        np.testing.assert_array_equal(gradients[0], gradients[2])

    def test_higher_order_and_hooks(self):
        x = leaf([2.0])
        with tg.traced(deltas=True) as t:
            y = x * x * x
            y.register_hook(lambda d: d * 10)
            (g,) = tg.autograd.grad(y, x, create_graph=True)
            (gg,) = tg.autograd.grad(g, x)
        assert g.data == [120] and gg.data == [120]
        assert next(note for note in reversed(t.notes) if note.delta and note.g == "multiply").d is not None

    def test_complex(self):
        x = leaf(np.array([1 + 2j, 3 - 1j]))
        with tg.traced(deltas=True) as t:
            z = x * (2 + 1j)
            (z.real * z.real).sum().backward()
        parts = [c for position, c in t.notes[0].contributions if position == 0]
        np.testing.assert_allclose(sum(parts), x.grad)
        assert t.notes[0].value.finite

    def test_checkpoint(self):
        """What a checkpoint computes again, in the middle of the sweep, is noted as well."""
        x = leaf([1.0, 2.0])
        with tg.traced() as t:
            tg.checkpoint(lambda x: tg.exp(x) * x)(x).sum().backward()
        np.testing.assert_allclose(x.grad, np.exp([1, 2]) * [2, 3])
        assert {"checkpoint", "exp", "multiply"} <= {note.g for note in t.notes} and is_off()

    def test_recorded_before(self):
        x = leaf([1.0, 2.0])
        h = x * 2
        with tg.traced() as t:
            (h + 1).sum().backward()
        assert x.grad.tolist() == [2, 2] and [note.g for note in t.notes] == ["add", "sum"]
        assert "add(h, 1)" in str(t.show())

    def test_backward_outside(self):
        x = leaf([1.0, 2.0])
        with tg.traced() as t:
            loss = (x * x).sum()
        loss.backward()
        assert x.grad.tolist() == [2, 4] and t.notes[0].delta is None

    def test_on_twice(self):
        with tg.traced() as t, pytest.raises(errors.GradientError, match="already active"):
            t.__enter__()
        with t:
            leaf([1.0]) * 2
        assert is_off() and len(t) == 1

    def test_nested(self):
        x = leaf([1.0])
        with tg.traced() as outer:
            y = x * 2
            with tg.traced(values=True) as inner:
                z = y * 3
            z * 4
        assert [len(outer), len(inner)] == [3, 1] and inner.notes[0] is outer.notes[1]
        assert inner.notes[0].ys[0] is outer.notes[0] and inner.notes[0].z == [6]

    def test_memory_leaves(self):
        """A trace without values does not keep an entry or an array alive."""
        x = leaf(np.zeros(1000))
        with tg.traced() as t:
            for _ in range(3):
                tg.exp(x)
            assert len(tg.tape()) == 0 and len(t) == 3

    def test_user_primitive(self):
        def doubled_in_a_test(x):
            return 2 * x

        double = tg.primitive(lambda delta, out, x: 2 * delta)(doubled_in_a_test)
        x = leaf([1.0])
        with tg.traced() as t:
            double(x).sum().backward()
        assert x.grad == [2] and t.notes[0].g == "doubled_in_a_test" and t.notes[0].backward > 0


@pytest.mark.parametrize("f", (lambda x: x * x, lambda x: tg.roll(x, 1), lambda x: x.sum(), lambda x: tg.stack([x, x]),
                               lambda x: tg.checkpoint(lambda x: x * 2)(x)))
def test_operands_that_were_consumed_before(f):
    h = f(leaf([1.0, 2.0]))
    h.sum().backward()
    with tg.traced() as t:
        z = tg.exp(h)
    assert len(t) == 1 and "exp" in str(t.show()) and "exp" in str(tg.tape())
    with pytest.raises(errors.ConsumedTapeError), tg.traced():
        z.sum().backward()


def test_threads():
    """A trace is of its own thread; others run as ever, and may trace by themselves."""
    x, seen = leaf([1.0, 2.0]), []

    def work():
        y = tg.exp(x * 2)
        with tg.traced() as t:
            y.sum().backward()
        seen.append([note.g for note in t.notes])

    with tg.traced() as t:
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        (x * 3).sum().backward()
    assert seen == [["sum"]] and [note.g for note in t.notes] == ["multiply", "sum"] and is_off()


def test_many_threads():
    def work():
        x = leaf([0.5])
        for _ in range(50):
            with tg.traced() as t:
                tg.sigmoid(tg.tanh(x)).sum().backward()
            assert [note.g for note in t.notes] == ["tanh", "sigmoid", "sum"]
        done.append(x.grad)

    done = []
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(done) == 4 and all(grad == done[0] for grad in done) and is_off()


def test_kernels_that_are_compiled_inside():
    """Of a trace in which kernels are first compiled, nothing stays in their place."""
    code = ("import numpy as np, tapegrad as tg\nfrom watching import called_in\n"
            "x = tg.tensor([0.5, -1.0], requires_grad=True)\n"
            "def step():\n    (tg.tanh(x) + tg.relu(x)).sum().backward()\n"
            "with tg.traced() as t:\n    step()\n"
            "print(t.notes[0].g, len(t), called_in(step), x.grad.size)")
    tests = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=tests)
    assert run.stdout == "tanh 4 [] 2\n"
