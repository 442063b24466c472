"""Finding what repeats: the parts of a graph that a loop has written, and that rolling.py puts into one node.

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

Time and memory are linear in the number of nodes, but for sorting letters: nearly all of it is done by NumPy on whole columns.
Periods are found by prefix doubling: Karp, Miller and Rosenberg, Rapid identification of repeated patterns (1972).
"""

import numpy as np

from tapegrad.primitives.node import Node
from tapegrad.primitives.registry import table

FARTHEST = 4                # blocks back that a value is carried
MOSTLY = 0.8                # of the blocks read the same: then the others are not blocks of the region
WORTH = 0.05                # of a part of the list, saved by its regions: else no more are looked for in the gaps
ENOUGH = 0.95               # of a part of the list, saved by one period: no others are tried
RUNS = 256                  # of one period in which regions are looked for
NEAR = 64                   # nodes: distances to operands that tell letters apart while a period is looked for
NUMBERS = int, float
MAY_STEP = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "where", "greater", "less", "greater_equal",
            "less_equal", "equal", "not_equal", "arctan2", "hypot"}     # rows that may have another number in every block
INSIDE, CARRIED, READ, STEPPED = range(4)


class Listed:
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


def regions_of(listed, least):
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


class Region:
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
    region = matched(listed, start, stop, p, least)
    if region is None or region.count <= least:
        return region
    crossing = region.crossing()
    shift = int(np.argmin(crossing))
    if crossing[shift] < crossing[0]:
        moved = matched(listed, region.start + shift, stop, p, least)
        region = moved if moved is not None and moved.count >= region.count - 1 else region
    return region


def matched(listed, start, stop, p, least):
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
                         np.where(here == before, READ, np.where((here >= start) & (back <= FARTHEST), CARRIED, STEPPED)))
        ok = np.empty((count, width), bool)
        column_wise = np.flatnonzero((kinds >= READ) & (here < start))
        for column in column_wise:
            often = np.mean(refs[:, column] == here[column]) >= MOSTLY
            kinds[column] = READ if often else STEPPED
            if not often and not _may_step(listed, start + owners[column], refs[:, column]):
                return None
        moving, begin = kinds <= CARRIED, (kinds == CARRIED) & (back == 1)
        read, stepped = kinds == READ, kinds == STEPPED
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
            return Region(start, p, count, owners, kinds, kinds_back, refs)
        if high <= low:
            return None
        start, count = start + low * p, high - low
    return None


def _may_step(listed, owner, refs):
    """Whether what an operand of a node is in the blocks may be different from block to block."""
    others, node = [listed.others[-1 - r] if r < 0 else None for r in refs.tolist()], listed.nodes[owner]
    if any(type(x) in NUMBERS for x in others):
        return node.row.name in MAY_STEP and array_dtype(node) is not None
    return all(x is None or hasattr(x, "dtype") for x in others)


def array_dtype(node):
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
