"""A graph and its derivative as a program: forward(values) -> (outputs, saved), backward(saved, deltas) -> deltas of inputs.

    graph -> the joint graph of outputs and deltas (graph/reverse.py) -> passes (simplify.py, products.py)
          -> instructions (fusion.py) -> places (layout.py, inplace.py, arena.py) -> words (this file) -> kernels/program.py

Nothing is shared between calls but the code: each call gets memory from a pool, and results of its own.
"""

import math
import warnings
from functools import partial
from math import prod

import numpy as np
from numpy import empty

from tapegrad.compiler import arrangement, batches, library, products, simplify
from tapegrad.compiler.arena import arranged
from tapegrad.compiler.fusion import Schedule
from tapegrad.compiler.inplace import over, overlaid
from tapegrad.compiler.layout import Layout, columns_of
from tapegrad.compiler.listing import Listing, memory_of, profile
from tapegrad.compiler.plain import Plain
from tapegrad.compiler.recomputing import recomputed, spared
from tapegrad.compiler.text import form_of, is_condition, is_elementwise, kernel_text
from tapegrad.compiler.views import strided
from tapegrad.core.sweep import fit
from tapegrad.errors import CompileError
from tapegrad.graph import Graph, GraphError, Reverse, verify
from tapegrad.graph.graph import operands_of
from tapegrad.graph.reverse import Derivative, needed
from tapegrad.kernels import program as machine
from tapegrad.kernels.opcodes import BATCH_32, BATCH_64, CALL, COPY, PARAMETERS, PLAIN, PRODUCT_32, PRODUCT_64, STOP, TRANSPOSED
from tapegrad.primitives import arrays as F
from tapegrad.primitives.node import Node

TIDYING = simplify.folded, arrangement.flattened, simplify.tidied, simplify.assembled, simplify.shared
PLANS = [(True, 1), *[(False, segments) for segments in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)]]
POOL, SAVED, SCRATCH = range(3)
SMALL, BYTE = 1024, np.dtype(np.uint8)
HALF, MOST = 0.5, 0.875                 # of a storage: see inplace.overlaid


def program_of(inputs, outputs, wrt, memory=None, first=()):
    """The fastest program that there is here, with no more than `memory` bytes for its values, if given.

    first   the outputs that are expected to have a delta, if not all
    """
    if machine.available():
        try:
            return Program(inputs, outputs, wrt, memory=memory, first=first)
        except CompileError:
            raise
        except Exception as error:
            warnings.warn(f"tapegrad: a compiled function runs node by node, because its program failed: {error!r}",
                          RuntimeWarning, stacklevel=2)
    if memory is not None:
        raise ValueError("memory= is kept to by programs of kernels, which can't be run here")
    return Plain(inputs, outputs, wrt)


class Program:
    """Outputs as a function of inputs, and the deltas of those in `wrt`, compiled.

    checked   whether the graph is verified after each pass
    memory    a budget in bytes, or None: for all values that are neither given nor returned, nor constants
    first     the outputs that are expected to have a delta, if not all: for others it is made when there is one
    """

    def __init__(self, inputs, outputs, wrt=(), checked=False, memory=None, first=()):
        self.inputs, self.outputs, self.wrt, self.checked = list(inputs), list(outputs), list(wrt), checked
        self.memory = memory
        through = needed(Graph(inputs, outputs).nodes, wrt) if wrt else set()
        self.joints = {}
        self.reached = tuple([node in through for node in self.outputs])
        expected = tuple([there and node in first for node, there in zip(self.outputs, self.reached)])
        self.joint = self._joint(expected if any(expected) else self.reached)      # of the deltas that there were the last time

    def _joint(self, mask):
        if mask not in self.joints:
            self.joints[mask] = _Joint(self.inputs, self.outputs, self.wrt, mask, self.checked, self.memory)
        return self.joints[mask]

    def forward(self, values):
        """(the outputs, arrays of the caller's; what a backward needs)"""
        outputs, memory = self.joint.forward(values)
        return outputs, (memory, values)

    def backward(self, saved, deltas):
        """The deltas of `wrt`, None where none flows, from those of the outputs, None where there is none."""
        memory, values = saved
        mask = tuple([d is not None and there for d, there in zip(deltas, self.reached)])
        if mask != memory.joint.mask:                   # other outputs have a delta than the time before
            joint = self.joint = self._joint(mask)      # a variable: another thread may set the attribute meanwhile
            _, memory = joint.forward(values)
        return memory.joint.backward(memory, values, [d for d, there in zip(deltas, mask) if there])

    def backward_of(self, saved, place, d):
        """As backward(), from the delta of one output."""
        memory, values = saved
        if memory.joint.alone == place:
            return memory.joint.backward(memory, values, (d,))
        return self.backward(saved, [d if i == place else None for i in range(len(self.outputs))])

    def __str__(self):
        return str(Listing(self.joint))

    def memory_text(self):
        """A line on its memory."""
        return memory_of(self.joint)

    def profile(self, values):
        """The time that each instruction takes, as text, from these values of the inputs."""
        found = profile(self.joint, values, [np.ones(z.shape, z.dtype) for z in self.joint.seeds])
        return "\n".join([f"{1e6 * seconds:10.1f} us  {part}  {line}    {what}" for part, line, what, seconds in found])


