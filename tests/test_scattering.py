"""Writing at places, sums with products, distances: against PyTorch to second order, against differences, errors."""

import numpy as np
import pytest
from torch_oracle import agree

import tapegrad as tg
from tapegrad.errors import DtypeError, ShapeError

rng = np.random.default_rng(0)
X, Y, Z = (rng.normal(size=(4, 5)) for _ in range(3))
INDEX = np.array([[0, 3, 2], [1, 1, 0]])                # no place twice along axis 0 in its column; along axis 1, row 1 has one
A, B = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))
V, W = rng.normal(size=5), rng.normal(size=4)


def tensors(x):
    torch = pytest.importorskip("torch")
    return torch.tensor(x) if isinstance(x, np.ndarray) else x


def distances(F, x, y, p):
    """cdist; PyTorch's has no second derivative."""
    return F.cdist(x, y, p) if F is tg else F.norm(x.unsqueeze(-2) - y.unsqueeze(-3), p, dim=-1)


# What each is called with: arrays that have gradients, and a function of (library, those, a maker of constants).
CALLS = [
    ("scatter", [X, Y[:2, :3]], lambda F, c, x, y: F.scatter(x, 0, c(INDEX), y)),
    ("scatter along axis 1", [X, Y[:1, :3]], lambda F, c, x, y: F.scatter(x, 1, c(INDEX[:1]), y)),
    ("scatter of a number", [X], lambda F, c, x: F.scatter(x, 0, c(INDEX), 3.0)),
    ("scatter_add", [X, Y[:2, :3]], lambda F, c, x, y: F.scatter_add(x, 0, c(INDEX), y)),
    ("scatter_add, places twice", [X, Y[:2, :3]], lambda F, c, x, y: F.scatter_add(x, -1, c(INDEX), y)),
    ("index_add", [X, Y], lambda F, c, x, y: F.index_add(x, 0, c(np.array([3, 0, 3, 1])), y)),
    ("index_add along axis 1", [X, Y], lambda F, c, x, y: F.index_add(x, 1, c(np.array([3, 0, 3, 1, 1])), y, alpha=0.5)),
    ("masked_fill", [X], lambda F, c, x: F.masked_fill(x, c(Y > 0), 2.0)),
    ("diag_embed", [X], lambda F, c, x: F.diag_embed(x)), ("diag_embed below", [X], lambda F, c, x: F.diag_embed(x, -2)),
    ("diag_embed in other axes", [A], lambda F, c, x: F.diag_embed(x, 1, 0, 2)),
    ("block_diag", [X, Y[:1], V], lambda F, c, *xs: F.block_diag(*xs)),
    ("addmm", [X, A[0].T, A[1].T[:3, :3] @ rng.normal(size=(3, 5))],
     lambda F, c, x, y, z: F.addmm(x, y, z, beta=0.5, alpha=2.0)),
    ("addmv", [W, X, V], lambda F, c, x, y, z: F.addmv(x, y, z)),
    ("addr", [X, W, V], lambda F, c, x, y, z: F.addr(x, y, z, alpha=3)),
    ("baddbmm", [V, A, B], lambda F, c, x, y, z: F.baddbmm(x, y, z, beta=2)),
    ("addbmm", [rng.normal(size=(3, 5)), A, B], lambda F, c, x, y, z: F.addbmm(x, y, z, beta=0.5)),
    ("addcmul", [X, Y, V], lambda F, c, x, y, z: F.addcmul(x, y, z, value=0.5)),
    ("addcdiv", [X, Y, np.abs(Z) + 0.5], lambda F, c, x, y, z: F.addcdiv(x, y, z, value=0.5)),
    ("lerp", [X, Y, np.abs(Z)], lambda F, c, x, y, z: F.lerp(x, y, z)),
    ("lerp by a number", [X, Y], lambda F, c, x, y: F.lerp(x, y, 0.3)),
    ("rsqrt", [np.abs(X)], lambda F, c, x: F.rsqrt(x)),
    ("cdist", [X, Y[:3]], lambda F, c, x, y: distances(F, x, y, 2.0)),
    ("cdist, p=1", [X, Y[:3]], lambda F, c, x, y: distances(F, x, y, 1.0)),
    ("cdist, p=3", [A, B[..., :4]], lambda F, c, x, y: distances(F, x, y, 3.0)),
]
calls = pytest.mark.parametrize("arrays, call", [pytest.param(*call[1:], id=call[0]) for call in CALLS])


@calls
def test_agrees_with_pytorch(arrays, call):
    torch = pytest.importorskip("torch")
    agree(lambda *xs: call(tg, lambda x: x, *xs), lambda *xs: call(torch, tensors, *xs), arrays)


@calls
def test_derivatives_against_differences(arrays, call):
    assert tg.gradcheck(lambda *xs: call(tg, lambda x: x, *xs), *arrays, order=2)


def test_the_last_of_two_writes_stays_and_has_the_delta():
    y = tg.tensor([1.0, 2.0], requires_grad=True)
    z = tg.scatter(np.zeros(2), 0, [1, 1], y)
    z.sum().backward()
    assert z.tolist() == [0, 2] and y.grad.tolist() == [0, 1]


