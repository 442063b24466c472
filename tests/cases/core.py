"""Rows of the first families."""

import numpy as np

from cases.case import MATRICES, Case, away_from_zero, condition, distinct, positive, real


def _reduced(f):
    return lambda x, axis, keepdims: f(x, axis=axis, keepdims=keepdims)


def _normalised(shift):
    def f(x, axis):
        e = np.exp(x - x.max(axis, keepdims=True))
        return shift(x - x.max(axis, keepdims=True), e.sum(axis, keepdims=True))

    return f


def _setitem(x, y, index):
    z = x.copy()
    z[index] = y
    return z


def _scatter(d, index, shape):
    z = np.zeros(shape)
    np.add.at(z, index, d)
    return z


AXES = ((None, False), (None, True), ((0,), False), ((1,), True), ((0, 1), False))
INDICES = [(2,), (slice(1, 3),), ((slice(None), 1),), ((None, 1, Ellipsis),), ((slice(None, None, -2), slice(1, None)),),
           (np.array([0, 2, 2, 0]),), ((np.array([0, 2, 0]), np.array([1, 1, 1])),), (np.array([[0, 1], [1, 1]]),),
           ((slice(None), np.array([3, 0, 3])),), (np.arange(12).reshape(3, 4) % 3 == 0,), (np.array([], int),)]

CASES = [
    Case("add", (real, real)), Case("subtract", (real, real)), Case("multiply", (real, real)),
    Case("divide", (real, away_from_zero)), Case("power", (positive, real)), Case("negative"),
    Case("strong_multiply", (away_from_zero, real), reference=np.multiply),
    Case("exp"), Case("log", (positive,)), Case("sqrt", (positive,)), Case("square"), Case("absolute", (away_from_zero,)),
    Case("sin"), Case("cos"), Case("tanh"),
    Case("sigmoid", reference=lambda x: 1 / (1 + np.exp(-x))),
    Case("relu", (away_from_zero,), reference=lambda x: np.maximum(x, 0)),
    Case("maximum", (distinct, lambda shape, seed: distinct(shape, seed) + 0.1)),
    Case("minimum", (distinct, lambda shape, seed: distinct(shape, seed) + 0.1)),
    Case("where", (condition, real, real)),
    Case("alias", reference=lambda x: x),
    Case("astype", static=((np.dtype("float64"),), (np.dtype("float32"),)), reference=lambda x, dtype: x.astype(dtype)),
    Case("sum", static=AXES, reference=_reduced(np.sum), shapes=[((3, 4),), ((0, 3),), ((2, 1),)]),
    Case("mean", static=AXES, reference=_reduced(np.mean), shapes=[((3, 4),), ((2, 1),)]),
    Case("max", (distinct,), AXES, _reduced(np.max), [((3, 4),), ((2, 1),)]),
    Case("min", (distinct,), AXES, _reduced(np.min), [((3, 4),), ((2, 1),)]),
    Case("reshape", static=(((4, 3),), ((-1,),), ((2, 1, 6),)), reference=np.reshape, shapes=[((3, 4),), ((2, 2, 3),)]),
    Case("transpose", static=((None,), ((1, 2, 0),), ((0, 2, 1),)), reference=np.transpose,
         shapes=[((2, 3, 4),), ((2, 0, 4),)]),
    Case("broadcast_to", static=(((2, 3, 4),),), reference=np.broadcast_to, shapes=[((3, 4),), ((1,),), ((3, 1),), ((),)]),
    Case("concatenate", (real, real, real), ((1,),), variadic=True, shapes=[((2, 1), (2, 3), (2, 2)), ((2, 0), (2, 1), (2, 1))],
         reference=lambda xs, axis: np.concatenate(xs, axis)),
    Case("stack", (real, real), ((0,), (1,), (2,)), variadic=True, shapes=[((2, 3), (2, 3)), ((0, 2), (0, 2))],
         reference=lambda xs, axis: np.stack(xs, axis)),
    Case("getitem", static=tuple(INDICES), reference=lambda x, index: x[index], shapes=[((3, 4),)]),
    Case("scatter", static=((np.array([0, 2, 2]), (4, 5)), ((slice(0, 3),), (4, 5))), reference=_scatter, shapes=[((3, 5),)]),
    Case("setitem", (real, real), static=((2,), (slice(1, 3),), (np.array([0, 2]),), (np.array([0, 0]),)), reference=_setitem,
         shapes=[((3, 4), (4,)), ((3, 4), ())]),
    Case("matmul", (real, real), shapes=MATRICES),
    Case("softmax", static=((0,), (1,)), reference=_normalised(lambda x, s: np.exp(x) / s), shapes=[((3, 4),), ((2, 1),)]),
    Case("log_softmax", static=((0,), (1,)), reference=_normalised(lambda x, s: x - np.log(s)), shapes=[((3, 4),), ((2, 1),)]),
    Case("softmax_cross_entropy", static=((np.array([[1], [0]]),), (np.array([[0], [0]]),)), shapes=[((2, 1, 3),)],
         reference=lambda x, classes: np.log(np.exp(x).sum(-1)) - np.take_along_axis(x, classes[..., None], -1)[..., 0]),
    Case("logsumexp", static=((0,), (1,)), shapes=[((3, 4),), ((2, 1),)],
         reference=lambda x, axis: np.log(np.exp(x).sum(axis, keepdims=True))),
]

CONSTANT = [
    *(Case(name, (away_from_zero,)) for name in (
        "sign", "floor", "ceil", "rint", "isnan", "isinf", "isfinite", "logical_not", "zeros_like", "ones_like")),
    *(Case(name, (real, away_from_zero)) for name in (
        "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "floor_divide")),
    Case("argmax", (distinct,), ((None, False), (1, True)), _reduced(np.argmax), [((3, 4),)]),
    Case("argmin", (distinct,), ((None, False), (0, False)), _reduced(np.argmin), [((3, 4),)]),
]
