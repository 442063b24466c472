"""Products and einsum: against NumPy and differences, what is recorded, and what is refused."""

import numpy as np
import pytest
from numpy_oracle import agree_with_numpy

import tapegrad as tg
from tapegrad.errors import ShapeError

rng = np.random.default_rng(0)
N, V, U, X, C = np.array(1.5), rng.normal(size=4), rng.normal(size=3), rng.normal(size=(3, 4)), rng.normal(size=(2, 3, 4))
S, Q, R = rng.normal(size=(3, 3)), rng.normal(size=(2, 3, 3)), rng.normal(size=(4, 4))
SIDES = X.T.copy()

CALLS = [
    *[("dot", x, y) for x, y in ((N, X), (V, N), (V, V), (X, V), (C, V), (U, X), (U, C), (SIDES, X), (SIDES, C), (C, R))],
    *[("inner", x, y) for x, y in ((V, V), (X, V), (C, X), (C, C), (N, X))],
    ("vdot", X, X), ("vecdot", X, V), ("matvec", C, V), ("matvec", C, C[:, :1]), ("vecmat", U, C), ("vecmat", Q, C[:, None]),
    ("outer", X, V), ("outer", N, V), *[("kron", x, y) for x, y in ((X, X[:2]), (V, X), (X, V), (C, X), (N, X))],
    ("tensordot", C, C, 0), ("tensordot", C, SIDES, 1), ("tensordot", C, C.transpose(1, 2, 0).copy(), 2),
    *[("tensordot", C, C, axes) for axes in (3, (1, 1), ([2, 0], [2, 0]), (-1, -1), ((0, 1), (0, 1)))],
    ("cross", C[..., :3].copy(), U), ("cross", X, X, 0, 0, 0), ("cross", X, SIDES, 0, -1, 0),
]

EINSUMS = [
    ("ij,jk->ik", SIDES, X), ("ij,jk", SIDES, X), ("ji", X), ("ij->", X), ("ii", S), ("ii->i", S), ("i->", V), ("bii->b", Q),
    ("i,j->ij", U, V), ("i,i", U, U), ("ij,ij->i", X, X), ("ij,ij->ij", X, X), ("ij,k->i", X, V), (",", N, N),
    (",ij->ij", N, X),
    ("...ij,...jk", Q, S), ("...ij,...jk->...ik", Q, S), ("b...,b...->...", C, C), ("...,...", X, V), ("i...->...", C),
    ("...i,...i->...", X, V), ("ab...,b...->a...", C, U[:, None].copy()), ("i...,i...", X, X[:1].copy()),
    ("bij,bkj->bik", C, C), ("bij,bkj->kbi", C, C), ("bhqd,bhkd->bhqk", Q[None], Q[None]), (" ij , jk -> ki ", SIDES, X),
    ("ii,ij->j", S, S), ("ii,ii->i", S, S), ("iij->j", Q.transpose(1, 2, 0).copy()), ("iii->i", rng.normal(size=(3, 3, 3))),
    ("iiii", rng.normal(size=(2, 2, 2, 2))), ("ij,ij", X, X[:1].copy()), ("ij,ij->i", X, X[:, :1].copy()),
    ("ij,jk->ik", X[:, :1].copy(), R), ("ii,i->i", X[:1, :1].copy(), V),
    ("ijk,jl,kl->il", C, X, R), ("i,i,i->i", V, V, V), ("ij,i,j", X, U, V), ("ij,jk,kl,lm", SIDES, X, SIDES, X),
    ("ij,ik,il->jkl", X, S, X[:, :2].copy()),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]}-{'-'.join(str(np.shape(x)) for x in call[1:])}")
def test_agrees_with_numpy(call):
    agree_with_numpy(*call)


@pytest.mark.parametrize("call", EINSUMS, ids=lambda call: f"{call[0]}-{'-'.join(str(np.shape(x)) for x in call[1:])}")
def test_einsum_agrees_with_numpy(call):
    agree_with_numpy("einsum", *call)


@pytest.mark.parametrize("optimize", [True, "greedy", "optimal", ["einsum_path", (0, 2), (0, 1, 2)],
                                      ["einsum_path", (0, 1, 2, 3)], ("greedy", 100)])
