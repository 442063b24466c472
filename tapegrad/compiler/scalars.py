"""Loops over scalars, and over arrays of few elements, as the text of one kernel: a loop over machine numbers.

Every element of every array in the body is a number of the kernel. Rows that move elements (reshape, getitem, stack, ..) are
run on the numbers of the elements, by their own G, and leave no trace in the text; elementwise rows become a line per element,
in the forms of primitives/scalar.py; sums and products of matrices become those. What the text says does not depend on the
number of steps or on the values of constants, so that a kernel serves many loops (kernels/loops.py compiles and keeps it).

    params    int64: the number of steps, the address of the result, the addresses of the operands, the address of constants
"""

from math import prod

import numpy as np

from tapegrad.kernels import loops
from tapegrad.primitives.node import Node
from tapegrad.primitives.registry import table
from tapegrad.primitives.scalar import formula, has_formula, scalar_node

STATEMENTS = 400, 1500      # of a kernel for few steps, and for many: compiling takes 3 ms for each
MANY = 10                   # steps for which a statement more is compiled
FEWEST = 2000               # statements that all steps run: fewer take about as many us, node by node
ELEMENTS = 64               # of an array
MOVING = "alias", "reshape", "transpose", "broadcast_to", "getitem", "stack", "concatenate", "roll"
UNLISTED = "ones", "add_at", "sum_rows"             # rows of reverse graphs that are not in the registry
LITERALS = {0, 1, 2, 3, 4, -1, -2, 0.5, -0.5}       # other constants are read: another value is not another kernel


class Unfit(Exception):
    """The body of a loop is not one of few numbers."""


class Flat:
    """A graph over numbers.

    lines      [(name, node)] in order, the statements `name = formula(node)`
    names      {scalar node: its name}
    constants  the constants that are read, in their order
    of         {node of the graph: an array of the places of its elements in `elements`}
    elements   the scalar nodes and literals
    """

    def __init__(self, graph, dtype, longest):
        self.dtype, self.longest, self.lines, self.names, self.constants = dtype, longest, [], {}, []
        self.of, self.elements, self._places = {}, [], {}
        for i, x in enumerate(graph.inputs):
            places = [self._place(self._named(f"x{i}_{j}", x.dtype)) for j in range(prod(self._checked(x).shape))]
            self.of[x] = np.array(places, np.intp).reshape(x.shape)
        for node in graph.nodes:
            self.of[node] = self._node(self._checked(node))

    def _checked(self, x):
        if x.dtype != self.dtype and x.dtype.kind != "b" or prod(x.shape) > ELEMENTS:
            raise Unfit(f"{x.dtype} {x.shape}")
        return x

    def text(self, place):
        """What stands for an element in the text of the kernel."""
        x = self.elements[place]
        if isinstance(x, Node):
            return f"number({self.names[x]})" if x.dtype.kind == "b" else self.names[x]
        return f"number({x!r})"

    def _place(self, x):
        if isinstance(x, Node):
            self.elements.append(x)
            return len(self.elements) - 1
        key = type(x), x or repr(x)
        if key not in self._places:
            if isinstance(x, bool) or x in LITERALS:
                self._places[key] = self._literal(x)
            else:
                self._places[key] = self._place(self._named(f"c{len(self.constants)}", self.dtype))
                self.constants.append(x)
        return self._places[key]

    def _literal(self, x):
        self.elements.append(x)
        return len(self.elements) - 1

    def _named(self, name, dtype):
        node = Node(None, (), (), (), dtype)
        self.names[node] = name
        return node

    def _line(self, row, *operands):
        if len(self.lines) >= self.longest:
            raise Unfit("too many statements")
        node = scalar_node(row, tuple([self.elements[x] for x in operands]))
        name = f"t{len(self.lines)}"
        self.lines.append((name, node))
        self.names[node] = name
        return self._place(node)

    def _operand(self, x):
        """The places of an operand."""
        if isinstance(x, Node):
            return self.of[x]
        if hasattr(x, "dtype"):
            if x.dtype.kind not in "bf" or x.size > ELEMENTS:
                raise Unfit(f"a constant {x.dtype} {x.shape}")
            return np.array([self._place(float(v)) for v in x.ravel()], np.intp).reshape(x.shape)
        if type(x) not in (bool, int, float):
            raise Unfit(f"a {type(x).__name__}")
        return np.array(self._place(x))

    def _node(self, z):
        if (table.get(z.row.name) is not z.row) != (z.row.name in UNLISTED):
            raise Unfit(f"{z.row.name} is not of the registry")
        name, xs = z.row.name, [self._operand(x) for x in z.operands]
        if name == "power" and type(z.operands[1]) in (int, float):
            xs[1] = np.array(self._literal(z.operands[1]))      # whole powers are products
        if name in MOVING:
            moved = z.row.plain(xs, *z.static) if z.row.variadic else z.row.plain(*xs, *z.static)
            return np.asarray(moved)
        if (special := getattr(self, f"_{name}", None)) is not None:
            return special(z, *xs, *z.static)
        if not has_formula(z.row) or z.static:
            raise Unfit(name)
        return self._elementwise(z.row, z.shape, xs)

    def _elementwise(self, row, shape, xs):
        columns = [np.broadcast_to(x, shape).ravel() for x in xs]
        return np.array([self._line(row, *places) for places in zip(*columns)], np.intp).reshape(shape)

    def _full(self, z, value):
        return np.full(z.shape, self._place(value))

    def _zeros_like(self, z, x):
        return self._full(z, 0)

    def _ones_like(self, z, x):
        return self._full(z, 1)

    def _ones(self, z, *static):
        return self._full(z, 1)

    def _astype(self, z, x, dtype):
        if np.dtype(dtype) != self.dtype:
            raise Unfit(f"astype {dtype}")
        return x

    def _scatter(self, z, d, index, shape):
        return self._put(self._full(z, 0), d, index)

    def _setitem(self, z, x, y, index):
        return self._put(x.copy(), y, index)

    def _put(self, x, y, index):
        counted = np.zeros(x.shape, np.intp)
        np.add.at(counted, index, 1)
        if counted.max(initial=0) > 1:
            raise Unfit("an index that occurs twice")
        x[index] = y
        return x

    def _add_at(self, z, held, d, index):
        at = held[index]
        return self._put(held.copy(), self._elementwise(table["add"], at.shape, [at, np.broadcast_to(d, at.shape)]), index)

    def _sum_rows(self, z, x):
        return self._sum(z, x, (0,), False)

    def _sum(self, z, x, axis, keepdims):
        axes = tuple(range(x.ndim)) if axis is None else axis
        rest = [i for i in range(x.ndim) if i not in axes]
        rows = x.transpose([*axes, *rest]).reshape(-1, *[x.shape[i] for i in rest])
        if not len(rows):
            return self._full(z, 0)
        total = rows[0]
        for row in rows[1:]:
            total = self._elementwise(table["add"], total.shape, [total, row])
        return np.asarray(total).reshape(z.shape)

    def _mean(self, z, x, axis, keepdims):
        total = self._sum(z, x, axis, keepdims)
        return self._elementwise(table["divide"], z.shape, [total, np.array(self._place(x.size / max(1, total.size)))])

    def _matmul(self, z, x, y):
        x2, y2 = x[None] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y
        if x2.ndim != 2 or y2.ndim != 2:
            raise Unfit("stacks of matrices")
        products = self._elementwise(table["multiply"], (*x2.shape, y2.shape[1]), [x2[:, :, None], y2[None]])
        return self._sum(z, products, (1,), False)


