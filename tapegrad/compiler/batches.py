"""Products of stacks of matrices, by BLAS, one matrix after the other, where they are: as the heads of attention.

The operands are views of others (parts, transposes, other shapes: views.py), which are read with their strides, and so is the
result written: nothing is transposed in memory.

    batched_matmul(x, y, view of x, view of y, view of z, shape of z)    view(z) = view(x) @ view(y)
"""

import numpy as np

from tapegrad.compiler.rewriting import mapped, with_operands
from tapegrad.compiler.text import REAL
from tapegrad.compiler.views import strided
from tapegrad.graph.graph import operands_of, uses_of
from tapegrad.kernels.opcodes import PLAIN, TRANSPOSED
from tapegrad.primitives import Primitive, table
from tapegrad.primitives.node import Node

PADDING = 1             # columns between rows, in a place that is a part of another


def _computed(x, y, view_x, view_y, view_z, shape):
    z = np.empty(shape, x.dtype)
    _seen(z, view_z)[...] = np.matmul(_seen(x, view_x), _seen(y, view_y))
    return z


def _seen(x, view):
    for name, static in view:
        x = table[name].g(x, static)
    return x


BATCHED = Primitive("batched_matmul", _computed, (None, None))


def batched(graph):
    """Products of stacks as products of views, with those views of the result that nothing else reads, but which it is for."""
    uses = uses_of(graph)

    def change(node, operands):
        if node.row is table["matmul"] and _are_stacks(node, operands):
            (x, view_x), (y, view_y) = map(_base, operands)
            return Node(BATCHED, (x, y), (view_x, view_y, (), node.shape), node.shape, node.dtype)
        z = operands[0] if node.row.name in ("transpose", "reshape") else None
        if isinstance(z, Node) and z.row is BATCHED and uses[node.operands[0]] == 1:
            view = (_inverse(node, z), *z.static[2])
            if _are_in_reach(node.shape, view):
                return Node(BATCHED, z.operands, (*z.static[:2], view, node.shape), node.shape, node.dtype)
        return with_operands(node, operands)

    return mapped(graph, change)


def _are_stacks(node, operands):
    return (node.dtype in REAL and node.size > 0 and node.ndim > 2
            and all([isinstance(x, Node) and x.dtype == node.dtype and x.size and x.shape[:-2] == node.shape[:-2]
                     for x in operands]))


def _base(x):
    """(what x is a view of, that view), as far as BLAS can read it."""
    found, view = (x, ()), ()
    while x.row is not None and x.row.name in ("transpose", "reshape", "getitem") and len(operands_of(x)) == 1 == len(x.static):
        if x.operands[0].dtype != x.dtype:
            break
        view, x = ((x.row.name, x.static[0]), *view), x.operands[0]
        if _are_in_reach(x.shape, view):
            found = x, view
    return found


def _inverse(node, z):
    """The step from a view of z back to z."""
    if node.row.name == "reshape":
        return "reshape", z.shape
    axes = node.static[0]
    return "transpose", None if axes is None else tuple(np.argsort([axis % z.ndim for axis in axes]).tolist())


# Axes of views: see views.py

def _are_in_reach(shape, view):
    """Whether BLAS can read the matrices of a view, wherever the array of this shape is."""
    for padding in (0, PADDING):
        axes, step = [], 1
        for k, n in enumerate(reversed(shape)):
            axes.insert(0, (n, step))
            step = step * n + (padding if k == 0 else 0)
        _, seen = strided(0, axes, view)
        if seen is None or len(seen) < 3 or form_of(seen) is None:
            return False
    return True


def form_of(axes):
    """(whether BLAS reads the matrices of a view plainly or transposed, the stride of their rows, or columns), or None."""
    (rows, down), (columns, along) = axes[-2:]
    if (along == 1 or columns == 1) and (down >= columns or rows == 1):
        return PLAIN, max(down, columns)
    if (down == 1 or rows == 1) and (along >= rows or columns == 1):
        return TRANSPOSED, max(along, rows)
    return None


def loops(views):
    """The axes of stacks as [(n, strides of x, y and z)], those joined that are one in all of them."""
    found = []
    for level in zip(*[axes[:-2] for axes in views]):
        n, steps = level[0][0], [step for _, step in level]
        if n == 1:
            continue
        if found and found[-1][1] == [step * n for step in steps]:
            found[-1] = found[-1][0] * n, steps
        else:
            found.append((n, steps))
    return found
