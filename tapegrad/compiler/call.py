"""What a replay puts on the tape: one entry for the call, and, where it has several results, one for each of them.

Results that have no recorded operation in common are calls of their own: a backward() from one does not consume the others.
The delta of a call with several results is a Bundle, {place of the result: its delta}, to which the results' entries
contribute; so the program runs backward once, whatever the deltas are. A sweep that is recorded runs the nodes anew over
recorded tensors, and differentiates these: any order of derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.core.entry import Entry
from tapegrad.core.record import append, general, wrap
from tapegrad.core.tape import enable_grad, thread
from tapegrad.core.walk import Part
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import Primitive, arrays
from tapegrad.primitives.node import Node
from tapegrad.primitives.registry import LINEAR
from tapegrad.transforms.autograd import deltas, own

BUNDLE = np.dtype(object)


class Bundle:
    """{place of a result: its delta}: what the results of a call contribute to the call's delta."""

    __slots__ = ("by_place",)
    shape: tuple[int, ...] = ()
    ndim = nbytes = 0
    dtype = BUNDLE

    def __init__(self, by_place: dict[int, Any]) -> None:
        self.by_place = by_place

    def __add__(self, other: Bundle) -> Bundle:
        total = dict(self.by_place)
        for place, d in other.by_place.items():
            total[place] = total[place] + d if place in total else d
        return Bundle(total)


class Call:
    """A replay that can be walked back: the program, the values of its inputs, and what its run saved."""

    __slots__ = ("program", "values", "saved", "registers", "wrt")          # program: the recording

    def __init__(self, program: Any, values: Any, saved: Any, registers: Any, wrt: list[int]) -> None:
        self.program, self.values, self.saved, self.registers, self.wrt = program, values, saved, registers, wrt

    def deltas(self, F: Any, d: Any, z: Node | None) -> list[Any]:
        """The deltas of the inputs in wrt, from that of the result z, or a Bundle."""
        places = d.by_place if z is None else {z: d}
        if F is arrays or not thread.tape.recording:
            found = self.program.program.backward(self.saved, [
                _array(places.get(z)) for z in self.program.outputs])
            return found if F is arrays else [None if c is None else wrap(c, None) for c in found]
        return self._recorded(places)

    def _recorded(self, places: dict[Node, Any]) -> list[Any]:
        registers = dict(zip(self.wrt, self.registers))
        with enable_grad(), thread.tape.marked() as mark:
            xs = [wrap(value, registers.get(i)) for i, value in enumerate(self.values)]
            inputs = [own(x) if i in registers else x for i, x in enumerate(xs)]
            known = dict(zip(self.program.inputs, inputs))
            for node in self.program.nodes:
                operands = [known[x] if isinstance(x, Node) else x for x in node.operands]
                known[node] = general(node.row, operands, node.static)
            made = mark.made()
        outs = [(known[z], d) for z, d in places.items() if known[z]._register is not None]
        part = Part(made, set(), {})
        return deltas([z for z, _ in outs], [d for _, d in outs], [inputs[i]._register for i in self.wrt], True, part=part)

    def __repr__(self) -> str:
        return "a replay"


def _array(d: Any) -> Any:
    return d._value if isinstance(d, Tensor) else d


def _whole(F: Any, d: Any, _z: Any, _shapes: Any, call: Call, node: Node | None) -> list[Any]:
    return call.deltas(F, d, node)


def row_of(name: str) -> Primitive:
    """The row of the calls of a compiled function."""
    return Primitive(name, None, (lambda i, F, d, _z, _xs, call, node: d[i],), variadic=True, complex=LINEAR)


_result = Primitive("result", None, (lambda F, d, _z, _call, node, place: Bundle({node: d}),), complex=LINEAR)


def put(row: Primitive, call: Call, outs: list[Any], group: list[tuple[Node, int]]) -> list[Entry]:
    """Append a call to the tape; the entries of its results, given as (node, place among the outputs)."""
    registers = tuple(call.registers)
    plan = row.plan_of(len(registers), (1 << len(registers)) - 1)
    if plan.whole is None:
        plan = row.plans[len(registers), (1 << len(registers)) - 1] = plan.by(_whole)
    if len(group) == 1:
        (node, place), = group
        return [append(row, plan, registers, (None, None, call, node), outs[place])]
    entry = append(row, plan, registers, (None, None, call, None), Bundle)
    of = _result.planned()[1]
    return [append(_result, of, (entry,), (None, None, node, k), outs[place]) for k, (node, place) in enumerate(group)]
