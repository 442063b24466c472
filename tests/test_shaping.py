"""Shapes, joining and selecting: against NumPy and differences, methods, and what is refused."""

import numpy as np
import pytest
from numpy_oracle import agree_with_numpy

import tapegrad as tg
from tapegrad.errors import DtypeError, ShapeError

rng = np.random.default_rng(0)
N, V, U, X, C, EMPTY = np.array(1.5), rng.normal(size=4), rng.normal(size=3), rng.normal(size=(3, 4)), rng.normal(
    size=(2, 3, 4)), np.zeros((0, 3))
THIN = X[None, :, None]
DIAGONALS = (-5, -2, 0, 1, 3, 7)

CALLS = [
    *[("ravel", x) for x in (N, V, X, C, EMPTY)],
    ("squeeze", THIN), ("squeeze", THIN, 0), ("squeeze", THIN, (0, -2)), ("squeeze", N),
    ("expand_dims", X, 0), ("expand_dims", X, (0, -1)), ("expand_dims", X, (1, 3)), ("expand_dims", N, 0),
    ("swapaxes", C, 0, -1), ("moveaxis", C, 0, -1), ("moveaxis", C, [0, 1], [-1, 0]), ("moveaxis", C, (2, 0), (0, 1)),
    *[("rollaxis", C, axis, start) for axis in range(-3, 3) for start in range(-3, 4)],
    *[(f"atleast_{n}d", *xs) for n in (1, 2, 3) for xs in ((N,), (V,), (X,), (C,), (N, V))],
    ("broadcast_to", V, (3, 4)), ("broadcast_to", N, 3), ("broadcast_arrays", X, V),
    ("resize", X, (5, 4)), ("resize", X, (2, 2)), ("resize", X, 7), ("resize", EMPTY, (2, 2)),
    *[("flip", X, axis) for axis in (None, 0, -1, (0, 1))], ("fliplr", X), ("flipud", X), ("flipud", V),
    *[("rot90", X, k) for k in range(-1, 5)], *[("rot90", C, k, (2, 0)) for k in range(4)],
    *[("roll", X, *how) for how in ((1,), (-2, 0), (7, 1), ((1, 2), (0, 1)), (2, (0, 1)), ((1, 2), 0), ((1, 1),))],
    ("concatenate", [X, X[:1]]), ("concatenate", [X, X[:, :1]], -1), ("concatenate", [X, V], None), ("stack", [X, X], -1),
    *[(name, xs) for name in ("vstack", "hstack", "dstack", "column_stack") for xs in ([V, V], [X, X])],
    ("hstack", [N, V]), ("column_stack", [X, U]), ("vstack", [X, V]),
    ("block", [X, X]), ("block", [[X, X[:, :1]], [X, U[:, None]]]), ("block", V), ("block", [[V], [V]]), ("block", [N, V, 2.0]),
    ("unstack", C), ("concat", [V, V]), ("permute_dims", C, (2, 0, 1)),
    ("append", X, V), ("append", X, X[:1], 0), ("append", V, 2.0),
    *[("split", X, parts, 1) for parts in (2, [1, 3], [0, 2, 2], [-1], [5])],
    ("array_split", V, 3), ("array_split", X, 5, 0), ("hsplit", X, 2), ("hsplit", V, 2), ("vsplit", X, 3), ("dsplit", C, 2),
    *[("tile", x, reps) for reps in (2, (2, 3), (2, 1, 2), (0,)) for x in (V, X, N)],
    *[("repeat", V, repeats) for repeats in (2, 0, [1, 2, 0, 3])], ("repeat", X, 2), ("repeat", X, 2, 1),
    ("repeat", X, [1, 0, 2], 0), ("repeat", N, 3),
    *[("pad", X, width, mode) for mode in ("edge", "reflect", "symmetric", "wrap")
      for width in (1, (1, 2), ((1, 2), (0, 3)), (5, 6), 0)],
    ("pad", X, 1), ("pad", V, (2, 0)), ("pad", N, 1), ("pad", EMPTY, 1),
    *[("insert", V, places, 7.0) for places in (1, -1, [0, 2], slice(0, 2), [], [1, 1], 4, [0, 4, -1])],
    ("insert", X, 1, V, 0), ("insert", X, 1, U, 1), ("insert", X, [1], U[:, None], 1), ("insert", X, [0, 2], X[:, :2], 1),
    ("insert", X, 1, X, 0), ("insert", V, 1, U), ("insert", X, slice(0, 2), X[:2], 0),
    *[("delete", V, places) for places in (1, -1, [0, 2], slice(0, 2), [], [1, 1], np.array([True, False, True, False]))],
    ("delete", X, 1, 1), ("delete", X, 1), ("delete", X, [0, 2], 0),
    *[("take", x, ids) for x in (V, X) for ids in (1, -1, [0, 2, 2], [[0, 1], [1, 1]])],
    *[("take", C, ids, axis) for axis in (0, 1, -1) for ids in (1, [0, 1, 1], [[0, 1], [1, 1]])],
    ("take_along_axis", X, np.argsort(X, 1), 1), ("take_along_axis", X, np.argsort(X, 0)[:1], 0),
    ("take_along_axis", X, np.array([1, 1, 5]), None),
    *[(name, X, k) for name in ("diag", "diagflat", "tril", "triu") for k in DIAGONALS],
    *[("diag", V, k) for k in DIAGONALS], *[("diagonal", C, k, *axes) for k in DIAGONALS for axes in ((), (1, 2), (2, 0))],
    ("trace", X), ("trace", C, 1, 2, 0), ("tril", V), ("triu", C, 1),
    ("compress", [True, False, True], X, 0), ("compress", [True, False, True], X), ("extract", X > 0, X),
    ("select", [X > 1, X > 0], [X, V], -2.0), ("choose", np.array([0, 1, 1, 0]), [V, V * 2]),
    ("nonzero", X), ("flatnonzero", X), ("argwhere", X), ("full_like", X, 3),
]


