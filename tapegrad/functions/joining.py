"""Joining tensors, taking them apart, and making them larger or smaller, under NumPy's names."""

from operator import index

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, single_axis, value
from tapegrad.functions.elementwise import astype
from tapegrad.functions.indexing import getitem
from tapegrad.functions.shaping import atleast_1d, atleast_2d, atleast_3d, broadcast_to, moveaxis, ravel

PAD_MODES = "constant", "edge", "reflect", "symmetric", "wrap"


def concatenate(xs, axis=0):
    """The tensors joined along an axis that they have; axis=None joins them flattened. Derivative: to each, its part of d."""
    xs = _sequence("concatenate", xs)
    if axis is None:
        xs, axis = tuple([ravel(x) for x in xs]), 0
    return recorded.concatenate(xs, single_axis("concatenate", xs[0], axis))


concat = concatenate


def stack(xs, axis=0):
    """Tensors of one shape joined along a new axis. Derivative: to each, its slice of d."""
    xs = _sequence("stack", xs)
    ndim = np.ndim(value(xs[0])) + 1
    if not -ndim <= axis < ndim:
        raise ShapeError(f"stack: axis {axis} of a result with {ndim} axes")
    return recorded.stack(xs, axis % ndim)


def vstack(xs):
    """Joined along the first axis, vectors as rows."""
    return concatenate([atleast_2d(x) for x in xs], 0)


def hstack(xs):
    """Joined along the second axis; vectors along their only one."""
    xs = [atleast_1d(x) for x in xs]
    return concatenate(xs, 0 if xs and value(xs[0]).ndim == 1 else 1)


def dstack(xs):
    """Joined along the third axis; (n,) counts as (1, n, 1), (m, n) as (m, n, 1)."""
    return concatenate([atleast_3d(x) for x in xs], 2)


def column_stack(xs):
    """Vectors as columns, and matrices as they are, side by side."""
    return concatenate([recorded.reshape(x, (-1, 1)) if value(x).ndim < 2 else x for x in xs], 1)


def block(arrays):
    """Nested lists of parts put together: the innermost lists along the last axis, the next along the one before, .."""
    def depth(part):
        return 1 + max(map(depth, part), default=0) if isinstance(part, list) else 0

    def parts(part):
        return [one for inner in part for one in parts(inner)] if isinstance(part, list) else [part]

    levels = depth(arrays)
    ndim = max([levels, *[value(part).ndim for part in parts(arrays)]])
    beside = next((part for part in parts(arrays) if hasattr(part, "dtype")), None)

    def join(part, level):
        if level == 0:
            return recorded.reshape(as_tensor(part, beside), (1,) * (ndim - value(part).ndim) + value(part).shape)
        if not isinstance(part, list) or not part:
            raise ShapeError(f"block: the nested lists are not all {levels} deep, or one is empty")
        return concatenate([join(inner, level - 1) for inner in part], -level)

    return join(arrays, levels)


def unstack(x, axis=0):
    """The slices of x along `axis`, without it: a tuple."""
    axis = single_axis("unstack", x, axis)
    return tuple([getitem(x, (slice(None),) * axis + (i,)) for i in range(value(x).shape[axis])])


def append(x, values, axis=None):
    """`values` after x along `axis`; both flattened where axis is None."""
    return concatenate([x, as_tensor(values, value(x))], axis)


def array_split(x, indices_or_sections, axis=0):
    """A list of parts along `axis`: as many as the int says, the first ones longer by 1; or cut before each index."""
    axis = single_axis("array_split", x, axis)
    length = value(x).shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [index(i) for i in value(indices_or_sections)]
    else:
        sections = index(indices_or_sections)
        if sections <= 0:
            raise ShapeError(f"array_split: {sections} sections; at least one is needed")
        each, longer = divmod(length, sections)
        cuts = [i * each + min(i, longer) for i in range(1, sections)]
    before = (slice(None),) * axis
    return [recorded.getitem(x, (*before, slice(start, stop))) for start, stop in zip([0, *cuts], [*cuts, length])]


def split(x, indices_or_sections, axis=0):
    """A list of parts along `axis`: as many equal ones as the int says, or cut before each index."""
    length = value(x).shape[single_axis("split", x, axis)]
    if np.ndim(indices_or_sections) == 0 and (indices_or_sections <= 0 or length % indices_or_sections):
        raise ShapeError(f"split: {indices_or_sections} equal parts of axis {axis}: {describe(value(x))}; see array_split")
    return array_split(x, indices_or_sections, axis)


def hsplit(x, indices_or_sections):
    """split along the second axis; a vector along its only one."""
    return split(x, indices_or_sections, 0 if value(x).ndim == 1 else 1)


def vsplit(x, indices_or_sections):
    """split along the first axis of at least two."""
    return _split_with(2, "vsplit", x, indices_or_sections, 0)


def dsplit(x, indices_or_sections):
    """split along the third axis."""
    return _split_with(3, "dsplit", x, indices_or_sections, 2)


def _split_with(ndim, name, x, indices_or_sections, axis):
    if value(x).ndim < ndim:
        raise ShapeError(f"{name}: at least {ndim} axes are needed: {describe(value(x))}")
    return split(x, indices_or_sections, axis)


