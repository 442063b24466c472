"""Rolling up: a part of a graph that repeats becomes one node, a loop (loop.py), however often it repeats.

A loop that a program has run, written out, is a list of nodes in which block k + 1 is block k again:

    letters    each node gets an integer for what it is, apart from which nodes it reads and which numbers: its row, the shapes
               and dtypes of its operands, its static arguments. A period p is a distance at which letters recur
    regions    blocks of p letters that recur. Their operands, as a matrix with a row per block, must be of one of these kinds,
               column by column:
                   inside     a node of the same block
                   carried    a node of the block before, or of one some blocks before; in the first block, anything
                   read       the same node or constant in every block
                   stepped    nodes from before the region, numbers or arrays, another one in every block
               An integer that indexes is allowed to differ from block to block, where it indexes what every block reads
    building   block 0 becomes the body. What the rest of the graph reads of the blocks are results of the loop

Time and memory are linear in the number of nodes, but for sorting letters: nearly all of it is done by NumPy on whole columns.
Periods are found by prefix doubling: Karp, Miller and Rosenberg, Rapid identification of repeated patterns (1972).
"""

import numpy as np

from tapegrad.compiler.loop import Loop
from tapegrad.graph.graph import Graph, reached
from tapegrad.primitives.node import Node, nodes
from tapegrad.primitives.registry import table

LEAST = 32                  # blocks of a region
FARTHEST = 4                # blocks back that a value is carried
MOSTLY = 0.8                # of the blocks read the same: then the others are not blocks of the region
WORTH = 0.05                # of a part of the list, saved by its regions: else no more are looked for in the gaps
ENOUGH = 0.95               # of a part of the list, saved by one period: no others are tried
RUNS = 256                  # of one period in which regions are looked for
INNER = 256                 # nodes of a body in which loops are looked for
LONG, BODY = 2500, 256      # see `rolled`
NEAR = 64                   # nodes: distances to operands that tell letters apart while a period is looked for
NUMBERS = int, float
STEPPED = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "where", "greater", "less", "greater_equal",
           "less_equal", "equal", "not_equal", "arctan2", "hypot"}      # rows that may have another number in every block


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
    listed = _List(graph)
    found = _regions(listed, max(2, least))
    rebuilt = _Rebuilt(listed, found, differentiated, len(graph.nodes) >= long, body) if found else None
    return rebuilt.graph if rebuilt and rebuilt.now else graph


class _List:
    """The nodes of a graph in arrays.

    letters    an integer per node
    refs       the operands of all nodes, one after another: the place of a node, or -1 - i for others[i]
    begins     per node, where its operands begin in refs
    others     inputs of the graph and constants
    indices    {place of a getitem: its integer}
    """

    def __init__(self, graph):
        self.graph, self.nodes = graph, graph.nodes
        self.others, self.indices = [*graph.inputs], {}
        place = {x: -1 - i for i, x in enumerate(graph.inputs)}
        kinds, kind_of, letters, constants = {}, {}, {}, {}
        kind_at = []                                    # of nodes, by place
        found, refs, begins = [], [], [0]
        for x in graph.inputs:
            kind_of[x] = kinds.setdefault((x.shape, x.dtype), len(kinds))
        for at, node in enumerate(self.nodes):
            static = node.static
            if static:
                static = self._static(node, at)
            key = [node.row, static]
            for x in node.operands:
                if type(x) is Node:
                    r = place[x]
                    key.append(kind_at[r] if r >= 0 else kind_of[x])
                else:
                    array = hasattr(x, "dtype")
                    name = id(x) if array else (type(x), x or repr(x)) if type(x) in NUMBERS else (type(x), repr(x))
                    r = constants.get(name)
                    if r is None:
                        self.others.append(x)
                        r = constants[name] = -len(self.others)
                    key.append(kinds.setdefault((x.shape, x.dtype), len(kinds)) if array else type(x))
                refs.append(r)
            begins.append(len(refs))
            key = tuple(key)
            letter = letters.get(key)
            if letter is None:
                letter = letters[key] = len(letters), kinds.setdefault((node.shape, node.dtype), len(kinds))
            found.append(letter[0])
            kind_at.append(letter[1])
            place[node] = at
        self.place, self.letters = place, np.array(found, np.intp)
        self.refs, self.begins = np.array(refs, np.intp), np.array(begins, np.intp)

    def _static(self, node, at):
        """Static arguments as a part of a letter; without the integer that indexes."""
        static = node.static
        if node.row is table["getitem"]:
            index, = static
            entries = index if type(index) is tuple else (index,)
            ints = [i for i in entries if type(i) is int]
            if ints and isinstance(node.operands[0], Node) and not any(isinstance(i, (np.ndarray, bool)) for i in entries):
                axis = next(i for i, entry in enumerate(entries) if type(entry) is int)
                if all(isinstance(i, slice) for i in entries[:axis]) and len(ints) == 1:
                    n = node.operands[0].shape[axis]
                    self.indices[at] = ints[0] + n if ints[0] < 0 else ints[0]
                    return "an integer at", axis, repr([i for i in entries if type(i) is not int])
        return _key(static)

    def owners(self, start, stop):
        """Per operand of the nodes from start to stop, the place of its node."""
        return np.repeat(np.arange(start, stop), np.diff(self.begins[start:stop + 1]))


