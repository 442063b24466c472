"""A tape written out as a NumPy program: a function of the leaves that returns the result and its gradients.

The forward sweep has a line per entry, under the tape's names. The reverse sweep has the lines

    d_y = d_z * ..          # z = g(y, ..)
    d_W += x.T.dot(d_z)

which come from the derivative rules (graph.py). A delta gets a line of its own where it is used more than once, is added
to, or is long; what nothing needs is not written.

What is the same to the last bit. In float64 the result and the gradients have the same bits as on the tape, with the same
NumPy. Where numba compiles sigmoid, tanh and relu, the program has a function with the very operations of the kernel's
formula (kernels.py); where it doesn't, the NumPy formula that stands in for it. Matrix products are the same where the same
BLAS computes them with as many threads. In float32, too, where numba is switched off: its kernels of sigmoid and tanh have
fused multiply-adds where the machine has them, others add a product to a delta in one call (accumulation.py) or take a cross
entropy in one pass (narrow_rows.py), and the last bits differ.
"""

import builtins
import keyword
import re
import textwrap
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tapegrad.errors import GradientError
from tapegrad.export.expressions import ATOM, NOTHING, Expression, argument, literal, subscript
from tapegrad.export.files import replacing
from tapegrad.export.graph import Graph
from tapegrad.export.listed import evaluated
from tapegrad.export.part import Part
from tapegrad.functions.tensor import Tensor
from tapegrad.kernels.elementwise import PLAIN
from tapegrad.primitives import table

WIDTH, SHORT, LONG = 120, 40, 90
VIEW = re.compile(r"\w+(\.T|\.reshape\([\d, ()]*\))")   # costs nothing, and may be written wherever it is used


@dataclass
class NumpyProgram:
    """What `export_numpy` gives; `print` shows the text.

    text       of the program
    inputs     {name: array} of the arguments of its function: the leaves, the constants, the arrays that are indices
    """

    text: str
    inputs: dict

    def __str__(self):
        return self.text

    def save(self, path):
        """Write the text to `path`, and the inputs beside it as an .npz, from which the program reads them when it is run."""
        with replacing(Path(path).with_suffix(".npz")) as file:
            np.savez(file, allow_pickle=False, **self.inputs)
        with replacing(path) as file:
            file.write(self.text.encode())


