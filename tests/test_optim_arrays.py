"""The arrays that an optimiser writes to: which they are, and who else holds them."""

import numpy as np
import pytest
from optimisers import leaves

import tapegrad as tg
from tapegrad.optim import SGD, Adam, AdamW


@pytest.mark.parametrize("make", [lambda p: SGD(p, 0.1, momentum=0.9), Adam, AdamW])
def test_dtype_and_array_stay(both_paths, make):
    x = tg.tensor(np.ones(4, "f4"), requires_grad=True)
    held = x.data
    optimiser = make([x])
    for _ in range(3):
        (x * x).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert x.dtype == np.float32 and x.data is held and held[0] < 1 and x.grad is None


def test_a_step_lets_go_of_the_arrays(both_paths):
    """A later recording takes the array itself, without a copy."""
    x = tg.tensor(np.ones(1000), requires_grad=True)
    optimiser = Adam([x])
    (x * x).sum().backward()
    optimiser.step()
    place = x.data.ctypes.data
    (x * x).sum().backward()
    assert x.data.ctypes.data == place


class TestArraysThatOthersHold:
    def test_by_the_tape(self, both_paths):
        """A step in the middle of a recording leaves what was recorded."""
        for make in (lambda p: SGD(p, 0.5, momentum=0.9), Adam, AdamW):
            x = tg.tensor([1.0, 2.0], requires_grad=True)
            z = (x * x).sum()
            x.grad = np.ones(2)
            make([x]).step()
            assert x.data[0] < 1
            x.grad = None
            z.backward()
            np.testing.assert_array_equal(x.grad, [2, 4])

    def test_views_of_one_vector(self, both_paths):
        """Parameters that are the parts of a vector: the vector is written."""
        flat = np.arange(6.0)
        x, y = leaves([np.zeros(2), np.zeros((2, 2))])
        x.data, y.data = flat[:2], flat[2:].reshape(2, 2)
        x.grad, y.grad = np.ones(2), np.ones((2, 2))
        SGD([x, y], 1.0).step()
        np.testing.assert_array_equal(flat, np.arange(6.0) - 1)

    def test_one_array_in_two_parameters(self, both_paths):
        shared = np.ones(3)
        x, y = leaves([shared, shared])
        x.data = y.data = shared
        x.grad, y.grad = np.ones(3), np.full(3, 2.0)
        SGD([x, y], 0.5, weight_decay=0.5).step()
        np.testing.assert_array_equal(shared, (1 - 0.5 * 1.5) - 0.5 * (2 + 0.5 * 0.25))

    def test_strided_and_reversed(self, both_paths):
        wide = np.zeros((4, 6), "f4")
        x = tg.tensor(np.zeros((2, 3), "f4"), requires_grad=True)
        x.data = wide[::2, ::-2]
        x.grad = np.arange(6, dtype="f4").reshape(2, 3)
        SGD([x], 1.0, momentum=0.5).step()
        np.testing.assert_array_equal(wide[::2, ::-2], -x.grad)
        assert (wide[1::2] == 0).all()

    @pytest.mark.parametrize("low", [0, 2])
    def test_a_gradient_that_overlaps(self, both_paths, low):
        """The gradient is what it was before the step, though the step writes into it."""
        flat = np.arange(100.0)
        x = tg.tensor(np.zeros(98), requires_grad=True)
        x.data, x.grad = flat[2 - low:100 - low], flat[low:98 + low]
        expected = x.data - 0.5 * x.grad
        SGD([x], 0.5).step()
        np.testing.assert_array_equal(x.data, expected)

    def test_the_gradient_is_the_parameter(self, both_paths):
        x = tg.tensor(np.arange(50.0), requires_grad=True)
        x.grad = x.data
        SGD([x], 0.5).step()
        np.testing.assert_array_equal(x.data, np.arange(50) / 2)

    def test_read_only(self, both_paths):
        x = tg.tensor(np.ones(3), requires_grad=True)
        x.data = np.broadcast_to(1.0, 3)
        x.grad = np.ones(3)
        with pytest.raises(ValueError, match="read-only"):
            SGD([x], 0.5).step()