def _source(loop):
    dtype, body, first = loop.dtype, loop.body, loop.arity - loop.rows
    if dtype not in (np.dtype(float), np.dtype(np.float32)) or len(set(loop.dtypes)) > 1:
        raise Unfit(str(dtype))
    few, most = STATEMENTS
    flat = Flat(body, dtype, min(most, max(few, loop.count * MANY)))
    sizes = [prod(x.shape) for x in (*body.inputs, *body.outputs)]
    operands, results = sizes[:loop.arity], sizes[loop.arity:]
    if len(flat.lines) * loop.count < FEWEST:
        raise Unfit("too few statements")
    text = ["def loop(params):", "n = params[0]", "z = pointer(params[1], number)"]
    text += [f"p{i} = pointer(params[{2 + i}], number)" for i in range(loop.arity)]
    if flat.constants:
        text += [f"c = pointer(params[{2 + loop.arity}], number)"]
        text += [f"c{i} = c[{i}]" for i in range(len(flat.constants))]
    truth = [" != number(0)" if x.dtype.kind == "b" else "" for x in body.inputs]       # a condition comes as a number
    text += [f"x{i}_{j} = p{i}[{j}]{truth[i]}" for i in range(first) for j in range(operands[i])]
    text.append("for step in range(n):")
    inside = ["k = n - 1 - step" if loop.backward else "k = step"]
    inside += [f"x{i}_{j} = p{i}[k * {operands[i]} + {j}]{truth[i]}"
               for i in range(first, loop.arity) for j in range(operands[i])]
    inside += [f"{name} = {formula(node, flat.names)}" for name, node in flat.lines]
    begin, stacked = sum(results[:loop.carries]), 0
    for z, size in zip(body.outputs[loop.carries:], results[loop.carries:]):
        inside += [f"z[{begin} + {stacked} * n + k * {size} + {j}] = {flat.text(place)}"
                   for j, place in enumerate(flat.of[z].ravel())]
        stacked += size
    new = [flat.text(place) for z in body.outputs[:loop.carries] for place in flat.of[z].ravel()]
    old = [f"x{i}_{j}" for i in range(loop.carries) for j in range(operands[i])]
    inside += [f"n{i} = {value}" for i, value in enumerate(new)]
    inside += [f"{name} = n{i}" for i, name in enumerate(old)]
    text += [f"    {line}" for line in inside]
    text += [f"z[{i}] = {name}" for i, name in enumerate(old)]
    return "\n    ".join(text) + "\n", flat.constants


class Kernel:
    """A compiled loop, called as kernel(operands, z): it fills the vector z.

    address     void(int64 *params): see above; operands are in order, and of the loop's dtype, conditions too
    constants   the constants whose address is the last of the params
    text        its source
    """

    def __init__(self, loop, compiled, text, constants):
        self.run, self.address, self.text, self.constants = compiled, compiled.address, text, np.array(constants, loop.dtype)
        self.count, self.dtype = loop.count, loop.dtype

    def __call__(self, operands, z):
        held = [z, *[np.ascontiguousarray(x, self.dtype) for x in operands], self.constants]
        self.run(np.array([self.count, *[x.__array_interface__["data"][0] for x in held]], np.int64))


def source(loop):
    """(the text of the kernel of a Loop, the constants that it reads); None if the body is not one of few numbers."""
    try:
        return _source(loop)
    except (Unfit, TypeError):                          # TypeError: a form has no text for these operands
        return None


def kernel(loop):
    """The Kernel of a Loop, or None: without numba, or if it has no source."""
    if loop.source is None:
        return None
    text, constants = loop.source
    compiled = loops.compiled(text, loop.dtype)
    return compiled and Kernel(loop, compiled, text, constants)
