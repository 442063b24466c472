"""Passes that gather matrix products: fewer and larger ones run faster.

    sums        x1 @ y1 + x2 @ y2 + ..   ->  [x1 x2 ..] @ [y1; y2; ..]      the delta of a weight, summed over time steps
                sum_rows(x1) + ..        ->  sum_rows([x1; x2; ..])         the delta of a bias
    beside      x @ y1, x @ y2, ..       ->  x @ [y1 y2 ..]                 the gates of an LSTM
    stacked     x1 @ y, x2 @ y, ..       ->  [x1; x2; ..] @ y               what does not depend on the recurrence

The blocks are concatenated by nodes, which cost nothing where what makes a block can write it in its place (layout.py). For
that the same blocks have to be wanted in the same order everywhere. Sums are rounded in another order.
"""

from collections import Counter

import numpy as np

from tapegrad.compiler.rewriting import Group, mapped, regrouped, with_operands
from tapegrad.compiler.simplify import shared
from tapegrad.compiler.text import REAL
from tapegrad.graph.graph import operands_of, reached, uses_of
from tapegrad.kernels.limits import SPARSE
from tapegrad.primitives import Primitive, table
from tapegrad.primitives.node import Node, node_of, nodes


def gathered(graph, count=0, across_time=True):
    """All of the passes, in the order in which they help each other. What the first `count` outputs need is not gathered with
    what they don't: the rest runs later. Unless `across_time`, only what stands side by side is: the blocks of a sum, or of a
    product of many time steps, would have to be there at once."""
    graph = indexed(graph)
    for step in (sums, beside, stacked) if across_time else (beside,):
        graph = shared(step(graph, count))
    return counted(reversed_products(looked_up(turned(graph))))


def _early(graph, count):
    return set(reached(graph.outputs[:count], graph.inputs))


def _joined(parts, axis):
    """The parts, concatenated."""
    return parts[0] if len(parts) == 1 else node_of(table["concatenate"], tuple(parts), (axis,))


def _place(x):
    """Blocks are in the order of time, as a rule; what is given comes before what is computed, whenever its node was made."""
    return x.row is not None, x.serial


def _orders(graph, axis):
    """{set of blocks that stand side by side, or one below the other: their order}, which others are to keep."""
    return {frozenset(node.operands): node.operands for node in graph.nodes
            if node.row.name == "concatenate" and node.ndim == 2 and node.static == (axis,)
            and all([isinstance(x, Node) for x in node.operands])}


def _in_columns(orders):
    """The same for the blocks that stand side by side in those that stand one below the other."""
    found = {}
    for blocks in orders.values():
        rows = [x.operands for x in blocks if x.row is not None and x.row.name == "concatenate" and x.static == (1,)]
        if len(rows) == len(blocks) and len(set(map(len, rows))) == 1:
            found |= {frozenset(column): column for column in zip(*rows)}
    return found


def _blocks_of(x):
    return x.operands if x.row is not None and x.row.name == "concatenate" and x.static == (0,) and x.ndim == 2 else None


def base_of(x):
    """(the matrix, whether x is its transpose)"""
    turned = x.row is not None and x.row.name == "transpose" and x.ndim == 2 and x.static in ((None,), ((1, 0),))
    if turned and x.operands[0].dtype == x.dtype:       # not of another byte order
        return x.operands[0], True
    return x, False


def _turned(x, transposed):
    return nodes.transpose(x, None) if transposed else x


def _is_matmul(x):
    return (isinstance(x, Node) and x.row is not None and x.row.name == "matmul"
            and all([isinstance(y, Node) and y.ndim == 2 for y in x.operands]) and x.size > 0)


def by_blas(x):
    """Whether BLAS computes x: a product of matrices or vectors, not empty, of one dtype, float32 or float64."""
    return (isinstance(x, Node) and x.row is not None and x.row.name == "matmul" and x.dtype in REAL and x.size > 0
            and all([isinstance(y, Node) and y.dtype == x.dtype and 1 <= y.ndim <= 2 and y.size > 0 for y in x.operands]))


def _is_real(x):
    return by_blas(x) and _is_matmul(x)


def _is_product(x):
    """Whether x is a product of matrices, or rows taken by indices, which is a product with a one-hot matrix."""
    return _is_matmul(x) or isinstance(x, Node) and x.row in (TAKE, SPREAD)


def _factors(product):
    """Two pairs (matrix or indices, whether it is transposed)."""
    if product.row is TAKE or product.row is SPREAD:
        return (product.operands[0], product.row is SPREAD), (product.operands[1], False)
    return map(base_of, product.operands)


