"""tg.linalg: against NumPy's results, PyTorch's derivatives to second order, the edges, and what is refused."""

import numpy as np
import pytest
from numpy_oracle import agree_with_numpy
from torch_oracle import agree

import tapegrad as tg
from tapegrad import linalg
from tapegrad.errors import DtypeError, GradientError, ShapeError

rng = np.random.default_rng(0)
A, TALL, WIDE = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 3, 4))
b, B = rng.normal(size=3), rng.normal(size=(2, 3, 2))
ANY = pytest.mark.parametrize("x", [TALL, WIDE, A, A[0]], ids=lambda x: str(x.shape))
SYMMETRIC = A + A.swapaxes(1, 2)
POSITIVE = A @ A.swapaxes(1, 2) + np.eye(3)
VECTOR_ORDERS, MATRIX_ORDERS = [2, 3, 1.5, 1, np.inf, -np.inf, 0.5, -1], ["fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf]


def torch():
    return pytest.importorskip("torch")


# Against PyTorch, to second order

@pytest.mark.parametrize("name, x", [("inv", A), ("inv", A[0]), ("det", A), ("det", A[0]), ("svdvals", TALL), ("svdvals", WIDE),
                                     ("pinv", TALL), ("pinv", WIDE), ("pinv", A), ("cholesky", POSITIVE),
                                     ("eigvalsh", SYMMETRIC)])
def test_functions_of_one_matrix(name, x):
    agree(getattr(linalg, name), lambda x: getattr(torch().linalg, name)(x), [x])


@pytest.mark.parametrize("x, y", [(A[0], b), (A, b), (A, B), (A[0], B), (A, B[0])])
def test_solve(x, y):
    def theirs(x, y):
        return torch().linalg.solve(x, y) if y.ndim > 1 else torch().linalg.solve(x, y[:, None])[..., 0]

    agree(linalg.solve, theirs, [x, y])
    agree_with_numpy("solve", x, y, of=(linalg, np.linalg))


def test_slogdet():
    def mixed(function):
        def f(x):
            sign, logabsdet = function(x)
            return sign * logabsdet ** 2
        return f

    agree(mixed(linalg.slogdet), mixed(lambda x: torch().linalg.slogdet(x)), [A])


@ANY
def test_svd(x):
    weights = np.arange(1.0, 1 + min(x.shape[-2:]))

    def mixed(function):
        def f(x):
            u, s, vh = function(x, full_matrices=False)
            k = weights if isinstance(x, tg.Tensor) else torch().tensor(weights)
            return (u ** 2 * s[..., None, :]).sum() + (vh ** 2 * k[:, None]).sum() + (u[..., :1, :] * u * k).sum()
        return f

    agree(mixed(linalg.svd), mixed(lambda *args, **options: torch().linalg.svd(*args, **options)), [x], rtol=1e-8, atol=1e-8)


@ANY
def test_qr(x):
    def mixed(function):
        def f(x):
            q, r = function(x)
            return (q ** 3).sum() + (r ** 2 * r).sum() + (q[..., 0, 0] * r[..., -1, -1]).sum()
        return f

    agree(mixed(linalg.qr), mixed(lambda x: torch().linalg.qr(x)), [x], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(linalg.qr(x, "r").data, linalg.qr(x).R.data)


@pytest.mark.parametrize("UPLO", ["L", "U"])
def test_eigh(UPLO):
    weights = np.arange(9.0).reshape(3, 3)

    def mixed(function):
        def f(x):
            values, vectors = function(x, UPLO=UPLO)
            k = weights if isinstance(x, tg.Tensor) else torch().tensor(weights)
            return (vectors ** 2 * k * values[..., None, :]).sum()
        return f

    agree(mixed(linalg.eigh), mixed(lambda *args, **options: torch().linalg.eigh(*args, **options)), [SYMMETRIC],
          rtol=1e-8, atol=1e-8)


def test_upper_cholesky():
    agree(lambda x: linalg.cholesky(x, upper=True), lambda x: torch().linalg.cholesky(x, upper=True), [POSITIVE])


@pytest.mark.parametrize("n", [1, 2, 3, 5, -1, -2])
def test_matrix_power(n):
    agree(lambda x: linalg.matrix_power(x, n), lambda x: torch().linalg.matrix_power(x, n), [A])


@pytest.mark.parametrize("ord", VECTOR_ORDERS)
@pytest.mark.parametrize("axis", [0, -1, (0, 2)])
def test_vector_norm(ord, axis):
    agree(lambda x: linalg.vector_norm(x, ord=ord, axis=axis), lambda x: torch().linalg.vector_norm(x, ord, dim=axis), [TALL])


@pytest.mark.parametrize("ord", MATRIX_ORDERS)
@ANY
def test_matrix_norm(x, ord):
    agree(lambda x: linalg.matrix_norm(x, ord=ord), lambda x: torch().linalg.matrix_norm(x, ord), [x], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("call", [
    *[lambda F, x, ord=ord: F.norm(x, ord, axis=1) for ord in VECTOR_ORDERS], lambda F, x: F.norm(x),
    *[lambda F, x, ord=ord: F.norm(x, ord, axis=(0, 2)) for ord in ("fro", 1, -1, np.inf, -np.inf)],
    lambda F, x: F.vector_norm(x, ord=3, keepdims=True), lambda F, x: F.matrix_norm(x)])
def test_norms_of_complex_numbers_are_those_of_their_absolute_values(call):
    other = rng.normal(size=TALL.shape)
    np.testing.assert_allclose(call(linalg, TALL + 1j * other).data, call(np.linalg, TALL + 1j * other), rtol=1e-12)
    tg.gradcheck(lambda x, y: call(linalg, x + 1j * y), TALL, other, order=2)
    assert call(linalg, (TALL + 1j * other).astype(np.complex64)).dtype == np.float32
    zeros = tg.tensor(np.zeros(TALL.shape, complex), requires_grad=True)
    with np.errstate(divide="ignore"):                  # negative orders
        call(linalg, zeros).sum().backward()
    assert not zeros.grad.any()


@pytest.mark.parametrize("p", [None, 2, -2, 1, np.inf, "fro"])
def test_cond(p):
    agree_with_numpy("cond", A[0], p, of=(linalg, np.linalg))


@pytest.mark.parametrize("arrays", [(b, A[0], WIDE[0], TALL[0]), (A[0], WIDE[0], TALL[0], b), (b, b), (A[0], A[1]),
                                    tuple(rng.normal(size=(2, 2)) for _ in range(9))], ids=len)
def test_multi_dot(arrays):
    agree_with_numpy("multi_dot", list(arrays), of=(linalg, np.linalg))


# Against NumPy

@pytest.mark.parametrize("ord", [None, *VECTOR_ORDERS])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norm_of_vectors(ord, keepdims):
    for x, axis in ((b, None), (TALL, 1), (TALL, -1), (TALL, (2,))):
        agree_with_numpy("norm", x, ord, axis, keepdims, of=(linalg, np.linalg), order=1)


@pytest.mark.parametrize("ord", [None, *MATRIX_ORDERS])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norm_of_matrices(ord, keepdims):
    for x, axis in ((A[0], None), (TALL, (0, 2)), (TALL, (2, 1))):
        agree_with_numpy("norm", x, ord, axis, keepdims, of=(linalg, np.linalg), order=1)


@pytest.mark.parametrize("call", [
    ("norm", np.array(-2.0)), ("norm", TALL), ("norm", np.zeros((0, 3))), ("vector_norm", TALL), ("inv", np.zeros((2, 0, 0))),
    ("matrix_rank", A), ("matrix_power", A, 0), ("det", np.zeros((0, 0))),
    ("diagonal", TALL), ("trace", TALL), ("outer", b, b), ("cross", A, b), ("matmul", A, A), ("vecdot", A, b),
    ("matrix_transpose", TALL), ("tensorinv", rng.normal(size=(2, 3, 6)), 2),
    ("tensorsolve", rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 3))),
    ("tensorsolve", rng.normal(size=(2, 6, 3)), rng.normal(size=(2, 3)), (1,))],
    ids=lambda call: f"{call[0]}-{np.shape(call[1])}")
def test_agrees_with_numpy(call):
    agree_with_numpy(*call, of=(linalg, np.linalg))


@pytest.mark.parametrize("x, y", [(TALL[0], rng.normal(size=4)), (TALL[0], rng.normal(size=(4, 2))), (WIDE[0], b), (A[0], b),
                                  (np.outer(rng.normal(size=4), b), rng.normal(size=4))])
def test_lstsq(x, y):
    found, expected = linalg.lstsq(tg.tensor(x), y), np.linalg.lstsq(x, y)
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours if isinstance(ours, int) else ours.data, theirs, atol=1e-12)
    if found[2] == min(x.shape):
        tg.gradcheck(lambda *given: linalg.lstsq(*given)[:2], x, y, order=2)


