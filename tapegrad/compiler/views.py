"""Parts and other views of arrays: what an index takes, and where the elements of a view are.

An array is where it starts and its axes, (n, stride) for each, in elements; a view is a tuple of steps, (name of a row, its
static argument).
"""

from math import prod


def complete(index, ndim):
    """An index of integers and slices without a step, one for each axis, without an Ellipsis; None of any other."""
    index = index if type(index) is tuple else (index,)
    at = next((k for k, i in enumerate(index) if i is Ellipsis), len(index))
    index = (*index[:at], *[slice(None)] * (ndim - len(index) + (at < len(index))), *index[at + 1:])
    known = [type(i) is int or type(i) is slice and i.step in (None, 1) for i in index]
    return index if len(index) == ndim and all(known) else None


def part_of(index, shape):
    """(axis, start, stop) of an index that takes a part of one axis, and all of the others; None of any other."""
    taken, index = [], complete(index, len(shape))
    for axis, (i, n) in enumerate(zip(index or (), shape)):
        if type(i) is int:
            taken.append((axis, i % n, i % n + 1))
        elif i.indices(n)[:2] != (0, n):
            taken.append((axis, *i.indices(n)[:2]))
    return taken[0] if len(taken) == 1 and taken[0][1] < taken[0][2] else None


def strided(start, axes, view):
    """(start, axes) of a view; (start, None) if there is none without a copy."""
    for name, static in view:
        if name == "transpose":
            axes = axes[::-1] if static is None else [axes[k] for k in static]
        elif name == "reshape":
            axes = _reshaped(axes, static)
        else:
            start, axes = _indexed(start, axes, static)
        if axes is None:
            return start, None
    return start, axes


def _reshaped(axes, shape):
    if prod(shape) != prod([n for n, _ in axes]):       # a -1 among it
        return None
    old, found, left, step = [axis for axis in axes if axis[0] != 1], [], 1, 1
    for n in reversed(shape):
        if n == 1:
            found.append((1, step))
            continue
        if left == 1:
            left, step = old.pop()
        while left % n and old and old[-1][1] == step * left:
            left *= old.pop()[0]
        if left % n:
            return None
        found.append((n, step))
        left, step = left // n, step * n
    return found[::-1]


def _indexed(start, axes, index):
    index = complete(index, len(axes))
    if index is None:
        return start, None
    found = []
    for (n, step), i in zip(axes, index):
        if type(i) is int:
            start += i % n * step
        else:
            low, high, _ = i.indices(n)
            start += low * step
            found.append((max(0, high - low), step))
    return start, found