def _product(x, turned_x, y, turned_y, rows):
    """x @ y; with indices x, the rows y[x], or, transposed, a matrix of so many rows with y added at x."""
    if x.dtype.kind == "i":
        return node_of(SPREAD, (x, y), (rows,)) if turned_x else node_of(TAKE, (x, y))
    return nodes.matmul(_turned(x, turned_x), _turned(y, turned_y))


def _is_sum_of_rows(x):
    return isinstance(x, Node) and x.row is not None and x.row.name == "sum_rows" and isinstance(x.operands[0], Node)


# Sums

def sums(graph, count=0):
    """Products, and sums of rows, that are added up."""
    uses = uses_of(graph)
    inner = {x for node in graph.nodes if _adds(node) for x in node.operands if _adds(x) and uses[x] == 1}
    kept = {node for _, found in _alike_on_the_right(graph, count) for same in found.values() for node in same}
    terms = {node: _Terms(_flat(node, inner), uses, kept) for node in graph.nodes if _adds(node) and node not in inner}
    orders, tall = {frozenset(ys): ys for found in terms.values() for ys in found.right_operands()}, _orders(graph, 0)
    orders |= tall | _in_columns(tall)
    new = {}

    def change(node, operands):
        made = terms[node].sum(new, orders) if node in terms else None
        new[node] = with_operands(node, operands) if made is None else made
        return new[node]

    return mapped(graph, change)


def levels(graph):
    """{node: its distance from the inputs}, of the longest path."""
    level = dict.fromkeys(graph.inputs, 0)
    for node in graph.nodes:
        level[node] = 1 + max([level[x] for x in operands_of(node)], default=0)
    return level


def _adds(x):
    return (isinstance(x, Node) and x.row is not None and x.row.name == "add"
            and all([isinstance(y, Node) and y.shape == x.shape and y.dtype == x.dtype for y in x.operands]))


def _flat(root, inner):
    """What is added up, in the order in which it is added."""
    found, waiting = [], [root]
    while waiting:
        x = waiting.pop()
        if x is root or x in inner:
            waiting += x.operands[::-1]
        else:
            found.append(x)
    return found


class _Terms:
    """What is added up: products that are gathered, alike in which operands they transpose; rows that are summed; the rest.

    A product that `stacked` will gather, with those of other time steps, is among the rest.
    """

    def __init__(self, terms, uses, kept):
        alike, self.rows, self.rest = {}, [], []
        for x in terms:
            if uses[x] == 1 and _is_product(x) and x.row is not TAKE and x not in kept:
                (left, turned_x), (right, turned_y) = _factors(x)
                alike.setdefault((turned_x, turned_y, left.dtype, len(x)), []).append((x, left, right))
            elif uses[x] == 1 and _is_sum_of_rows(x):
                self.rows.append(x)
            else:
                self.rest.append(x)
        if len(self.rows) == 1:
            self.rest += self.rows
        self.rest += [found[0][0] for found in alike.values() if len(found) == 1]
        self.products = {key: sorted([pair[1:] for pair in found], key=lambda pair: _place(pair[not key[0]]))
                         for key, found in alike.items() if len(found) > 1}

    def right_operands(self):
        return [tuple([y for _, y in pairs]) for (turned_x, *_), pairs in self.products.items() if turned_x]

    def sum(self, new, orders):
        """The node, or None if there is nothing to gather."""
        if len(self.rows) < 2 and not self.products:
            return None
        total = [new.get(x, x) for x in self.rest]
        for (turned_x, turned_y, _, rows), pairs in self.products.items():
            if turned_x and (order := orders.get(frozenset([y for _, y in pairs]))):
                place = {y: i for i, y in enumerate(order)}
                pairs = sorted(pairs, key=lambda pair, place=place: place[pair[1]])
            x = _joined([new.get(x, x) for x, _ in pairs], 0 if turned_x else 1)
            y = _joined([new.get(y, y) for _, y in pairs], 1 if turned_y else 0)
            total.append(_product(x, turned_x, y, turned_y, rows))
        if len(self.rows) > 1:
            parts = [x.operands[0] for x in self.rows]
            parts = orders.get(frozenset(parts)) or sorted(parts, key=_place)
            total.append(nodes.sum_rows(_joined([new.get(x, x) for x in parts], 0)))
        return _added_up(total)


def _added_up(terms):
    total = terms[0]
    for x in terms[1:]:
        total = total + x
    return total


# Products with a common operand