def export_numpy(loss, path=None, *, name="step", wrt=None, leaves=None):
    """The tape of `loss` as a program: `def step(W, b, x): .. return loss, {"W": d_W, "b": d_b}`, which needs only NumPy.

    loss     a tensor that is a single number
    path     of the .py file to write, with the arguments' values beside it in an .npz; by default no file is written
    name     of the function
    wrt      the names of the leaves whose gradients are wanted; by default all
    leaves   {name: array} of leaves that are not to be looked up, as for `save_tape`

    Returns a NumpyProgram. Raises WengertError that names the row where there is no NumPy text for one, say a primitive of a
    user; GradientError and ConsumedTapeError as `backward` does.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"export_numpy: the function can't be called {name!r}")
    if not isinstance(loss, Tensor):
        raise TypeError(f"export_numpy: a tensor is needed, and this is a {type(loss).__name__}")
    taken = {name, "np", "Path", "l", "I", "O", *keyword.kwlist, *dir(builtins), *table, *[f"{g}_float32" for g in PLAIN]}
    part = Part(loss, "export_numpy", taken)
    if loss.size != 1:
        raise GradientError(f"export_numpy: the result has shape {loss.shape}; only a single number has a gradient by itself")
    names = [part.name(leaf) for leaf in part.leaves]
    for wanted in wrt or ():
        if wanted not in names:
            raise GradientError(f"export_numpy: {wanted!r} is none of the leaves, which are {', '.join(names)}")
    with np.errstate(all="ignore"):                     # the values that stand in are nobody's
        text = Text(Graph(part, names if wrt is None else wrt))
    _, _, starting, constants, _ = evaluated(part, leaves)
    values = {**starting, **constants, **dict(text.arrays.values())}
    written = NumpyProgram(text.program(name), {parameter: values[parameter] for parameter in text.parameters})
    if path is not None:
        written.save(path)
    return written


class Text:
    """The lines of a graph.

    uses       {expression: how often the expressions that are written use it}
    written    {expression: the variable that holds it, or (its text, how tightly that holds together)}
    grown      {delta: the expression that adds to it}
    """

    def __init__(self, graph):
        self.graph, self.part, self.arrays = graph, graph.part, graph.arrays
        part, last = graph.part, graph.part.entries[-1]
        self.roots = [graph.of[id(last)], *graph.gradients.values()]
        self.uses, live = _uses(self.roots)
        arrays = {id(x): x for node in live for x in node.operands if isinstance(x, np.ndarray)}
        for key, x in arrays.items():
            if key not in self.arrays:
                self.arrays[key] = part.unique("array"), x
        inputs = [graph.of[id(x)] for x in (*part.leaves, *part.constants)]
        self.parameters = [x.name for x in inputs if self.uses[x]] + [self.arrays[key][0] for key in arrays]
        self.written = {x: x.name for x in inputs}
        self.grown = {node.held: node for node in live if node.held is not None}
        self.forward = self._lines([node for node in live if node.order < graph.turn])
        self.reverse = self._lines([node for node in live if node.order > graph.turn])

    def program(self, function):
        """The whole file."""
        part, z = self.part, self.part.name(self.part.entries[-1])
        if function in {"np", "Path", *self.graph.F.helpers}:
            raise ValueError(f"export_numpy: the function can't be called {function!r}, a name that the program uses")
        described = {part.name(x): f"{x.dtype} {x.shape}" for x in (*part.leaves, *part.constants)}
        described |= {name: f"{x.dtype} {x.shape}" for name, x in self.arrays.values()}
        leaves = {part.name(leaf) for leaf in part.leaves}
        given = [f"    {name:<12} {described[name]}{', leaf' * (name in leaves)}" for name in self.parameters]
        helpers = [line for text in self.graph.F.helpers.values() for line in (*text.split("\n"), "", "")]
        imports = sorted(self.graph.F.imports)
        found = [f'"{leaf}": {self.written[d]}' for leaf, d in self.graph.gradients.items()]
        return "\n".join([
            f'"""{z} and its gradients: a tape of tapegrad, written out.', "",
            f"{function}(..) runs the forward sweep, then the reverse sweep, where d_y is the delta of y: the derivative of",
            f"{z} with respect to y. It returns the value and {{leaf: gradient}}.", "", *given, '"""', "",
            *[line for line in imports if line.startswith("import")], "from pathlib import Path", "", "import numpy as np",
            *[line for line in imports if line.startswith("from")], "", "", *helpers,
            *_filled(f"def {function}(", self.parameters, "):"), *self.forward, "", *self.reverse, "",
            *_filled(f"    return {self.written[self.roots[0]]}, {{", found, "}"), "", "",
            'if __name__ == "__main__":', '    with np.load(Path(__file__).with_suffix(".npz")) as inputs:',
            f"        value, gradients = {function}(**inputs)", f'    print("{z} =", value)',
            "    for leaf, gradient in gradients.items():", '        print(f"d {leaf} =", gradient, sep="\\n")', ""])

    def _lines(self, nodes):
        lines, told = [], None
        starts = [start for start, _ in self.graph.comments]
        for node in nodes:
            if node in self.written:
                continue
            for statement in self._statements(node):
                entry = bisect_right(starts, node.order) - 1
                lines += _commented(*statement, "" if entry == told else self.graph.comments[entry][1])
                told = entry
        return lines

    def _statements(self, node):
        """("variable = ", text) of what an expression is computed by; nothing, where it is written inside of others."""
        text, grown = self._text(node), self.grown.get(node)
        grows = grown is not None and node.name == grown.name and self.uses[node] == 1 and node.fresh
        if not (node.pinned or grows):
            short = len(text) <= (SHORT if node.name else LONG)
            if self.uses[node] == 1 and short or VIEW.fullmatch(text):
                self.written[node] = text, node.level
                return []
        held, statements = node.held, []
        stays = held is not None and self.written[held] == node.name and self.uses[held] == 1
        name = node.name if stays or node.order < self.graph.turn and node.name else self.part.unique(node.name or "t")
        self.written[node] = name
        if node.index is not None:
            if not (stays and held.fresh):
                statements.append((f"{name} = ", f"{self._operand(held, ATOM)}.copy()"))
            return [*statements, self._added_at(node, name)]
        if stays and held.fresh:
            return [(f"{name} += ", self._operand(node.operands[1], NOTHING))]
        return [(f"{name} = ", text)]

    def _added_at(self, node, name):
        """The statement that adds to some elements of a delta."""
        d = self._operand(node.operands[-1], NOTHING)
        if any(isinstance(item, np.ndarray) for item in (node.index if type(node.index) is tuple else (node.index,))):
            return "", f"np.add.at({name}, {self._joined(argument(node.index))}, {d})"
        return f"{name}[{self._joined(subscript(node.index))}] += ", d

    def _text(self, node):
        return self._joined(node.parts)

    def _joined(self, parts):
        return "".join(part if type(part) is str else self._operand(*part) for part in parts)

    def _operand(self, x, level):
        """The text of an operand, in parentheses where it would fall apart."""
        if isinstance(x, Expression):
            written = self.written[x]
            text, own = (written, ATOM) if type(written) is str else written
        elif isinstance(x, np.ndarray):
            text, own = self.arrays[id(x)][0], ATOM
        else:
            text, own = literal(x)
        return text if own >= level else f"({text})"


def _uses(roots):
    """({node: how often the expressions that are written use it}, those expressions in order)."""
    uses, seen, stack = Counter(roots), set(roots), list(roots)
    while stack:
        for x in stack.pop().operands:
            if isinstance(x, Expression):
                uses[x] += 1
                if x not in seen:
                    seen.add(x)
                    stack.append(x)
    return uses, sorted(seen, key=lambda node: node.order)


def _commented(left, text, comment):
    """The lines of a statement of the function, with the comment at the end, or above."""
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


def _filled(start, items, end):
    """`start`, the items with commas between them, and `end`, on as many lines as they need."""
    lines = [start]
    for i, item in enumerate(items):
        item += end if i == len(items) - 1 else ","
        if len(lines[-1]) + 1 + len(item) > WIDTH and lines[-1] != start:
            lines.append(" " * len(start) + item)
        else:
            lines[-1] += item if lines[-1] == start else f" {item}"
    return lines if items else [start + end]