def _key(x):
    """What tells static arguments apart, hashable."""
    if isinstance(x, (tuple, list)):
        return type(x), *map(_key, x)
    if isinstance(x, slice):
        return slice, _key((x.start, x.stop, x.step))
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype, x.tobytes() if x.dtype != object else id(x)
    if type(x) in NUMBERS:
        return type(x), x or repr(x)                    # zeros have signs
    return (type(x), x) if getattr(type(x), "__hash__", None) else id(x)


# Periods


def _regions(listed, least):
    """The regions of a list, which don't overlap, in order."""
    found, waiting = [], [(0, len(listed.nodes))]
    while waiting:
        start, stop = waiting.pop()
        if stop - start < 2 * least:
            continue
        regions = _best(listed, start, stop, least)
        found += regions
        if sum([region.saved for region in regions]) > WORTH * (stop - start):
            ends = [start, *[place for region in regions for place in (region.start, region.stop)], stop]
            waiting += zip(ends[::2], ends[1::2])
    return sorted(found, key=lambda region: region.start)


def _best(listed, start, stop, least):
    """The regions between two places, of one period, that save most nodes."""
    letters, best, saved, tried = listed.letters[start:stop], [], 0, set()
    for candidates in _periods(listed, start, stop):
        for p in candidates:
            if p not in tried:
                tried.add(p)
                runs = _runs(letters, p, least)
                if sum([high - low - p for low, high in runs]) > saved:
                    regions = [_region(listed, start + low, start + high, p, least) for low, high in runs]
                    regions = _apart([region for region in regions if region is not None])
                    total = sum([region.saved for region in regions])
                    if total > saved:
                        best, saved = regions, total
        if saved > ENOUGH * (stop - start):
            break
    return best


def _apart(regions):
    """The regions in order, without those that overlap with the one before."""
    found = []
    for region in sorted(regions, key=lambda region: region.start):
        if not found or region.start >= found[-1].stop:
            found.append(region)
    return found


