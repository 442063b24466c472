"""Where values are: places in arrays.

A place is a part of a storage: rows of elements side by side, with a stride between rows. A view is another place in the
storage of its operand. What a concatenation joins is computed in its place in the whole, where an instruction can write it
there. Storages that are not alive at the same time share memory, and values of one kernel share a place (inplace.py).
"""

import math

import numpy as np

from tapegrad.compiler.fusion import BATCH, JOIN, KERNEL, LOOK_UP, PRODUCT, VIEW
from tapegrad.compiler.products import TURNED
from tapegrad.compiler.views import strided

ALIGNED = 64            # bytes


class Storage:
    """Memory for values.

    owner    "input", "output", "saved" (from the first part of a program to the second), "scratch"
    number   of the input or output
    offset   in bytes, in the array of its owner
    made_for the node that fills it, alone or by its parts; others may be there before, and after (inplace.py)
    """

    __slots__ = ("owner", "number", "offset", "nbytes", "dtype", "first", "last", "early", "late", "made_for")

    def __init__(self, owner, node, number=0):
        self.owner, self.dtype, self.number, self.made_for, self.offset = owner, node.dtype, number, node, 0
        self.nbytes = node.size * node.dtype.itemsize
        self.first, self.last, self.early, self.late = math.inf, -1, False, False

    @property
    def room(self):
        """The bytes that it takes, with those up to the next one."""
        return -(-self.nbytes // ALIGNED) * ALIGNED


class Place:
    """rows x columns elements: element (r, c) is at start + r * stride + c of a storage."""

    __slots__ = ("storage", "start", "rows", "columns", "stride")

    def __init__(self, storage, start, rows, columns, stride):
        self.storage, self.start, self.rows, self.columns, self.stride = storage, start, rows, columns, stride

    @property
    def in_order(self):
        return self.rows == 1 or self.stride == self.columns

    @property
    def end(self):
        """Behind its last element."""
        return self.start + (self.rows - 1) * self.stride + self.columns

    def strides(self, shape):
        """The strides, in elements, of an array of this shape that is here."""
        found, step = [1], self.stride
        for n in reversed(shape[1:-1] if len(shape) > 1 else ()):
            found.append(step)
            step *= n
        if len(shape) > 1:
            found.append(step)
        return tuple(reversed(found))[-len(shape):] if shape else ()

    def array(self, memory, shape):
        """The array of this shape that is here."""
        item = self.storage.dtype.itemsize
        return np.ndarray(shape, self.storage.dtype, memory, self.storage.offset + self.start * item,
                          [n * item for n in self.strides(shape)])


def rows_of(shape):
    return math.prod(shape[:-1])


def columns_of(shape):
    return shape[-1] if shape else 1


def whole(storage, shape):
    """The place of an array that fills its storage."""
    return Place(storage, 0, rows_of(shape), columns_of(shape), columns_of(shape))


def view_of(node, place):
    """The place of a view, or None: its elements are not side by side."""
    x = node.operands[0]
    if node.row.name == "reshape":
        if place.in_order:
            return Place(place.storage, place.start, rows_of(node.shape), columns_of(node.shape), columns_of(node.shape))
        same = rows_of(node.shape) == place.rows and columns_of(node.shape) == place.columns
        return Place(place.storage, place.start, place.rows, place.columns, place.stride) if same else None
    return _indexed(node, x.shape, place)


def _indexed(node, shape, place):
    start, left = strided(place.start, list(zip(shape, place.strides(shape))), [("getitem", node.static[0])])
    if left is None:
        return None
    if not left:
        return Place(place.storage, start, 1, 1, 1)
    *leading, (columns, step) = left
    if step != 1 and columns != 1:
        return None
    stride = columns
    for k, (n, step) in enumerate(reversed(leading)):
        if k == 0:
            stride, expected = step, step
        elif step != expected and n != 1:
            return None
        expected = step * n
    return Place(place.storage, start, rows_of(node.shape), columns, stride)


class Layout:
    """The places of all values of a schedule.

    places    {node: its place}
    copies    {the node of a concatenation: [(node, its place in it)]} of what can't be computed in its place
    parts     {the node of a concatenation: what is computed in its place}
    moved     views that are copied: no place has their elements
    returned  {instruction: [(node, place)]} of outputs that are copied when it is done
    outputs   [(node, place)] of those that are copied when the part is done: of the first part, of the second
    """

    def __init__(self, schedule, graph, count):
        self.places, self.copies, self.parts, self.moved = {}, {}, {}, set()
        self.kinds = schedule.kinds
        first = [node for instruction in schedule.first for node in instruction.nodes]
        second = [node for instruction in schedule.second for node in instruction.nodes]
        self.early = set(first)
        for k, node in enumerate(graph.inputs):
            self.places[node] = whole(Storage("input", node, k), node.shape)
        self.results = {node for part in (schedule.first, schedule.second) for one in part for node in one.results}
        self._give_outputs(graph, count)
        for node in reversed([*first, *second]):
            if self.kinds[node] == JOIN:
                self._join(node)
        for node in (*first, *second):
            if self.kinds[node] == VIEW:
                place = view_of(node, self.places[node.operands[0]])
                if place is not None:
                    self.places[node] = place
                    continue
                self.moved.add(node)
            if node in self.results and node not in self.places:
                self.places[node] = whole(Storage("scratch", node), node.shape)
        self.returned = {}
        self.outputs = [self._return(graph, range(count), schedule.first),
                        self._return(graph, range(count, len(graph.outputs)), schedule.second)]

    def _give_outputs(self, graph, count):
        """Compute an output where the caller gets it, unless it is a part of something else."""
        joined = {x for node in self.kinds if self.kinds[node] == JOIN for x in node.operands}
        for k, node in enumerate(graph.outputs):
            if (node not in self.places and node not in joined and self.kinds[node] != VIEW
                    and (node in self.early) == (k < count)):
                self.places[node] = whole(Storage("output", node, k), node.shape)

    def _return(self, graph, numbers, part):
        """Note where outputs are to be copied that are not computed where the caller gets them."""
        computed, rest = {node: one for one in part for node in one.results}, []
        for k in numbers:
            node = x = graph.outputs[k]
            if (own := self.places[node].storage).owner == "output" and own.number == k:
                continue
            while self.kinds.get(x) == VIEW and x not in self.moved:
                x = x.operands[0]
            copied = self.returned.setdefault(computed[x], []) if x in computed else rest
            copied.append((node, whole(Storage("output", node, k), node.shape)))
        return rest

    def _join(self, node):
        """Give the operands of a concatenation their places in it."""
        if node not in self.places:
            self.places[node] = whole(Storage("scratch", node), node.shape)
        at, start, side_by_side = self.places[node], 0, node.static[0] == node.ndim - 1
        copied, parts = self.copies[node], self.parts[node] = [], []
        for x in node.operands:
            rows, columns = rows_of(x.shape), columns_of(x.shape)
            place = Place(at.storage, at.start + (start if side_by_side else start * at.stride), rows, columns, at.stride)
            start += columns if side_by_side else rows
            in_place = self.kinds.get(x) in (KERNEL, PRODUCT, BATCH, LOOK_UP, JOIN) or x.row is TURNED
            if in_place and x not in self.places:
                self.places[x] = place
                parts.append(x)
            else:
                copied.append((x, place))
