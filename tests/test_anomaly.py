"""detect_anomaly(), hooks, DLPack, fork: what is said when something is wrong, and what must not go wrong."""

import os
import threading

import numpy as np
import pytest
from watching import is_off

import tapegrad as tg
from tapegrad import errors


def leaf(values, dtype=None):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


class TestDetectAnomaly:
    def test_forward(self):
        x = leaf([1.0, 0.0])
        with pytest.raises(errors.AnomalyError) as caught, tg.detect_anomaly():
            y = x * 2
            tg.log(y)  # here
        for words in ("log(float64 (2,))", "-inf at (1,)", "test_anomaly.py", "tg.log(y)  # here", "test_forward"):
            assert words in str(caught.value)

    def test_kernels_too(self):
        with pytest.raises(errors.AnomalyError, match="tanh"), tg.detect_anomaly():
            tg.tanh(tg.tensor([0.5]))
            tg.tanh(tg.tensor([np.nan]))

    def test_backward(self):
        x = leaf([4.0, 0.0])
        with pytest.raises(errors.AnomalyError) as caught, tg.detect_anomaly():
            y = tg.sqrt(x)  # the culprit
            y.sum().backward()
        for words in ("backward of y = sqrt(x)", "operand 0", "inf at (1,)", "the culprit"):
            assert words in str(caught.value)
        assert x.grad is None

    def test_off_again(self):
        x = leaf([1.0, 2.0])
        with tg.detect_anomaly(), tg.detect_anomaly():
            y = (x * 2).sum()
        y.backward()
        assert x.grad.tolist() == [2, 2]
        assert is_off()
        with np.errstate(all="ignore"):
            assert tg.log(tg.tensor([0.0])).item() == -np.inf

    def test_other_threads_are_left_alone(self):
        found = []
        with tg.detect_anomaly(), np.errstate(all="ignore"):
            worker = threading.Thread(target=lambda: found.append(tg.exp(tg.tensor([np.inf])).item()))
            worker.start()
            worker.join()
        assert found == [np.inf]


class TestHooks:
    def test_of_a_result_and_of_a_leaf(self):
        x, seen = leaf([1.0, 2.0]), []
        h = x * 3
        h.register_hook(seen.append)
        h.register_hook(lambda d: d * 10)
        x.register_hook(lambda d: d + 1)
        h.retain_grad()
        (h * h).sum().backward()
        np.testing.assert_array_equal(seen[0], [6, 12])
        np.testing.assert_array_equal(h.grad, [60, 120])
        np.testing.assert_array_equal(x.grad, [181, 361])

    def test_called_once_with_the_complete_delta(self):
        x, seen = leaf([1.0]), []
        h = tg.exp(x)
        z = h * x + h
        h.register_hook(seen.append)
        z.backward()
        assert len(seen) == 1 and seen[0] == [2.0]

    def test_taken_away(self):
        x = leaf([1.0])
        remove = x.register_hook(lambda d: d * 10)
        remove()
        (x * 2).backward()
        assert x.grad == [2]

    def test_create_graph(self):
        x = leaf([2.0])
        h = x * x
        h.register_hook(lambda d: d * 2)
        (h * x).backward(create_graph=True)
        assert isinstance(x.grad, tg.Tensor) and x.grad.data == [2 * 2 * 2 * 2 + 4]

    def test_bad_hooks(self):
        with pytest.raises(errors.GradientError):
            tg.tensor([1.0]).register_hook(print)
        x = leaf([1.0, 2.0])
        x.register_hook(lambda d: d[:1])
        with pytest.raises(errors.ShapeError, match="hook"):
            x.sum().backward()


def test_dlpack_both_ways():
    x = leaf([1.0, 2.0])
    z = (x * x).sum()
    with tg.no_grad():
        array = np.from_dlpack(x)
    np.testing.assert_array_equal(array, [1, 2])
    z.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    back = tg.from_dlpack(array)
    assert isinstance(back, tg.Tensor) and back.tolist() == [1, 2]


def test_dlpack_with_pytorch():
    torch = pytest.importorskip("torch")
    x = tg.tensor([1.0, 2.0])
    assert torch.from_dlpack(x).tolist() == [1, 2]
    assert tg.from_dlpack(torch.ones(3)).tolist() == [1, 1, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_after_backward():
    x = leaf(np.linspace(-1, 1, 1000))
    kept = tg.sigmoid(x * 2).sum()
    tg.tanh(x).sum().backward()
    child = os.fork()
    if child == 0:
        try:
            kept.backward()
            s = 1 / (1 + np.exp(-2 * x.data))
            right = np.allclose(x.grad, 1 - np.tanh(x.data) ** 2 + 2 * s * (1 - s))
            os._exit(0 if right else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    kept.backward()


def test_a_contribution_that_would_be_added_in_place_is_watched():
    """W gets a finite contribution first, then one that overflows."""
    tg.sigmoid(1.0)                                     # loads what adds in place
    W = tg.tensor(np.zeros((4, 4), "f4"), requires_grad=True)
    large, ones = (np.full((2, 4), value, "f4") for value in (1e30, 1.0))
    with pytest.raises(errors.AnomalyError, match="matmul.*operand 1 got inf"), tg.detect_anomaly():
        first = (large @ W) * 1e30
        (first.sum() + (ones @ W).sum()).backward()
