"""Memory for the values of a program that are neither given nor returned.

What is kept from the first part to the second has memory of its own, which a backward uses up. What is needed meanwhile lies
where nothing is kept yet, or any more; in an output that is not written yet; or in scratch memory.
"""

import numpy as np

from tapegrad.compiler.fusion import JOIN, VIEW


def arranged(layout, schedule, count):
    """Give the storages of a layout their owners and offsets; [bytes that are kept, bytes of scratch memory]."""
    storages, outputs = _alive(layout, schedule)
    kept, size = [storage for storage in storages if storage.early and storage.late], [0, 0]
    for storage in kept:
        storage.owner, storage.offset = "saved", size[0]
        size[0] += storage.room
    regions = [_Region("saved", 0, size[0], kept)]
    regions += [_Region("output", to.number, to.nbytes, [to]) for to in outputs if to.number >= count]
    scratch = _Region("scratch", 0, None, [])
    for storage in sorted(storages, key=lambda storage: storage.first):
        if storage.owner != "saved":
            fitting = [region for region in regions if region.owner == "saved" or storage.late]
            region = next((region for region in fitting if region.takes(storage)), scratch)
            if region is scratch:
                scratch.takes(storage)
                size[1] = max(size[1], storage.offset + storage.room)
    return size


def _alive(layout, schedule):
    """(the storages that need memory, the outputs), with the positions from and to which they are used."""
    storages, outputs, position = {}, {}, 0
    for late, (part, rest) in enumerate(zip((schedule.first, schedule.second), layout.outputs)):
        for touched in [*[_touched(one, layout) for one in part], _ends(rest, layout)]:
            for place in touched:
                storage = place.storage
                if storage.owner in ("scratch", "output"):
                    (storages if storage.owner == "scratch" else outputs)[id(storage)] = storage
                    storage.first, storage.last = min(storage.first, position), max(storage.last, position)
                    storage.late |= bool(late)
                    storage.early |= not late
            position += 1
    for storage in outputs.values():
        storage.last = position                         # the caller reads them
    return list(storages.values()), list(outputs.values())


def _touched(one, layout):
    found = []
    if one.kind != VIEW or one.nodes[0] in layout.moved:        # a view is not read when it is taken
        found += [layout.places[node] for node in (*one.operands, *one.results) if node in layout.places]
    if one.kind == JOIN:
        found += [place for _, place in layout.copies[one.nodes[0]]]
    return found + _ends(layout.returned.get(one, ()), layout)


def _ends(copied, layout):
    return [place for node, to in copied for place in (layout.places[node], to)]


class _Region:
    """Memory in which storages lie, some of them from the start: `held`. It grows if it has no size."""

    def __init__(self, owner, number, nbytes, held):
        self.owner, self.number, self.nbytes, self.held, self.alive = owner, number, nbytes, held, []
        self.span = np.array([(storage.first, storage.last) for storage in held]).reshape(-1, 2)

    def takes(self, storage):
        """Find room for a storage, that of one whose first use is not before those of others before it."""
        if self.nbytes is not None and self.nbytes < storage.room:
            return False
        there = (self.span[:, 0] <= storage.last) & (self.span[:, 1] >= storage.first)
        self.alive = [other for other in self.alive if other.last >= storage.first]
        at = _gap([*[self.held[k] for k in np.flatnonzero(there)], *self.alive], storage.room)
        if self.nbytes is not None and at + storage.room > self.nbytes:
            return False
        storage.owner, storage.number, storage.offset = self.owner, self.number, at
        self.alive.append(storage)
        return True


def _gap(storages, nbytes):
    """The first offset at which so many bytes are free beside these."""
    at = 0
    for low, high in sorted([(x.offset, x.offset + x.room) for x in storages]):
        if low - at >= nbytes:
            break
        at = max(at, high)
    return at