def test_bounds_of_pinv():
    """A singular value of 1e-12 beside 1: rtol=None stands for NumPy's bound, about 1e-15."""
    x = np.diag([1.0, 1e-12, 0.0])
    for options in ({}, {"rtol": None}, {"rcond": 1e-10}, {"rtol": 1e-10}, {"rcond": None, "hermitian": True}):
        np.testing.assert_allclose(linalg.pinv(x, **options).data, np.linalg.pinv(x, **options), rtol=1e-9)
    with pytest.raises(ValueError, match="pinv: rcond and rtol"):
        linalg.pinv(x, 1e-10, rtol=1e-10)


def test_hermitian_reads_one_triangle():
    for call in (lambda F: F.svd(A[0], hermitian=True)[1], lambda F: F.svd(A[0], compute_uv=False, hermitian=True),
                 lambda F: F.pinv(A[0], hermitian=True)):
        np.testing.assert_allclose(call(linalg).data, call(np.linalg), atol=1e-12)


def test_names_that_numpy_linalg_has_again():
    x, y = tg.tensor(A, requires_grad=True), rng.normal(size=(3, 3))
    for call in (lambda F, x: F.trace(x, offset=1, dtype=np.float32), lambda F, x: F.tensordot(x, y, axes=1),
                 lambda F, x: F.matmul(x, y), lambda F, x: F.vecdot(x, y, axis=-2)):
        got, expected = call(linalg, x), call(np.linalg, A)
        assert got.requires_grad and got.dtype == expected.dtype
        np.testing.assert_allclose(got.data, expected, rtol=1e-5)


