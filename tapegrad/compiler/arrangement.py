"""Passes that take slices and stacks out of the way of kernels and products, which then read and write matrices.

    flattened   x @ y of a stack x and a matrix y  ->  one product, of all rows of x
    sliced      parts of an elementwise z          ->  elementwise of the parts, where nothing else reads z: the gates of an
                                                       LSTM, of which one product is the first half of all
    picked      a part of what has been joined     ->  that part: the last of the outputs of an LSTM

They are run before the derivative is made, which then is of parts, too: it need not put deltas together that are taken apart
again at once.
"""

import math

from tapegrad.compiler.rewriting import mapped, with_operands
from tapegrad.compiler.text import REAL, is_elementwise
from tapegrad.compiler.views import part_of
from tapegrad.graph.graph import operands_of
from tapegrad.primitives import table
from tapegrad.primitives.node import Node, node_of, nodes

DEPTH = 8               # parts of parts


def flattened(graph):
    """Products of stacks with a matrix as products of matrices."""
    def change(node, operands):
        x, y = operands if node.row.name == "matmul" else (None, None)
        if not (isinstance(x, Node) and isinstance(y, Node) and x.ndim > 2 == y.ndim and node.size and x.size
                and x.dtype == y.dtype and x.dtype in REAL):
            return with_operands(node, operands)
        rows = nodes.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
        return nodes.reshape(nodes.matmul(rows, y), node.shape)

    return mapped(graph, change)


def sliced(graph):
    """Parts of elementwise nodes as elementwise nodes of parts."""
    def change(node, operands):
        if _is_part(node) and node.operands[0] in cut:
            return _part(operands[0], node.static[0])
        return with_operands(node, operands)

    for _ in range(DEPTH):
        cut = _only_cut(graph)
        if not cut:
            break
        graph = mapped(graph, change)
    return graph


def picked(graph):
    """Parts of joined nodes, be these transposed, as what has been joined; but not if an input is no longer read then: its
    gradient is 0, and not None."""
    def change(node, operands):
        whole = node.row is table["getitem"] and isinstance(operands[0], Node)
        part = _picked(operands[0], node.static[0]) if whole else None
        return with_operands(node, operands) if part is None else part

    made = mapped(graph, change)
    return made if _inputs_read(made) == _inputs_read(graph) else graph


def _inputs_read(graph):
    """For each output the inputs on which it depends, as bits."""
    bits = {x: 1 << i for i, x in enumerate(graph.inputs)}
    for node in graph.nodes:
        bits[node] = 0
        for x in operands_of(node):
            bits[node] |= bits[x]
    return [bits[z] for z in graph.outputs if isinstance(z, Node)]


def _picked(x, index):
    """x[index] as a part of something that is a part of x, or None."""
    place = part_of(index, x.shape)
    if place is None or x.row is None:
        return None
    (axis, start, stop), taken = place, _taken(index, place)
    if x.row.name == "transpose" and type(taken) is int:
        axes = [axis % x.ndim for axis in x.static[0] or reversed(range(x.ndim))]
        of = _picked(x.operands[0], (slice(None),) * axes[axis] + (taken,))
        kept = [k - (k > axes[axis]) for k in axes if k != axes[axis]]
        return of if of is None or kept == sorted(kept) else nodes.transpose(of, tuple(kept))
    if x.row.name == "stack" and x.static == (axis,) and type(taken) is int:
        return x.operands[start] if isinstance(x.operands[start], Node) else None
    if x.row.name == "concatenate" and x.static == (axis,) and all([isinstance(y, Node) for y in x.operands]):
        for y in x.operands:
            if 0 <= start and stop <= y.shape[axis]:
                whole = type(taken) is slice and (start, stop) == (0, y.shape[axis])
                return y if whole else y[(slice(None),) * axis + (start if type(taken) is int else slice(start, stop),)]
            start, stop = start - y.shape[axis], stop - y.shape[axis]
    return None


def _is_part(node):
    """Whether a node is a part along the first or the last axis of another."""
    if node.row is not table["getitem"] or not isinstance(node.operands[0], Node):
        return False
    place = part_of(node.static[0], node.operands[0].shape)
    return place is not None and place[0] in (0, node.operands[0].ndim - 1)


def _only_cut(graph):
    """The elementwise nodes that kernels compute and of which only parts are read, no element twice."""
    read = dict.fromkeys([node for node in graph.nodes if node.ndim and is_elementwise(node) and all(
        [x.dtype in REAL for x in operands_of(node)])], 0)
    for node in graph.nodes:
        for x in operands_of(node):
            if x in read:
                read[x] += node.size if _is_part(node) else math.inf
    return {x for x, size in read.items() if 0 < size <= x.size}.difference(graph.outputs)


def _part(x, index):
    """x[index], computed from parts of what x is computed from."""
    place = part_of(index, x.shape)
    axis, taken = place[0], _taken(index, place)
    return node_of(x.row, tuple([_operand(y, x, axis, taken) if isinstance(y, Node) else y for y in x.operands]), x.static)


def _taken(index, place):
    """What an index that takes this part of one axis takes of that: an integer, or a slice."""
    one = any([type(i) is int for i in (index if type(index) is tuple else (index,))])
    return place[1] if one else slice(*place[1:])


def _operand(y, x, axis, taken):
    """The part of an operand, which may have fewer axes, and 1 where x has more."""
    axis -= x.ndim - y.ndim
    if axis < 0 or y.shape[axis] == 1 and type(taken) is slice:
        return y
    if y.shape[axis] == 1:
        taken = 0
    elif _is_part(y):                                   # a part of a part
        along, start, stop = part_of(y.static[0], y.operands[0].shape)
        if along == axis and y.ndim == y.operands[0].ndim:
            y, taken = y.operands[0], taken + start if type(taken) is int else slice(taken.start + start, taken.stop + start)
    return y[(slice(None),) * axis + (taken,)]