def _periods(listed, start, stop):
    """Lists of periods to be tried: distances at which sequences of 1, 2, 4, .. letters recur most often."""
    n, letters = stop - start, listed.letters[start:stop]
    flat = slice(listed.begins[start], listed.begins[stop])
    distance = listed.owners(start, stop) - listed.refs[flat]
    code = np.where((listed.refs[flat] >= 0) & (distance <= NEAR), distance, 0)
    ranks, length = letters, 1
    if len(code):
        begins = listed.begins[start:stop] - listed.begins[start]
        weighted = np.concatenate([code * (1 + 7919 * (np.arange(len(code)) - np.repeat(begins, np.diff(
            listed.begins[start:stop + 1])))), [0]])
        sums = np.add.reduceat(weighted, begins) * (np.diff(listed.begins[start:stop + 1]) > 0)
        ranks = np.unique(letters * 1_000_003 + sums, return_inverse=True)[1]
    while length < n:
        order = np.argsort(ranks, kind="stable")
        same = ranks[order][1:] == ranks[order][:-1]
        gaps = (order[1:] - order[:-1])[same]
        if not len(gaps):
            return
        often = np.bincount(gaps)
        yield [int(p) for p in np.argsort(-often, kind="stable")[:4] if often[p]]
        pairs = ranks[:-length] * (int(ranks.max()) + 1) + ranks[length:]
        if len(pairs) < 2:
            return
        ranks, length = np.unique(pairs, return_inverse=True)[1], 2 * length


def _runs(letters, p, least):
    """[(start, stop)] of the parts with period p and at least `least` blocks, the longest first."""
    if p >= len(letters):
        return []
    same = np.concatenate([[False], letters[p:] == letters[:-p], [False]])
    edges = np.flatnonzero(same[1:] != same[:-1])
    runs = [(int(low), int(high) + p) for low, high in zip(edges[::2], edges[1::2]) if high - low >= (least - 1) * p]
    return sorted(runs, key=lambda run: run[0] - run[1])[:RUNS]


# Regions


INSIDE, CARRIED, READ, STEPPED_KIND = range(4)


class _Region:
    """Blocks that repeat: `count` of `p` nodes, from the place `start`.

    owners   per column of the matrix of operands, the place of its node in the block
    kinds    per column
    back     per carried column, how many blocks
    refs     the matrix, a row per block
    """

    def __init__(self, start, p, count, owners, kinds, back, refs):
        self.start, self.p, self.count, self.stop = start, p, count, start + p * count
        self.owners, self.kinds, self.back, self.refs, self.saved = owners, kinds, back, refs, p * (count - 1)

    def crossing(self):
        """Per place in the block, how many values are alive across the boundary before it, in the steady state."""
        p, last = self.p, {}
        for column in np.flatnonzero(self.kinds <= CARRIED):
            defined = int(self.refs[-1, column] - self.start) % p
            used = int(self.owners[column]) + (int(self.back[column]) * p if self.kinds[column] == CARRIED else 0)
            last[defined] = max(last.get(defined, 0), used)
        change = np.zeros((FARTHEST + 2) * p + 1, np.intp)
        for defined, used in last.items():
            change[defined + 1] += 1
            change[used + 1] -= 1
        return np.cumsum(change)[:(FARTHEST + 2) * p].reshape(-1, p).sum(0)


def _region(listed, start, stop, p, least):
    """The region of a run of letters with period p, or None: with the boundary across which least is carried."""
    region = _matched(listed, start, stop, p, least)
    if region is None or region.count <= least:
        return region
    crossing = region.crossing()
    shift = int(np.argmin(crossing))
    if crossing[shift] < crossing[0]:
        moved = _matched(listed, region.start + shift, stop, p, least)
        region = moved if moved is not None and moved.count >= region.count - 1 else region
    return region


