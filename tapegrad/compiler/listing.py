"""A program as text: what runs, from which nodes; and the time that each instruction takes."""

from collections import Counter
from time import perf_counter

import numpy as np

from tapegrad.compiler.fusion import JOIN, KERNEL, LOOK_UP, PRODUCT, PYTHON, reads
from tapegrad.compiler.inplace import over
from tapegrad.compiler.products import COLLECT, base_of
from tapegrad.compiler.text import kernel_text
from tapegrad.kernels import program as machine
from tapegrad.kernels.opcodes import STOP

PARTS = "forward", "backward"


class Listing:
    """The lines of a program's two parts, and the texts of the kernels that were generated for it.

    names    {node: its name}: x1, x2, .. of inputs, d1, .. of the deltas of outputs, k1, .. of constants, z1, .. of results
    """

    def __init__(self, joint):
        self.joint, self.kernels, self.names, self.loops = joint, {}, {}, {}
        given, seeds = joint.given, len(joint.seeds)
        inputs = joint.graph.inputs
        for letter, group in (("x", inputs[:given]), ("d", inputs[given:given + seeds]), ("k", inputs[given + seeds:]),
                              ("z", joint.graph.nodes)):
            self.names |= {node: f"{letter}{i}" for i, node in enumerate(group, start=1)}
        self.parts = [[(start, self._line(one)) for start, one in code.lines] for code in joint.parts]

    def _line(self, one):
        """`z5, z8 = kernel A(z1, x2)    3 operations on (16, 32): add, sigmoid, multiply`"""
        node, names = one.nodes[0], self.names
        if one.kind == KERNEL:
            covered = over(one, self.joint.layout.places)
            text, results, operands = kernel_text(one.nodes, one.results, node.shape, self.joint.schedule.splits[node], covered)
            operands = [*operands, *[covered[z] for z in results if z in covered]]
            letter = self.kernels.setdefault(text, f"{len(self.kernels) + 1}")
            counts = Counter([node.row.name for node in one.nodes])
            what = ", ".join([name if n == 1 else f"{n} {name}" for name, n in counts.items()])
            there = f", {len(covered)} in place" if covered else ""
            return (f"{self._named(results)} = kernel {letter}({self._named(operands)})", f"{_shape(node)} {what}{there}")
        left = self._named(one.results or one.nodes)
        if one.kind == PRODUCT:
            x, y = [names[z] + (".T" if turned else "") for z, turned in map(base_of, node.operands)]
            return f"{left} = {x} @ {y}", " @ ".join([_shape(z) for z in node.operands])
        if one.kind == LOOK_UP and len(node.operands) == 3:
            at, x, y = [names[z] for z in node.operands]
            product = f"{x}.T @ {y}" if node.row is COLLECT else f"{x} @ {y}"
            return f"{left} = {product}", f"{_shape(node)} by rows, where {at} says that {x} is one-hot"
        if one.kind == JOIN:
            copied = [names[x] for x, _ in self.joint.layout.copies[node]]
            return (f"{left} = join({self._named(node.operands)})",
                    f"{_shape(node)} " + (f"copies {', '.join(copied)}" if copied else "in place"))
        if hasattr(node.row, "body"):
            self.loops[left] = node.row
            return f"{left} = loop({self._named(reads(node))})", (
                f"{node.row.count} steps, " + ("of machine numbers" if node.row.kernel is not None else "of the list below"))
        how = " in Python" if one.kind == PYTHON else ""
        return f"{left} = {node.row.name}({self._named(reads(node))})", _shape(node) + how

    def _named(self, nodes):
        shown = [self.names[node] for node in nodes]
        return ", ".join(shown if len(shown) <= 16 else [*shown[:7], "..", *shown[-7:]])

    def __str__(self):
        lines = []
        for title, part in zip(PARTS, self.parts):
            if part:
                width = min(60, max([len(line) for _, (line, _) in part]))
                lines += [f"{title}: {len(part)} instructions", *[f"    {line:{width}}  {what}" for _, (line, what) in part]]
        lines.append(memory_of(self.joint))
        for name, loop in self.loops.items():
            lines += [f"loop {name}:", *["    " + line for line in str(loop).splitlines()]]
        for text, letter in self.kernels.items():
            lines += [f"kernel {letter}, for each element:", *["    " + line for line in _formulas(text)]]
        return "\n".join(lines)


def memory_of(joint):
    """A line on the memory of a program."""
    saved, scratch = joint.size
    again = f"; {len(joint.copies)} operations are computed again" if joint.copies else ""
    budget = "" if joint.memory is None else f", of {joint.memory:,} at most"
    return f"memory: {saved:,} bytes from forward to backward, {scratch:,} bytes meanwhile{budget}{again}"


def _formulas(text):
    """The lines of a kernel that compute: x0, x1, .. are its operands, in order; it ends with its results."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line.startswith("v")]
    return [*found, "return " + ", ".join([line.split(", ")[2] for line in lines if line.startswith("put")])]


def _shape(node):
    return "x".join(map(str, node.shape)) or "scalar"


def profile(joint, values, deltas, repeats=20):
    """[(part, line, what it is, seconds)] of every instruction, each run by itself; the least of `repeats` runs."""
    arrays, restore = joint.prepared(values, deltas)
    listing, found = Listing(joint), []
    for title, code, lines in zip(PARTS, joint.parts, listing.parts):
        stops = [start for start, _ in lines[1:]] + [len(code.words) - 1]
        for (start, (line, what)), stop in zip(lines, stops):
            found.append((title, line, what, min([_time(code, start, stop, arrays) for _ in range(repeats)])))
    restore()
    return found


def _time(code, start, stop, arrays):
    if start in code.steps:
        begin = perf_counter()
        code.steps[start](arrays)
        return perf_counter() - begin
    words, arrays = np.array([*code.words[start:stop], STOP], np.int64), tuple(arrays)
    begins = machine.start(0, len(arrays), len(arrays))
    begin = perf_counter()
    machine.run(words, arrays, begins)
    return perf_counter() - begin
