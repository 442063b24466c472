"""Rolling up: a part of a graph that repeats becomes one node, a loop (loop.py), however often it repeats.

Block 0 of a region (repeats.py) becomes the body of the loop; what the blocks carry, read and step through are its operands,
and what the rest of the graph reads of the blocks are its results.
"""

import numpy as np

from tapegrad.compiler.loop import Loop
from tapegrad.compiler.repeats import CARRIED, INSIDE, NUMBERS, READ, Listed, array_dtype, matched, regions_of
from tapegrad.graph.graph import Graph, reached
from tapegrad.primitives.node import Node, nodes
from tapegrad.primitives.registry import table

LEAST = 32                  # blocks of a region
INNER = 256                 # nodes of a body in which loops are looked for
LONG, BODY = 2500, 256      # see `rolled`


def rolled(graph, least=LEAST, differentiated=True, long=LONG, body=BODY):
    """The graph, with what repeats in loops; the same graph if nothing does.

    least            the number of repetitions from which on a part becomes a loop
    differentiated   whether the loops keep what their derivative reads
    long             the number of nodes of a graph from which on loops that are not of few numbers are rolled up, too: before
                     that, it is faster to run them as they are
    body             the number of nodes that the body of such a loop has at least; it may be several steps
    """
    if len(graph.nodes) < 2 * least:
        return graph
    listed = Listed(graph)
    found = regions_of(listed, max(2, least))
    rebuilt = _Rebuilt(listed, found, differentiated, len(graph.nodes) >= long, body) if found else None
    return rebuilt.graph if rebuilt and rebuilt.now else graph