def beside(graph, count=0):
    """Products with the same left operand, and sums of the rows of blocks that stand side by side."""
    orders, alike, early = _orders(graph, 1), {}, _early(graph, count)
    of = {block: blocks for blocks in orders for block in blocks}
    for node in graph.nodes:
        if _is_product(node):
            (x, turned_x), (y, turned_y) = _factors(node)
            alike.setdefault((x, turned_x, turned_y, len(node), node in early), {}).setdefault(y, []).append(node)
        elif _is_sum_of_rows(node) and (tall := _blocks_of(node.operands[0])):
            side_by_side = next((of[block] for block in tall if block in of), None)
            if side_by_side:                            # where the blocks are beside each other anyway
                key = None, len(tall), tall[0].shape, side_by_side, node in early
                alike.setdefault(key, {}).setdefault(node.operands[0], []).append(node)
    return regrouped(graph, [_beside(key, found, orders) for key, found in alike.items() if len(found) > 1])


def _beside(key, found, orders):
    """The group of x @ y for each y in `found`, {y: nodes}; or of sum_rows(y)."""
    x, turned_x, turned_y = key[:3]
    ys = _in_order(list(found), orders)

    def build(new):
        def at(y):
            return new.get(y, y)

        tall = [_blocks_of(y) for y in ys]
        if turned_y is True:
            joined = _joined(list(map(at, ys)), 0)
        elif all([blocks is not None and list(map(np.shape, blocks)) == list(map(np.shape, tall[0])) for blocks in tall]):
            joined = _joined([_joined(list(map(at, row)), 1) for row in zip(*tall)], 0)
        else:
            joined = _joined(list(map(at, ys)), 1)
        z = nodes.sum_rows(joined) if x is None else _product(at(x), turned_x, joined, turned_y is True, key[3])
        parts, start = {}, 0
        for y in ys:
            stop = start + y.shape[0 if turned_y is True else 1]
            parts |= dict.fromkeys(found[y], z[(slice(None),) * (z.ndim - 1) + (slice(start, stop),)])
            start = stop
        return parts

    return Group([node for y in ys for node in found[y]], [*([] if x is None else [x]), *ys], build)


def _in_order(ys, orders):
    """Matrices, or stacks of blocks, in the order in which they or their blocks stand side by side elsewhere."""
    for row in zip(*[_blocks_of(y) or (y,) for y in ys]):
        if found := orders.get(frozenset(row)):
            place = {block: i for i, block in enumerate(found)}
            return [y for _, y in sorted(zip([place[block] for block in row], ys), key=lambda pair: pair[0])]
    return sorted(ys, key=_place)


def stacked(graph, count=0):
    """Products with the same right operand whose left operands are equally far from the inputs: none needs another."""
    return regrouped(graph, [_stacked(*key, found) for key, found in _alike_on_the_right(graph, count)])


def _alike_on_the_right(graph, count):
    """[((y, whether it is transposed), {x: the products of x and y})]"""
    alike, level, early = {}, levels(graph), _early(graph, count)
    for node in graph.nodes:
        if _is_product(node):
            (x, turned_x), (y, turned_y) = _factors(node)
            if not turned_x:
                alike.setdefault((y, turned_y, level[x], node in early), {}).setdefault(x, []).append(node)
    return [(key[:2], found) for key, found in alike.items() if len(found) > 1]


def _stacked(y, turned_y, found):
    """The group of x @ y for each x in `found`, {x: nodes}."""
    xs = sorted(found, key=_place)

    def build(new):
        z, parts, start = _product(_joined([new.get(x, x) for x in xs], 0), False, new.get(y, y), turned_y, None), {}, 0
        for x in xs:
            parts |= dict.fromkeys(found[x], z[start:start + len(x)])
            start += len(x)
        return parts

    return Group([node for x in xs for node in found[x]], [y, *xs], build)


# How products are computed

def _counted(at, rows):
    if at.size and not -rows <= at.min() <= at.max() < rows:
        raise IndexError(f"getitem: an index is out of bounds for {rows} rows")
    return np.where(at < 0, at + rows, at)


def _positions(x):
    there, width = x != 0, words_of(x.shape[1])
    counts = np.count_nonzero(there, 1)
    at = np.zeros((len(x), width), np.int32)
    fits = bool(np.all(x[there] == 1) and np.all(counts < width))
    if fits:
        rows, columns = np.nonzero(there)
        at[:, 0] = counts
        at[rows, np.cumsum(there, 1)[rows, columns]] = columns
    return np.concatenate([[fits, 0], at.ravel()]).astype(np.int32)


