"""The text of a kernel of elementwise nodes.

Kernels of the same structure have the same text, and are compiled once: operands and results are numbered by the structure, and
constants that are not small whole numbers are operands. The forms of an operand of rows x columns:

    full      an element for each; with a row stride of 0 the same row for all
    column    one element per row
    cycle n   one element per row, the same again after n rows, as one per channel
    scalar    one element
"""

import zlib
from math import prod

import numpy as np

from tapegrad.primitives.node import Node
from tapegrad.primitives.scalar import COMPARISONS, CONDITION, FORMS, OF_CONDITIONS, formula

REAL, WHOLE = (np.dtype(np.float32), np.dtype(np.float64)), np.dtype(np.int64)


def form_of(shape, of, split=None):
    """The form of an operand of this shape in a kernel of shape `of`, whose rows are those of the first `split` axes, all but
    the last if None; or None if kernels do not read it."""
    split = max(len(of) - 1, 0) if split is None else split
    if shape == of and of:
        return "full"
    if all([n == 1 for n in shape]):
        return "scalar"
    padded = (1,) * (len(of) - len(shape)) + shape
    if padded[split:] == of[split:] and all([n == 1 for n in padded[:split]]):
        return "full"
    if any([n != 1 for n in padded[split:]]):
        return None
    if padded[:split] == of[:split]:
        return "column"
    ones = next(k for k, n in enumerate(padded) if n != 1)
    return f"cycle {prod(of[ones:split])}" if padded[ones:split] == of[ones:split] else None


def split_of(node):
    """How many of the axes of an elementwise node count its rows, so that each operand has a form; None if there is no way."""
    shapes = [x.shape for x in values_read(node)]
    for split in range(max(node.ndim - 1, 0), 0 if node.ndim > 1 else -1, -1):
        if all([form_of(shape, node.shape, split) for shape in shapes]):
            return split
    return None


def is_condition(x):
    """Whether x is a comparison that a kernel computes where it is used."""
    if not _is_boolean(x) or x.row is None:
        return False
    if x.row.name in OF_CONDITIONS:
        return all(map(_is_boolean, x.operands))
    if x.row.name in ("equal", "not_equal") and all([getattr(y, "dtype", None) == WHOLE for y in x.operands]):
        return all([isinstance(y, Node) for y in x.operands])
    return x.row.name in COMPARISONS and all([y.dtype in REAL if isinstance(y, Node) else np.ndim(y) == 0 for y in x.operands])


def _is_boolean(x):
    """Whether x is booleans: those that are no conditions are read by kernels."""
    return isinstance(x, Node) and x.dtype == CONDITION


def values_read(node):
    """The operands whose values are read: of a comparison those that it compares."""
    return [y for x in node.operands if isinstance(x, Node) for y in (values_read(x) if is_condition(x) else [x])]


def is_elementwise(node):
    """Whether a kernel can compute the node."""
    name = node.row.name
    if node.dtype not in REAL or node.size == 0:
        return False
    if name in ("astype", "where"):
        return _is_boolean(node.operands[0]) and _readable(node)
    return (name in FORMS and name not in COMPARISONS or name == "power") and _readable(node)


def _readable(node):
    return (all([x.dtype in (node.dtype, WHOLE, CONDITION) for x in values_read(node)]) and split_of(node) is not None
            and all([x.dtype in (node.dtype, CONDITION) for x in node.operands if isinstance(x, Node)])
            and all([isinstance(x, Node) or type(x) in (int, float) for x in node.operands]))


def kernel_text(nodes, results, shape, split, over):
    """(the text, its results, its operands), the last two in the order of the kernel's parameters. Where `over`, {result:
    operand}, says that a result is written over an operand, that is read at the address of the result, and has none."""
    inside = set(nodes)
    digest = _digests(nodes, inside, lambda x: (form_of(x.shape, shape, split), x.dtype.kind))
    results = sorted(results, key=lambda node: (digest[node], node.serial))
    order, read = _ordered(results, inside)
    names = {node: f"v{i}" for i, node in enumerate(order)} | {x: f"x{i}" for i, x in enumerate(read)}
    covered = set(over.values())
    operands = [x for x in read if x not in covered]
    n = len(results) + len(operands)
    before, row, inner, periods = [], [], [], {}
    for k, x in enumerate((*results, *operands)):
        y = over.get(x) if k < len(results) else x      # what is read there
        form = "full" if k < len(results) else form_of(x.shape, shape, split)
        before.append(f"a{k}, s{k} = p[{2 + 2 * k}], p[{3 + 2 * k}]")
        kind = "int64" if x.dtype == WHOLE else "bool" if x.dtype == CONDITION else "number"
        read = "" if y is None else f"{names[y]} = get(a{k}, {{}}, {k}, {n}, {kind})"
        if form == "scalar":
            before.append(read.format(0))
        elif form == "column":
            row.append(read.format(f"r * s{k}"))
        elif form.startswith("cycle"):
            period = form.split()[1]
            periods[period] = None
            row.append(read.format(f"m{period} * s{k}"))
        else:
            row.append(f"q{k} = r * s{k}")
            if read:
                inner.append(read.format(f"q{k} + c"))
    inner += [f"{names[node]} = {formula(node, names)}" for node in order]
    inner += [f"put(a{k}, q{k} + c, {names[node]}, {k}, {n}, number)" for k, node in enumerate(results)]
    before += [f"m{period} = 0" for period in periods]
    after = [line for period in periods for line in (f"m{period} += 1", f"if m{period} == {period}:", f"    m{period} = 0")]
    text = "\n".join(["def kernel(p):", *_indented(4, before), "    for r in range(p[0]):", *_indented(8, row),
                      "        for c in range(p[1]):", *_indented(12, inner), *_indented(8, after)])
    return text + "\n", results, operands


def _indented(by, lines):
    return [" " * by + line for line in lines]


def _ordered(results, inside):
    """(the nodes, operands first; what is read), in an order that the structure determines."""
    order, operands, seen = [], [], set()
    for result in results:
        waiting = [(result, False)]
        while waiting:
            x, ready = waiting.pop()
            if ready:
                order.append(x)
            elif x not in seen:
                seen.add(x)
                if x in inside:
                    waiting.append((x, True))
                    waiting += [(y, False) for y in reversed(values_read(x))]
                else:
                    operands.append(x)
    return order, operands


def _digests(nodes, inside, form):
    """{node: a number that depends on what it computes of which forms of operands}"""
    found = {}
    for node in nodes:
        found[node] = _digest(node, found, inside, form)
    return found


def _digest(node, found, inside, form):
    parts = [node.row.name]
    for x in node.operands:
        if not isinstance(x, Node):
            parts.append(x)
        elif is_condition(x):
            parts.append(_digest(x, found, inside, form))
        else:
            parts.append(found[x] if x in inside else form(x))
    return zlib.crc32(repr(parts).encode())