def tile(x, reps):
    """x repeated as a block, reps[i] times along axis i. Derivative: d, summed over the blocks."""
    reps = tuple(np.atleast_1d(reps).tolist())
    shape = value(x).shape
    reps, shape = (1,) * (len(shape) - len(reps)) + reps, (1,) * (len(reps) - len(shape)) + shape
    if min(reps) < 0:
        raise ShapeError(f"tile: a negative number of repetitions in {reps}")
    blocks = recorded.reshape(x, tuple([n for length in shape for n in (1, length)]))
    blocks = recorded.broadcast_to(blocks, tuple([n for pair in zip(reps, shape) for n in pair]))
    return recorded.reshape(blocks, tuple([rep * length for rep, length in zip(reps, shape)]))


def repeat(x, repeats, axis=None):
    """Each element along `axis` (of the flattened x where None) `repeats` times: an int, or one for each element."""
    if axis is None:
        x, axis = ravel(x), 0
    axis = single_axis("repeat", x, axis)
    shape = value(x).shape
    repeats = value(repeats)
    if repeats.ndim > 1 or repeats.size not in (1, shape[axis]) or repeats.dtype.kind not in "biu" or (repeats < 0).any():
        raise ShapeError(f"repeat: repeats {describe(repeats)} for axis {axis}: {describe(value(x))}; it is one count >= 0, or "
                         "one for each element")
    if repeats.size == 1:
        count, after = int(repeats.item()), axis + 1
        spread = recorded.reshape(x, (*shape[:after], 1, *shape[after:]))
        spread = recorded.broadcast_to(spread, (*shape[:after], count, *shape[after:]))
        return recorded.reshape(spread, (*shape[:axis], shape[axis] * count, *shape[after:]))
    return along(x, np.repeat(np.arange(shape[axis]), repeats), axis)


def pad(x, pad_width, mode="constant", constant_values=0):
    """x with elements before and after along each axis.

    pad_width         an int; (before, after); or one such pair for each axis
    mode              "constant", "edge", "reflect", "symmetric" or "wrap", as in numpy.pad
    constant_values   what to pad with, shaped as pad_width

    Derivative: each element gets d of every place where it stands.
    """
    if mode not in PAD_MODES:
        raise ValueError(f"pad: mode={mode!r}; it is one of {', '.join(PAD_MODES)}")
    array = value(x)
    try:
        widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
        if mode != "constant":
            constant_values = 0
        constants = np.broadcast_to(value(constant_values), (array.ndim, 2))
    except ValueError as error:
        raise ShapeError(f"pad: pad_width={pad_width!r}, constant_values={constant_values!r}: {describe(array)}") from error
    if any(type(n) is not int or n < 0 for pair in widths for n in pair):
        raise ShapeError(f"pad: pad_width={pad_width!r}; integers >= 0 are needed")
    if mode == "constant":
        inside = tuple([slice(before, before + n) for n, (before, _) in zip(array.shape, widths)])
        shape = tuple([n + sum(pair) for n, pair in zip(array.shape, widths)])
        z = recorded.scatter(x, inside, shape)
        if not constants.any():
            return z
        around = np.pad(np.zeros(array.shape, array.dtype), widths, constant_values=[tuple(pair) for pair in constants])
        return recorded.add(z, around)
    for axis, pair in enumerate(widths):
        if any(pair):
            try:
                x = along(x, np.pad(np.arange(array.shape[axis]), pair, mode), axis)
            except ValueError as error:
                raise ShapeError(f"pad: {error}: {describe(array)}") from error
    return x if any(map(any, widths)) else recorded.alias(x)


def insert(x, obj, values, axis=None):
    """x with `values` before the places `obj` (an int, a slice, a sequence) along `axis`; flattened where None."""
    if axis is None:
        x, axis = ravel(x), 0
    axis = single_axis("insert", x, axis)
    values = astype(as_tensor(values), value(x).dtype)
    shape = value(x).shape
    places = np.arange(shape[axis])[obj] if isinstance(obj, slice) else value(obj)
    places = places.astype(np.intp) if places.size == 0 else places
    if places.size == 1:                                # all values go before the one place
        values = recorded.reshape(values, (1,) * (len(shape) - value(values).ndim) + value(values).shape)
        if places.ndim == 0:
            values = moveaxis(values, 0, axis)
        count = value(values).shape[axis]
        where = np.full(count, places.item())
    else:
        count, where = places.size, places
    values = broadcast_to(values, (*shape[:axis], count, *shape[axis + 1:]))
    try:
        order = np.insert(np.arange(shape[axis]), where, np.arange(count) + shape[axis])
    except (ValueError, IndexError) as error:
        raise type(error)(f"insert: {error}: {describe(value(x))}") from error
    return along(recorded.concatenate((x, values), axis), order, axis)


def delete(x, obj, axis=None):
    """x without the elements at `obj` (an int, a slice, a sequence, a mask) along `axis`; flattened where None."""
    if axis is None:
        x, axis = ravel(x), 0
    axis = single_axis("delete", x, axis)
    if not isinstance(obj, slice):
        obj = value(obj).astype(np.intp) if value(obj).size == 0 else value(obj)
    try:
        left = np.delete(np.arange(value(x).shape[axis]), obj)
    except (ValueError, IndexError) as error:
        raise type(error)(f"delete: {error}: {describe(value(x))}") from error
    return along(x, left, axis)


def along(x, ids, axis):
    """x[.., ids, ..] with an array of integers at `axis`."""
    return getitem(x, (slice(None),) * axis + (ids,) if axis else ids)


def _sequence(name, xs):
    xs = tuple(xs)
    if not xs:
        raise ShapeError(f"{name}: there is nothing to join")
    return xs