def words_of(columns):
    """What the positions of a row take: their number, and one for each of the ones that it may have."""
    return 1 + min(ONES, columns // SPARSE)


# x.T in memory of its own, in order
TURNED = Primitive("turned", lambda x: np.ascontiguousarray(x.T), (None,))
# the same of an input, only where the positions say that its rows are looked up
TURNED_WHERE = Primitive("turned_where", lambda x, at: np.ascontiguousarray(x.T), (None, None))
# whether the rows of x have zeros and few ones only, in two words, which a program reads as one of twice the size; for each row
# the number of its ones and their columns
POSITIONS = Primitive("positions", _positions, (None,))
# x @ y and x.T @ y by the positions of x: a look-up of rows where those are ones
LOOK_UP = Primitive("look_up", lambda at, x, y: x @ y, (None,) * 3)
COLLECT = Primitive("collect", lambda at, x, y: x.T @ y, (None,) * 3)
# y[x] and the transpose of it, zeros with y added at x, of indices x, one per row; those counted from the start, or IndexError
TAKE = Primitive("take_rows", lambda at, y: table["getitem"].g(y, at), (None, None))
SPREAD = Primitive("spread_rows", lambda at, d, rows: table["scatter"].g(d, at, (rows, d.shape[1])), (None, None))
COUNTED = Primitive("counted_rows", _counted, (None,))
OFTEN = 3               # products with a transposed matrix: then one in order is made, with which they are faster
MANY = 1024             # elements of a matrix that may be an indicator matrix
ONES = 31               # in a row of it, at most, and at most one of SPARSE elements: others are multiplied


def indexed(graph):
    """Rows of a matrix taken by an index that is an operand, and the derivative of that, as products with a one-hot matrix."""
    def change(node, operands):
        if getattr(node.row, "lifted", None) is not None and len(operands) == 2:
            row, (index, *more) = node.row.lifted
            x, at = operands
            if isinstance(index, Node) and at.ndim == 1 and at.dtype == np.int64 and x.ndim == 2 and x.dtype in REAL:
                if row is table["getitem"]:
                    return Node(TAKE, (at, x), (), node.shape, node.dtype)
                if row is table["scatter"] and node.ndim == 2:
                    return Node(SPREAD, (at, x), (len(node),), node.shape, node.dtype)
        return with_operands(node, operands)

    return mapped(graph, change)


def counted(graph):
    """The indices of rows checked, and counted from the start."""
    def change(node, operands):
        if node.row in (TAKE, SPREAD):
            rows = len(node) if node.row is SPREAD else len(operands[1])
            return Node(node.row, (node_of(COUNTED, (operands[0],), (rows,)), operands[1]), node.static, node.shape, node.dtype)
        return with_operands(node, operands)

    return shared(mapped(graph, change))


def turned(graph):
    """The transposes of matrices that are right operands often, in memory of their own; of blocks that of each block."""
    uses = Counter([base_of(node.operands[1]) for node in graph.nodes if _is_real(node)])
    often = {x for (x, transposed), n in uses.items() if transposed and n >= OFTEN}
    made = {}

    def change(node, operands):
        if _is_real(node) and (base := base_of(node.operands[1]))[1] and base[0] in often:
            x = operands[1].operands[0]
            if x not in made:
                parts = x.operands if x.row is not None and x.row.name == "concatenate" and x.static == (1,) else (x,)
                made[x] = _joined([node_of(TURNED, (part,)) for part in parts], 0)
            operands[1] = made[x]
        return with_operands(node, operands)

    return mapped(graph, change)


def reversed_products(graph):
    """(x @ y).T, where nothing else reads the product, as y.T @ x.T: the delta of a weight that is used transposed."""
    uses = uses_of(graph)

    def change(node, operands):
        (x, transposed), made = base_of(node), with_operands(node, operands)
        if transposed and uses[x] == 1 and _is_real(x):
            (x, turned_x), (y, turned_y) = map(base_of, made.operands[0].operands)
            return _product(y, not turned_y, x, not turned_x, None)
        return made

    return mapped(graph, change)


def looked_up(graph):
    """Products of a matrix that the caller gives, which may be an indicator matrix (rows of zeros and a few ones, be it one-hot
    rows side by side): that is looked at when the program runs."""
    given, made = set(graph.inputs), {}
    for node in graph.nodes:
        if node.row.name in ("concatenate", "getitem", "one_hot", "reshape") and all([x in given for x in node.operands]):
            given.add(node)

    def change(node, operands):
        if _is_real(node):
            (x, transposed), y = base_of(node.operands[0]), operands[1]
            W, turned_y = base_of(y)
            if x in given and x.size >= MANY and x.shape[1] >= SPARSE and (not turned_y or W.row is None):
                x = operands[0].operands[0] if transposed else operands[0]
                at = made.get(x)
                if at is None:
                    at = made[x] = node_of(POSITIONS, (x,))
                if turned_y:
                    y = node_of(TURNED_WHERE, (W, at))
                return node_of(COLLECT if transposed else LOOK_UP, (at, x, y))
        return with_operands(node, operands)

    return mapped(graph, change)
