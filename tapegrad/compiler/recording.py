"""A recording: what a run of a function came to, and its replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.compiler.call import Call, Result, Row, plan_of, put
from tapegrad.compiler.guards import Reader, same_array
from tapegrad.compiler.plain import Plain
from tapegrad.compiler.program import program_of
from tapegrad.compiler.rolling import rolled
from tapegrad.compiler.tracer import Slot, Tracer
from tapegrad.core.constants import private
from tapegrad.core.record import append, wrap
from tapegrad.errors import CompileError
from tapegrad.functions.tensor import Tensor
from tapegrad.graph import Graph
from tapegrad.graph.graph import operands_of, reached
from tapegrad.primitives.node import Node
from tapegrad.tree import leaves, rebuild

MISS, FAILED = object(), object()
UNROLLED = 20_000       # operations of a function whose loops are not rolled up to save memory
Match = Callable[[Any, Any, bool], Any]


def array_of(x: Tensor) -> Any:
    """A tensor as what NumPy's functions return."""
    return np.array(x._array)[()]


class Place:
    """Recordings of one signature, told apart by what the function looked at.

    count    how many there have been
    reason   why the function is run as it is, if so
    """

    __slots__ = ("count", "reason", "where")

    def __init__(self, reason: str | None = None, where: str = "") -> None:
        self.count, self.reason, self.where = 1, reason, where


def _groups(live: list[Node], reach: set[Node]) -> list[list[Node]]:
    """Results, in groups: two that depend on one recorded operation belong to one."""
    groups: list[tuple[set[Node], list[Node]]] = []
    for z in live if len(live) > 1 else ():
        found, waiting = set[Node](), [z]
        while waiting:
            node = waiting.pop()
            if node not in found and node in reach and node.row is not None:
                found.add(node)
                waiting += operands_of(node)
        shared = [group for group in groups if not group[0].isdisjoint(found)]
        groups = [group for group in groups if group not in shared]
        groups.append((found.union(*[seen for seen, _ in shared]), [node for _, nodes in shared for node in nodes] + [z]))
    return [nodes for _, nodes in groups] if len(live) > 1 else [live] * bool(live)