def _matched(listed, start, stop, p, least):
    """The longest region of whole blocks between two places in which all columns are of a kind, or None."""
    count = (stop - start) // p
    while count >= least:
        low, high = listed.begins[start], listed.begins[start + p]
        width = high - low
        refs = listed.refs[low:low + count * width].reshape(count, width)
        owners = listed.owners(start, start + p) - start
        blocks = start + p * np.arange(count)
        middle = max(1, count // 2)
        here, before = refs[middle], refs[middle - 1]
        relative = here - blocks[middle]
        back = np.where(here >= start, -(relative // p), 0)
        kinds = np.where((here >= 0) & (relative >= 0), INSIDE,
                         np.where(here == before, READ, np.where((here >= start) & (back <= FARTHEST), CARRIED, STEPPED_KIND)))
        ok = np.empty((count, width), bool)
        column_wise = np.flatnonzero((kinds >= READ) & (here < start))
        for column in column_wise:
            often = np.mean(refs[:, column] == here[column]) >= MOSTLY
            kinds[column] = READ if often else STEPPED_KIND
            if not often and not _may_step(listed, start + owners[column], refs[:, column]):
                return None
        moving, begin = kinds <= CARRIED, (kinds == CARRIED) & (back == 1)
        read, stepped = kinds == READ, kinds == STEPPED_KIND
        ok[:, moving] = refs[:, moving] - blocks[:, None] == relative[moving]
        ok[:, read] = (refs[:, read] == here[read]) & (blocks[:, None] > here[read])
        ok[:, stepped] = refs[:, stepped] < start
        _check_indices(listed, start, p, count, ok, owners, kinds)
        rows = ok.all(1)
        free = ok.copy()
        free[:, begin] = True                           # in the first block a carried value is whatever it begins with
        first = free.all(1) & (refs[:, begin] < blocks[:, None]).all(1)
        first &= _agreeing(refs, relative, begin, back, kinds, blocks, p)
        low = middle
        while low > 0 and rows[low]:
            low -= 1
        if not rows[low] and not first[low]:
            low += 1
        high = middle
        while high < count and (rows[high] or high == low and first[high]):
            high += 1
        if (low, high) == (0, count):
            kinds_back = np.where(kinds == CARRIED, back, 0)
            return _Region(start, p, count, owners, kinds, kinds_back, refs)
        if high <= low:
            return None
        start, count = start + low * p, high - low
    return None


def _may_step(listed, owner, refs):
    """Whether what an operand of a node is in the blocks may be different from block to block."""
    others, node = [listed.others[-1 - r] if r < 0 else None for r in refs.tolist()], listed.nodes[owner]
    if any(type(x) in NUMBERS for x in others):
        return node.row.name in STEPPED and _array_dtype(node) is not None
    return all(x is None or hasattr(x, "dtype") for x in others)


def _array_dtype(node):
    """The dtype of the operands that are neither numbers nor conditions, if it is one, and of floats."""
    found = {np.dtype(x.dtype) for x in node.operands if hasattr(x, "dtype") and x.dtype != bool}
    return found.pop() if len(found) == 1 and all(dtype.kind == "f" for dtype in found) else None


def _agreeing(refs, relative, begin, back, kinds, blocks, p):
    """Per block, whether, if it is the first, all columns that carry one value begin with one value."""
    fine = np.ones(len(refs), bool)
    columns = np.flatnonzero(begin)
    order = columns[np.argsort(relative[columns], kind="stable")]
    equal = relative[order][1:] == relative[order][:-1]
    if equal.any():
        fine &= (refs[:, order[1:][equal]] == refs[:, order[:-1][equal]]).all(1)
    farther = {int(relative[c]) % p for c in np.flatnonzero((kinds == CARRIED) & (back > 1))}
    for c in columns:
        if int(relative[c]) % p in farther:             # the value of two blocks before is also that of one before, once more
            fine &= refs[:, c] - blocks == relative[c]
    return fine


def _check_indices(listed, start, p, count, ok, owners, kinds):
    """Integers that index must be the same in all blocks, or index what every block reads."""
    for owner in [at - start for at in range(start, start + p) if at in listed.indices]:
        column = int(np.searchsorted(owners, owner))
        index = np.array([listed.indices[start + k * p + owner] for k in range(count)])
        if kinds[column] != READ:
            ok[:, column] &= index == index[count // 2]


# Building


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
                longer = _matched(self.listed, region.start, region.stop, region.p * more, 2)
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
            return np.array(values, _array_dtype(user))
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
