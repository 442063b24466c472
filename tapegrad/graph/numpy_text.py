"""Writing a graph and its deltas as a NumPy function, with one line per named node.

A delta gets a line of its own if it is used more than once, is accumulated, or is long; unused nodes are not written.
"""

import re
import textwrap
from collections import Counter

import numpy as np

from tapegrad.graph.numpy_forms import ATOM, NOTHING, SUM, argument, literal, subscript
from tapegrad.graph.numpy_helpers import Writer, unwritten
from tapegrad.graph.reverse import ADD_AT, Reverse
from tapegrad.primitives import Primitive
from tapegrad.primitives.node import Node, node_of

WIDTH, SHORT, LONG = 120, 40, 90
VIEW = re.compile(r"\w+(\.T|\.reshape\([\d, ()]*\))")   # a view costs nothing, so it may be repeated wherever it is used
ZEROS, COPY = Primitive("zeros", np.zeros, ()), Primitive("copy", np.copy, (None,))


class NumpyText:
    """The lines of a captured graph and of the deltas of some of its leaves.

    parameters       the names of the arguments
    arrays           {id of an array: (its name, the array)} of the constants and static arguments
    forward, reverse   lines of the function
    value, gradients   the text of the result, and {leaf's name: text of its delta}
    """

    def __init__(self, part, wrt):
        self.part, self.writer, self.arrays, self.written = part, Writer(), {}, {}
        graph = part.graph
        self.names, self.results = dict(graph.names), set(graph.nodes)
        for node in graph.nodes:
            self._check(node)
        self.back = Reverse(graph, [node for node in part.leaves if graph.names[node] in wrt])
        for node in part.hooked & self.back.needed:
            what = "the leaf " if node in part.leaves else f"{node.row.name} cannot be written in NumPy: "
            raise unwritten(None, f"{what}{graph.names[node]} has a hook, a function{', which' * (node in part.leaves)}")
        self.pinned = {*graph.nodes, *self.back.sums, *[d for d in self.back.delta_of if not d.operands]}
        for d, y in self.back.delta_of.items():
            self.names.setdefault(d, f"d_{graph.names[y]}")
        found = {self.names[leaf]: self._gradient(leaf) for leaf in part.leaves if leaf in self.back.needed}
        self._write([graph.outputs[-1], *found.values()])
        self.value, self.gradients = self.written[graph.outputs[-1]], {name: self.written[d] for name, d in found.items()}

    def _check(self, node):
        if node.dtype.kind == "c":
            raise unwritten(node.row.name, "its result is complex")
        keys = (*node.row.static_names, *["argument"] * len(node.static))
        for key, value in zip(keys, node.static):
            for item in value if type(value) is tuple else (value,):
                if isinstance(item, np.ndarray) and id(item) not in self.arrays:
                    self.arrays[id(item)] = self.part.unique(f"{self.names[node]}_{key}"), item
        try:
            self.writer.form(node)
        except TypeError as error:
            raise unwritten(node.row.name, error) from error

    def _gradient(self, leaf):
        """The delta of a leaf, named d_leaf: a copy if it is also the delta of another node."""
        name, d = f"d_{self.names[leaf]}", self.back.deltas.get(leaf)
        if d is None:
            d = node_of(ZEROS, (), (leaf.shape, leaf.dtype))
        elif self.names.get(d) != name or d.row.view:
            d = node_of(COPY, (d,))
        self.names[d] = name
        self.pinned.add(d)
        return d

    def _write(self, roots):
        inputs = self.part.graph.inputs
        self.uses, live, waiting = Counter(roots), dict.fromkeys(roots), list(roots)
        while waiting:
            used = [x for x in self._operands(waiting.pop()) if isinstance(x, Node)]
            self.uses.update(used)
            new = [x for x in dict.fromkeys(used) if x not in live and x.row is not None]
            live.update(dict.fromkeys(new))
            waiting += new
        live = sorted(live, key=lambda node: node.serial)
        arrays = {id(x): x for node in live for x in self._operands(node) if isinstance(x, np.ndarray)}
        for key, x in arrays.items():
            if key not in self.arrays:
                self.arrays[key] = self.part.unique("array"), x
        self.parameters = [self.names[x] for x in inputs if self.uses[x]] + [self.arrays[key][0] for key in arrays]
        self.written = {x: self.names[x] for x in inputs}
        self.grown = {held: node for node, held in self.back.sums.items() if node in self.uses}
        self.forward = self._lines([node for node in live if node in self.results])
        self.reverse = self._lines([node for node in live if node not in self.results])

    def _operands(self, node):
        return [part[0] for part in self._form(node)[0] if type(part) is tuple]

    def _lines(self, nodes):
        lines, told = [], None
        for node in nodes:
            for statement in self._statements(node):
                entry = node if node in self.results or node.row in (ZEROS, COPY) else self.back.origin(node)
                lines += _commented(*statement, "" if entry is told else self._comment(node, entry))
                told = entry
        return lines

    def _comment(self, node, entry):
        if node in self.results:
            return f"{node.row.name}, {node.shape}" if node.shape else node.row.name
        if node is entry or entry is self.part.graph.outputs[-1] and not node.operands:
            return ""
        operands = [self.part.graph.names[x] if isinstance(x, Node) else repr(x) for x in entry.operands]
        return f"{self.names[entry]} = {entry.row.name}({', '.join(operands)})"

    def _statements(self, node):
        """The statements ("variable = ", text) that compute a node; none if it is written inline in others."""
        form, level = self._form(node)
        text, name, fresh = self._joined(form), self.names.get(node), not node.row.view
        grown, held = self.grown.get(node), self.back.sums.get(node)
        grows = grown is not None and name == self.names[grown] and self.uses[node] == 1 and fresh
        if not (node in self.pinned or grows):
            short = len(text) <= (SHORT if name else LONG)
            if self.uses[node] == 1 and short or VIEW.fullmatch(text):
                self.written[node] = text, level
                return []
        stays = held is not None and self.written[held] == name and self.uses[held] == 1
        if not (stays or node in self.results):
            name = self.part.unique(name or "t")
        self.written[node] = name
        stays = stays and not held.row.view
        if node.row is ADD_AT:
            return [*([] if stays else [(f"{name} = ", f"{self._operand(held, ATOM)}.copy()")]), self._added_at(node, name)]
        return [(f"{name} += ", self._operand(node.operands[1], NOTHING))] if stays else [(f"{name} = ", text)]

    def _form(self, node):
        if node.row is ADD_AT:
            held, d = node.operands
            return ((held, ATOM), *subscript(node.static[0]), (d, NOTHING)), ATOM
        if node in self.back.sums:
            return ((node.operands[0], SUM), " + ", (node.operands[1], SUM + 1)), SUM
        return self.writer.form(node)

    def _added_at(self, node, name):
        """The statement that adds to some elements of a delta."""
        (_, d), index = node.operands, node.static[0]
        if any(isinstance(item, np.ndarray) for item in (index if type(index) is tuple else (index,))):
            return "", f"np.add.at({name}, {self._joined(argument(index))}, {self._operand(d, NOTHING)})"
        return f"{name}[{self._joined(subscript(index))}] += ", self._operand(d, NOTHING)

    def _joined(self, form):
        return "".join(part if type(part) is str else self._operand(*part) for part in form)

    def _operand(self, x, level):
        """The text of an operand, in parentheses if its precedence is lower than `level`."""
        if isinstance(x, Node):
            written = self.written[x]
            text, own = (written, ATOM) if type(written) is str else written
        elif isinstance(x, np.ndarray):
            text, own = self.arrays[id(x)][0], ATOM
        else:
            text, own = literal(x)
        return text if own >= level else f"({text})"


def _commented(left, text, comment):
    """The lines of a statement of the function, with the comment at the end of the line or above it."""
    lines = [f"    {left}{text}"]
    if len(lines[0]) > WIDTH:
        lines = [f"    {left}(", *textwrap.wrap(text, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8,
                                               break_long_words=False, break_on_hyphens=False), "    )"]
    if not comment:
        return lines
    at_the_end = f"{lines[0]:<60}  # {comment}"
    if len(lines) == 1 and len(at_the_end) <= WIDTH:
        return [at_the_end]
    return [f"    # {textwrap.shorten(comment, WIDTH - 8, placeholder=' ..')}", *lines]


def filled(start, items, end):
    """`start`, the items separated by commas, and `end`, wrapped to WIDTH."""
    lines = [start]
    for i, item in enumerate(items):
        item += end if i == len(items) - 1 else ","
        if len(lines[-1]) + 1 + len(item) > WIDTH and lines[-1] != start:
            lines.append(" " * len(start) + item)
        else:
            lines[-1] += item if lines[-1] == start else f" {item}"
    return lines if items else [start + end]