def test_results_have_names():
    assert linalg.slogdet(A)._fields == ("sign", "logabsdet")
    assert linalg.eigh(SYMMETRIC)._fields == ("eigenvalues", "eigenvectors")
    assert linalg.qr(A)._fields == ("Q", "R") and linalg.svd(A)._fields == ("U", "S", "Vh")
    np.testing.assert_allclose((linalg.svd(TALL, full_matrices=False).S - linalg.svd(TALL, compute_uv=False)).data, 0)


def test_one_entry_per_decomposition():
    values, vectors = linalg.eigh(tg.tensor(SYMMETRIC, requires_grad=True))
    assert [g for _, g, _ in tg.tape()] == ["eigh", "getitem", "getitem"] and values.requires_grad and vectors.requires_grad


@pytest.mark.parametrize("name, x", [("inv", A), ("det", A), ("eigvalsh", SYMMETRIC), ("svdvals", TALL), ("cholesky", POSITIVE),
                                     ("pinv", TALL), ("norm", TALL), ("matrix_norm", TALL)])
def test_float32_is_kept_and_integers_become_float64(name, x):
    leaf = tg.tensor(x.astype("f4"), requires_grad=True)
    z = getattr(linalg, name)(leaf)
    z.sum().backward()
    assert z.dtype == leaf.grad.dtype == np.float32
    assert getattr(linalg, name)(np.eye(3, dtype=int)).dtype == np.float64


def test_numpys_own_functions_record():
    x = tg.tensor(POSITIVE[0], requires_grad=True)
    for name in ("inv", "det", "norm", "cholesky", "pinv", "eigvalsh"):
        assert getattr(np.linalg, name)(x).requires_grad
    assert np.linalg.eigh(x).eigenvectors.requires_grad and np.linalg.solve(x, np.ones(3)).requires_grad
    assert np.einsum("ij,jk", x, x).requires_grad and np.concatenate([x, x]).requires_grad and np.trace(x).requires_grad


# Edges

@pytest.mark.parametrize("UPLO", ["L", "U"])
def test_one_triangle_is_read_as_in_numpy(UPLO):
    x = A[0] + 5 * np.eye(3)
    np.testing.assert_allclose(linalg.eigvalsh(x, UPLO).data, np.linalg.eigvalsh(x, UPLO))
    np.testing.assert_allclose(linalg.cholesky(x, upper=UPLO == "U").data, np.linalg.cholesky(x, upper=UPLO == "U"))
    tg.gradcheck(lambda x: linalg.eigvalsh(x + x.T, UPLO), x, order=2)
    tg.gradcheck(lambda x: linalg.cholesky(x + x.T), x, order=2)


@pytest.mark.parametrize("ord", VECTOR_ORDERS[:6] + [None])
def test_norm_of_a_zero_vector_has_gradient_0(ord):
    assert not tg.grad(lambda x: linalg.norm(x, ord))(np.zeros(3)).any()


