"""Where a value leaves the tape: what would drop a gradient unseen is an error, what asks for a number is not."""

import math
import operator

import numpy as np
import pytest

import tapegrad as tg

NUMBERS = {"float": float, "int": int, "complex": complex, "round": round, "round to digits": lambda x: round(x, 1),
           "math": math.sin, "floor": math.floor, "np.float64": np.float64,
           "tensor": tg.tensor, "Tensor": lambda x: tg.tensor(x, dtype="f4"),
           "list": lambda x: tg.tensor([x, x]), "dlpack": np.from_dlpack}


@pytest.mark.parametrize("made", [lambda x: x, lambda x: x * 1.0], ids=["leaf", "result"])
@pytest.mark.parametrize("convert", NUMBERS.values(), ids=NUMBERS)
def test_a_conversion_that_would_lose_the_gradient_is_an_error(convert, made):
    x = made(tg.tensor(2.5, requires_grad=True))
    with pytest.raises(tg.errors.GradientError, match=r"gradient, which would be lost: use"):
        convert(x)
    with tg.no_grad():
        convert(x)
    convert(x.detach())


def test_a_derivative_through_a_number_is_not_silently_wrong():
    with pytest.raises(tg.errors.GradientError, match="tg.sin"):
        tg.grad(lambda x: x * math.sin(x))(0.7)
    with pytest.raises(tg.errors.GradientError, match="tg.array"):
        tg.grad(lambda x: (tg.tensor(x) * x).sum())(0.7)
    assert tg.grad(lambda x: (tg.array(x) * x).sum())(0.7) == 1.4


def test_an_ndarray_is_not_filled_with_elements_that_require_a_gradient():
    out, x = np.zeros(2), tg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="sequence") as caught:
        out[0] = x[0]
    assert isinstance(caught.value.__cause__, tg.errors.GradientError)
    with tg.no_grad():
        out[1] = x[1]
    assert out.tolist() == [0, 2]


def test_what_is_asked_for_explicitly_stays():
    x = tg.tensor(2.5, requires_grad=True)
    assert x.item() == x.tolist() == 2.5 and bool(x) and f"{x:.1f}" == "2.5" and "2.5" in f"{x}" and "2.5" in str(x)
    assert [10, 20, 30][tg.tensor(1)] == 20 and operator.index(tg.tensor(2)) == 2 and float(tg.tensor(2.0)) == 2.0


@pytest.mark.parametrize("bound", [lambda: np.array(2), lambda: tg.tensor(2), lambda: np.int64(2)],
                         ids=["array", "tensor", "scalar"])
@pytest.mark.parametrize("within", [lambda s: s, lambda s: (s, slice(None))], ids=["alone", "in a tuple"])
def test_bounds_of_a_slice_are_read_at_the_call(bound, within):
    x, bound = tg.tensor(np.arange(8.0).reshape(4, 2), requires_grad=True), bound()
    z = x[within(slice(None, bound))]
    if not isinstance(bound, np.int64):
        (bound.data if isinstance(bound, tg.Tensor) else bound)[...] = 0
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, [[1, 1], [1, 1], [0, 0], [0, 0]])


@pytest.mark.parametrize("copy", [lambda x: +x, tg.array, tg.positive, np.positive, lambda x: tg.array(x, ndmin=1)],
                         ids=["+x", "array", "positive", "np.positive", "ndmin"])
@pytest.mark.parametrize("grad", [False, True])
def test_a_copy_is_another_tensor(copy, grad):
    x = tg.tensor([1.0, 2.0], requires_grad=grad)
    y = copy(x)
    y[0] = 9.0
    y.data[1] = 8.0
    assert y is not x and x.tolist() == [1, 2] and y.tolist() == [9, 8]
    x.data[0] = 7.0
    assert y.tolist() == [9, 8] and x.tolist() == [7, 2]
    if grad:
        (y * 3.0).sum().backward()
        np.testing.assert_array_equal(x.grad, [0, 3])
