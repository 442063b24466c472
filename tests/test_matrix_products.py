"""The fast paths of the matrix product: look-ups for indicator matrices, products and rows that are added to a delta."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.kernels import blas as accumulation
from tapegrad.kernels import onehot as indicator
from tapegrad.kernels.compile import compiler

needs_numba = pytest.mark.skipif(compiler() is None, reason="numba is missing or switched off")


def rows_with_ones(n, k, ones, dtype=np.float32, seed=0):
    random, x = np.random.default_rng(seed), np.zeros((n, k), dtype)
    for row in x:
        row[random.permutation(k)[:ones]] = 1
    return x


def normal(*shape, dtype=np.float32, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@needs_numba
class TestIndicator:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("n, k, h", [(16, 128, 32), (64, 80, 50), (7, 300, 1), (130, 16, 3), (64, 800, 50)])
    @pytest.mark.parametrize("ones", [0, 1])
    def test_one_hot_rows_come_to_the_bits_of_sums_in_order(self, dtype, n, k, h, ones):
        """Not to those of BLAS, which adds up in an order of its own on every processor."""
        x = rows_with_ones(n, k, ones, dtype)
        y, d, w = normal(k, h, dtype=dtype), normal(n, h, dtype=dtype), normal(k, h, dtype=dtype, seed=2)
        rows, summed = np.zeros((n, h), dtype), np.zeros((k, h), dtype)
        for i, j in zip(*np.nonzero(x)):
            rows[i] += y[j]
            summed[j] += d[i]
        np.testing.assert_array_equal(indicator.product(x, y), rows)
        np.testing.assert_array_equal(indicator.product(x.T, d), summed)
        assert indicator.add_product(w, x, d)
        np.testing.assert_array_equal(w, normal(k, h, dtype=dtype, seed=2) + summed)

    @given(n=st.integers(1, 20), k=st.integers(16, 400), h=st.integers(1, 20), seed=st.integers(0, 2 ** 32 - 1),
           dtype=st.sampled_from([np.float32, np.float64]))
    @settings(max_examples=100, deadline=None)
    def test_any_indicator_matrix(self, n, k, h, seed, dtype):
        random = np.random.default_rng(seed)
        x = np.zeros((n, k), dtype)
        for row in x:
            row[random.permutation(k)[:random.integers(0, k // 16 + 1)]] = 1
        y, d, w = (random.normal(size=shape).astype(dtype) for shape in ((k, h), (n, h), (k, h)))
        exact = np.longdouble
        bound = {"atol": 300 * np.finfo(dtype).eps, "rtol": 0}
        z, expected = indicator.product(x, y), w.astype(exact) + x.T.astype(exact) @ d.astype(exact)
        if x.item(0) and x.item(1):                     # it looks like a dense matrix
            assert z is None and not indicator.add_product(w, x, d)
            return
        np.testing.assert_allclose(z, x.astype(exact) @ y.astype(exact), **bound)
        assert indicator.add_product(w, x, d)
        np.testing.assert_allclose(w, expected, **bound)

    @pytest.mark.parametrize("place", [(0, 5), (7, 40), (15, 127)])
    @pytest.mark.parametrize("value", [2.0, 0.5, -1.0, np.nan, np.inf, 1e-45])
    def test_another_number_is_left_to_the_dense_product(self, place, value):
        x, w = rows_with_ones(16, 128, 1), normal(128, 4)
        x[place] = value
        before = w.copy()
        assert indicator.product(x, normal(128, 4)) is None and not indicator.add_product(w, x, normal(16, 4))
        np.testing.assert_array_equal(w, before)

    def test_many_ones_are_left_to_the_dense_product(self):
        x = rows_with_ones(16, 128, 9)
        x[0, 0] = 0
        assert indicator.product(x, normal(128, 4)) is None and not indicator.add_product(normal(128, 4), x, normal(16, 4))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @np.errstate(all="ignore")
    def test_zero_times_infinity_is_nan(self, value):
        x, W = rows_with_ones(32, 128, 1), normal(128, 4)
        x[:, 5] = 0
        W[5, 2] = value                                 # in no row of the look-up, but in every row of the product
        z = tg.tensor(x) @ tg.tensor(W, requires_grad=True)
        np.testing.assert_array_equal(z.data, x @ W)
        assert np.isnan(z.data[:, 2]).all()
        d = normal(32, 4)
        d[3, 1] = value
        W = tg.tensor(normal(128, 4), requires_grad=True)
        (tg.tensor(x) @ W).backward(d)
        np.testing.assert_array_equal(W.grad, x.T @ d)

    def test_negative_zeros(self):
        x, W = rows_with_ones(32, 128, 1), np.full((128, 4), -0.0, np.float32)
        assert not np.signbit(x @ W).any() and not np.signbit(indicator.product(x, W)).any()

    @pytest.mark.parametrize("change", [np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2], lambda a: a.astype("f8"),
                                        lambda a: np.broadcast_to(a[:1], a.shape)])
    def test_other_layouts_and_dtypes(self, change):
        x, W = rows_with_ones(32, 128, 1), normal(128, 4)
        for a, b in ((change(x), W), (x, change(W)), (change(x), change(W))):
            left, right = tg.tensor(np.zeros(a.shape, a.dtype)), tg.tensor(np.zeros(b.shape, b.dtype), requires_grad=True)
            left.data, right.data = a, b
            z = left @ right
            np.testing.assert_allclose(z.data, a @ b, rtol=1e-6)
            z.sum().backward()
            np.testing.assert_allclose(right.grad, a.T @ np.ones(z.shape, z.dtype), rtol=1e-6)

    @pytest.mark.parametrize("rows", [0, 1, 127, 129])
    def test_shapes_that_do_not_go_together(self, rows):
        x, y = tg.tensor(rows_with_ones(32, 128, 1)), tg.tensor(normal(rows, 4), requires_grad=True)
        with pytest.raises(ValueError, match="matmul"):
            x @ y
        with pytest.raises(ValueError, match="matmul"):
            tg.tensor(rows_with_ones(128, 32, 1).T.copy().T).T @ y
        assert not indicator.add_product(normal(128, 4), rows_with_ones(32, 128, 1), normal(rows, 4))
        assert not indicator.add_product(normal(127, 4), rows_with_ones(32, 128, 1), normal(32, 4))

    @pytest.mark.parametrize("ones", [0, 1])
    @pytest.mark.parametrize("value", [1.0, np.inf])
    @np.errstate(all="ignore")
    def test_numbers_in_the_other_byte_order(self, ones, value):
        swapped = np.dtype("f4").newbyteorder()
        x, W = rows_with_ones(32, 128, ones).astype(swapped), normal(128, 4).astype(swapped)
        x[:, 5], W[5, 2] = 0, value
        np.testing.assert_array_equal((tg.tensor(x) @ tg.tensor(W, requires_grad=True)).data, x @ W)

    def test_x_itself_can_require_a_gradient(self):
        x, W = tg.tensor(rows_with_ones(32, 128, 1), requires_grad=True), normal(128, 4)
        (x @ W).sum().backward()
        np.testing.assert_allclose(x.grad, np.ones((32, 4), "f4") @ W.T, rtol=1e-5)

    def test_a_row_that_is_changed_is_read_anew(self):
        x, W = tg.tensor(rows_with_ones(32, 128, 1)), normal(128, 4)
        before = (x @ W).data
        x.data[0] = 0
        np.testing.assert_array_equal((x @ W).data[0], np.zeros(4))
        np.testing.assert_array_equal((x @ W).data[1:], before[1:])


@needs_numba
class TestAccumulation:
    @pytest.mark.skipif(accumulation.library() is None, reason="NumPy has another BLAS")
    @pytest.mark.parametrize("turned", [(), ("transposed_x",), ("transposed_y",)])
    @pytest.mark.parametrize("n, k, m", [(1, 1, 1), (3, 5, 2), (16, 32, 32), (64, 128, 128), (5, 700, 3)])
    def test_a_product_is_added(self, turned, n, k, m):
        x, y, w = normal(n, k), normal(k, m, seed=2), normal(n, m, seed=3)
        expected = w.astype("f8") + x.astype("f8") @ y.astype("f8")
        given = [np.ascontiguousarray(a.T) if f"transposed_{name}" in turned else a for name, a in (("x", x), ("y", y))]
        assert accumulation.add_product(w, *given, **dict.fromkeys(turned, True))
        np.testing.assert_allclose(w, expected, rtol=1e-5, atol=1e-4)

    def test_what_does_not_fit_is_left_as_it_is(self):
        w, readonly = normal(8, 8), normal(8, 8)
        readonly.flags.writeable = False
        x, before = normal(8, 8), w.copy()
        for out, left, right in ((w, x.T, x), (w, x, normal(8, 16)[:, ::2]), (w, x.astype("f8"), x), (w.T, x, x), (w, x, x[0]),
                                 (w, x[:, :7].copy(), x), (w, x[:7], x), (w, x, x[:, :7].copy()), (readonly, x, x),
                                 (w.astype("f8"), x, x), (w, x[0, 0], x), (w, x, x[0, 0]),
                                 (np.zeros((0, 8), "f4"), x[:0], x), (w, x[None], x)):
            assert not accumulation.add_product(out, left, right)
        np.testing.assert_array_equal(w, before)

    @pytest.mark.parametrize("n, size", [(1, 1), (16, 32), (128, 257), (0, 4)])
    def test_rows_are_added(self, n, size):
        b, d = normal(size), normal(n, size, seed=2)
        expected = b.astype("f8") + d.sum(axis=0, dtype="f8")
        assert accumulation.add_rows(b, d)
        np.testing.assert_allclose(b, expected, rtol=1e-5, atol=1e-5)

    def test_rows_that_do_not_fit(self):
        b, d = normal(8), normal(4, 8)
        before = b.copy()
        for out, rows in ((b, d.T), (b, d[:, :7].copy()), (b, d.astype("f8")), (b.astype("f8"), d), (b[::2], d), (b, d[0]),
                          (d, d), (b, d[0, 0])):
            assert not accumulation.add_rows(out, rows)
        np.testing.assert_array_equal(b, before)


def test_a_recurrence_has_the_gradients_of_differences():
    """Weights used at every step: their deltas are added up in place, and their transposes remembered in the sweep."""
    x, U, W = rows_with_ones(32, 128, 1), normal(64, 64) / 8, normal(128, 64)

    def loss(U, W):
        h = tg.tensor(np.zeros((32, 64), U.dtype))
        for _ in range(5):
            h = tg.tanh(tg.tensor(x.astype(U.dtype)) @ W + h @ U + h @ (U * 0.5))
        return (h * h).mean()

    found = tg.grad(loss, (0, 1))(U, W)
    exact = tg.grad(loss, (0, 1))(U.astype("f8"), W.astype("f8"))
    for single, double in zip(found, exact):
        np.testing.assert_allclose(single, double, atol=2e-6)
    for seed in range(20):
        u, w = normal(64, 64, dtype=float, seed=seed), normal(128, 64, dtype=float, seed=seed + 20)
        above, below = (loss(tg.tensor(U + side * u), tg.tensor(W + side * w)).item() for side in (1e-6, -1e-6))
        np.testing.assert_allclose((above - below) / 2e-6, (exact[0] * u).sum() + (exact[1] * w).sum(), rtol=1e-6, atol=1e-8)


def test_a_weight_that_is_changed_between_sweeps():
    """What is remembered of a weight ends with the sweep."""
    W, h = tg.tensor(normal(64, 64), requires_grad=True), tg.tensor(normal(4, 64), requires_grad=True)
    for _ in range(3):
        h.zero_grad()
        ((h @ W) @ W).backward(np.ones((4, 64), "f4"))
        np.testing.assert_allclose(h.grad, np.ones((4, 64)) @ W.data.T @ W.data.T, rtol=1e-4, atol=1e-3)
        W.data *= -0.5


def test_no_numba_for_dense_products():
    # A fresh process tells by its sys.modules, which is public, what was loaded.
    run = subprocess.run([sys.executable, "-c", "import sys, numpy as np, tapegrad as tg\n"
                          "W = tg.tensor(np.ones((64, 64)), requires_grad=True)\nx = np.zeros((64, 64))\nx[:, 9:] = 2\n"
                          "for _ in range(2):\n    ((x @ W) @ W).sum().backward()\n"
                          "print('numba' in sys.modules)"], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


PRODUCTS_WITH_A_VECTOR = {
    "@": lambda X, v: X @ v,
    "dot": tg.dot,
    "inner": tg.inner,
    "matvec": tg.matvec,
    "vecdot": tg.vecdot,
    "vecdot, the vector first": lambda X, v: tg.vecdot(v, X),
    "tensordot": lambda X, v: tg.tensordot(X, v, 1),
    "einsum": lambda X, v: tg.einsum("...j,j->...", X, v),
    "einsum, the vector first": lambda X, v: tg.einsum("j,...j->...", v, X),
    "v @": lambda X, v: v @ tg.moveaxis(X, -1, 0) if X.ndim == 2 else v @ tg.swapaxes(X, -1, -2),
    "vecmat": lambda X, v: tg.vecmat(v, tg.swapaxes(X, -1, -2))}


@pytest.mark.parametrize("shape", [(300, 200), (3, 100, 200), (0, 5), (2, 0, 4), (3, 0)])
@pytest.mark.parametrize("name", PRODUCTS_WITH_A_VECTOR)
def test_the_delta_of_a_vector_is_one_product(name, shape):
    product, v = PRODUCTS_WITH_A_VECTOR[name], tg.tensor(np.ones(shape[-1]), requires_grad=True)
    X = tg.tensor(np.random.default_rng(0).normal(size=shape))
    z = product(X, v)
    d = np.random.default_rng(1).normal(size=z.shape)
    z.backward(d)
    np.testing.assert_allclose(v.grad, (X.data * d[..., None]).sum(tuple(range(X.ndim - 1))), rtol=1e-9, atol=1e-9)
    if X.size > 50_000:
        tracemalloc.start()
        product(X, v).backward(d)
        z = product(X, v)
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        z.backward(d)
        used = tracemalloc.get_traced_memory()[1] - start
        tracemalloc.stop()
        assert used < X.data.nbytes / 4
