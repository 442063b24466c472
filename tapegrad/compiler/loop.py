"""Loops as one node: a body, which is a graph, run again and again on the values that the step before has left.

    carried = operands[:carries]
    for k in range(count):                              # count - 1 down to 0 if `backward`
        *carried, z1[k], z2[k], .. = body(*carried, *operands that every step reads, *[x[k] for x with a row per step])
    the result: the last carried values, z1, z2, .., each in a row, one after another in one vector

`part` takes a result out of the vector, by rows of the registry; so a loop is an ordinary node, with one shape and dtype, for
everything that walks graphs.

The derivative is a loop, too, over the derivative of the body (graph/reverse.py), which runs the other way:

    the delta of a carried value     is carried backwards
    the delta of an operand that every step reads      is accumulated; it starts with what the rest of the graph has contributed
    the delta of an operand with a row per step        is a result with a row per step

The body is evaluated again in a step of it, from what was carried into that step, which the loop has among its results. The
order in which the deltas are added is that of the steps written out, and so are the bits. As the derivative is a loop, it has
a derivative itself. Source: Griewank and Walther, Evaluating Derivatives (2008), chapters 3 and 12.
"""

from functools import cached_property
from itertools import accumulate, chain
from math import prod

import numpy as np

from tapegrad.compiler import scalars
from tapegrad.compiler.program import program_of
from tapegrad.graph.graph import Graph, reached
from tapegrad.graph.reverse import ADD_AT, Derivative, Reverse, delta_dtype, needed
from tapegrad.graph.run import Ready
from tapegrad.primitives import Primitive
from tapegrad.primitives.node import Node, nodes

FEWEST = 2000               # nodes that all steps run: fewer are run one by one