def test_a_source_may_be_longer_than_the_index():
    np.testing.assert_array_equal(tg.scatter_add(X, 0, INDEX, Y).data, tg.scatter_add(X, 0, INDEX, Y[:2, :3]).data)
    assert tg.gradcheck(lambda x, y: tg.scatter(x, 0, INDEX, y), X, Y)


def test_the_index_may_change_afterwards():
    index, x = np.array([0, 2]), tg.tensor(np.ones(2), requires_grad=True)
    z = tg.scatter_add(np.zeros(3), 0, index, x)
    index[:] = 1
    (z * [1.0, 10.0, 100.0]).sum().backward()
    assert x.grad.tolist() == [1, 100]


def test_the_input_stays():
    x = np.zeros(3)
    tg.scatter(x, 0, [1], [1.0]), tg.scatter_add(x, 0, [1], [1.0]), tg.index_add(x, 0, [1], [1.0])
    assert not x.any()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_dtypes_are_kept(dtype):
    x = tg.tensor(np.ones(3), dtype=dtype, requires_grad=True)
    for z in (tg.scatter(x, 0, [1], 2.0), tg.scatter_add(x, 0, [1], 2.0), tg.index_add(x, 0, [1], x[:1], alpha=0.5),
              tg.masked_fill(x, x > 0, 2), tg.diag_embed(x), tg.block_diag(x, x), tg.lerp(x, x * 2, 0.5), tg.rsqrt(x),
              tg.cdist(x.reshape(3, 1), x.reshape(3, 1)), tg.addcmul(x, x, x, value=2)):
        assert z.dtype == dtype


@pytest.mark.parametrize("dtype", ["i4", "u1", "i8", "f2"])
def test_pythons_numbers_widen_nothing(dtype):
    x = np.array([1, 2, 3], dtype)
    for z, wanted in [(tg.masked_fill(x, x > 1, 7), [1, 7, 7]), (tg.scatter(x, 0, [1], 7), [1, 7, 3]),
                      (tg.scatter_add(x, 0, [1], 7), [1, 9, 3]), (tg.masked_fill(x, x > 1, True), [1, 1, 1])]:
        assert z.dtype == dtype and z.tolist() == wanted


def test_an_input_that_does_not_count_is_not_read():
    assert tg.addmm(np.nan, np.ones((1, 1)), np.ones((1, 1)), beta=0).item() == 1


def test_the_distance_of_equal_rows_has_no_gradient():
    x = tg.tensor(np.ones((2, 3)), requires_grad=True)
    tg.cdist(x, np.ones((2, 3))).sum().backward()
    np.testing.assert_array_equal(x.grad, 0)


@pytest.mark.parametrize("call, error, words", [
    (lambda: tg.scatter(X, 0, [[0.0]], Y), DtypeError, "scatter: an index float64 \\(1, 1\\)"),
    (lambda: tg.scatter(X, 0, [[4]], Y), IndexError, "scatter: an index from 4 to 4 for an axis of length 4"),
    (lambda: tg.scatter(X, 0, [0], Y), ShapeError, "scatter: input float64 \\(4, 5\\), axis 0, index int64 \\(1,\\)"),
    (lambda: tg.scatter_add(X, 0, [[0] * 6], np.ones((1, 6))), ShapeError, "scatter_add: input"),
    (lambda: tg.scatter(np.zeros(2, int), 0, [0], [0.5]), DtypeError, "scatter: a source float64"),
    (lambda: tg.index_add(X, 0, [0, 1], Y), ShapeError, "index_add: input"),
    (lambda: tg.masked_fill(X, Y, 0.0), DtypeError, "masked_fill: mask float64"),
    (lambda: tg.masked_fill(np.arange(3), [True, False, True], 0.5), DtypeError, "masked_fill: a source float64"),
    (lambda: tg.masked_fill(np.arange(3, dtype="u1"), [True, False, True], 300), OverflowError, "300 out of bounds for uint8"),
    (lambda: tg.masked_fill(X, Y > 0, Y), ShapeError, "masked_fill: value"),
    (lambda: tg.block_diag(A), ShapeError, "block_diag: float64 \\(2, 3, 4\\)"),
    (lambda: tg.addmm(X, X, X), ShapeError, "addmm: float64 \\(4, 5\\) and float64 \\(4, 5\\)"),
    (lambda: tg.addmm(X, np.ones((1, 2)), np.ones((2, 5))), ShapeError, "addmm: an input float64 \\(4, 5\\) for a product"),
    (lambda: tg.cdist(X, A), ShapeError, "cdist: float64 \\(4, 5\\) and float64 \\(2, 3, 4\\)"),
    (lambda: tg.diag_embed(1.0), ShapeError, "diag_embed")])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("n", [10, 2000, 3000])
def test_points_that_are_read_often(n):
    """Pairs of places, negative ones and small dtypes among them, by as many additions one after the other."""
    x, d = rng.normal(size=(30, 7)), rng.normal(size=(2, n))
    i, j = rng.integers(-30, 30, (2, n)), rng.integers(0, 7, n).astype(np.uint8)
    expected = np.zeros_like(x)
    for row in range(2):
        for a, b, each in zip(i[row], j, d[row]):
            expected[a, b] += each
    np.testing.assert_allclose(tg.grad(lambda x: (x[i, j] * d).sum())(x), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tg.grad(lambda x: (x[i, j] * d).sum() + x[0, 0])(x)[0, 0], expected[0, 0] + 1, rtol=1e-12)
