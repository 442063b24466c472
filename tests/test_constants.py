"""Arrays of the caller's as operands: a write into them later changes no gradient, and a use of them is cheap."""

import gc
import tracemalloc

import numpy as np
import pytest

import tapegrad as tg

LARGE = (300, 200)
USES = {"matmul": lambda X, w: X @ w, "rmatmul": lambda X, w: w.T @ X.T,
        "multiply": lambda X, w: X * w.T, "linear": lambda X, w: tg.linear(X, w.T),
        "where": lambda X, w: tg.where(True, X * w.T, 0.0), "divide": lambda X, w: w.T / X, "power": lambda X, w: abs(w.T) ** X,
        "einsum": lambda X, w: tg.einsum("ij,jk->ik", X, w), "dot": lambda X, w: tg.dot(X, w)}


@pytest.mark.parametrize("change", [lambda X: X.fill(7.0), lambda X: X.__setitem__((-1, -1), 7.0), lambda X: X.sort(axis=0),
                                    lambda X: np.swapaxes(X, 0, 1)[::-1].__setitem__(0, X[:, 0])],
                         ids=["all", "last", "order", "view"])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_write_between_forward_and_backward_changes_no_gradient(use, layout, change):
    rng = np.random.default_rng(0)
    X = rng.uniform(0.5, 1, LARGE)
    X = np.repeat(X, 2, 0)[::2] if layout == "strided" else np.array(X, order=layout)
    start = rng.standard_normal((LARGE[1], 1))
    wanted = []
    for again in range(3):                              # the second and third use meet what the first has kept
        w, constant = [tg.tensor(a, requires_grad=g) for a, g in ((start, True), (X, False))]
        use(constant, w).sum().backward()
        wanted = w.grad
        w = tg.tensor(start, requires_grad=True)
        z = use(X, w).sum()
        if again:
            change(X)
        z.backward()
        np.testing.assert_allclose(w.grad, wanted, 1e-9)


def test_each_use_has_the_value_of_its_time():
    X, w = np.ones(LARGE), tg.tensor(np.ones((LARGE[1], 1)), requires_grad=True)
    z = 0.0
    for k in range(1, 4):
        X[...] = k
        z = z + (X @ w).sum()
    X[...] = np.nan
    z.backward()
    np.testing.assert_array_equal(w.grad, 6.0 * LARGE[0])


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_an_array_that_is_reshaped_or_takes_the_place_of_another_is_itself():
    w = tg.tensor(np.ones((10, 1)), requires_grad=True)
    for k in range(20):
        X = np.full((1000, 10), float(k))               # likely where the last one was
        (X @ w).sum().backward()
        assert w.grad[0] == 1000 * k
        w.zero_grad()
        X.shape = (10, 1000)
        z = (X.T @ w).sum()
        z.backward()
        assert w.grad[0] == 1000 * k
        w.zero_grad()


def test_a_result_is_not_the_callers_array():
    X = np.ones(LARGE)
    for make in (lambda: tg.reshape(X, (-1,)), lambda: tg.array(X), lambda: tg.positive(X), lambda: tg.transpose(X),
                 lambda: X + tg.zeros(1)):
        z = make()
        z.data[...] = 5.0
        assert X.sum() == X.size
        X[0, 0] = 3.0
        assert z.data.min() == 5.0
        X[0, 0] = 1.0
        assert make().data.sum() == X.size


def read_only(X, how):
    """X, or an array with its values, that nobody can write into."""
    if how == "bytes":
        return np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape)
    X = X.copy()
    X.flags.writeable = False
    return X[:, :] if how == "view" else X


@pytest.mark.parametrize("how", ["owner", "view", "bytes"])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_read_only_array_is_kept_as_it_is(use, how):
    values = np.random.default_rng(0).uniform(0.5, 1, LARGE)
    w, expected = [tg.tensor(np.ones((LARGE[1], 1)), requires_grad=True) for _ in range(2)]
    use(tg.tensor(values), expected).sum().backward()
    X = read_only(values, how)
    use(X, w).sum().backward()
    np.testing.assert_array_equal(w.grad, expected.grad)
    tracemalloc.start()
    z = X @ w
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < X.nbytes / 2 and z.requires_grad


def test_a_read_only_view_of_what_can_be_written_is_not():
    X, w = np.ones(LARGE), tg.tensor(np.ones((LARGE[1], 1)), requires_grad=True)
    for view in (np.broadcast_to(X, X.shape), memoryview(X).toreadonly()):
        z = (np.asarray(view) @ w).sum()
        X[...] = 5.0
        z.backward()
        np.testing.assert_array_equal(w.grad, LARGE[0])
        w.zero_grad()
        X[...] = 1.0


def test_a_tensor_of_a_read_only_array_can_be_written_into():
    for make in (tg.reshape, tg.broadcast_to, lambda x, _: tg.positive(x), lambda x, _: tg.array(x)):
        z = make(read_only(np.ones(3), "owner"), (3,))
        z[0] = 2.0
        z.data[1] = 3.0
        z += 1.0
        assert z.tolist() == [3.0, 4.0, 2.0]


def test_copies_go_with_the_arrays():
    w = tg.tensor(np.ones((LARGE[1], 1)), requires_grad=True)
    tracemalloc.start()
    try:
        for _ in range(10):
            X = np.ones(LARGE)
            (X @ w).sum().backward()
        del X
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 8 * LARGE[0] * LARGE[1]
    finally:
        tracemalloc.stop()