@pytest.mark.parametrize("ord", MATRIX_ORDERS + [None])
def test_norm_of_a_zero_matrix_has_gradient_0(ord):
    assert not tg.grad(lambda x: linalg.norm(x, ord, axis=(0, 1)))(np.zeros((3, 2))).any()


def test_norm_of_partly_zero_vectors():
    x = np.array([[0.0, 2], [1, 3]])
    agree(lambda x: linalg.norm(x, 3, axis=1), lambda x: torch().linalg.vector_norm(x, 3, dim=1), [x])
    assert not tg.grad(lambda x: tg.where(x[:, 0] > 0, linalg.norm(x, axis=1), 0).sum())(np.zeros((2, 2))).any()


def test_values_have_gradients_where_they_are_equal():
    x = tg.tensor(np.eye(3), requires_grad=True)
    linalg.eigvalsh(x).sum().backward()
    np.testing.assert_allclose(x.grad, np.eye(3))
    x.grad = None
    linalg.svd(x).S.sum().backward()
    np.testing.assert_allclose(x.grad, np.eye(3))
    x.grad = None
    linalg.norm(x, "nuc").backward()
    np.testing.assert_allclose(x.grad, np.eye(3))


def test_vectors_have_none_where_their_values_are_equal():
    x = tg.tensor(np.eye(3), requires_grad=True)
    (linalg.eigh(x).eigenvectors * np.arange(9.0).reshape(3, 3)).sum().backward()
    assert not np.isfinite(x.grad).all()


VECTORS = {"eigh": lambda x: linalg.eigh(x)[1], "eig": lambda x: linalg.eig(x)[1], "U": lambda x: linalg.svd(x)[0],
           "Vh": lambda x: linalg.svd(x)[2]}


@pytest.mark.parametrize("dtype", [float, complex])
def test_equal_values_of_real_and_complex_matrices(dtype):
    x = np.diag([2.0, 2.0, 3.0]).astype(dtype)
    for values in (linalg.eigvalsh, linalg.svdvals, lambda x: tg.real(linalg.eigvals(x))):
        y = tg.tensor(x, requires_grad=True)
        values(y).sum().backward()
        np.testing.assert_allclose(y.grad, np.eye(3), atol=1e-12)
    for vectors in VECTORS.values():
        y = tg.tensor(x, requires_grad=True)
        (tg.abs(np.array([1.0, 2.0, 4.0]) @ vectors(y)) ** 2 * [1.0, 2.0, 3.0]).sum().backward()
        assert not np.isfinite(y.grad).all()
    assert linalg.eig(x).eigenvalues.dtype == linalg.eig(x).eigenvectors.dtype == complex


@pytest.mark.parametrize("x", [np.outer(b, b), np.zeros((3, 3)), np.diag([1.0, 2, 0]), np.diag([2.0, 0, 0, 3]),
                               np.array([[0.0]]), np.arange(9.0).reshape(3, 3), np.eye(3), np.zeros((2, 2)),
                               np.stack([np.eye(2), np.ones((2, 2))])])
def test_det_of_any_matrix_has_a_first_and_second_derivative(x):
    agree_with_numpy("det", x, of=(linalg, np.linalg))


def test_slogdet_of_a_singular_matrix():
    stack = np.stack([np.zeros((2, 2)), np.eye(2)])
    x = tg.tensor(stack, requires_grad=True)
    tg.where([False, True], linalg.slogdet(x).logabsdet, 0).sum().backward()
    np.testing.assert_array_equal(x.grad, [np.zeros((2, 2)), np.eye(2)])


@pytest.mark.parametrize("call", [lambda: linalg.inv(np.zeros((2, 2))), lambda: linalg.cholesky(-np.eye(2)),
                                  lambda: linalg.solve(np.zeros((2, 2)), np.ones(2)),
                                  lambda: linalg.matrix_power(np.ones((2, 2)), -1)])
def test_what_has_no_inverse_is_a_linalg_error(call):
    with pytest.raises(linalg.LinAlgError):
        call()


def test_what_depends_on_the_phase_of_a_complex_vector_is_refused():
    x = A[0] + 1j * A[1]
    for vectors in VECTORS.values():
        with pytest.raises(GradientError, match="phase"):
            tg.real(vectors(tg.tensor(x, requires_grad=True))).sum().backward()
        tg.abs(vectors(tg.tensor(x, requires_grad=True))).sum().backward()