def test_orders_of_contraction(optimize):
    agree_with_numpy("einsum", *EINSUMS[-2], optimize=optimize, order=1)


def test_einsum_of_lists_of_subscripts():
    for arguments in ((SIDES, [0, 1], X, [1, 2], [2, 0]), (SIDES, [0, 1], X, [1, 2]),
                      (Q, [..., 0, 1], S, [..., 1, 2], [..., 2, 0])):
        np.testing.assert_allclose(tg.einsum(*arguments).data, np.einsum(*arguments))


@pytest.mark.parametrize("subscripts, shapes", [("ij,jk->ik", ((3, 4), (4, 2))), ("bij,bjk->bik", ((5, 3, 4), (5, 4, 2)))])
def test_a_matrix_product_is_one_entry(subscripts, shapes):
    xs = [tg.tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]
    z = tg.einsum(subscripts, *xs)
    assert [g for _, g, _ in tg.tape()] == ["matmul"] and z.requires_grad


@pytest.mark.parametrize("call, match", [
    (lambda: tg.einsum("ij,jk->ik", X), "einsum.*2 operands, 1 given"), (lambda: tg.einsum("ij->ik", X), "no operand has"),
    (lambda: tg.einsum("ij->ii", X), "twice"), (lambda: tg.einsum("ijk", X), r"'ijk' for an operand of shape \(3, 4\)"),
    (lambda: tg.einsum("i", X), "'i' for an operand"), (lambda: tg.einsum("ij,jk", X, X), "lengths 4 and 3 for 'j'"),
    (lambda: tg.einsum("ii", X), "'i' stands for lengths 3 and 4"), (lambda: tg.einsum("i1", X), "'1' in the subscripts"),
    (lambda: tg.einsum("...i->i", X), "the result does not"), (lambda: tg.einsum(X, [0, 99]), "list of subscripts"),
    (lambda: tg.einsum("i...j...", C), "for an operand"), (lambda: tg.einsum("ij...k", X), "for an operand"),
    (lambda: tg.tensordot(X, X, 1), "tensordot"), (lambda: tg.tensordot(X, X, 3), "tensordot: 3 axes"),
    (lambda: tg.tensordot(X, X, (2, 0)), "tensordot: axis 2"), (lambda: tg.dot(X, X), "matmul"),
    (lambda: tg.cross(X, V), "cross"), (lambda: tg.vecdot(X, U), "vecdot"), (lambda: tg.matvec(V, V), "matvec"),
    (lambda: tg.vecmat(V, V), "vecmat")])
def test_what_is_refused(call, match):
    with pytest.raises(ShapeError, match=match):
        call()


@pytest.mark.parametrize("call, kind, match", [
    (lambda: tg.einsum("ij,jk", SIDES, X, optimize="fast"), ValueError, "einsum: optimize='fast'"),
    (lambda: tg.einsum("ij,jk", SIDES, X, order="F"), ValueError, "einsum: order='F'"),
    (lambda: tg.einsum("ij,jk", SIDES, X, dtype="f4"), TypeError, "einsum: float64 .* as float32 with casting='safe'"),
    (lambda: tg.einsum("ij,jk", SIDES, X, out=np.zeros((3, 4))), TypeError, "einsum: out="),
    (lambda: tg.dot(SIDES, X, np.zeros((3, 4))), TypeError, "dot: out="),
    (lambda: tg.outer(V, V, out=np.zeros((3, 3))), TypeError, "outer: out=")])
def test_arguments_that_are_refused(call, kind, match):
    with pytest.raises(kind, match=match):
        call()


def test_einsum_in_another_dtype():
    for options in ({"dtype": "f4", "casting": "same_kind"}, {"dtype": np.complex128, "order": "C"}):
        got, expected = tg.einsum("ij,jk", SIDES, X, **options), np.einsum("ij,jk", SIDES, X, **options)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got.data, expected, rtol=1e-5)


def test_einsum_of_what_stays_as_it_is_gives_a_tensor():
    assert isinstance(tg.einsum("ij", X), tg.Tensor) and isinstance(tg.einsum("ij->ij", tg.tensor(X)), tg.Tensor)
