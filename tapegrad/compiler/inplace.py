"""Values that are written over others, which nothing reads any more.

A kernel reads all operands of an element before it writes the element: so a result may have the place of an operand that is
read there for the last time. Places are given from the last kernel to the first: what is joined has its place already, and
hands it on to what it is computed from. In an LSTM the deltas of all gates are one matrix, for the product with all h; the
gates get its memory, and the products from which these are computed, too.

    spans   of a storage: [(place, first position, last position)] at which a value is there; no two overlap in both, but for
            an operand and a result of one kernel
"""

from collections import defaultdict

from tapegrad.compiler.fusion import JOIN, KERNEL, REDUCE, VIEW
from tapegrad.compiler.layout import Place, view_of
from tapegrad.graph import GraphError

BUCKETS = 64            # parts of a storage, so that a place is compared with few others


def overlaid(layout, schedule, least):
    """Have the values of a layout share places, where that can be. What the second part joins is kept from the first part on if
    a part of it, at least so much, is written over what is kept anyway. The least such part that there is, 1 without."""
    return _Overlay(layout, schedule, least).run()


def over(one, places):
    """{result of a kernel: the operand that has its place}"""
    found = {}
    for z in one.results:
        for x in one.operands:
            if places[x].storage is places[z].storage and _same(places[x], places[z]):
                found[z] = x
    return found


class _Overlay:
    """
    at, last   {node: the position of the instruction that computes it; that of the last one that reads it}
    movable    nodes that are alone in their storage
    in_order   nodes that are read or written by what needs rows without gaps
    """

    def __init__(self, layout, schedule, least):
        self.least, self.share = least, 1.0
        self.layout, self.places, self.kinds, self.early = layout, layout.places, schedule.kinds, len(schedule.first)
        self.order = [*enumerate(schedule.first), *enumerate(schedule.second, self.early + 1)]  # between: outputs are copied
        self.at = {node: p for p, one in self.order for node in one.nodes}
        self.kernels = {p for p, one in self.order if one.kind == KERNEL}
        self.last, self.views, self.spans = defaultdict(lambda: -1), defaultdict(list), {}
        self.movable, self.in_order = set(), set()
        for p, one in self.order:
            self._note(p, one, schedule.splits)
        ends = zip((self.early, self.early + 1 + len(schedule.second)), layout.outputs)
        for p, copied in [*[(p, layout.returned.get(one, ())) for p, one in self.order], *ends]:
            for node, _ in copied:
                self.last[node] = max(self.last[node], p)

    def _note(self, p, one, splits):
        node = one.nodes[0]
        if one.kind == VIEW and node not in self.layout.moved:
            self.views[node.operands[0]].append(node)
            return
        for x in one.operands:
            self.last[x] = max(self.last[x], p)
            if self.at.get(x, -1) >= p:
                raise GraphError(f"{x.row.name} is read before it is computed")
        if one.kind == REDUCE or one.kind == KERNEL and splits[node] < node.ndim - 1:
            self.in_order.update(one.operands, one.results)
        if one.kind != JOIN:
            self.movable.update([x for x in one.results if self.places[x].storage.made_for is x
                                 and self.places[x].storage.owner == "scratch"])

    def run(self):
        moved = defaultdict(list)
        for p, one in reversed(self.order):
            if p < self.early and moved:
                self._undo(moved)
                moved.clear()
            if one.kind == KERNEL:
                self._overlay(p, one, moved)
        return self.share

    def _undo(self, moved):
        """Take out of storages of the second part what is of the first part, if it is a little of them."""
        for host, found in moved.items():
            share = sum([x.size for x, _ in found]) / host.made_for.size
            if any([self.at[x] < self.early for x in self._made_for(host)]):
                continue
            if share >= self.least:
                self.share = min(self.share, share)
                continue
            for x, before in found:
                self.places.update(self._with_views(x, before))
                self.spans[host].remove(x)

    def _made_for(self, storage):
        """What is computed into a storage that was made for it."""
        waiting, found = [storage.made_for], []
        while waiting:
            x = waiting.pop()
            found.append(x)
            waiting += self.layout.parts.get(x, ())
        return found

    def _overlay(self, p, one, moved):
        """Give results of a kernel, and operands that it is the last to read, one place."""
        shape, dtype = one.nodes[0].shape, one.nodes[0].dtype
        dying = [x for x in one.operands if x.shape == shape and x.dtype == dtype and self.last[x] == p]
        dying.sort(key=lambda x: self.at.get(self._root(x), -1) > self.early)
        for z in sorted(one.results, key=lambda z: z in self.movable):
            if self.places[z].storage.owner == "scratch":
                x = next((x for x in dying if self._together(x, z, p, moved)), None)
                dying = [y for y in dying if y is not x]

    def _together(self, x, z, p, moved):
        """Whether x has the place of z, or has been given it, or z that of x."""
        root, of, to = self._root(x), self.places[x], self.places[z]
        if of.storage is to.storage:
            return _same(of, to)
        before = self.places.get(root)
        if root in self.movable and (place := self._place_of_root(x, root, to)) is not None and self._put(root, place):
            self.movable.discard(z)
            if p > self.early > self.at[root]:
                moved[to.storage].append((root, before))
            return True
        if z in self.movable and self._has_room(of.storage, z) and self._put(z, of):
            self.movable.discard(root)
            return True
        return False

    def _root(self, x):
        while self.kinds.get(x) == VIEW and x not in self.layout.moved:
            x = x.operands[0]
        return x

    def _place_of_root(self, x, root, to):
        """The place of the root with which x, a view of it or itself, is at `to`; None if there is none."""
        whole, own = self.places[root], self.places[x]
        if own.rows > 1 and own.stride != whole.stride:
            return None
        row, column = divmod(own.start, whole.stride)
        stride = whole.columns if whole.rows == 1 else to.stride
        place = Place(to.storage, to.start - row * stride - column, whole.rows, whole.columns, stride)
        if place.start < 0 or place.end > to.storage.made_for.size or place.start % stride + place.columns > stride:
            return None
        at = dict(self._with_views(root, place))[x]
        return place if at is not None and _same(at, to) else None

    def _has_room(self, storage, z):
        """Whether a result may be where an operand is: in a storage that is no larger, or is kept for as long anyway."""
        return storage.owner == "scratch" and (
            storage.made_for.size == z.size or self._reach(z) <= self._spans_in(storage).reach)

    def _put(self, x, place):
        """Move x, if it can be read there, and nothing else is there meanwhile."""
        found, spans = list(self._with_views(x, place)), list(self._spans_of(x, place))
        if any([at is None or not at.in_order and node in self.in_order for node, at in found]):
            return False
        held = self._spans_in(place.storage)
        if any([held.excludes(*span, self.kernels) for span in spans]):
            return False
        for span in spans:
            held.add(*span, x)
        self.places.update(found)
        self.movable.discard(x)
        return True

    def _with_views(self, x, place):
        """(x, its place), and those of its views; None for places that there are not."""
        yield x, place
        for view in self.views[x]:
            yield from self._with_views(view, place and view_of(view, place))

    def _spans_in(self, storage):
        if storage not in self.spans:
            x = storage.made_for
            self.spans[storage] = held = _Spans(x.size)
            for span in self._spans_of(x, self.places[x]):
                held.add(*span, x)
        return self.spans[storage]

    def _spans_of(self, x, place, until=-1):
        """(place, first, last): where x and its parts are, if it is at a place, and at least until then."""
        if self.kinds[x] == JOIN:
            until = max(until, self._reach(x))
            for _, at in self.layout.copies[x]:
                yield at, self.at[x], until
            for part in self.layout.parts[x]:
                yield from self._spans_of(part, self.places[part], until)
            return
        first = self.at[x]
        yield place, first, max(first, until, self.last[x])
        for view, at in self._with_views(x, place):
            if view is not x and at is not None:
                yield at, first, max(first, self.last[view])

    def _reach(self, x):
        """The last position at which x, or a view of it, is read."""
        return max([self.last[x], *map(self._reach, self.views[x])])