class _Rebuilt:
    """A graph with loops in place of regions.

    now     {place of a node: its node}, as far as it is not the one that it was
    stacks  {place of a node of a region: (function that returns the node of its values in all steps, the step)}
    """

    def __init__(self, listed, regions, differentiated, always, least):
        self.listed, self.differentiated, self.always, self.least = listed, differentiated, always, least
        self.now, self.stacks = {}, {}
        graph, at = listed.graph, 0
        self.outputs = [listed.place[x] for x in graph.outputs]
        for region in regions:
            for place in range(at, region.start):
                self._copy(place)
            at = self._roll(region)
        for place in range(at, len(listed.nodes)):
            self._copy(place)
        outputs = [self.node(r) for r in self.outputs]
        kept = {*reached(outputs), *graph.inputs}
        names = {}
        for x, name in graph.names.items():
            r = listed.place[x]
            if r not in self.stacks and (node := self.node(r)) in kept:
                names[node] = name
        self.graph = Graph(graph.inputs, outputs, names)

    def node(self, r):
        """What is now in the place of an operand."""
        if r < 0:
            return self.listed.others[-1 - r]
        node = self.now.get(r)
        if node is None and r in self.stacks:
            stack, k = self.stacks[r]
            node = self.now[r] = nodes.getitem(stack(), k)
        return self.listed.nodes[r] if node is None else node

    def _copy(self, place):
        listed = self.listed
        refs = listed.refs[listed.begins[place]:listed.begins[place + 1]].tolist()
        if not any([r in self.now or r in self.stacks for r in refs]):
            return
        node = listed.nodes[place]
        joined = self._joined(node, refs) if node.row in (table["stack"], table["concatenate"]) else None
        if joined is None:
            joined = Node(node.row, tuple([self.node(r) for r in refs]), node.static, node.shape, node.dtype)
        self.now[place] = joined

    def _joined(self, node, refs):
        """A stack, or a concatenation, in which the values of consecutive steps are taken at once; None if there are none."""
        axis, stacked, parts, at = node.static[0], node.row.name == "stack", [], 0
        while at < len(refs):
            stop = self._consecutive(refs, at)
            x = self._steps(refs[at:stop]) if stop - at > 1 else self.node(refs[at])
            if stop - at > 1:
                x = nodes.transpose(x, (*range(1, axis + 1), 0, *range(axis + 1, x.ndim))) if axis else x
                if not stacked:
                    x = nodes.reshape(x, (*x.shape[:axis], -1, *x.shape[axis + 2:]))
            elif stacked:
                x = nodes.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))
            parts.append(x)
            at = stop
        if len(parts) == len(refs):
            return None
        return parts[0] if len(parts) == 1 else nodes.concatenate(parts, axis)

    def _consecutive(self, refs, at):
        """The end of the operands from `at` on that are the values of consecutive steps, up or down."""
        begin, stop = self.stacks.get(refs[at]), at + 1
        if begin is None or stop == len(refs):
            return stop
        stack, k = begin
        step = (self.stacks.get(refs[stop]) or (None, k))[1] - k
        while abs(step) == 1 and stop < len(refs) and self.stacks.get(refs[stop]) == (stack, k + (stop - at) * step):
            stop += 1
        return stop

    def _steps(self, refs):
        """The values of consecutive steps in a row."""
        (stack, first), (_, last) = self.stacks[refs[0]], self.stacks[refs[-1]]
        z, step = stack(), 1 if last > first else -1
        if (first, last) == (0, len(z) - 1):
            return z
        stop = last + step
        return nodes.getitem(z, slice(first, stop if stop >= 0 else None, step if step < 0 else None))

    def _roll(self, region):
        """Put a loop in the place of a region; or of several of its blocks; or leave it as it is."""
        made = self._made(region)
        if made is not None and made[-1] is not None and made[-1].source is None:
            more = -(-self.least // region.p)
            if not self.always or region.count < 2 * more:
                made = None
            elif more > 1:
                longer = matched(self.listed, region.start, region.stop, region.p * more, 2)
                made = self._made(longer) if longer is not None else made
        if made is None:
            for place in range(region.start, region.stop):
                self._copy(place)
            return region.stop
        for place in range(region.start, made[0].start):
            self._copy(place)
        self._results(*made)
        return made[0].stop

    def _made(self, region):
        """(the region, what is wanted of it, its body, results by place, the Loop or None); None if there can be no loop."""
        wanted = self._wanted(region)
        if any([self.listed.nodes[region.start + j].dtype.kind not in "fc" for j in wanted]):
            return None
        body = _Body(self, region)
        loop, results = body.loop(wanted)
        if loop is not None and self.differentiated:
            try:
                loop = loop.reading_carried()
            except Exception:                           # a user's derivative is one of arrays, not of nodes
                return None
        return region, wanted, body, results, loop

    def _results(self, region, wanted, body, results, loop):
        """Note where the values are that the rest of the graph reads."""
        z = loop and loop.of([x for _, x in body.operands()])
        for j, ks in wanted.items():
            last = None
            if (j, 1) in body.inits:
                place = [*body.inits].index((j, 1))
                last = _once(lambda i=place: loop.part(nodes, z, i))
                if ks[-1] == region.count - 1:
                    self.now[region.start + ks[-1] * region.p + j] = last()
                if ks == [region.count - 1]:
                    continue
            stack = _once(lambda j=j: body.passed[j] if j in body.passed else loop.part(nodes, z, results[j]))
            stack = stack if last is None else _ends(stack, last)
            for k in ks:
                self.stacks[region.start + k * region.p + j] = stack, k

    def _wanted(self, region):
        """{place in the block: the steps whose value the rest of the graph reads}"""
        refs, begins = self.listed.refs, self.listed.begins
        later = np.concatenate([refs[begins[region.stop]:], np.array(self.outputs, np.intp)])
        found = {}
        for r in np.unique(later[(later >= region.start) & (later < region.stop)]).tolist():
            k, j = divmod(r - region.start, region.p)
            found.setdefault(j, []).append(k)
        return found


class _Body:
    """The body of a region, with the operands that it gets. Each group is {key: (input of the body, operand of the loop)}.

    now      {place in the block: its node}
    inits    by (place in the block, how many blocks it is carried)
    reads    what every step reads
    rows     what has a row per step
    passed   {place in the block: what the blocks take of an operand that they all read, in a row}
    """

    def __init__(self, rebuilt, region):
        self.rebuilt, self.region, self.listed = rebuilt, region, rebuilt.listed
        self.now, self.inits, self.reads, self.rows, self.passed, column = {}, {}, {}, {}, {}, 0
        for j in range(region.p):
            old = self.listed.nodes[region.start + j]
            columns = range(column, column + len(old.operands))
            column = columns.stop
            index = self._stepping(j)
            if index is not None:
                x = self.passed[j] = _taken(rebuilt.node(int(region.refs[0, columns.start])), old.static[0], index)
                self.now[j] = _entered(self.rows, ("index", j), old, x)
            else:
                operands = tuple([self._operand(c, old) for c in columns])
                self.now[j] = Node(old.row, operands, old.static, old.shape, old.dtype)

    def loop(self, wanted):
        """(the Loop, {place in the block: the result with its value in all steps}), for the values that are wanted outside.

        The Loop is None if these are rows of what there is.
        """
        count, results = self.region.count, {}
        outputs = [self.now[j] if q == 1 else self.inits[j, q - 1][0] for j, q in self.inits]
        for j, ks in wanted.items():
            if j not in self.passed and ((j, 1) not in self.inits or ks != [count - 1]):
                results[j] = len(outputs)
                outputs.append(self.inits[j, 1][0] if (j, 1) in self.inits else self.now[j])
        if not outputs:
            return None, {}
        inner = Graph([x for x, _ in self.operands()], outputs)
        if self.region.p > INNER:
            inner = rolled(inner, differentiated=self.rebuilt.differentiated)
        return Loop(inner, len(self.inits), len(self.rows), count), results

    def operands(self):
        """[(input of the body, operand of the loop)]"""
        return [pair for group in (self.inits, self.reads, self.rows) for pair in group.values()]

    def _stepping(self, j):
        """The integers by which the getitem at j takes what it takes in the blocks; None if it takes the same, or is none."""
        indices, at = self.listed.indices, self.region.start + j
        if at not in indices:
            return None
        found = [indices[at + k * self.region.p] for k in range(self.region.count)]
        return found if any([i != found[0] for i in found]) else None

    def _operand(self, column, user):
        region, node = self.region, self.rebuilt.node
        kind, refs = region.kinds[column], region.refs[:, column]
        if kind == INSIDE:
            return self.now[int(refs[0]) - region.start]
        if kind == CARRIED:
            back, j = int(region.back[column]), int(refs[-1] - region.start) % region.p
            for q in range(1, back + 1):                # what is carried for q steps has been for q - 1 in the step before
                begin = int(refs[0]) if back == 1 else region.start - q * region.p + j
                x = _entered(self.inits, (j, q), self.listed.nodes[region.start + j], node(begin))
            return x
        if kind == READ:
            x = node(int(refs[0]))
            return _entered(self.reads, int(refs[0]), x, x) if hasattr(x, "dtype") else x
        key = refs.tobytes()
        if key not in self.rows:
            x = self._row(refs.tolist(), user)
            self.rows[key] = Node(None, (), (), x.shape[1:], x.dtype), x
        return self.rows[key][0]

    def _row(self, refs, user):
        """Values that differ from block to block, in a row."""
        rebuilt = self.rebuilt
        values = [self.listed.others[-1 - r] if r < 0 else None for r in refs]
        if type(values[0]) in NUMBERS:
            return np.array(values, array_dtype(user))
        if all([isinstance(x, np.ndarray) for x in values]):
            return np.stack(values)
        if rebuilt._consecutive(refs, 0) == len(refs) > 1:
            return rebuilt._steps(refs)
        return nodes.stack([rebuilt.node(r) for r in refs], 0)


def _entered(group, key, kind, operand):
    """The input of a body for an operand of the loop, of the shape and dtype of `kind`."""
    if key not in group:
        group[key] = Node(None, (), (), kind.shape, kind.dtype), operand
    return group[key][0]


def _once(make):
    """A function that returns what `make` returns at its first call."""
    made = []

    def value():
        if not made:
            made.append(make())
        return made[0]

    return value


def _ends(begins, last):
    """What a carried value is after each step, from what it is before each, and after the last."""
    return _once(lambda: nodes.concatenate([nodes.getitem(begins(), slice(1, None)),
                                            nodes.reshape(last(), (1, *last().shape))], 0))


def _taken(x, index, steps):
    """What x[index], with the integers `steps` in place of the one in it, takes of x, in a row."""
    entries = index if type(index) is tuple else (index,)
    axis = next(i for i, entry in enumerate(entries) if type(entry) is int)
    stride = steps[1] - steps[0]
    if stride and steps == list(range(steps[0], steps[0] + stride * len(steps), stride)):
        stop = steps[-1] + (1 if stride > 0 else -1)
        taken = slice(steps[0], stop if stop >= 0 else None, stride)
        if (stride, steps[0], len(steps), len(entries)) == (1, 0, x.shape[axis], 1):
            return x
    else:
        taken = np.array(steps)
    z = nodes.getitem(x, taken if len(entries) == 1 else (*entries[:axis], taken, *entries[axis + 1:]))
    return nodes.transpose(z, (axis, *[i for i in range(z.ndim) if i != axis])) if axis else z
