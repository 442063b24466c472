"""Batching rules: how an operation is done for all examples at once, by other operations. A rule per family of rows.

    rule(row, level, operands, static) -> the tensor of all results, along its first axis

Operands and static arguments are those of one example: a Batched of this level where they differ by example, else what all
examples share. Rows without a rule that are pointwise have that of `pointwise`, others are done one by one (batched.py). Who
opens a level has it from here, so that the rules are there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.core.tape import tracer
from tapegrad.functions.arguments import as_tensor, like, static
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive
from tapegrad.transforms.batched import Level as Level
from tapegrad.transforms.batched import Rule, inner, is_mapped, of_static, one_by_one, rules, run, spread
from tapegrad.transforms.batching_indices import places

Static = tuple[Any, ...]


def batches(*names: str, static: bool = False) -> Callable[[Rule], Rule]:
    """Decorator: the rule of these rows. Where static arguments differ by example it is used with static=True only."""
    def enter(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(names, rule))
        of_static.update(names if static else ())
        return rule

    return enter


def padded(x: Any, level: Level, ndim: int) -> Any:
    """All examples of x, each with axes of length 1 in front so that it has `ndim`; what they share as it is."""
    if not is_mapped(x, level):
        return x
    missing = ndim - x.ndim
    return recorded.reshape(x._inner, (level.size, *(1,) * missing, *x.shape)) if missing > 0 else x._inner


# Rows that broadcast, and those that treat what is in front of their last axes as a stack


@batches("pointwise", "astype", "zeros_like", "ones_like", "clip", "hardtanh", "strong_multiply", "direction", "alias",
         "conjugate", "real", "imag", "special_hazard", "special_hazard_excess", "special_polygamma", "special_zeta")
def _pointwise(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    ndim = max([x.ndim if isinstance(x, Tensor) else np.ndim(x) for x in operands])
    return run(row, [padded(x, level, ndim) for x in operands], static)


@batches("windows", "unwindow", "inv", "pinv", "det", "cofactors", "det_hessian", "slogdet", "cholesky", "qr", "eigh", "eig",
         "svd", "without_phase", "special_spline")
def _stacks(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    return run(row, [spread(x, level) for x in operands], static)


# Rows of images, whose first axis is that of a batch: the examples are more of it


@batches("max_pool", "unpool_max", "picked_max", "sum_pool", "unpool_sum")
def _images(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    return _one_batch(row, level, operands, (), static)


@batches("convolution", "convolution_input", "group_norm")
def _of_shared_parameters(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    if any([is_mapped(x, level) for x in operands[1:]]):
        return one_by_one(row, level, operands, static)
    return _one_batch(row, level, operands[:1], operands[1:], static)


def _one_batch(row: Primitive, level: Level, images: Any, shared: Any, static: Static) -> Any:
    found = [spread(x, level) for x in images]
    z = run(row, (*[recorded.reshape(x, (level.size * x.shape[1], *x.shape[2:])) for x in found], *shared), static)
    return recorded.reshape(z, (level.size, found[0].shape[1], *z.shape[1:]))


@batches("layer_norm")
def _layer_norm(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    if any([is_mapped(x, level) for x in operands[1:]]):
        return one_by_one(row, level, operands, static)
    return run(row, (inner(operands[0], level), *operands[1:]), static)


# Rows with axes among their static arguments


_AXIS = {"sum": 0, "mean": 0, "max": 0, "min": 0, "prod": 0, "var": 0, "std": 0, "norm": 1, "softmax": 0, "log_softmax": 0,
         "logsumexp": 0, "cumsum": 0, "cumprod": 0, "scan": 0, "sort": 0, "argsort": 0, "take_along_axis": 0,
         "add_along_axis": 1, "fft": 0, "ifft": 0, "rfft": 0, "irfft": 1, "roll": 1}


@batches(*_AXIS)
def _along(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    at = _AXIS[row.name]
    axes = _shifted(static[at], like(operands[0]).ndim)
    return run(row, [spread(x, level) for x in operands], (*static[:at], axes, *static[at + 1:]))


def _shifted(axes: Any, ndim: int) -> Any:
    """Axes of an example as those of all examples."""
    if axes is None:
        return tuple(range(1, ndim + 1))
    return tuple([i % ndim + 1 for i in axes]) if isinstance(axes, tuple) else axes % ndim + 1


@batches("argmax", "argmin")
def _position(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    x, (axis, keepdims) = operands[0], static
    if axis is not None:
        return run(row, (x._inner,), (_shifted(axis, x.ndim), keepdims))
    z = run(row, (recorded.reshape(x._inner, (level.size, x.size)),), (1, False))
    return recorded.reshape(z, (level.size, *(1,) * x.ndim)) if keepdims else z


# Shapes and joining


@batches("reshape")
def _reshape(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    x, shape = operands[0], static[0]
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    known = prod([n for n in shape if n != -1])
    if known:                                           # else NumPy says what is wrong with it
        shape = tuple([x.size // known if n == -1 else n for n in shape])
    return run(row, (x._inner,), ((level.size, *shape),))


@batches("transpose")
def _transpose(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    x, axes = operands[0], static[0]
    axes = range(x.ndim)[::-1] if axes is None else axes
    return run(row, (x._inner,), ((0, *[i % x.ndim + 1 for i in axes]),))


@batches("broadcast_to")
def _broadcast_to(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    shape = static[0]
    return run(row, (padded(operands[0], level, len(shape)),), ((level.size, *shape),))


@batches("concatenate", "stack")
def _joined(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    return run(row, [spread(x, level) for x in operands], (static[0] + 1,))


# Indexing


@batches("getitem", static=True)
def _getitem(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    x, (index,) = operands[0], static
    found = places(index, level, like(x).shape, is_mapped(x, level))
    if found is None:
        return one_by_one(row, level, operands, static)
    z = run(row, (inner(x, level),), (found.at,))
    return z if found.order is None else recorded.transpose(z, found.order)


@batches("scatter", static=True)
def _scatter(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    index, shape = static
    found = places(index, level, shape, True)
    if found is None:
        return one_by_one(row, level, operands, static)
    d = spread(operands[0], level)
    d = d if found.order is None else recorded.transpose(d, found.reverse_order())
    return run(row, (d,), (found.at, (level.size, *shape)))


@batches("setitem", static=True)
def _setitem(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    x, y = operands
    found = places(static[0], level, like(x).shape, True)
    if found is None or like(y).ndim > found.ndim:
        return one_by_one(row, level, operands, static)
    if found.order is not None:
        y = recorded.reshape(spread(y, level), (level.size, *(1,) * (found.ndim - like(y).ndim), *like(y).shape))
        y = recorded.transpose(y, found.reverse_order())
    return run(row, (spread(x, level), padded(y, level, found.ndim)), (found.at,))


@batches("softmax_cross_entropy", static=True)
def _softmax_cross_entropy(row: Primitive, level: Level, operands: Any, given: Static) -> Any:
    x, (classes,) = operands[0], given
    if tracer() is not None and not isinstance(classes, Tensor):    # it knows the array of classes as it is, and no copy of it
        return one_by_one(row, level, operands, given)
    return run(row, (spread(x, level),), (static(spread(classes, level)),))


# Products and systems


@batches("matmul")
def _matmul(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    for operand in operands:
        if (foreign := Tensor._foreign(operand)) is not None:
            return inner(foreign._operate(row, operands, static), level)
    x: Any
    y: Any
    x, y = [as_tensor(operand) for operand in operands]
    if min(x.ndim, y.ndim) == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        return one_by_one(row, level, operands, static)  # which says what is wrong with the example
    if is_mapped(x, level) and is_mapped(y, level):
        return _mapped_product(x, y, level)
    if is_mapped(x, level):
        return _rows_times(x._inner, y, x.ndim) if y.ndim <= 2 else _mapped_product(x, y, level)
    if y.ndim == 1:                                     # (.., k, n) @ (n,): the examples are the columns of one product
        rows = recorded.reshape(x, (prod(x.shape[:-1]), x.shape[-1]))
        return recorded.reshape(recorded.matmul(y._inner, recorded.transpose(rows, None)), (level.size, *x.shape[:-1]))
    if y.ndim == 2 == x.ndim:
        z = _rows_times(recorded.transpose(y._inner, (0, 2, 1)), recorded.transpose(x, None), 2)
        return recorded.transpose(z, (0, 2, 1))
    return recorded.matmul(x, y._inner) if x.ndim == 1 and y.ndim == 2 else _mapped_product(x, y, level)


def _rows_times(x: Any, y: Any, ndim: int) -> Any:
    """x @ y for a y that all examples share: one product, with the rows of all of them."""
    if ndim < 2:
        return recorded.matmul(x, y)
    z = recorded.matmul(recorded.reshape(x, (prod(x.shape[:-1]), x.shape[-1])), y)
    return recorded.reshape(z, (*x.shape[:-1], *y.shape[1:]))


def _mapped_product(x: Any, y: Any, level: Level) -> Any:
    """x @ y as a product of stacks of matrices, of the same number of axes."""
    shapes = (1, *x.shape) if x.ndim == 1 else x.shape, (*y.shape, 1) if y.ndim == 1 else y.shape
    ndim = max(map(len, shapes))
    stacks = [_reshaped(operand, level, (1,) * (ndim - len(shape)) + shape) for operand, shape in zip((x, y), shapes)]
    z = recorded.matmul(*stacks)
    if min(x.ndim, y.ndim) > 1:
        return z
    return recorded.reshape(z, z.shape[:-2] + z.shape[-2:-1] * (x.ndim > 1) + z.shape[-1:] * (y.ndim > 1))


def _reshaped(x: Any, level: Level, shape: tuple[int, ...]) -> Any:
    """All examples in this shape each; what they share, too, without the first axis."""
    if x.shape == shape:
        return inner(x, level)
    return recorded.reshape(inner(x, level), (level.size, *shape) if is_mapped(x, level) else shape)


@batches("sparse_matmul")
def _sparse_matmul(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    """The examples are further columns."""
    x = operands[0]
    if x.ndim == 1:
        return recorded.transpose(run(row, (recorded.transpose(x._inner, (1, 0)),), static), (1, 0))
    n, k = x.shape
    z = run(row, (recorded.reshape(recorded.transpose(x._inner, (1, 0, 2)), (n, level.size * k)),), static)
    return recorded.transpose(recorded.reshape(z, (z.shape[0], level.size, k)), (1, 0, 2))


@batches("solve")
def _solve(row: Primitive, level: Level, operands: Any, static: Static) -> Any:
    x, y = [as_tensor(operand) for operand in operands]
    vector = y.ndim == 1
    shape = (*y.shape, 1) if vector else y.shape
    if x.ndim < 2 or x.shape[-1] != shape[-2]:
        return one_by_one(row, level, operands, static)
    if not is_mapped(x, level) and x.ndim == 2 == len(shape):    # one factorisation: the examples are further columns
        n, m = shape
        columns = recorded.reshape(recorded.transpose(_reshaped(y, level, shape), (1, 0, 2)), (n, level.size * m))
        z = recorded.transpose(recorded.reshape(run(row, (x, columns)), (n, level.size, m)), (1, 0, 2))
    else:
        ndim = max(x.ndim, len(shape))
        z = run(row, [_reshaped(operand, level, (1,) * (ndim - len(own)) + own)
                      for operand, own in ((x, x.shape), (y, shape))])
    return recorded.reshape(z, z.shape[:-1]) if vector else z

