"""In-place operators and item assignment: what they write to, what they record, what they refuse."""

import operator

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError, GradientError, ShapeError

OPERATORS = {"+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "**": operator.ipow,
             "%": operator.imod, "//": operator.ifloordiv, "@": operator.imatmul}
START, OTHER = np.array([[1.5, 2.0], [3.0, 4.5]]), np.array([[2.0, 1.0], [0.5, 3.0]])


@pytest.mark.parametrize("op", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_an_operator_writes_into_the_tensor_and_gives_the_derivative_of_item_assignment(op, dtype):
    plain = {operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul,
             operator.itruediv: operator.truediv, operator.ipow: operator.pow, operator.imod: operator.mod,
             operator.ifloordiv: operator.floordiv, operator.imatmul: operator.matmul}[op]

    def by_operator(x, y):
        z = alias = x * 1
        before = z * z
        z = op(z, y)
        assert alias is z
        return (z * z).sum() + before.sum()

    def by_assignment(x, y):
        z = x * 1
        before = z * z
        z[...] = plain(z, y)
        return (z * z).sum() + before.sum()

    x, y = START.astype(dtype), OTHER.astype(dtype)
    (z, found), (wanted, deltas) = [tg.value_and_grad(f, argnums=(0, 1))(x, y) for f in (by_operator, by_assignment)]
    assert z == wanted
    for a, b in zip(found, deltas):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == dtype


def test_an_operator_is_one_entry():
    x = tg.tensor([1.0], requires_grad=True)
    z = x * 2
    z += x
    assert [g for _, g, _ in tg.tape()] == ["multiply", "add"] and z.tolist() == [3]


@pytest.mark.parametrize("op", OPERATORS.values(), ids=OPERATORS)
def test_a_leaf_is_refused_where_it_is_recorded_and_updated_where_not(op):
    p = tg.tensor(START, dtype="f4", requires_grad=True, name="p")
    with pytest.raises(GradientError, match="= y: this tensor is a leaf"):
        op(p, OTHER)
    wanted = START.astype("f4")
    wanted = wanted @ OTHER.astype("f4") if op is operator.imatmul else op(wanted, OTHER.astype("f4"))
    held = p.data
    with tg.no_grad():
        q = op(p, OTHER.astype("f4"))
    assert q is p and p.is_leaf and p.requires_grad and p.name == "p" and p.dtype == np.float32
    np.testing.assert_allclose(p.tolist(), wanted, 1e-6)
    np.testing.assert_array_equal(held, p.tolist())
    (p * 2).sum().backward()
    np.testing.assert_array_equal(p.grad, np.full((2, 2), 2, "f4"))


def test_a_loop_without_an_optimiser_trains():
    p = tg.tensor([1.0, -2.0], requires_grad=True)
    for _ in range(50):
        ((p - 3) ** 2).sum().backward()
        with tg.no_grad():
            p -= 0.2 * p.grad
        p.zero_grad()
    np.testing.assert_allclose(p.tolist(), 3)


def test_an_update_leaves_a_recorded_gradient_right():
    p = tg.tensor([2.0], requires_grad=True)
    z = (p * p).sum()
    with tg.no_grad():
        p *= 10
        p[0] += 1
    z.backward()
    assert p.tolist() == [21] and p.grad == [4]


def test_without_recording_a_write_changes_the_value_of_a_result_and_not_its_place_on_the_tape():
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * x
    with tg.no_grad():
        y[0] = 0.0
        y *= 2
    assert y.requires_grad and y.tolist() == [0, 8, 18]
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 64, 216])     # 2 y 2 x, as after a write to y.data


def test_without_recording_a_leaf_may_be_assigned_to():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with tg.no_grad():
        x[0] = 5.0
    assert x.is_leaf and x.requires_grad and x.tolist() == [5, 2]


@pytest.mark.parametrize("x, op, y, error", [
    (tg.tensor([1.0, 2.0]), operator.iadd, np.ones((3, 2)), ShapeError), (tg.tensor([1, 2]), operator.itruediv, 2, DtypeError),
    (tg.tensor([1, 2]), operator.iadd, tg.tensor(2.5, requires_grad=True), DtypeError),
    (tg.tensor([1.0]), operator.imul, 1j, DtypeError)], ids=["shape", "division", "float", "complex"])
def test_what_does_not_fit_is_refused_and_changes_nothing(x, op, y, error):
    before = x.tolist()
    with pytest.raises(error, match="write x = x"):
        op(x, y)
    assert x.tolist() == before and not x.requires_grad


def test_a_wider_operand_does_not_widen():
    x = tg.tensor([1.0, 2.0], dtype="f4")
    x += np.array([1.0, 1.0])
    assert x.dtype == np.float32 and x.tolist() == [2, 3]


def test_bits():
    x = tg.tensor([5, 6])
    x &= 4
    x |= 1
    x ^= 2
    x <<= 2
    x >>= 1
    assert x.tolist() == [14, 14]


@pytest.mark.parametrize("dtype, y", [("i8", 2.5), ("?", 2.5), ("f8", 1j)])
def test_an_element_that_would_lose_its_gradient_is_refused(dtype, y):
    x, y = tg.ones(3, dtype=dtype), tg.tensor(y, requires_grad=True)
    with pytest.raises(DtypeError, match=r"setitem: .*requires a gradient.*astype"):
        x[0] = y
    x[0] = y.detach().real
    with tg.no_grad():
        x[0] = y.real


def test_a_tensor_is_not_equal_to_what_is_no_number():
    t = tg.tensor([1.0, 2.0], requires_grad=True)
    for other in (None, "auto", {}, object(), print):
        assert (t == other) is False and (t != other) is True
        assert (other == t) is False and (other != t) is True
    assert t not in (None, "auto")
    assert (t == [1, 3]).tolist() == [True, False] and (t != 2).tolist() == [True, False]
    with pytest.raises(ShapeError):
        assert t == np.ones(3)


BINARY = "arctan2 copysign fmax fmin fmod hypot logaddexp logaddexp2 maximum minimum multiply power divide remainder".split()


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("number", [3.0, -3.0, 2])
def test_a_python_number_does_not_widen_a_gradient(name, number):
    f = getattr(tg, name)
    for g in (lambda x: f(x, number), lambda x: f(number, x)):
        x = tg.tensor([0.5, 2.5], dtype="f4", requires_grad=True)
        with np.errstate(all="ignore"):
            z = g(x)
            z.sum().backward()
        assert z.dtype == np.float32 and x.grad.dtype == np.float32


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
@pytest.mark.parametrize("index", [..., (), None, True], ids=str)
def test_an_assignment_whose_delta_has_been_added_up(shape, index):
    x, y = tg.tensor(np.ones(shape), requires_grad=True), tg.tensor(2.0, requires_grad=True)
    z = x * 1
    z[index] = y
    (z * z + z + z).sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros(shape))
    assert y.grad == 6 * x.size


@pytest.mark.parametrize("write", [lambda z, x: z.__setitem__(0, x[0]), lambda z, x: z.__setitem__(..., x), operator.iadd,
                                   operator.imul], ids=["element", "all", "+=", "*="])
def test_a_constant_that_is_written_to_can_be_forgotten(write):
    """It is an operand of the entry that it becomes the result of, with its value before."""
    def forward():
        x, z = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0], name="z")
        for _ in range(3):
            write(z, x)
        return z, x

    for _ in range(3):
        forward()
    assert len(tg.tape()) == 0
    z, x = forward()
    assert "z" in str(tg.tape())
    before = z.tolist()
    z.sum().backward()
    assert z.tolist() == before and x.grad.shape == (2,)