class _Spans:
    """The spans of a storage.

    at      {a place: [(first, last, whose it is)]}
    near    {a place: the places that have an element in common with it, among them itself}
    """

    def __init__(self, size):
        self.width, self.reach, self.at, self.near, self.buckets = max(1, -(-size // BUCKETS)), -1, {}, {}, defaultdict(list)

    def _note(self, place):
        """The place as it is known here."""
        key = place.start, place.rows, place.columns, place.rows > 1 and place.stride
        if key not in self.at:
            touched = range(place.start // self.width, max(place.start, place.end - 1) // self.width + 1)
            found = dict([pair for k in touched for pair in self.buckets[k]])
            self.at[key], self.near[key] = [], [key]
            for other, there in found.items():
                if _overlap(place, there):
                    self.near[key].append(other)
                    self.near[other].append(key)
            for k in touched:
                self.buckets[k].append((key, place))
        return key

    def add(self, place, first, last, x):
        self.at[self._note(place)].append((first, last, x))
        self.reach = max(self.reach, last)

    def remove(self, x):
        for held in self.at.values():
            held[:] = [span for span in held if span[2] is not x]

    def excludes(self, place, first, last, kernels):
        """Whether something else is there meanwhile. At one position a kernel may read a place and write it."""
        key = self._note(place)
        for other in self.near[key]:
            for since, until, _ in self.at[other]:
                if first <= until and since <= last:
                    earlier, turn, later = (first, last, since) if last == since else (since, until, first)
                    if not (earlier < turn == later and turn in kernels and other == key):
                        return True
        return False


def _same(one, other):
    return (one.start == other.start and one.rows == other.rows and one.columns == other.columns
            and (one.rows == 1 or one.stride == other.stride))


def _overlap(one, other):
    """Whether two places have an element in common; where that is hard to say, they have."""
    if one.end <= other.start or other.end <= one.start:
        return False
    strides = {place.stride for place in (one, other) if place.rows > 1}
    if len(strides) != 1:
        return True
    stride, = strides
    (row, column), (top, left) = divmod(one.start, stride), divmod(other.start, stride)
    if column + one.columns > stride or left + other.columns > stride:
        return True
    return row < top + other.rows and top < row + one.rows and column < left + other.columns and left < column + one.columns