def label(call):
    return f"{call[0]}-{'-'.join(str(np.shape(x)) if isinstance(x, np.ndarray) else str(x)[:20] for x in call[1:])}"


@pytest.mark.parametrize("call", CALLS, ids=label)
def test_agrees_with_numpy(call):
    agree_with_numpy(*call)


@pytest.mark.parametrize("call, options", [
    (("meshgrid", V, U), {}), (("meshgrid", V, U, V), {"indexing": "ij"}), (("meshgrid", V, U), {"sparse": True}),
    (("meshgrid", V), {}), (("pad", X, ((0, 1), (2, 0))), {"constant_values": 3.0}),
    (("pad", X, 1), {"constant_values": ((1, 2), (3, 4))}), (("take", V, [5, -7]), {"mode": "wrap"}),
    (("take", V, [5, -7]), {"mode": "clip"}), (("choose", np.array([0, 5, -1, 0]), [V, N]), {"mode": "wrap"}),
    (("choose", np.array([0, 5, -1, 0]), [V, N]), {"mode": "clip"}), (("full_like", X, 3), {"dtype": int, "shape": (2,)})])
def test_options_agree_with_numpy(call, options):
    agree_with_numpy(*call, **options)


def test_padding_with_infinity_and_empty_like():
    np.testing.assert_array_equal(tg.pad(V, 1, constant_values=np.inf).data, np.pad(V, 1, constant_values=np.inf))
    x = tg.tensor(V.astype("f4"), requires_grad=True)
    tg.pad(x, 1, constant_values=-np.inf).max().backward()
    assert x.grad.sum() == 1 and x.grad.dtype == np.float32
    assert tg.empty_like(x, shape=(2, 0)).shape == (2, 0)


def test_triangles_keep_what_is_not_finite_out():
    x = np.full((2, 2), np.nan)
    np.testing.assert_array_equal(tg.tril(x).data, np.tril(x))
    leaf = tg.tensor([[1.0, np.inf], [2.0, 3.0]], requires_grad=True)
    tg.sum(tg.exp(tg.tril(leaf))).backward()
    np.testing.assert_allclose(leaf.grad, np.tril(np.exp([[1, 0], [2, 3]])))


@pytest.mark.parametrize("name, arguments", [
    ("ravel", ()), ("flatten", ()), ("squeeze", (0,)), ("swapaxes", (0, 2)), ("repeat", (2, 1)), ("take", ([0, 0], 1)),
    ("diagonal", (0, 1, 2)), ("trace", (0, 1, 2)), ("dot", (rng.normal(size=(3, 2)),))])
def test_methods(name, arguments):
    x = rng.normal(size=(1, 3, 3))
    np.testing.assert_allclose(getattr(tg.tensor(x), name)(*arguments).data, getattr(x, name)(*arguments))


def test_transposes_as_attributes():
    x = tg.tensor(C)
    np.testing.assert_array_equal(x.mT.data, C.mT)
    np.testing.assert_array_equal(x.T.data, C.T)


def test_parts_unpack_and_join_again():
    x = tg.tensor(X, requires_grad=True)
    first, second = tg.split(x, 2, axis=1)
    (tg.hstack([second * 2, first])).sum().backward()
    np.testing.assert_array_equal(x.grad, np.repeat([[1.0, 1, 2, 2]], 3, axis=0))


def test_arrays_and_numbers_are_constants():
    assert not tg.tile(X, 2).requires_grad and tg.atleast_1d(2.0).shape == (1,)
    assert tg.append(tg.tensor(V, dtype="f4"), 2.0).dtype == np.float32
    assert isinstance(tg.rot90(X, 4), tg.Tensor)


