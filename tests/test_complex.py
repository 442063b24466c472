"""Complex numbers: the delta of x is dL/dRe x + i dL/dIm x. Every row that has one is checked, and every other row raises."""

import warnings

import numpy as np
import pytest
from cases import CASES, CONSTANT

import tapegrad as tg
from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, GradientError
from tapegrad.primitives import table

LINEAR, HOLOMORPHIC = ({row.name for row in table.complete().values() if row.complex == how}
                       for how in ("linear", "holomorphic"))


def drawn(shape, seed, dtype=complex):
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.4, 1.2, shape) * np.exp(1j * rng.uniform(-2.6, 2.6, shape))).astype(dtype)


X, Y, V, A = drawn((3, 4), 0), drawn((3, 4), 1), drawn(4, 2), drawn((2, 3, 3), 3)
H = A @ A.conj().swapaxes(1, 2) + np.eye(3)
R = np.random.default_rng(4).uniform(0.5, 1.5, (3, 4))
X4, W4, D4 = drawn((1, 2, 2, 2), 5), drawn((2, 2, 1, 2), 6), drawn((1, 2, 3, 1), 7)
STEPS = (1, 1), ((0, 1), (0, 0)), (1, 1)


def phases(values, vectors):
    """What does not depend on the phases of complex vectors, the columns of a matrix."""
    return abs(vectors) ** 2 * values + vectors[..., :1, :] * vectors.conj()


def hermitian(F, x):
    return (x + F.swapaxes(x, -1, -2).conj()) / 2


def of_svd(z, m):
    """Likewise; the rows of z are the singular values, U, and the transpose of Vh."""
    u, v = z[..., 1:1 + m, :], z[..., 1 + m:, :]
    return phases(z[..., :1, :].real, u).sum(-2) + (u[..., :1, :] * v).sum(-2)


MASK = np.array([[True, False, True, True]])
IDS = np.array([2, 0, 2])
POSITIONS = np.array([[0, 1, 2, 0]])