class Recording:
    """Guards, a program, results and effects.

    match      (args, kwargs, recording) -> (arrays, tensors) of the inputs, or None where the signature or what the code can
               read differs
    place      shared by the recordings of a signature; with a reason there, calls are run as they are
    replays    how many there have been
    """

    __slots__ = ("name", "match", "place", "replays", "reader", "inputs", "outputs", "wrt", "raw", "program", "nodes", "short",
                 "guards", "results", "draws", "as_arrays", "tree", "live", "effects", "row", "plan", "wrapped", "single",
                 "simple")

    match: Match

    def __init__(self, name: str, place: Place, reader: Reader) -> None:
        self.name, self.place, self.reader, self.replays = name, place, reader, 0

    def build(self, tracer: Tracer, output: Any, recording: bool, lean: tuple[Reader, Match] | None,
              memory: int | None) -> None:
        """The program and what is done around it, from a trace and what the run returned.

        lean     another reader, and what it compares, to be taken if it finds all inputs that are needed
        memory   a budget for the program, or None
        """
        self.as_arrays = not self.reader.knows_tensors      # a function of NumPy's functions: it returns what they do
        slots = self._results(tracer, output)
        wanted = [slot for slot in slots if isinstance(slot, Slot)]
        passed = [x for effect in tracer.effects for x in leaves([effect.args, effect.kwargs]) if isinstance(x, Slot)]
        wanted += passed
        live = list(dict.fromkeys([slot.node for slot in wanted if slot.node is not None and slot.live]))
        rest = [slot.node for slot in wanted if slot.node is not None] + [node for node, _, _ in tracer.reads]
        self.outputs: list[Any] = list(dict.fromkeys([*live, *rest]))
        at = {node: i for i, node in enumerate(self.outputs)}
        given = [held.node for held in tracer.inputs]
        drawn = [node for node, *_ in tracer.draws]
        self.nodes = reached(self.outputs, [*given, *drawn])
        read = {*self.outputs, *[x for node in self.nodes for x in node.operands if isinstance(x, Node)]}
        moved = self._ordered(tracer, {i for i, node in enumerate(given) if node in read}.union(
            [slot.at for slot in wanted if slot.at is not None]), lean)
        there = sorted([(i, node) for node, i in zip(given, moved) if i is not None], key=lambda pair: pair[0])
        self.inputs = [node for _, node in there] + drawn
        for slot in wanted:
            slot.at = None if slot.at is None else moved[slot.at]
        self.draws = [(generator, g) for _, generator, g, _ in tracer.draws]
        self.wrt = [i for i, node in there if node in tracer.reach] if recording and live else []
        self.raw = [i for i, x in enumerate(self.reader.inputs) if isinstance(x, np.ndarray)]
        self.short = rolled(Graph(self.inputs, self.outputs))
        wrt = [self.inputs[i] for i in self.wrt]
        swept = {slot.node for slot in passed if slot.live}
        first = {z for node, z in zip(self.outputs, self.short.outputs) if node in swept}
        try:
            self.program = program_of(self.short.inputs, self.short.outputs, wrt, memory, first)
        except CompileError:                            # a loop as one node keeps what all of its steps leave
            if len(self.short.nodes) == len(self.nodes) or len(self.nodes) > UNROLLED:
                raise
            self.short = Graph(self.inputs, self.outputs)
            self.program = program_of(self.inputs, self.outputs, wrt, memory, swept)
        self.guards = [(at[node], value, where) for node, value, where in tracer.reads]
        self.effects = tracer.effects
        self.live = [[at[node] for node in group] for group in _groups(live, tracer.reach)] if self.wrt else []
        alive = {at[node] for node in live} if self.wrt else set()
        self.wrapped = [at[node] for node in dict.fromkeys([slot.node for slot in wanted if slot.node is not None])]
        self.wrapped = [place for place in self.wrapped if place not in alive]
        self.results = [(x.at, None if x.node is None else at[x.node]) if isinstance(x, Slot) else x for x in slots]
        for slot in passed:
            if slot.node is not None:
                slot.place = at[slot.node]
        alone = not isinstance(output, (dict, list, tuple)) and type(self.results[0]) is tuple
        self.single = self.results[0][1] if alone and not self.as_arrays else None
        self.row = Row(self.name)
        self.plan = plan_of(self.row, len(self.wrt), len(alive) == 1)
        self.simple = self.single is not None and not (self.raw or self.draws or self.guards or self.effects)

    def _ordered(self, tracer: Tracer, needed: set[int], lean: tuple[Reader, Match] | None) -> list[int | None]:
        """The places at which the inputs of the trace are fetched, if at all: by the lean reader if it has what is needed."""
        if lean is not None:
            reader, match = lean
            places = {id(x): i for i, x in enumerate(reader.inputs)}
            moved = [places.get(id(x)) for x in self.reader.inputs]
            if all([moved[i] is not None for i in needed]) and sum([i is not None for i in moved]) == len(reader.inputs):
                self.reader, self.match = reader, match
                return moved
        return list(range(len(tracer.inputs)))

    def _results(self, tracer: Tracer, output: Any) -> list[Any]:
        self.tree = rebuild(output, iter([None] * len(leaves(output))))
        return [tracer.result(x) for x in leaves(output)]

    def first(self, args: Any, kwargs: Any, recording: bool, drawn: list[Any]) -> Any:
        """The results of the call that has been recorded, as of a replay of it with the same random numbers; MISS where the run
        did more than compute: what it gave is right, and is not done again."""
        found = None if self.effects else self.match(args, kwargs, recording)
        return MISS if found is None else self.replay(found, drawn)

    def only_computes(self) -> bool:
        """Whether a call does nothing but compute, and looks at nothing."""
        return not (self.effects or self.draws or self.guards)

    def replay(self, found: Any, drawn: list[Any] | None = None) -> Any:
        """The results; MISS where the function would look at something else, FAILED where an operation raises. Nothing has been
        done then.

        found   what `match` gave; in a list of its own where there are effects, to be taken out
        drawn   the random numbers; drawn anew if None
        """
        if self.simple:
            return self._simply(*found)
        values, tensors = found.pop() if self.effects else found
        if self.raw:
            values = list(values)
            for i in self.raw:
                values[i] = private(values[i])
        sources, states = [], []
        if self.draws and drawn is None:
            sources = [generator() for generator, _ in self.draws]
            states = [source.bit_generator.state for source in sources]
            drawn = [g(source) for source, (_, g) in zip(sources, self.draws)]
        if drawn:
            values = [*values, *drawn]
        try:
            outs, saved = self.program.forward(values)
        except Exception:
            outs = FAILED
        else:
            for place, value, _ in self.guards:
                if not same_array(outs[place], value):
                    outs = MISS
                    break
        if outs is MISS or outs is FAILED:
            for source, state in zip(reversed(sources), reversed(states)):
                source.bit_generator.state = state
            return outs
        made: dict[int, Any] = {}
        if self.live:
            call = Call(self, values, saved, tuple([tensors[i]._register for i in self.wrt]))
            for group in self.live:
                for place, entry in zip(group, put(self.row, self.plan, call, outs, group)):
                    made[place] = wrap(outs[place], entry)
        for place in self.wrapped:
            made[place] = wrap(outs[place], None)
        if self.effects:                                # an optimiser copies parameters that are held by more than their tensor
            values = call = saved = None
        for effect in self.effects:
            found = [x if type(x) is not Slot else tensors[x.at] if x.at is not None else made[x.place]
                     for x in (effect.args if effect.flat else leaves([effect.args, effect.kwargs]))]
            if effect.flat:
                effect.function(*found)
            else:
                args, kwargs = rebuild([effect.args, effect.kwargs], iter(found))
                effect.function(*args, **kwargs)
        if self.single is not None:
            return made[self.single]
        return rebuild(self.tree, iter([self._result(x, tensors, made) for x in self.results]))

    def _simply(self, values: Any, tensors: Any) -> Any:
        """The only result, of a function that does nothing but compute it."""
        try:
            outs, saved = self.program.forward(values)
        except Exception:
            return FAILED
        if not self.live:
            return wrap(outs[self.single], None)
        z = outs[self.single]
        call = Call(self, values, saved, tuple([tensors[i]._register for i in self.wrt]))
        return wrap(z, append(self.row, self.plan, call.registers, (None, None, Result(call, self.single)), z))

    def _result(self, x: Any, tensors: Any, made: dict[int, Any]) -> Any:
        if type(x) is tuple and self.as_arrays:
            return array_of(made[x[1]]) if x[1] is not None else tensors[x[0]]
        if type(x) is tuple:
            return tensors[x[0]] if x[1] is None else made[x[1]]
        return x.copy() if type(x) is np.ndarray else x

    def lines_looked_at(self) -> str:
        """The user's lines that look at elements of tensors."""
        return ", ".join(dict.fromkeys([where for _, _, where in self.guards]))

    def graph(self) -> Graph:
        """The recorded operations, what repeats as loops, with the names of the inputs."""
        return Graph(self.inputs, self.short.outputs, dict(zip(self.inputs, self.reader.paths)))

    def listing(self) -> str:
        """The recorded list, and the program that runs."""
        graph, program = str(self.graph()), str(self.program)
        count = len(self.nodes)
        return (f"{self.name}: {count} operations recorded\n{graph}"
                + ("" if isinstance(self.program, Plain) else f"\n\nwhat runs\n{program}"))

    def explanation(self) -> str:
        """What is compared before a replay, and what is done besides computing."""
        parts = [f"{self.name} is replayed: {len(self.nodes)} operations, {self.replays} replays"]
        if not isinstance(self.program, Plain):
            parts.append(self.program.memory_text())
        for title, lines in (("compared at each call", self.reader.notes),
                             ("looked at, and compared at each call",
                              [f"{value!r}, {where}" for _, value, where in self.guards]),
                             ("done after it has been computed", [f"{effect.function.__qualname__}, {effect.where}"
                                                                  for effect in self.effects])):
            if lines:
                parts += [title, *[f"    {line}" for line in lines]]
        return "\n".join(parts)