@pytest.mark.parametrize("call, error, match", [
    (lambda: tg.ravel(X, "K"), ValueError, "ravel: order='K'"), (lambda: tg.reshape(X, (5, 5)), ShapeError, "reshape"),
    (lambda: tg.squeeze(X, 0), ShapeError, r"squeeze: axis 0 has length 3, not 1: float64 \(3, 4\)"),
    (lambda: tg.squeeze(X, 5), ShapeError, "squeeze: axis 5"), (lambda: tg.expand_dims(X, 4), ShapeError, "expand_dims"),
    (lambda: tg.expand_dims(X, (0, 0)), ShapeError, "expand_dims"),
    (lambda: tg.swapaxes(X, 0, 2), ShapeError, "swapaxes: axis 2"),
    (lambda: tg.moveaxis(X, (0, 1), 0), ShapeError, "moveaxis: 2 axes to 1 places"),
    (lambda: tg.moveaxis(X, 0, 2), ShapeError, "moveaxis"), (lambda: tg.rollaxis(X, 0, 5), ShapeError, "rollaxis"),
    (lambda: tg.broadcast_arrays(X, U), ShapeError, r"broadcast_arrays: shapes \(3, 4\), \(3,\)"),
    (lambda: tg.meshgrid(V, indexing="ji"), ValueError, "meshgrid"), (lambda: tg.matrix_transpose(V), ShapeError, "matrix_tr"),
    (lambda: tg.rot90(X, 1, (0, 0)), ShapeError, "rot90"), (lambda: tg.rot90(X, 1, (0,)), ShapeError, "rot90"),
    (lambda: tg.roll(X, (1, 2, 3), (0, 1)), ShapeError, "roll"), (lambda: tg.resize(X, (-1,)), ShapeError, "resize"),
    (lambda: tg.flip(X, 2), ShapeError, "flip"), (lambda: tg.concatenate([]), ShapeError, "concatenate: there is nothing"),
    (lambda: tg.concatenate([X, V]), ShapeError, r"concatenate\(float64 \(3, 4\), float64 \(4,\)"),
    (lambda: tg.stack([X, V]), ShapeError, "stack"), (lambda: tg.stack([X], 3), ShapeError, "stack: axis 3"),
    (lambda: tg.block([[X], X]), ShapeError, "block"), (lambda: tg.block([]), ShapeError, "block"),
    (lambda: tg.vstack([X, U]), ShapeError, "concatenate"),
    (lambda: tg.split(X, 3, 1), ShapeError, r"split: 3 equal parts of axis 1: float64 \(3, 4\)"),
    (lambda: tg.split(X, 0), ShapeError, "split"), (lambda: tg.array_split(X, 0), ShapeError, "array_split"),
    (lambda: tg.vsplit(V, 2), ShapeError, "vsplit: at least 2 axes"), (lambda: tg.dsplit(X, 2), ShapeError, "dsplit"),
    (lambda: tg.tile(X, -1), ShapeError, "tile"), (lambda: tg.repeat(V, [1, 2]), ShapeError, "repeat: repeats"),
    (lambda: tg.repeat(V, -1), ShapeError, "repeat"), (lambda: tg.repeat(V, 1.5), ShapeError, "repeat"),
    (lambda: tg.pad(X, 1, "mean"), ValueError, "pad: mode='mean'"), (lambda: tg.pad(X, -1), ShapeError, "pad: pad_width=-1"),
    (lambda: tg.pad(X, (1, 2, 3)), ShapeError, "pad: pad_width"), (lambda: tg.pad(X, 1.5), ShapeError, "pad"),
    (lambda: tg.pad(EMPTY, 1, "edge"), ShapeError, "pad: can't extend empty axis"),
    (lambda: tg.insert(V, 9, 1.0), IndexError, "insert"), (lambda: tg.delete(V, 9), IndexError, "delete"),
    (lambda: tg.take(V, 4), IndexError, "take: positions from 4 to 4 of 4"), (lambda: tg.take(V, [0.5]), DtypeError, "take"),
    (lambda: tg.take(V, 0, mode="x"), ValueError, "take: mode"),
    (lambda: tg.take_along_axis(X, np.array([0]), 0), ShapeError, "take_along_axis"),
    (lambda: tg.diagonal(V), ShapeError, "diagonal: at least two axes"), (lambda: tg.diag(C), ShapeError, "diag"),
    (lambda: tg.diagonal(X, 0, 1, 1), ShapeError, "diagonal"), (lambda: tg.tril(N), ShapeError, "tril"),
    (lambda: tg.compress(X > 0, X), ShapeError, "compress"), (lambda: tg.compress([True] * 5, V), IndexError, "compress"),
    (lambda: tg.select([], []), ShapeError, "select"), (lambda: tg.select([V], [V]), DtypeError, "select"),
    (lambda: tg.choose(np.array([2]), [V, V]), IndexError, "choose"), (lambda: tg.choose(V, [V]), DtypeError, "choose")])
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