@pytest.mark.parametrize("vectors", VECTORS.values(), ids=VECTORS)
def test_the_phase_of_one_matrix_of_a_stack_is_not_hidden_by_the_others(vectors):
    for weight in (1e12, np.nan):
        x = tg.tensor(A + 1j * A[::-1], requires_grad=True)
        z = vectors(x)
        with pytest.raises(GradientError, match="phase"):
            (weight * tg.abs(z[0]).sum() + tg.real(z[1]).sum()).backward()


@pytest.mark.parametrize("vectors", VECTORS.values(), ids=VECTORS)
def test_the_phase_is_refused_by_compiled_functions(vectors):
    f = tg.compile(lambda x: tg.real(vectors(x)).sum())
    for _ in range(3):
        with pytest.raises(GradientError, match="phase"):
            f(tg.tensor(A[0] + 1j * A[1], requires_grad=True)).backward()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("size", [2, 16])
def test_rounding_at_a_minimum_is_no_phase(dtype, size):
    """The Hermitian matrix next to one that is not: at the minimum rounding is all there is of the deltas."""
    x, odd = rng.normal(size=(2, size, size)) + 1j * rng.normal(size=(2, size, size))
    x, odd = [z.astype(dtype) for z in ((x + x.conj().T) / size, 0.1 * (odd - odd.conj().T))]
    for step in (0.0, 1e-12, 1e-6):
        y = tg.tensor((x + step * np.eye(size)).astype(dtype), requires_grad=True)
        w, V = linalg.eigh(y)
        (tg.abs(V * w @ V.T.conj() - (x + odd)) ** 2).sum().backward()
        assert y.grad.dtype == dtype and np.abs(y.grad).max() < 1e-4 + 3 * step


@pytest.mark.parametrize("p", [[], [0.0], [2.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0, -3.0, 2.0, 0.0], [1, 0, 1], [1.0, 2j]],
                         ids=str)
def test_roots_as_in_numpy(p):
    np.testing.assert_allclose(tg.roots(p).data, np.roots(p), atol=1e-15)


def test_nan_passes_through():
    x = np.full((2, 2), np.nan)
    for name in ("inv", "norm", "eigvalsh"):
        np.testing.assert_array_equal(getattr(linalg, name)(x).data, getattr(np.linalg, name)(x))


@pytest.mark.parametrize("call, error, match", [
    *[(lambda name=name: getattr(linalg, name)(TALL), ShapeError, rf"{name}: float64 \(2, 4, 3\); square")
      for name in ("inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh")],
    *[(lambda name=name: getattr(linalg, name)(b), ShapeError, rf"{name}: float64 \(3,\); matrices")
      for name in ("qr", "svd", "pinv", "svdvals", "matrix_norm", "cond")],
    (lambda: linalg.inv(A.astype("f2")), DtypeError, "inv: float16"),
    (lambda: linalg.solve(A, rng.normal(size=4)), ShapeError, r"solve: float64 \(2, 3, 3\) and float64 \(4,\)"),
    (lambda: linalg.solve(A, rng.normal(size=(3, 3, 3))), ShapeError, "solve"),
    (lambda: linalg.solve(A, 1.0), ShapeError, "solve"),
    (lambda: linalg.svd(TALL), ShapeError, "full_matrices=False"), (lambda: linalg.qr(A, "complete"), ValueError, "qr: mode"),
    (lambda: linalg.eigh(A, "x"), ValueError, "eigh: UPLO='x'"), (lambda: linalg.norm(A, 3, (1, 2)), ValueError, "norm: ord=3"),
    (lambda: linalg.norm(b, "fro"), ValueError, "norm: ord='fro' of vectors"),
    (lambda: linalg.norm(A, 2), ShapeError, "norm: 3 axes"),
    (lambda: linalg.norm(A, axis=3), ShapeError, "norm: axis 3"), (lambda: linalg.norm(A, axis=(1, 1)), ShapeError, "norm"),
    (lambda: linalg.vector_norm(b, ord="x"), ValueError, "vector_norm: ord"), (lambda: linalg.outer(A, b), ShapeError, "outer"),
    (lambda: linalg.matrix_power(A, 0.5), TypeError, "matrix_power: exponent 0.5"),
    (lambda: linalg.multi_dot([A[0]]), ShapeError, "multi_dot"),
    (lambda: linalg.multi_dot([A[0], b, A[0]]), ShapeError, "multi_dot"),
    (lambda: linalg.multi_dot([A[0], np.ones((1, 3))]), ShapeError, "multi_dot.*do not fit"),
    (lambda: linalg.lstsq(A, b), ShapeError, "lstsq"), (lambda: linalg.tensorsolve(A, b), ShapeError, "tensorsolve"),
    (lambda: linalg.tensorinv(A, 1), ShapeError, "tensorinv: ind=1"), (lambda: linalg.inv(A, 1), TypeError, "inv")])
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("f, upper", [
    (lambda a: linalg.eigh(a).eigenvectors[:, 0] ** 2, False),
    (lambda a: linalg.eigh(a, "U").eigenvectors[:, 0] ** 2, True),
    (lambda a: linalg.eigvalsh(a), False), (lambda a: linalg.eigvalsh(a, UPLO="U"), True),
    (lambda a: linalg.cholesky(a), False),
    (lambda a: linalg.cholesky(a, upper=True), True), (lambda a: linalg.svd(a, hermitian=True).S, False)])