# Each row that a complex result, or a real one of a complex operand, can come from: as functions of F, and their operands.
ROWS = {
    **{name: [(lambda F, x, name=name: getattr(F, name)(x), X)] for name in (
        "negative", "alias", "conjugate", "exp", "log", "sqrt", "square", "sin", "cos", "exp2", "expm1", "log2", "log10",
        "log1p", "reciprocal", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh",
        "absolute", "real", "imag")},
    **{name: [(lambda F, x, y, name=name: getattr(F, name)(x, y), *xs) for xs in ((X, Y), (X, V), (R, Y), (X, R), (X, V[0]))]
       for name in ("add", "subtract", "multiply", "divide", "strong_multiply", "power", "direction")},
    "matmul": [(lambda F, x, y: F.matmul(x, y), *xs) for xs in (
        (X, Y.T), (X, V), (V, Y.T), (V, V[::-1]), (A, A[0]), (R, Y.T), (X, R.T), (A[0, 0], A), (A, V[:3]))],
    "linear": [(lambda F, x, W, b: F.linear(x, W, b), *xs) for xs in ((X, Y, V[:3]), (A, R[:, :3], V[:3]), (R, Y, R[:, 0]))],
    "sum": [(lambda F, x: F.sum(x, (1,), False), X), (lambda F, x: F.sum(x, None, True), X)],
    "mean": [(lambda F, x: F.mean(x, (0,), True), X), (lambda F, x: F.mean(x, None, False), X)],
    "prod": [(lambda F, x: F.prod(x, (1,), False), X), (lambda F, x: F.prod(x, None, False), X[:2, :2] * [1, 0])],
    "cumsum": [(lambda F, x: F.cumsum(x, 1), X)], "cumprod": [(lambda F, x: F.cumprod(x, 0), X)],
    "scan": [(lambda F, x, a: F.scan(x, a, 1), *xs) for xs in ((X, Y), (R, Y), (X, R))],
    "reshape": [(lambda F, x: F.reshape(x, (4, 3)), X)], "transpose": [(lambda F, x: F.transpose(x, (1, 0)), X)],
    "broadcast_to": [(lambda F, x: F.broadcast_to(x, (3, 4)), V)], "roll": [(lambda F, x: F.roll(x, (1,), (1,)), X)],
    "concatenate": [(lambda F, x, y: F.concatenate((x, y), 1), *xs) for xs in ((X, Y), (X, R))],
    "stack": [(lambda F, x, y: F.stack((x, y), 1), *xs) for xs in ((X, Y), (R, Y))],
    "getitem": [(lambda F, x: F.getitem(x, (slice(None, None, 2), 1)), X), (lambda F, x: F.getitem(x, IDS), X)],
    "scatter": [(lambda F, x: F.scatter(x, IDS, (4, 4)), X)],
    "setitem": [(lambda F, x, y: F.setitem(x, y, (1,)), *xs) for xs in ((X, V), (X, R[0]))],
    "take_along_axis": [(lambda F, x: F.take_along_axis(x, POSITIONS, 0), X)],
    "add_along_axis": [(lambda F, x: F.add_along_axis(x, POSITIONS, 3, 0), X[:1])],
    "where": [(lambda F, x, y: F.where(MASK, x, y), *xs) for xs in ((X, Y), (X, R), (R, V))],
    "astype": [(lambda F, x: F.astype(x, np.dtype(complex)), R), (lambda F, x: F.astype(x, np.dtype(complex)), X)],
    "windows": [(lambda F, x: F.windows(x, (2,), (3,), (1,), (1,)), X)],
    "convolution": [(lambda F, x, W: F.convolution(x, W, 0.0, *STEPS, 1), *xs) for xs in ((X4, W4), (X4.real, W4))],
    "convolution_input": [(lambda F, d, W: F.convolution_input(d, W, (2, 2), *STEPS, 1), D4, W4)],
    "convolution_weight": [(lambda F, d, x: F.convolution_weight(d, x, (1, 2), *STEPS, 1), D4, X4)],
    "sum_pool": [(lambda F, x: F.sum_pool(x, (2, 1), *STEPS), X4)],
    "unpool_sum": [(lambda F, d: F.unpool_sum(d, (2, 2), (2, 1), *STEPS), X4)],
    "unwindow": [(lambda F, x: F.unwindow(x, (6,), (1,), (1,)), X)],
    "fft": [(lambda F, x, norm=norm: F.fft(x, (0, 1), norm), X) for norm in ("backward", "ortho", "forward")],
    "ifft": [(lambda F, x, norm=norm: F.ifft(x, (1,), norm), X) for norm in ("backward", "ortho", "forward")],
    "rfft": [(lambda F, x, norm=norm: F.rfft(x, 1, norm), x)
             for x in (R, R[:, :3]) for norm in ("backward", "ortho", "forward")],
    "irfft": [(lambda F, x, norm=norm, n=n: F.irfft(x, n, 1, norm), X) for n in (6, 7) for norm in ("backward", "ortho")],
    "solve": [(lambda F, x, y: F.solve(x, y), *xs) for xs in ((A, X[:, :2]), (A[0], V[:3]), (A, R[:, :3]), (A.real, A))],
    "inv": [(lambda F, x: F.inv(x), A)], "pinv": [(lambda F, x: F.pinv(x, 1e-15), x) for x in (X, X.T, A[0])],
    "det": [(lambda F, x: F.det(x), x) for x in (A, np.outer(V, V[::-1])[:2, :2])],
    "cofactors": [(lambda F, x: F.cofactors(x), A)],
    "det_hessian": [(lambda F, d, x: F.det_hessian(d, x), A[0] / 4, A[1])], "slogdet": [(lambda F, x: F.slogdet(x), A)],
    "cholesky": [(lambda F, x: F.cholesky(x), hermitian(np, H))], "qr": [(lambda F, x: F.qr(x), x) for x in (X.T, A)],
    "eigh": [(lambda F, x: phases((z := F.eigh(x))[..., :1, :].real, z[..., 1:, :]), H)],
    "eig": [(lambda F, x: phases((z := F.eig(x))[..., :1, :], z[..., 1:, :]), x) for x in (A, A.real, A[0] * 1j)],
    "svd": [(lambda F, x, m=x.shape[-2]: of_svd(F.svd(x), m), x) for x in (X, X.T, A)],
    "without_phase": [(lambda F, x: F.without_phase(F.where(np.eye(3, dtype=bool), 0.0, x), "eigh"), A)],
    "var": [(lambda F, x: F.var(x, (1,), 1, False), X), (lambda F, x: F.var(x, None, 0, True), X)],
    "std": [(lambda F, x: F.std(x, (1,), 1, False), X), (lambda F, x: F.std(x, None, 0, False), X)],
}
if "sparse_matmul" in HOLOMORPHIC:                      # where SciPy is installed
    DATA, INDICES, INDPTR = np.array([1 + 2j, -0.5j, 3], "F"), np.array([1, 0, 2]), np.array([0, 1, 1, 3])
    ROWS["sparse_matmul"] = [(lambda F, x, transposed=transposed: F.sparse_matmul(x, DATA, INDICES, INDPTR, (3, 3), transposed),
                              V[:3]) for transposed in (False, True)]