class Loop(Primitive):
    """The row of a loop. Its rules are `together`, for graphs.

    body       a Graph: (carried values, what every step reads, one row of what has a row per step) -> (the new carried
               values, results with a row per step)
    carries    the number of carried values
    rows       the number of operands with a row per step, the last of the body's inputs
    count      the number of steps
    backward   whether the last step comes first
    """

    variadic = elementwise = view = has_no_derivative = False       # what all loops have in common, in the class
    name, exact, complex, doc, lifted, plans = "loop", "", None, None, None, None
    dg = array_dg = accumulate = reads = static_names = ()

    def __init__(self, body, carries, rows, count, backward=False):
        self.body, self.carries, self.rows, self.count, self.backward = body, carries, rows, count, backward
        self.arity = len(body.inputs)
        self.shapes = [z.shape if i < carries else (count, *z.shape) for i, z in enumerate(body.outputs)]
        self.operand_shapes = [x.shape if i < self.arity - rows else (count, *x.shape) for i, x in enumerate(body.inputs)]
        self.dtypes = [z.dtype for z in body.outputs]
        kinds = {dtype.kind for dtype in self.dtypes}
        if not kinds <= {"f", "c"}:
            raise TypeError(f"loop: results of {', '.join(sorted({str(dtype) for dtype in self.dtypes}))}: expected floats")
        self.dtype = np.result_type(*self.dtypes)
        ends = [0, *accumulate(map(prod, self.shapes))]
        self.places = [slice(start, stop) for start, stop in zip(ends, ends[1:])]
        self.size = ends[-1]

    def __str__(self):
        """The loop as a program: c1, .. are carried, x1, .. the other operands, y1, .. results with a row per step."""
        first, carried, new = self.arity - self.rows, self.body.inputs[:self.carries], self.body.outputs[:self.carries]
        names = {x: f"c{i + 1}" if i < self.carries else f"x{i + 1 - self.carries}" + "[k]" * (i >= first)
                 for i, x in enumerate(self.body.inputs)}
        names |= {z: f"z{i}" for i, z in enumerate(self.body.nodes, start=1)}
        stacks = {f"y{i}": names[z] for i, z in enumerate(self.body.outputs[self.carries:], start=1)}
        lines = str(Graph(self.body.inputs, self.body.outputs, names)).splitlines()
        lines += [f"{y}[k] = {z}" for y, z in stacks.items()]
        lines += [f"{', '.join([names[x] for x in carried])} = {', '.join([names[z] for z in new])}"] * bool(new)
        steps = f"reversed(range({self.count}))" if self.backward else f"range({self.count})"
        return "\n    ".join([f"for k in {steps}:", *lines]) + f"\nreturn {', '.join([*[names[x] for x in carried], *stacks])}"

    def of(self, operands):
        """The node of this loop."""
        return Node(self, tuple(operands), (), *self.kind(operands))

    def kind(self, operands):
        """(shape, dtype) of the node. Raises TypeError for operands that the body does not take."""
        for i, (x, y, wanted) in enumerate(zip(operands, self.body.inputs, self.operand_shapes, strict=True)):
            if (x.shape, x.dtype) != (wanted, y.dtype):
                raise TypeError(f"loop: expected {y.dtype} {wanted} as operand {i}, got {x.dtype} {x.shape}")
        return (self.size,), self.dtype

    def part(self, F, z, i):
        """Result i, taken out of the vector z."""
        x = F.getitem(z, self.places[i])
        if self.shapes[i] != x.shape:
            x = F.reshape(x, self.shapes[i])
        return _cast(F, x, self.dtypes[i])

    @cached_property
    def source(self):
        """(the text of a kernel, its constants), if the loop is one of machine numbers; or None."""
        return scalars.source(self)

    @cached_property
    def kernel(self):
        """The compiled loop (scalars.Kernel); None if there is none."""
        return scalars.kernel(self)

    def g(self, *operands):
        z = np.empty(self.size, self.dtype)
        if any([x is None for x in operands]):          # a delta that nothing has contributed to
            operands = [np.zeros(shape, y.dtype) if x is None else x
                        for x, shape, y in zip(operands, self.operand_shapes, self.body.inputs)]
        if self.kernel is not None:
            self.kernel(operands, z)
        else:
            self._by_steps(operands, z)
        return z

    plain = g

    @cached_property
    def step(self):
        """The body as a function of a list of arrays."""
        if len(self.body.nodes) * self.count < FEWEST or any([isinstance(node.row, Loop) for node in self.body.nodes]):
            return Ready(self.body.inputs, self.body.outputs).run
        program = program_of(self.body.inputs, self.body.outputs, ())
        return lambda values: program.forward(values)[0]

    def _by_steps(self, operands, z):
        first = self.arity - self.rows
        carried, read, rows = operands[:self.carries], operands[self.carries:first], operands[first:]
        results = [z[place].reshape(shape) for place, shape in zip(self.places, self.shapes)]
        with np.errstate(all="ignore"):                 # as in a sweep, and in a kernel
            for k in reversed(range(self.count)) if self.backward else range(self.count):
                values = self.step([*carried, *read, *[x[k, ...] for x in rows]])
                carried = values[:self.carries]
                for stack, value in zip(results[self.carries:], values[self.carries:]):
                    stack[k] = value
        for last, value in zip(results, carried):
            last[...] = value

    def reading_carried(self):
        """This loop, with every carried value that its derivative reads among the results."""
        inputs = [x for x in self.body.inputs if x.dtype.kind in "fc"]
        seeds = {z: Node(None, (), (), z.shape, z.dtype) for z in self.body.outputs}
        read = _read(Reverse(self.body, inputs, seeds, zeros=True).deltas.values())
        return self._with_starts([x for x in self.body.inputs[:self.carries] if x in read])

    def _with_starts(self, carried):
        there = set(self.body.outputs[self.carries:])
        missing = [x for x in carried if x not in there]
        if not missing:
            return self
        body = Graph(self.body.inputs, [*self.body.outputs, *missing], self.body.names)
        return Loop(body, self.carries, self.rows, self.count, self.backward)

    def together(self, z, d, wanted, held):
        """The contributions of the node z of this loop, with delta d: [(operand, delta, whether what was held is in it)].

        wanted   the nodes that need their delta
        held     {node: its delta so far}
        """
        given = self._given(d)
        places = tuple([i for i, y in enumerate(z.operands) if isinstance(y, Node) and y in wanted])
        reverse = _Reversed(self, tuple(sorted(given)), places)
        if not reverse.found:
            return []
        loop, found, taken = reverse.loop, [], set()
        starts = [given[i] if i in given else np.zeros(x.shape, delta_dtype(x.dtype)) for i, x in reverse.carried]
        for i in reverse.summed:
            y = z.operands[i]
            starts.append(held[y] if y in held and y not in taken else np.zeros(y.shape, delta_dtype(y.dtype)))
            taken.add(y)
        full = self._with_starts(reverse.starts)
        source = z if full is self else full.of(z.operands)
        results = {x: i for i, x in enumerate(full.body.outputs) if i >= full.carries}
        stacks = [full.part(nodes, source, results[x]) for x in reverse.starts]
        back = loop.of([*starts, *[z.operands[i] for i in reverse.read], *stacks, *[z.operands[i] for i in reverse.rows],
                        *[given[i] for i in reverse.given]])
        for i, place in reverse.found:
            y, total = z.operands[i], i in reverse.summed and z.operands[i] in taken and z.operands[i] in held
            taken.discard(y)
            found.append((y, loop.part(nodes, back, place), total))
        return found

    def _given(self, d):
        """{result: its delta}, from the delta of the vector: a sum of what was added at the places of results."""
        places = {(place.start, place.stop): i for i, place in enumerate(self.places)}
        found, waiting = {}, [(d, None)]
        while waiting:
            x, index = waiting.pop()
            if index is not None:
                i = places[index.start, index.stop]
                c = _cast(nodes, _reshaped(x, self.shapes[i]), self.dtypes[i])
                found[i] = found[i] + c if i in found else c
                continue
            terms = _terms(x)
            if terms is None or any(index is not None and (type(index) is not slice or (index.start, index.stop) not in places)
                                    for _, index in terms):
                return {i: _cast(nodes, _reshaped(d[place], self.shapes[i]), self.dtypes[i])
                        for i, place in enumerate(self.places)}
            waiting += terms[::-1]
        return found


