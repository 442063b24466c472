"""The Tensor: construction, value semantics, operators, NumPy's protocol."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapegrad as tg
from tapegrad import errors


def leaf(values, dtype=None):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


class TestConstruction:
    @pytest.mark.parametrize("data, dtype", [
        (1.5, "f8"), ([1, 2], "i8"), (np.ones(2, "f4"), "f4"), ([True], "?"), (np.float32(1), "f4"), ([[1.0]], "f8")])
    def test_dtype_of_the_data(self, data, dtype):
        x = tg.tensor(data)
        assert x.dtype == np.dtype(dtype) and isinstance(x.data, np.ndarray) and x.is_leaf and not x.requires_grad

    def test_the_data_are_copied(self):
        a = np.ones(3)
        x = tg.tensor(a)
        a[0] = 5
        assert x.tolist() == [1, 1, 1]

    def test_attributes(self):
        x = tg.tensor(np.arange(6.0).reshape(2, 3), name="x")
        assert (x.shape, x.ndim, x.size, x.name, len(x)) == ((2, 3), 2, 6, "x", 2)
        assert x.T.shape == (3, 2) and float(x[1, 2]) == 5 and int(x[1, 1]) == 4
        assert [row.tolist() for row in x] == x.tolist()
        assert tg.tensor(2.5).item() == 2.5 and f"{tg.tensor(2.5):.3f}" == "2.500"
        assert repr(leaf([1, 2], np.float32)) == "tensor([1., 2.], dtype=float32, requires_grad=True)"
        assert repr(leaf([1.0]) * 2) == "tensor([2.], made by multiply)"

    def test_no_other_attribute_can_be_set(self):
        with pytest.raises(AttributeError):
            tg.tensor(1.0).gard = 1

    def test_hash_and_equality(self):
        x = tg.tensor([1.0, 2.0])
        assert (x == tg.tensor([1.0, 3.0])).tolist() == [True, False] and len({x, x}) == 1
        with pytest.raises(ValueError):
            bool(x == x)


class TestMutation:
    """A value that is mutated after it was recorded leaves the gradient of what was computed right."""

    def expect(self, x, z, wanted):
        z.sum().backward()
        np.testing.assert_allclose(x.grad, wanted)

    def test_through_data(self):
        x = leaf([1.0, 2.0])
        z = x * x
        x.data[0] = 50
        assert x.tolist() == [50, 2]
        self.expect(x, z, [2, 4])

    def test_through_an_alias_from_before(self):
        x = leaf([1.0, 2.0])
        alias = x.data
        z = x * x
        alias[:] = 50
        assert x.tolist() == [50, 50]
        self.expect(x, z, [2, 4])

    def test_through_an_alias_used_twice(self):
        x = leaf([1.0, 2.0])
        alias = x.data
        a = tg.square(x)
        alias *= 10
        b = tg.square(x)
        alias *= 10
        self.expect(x, a + b, [2 + 20, 4 + 40])

    def test_of_a_result(self):
        x = leaf([0.0, 1.0])
        z = tg.exp(x)
        z.data[:] = -7
        assert z.tolist() == [-7, -7]
        self.expect(x, z, np.exp([0.0, 1.0]))

    def test_of_a_view(self):
        x = leaf([1.0, 2.0])
        z = x * x
        v = x.reshape(2, 1)
        v.data[:] = 9
        assert x.tolist() == [1, 2]
        self.expect(x, z, [2, 4])

    def test_of_a_detached_twin(self):
        x = leaf([1.0, 2.0])
        z = x * x
        x.detach().data[:] = 9
        self.expect(x, z, [2, 4])

    def test_of_an_array_operand(self):
        x, a = leaf([1.0, 2.0]), np.array([3.0, 4.0])
        z = x * a
        a[:] = 0
        self.expect(x, z, [3, 4])

    def test_of_an_index(self):
        x, ids = leaf([1.0, 2.0, 3.0]), np.array([0, 0])
        z = x[ids]
        ids[:] = 2
        self.expect(x, z, [2, 0, 0])

    def test_by_assignment(self):
        x = leaf([1.0, 2.0])
        z = x * x
        x.data = np.array([7.0, 8.0])
        self.expect(x, z, [2, 4])
        x.grad = None
        self.expect(x, x * x, [14, 16])

    def test_by_an_optimiser(self):
        x = leaf([1.0, 2.0])
        z = x * x
        x.sum().backward()
        tg.optim.SGD([x], lr=1.0).step()
        assert x.tolist() == [0, 1]
        x.grad = None
        self.expect(x, z, [2, 4])

    def test_of_the_array_that_was_assigned(self):
        x, new = leaf([1.0, 2.0]), np.array([7.0, 8.0])
        x.data = new
        z = x * x
        new[:] = 0
        self.expect(x, z, [14, 16])

    def test_data_is_one_array_while_it_is_held(self):
        x = leaf([1.0, 2.0])
        first = x.data
        assert x.data is first
        x.data -= 0.5
        assert first.tolist() == [0.5, 1.5] == x.tolist()

    def test_shape_and_dtype_stay(self):
        x = leaf([1.0, 2.0])
        with pytest.raises(errors.ShapeError, match=r"\(3,\)"):
            x.data = np.ones(3)
        with pytest.raises(errors.DtypeError, match="float32"):
            x.data = np.ones(2, "f4")
        with pytest.raises(errors.ShapeError):
            x.grad = np.ones(3)


class TestNumPy:
    def test_ufuncs_and_arrays_record(self):
        x, a = leaf([1.0, 2.0]), np.array([3.0, 4.0])
        for z, wanted in ((np.sin(x), np.cos(x.data)), (a + x, [1, 1]), (a * x, a), (np.multiply(a, x), a),
                          (a / x, -a / x.data ** 2), (np.float64(2) * x, [2, 2]), (a @ x, a), (a - x, [-1, -1])):
            assert isinstance(z, tg.Tensor) and z.requires_grad
            x.grad = None
            z.sum().backward()
            np.testing.assert_allclose(x.grad, wanted)

    def test_asarray_gives_a_copy(self):
        x = tg.tensor([1.0, 2.0])
        np.asarray(x)[:] = 0
        assert x.tolist() == [1, 2]

    @pytest.mark.parametrize("lose", [
        np.asarray, lambda x: np.array([x, x]), lambda x: np.full(3, x[0]), lambda x: tg.tensor([x[0], x[1]])])
    def test_what_would_lose_the_gradient_raises(self, lose):
        x = leaf([1.0, 2.0])
        with pytest.raises(errors.GradientError, match="lost"):
            lose(x)
        with tg.no_grad():
            assert np.asarray(x).tolist() == [1, 2]

    @pytest.mark.parametrize("call", [lambda x: tg.full_like(x, x[0]), lambda x: tg.gradient(np.arange(3.0), x[0])])
    def test_an_argument_without_a_derivative_raises(self, call):
        with pytest.raises(errors.GradientError, match="no derivative"):
            call(leaf([1.0, 2.0]))


class TestAddingInPlace:
    """A value that is indexed many times collects its delta in one array."""

    @pytest.mark.parametrize("indices", [
        [slice(0, 2), slice(1, 3), 1], [np.array([0, 2, 2]), np.array([[-1, 0], [1, 1]]), np.array([], int)],
        [np.array([True, False, True]), (slice(None), 1), (np.array([0, 0]), np.array([1, 1]))]],
        ids=["basic", "rows", "mixed"])
    @pytest.mark.parametrize("inner", [False, True], ids=["leaf", "result"])
    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_every_use_counts(self, indices, inner, dtype):
        x = leaf(np.arange(12.0).reshape(3, 4), dtype)
        y = x * 2 if inner else x
        total = (y * 3).sum()
        for k, index in enumerate(indices):
            total = total + (y[index] * (k + 1)).sum()
        total.backward()
        wanted = np.full((3, 4), 3.0)
        for k, index in enumerate(indices):
            np.add.at(wanted, index, k + 1.0)
        np.testing.assert_array_equal(x.grad, wanted * (2 if inner else 1))
        assert x.grad.dtype == x.dtype

    def test_a_shared_delta_is_not_written_to(self):
        x, y = leaf([1.0, 2.0, 3.0]), leaf([1.0, 2.0, 3.0])
        u, v = x * 1.0, y * 1.0
        ((u + v).sum() + u[:2].sum()).backward()        # u and v get one delta array from the addition
        np.testing.assert_array_equal(x.grad, [2, 2, 1])
        np.testing.assert_array_equal(y.grad, [1, 1, 1])


shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4)


@settings(deadline=None, max_examples=150)
@given(shapes, st.sampled_from(["f4", "f8"]), st.sampled_from(["f4", "f8"]),
       st.sampled_from([tg.add, tg.subtract, tg.multiply, tg.maximum]))
def test_broadcasting_is_undone(shapes, dtype_x, dtype_y, function):
    """The delta of an operand has the operand's shape and dtype: a sum over what was spread."""
    (shape_x, shape_y), shape_z = shapes.input_shapes, shapes.result_shape
    rng = np.random.default_rng(0)
    x, y = leaf(rng.normal(size=shape_x), dtype_x), leaf(rng.normal(size=shape_y), dtype_y)
    z = function(x, y)
    assert z.shape == shape_z and z.dtype == np.result_type(dtype_x, dtype_y)
    z.sum().backward()
    for v, w in ((x, y), (y, x)):
        assert v.grad.shape == v.shape and v.grad.dtype == v.dtype
        full = {tg.add: 1, tg.subtract: 1 if v is x else -1, tg.multiply: w.data, tg.maximum: v.data > w.data}[function]
        full = np.broadcast_to(np.asarray(full, "f8"), shape_z)
        extra = full.ndim - v.ndim
        axes = tuple(i for i in range(full.ndim) if i < extra or v.shape[i - extra] == 1)
        np.testing.assert_allclose(v.grad, full.sum(axes).reshape(v.shape), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
def test_any_index(data, shape):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True) | hnp.integer_array_indices(shape))
    x = leaf(np.random.default_rng(0).normal(size=shape))
    z = x[index]
    np.testing.assert_array_equal(z.data, x.data[index])
    if z.requires_grad:
        z.sum().backward()
        wanted = np.zeros(shape)
        np.add.at(wanted, index, 1.0)
        np.testing.assert_array_equal(x.grad, wanted)