NOT_OF_COMPLEX = set(                                   # their operators are for real numbers
    "tanh sigmoid relu cbrt fabs i0 hypot logaddexp logaddexp2 arctan2 remainder fmod copysign heaviside erf erfc "
    "erf_slope gelu gelu_slope gelu_tanh silu rfft attention_weights "
    "softmax log_softmax softmax_cross_entropy logsumexp max_pool unpool_max picked_max batch_norm".split())
CONSTANT_OF_REAL = {"floor", "ceil", "floor_divide", "trunc", "channel_moments"}
REAL_OF_COMPLEX = {"absolute", "real", "imag", "irfft", "var", "std"}
CELLS = [pytest.param(f, xs, id=f"{name}-{k}") for name, cells in ROWS.items() for k, (f, *xs) in enumerate(cells)]


def test_every_row_of_complex_numbers_is_here():
    assert set(ROWS) == (LINEAR | HOLOMORPHIC | REAL_OF_COMPLEX)


@pytest.mark.parametrize("f, xs", CELLS)
def test_row(f, xs):
    assert tg.gradcheck(lambda *ys: f(recorded, *ys), *xs, order=2)


@pytest.mark.parametrize("f, xs", CELLS)
def test_complex64_is_kept(f, xs):
    single = [x.astype(np.complex64 if x.dtype.kind == "c" else np.float32) for x in xs]
    (z, pull), (w, _) = [tg.vjp(lambda *ys: f(recorded, *ys), *given) for given in (single, xs)]
    if f is not ROWS["astype"][0][0] and f is not ROWS["astype"][1][0]:
        assert z.dtype == (np.complex64 if w.dtype.kind == "c" else np.float32)
        np.testing.assert_allclose(z, w, rtol=2e-4, atol=2e-5)
    for x, g in zip(single, pull(np.ones(z.shape, z.dtype))):
        assert g.dtype == x.dtype and g.shape == x.shape


def complex_like(case, shapes):
    values = [draw(shape, k) for k, (draw, shape) in enumerate(zip(case.operands, shapes))]
    return [value + 0.1j * value if np.asarray(value).dtype.kind == "f" else value for value in values]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_no_row_is_silently_wrong(case):
    """Of complex operands, a row that has a derivative gives a complex result, is in the list above, or raises."""
    row = table[case.name]
    operands = complex_like(case, case.shapes[0])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            z = row.g(operands, *case.static[0]) if case.variadic else row.g(*operands, *case.static[0])
        except TypeError:
            assert case.name in NOT_OF_COMPLEX or case.name.startswith("special_")     # there, SciPy decides
            return
        assert case.name not in NOT_OF_COMPLEX
    if np.asarray(z).dtype.kind == "c" and case.name not in LINEAR | HOLOMORPHIC:
        xs = [tg.tensor(x, requires_grad=np.asarray(x).dtype.kind == "c") for x in operands]
        with np.errstate(all="ignore"):
            z = getattr(recorded, case.name)(*([xs] if case.variadic else xs), *case.static[0])
        with pytest.raises(DtypeError, match=f"{case.name}: no derivative where the result is complex128"):
            z.backward(np.ones(z.shape, z.dtype))
    elif case.name not in LINEAR | HOLOMORPHIC | REAL_OF_COMPLEX:
        assert case.name == "rfft" or np.asarray(z).dtype.kind not in "fc", case.name


