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
from tapegrad.primitives.plan import Plan
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
    """A replay that can be walked back: its recording, the values of its inputs, what its run saved, the registers of wrt."""

    __slots__ = ("recording", "values", "saved", "registers")

    def __init__(self, recording: Any, values: Any, saved: Any, registers: tuple[Any, ...]) -> None:
        self.recording, self.values, self.saved, self.registers = recording, values, saved, registers


class Result:
    """The result of a call at a place among the outputs of its program, as a static argument of its entry; or all, at None."""

    __slots__ = ("call", "place")

    def __init__(self, call: Call, place: int | None) -> None:
        self.call, self.place = call, place

    def __repr__(self) -> str:
        return f"{len(self.call.recording.nodes)} operations"


def _whole(F: Any, d: Any, _z: Any, _shapes: Any, result: Result) -> list[Any]:
    """The deltas of the inputs in wrt, from that of a result, or a Bundle."""
    call, place = result.call, result.place
    recording = call.recording
    recorded = F is not arrays and thread.tape.recording
    if place is not None and len(recording.outputs) == 1 and not recorded:
        given = [d]
    else:
        given = [None] * len(recording.outputs)
        for at, delta in d.by_place.items() if place is None else ((place, d),):
            given[at] = delta
    if recorded:
        return _recorded(call, given)
    if F is arrays:
        return recording.program.backward(call.saved, given)        # type: ignore[no-any-return]
    found = recording.program.backward(call.saved, [x._value if isinstance(x, Tensor) else x for x in given])
    return [None if c is None else wrap(c, None) for c in found]


def _recorded(call: Call, given: list[Any]) -> list[Any]:
    """The deltas as tensors on the tape: the nodes are run anew over recorded tensors."""
    recording = call.recording
    registers = dict(zip(recording.wrt, call.registers))
    with enable_grad(), thread.tape.marked() as mark:
        xs = [wrap(value, registers.get(i)) for i, value in enumerate(call.values)]
        inputs = [own(x) if i in registers else x for i, x in enumerate(xs)]
        known = dict(zip(recording.inputs, inputs))
        for node in recording.nodes:
            operands = [known[x] if isinstance(x, Node) else x for x in node.operands]
            known[node] = general(node.row, operands, node.static)
        made = mark.made()
    outs = [(known[z], d) for z, d in zip(recording.outputs, given) if d is not None and known[z]._register is not None]
    part = Part(made, set(), {})
    return deltas([z for z, _ in outs], [d for _, d in outs], [inputs[i]._register for i in recording.wrt], True, part=part)


class Row(Primitive):
    """The row of the calls of a compiled function."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(name, None, (lambda i, F, d, _z, _xs, replayed: d[i],), variadic=True, complex=LINEAR)

    def opened(self, operands: list[Any], result: Result) -> Node:
        """The node of a result as one of the recorded operations, for graphs of a tape. Of all results, a node of this row."""
        if result.place is None:
            return Node(self, tuple(operands), (result,), (), BUNDLE)
        recording, given = result.call.recording, dict(zip(result.call.recording.wrt, operands))
        known = {node: given.get(i, value) for i, (node, value) in enumerate(zip(recording.inputs, result.call.values))}
        for node in recording.nodes:
            known[node] = Node(node.row, tuple([known[x] if isinstance(x, Node) else x for x in node.operands]), node.static,
                               node.shape, node.dtype)
        return known[recording.outputs[result.place]]           # type: ignore[no-any-return]


class _ResultRow(Primitive):
    """The row of the results of a call that has several. They do not hold what the call saved: its backward() frees that."""

    __slots__ = ()

    def opened(self, operands: list[Any], place: int) -> Node:
        """The node of a result as one of the recorded operations."""
        call, = operands
        return call.row.opened(call.operands, Result(call.static[0].call, place))      # type: ignore[no-any-return]


def _directly(d: Any, _z: Any, _shapes: Any, result: Result) -> Any:
    """As _whole, of the only result of a call."""
    call = result.call
    return call.recording.program.backward_of(call.saved, result.place, d)


def plan_of(row: Primitive, n: int, alone: bool) -> Plan:
    """The plan of a call with n inputs that require gradients, and one result that does if `alone`."""
    return row.plan_of(n, (1 << n) - 1).by(_whole, _directly if alone else None)


_result = _ResultRow("result", None, (lambda F, d, _z, _call, place: Bundle({place: d}),), complex=LINEAR)


def put(row: Primitive, plan: Plan, call: Call, outs: list[Any], places: list[int]) -> list[Entry]:
    """Append a call to the tape; the entries of its results, given by their places among the outputs."""
    if len(places) == 1:
        place = places[0]
        return [append(row, plan, call.registers, (None, None, Result(call, place)), outs[place])]
    entry = append(row, plan, call.registers, (None, None, Result(call, None)), Bundle)
    of = _result.planned()[1]
    return [append(_result, of, (entry,), (None, None, place), outs[place]) for place in places]