class TestItemAssignment:
    def test_the_result_is_recorded(self):
        x, v = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0])
        y = x * x
        y[1:] = v * 2
        assert y.tolist() == [1, 20, 40] and [g for _, g, _ in tg.tape()] == ["multiply", "multiply", "setitem"]
        (y * y).sum().backward()
        np.testing.assert_array_equal(x.grad, [4, 0, 0])
        np.testing.assert_array_equal(v.grad, [80, 160])

    def test_what_was_computed_before_keeps_its_value(self):
        x = leaf([1.0, 2.0])
        y = x * 3
        z, view = y * y, y[:1]
        y[0] = 100.0
        assert z.tolist() == [9, 36] and view.tolist() == [3] and y.tolist() == [100, 6]
        (z.sum() + y.sum()).backward()
        np.testing.assert_array_equal(x.grad, [18, 36 + 3])

    def test_a_constant_becomes_a_result(self):
        x, y = leaf([1.0, 2.0]), tg.tensor(np.zeros(3))
        y[np.array([0, 2])] = x
        assert y.requires_grad and not y.is_leaf
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, [1, 1])

    def test_dtype_stays(self):
        y = tg.tensor(np.zeros(3, "f4"))
        y[0] = leaf([1.0])[0]
        assert y.dtype == np.float32

    def test_bad_assignments(self):
        x = leaf([1.0, 2.0])
        with pytest.raises(errors.GradientError, match="leaf"):
            x[0] = 1.0
        with pytest.raises(errors.ShapeError, match="setitem"):
            tg.tensor([1.0, 2.0])[:] = np.ones(3)
        with pytest.raises(IndexError, match="setitem"):
            tg.tensor([1.0, 2.0])[7] = 1.0