def test_constants_of_complex_numbers():
    """The rows without a derivative have none of complex numbers, either, but for sign, which is x / |x| there."""
    complex_constants = {"sign", "rint", "zeros_like", "ones_like"}
    for case in CONSTANT:
        operands = complex_like(case, case.shapes[0])
        try:
            z = table[case.name].g(*operands, *case.static[0])
        except TypeError:
            assert case.name in CONSTANT_OF_REAL or case.name.startswith("special_")
            continue
        assert case.name not in CONSTANT_OF_REAL
        assert np.asarray(z).dtype.kind != "c" or case.name in complex_constants, case.name


REFUSED = [
    lambda x: tg.sort(x), lambda x: tg.maximum(x, 0.0), lambda x: tg.max(x), lambda x: tg.clip(x, 0, 1),
    lambda x: tg.sigmoid(x), lambda x: tg.relu(x), lambda x: tg.softmax(x),
    lambda x: tg.hypot(x, x), lambda x: tg.cbrt(x), lambda x: tg.nan_to_num(x), lambda x: tg.modf(x)[0], lambda x: tg.sinc(x),
    lambda x: tg.corrcoef(x), lambda x: tg.fft.rfft(x), lambda x: tg.logsumexp(x, 0),
]


@pytest.mark.parametrize("f", REFUSED)
def test_refused(f):
    with pytest.raises(DtypeError, match="complex"):
        tg.abs(f(tg.tensor(X, requires_grad=True))).sum().backward()


FUNCTIONS = [
    (lambda F, x: F.tanh(x), X), (lambda F, x: F.tanh(x), 400 * X.real + 1j * X.imag), (lambda F, x: F.angle(x), X),
    (lambda F, x: F.angle(x, deg=True), X), (lambda F, x: F.sign(x), X), (lambda F, x: x ** 3, X), (lambda F, x: x ** -2, X),
    (lambda F, x: x ** 0.5, X), (lambda F, x: x ** (1 + 2j), X), (lambda F, x: x ** 1j, -R), (lambda F, x: 2j * x - 1 / x, X),
    (lambda F, x: x.real * x.imag, X), (lambda F, x: F.abs(x) ** 2, X), (lambda F, x: x * F.conj(x), X),
    (lambda F, x, y: F.vdot(x, y), X, Y), (lambda F, x, y: F.vecdot(x, y), X, Y), (lambda F, x, y: F.vecmat(x, y), V, Y.T),
    (lambda F, x, y: F.dot(x, y.T), X, Y), (lambda F, x, y: F.einsum("ij,kj->ik", x, y), X, Y), (lambda F, x: F.cov(x), X),
    (lambda F, x, y: F.tensordot(x, y, 2), X, Y), (lambda F, x, y: F.kron(x, y), X[:2, :2], V), (lambda F, x: F.outer(x, x), V),
    (lambda F, x, y: F.where(MASK, x, y), X, Y), (lambda F, x: x[::-1, 1:], X), (lambda F, x: x[IDS], X), (lambda F, x: x.T, X),
    (lambda F, x: F.var(x, axis=0, where=R > 0.7), X), (lambda F, x: F.convolve(x, V), V), (lambda F, x: F.real_if_close(x), X),
    (lambda F, x: F.pad(x, 1), X), (lambda F, x: F.gradient(x, axis=1), X), (lambda F, x: F.diff(x), X),
    (lambda F, x: -x + R, X),
    (lambda F, x: F.fft.fft(x), R), (lambda F, x: F.fft.fft(x, 3), X), (lambda F, x: F.fft.fft(x, 7, 0, "ortho"), X),
    (lambda F, x: F.fft.ifft(x, 5, norm="forward"), X), (lambda F, x: F.fft.fft2(x, (2, 5)), X),
    (lambda F, x: F.fft.ifft2(x), A),
    (lambda F, x: F.fft.fftn(x), A), (lambda F, x: F.fft.fftn(x, (4, -1), (0, 2)), A),
    (lambda F, x: F.fft.ifftn(x, axes=(1,)), A),
    (lambda F, x: F.fft.rfft(x), R), (lambda F, x: F.fft.rfft(x, 3), R), (lambda F, x: F.fft.rfft(x, 6, 0), R),
    (lambda F, x: F.fft.rfft(x, 1), R), (lambda F, x: F.fft.irfft(x), X), (lambda F, x: F.fft.irfft(x, 5), X),
    (lambda F, x: F.fft.irfft(x, 9, 0), X), (lambda F, x: F.fft.irfft(x, 1), X), (lambda F, x: F.fft.irfft(x), R),
    (lambda F, x: F.fft.rfft2(x), R), (lambda F, x: F.fft.irfft2(x, (5, 4)), X), (lambda F, x: F.fft.irfft2(x), A),
    (lambda F, x: F.fft.rfftn(x, axes=(1, 0)), R), (lambda F, x: F.fft.irfftn(x), A), (lambda F, x: F.fft.hfft(x), X),
    (lambda F, x: F.fft.hfft(x, 5, norm="ortho"), X), (lambda F, x: F.fft.ihfft(x), R), (lambda F, x: F.fft.fftshift(x), X),
    (lambda F, x: F.fft.ifftshift(x, 0), X), (lambda F, x: F.fft.fftn(x, axes=()), X),
]