class _Joint:
    """The program for deltas of the outputs in `mask`.

    size      bytes of what is kept from forward to backward, and of what each of them needs meanwhile
    segments  in how many the values of forward are computed again; 1 if only cheap ones are
    copies    nodes that compute again what forward has computed
    """

    def __init__(self, inputs, outputs, wrt, mask, checked, memory):
        self.mask, self.count, self.memory = mask, len(outputs), memory
        self.alone = mask.index(True) if sum(mask) == 1 else None
        self.given, constants = len(inputs), {}
        graph = simplify.with_constants_as_inputs(Graph(inputs, outputs), constants, numbers=False)
        graph = self._after(graph, checked, arrangement.picked, arrangement.sliced, simplify.shared)
        outputs = graph.outputs
        given = [z for z, wanted in zip(outputs, mask) if wanted]
        self.seeds = [Node(None, (), (), z.shape, z.dtype) for z in given]
        deltas = Reverse(graph, wrt, dict(zip(given, self.seeds)), whole="users").deltas if given else {}
        self.found = [node in deltas for node in wrt]
        graph = Graph([*inputs, *self.seeds, *constants], [*outputs, *[deltas[node] for node in wrt if node in deltas]])
        graph = self._after(graph, checked, *TIDYING, partial(simplify.with_constants_as_inputs, constants=constants))
        least = math.inf
        for across_time, segments in PLANS[:1] if memory is None else PLANS:
            if segments == 1:
                whole = self._after(graph, checked, partial(products.gathered, count=self.count, across_time=across_time),
                                    simplify.tidied, simplify.shared, batches.batched)
                whole = spared(whole, self.count)
            self._plan(*whole, segments, constants, not (across_time and segments == 1))
            least = min(least, sum(self.size))
            if self._fits():
                break
        else:
            raise CompileError(f"compile: memory={memory}: the values of this call need {least:,} bytes, however many of them "
                               "are computed again")
        arrays = 3 + self.given + self.count
        self.parts = [_Code(self, self.schedule.first, self.layout.outputs[0], arrays),
                      _Code(self, self.schedule.second, self.layout.outputs[1], arrays + len(self.seeds) + sum(self.found))]
        self.free, self.kept = ([], []), _Pooled if self.size[0] > SMALL else _Saved
        self.made = [[(node.shape, node.dtype) for node in nodes] for nodes in (
            self.graph.outputs[:self.count], self.graph.outputs[self.count:])]

    def _fits(self):
        return self.memory is None or sum(self.size) <= self.memory

    def _after(self, graph, checked, *steps):
        for step in steps:
            graph = step(graph)
            if checked:
                verify(graph)
        return graph

    def _plan(self, graph, copies, segments, constants, sparing):
        """When and where everything is computed."""
        self.graph, self.copies, self.segments = graph, copies, segments
        if segments > 1:
            self.graph, self.copies = recomputed(graph, self.count, segments, copies)
        self.schedule = Schedule(self.graph, self.count, self.copies, sparing)
        self.size, self.layout, share = self._laid_out(constants, HALF)
        if share < MOST:
            size, layout, _ = self._laid_out(constants, MOST)
            if sum(size) < sum(self.size):
                self.size, self.layout = size, layout
        self.pool = np.zeros(max(sum([self.layout.places[node].storage.room for node in constants]), 1), np.uint8)
        for node, value in constants.items():
            self.layout.places[node].array(self.pool, node.shape)[...] = value

    def _laid_out(self, constants, least):
        """(bytes that are kept, and of scratch memory; the layout; the share of inplace.py)"""
        layout, pooled = Layout(self.schedule, self.graph, self.count), 0
        share = overlaid(layout, self.schedule, least)
        for node in constants:
            storage = layout.places[node].storage
            storage.owner, storage.offset = "pool", pooled
            pooled += storage.room
        return arranged(layout, self.schedule, self.count), layout, share

    def base(self, storage):
        """The position of a storage's array among those that a run gets."""
        if storage.owner == "input":
            late = storage.number >= self.given
            return 3 + storage.number + (self.count if late else 0)
        if storage.owner == "output":
            return 3 + self.given + storage.number + (len(self.seeds) if storage.number >= self.count else 0)
        return {"pool": POOL, "saved": SAVED, "scratch": SCRATCH}[storage.owner]

    def _memory(self, k):
        if self.free[k]:
            try:
                return self.free[k].pop()
            except IndexError:                          # another thread has taken it
                pass
        return empty(self.size[k], BYTE)

    def _give_back(self, k, memory):
        if self.size[k] > SMALL:                        # NumPy keeps small arrays itself
            self.free[k].append(memory)

    def forward(self, values):
        outputs = [empty(shape, dtype) for shape, dtype in self.made[0]]
        saved, scratch = self._memory(0), self._memory(1)
        arrays = self.parts[0].run([self.pool, saved, scratch, *values, *outputs])
        self._give_back(1, scratch)
        return outputs, self.kept(self, saved, arrays[3:])

    def prepared(self, values, deltas):
        """(the arrays of both parts, after a run of them; a function that gives memory back), to look at instructions."""
        outputs, found = [[empty(shape, dtype) for shape, dtype in made] for made in self.made]
        memory = self._memory(0), self._memory(1)
        arrays = [self.pool, *memory, *values, *outputs, *deltas, *found]
        for part in self.parts:
            arrays = part.run(arrays)
        return arrays, lambda: [self._give_back(k, array) for k, array in enumerate(memory)]

    def backward(self, memory, values, deltas):
        kept = memory.taken(values)
        found = [empty(shape, dtype) for shape, dtype in self.made[1]]
        scratch = self._memory(1)
        self.parts[1].run([self.pool, kept, scratch, *memory.rest, *deltas, *found])
        self._give_back(1, scratch)
        if len(found) == len(self.found):
            return found
        found = iter(found)
        return [next(found) if there else None for there in self.found]


