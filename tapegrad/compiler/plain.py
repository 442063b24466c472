"""The plain program: nodes run one by one, forward and backward.

A program computes `outputs` from `inputs`, and deltas of `wrt`, some of the inputs, from deltas of outputs. It can be run any
number of times, by several threads at once.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from tapegrad.graph import Graph, Ready, Reverse
from tapegrad.graph.graph import reached
from tapegrad.graph.reverse import needed
from tapegrad.primitives.node import Node


class Plain:
    """A program of the nodes between inputs and outputs, for deltas of those inputs that are in `wrt`."""

    def __init__(self, inputs: list[Node], outputs: list[Node], wrt: list[Node]) -> None:
        self.inputs, self.outputs, self.wrt = inputs, outputs, wrt
        self.graph = Graph(inputs, outputs)
        through = needed(self.graph.nodes, wrt) if wrt else set()
        self.differentiable = [z in through for z in outputs]
        self.backs: dict[tuple[bool, ...], Any] = {}
        self.kept: list[Node] = self._back(tuple(self.differentiable))[0] if any(self.differentiable) else []
        self.ready = Ready(inputs, [*outputs, *self.kept])

    def _back(self, given: tuple[bool, ...]) -> tuple[list[Node], Ready, list[int | None]]:
        """For deltas of those outputs that are True in `given`: the values read, what is run, and where wrt's deltas are."""
        if given not in self.backs:
            seeds = [Node(None, (), (), z.shape, z.dtype) for z in self.outputs]
            wanted = {z: d for z, d, there in zip(self.outputs, seeds, given) if there}
            reverse = Reverse(self.graph, self.wrt, wanted, whole=True)
            found = {node: i for i, node in enumerate(dict.fromkeys(reverse.deltas.values()))}
            forward = {*self.graph.nodes, *self.inputs}
            nodes = reached(list(found), [*forward, *seeds])
            read = {x for node in nodes for x in (*node.operands, *found) if isinstance(x, Node) and x in forward}
            kept = sorted(read, key=lambda node: node.serial)
            if not self.backs:
                self.kept = kept
            back = Ready([*self.kept, *seeds], list(found)) if found else None
            self.backs[given] = kept, back, [found.get(reverse.deltas.get(x)) for x in self.wrt]
        return self.backs[given]

    def forward(self, values: list[Any]) -> tuple[list[Any], Any]:
        """(the arrays of the outputs, what backward() wants to know)"""
        found = self.ready.run(values)
        count = len(self.outputs)
        return [np.asarray(z) for z in found[:count]], found[count:]

    def backward(self, saved: Any, deltas: list[Any]) -> list[Any]:
        """The deltas of wrt, or None where they are zero, for deltas of outputs, or None."""
        _, back, at = self._back(tuple([d is not None and able for d, able in zip(deltas, self.differentiable)]))
        if back is None:
            return [None] * len(at)
        found = back.run([*saved, *deltas])
        return [None if i is None else found[i] for i in at]

    def backward_of(self, saved: Any, place: int, d: Any) -> list[Any]:
        """The deltas of wrt, or None where they are zero, for that of one output."""
        return self.backward(saved, [d if i == place else None for i in range(len(self.outputs))])

    def profile(self, values: list[Any]) -> str:
        """The time that each node takes, and that of the run backward, as text."""
        known, lines = dict(zip(self.inputs, values)), []
        for node, line in zip(self.graph.nodes, str(self.graph).splitlines()):
            operands = [known[x] if isinstance(x, Node) else x for x in node.operands]
            start = perf_counter()
            known[node] = node.row.g(operands, *node.static) if node.row.variadic else node.row.g(*operands, *node.static)
            lines.append(f"{1e6 * (perf_counter() - start):10.1f} us  {line}")
        outs, saved = self.forward(values)
        start = perf_counter()
        self.backward(saved, [np.ones_like(z) if able else None for z, able in zip(outs, self.differentiable)])
        return "\n".join([*lines, f"{1e6 * (perf_counter() - start):10.1f} us  backward"])

    def __str__(self) -> str:
        return str(self.graph)
