"""Small integers don't wrap around, results have the dtype that was asked for, and masks are not lost."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError

A, B = [200, 7, 100], [1, 250, 100]
SMALL = [np.uint8, np.int8, np.uint16, np.int16, np.bool_]
FUNCTIONS = {
    "softmax": lambda a, b: tg.softmax(a),
    "log_softmax": lambda a, b: tg.log_softmax(a),
    "logsumexp": lambda a, b: tg.logsumexp(a),
    "median": lambda a, b: tg.median(a),
    "quantile": lambda a, b: tg.quantile(a, 0.3),
    "average": lambda a, b: tg.average(a, weights=b),
    "bincount": lambda a, b: tg.bincount([0, 0, 0], a),
    "interp": lambda a, b: tg.interp(b, [0.0, 50.0, 300.0], a),
    "interp at": lambda a, b: tg.interp([0.5, 130.0], np.sort(a), b),
    "gradient": lambda a, b: tg.gradient(a),
    "gradient at": lambda a, b: tg.gradient([0.5, 1.0, 7.0], np.cumsum(a)),
    "mse_loss": lambda a, b: tg.mse_loss(a, b),
    "l1_loss": lambda a, b: tg.l1_loss(a, b),
    "huber_loss": lambda a, b: tg.huber_loss(a, b),
    "smooth_l1_loss": lambda a, b: tg.smooth_l1_loss(a, b),
    "soft_margin_loss": lambda a, b: tg.soft_margin_loss([0.1, 0.2, 3.0], b),
    "margin_ranking_loss": lambda a, b: tg.margin_ranking_loss(a, b, a),
    "kl_div": lambda a, b: tg.kl_div(a, b),
    "hinge_embedding_loss": lambda a, b: tg.hinge_embedding_loss(a, b),
    "nll_loss": lambda a, b: tg.nll_loss([a, b], [1, 0]),
    "cosine_similarity": lambda a, b: tg.cosine_similarity(a, b, axis=0),
    "cross_entropy": lambda a, b: tg.cross_entropy([a, b], [1, 0]),
    "normalize": lambda a, b: tg.normalize(a, axis=0),
    "layer_norm": lambda a, b: tg.layer_norm(a, 3),
    "rms_norm": lambda a, b: tg.rms_norm(a, 3),
    "softsign": lambda a, b: tg.softsign(a),
    "logsigmoid": lambda a, b: tg.logsigmoid(a),
    "hardsigmoid": lambda a, b: tg.hardsigmoid(a),
    "norm": lambda a, b: tg.linalg.norm(a),
    "mean": lambda a, b: tg.mean(a),
    "var": lambda a, b: tg.var(a),
    "cov": lambda a, b: tg.cov([a, b]),
    "sum": lambda a, b: tg.sum(a),
    "prod": lambda a, b: tg.prod(a),
    "cumsum": lambda a, b: tg.cumsum(a),
    "vander": lambda a, b: tg.vander(a),
}


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_small_integers_are_taken_for_the_numbers_they_are(name, dtype):
    if name == "gradient at" and dtype == np.bool_:
        pytest.skip("two samples at one place")
    a, b = (np.array(values).astype(dtype) for values in (A, B))
    with np.errstate(all="ignore"):
        z, wanted = (FUNCTIONS[name](*operands).data for operands in ((a, b), (a.astype(float), b.astype(float))))
    np.testing.assert_allclose(z, wanted, rtol=1e-12)


@pytest.mark.parametrize("ours, numpys", [
    (lambda: tg.diff([1, 2], append=2.5), lambda: np.diff([1, 2], append=2.5)),
    (lambda: tg.diff(np.array([1, 2], "u1"), prepend=7), lambda: np.diff(np.array([1, 2], "u1"), prepend=7)),
    (lambda: tg.diff([[1, 2]], axis=0, prepend=0.5), lambda: np.diff([[1, 2]], axis=0, prepend=0.5)),
    (lambda: tg.linspace(-1.5, 1, 3, dtype=int), lambda: np.linspace(-1.5, 1, 3, dtype=int)),
    (lambda: tg.cov([[1.0], [2.0], [4.0]], rowvar=False), lambda: np.cov([[1.0], [2.0], [4.0]], rowvar=False)),
    (lambda: tg.cov([[1.0, 2.0, 4.0]], ddof=0, rowvar=False), lambda: np.cov([[1.0, 2.0, 4.0]], ddof=0, rowvar=False)),
    *[(lambda f=f, t=t: getattr(tg, f)([[3, 0], [100, 100]], axis=1, dtype=t),
       lambda f=f, t=t: getattr(np, f)([[3, 0], [100, 100]], axis=1, dtype=t))
      for f in ("sum", "prod") for t in (bool, np.int8, np.uint16, int, np.float32, float)],
    (lambda: tg.sum([1.5, 2.5], dtype=int), lambda: np.sum([1.5, 2.5], dtype=int)),
    (lambda: tg.mean([1.5, 2.5, 4.0], dtype=int), lambda: np.mean([1.5, 2.5, 4.0], dtype=int)),
    (lambda: tg.mean([[1.5, 2.5]], axis=1, dtype=int), lambda: np.mean([[1.5, 2.5]], axis=1, dtype=int)),
    (lambda: tg.vander(np.array([10, 20, 30], "i1")), lambda: np.vander(np.array([10, 20, 30], "i1"))),
    *[(lambda a=a, p=p: tg.linalg.cond(a, p), lambda a=a, p=p: np.linalg.cond(a, p))
      for a in (np.zeros((2, 2)), np.diag([1.0, 0.0]), np.eye(2), np.array([np.zeros((2, 2)), np.eye(2)]))
      for p in (None, 2, -2, 1, np.inf, "fro") if not (p == -2 and a.ndim == 2 and not a.any())],
])
def test_as_numpy(ours, numpys):
    with np.errstate(all="ignore"):
        z, wanted = ours(), np.asarray(numpys())
    assert z.dtype == wanted.dtype and z.shape == wanted.shape
    np.testing.assert_allclose(z.data, wanted)


@pytest.mark.parametrize("f", [
    lambda x: tg.sum(x), lambda x: tg.tensor([1.0, 2.0]) * x, lambda x: tg.max(x), lambda x: tg.softmax(x),
    lambda x: tg.sort(x), lambda x: tg.concatenate([x, [1.0]]), lambda x: tg.mse_loss([1.0, 2.0], x),
    lambda x: tg.linalg.norm(x), lambda x: tg.exp(x)])
def test_a_masked_array_is_refused(f):
    with pytest.raises(DtypeError, match="masked array.*where="):
        f(np.ma.array([1.0, 2.0], mask=[True, False]))


def test_ends_that_do_not_fit_between_integers_are_refused():
    with pytest.raises(DtypeError, match="ediff1d"):
        tg.ediff1d([1, 2], to_end=2.5)


Z = np.array([[1 + 2j, 1j, 0.5], [1.0, -3j, 2 - 1j]])
SIZE = np.sqrt(np.sum(abs(Z) ** 2, 1, keepdims=True))


@pytest.mark.parametrize("f, wanted", [
    (lambda z: tg.normalize(z), Z / SIZE), (lambda z: tg.normalize(z, p=2), Z / SIZE),
    (lambda z: tg.rms_norm(z, 3, eps=0.0), Z / SIZE * 3 ** 0.5),
    (lambda z: tg.layer_norm(z, 3, eps=0.0), (Z - Z.mean(1, keepdims=True)) / np.std(Z, 1, keepdims=True)),
    (lambda z: tg.mse_loss(z, 1j), np.mean(abs(Z - 1j) ** 2)), (lambda z: tg.l1_loss(z, 1j), np.mean(abs(Z - 1j)))])
def test_sizes_of_complex_numbers_are_real(f, wanted):
    np.testing.assert_allclose(f(Z).data, wanted)
    tg.gradcheck(lambda x, y: abs(f(x + 1j * y)).sum(), Z.real.copy(), Z.imag.copy())


@pytest.mark.parametrize("f", [
    lambda z: tg.logsumexp(z), lambda z: tg.softmax(z), lambda z: tg.log_softmax(z), lambda z: tg.cosine_similarity(z, z)])
def test_what_needs_an_order_refuses_complex_numbers(f):
    with pytest.raises(DtypeError):
        f(Z)
