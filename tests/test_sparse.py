"""Products with SciPy's sparse matrices: those of the same arrays. The row is in the table."""

import gc

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import errors

sp = pytest.importorskip("scipy.sparse")

RNG = np.random.default_rng(0)
M = RNG.normal(size=(3, 4)) * (RNG.random((3, 4)) < 0.6)
KINDS = [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.csc_matrix, sp.coo_matrix, sp.lil_array, sp.dia_matrix,
         sp.bsr_array]
PRODUCTS = [lambda S, x: S @ x, tg.matmul, tg.dot, lambda S, x: S.dot(x), np.matmul]
FROM_LEFT = [lambda x, S: x @ S, tg.matmul, tg.dot, np.matmul]


def compared(product, first, second, S, x):
    """A product's values and gradient: with the sparse matrix, and with its array."""
    M = S.toarray()
    place = lambda x, S: (S, x) if first == "S" else (x, S)  # noqa: E731
    f = lambda S: lambda x: tg.sin(product(*place(x, S))).sum()  # noqa: E731
    dense = lambda x: tg.sin(tg.matmul(*place(x, M))).sum()  # noqa: E731
    z = product(*place(tg.tensor(x, requires_grad=True), S))
    assert isinstance(z, tg.Tensor) and z.requires_grad
    np.testing.assert_allclose(z.data, np.matmul(*place(x, M)), rtol=1e-13)
    np.testing.assert_allclose(product(*place(tg.tensor(x), S)).data, np.matmul(*place(x, M)), rtol=1e-13)
    np.testing.assert_allclose(tg.grad(f(S))(x), tg.grad(dense)(x), rtol=1e-12)
    np.testing.assert_allclose(tg.hessian(f(S))(x), tg.hessian(dense)(x), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestProducts:
    @pytest.mark.parametrize("product", PRODUCTS)
    def test_with_what_is_on_the_right(self, kind, product):
        if product is PRODUCTS[3] and kind(M).format == "coo":
            pytest.skip("a method with a way of its own, which asks for an array; it is refused")
        for shape in ((4,), (4, 2), (2, 4, 3)) if product in (PRODUCTS[0], tg.matmul) else ((4,), (4, 2)):
            compared(product, "S", "x", kind(M), RNG.normal(size=shape))

    @pytest.mark.parametrize("product", FROM_LEFT)
    def test_with_what_is_on_the_left(self, kind, product):
        for shape in ((3,), (2, 3), (2, 5, 3)):
            compared(product, "x", "S", kind(M), RNG.normal(size=shape))

    def test_under_vmap(self, kind):
        S, x = kind(M), RNG.normal(size=(5, 4))
        np.testing.assert_allclose(tg.vmap(lambda x: S @ x)(x), x @ M.T, rtol=1e-13)
        np.testing.assert_allclose(tg.vmap(lambda x: x @ S.T)(x), x @ M.T, rtol=1e-13)
        np.testing.assert_allclose(tg.vmap(lambda x: S @ tg.outer(x, [1.0, 2.0]))(x)[..., 1], 2 * x @ M.T, rtol=1e-13)
        np.testing.assert_allclose(tg.jacobian(lambda x: S @ x)(x[0]), M, rtol=1e-13)
        f = lambda x: (tg.sin(S @ x) ** 2).sum()  # noqa: E731
        np.testing.assert_allclose(tg.vmap(tg.grad(f))(x), np.stack([tg.grad(f)(row) for row in x]), rtol=1e-12)


def test_dtypes():
    S = sp.csr_array(M.astype("f4"))
    x = tg.tensor(np.ones(4, "f4"), requires_grad=True)
    z = S @ x
    assert z.dtype == np.float32
    (sp.csr_array(M) @ x).sum().backward()
    assert x.grad.dtype == np.float32
    assert (sp.csr_array((M > 0).astype(int)) @ x).dtype == np.result_type(int, np.float32)


def test_complex():
    C = M + 1j * M[::-1]
    x = RNG.normal(size=4) + 1j * RNG.normal(size=4)
    f = lambda S: lambda y: (tg.absolute(S @ y) ** 2).sum()  # noqa: E731
    for y in (x, x.real):
        np.testing.assert_allclose(tg.grad(f(sp.csr_array(C)))(y), tg.grad(f(C))(y), rtol=1e-12)


def test_what_the_caller_writes_into_it_afterwards():
    for n in (4, 400):                                  # a small one is copied each time, a large one once
        S = sp.random_array((n, n), density=0.3, rng=np.random.default_rng(0), format="csr")
        dense = S.toarray()
        x = tg.tensor(np.ones(n), requires_grad=True)
        loss = (S @ x).sum()
        S.data *= 2
        loss.backward()
        np.testing.assert_allclose(x.grad, dense.sum(0), rtol=1e-12)
        x.grad = None
        (S @ x).sum().backward()
        np.testing.assert_allclose(x.grad, 2 * dense.sum(0), rtol=1e-12)


@pytest.mark.parametrize("product", [
    tg.custom_root(lambda z, x, S: z - S @ x, lambda x, S: S @ x),
    tg.primitive(lambda d, z, x, S: S.T @ d, name="sparse_product_of_a_user")(lambda x, S: S @ x)],
    ids=["custom_root", "primitive"])
def test_what_the_caller_writes_into_an_argument_afterwards(product):
    S, x = sp.csr_array(M), tg.tensor(np.ones(4), requires_grad=True)
    z = product(x, S).sum()
    S.data *= 2
    z.backward()
    np.testing.assert_allclose(x.grad, M.sum(0), rtol=1e-12)


def test_solved_by_gradients():
    S, b = sp.csr_array(M @ M.T + np.eye(3)), np.array([1.0, 2.0, 3.0])
    quadratic = lambda x: 0.5 * x @ (S @ x) - x @ b  # noqa: E731
    np.testing.assert_allclose(tg.hessian(quadratic)(b), S.toarray(), rtol=1e-12)
    tg.gradcheck(lambda x: tg.tanh(S @ x), b, order=2)


def test_compiled_runs_as_it_is():
    S = sp.csr_array(M)
    f = tg.compile(lambda x: (S @ x).sum(), fallback="silent")
    x = tg.tensor(np.ones(4))
    for _ in range(3):
        assert f(x).item() == pytest.approx(S.sum())
        S.data *= 2


class TestRefused:
    S, x = sp.csr_array(M), np.ones(4)

    @pytest.mark.parametrize("f", [
        lambda S, x: x * S, lambda S, x: x + S, lambda S, x: S + x, lambda S, x: x - S, lambda S, x: tg.add(S, x),
        lambda S, x: tg.exp(S), lambda S, x: tg.sum(S), lambda S, x: tg.concatenate([S, x]), lambda S, x: tg.tensor(S),
        lambda S, x: tg.linalg.inv(S), lambda S, x: tg.einsum("ij,j", S, x), lambda S, x: tg.outer(S, x),
    ])
    @pytest.mark.parametrize("kind", [sp.csr_array, sp.coo_matrix])
    def test_elsewhere(self, f, kind):
        x = tg.tensor(self.x, requires_grad=True)
        with pytest.raises(errors.DtypeError, match=r"a sparse matrix, float64 \(3, 4\), is an operand of products only"):
            f(kind(M), x)

    def test_two_of_them(self):
        with pytest.raises(errors.DtypeError, match="two sparse matrices"):
            tg.matmul(self.S, self.S.T)

    @pytest.mark.parametrize("f", [lambda S: S @ tg.ones(3), lambda S: tg.ones(4) @ S, lambda S: tg.matmul(S, tg.tensor(1.0)),
                                   lambda S: tg.ones((4, 4)) @ S, lambda S: S @ tg.ones((3, 4))])
    def test_shapes(self, f):
        with pytest.raises(errors.ShapeError, match=r"matmul: .*float64 \(3, 4\).*, one of them a sparse matrix"):
            f(self.S)

    def test_a_vector(self):
        with pytest.raises(errors.ShapeError, match="a matrix is needed"):
            tg.matmul(sp.coo_array(np.ones(4)), tg.ones(4))

    @pytest.mark.parametrize("f", [lambda S, x: S.multiply(x), lambda S, x: S * x, lambda S, x: sp.coo_array(S).dot(x)])
    def test_where_scipy_asks_for_an_array(self, f):
        with pytest.raises(errors.GradientError, match="which would be lost"):
            f(self.S, tg.tensor(self.x, requires_grad=True))


def test_nothing_keeps_the_matrix():
    import weakref

    S = sp.csr_array(M)
    gone = weakref.ref(S)
    (S @ tg.tensor(np.ones(4), requires_grad=True)).sum().backward()
    del S
    gc.collect()
    assert gone() is None