def test_one_triangle_is_read_and_the_gradient_is_symmetric_at_and_beside_symmetric_matrices(f, upper):
    a = np.array([[4.0, 1.0, 0.5], [1.0, 5.0, -1.0], [0.5, -1.0, 7.0]])
    loss = lambda a: (f(a) * (1 + np.arange(f(a).size).reshape(f(a).shape))).sum()  # noqa: E731
    wanted = tg.grad(loss)(a)
    np.testing.assert_allclose(wanted, wanted.T, rtol=1e-13)
    other = np.triu(np.random.default_rng(0).normal(size=(3, 3)), 1)
    for size in (1e-14, 1e-9, 1e-3, 1.0):
        beside = a + size * (other.T if upper else other)
        np.testing.assert_allclose(loss(beside).item(), loss(a).item(), rtol=1e-14)
        np.testing.assert_allclose(tg.grad(loss)(beside), wanted, rtol=1e-12, atol=1e-13)
    step = np.ones((3, 3)) * 1e-6
    slope = (loss(a + step).item() - loss(a - step).item()) / 2e-6
    np.testing.assert_allclose(wanted.sum(), slope, rtol=1e-6)


@pytest.mark.parametrize("half", [np.tril, np.triu])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_triangular_systems_in_any_layout(half, dtype):
    """By substitution where the layout allows; the arguments are read, and never what is returned."""
    x = (half(rng.normal(size=(70, 70))) / 8 + 3 * np.eye(70)).astype(dtype)
    for y in (rng.normal(size=70), rng.normal(size=(70, 3)), np.zeros((70, 0))):
        y = y.astype(dtype)
        wanted = np.linalg.solve(x.astype(float), y.astype(float))
        for a in (x, np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2], x[::-1].copy()[::-1]):
            for b in (y, np.asfortranarray(y), y[::-1].copy()[::-1], np.repeat(y, 2, 0)[::2]):
                a.flags.writeable = b.flags.writeable = False
                z = linalg.solve(a, b).data
                assert z.dtype == dtype and z.flags.writeable and not np.shares_memory(z, b)
                np.testing.assert_allclose(z, wanted, rtol=1e-3 if dtype == np.float32 else 1e-10, atol=1e-5)


def test_triangular_systems_that_are_not_finite():
    """As in NumPy, without a warning; a sum that overflows is none."""
    x, y = np.tri(70), np.ones(70)
    for a, b in ((x * 1e308, y), (x, np.where(y.cumsum() == 3, np.inf, np.where(y.cumsum() == 5, -np.inf, 1.0))),
                 (np.where(np.eye(70), np.nan, x), y)):
        np.testing.assert_allclose(linalg.solve(a, b).data, np.linalg.solve(a, b))
    with pytest.raises(linalg.LinAlgError):
        linalg.solve(np.where(np.eye(70), 0.0, x), 0 * y)


@pytest.mark.parametrize("n", [2, 65, 150])
def test_cholesky_of_any_size_against_differences(n):
    """In one direction; the derivative of a large factor is made of those of its blocks."""
    x, t, w = rng.normal(size=(3, n, n))
    x, t = x @ x.T + n * np.eye(n), t + t.T
    slope = (np.linalg.cholesky(x + 1e-4 * t) - np.linalg.cholesky(x - 1e-4 * t)) / 2e-4
    gradient = tg.grad(lambda x: (linalg.cholesky(x) * w).sum())
    found = gradient(x)
    np.testing.assert_allclose((found * t).sum(), (slope * w).sum(), rtol=1e-6)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(gradient(x.astype(np.float32)), found, rtol=1e-2, atol=1e-4)