class _Saved:
    """What is kept from a forward to its backward, which writes over it.

    again    what another forward keeps, if there is a second backward: each has a copy of that
    """

    __slots__ = ("joint", "array", "rest", "spent", "again")

    def __init__(self, joint, array, rest):
        self.joint, self.array, self.rest, self.spent, self.again = joint, array, rest, False, None

    def taken(self, values):
        """The array, for one backward to use up."""
        if not self.spent:
            self.spent = True
            return self.array
        if self.again is None:
            _, self.again = self.joint.forward(values)
        return self.again.array.copy()


class _Pooled(_Saved):
    """What is kept in memory that goes back to the pool."""

    __slots__ = ()

    def __del__(self):
        self.joint.free[0].append(self.array)


class _Code:
    """The words of one part, and what Python does at its stops."""

    def __init__(self, joint, instructions, copied, arrays):
        self.joint, self.words, self.steps, self.lines, self.arrays = joint, [], {}, [], arrays
        self.places = joint.layout.places
        for one in instructions:
            start = len(self.words)
            getattr(self, f"_{one.kind}")(one)
            if len(self.words) > start:
                self.lines.append((start, one))
            self._return(joint.layout.returned.get(one, ()))
        self._return(copied)
        self.words.append(STOP)
        self.code = np.array(self.words, np.int64)
        self.start = machine.start(0, arrays, 3)

    def _return(self, copied):
        for node, place in copied:
            self._copy(node, self.places[node], place)

    def run(self, arrays):
        """Run on these arrays; returns them, those that were not in order copied."""
        start = self.start
        while True:
            at = machine.run(self.code, tuple(arrays), start)
            if at < 0:
                arrays[-1 - at] = np.require(arrays[-1 - at], requirements="CAE")
                continue
            step = self.steps.get(at)
            if step is None:
                return arrays
            step(arrays)
            start = machine.start(at + 1, len(arrays), len(arrays))

    def _base(self, place):
        """The position of the array of a place, which has to be among those of this part."""
        k = self.joint.base(place.storage)
        if k >= self.arrays:
            raise GraphError(f"{place.storage.owner} {place.storage.number} is not there in this part")
        return k

    def _where(self, place):
        return self._base(place), place.storage.offset + place.start * place.storage.dtype.itemsize

    def _kernel(self, one):
        shape, split = one.nodes[0].shape, self.joint.schedule.splits[one.nodes[0]]
        text, results, operands = kernel_text(one.nodes, one.results, shape, split, over(one, self.places))
        forms = ["full"] * len(results) + [form_of(x.shape, shape, split) for x in operands]
        places = [self.places[x] for x in (*results, *operands)]
        rows, columns = prod(shape[:split]), prod(shape[split:])
        if split < len(shape) - 1:                      # a row is several of those that places have
            if not all([place.in_order for place in places]):
                self._python(one)
                return
            strides = [0 if form == "full" and x.size < rows * columns else columns if form == "full" else 1
                       for form, x in zip(forms, (*results, *operands))]
        else:
            strides = [0 if place.rows == 1 and rows > 1 else place.stride for place in places]
        if rows > 1 and all([form == "scalar" or form == "full" and stride == columns for form, stride in zip(forms, strides)]):
            rows, columns = 1, rows * columns
        self._call(text, one.nodes[0].dtype, rows, columns, list(zip(places, strides)))

    def _call(self, text, dtype, rows, columns, operands):
        if 2 + 2 * len(operands) + self.arrays > PARAMETERS:
            raise GraphError(f"a kernel of {len(operands)} operands is too large")
        self.words += [CALL, machine.kernel(text, dtype), len(operands), rows, columns]
        for place, stride in operands:
            self.words += [*self._where(place), stride]

    def _reduce(self, one):
        node = one.nodes[0]
        x = node.operands[0]
        z = self.places[node]
        if library.is_by_channel(node):
            if not (self.places[x].in_order and z.in_order):
                self._python(one)
                return
            columns = prod(x.shape[2:])
            self._call(library.reduction(node), x.dtype, len(x), columns, [(z, 1), (self.places[x], columns), (z, x.shape[1])])
            return
        rows, columns = library.matrix_of(node)
        if columns != columns_of(x.shape) and not (self.places[x].in_order and z.in_order):
            self._python(one)
            return
        by_rows = node.ndim == x.ndim and node.shape[-1] != 1 or z.columns == 1 and z.rows > 1
        operands = [(z, z.stride if by_rows else 1)]
        operands += [(self.places[y], columns if y is x and columns != columns_of(x.shape) else self.places[y].stride)
                     for y in operands_of(node)]
        self._call(library.reduction(node), x.dtype, rows, columns, operands)

    def _look_up(self, one):
        node = one.nodes[0]
        if node.row in (products.TAKE, products.SPREAD):
            at, y = node.operands
            operands = [(place, place.stride) for place in (self.places[node], self.places[at], self.places[y])]
            text = library.TAKE if node.row is products.TAKE else library.SPREAD
            self._call(text, node.dtype, at.size, columns_of(node.shape), [*operands, (operands[0][0], len(node))])
            return
        at, x, y = node.operands
        places = [self.places[z] for z in (node, at, x, y)]
        collects = node.row is products.COLLECT
        length = x.shape[1] if collects else y.shape[0]
        self._call(library.COLLECT if collects else library.LOOK_UP, node.dtype, len(x), columns_of(node.shape),
                   [(place, place.stride) for place in places] + [(places[0], length)])
        right = (y.operands[0], True) if y.row is products.TURNED_WHERE else (y, False)
        self._gemm(node, (x, collects), right, len(node), length if not collects else len(x), self._where(places[1]))

    def _product(self, one):
        node = one.nodes[0]
        m, k = _as_matrix(node.operands[0].shape, left=True)
        self._gemm(node, *map(products.base_of, node.operands), m, k)

    def _gemm(self, node, left, right, m, k, skip=(-1, 0)):
        """A product by BLAS, of pairs (matrix, whether it is transposed), m x k the left one; left out if the word at `skip`
        is not 0."""
        (x, turned_x), (y, turned_y) = left, right
        px, py, pz = self.places[x], self.places[y], self.places[node]
        n = node.size // m
        strides = [1 if z.ndim == 1 and not on_left else place.stride for z, place, on_left in ((x, px, True), (y, py, False))]
        self.words += [PRODUCT_32 if node.dtype.itemsize == 4 else PRODUCT_64, TRANSPOSED if turned_x else PLAIN,
                       TRANSPOSED if turned_y else PLAIN, m, n, k]
        for place, stride in ((px, strides[0]), (py, strides[1]), (pz, pz.stride if node.ndim == 2 else n)):
            self.words += [*self._where(place), stride]
        self.words += [0, *skip]

    def _batch(self, one):
        node = one.nodes[0]
        views = []
        for z, view in zip((*node.operands, node), node.static):
            place = self.places[z]
            start, axes = strided(place.start, list(zip(z.shape, place.strides(z.shape))), view)
            views.append((place, start, axes))
        forms = [axes and batches.form_of(axes) for _, _, axes in views]
        around = batches.loops([axes for _, _, axes in views]) if all(forms) else [None] * 3
        if len(around) > 2:
            self._python(one)
            return
        (m, _), (n, _) = views[2][2][-2:]
        k, _ = views[0][2][-1]
        if forms[2][0] == TRANSPOSED:                   # the product of the transposes, the other way round
            views, m, n = [views[1], views[0], views[2]], n, m
            forms = [(PLAIN + TRANSPOSED - form, stride) for form, stride in (forms[1], forms[0], forms[2])]
            around = [(count, [steps[1], steps[0], steps[2]]) for count, steps in around]
        item = node.dtype.itemsize
        self.words += [BATCH_32 if item == 4 else BATCH_64, forms[0][0], forms[1][0], m, n, k]
        for (place, start, _), (_, stride) in zip(views, forms):
            self.words += [self._base(place), place.storage.offset + start * item, stride]
        around = [(1, [0] * 3)] * (2 - len(around)) + around
        self.words += [count for count, _ in around] + [step * item for _, steps in around for step in steps]

    def _join(self, one):
        for x, place in self.joint.layout.copies[one.nodes[0]]:
            self._copy(x, self.places[x], place)

    def _copy(self, node, of, to):
        item = node.dtype.itemsize
        rows, columns = to.rows, to.columns
        if of.rows == rows and of.in_order and to.in_order:
            rows, columns = 1, rows * columns
        self.words += [COPY, rows, columns * item, *self._where(of), of.stride * item, *self._where(to), to.stride * item]

    def _view(self, one):
        if one.nodes[0] in self.joint.layout.moved:
            self._python(one)

    def _python(self, one):
        """The rows of an instruction's nodes, run by Python."""
        nodes = sorted({*one.nodes, *[x for node in one.nodes for x in _conditions(node)]}, key=lambda node: node.serial)
        inside = set(nodes)
        read = {x: (self._base(self.places[x]), self.places[x]) for node in nodes for x in operands_of(node) if x not in inside}
        given = {x for x, (_, place) in read.items() if x.row is None and place.storage.owner == "input"}
        written = [(node, self._base(self.places[node]), self.places[node]) for node in nodes if node in self.places]

        def step(arrays):
            known = {x: arrays[k] if x in given else place.array(arrays[k], x.shape) for x, (k, place) in read.items()}
            with np.errstate(all="ignore"):
                for node in nodes:
                    known[node] = _computed(node, [known[x] if isinstance(x, Node) else x for x in node.operands])
            for node, k, place in written:
                place.array(arrays[k], node.shape)[...] = known[node]

        self.steps[len(self.words)] = step
        self.words.append(STOP)


def _computed(node, values):
    """The value of a node, by its row."""
    row = node.row
    if not isinstance(row, Derivative):
        return row.g(values, *node.static) if row.variadic else row.g(*values, *node.static)
    copies = [x.copy() if isinstance(x, np.ndarray) else x for x in values]     # a user's rule may write to them, or keep them
    c = row.rule()(F, *copies, *node.static)
    return 0 if c is None else fit(F, np.asarray(c), node.shape, node.dtype)


def _conditions(node):
    """The comparisons that a kernel would compute on the way to this node."""
    if not (is_elementwise(node) or is_condition(node)):
        return []
    return [y for x in operands_of(node) if is_condition(x) for y in (x, *_conditions(x))]


def _as_matrix(shape, left):
    return shape if len(shape) == 2 else (1, shape[0]) if left else (shape[0], 1)