@pytest.mark.parametrize("f, xs", [pytest.param(f, xs, id=str(k)) for k, (f, *xs) in enumerate(FUNCTIONS)])
def test_function(f, xs):
    """As NumPy's, also called as NumPy's; the derivatives as the differences."""
    expected = f(np, *xs)
    for F in (tg, np):
        z = f(F, *[tg.tensor(x, requires_grad=True) for x in xs])
        assert isinstance(z, tg.Tensor) and z.dtype == expected.dtype and z.shape == expected.shape
        np.testing.assert_allclose(z.data, expected, rtol=1e-12, atol=1e-13)
    assert tg.gradcheck(lambda *ys: f(tg, *ys), *xs, order=2)


TORCH = [
    *[(name, lambda F, x, name=name: getattr(F, name)(x), X) for name in (
        "exp", "log", "sqrt", "square", "sin", "cos", "tanh", "tan", "sinh", "cosh", "log10", "log2", "log1p", "expm1",
        "reciprocal", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "abs", "angle", "real", "imag", "conj")],
    ("arithmetic", lambda F, x, y: (x + 2j * y) * x / y - x, X, Y), ("real operand", lambda F, x, y: x * y / (x + y), X, R),
    ("power", lambda F, x, y: x ** y + x ** 3 + x ** -1.5, X, Y), ("matmul", lambda F, x, y: x @ y.T, X, Y),
    ("prod", lambda F, x: F.prod(x, 1), X), ("cumprod", lambda F, x: F.cumprod(x, 1), X),
    ("mean", lambda F, x: x.mean(0) * x.sum(), X), ("vdot", lambda F, x: F.vdot(x, 1j * x), V),
    ("einsum", lambda F, x, y: F.einsum("ij,kj->ik", x, y), X, Y), ("modulus", lambda F, x: abs(x) ** 3, X),
    ("where", lambda F, x, y: F.where(abs(x) > 0.8, x * x, F.conj(y)), X, Y), ("index", lambda F, x: x[1:, 0] * x[0, 1:3], X),
    *[(name, lambda F, x, name=name: getattr(F.fft, name)(x) ** 2, x) for x in (X, R, A) for name in (
        "fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "irfft", "irfft2", "irfftn", "hfft")],
    *[(name, lambda F, x, name=name: getattr(F.fft, name)(x) ** 2, x) for x in (R, R[:, :3]) for name in (
        "rfft", "rfft2", "rfftn", "ihfft")],
    *[("fft of n", lambda F, x, n=n, norm=norm: F.fft.fft(x, n, 0, norm) ** 2, X)
      for n in (2, 5) for norm in ("ortho", "forward")],
    *[("irfft of n", lambda F, x, n=n: F.fft.irfft(x, n, -1, "ortho") ** 2, X) for n in (1, 5, 8)],
]


TORCH += [
    ("solve", lambda F, x, y: F.linalg.solve(x, y), A, X[:, :2]), ("inv", lambda F, x: F.linalg.inv(x), A),
    ("det", lambda F, x: F.linalg.det(x), A), ("slogdet", lambda F, x: F.linalg.slogdet(x)[0] * F.linalg.slogdet(x)[1], A),
    ("pinv", lambda F, x: F.linalg.pinv(x), X), ("matrix_norm", lambda F, x: F.linalg.matrix_norm(x, ord="nuc"), A),
    *[("cholesky", lambda F, x, upper=upper: F.linalg.cholesky(hermitian(F, x), upper=upper), H) for upper in (False, True)],
    *[("qr", lambda F, x, k=k: F.linalg.qr(x)[k], x) for k in (0, 1) for x in (X, X.T, A)],
    ("eigvalsh", lambda F, x: F.linalg.eigvalsh(x), H), ("eigvals", lambda F, x: F.linalg.eigvals(x) ** 2, A),
    ("eigh", lambda F, x: phases((z := F.linalg.eigh(x))[0][..., None, :], z[1]), H),
    *[("eig", lambda F, x: phases((z := F.linalg.eig(x))[0][..., None, :], z[1]), x) for x in (A, A.real)],
    ("svdvals", lambda F, x: F.linalg.svdvals(x), X),
    *[("svd", lambda F, x: (z := F.linalg.svd(x, full_matrices=False))[0] @ z[2]
       + phases(z[1][..., None, :], z[0]).sum(), x) for x in (X, A)],
]


@pytest.mark.parametrize("f, xs", [pytest.param(f, xs, id=f"{name}-{k}") for k, (name, f, *xs) in enumerate(TORCH)])
def test_as_in_pytorch(f, xs):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)

    def inner(F, z, w):
        return F.sum(F.real(z * F.conj(w))) if z.dtype in (torch.complex128, np.complex128) else F.sum(z * w)

    def random_like(z):
        w = rng.uniform(0.5, 1.5, z.shape)
        return w + 1j * rng.uniform(0.5, 1.5, z.shape) if z.dtype == np.complex128 else w

    def constant(w):
        return torch.resolve_conj(torch.tensor(w))

    xs, us = [tg.tensor(x, requires_grad=True) for x in xs], [torch.tensor(x, requires_grad=True) for x in xs]
    z, y = f(tg, *xs), f(torch, *us)
    np.testing.assert_allclose(z.data, y.detach().resolve_conj().numpy(), rtol=1e-10, atol=1e-11)
    w = random_like(z)
    first = tg.autograd.grad(inner(tg, z, w), xs, create_graph=True)
    wanted = torch.autograd.grad(inner(torch, y, constant(w)), us, create_graph=True)
    for g, h in zip(first, wanted):
        np.testing.assert_allclose(g.data, h.detach().resolve_conj().numpy(), rtol=1e-9, atol=1e-10)
    vs = [random_like(g) for g in first]
    total, expected = (sum(inner(F, g, v) for g, v in zip(gs, vs)) for F, gs, vs in (
        (tg, first, vs), (torch, wanted, map(constant, vs))))
    if not expected.requires_grad:
        assert not total.requires_grad or not any(g is not None and g.data.any() for g in tg.autograd.grad(
            total, xs, allow_unused=True))
        return
    second, wanted = tg.autograd.grad(total, xs, allow_unused=True), torch.autograd.grad(expected, us, allow_unused=True)
    for g, h in zip(second, wanted):
        g, h = 0 if g is None else g.data, 0 if h is None else h.resolve_conj().numpy()
        np.testing.assert_allclose(g, h, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("descend", [lambda x: tg.optim.SGD(x, lr=0.1), lambda x: tg.optim.Adam(x, lr=0.01)])
def test_descent(descend):
    """x - lr * grad goes down: the convention."""
    x = tg.tensor(X, requires_grad=True)
    optimiser, losses = descend([x]), []
    for _ in range(400):
        optimiser.zero_grad()
        loss = (abs(x * (1 + 1j) - Y) ** 2).sum()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 1e-4 * losses[0]


def test_edges():
    x = tg.tensor([0j, 3 + 4j], requires_grad=True)
    abs(x).sum().backward()
    np.testing.assert_allclose(x.grad, [0, 0.6 + 0.8j], rtol=1e-15)
    x.grad = None
    np.testing.assert_allclose(tg.sign(x).data, [0, 0.6 + 0.8j], rtol=1e-15)
    tg.where(abs(x) > 0, tg.log(x + (abs(x) == 0)), 0).real.sum().backward()
    np.testing.assert_allclose(x.grad, [0, (3 + 4j) / 25])
    real = tg.tensor([1.0, -2.0], requires_grad=True)
    (real * 1j * (2 - 1j)).real.sum().backward()
    assert real.grad.dtype == np.float64
    np.testing.assert_array_equal(real.grad, [1.0, 1.0])
    assert complex(tg.tensor(1 + 2j)) == 1 + 2j
    assert len(tg.tape()) == 0


def test_a_complex_result_has_no_gradient_by_itself():
    x = tg.tensor(1 + 2j, requires_grad=True)
    with pytest.raises(GradientError, match="complex128.*real"):
        (x * x).backward()
    (x * x).backward(1.0)
    assert x.grad == 2 * (1 - 2j)
    for f in (tg.grad, tg.value_and_grad, tg.elementwise_grad, tg.jacobian, tg.hessian):
        with pytest.raises(GradientError, match=r"complex128.*real"):
            f(lambda x: x * x)(1 + 2j)
    with pytest.raises(DtypeError, match="complex128.*float64"):
        abs(x).backward(1j)


def test_functional():
    def f(x):
        return tg.sum(abs(x) ** 2 * tg.real(x))

    z, pull = tg.vjp(lambda x: x * x, X)
    np.testing.assert_allclose(pull(Y)[0], Y * np.conj(2 * X))
    _, moved = tg.jvp(lambda x: x * x * x, (X,), (Y,))
    np.testing.assert_allclose(moved, 3 * X * X * Y)
    step = 1e-6
    (found,) = tg.hvp(f, (X,), (Y,))
    np.testing.assert_allclose(found, (tg.grad(f)(X + step * Y) - tg.grad(f)(X - step * Y)) / (2 * step), rtol=1e-6)
    J = tg.jacobian(lambda x: abs(x))(V)
    np.testing.assert_allclose(J, np.diag(V / abs(V)), atol=1e-15)
    with pytest.raises(DtypeError, match="complex"):
        tg.jvp(tg.exp, (R,), (Y,))


def test_checkpoint():
    def g(x):
        return tg.exp(x * x)

    direct, saved = tg.grad(lambda x: abs(g(x)).sum())(X), tg.grad(lambda x: abs(tg.checkpoint(g)(x)).sum())(X)
    np.testing.assert_allclose(saved, direct)


def test_hooks_see_the_delta_itself():
    x, seen = tg.tensor(V, requires_grad=True), []
    y = x * x
    y.retain_grad()
    z = y * 2j
    y.register_hook(lambda d: seen.append(d))
    z.register_hook(lambda d: 3 * d)
    z.backward(Y[0])
    np.testing.assert_allclose(seen[0], 3 * Y[0] * -2j)
    np.testing.assert_allclose(y.grad, seen[0])
    np.testing.assert_allclose(x.grad, seen[0] * np.conj(2 * V))


def test_gradcheck_names_the_part():
    @tg.primitive(lambda delta, out, x: delta * np.sign(np.real(x)))
    def size_of_real_part(x):
        return abs(np.real(x)) + abs(np.imag(x))

    with pytest.raises(tg.errors.GradcheckError, match=r"element \(0,\) of argument 0 .*imaginary part"):
        tg.gradcheck(size_of_real_part, V)


BAD = [
    (lambda x: tg.fft.fft(x, 0), ValueError, "fft: n=0"), (lambda x: tg.fft.fft(x, axis=2), ValueError, "fft: axis 2"),
    (lambda x: tg.fft.fft(x, norm="no"), ValueError, "fft: norm='no'"),
    (lambda x: tg.fft.irfft(x[:, :1]), ValueError, "irfft: n=0"),
    (lambda x: tg.fft.fftn(x, (2,), (0, 1)), ValueError, "fftn: 1 lengths"), (lambda x: np.fft.fft(x, out=X), TypeError, "out"),
    (lambda x: tg.fft.fft2(x[0]), ValueError, "fftn: axis -2"),
    (lambda x: tg.fft.rfftn(x, axes=()), ValueError, "rfftn: no axes"),
]


@pytest.mark.parametrize("call, kind, words", BAD)
def test_bad_calls(call, kind, words):
    with pytest.raises(kind, match=words):
        call(tg.tensor(X, requires_grad=True))


def test_constants():
    np.testing.assert_array_equal(tg.fft.fftfreq(5, 0.1).data, np.fft.fftfreq(5, 0.1))
    np.testing.assert_array_equal(tg.fft.rfftfreq(4).data, np.fft.rfftfreq(4))
    assert tg.fft.fft(tg.tensor([1, 2, 3])).dtype == np.complex128
    assert tg.fft.fft(tg.tensor([1, 2, 3], dtype=np.float32)).dtype == np.complex64