def _terms(d):
    """[(term, index at which it is added, or None)] of the delta of a vector, the first to be added first; None if unknown."""
    row = d.row
    if row is ADD_AT:
        return [(d.operands[0], None), (d.operands[1], *d.static)]
    if type(row) is Derivative and row.row.name == "getitem":
        return [(d.operands[0], *d.static)]
    if row is not None and row.name == "scatter":
        return [(d.operands[0], d.static[0])]
    if row is not None and row.name == "add" and all([isinstance(x, Node) and x.shape == d.shape for x in d.operands]):
        return [(x, None) for x in d.operands]
    return None


def _reshaped(x, shape):
    if x.row is not None and x.row.name == "reshape" and x.operands[0].shape == shape:
        return x.operands[0]
    return x if x.shape == shape else nodes.reshape(x, shape)


def _cast(F, x, dtype):
    if x.dtype == dtype:
        return x
    x = F.real(x) if x.dtype.kind == "c" != dtype.kind else x
    return x if x.dtype == dtype else F.astype(x, dtype)


def _read(outputs):
    """The inputs that nodes depend on."""
    order = reached(outputs)
    return {x for x in order if x.row is None}


class _Reversed:
    """The derivative of a loop by the operands at `wanted`, where the results in `given` have a delta.

    loop      its Loop; the body's inputs are, in this order,
    carried   [(carried value, its node)] whose deltas are carried backwards
    summed    operands whose deltas are accumulated
    read      operands that every step reads
    starts    inputs of the body: carried values that it reads
    rows      operands with a row per step that it reads
    given     results with a row per step whose deltas it reads
    found     [(operand, the result of `loop` that is its delta)]
    """

    def __init__(self, loop, given, wanted):
        body, carries, first = loop.body, loop.carries, loop.arity - loop.rows
        inputs, outputs = body.inputs, body.outputs
        through = self._through(loop, wanted)
        wrt = [inputs[i] for i in sorted(through)]
        summed = [i for i in wanted if carries <= i < first]
        sums = {i: _like(inputs[i]) for i in summed}
        self.given = [i for i in given if i >= carries]
        stacks = {i: _like(outputs[i]) for i in self.given}
        carried, known = None, {i for i in given if i in through and i < carries}
        while carried is None or len(known) > len(carried):     # a delta may reach further carried values, a step before
            carried = {i: _like(outputs[i]) for i in sorted(known)}
            seeds = {inputs[i]: d for i, d in sums.items()}
            for i, d in chain(stacks.items(), carried.items()):
                seeds[outputs[i]] = seeds[outputs[i]] + d if outputs[i] in seeds else d
            deltas = Reverse(body, wrt, seeds, zeros=True).deltas
            known |= {i for i in range(carries) if i in through and inputs[i] in deltas}
        if not known and not self.given:
            self.found = []
            return
        self.carried = [(i, inputs[i]) for i in carried]
        self.summed = [i for i in summed if deltas[inputs[i]] is not sums[i]]
        stacked = [i for i in wanted if i >= first and inputs[i] in deltas]
        results = [deltas[inputs[i]] if inputs[i] in deltas else nodes.zeros_like(d) for i, d in carried.items()]
        results += [deltas[inputs[i]] for i in (*self.summed, *stacked)]
        places = [*carried, *self.summed, *stacked]
        found = [(i, place) for place, i in enumerate(places) if i in wanted]
        self.found = sorted(found, key=lambda pair: pair[0] not in self.summed)     # a sum includes what was held: it is first
        used = _read(results)
        self.read = [i for i in range(carries, first) if inputs[i] in used]
        self.starts = [x for x in inputs[:carries] if x in used]
        self.rows = [i for i in range(first, loop.arity) if inputs[i] in used]
        self.given = [i for i in self.given if stacks[i] in used]
        rows = [*self.starts, *[inputs[i] for i in self.rows], *[stacks[i] for i in self.given]]
        begin = [*carried.values(), *[sums[i] for i in self.summed], *[inputs[i] for i in self.read]]
        self.loop = None
        if self.found:
            count = len(carried) + len(self.summed)
            self.loop = Loop(Graph([*begin, *rows], results), count, len(rows), loop.count, not loop.backward)

    def _through(self, loop, wanted):
        """The inputs through which a delta can reach the wanted ones: these, and carried values that depend on them."""
        found, before = set(wanted), None
        while found != before:
            before = set(found)
            reach = needed(loop.body.nodes, [loop.body.inputs[i] for i in found])
            found |= {i for i in range(loop.carries) if loop.body.outputs[i] in reach}
        return found


def _like(x):
    return Node(None, (), (), x.shape, delta_dtype(x.dtype))
