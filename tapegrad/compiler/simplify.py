"""Passes that leave out what need not be computed: constants, the same thing twice, arrangements that change nothing."""

import math

import numpy as np

from tapegrad.compiler.rewriting import mapped, with_operands
from tapegrad.compiler.views import part_of
from tapegrad.primitives import Primitive
from tapegrad.primitives.node import Node, lifted, nodes

SMALL = 4096        # elements of a constant that is computed beforehand
LITERAL = {0, 1, -1, 2, -2, 3, 4, 0.5, -0.5, 0.25}      # numbers that are part of a kernel's text


def folded(graph):
    """Constant folding: nodes of constants only are computed here."""
    outputs = set(graph.outputs)

    def change(node, operands):
        known = isinstance(node.row, Primitive) and not node.row.variadic and not node.row.view and node.size <= SMALL
        if known and node not in outputs and not any([isinstance(x, Node) for x in operands]):
            with np.errstate(all="ignore"):
                return np.asarray(node.row.g(*operands, *node.static))
        return with_operands(node, operands)

    return mapped(graph, change)


def shared(graph):
    """Common subexpressions: of nodes with the same row, operands and static arguments the first is computed."""
    known = {}

    def change(node, operands):
        key = node.row, tuple([_key(x) for x in operands]), _key(node.static)
        if key not in known:
            known[key] = with_operands(node, operands)
        return known[key]

    return mapped(graph, change)


def _key(x):
    """Equal for constants of equal value only; a number and an array, and two types of number, are never equal."""
    if isinstance(x, Node):
        return x
    if isinstance(x, (tuple, list)):
        return tuple([_key(item) for item in x])
    if isinstance(x, slice):
        return slice, x.start, x.stop, x.step
    if isinstance(x, (np.ndarray, np.generic)):
        return type(x), x.shape, x.dtype, x.tobytes() if x.size <= SMALL else id(x)
    return type(x), repr(x)


def tidied(graph):
    """Without arrangements that change nothing: alias, reshape to the same shape, the transpose of a transpose, a cast to the
    same dtype, and broadcasting that the elementwise operation after it does by itself."""
    return mapped(graph, _tidy)


def _tidy(node, operands):
    name, x = node.row.name, operands[0] if operands else None
    if isinstance(x, Node) and not node.row.variadic:
        same = x.shape == node.shape and x.dtype == node.dtype
        if same and name in ("alias", "reshape", "broadcast_to", "astype", "positive", "stop"):
            return x
        if name == "transpose" and x.ndim < 2:
            return x
        if name == "transpose" and x.row is not None and x.row.name == "transpose" and (
                node.static == x.static == (None,) or x.ndim == 2 and not {node.static, x.static} - {(None,), ((1, 0),)}):
            return x.operands[0]
        if name == "reshape" and x.row is not None and x.row.name == "reshape":
            operands = [x.operands[0]]
            return x.operands[0] if x.operands[0].shape == node.shape else with_operands(node, operands)
    if name == "concatenate" and len(operands) == 1 and isinstance(x, Node):
        return x
    if name == "stack" and node.static == (0,) and all([isinstance(x, Node) and x.ndim for x in operands]):
        return nodes.reshape(nodes.concatenate(operands, 0), node.shape)
    if getattr(node.row, "pointwise", False) or name == "strong_multiply":
        for i, x in enumerate(operands):
            if (y := _narrower(x)) is not None:
                others = [getattr(other, "shape", ()) for k, other in enumerate(operands) if k != i]
                if np.broadcast_shapes(y.shape, *others) == node.shape:
                    operands[i] = y
    return with_operands(node, operands)


def assembled(graph):
    """The delta of what was read part by part is concatenated where the parts make up the whole, as the time steps of a slice
    each do; not added into zeros one after the other."""
    held = {node.operands[0] for node in graph.nodes if node.row.name == "add_at"}

    def change(node, operands):
        made = with_operands(node, operands)
        return _assembled(made) if node.row.name in ("add_at", "scatter") and node not in held else made

    return mapped(graph, change)


def _assembled(node):
    parts, x, statics = {}, node, {"add_at": 1, "scatter": 2}      # so many, where the index is none of the operands
    while x.row is not None and len(x.static) == statics.get(x.row.name):
        place, d = part_of(x.static[0], node.shape), x.operands[-1]
        if place is None or place[:2] in parts or d.dtype != node.dtype:
            return node
        axis, start, stop = place
        shape = (*node.shape[:axis], stop - start, *node.shape[axis + 1:])
        if d.size != math.prod(shape):
            return node
        parts[axis, start] = stop, d if d.shape == shape else nodes.reshape(d, shape)
        if x.row.name == "scatter":
            break
        x = x.operands[0]
    else:
        return node
    end, ordered = 0, sorted(parts)
    for axis, start in ordered:
        if axis != ordered[0][0] or start != end:
            return node
        end = parts[axis, start][0]
    if end != node.shape[axis]:
        return node
    ds = [parts[at][1] for at in ordered]
    if len(ds) == 1:
        return ds[0]
    if axis == 0 and node.ndim > 2 and all([_is(d, "reshape") and d.shape == (1, *d.operands[0].shape) for d in ds]):
        return nodes.reshape(nodes.concatenate([d.operands[0] for d in ds], 0), node.shape)     # matrices, computed in place
    return nodes.concatenate(ds, axis)


def _narrower(x):
    """What x is broadcast from, or None: also through reshapes if that is one element."""
    base = x
    while _is(base, "broadcast_to", "reshape"):
        base = base.operands[0]
    if base is not x and getattr(base, "size", 0) == 1:
        return base
    return x.operands[0] if _is(x, "broadcast_to") and isinstance(x.operands[0], Node) else None


def _is(x, *names):
    return isinstance(x, Node) and x.row is not None and x.row.name in names


def with_constants_as_inputs(graph, constants, numbers=True):
    """Constants as inputs, which kernels read, {input: its array} in `constants`; but not small numbers, which are part of
    their text, or no numbers at all."""
    known = {}

    def lift(x, node):
        if isinstance(x, Node) or not hasattr(x, "dtype") and (x in LITERAL or not _reads_numbers(node)):
            return x
        if not numbers and not np.ndim(x):
            return x
        value = np.asarray(x, None if hasattr(x, "dtype") else next(y.dtype for y in node.operands if isinstance(y, Node)))
        key = value.shape, value.dtype, value.tobytes()
        if key not in known:
            known[key] = Node(None, (), (), value.shape, value.dtype)
            constants[known[key]] = value
        return known[key]

    def change(node, operands):
        if numbers and node.row.name == "softmax_cross_entropy" and node.static:
            classes = lift(node.static[0], node)
            return Node(lifted(node.row, 1, (classes,)), (*operands, classes), (), node.shape, node.dtype)
        return with_operands(node, [lift(x, node) for x in operands])

    new = mapped(graph, change)
    outputs = [x if isinstance(x, Node) else lift(x, x) for x in new.outputs]
    return type(graph)([*new.inputs, *constants], outputs)


def _reads_numbers(node):
    """Whether a number among the operands has the dtype of the others."""
    given = [type(x) in (int, float) for x in node.operands if not hasattr(x, "dtype")]
    return node.row.elementwise and all(given) and all([x.dtype.kind == "f" for x in node.operands if isinstance(x, Node)])
