"""An entry of a Wengert list made ready: a step that knows what it calls, and gives its node in a graph.

What an entry calls is settled in this order:
  - a user's G and DG;
  - a row of the registry, if the entry gives just its operands;
  - otherwise a function of tapegrad, which puts axes and shapes in order. On operands of given shapes most functions come
    down to one row and its static arguments, which are remembered;
  - a function that comes down to several rows is called as it is, and is recorded anew when its derivative is wanted: what
    it does may depend on values. The formulas of the course don't, and are run over nodes.
"""

from difflib import get_close_matches
from functools import partial
from types import FunctionType

import numpy as np

from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.record import recorded, wrap
from tapegrad.core.tape import TapeBase, thread
from tapegrad.errors import DtypeError, ShapeError, WengertError, describe, failed_call
from tapegrad.functions.tensor import Tensor
from tapegrad.graph.capture import enter
from tapegrad.primitives import Primitive, arrays, table
from tapegrad.primitives.node import Node, nodes
from tapegrad.primitives.plan import VALUE
from tapegrad.wengert import operators
from tapegrad.wengert.operators import COURSE, accepts, candidates, canonical, parameters
from tapegrad.wengert.text import Name, argument, entry_text

NUMBERS = (int, float)
CONSTANTS = (int, float, complex, bool, str, tuple, list, slice, np.dtype, np.generic, type(None), type(...))
SEVERAL, NO_DERIVATIVE = "several rows", "no derivative"
ARRAY = Primitive("asarray", np.asarray, (lambda F, d, _z, _x: d,))
BOTH = Primitive("both", None, (lambda F, d, _z, _x, _y: d, lambda F, d, _z, _x, _y: d))


def plain(name, x):
    """A value as an array or a number."""
    if type(x) in (np.ndarray, float, int) or isinstance(x, np.generic):
        return x
    array = x._value if type(x) is Tensor else np.asarray(x)
    if array.dtype.kind not in "biufc":
        raise DtypeError(f"{name}: a value of type {type(x).__name__}; numbers or arrays of numbers are needed")
    return array


class Operator:
    """What is not in the registry, as a row of a graph.

    g           function of the values of the positional arguments, then of the keyword arguments
    array_dg    a user's derivatives as rules, or None, for the positional arguments
    expand      function of the nodes of all arguments: the result by nodes of other rows; raises where there is none
    lasting     whether `expand` gives the same nodes for all values of these shapes
    """

    variadic = elementwise = False
    static_names, arity, by_user, complex, view = (), None, True, None, True

    def __init__(self, name, g, expand=None, dg=(), lasting=True):
        self.name, self.g, self.expand, self.dg, self.array_dg, self.lasting = name, g, expand, dg, dg, lasting
        self.reads = [[VALUE] * (1 + len(dg))] * len(dg)


class Step:
    """An entry of a list.

    positional, keywords    its arguments: names and values
    ys, keys, slot          the slots of these, and of z
    row                     the registry's, where the entry gives just its operands
    function                of tensors, where it does not
    pair                    for crossEntropy(softmax(o), t): (softmax's step, the slot of o, softmax's axis)
    """

    def __init__(self, position, entry, f):
        self.position, self.entry = position, entry
        try:
            z, g, ys = entry
            if not (isinstance(z, str) and isinstance(g, str)) or isinstance(ys, str):
                raise TypeError
            self.entry = entry = (z, g, tuple(ys))
        except (TypeError, ValueError):
            raise WengertError(f"entry {position}: {entry!r} is not of the form (z, g, (y1, .., yk)), with names z, g and "
                               "y1 to yk") from None
        f.append(entry)
        self.z, self.name, self.positional, self.keywords = z, g, [], {}
        self.row = self.function = self.pair = None
        self.by_position = self.packed = False
        self.known = {}
        for y in entry[2]:
            keyword, what = argument(y)
            if not isinstance(what, CONSTANTS):
                raise self.error(f"a {type(what).__name__} stands in the list; give it a name, and its value in val")
            if keyword is None:
                if self.keywords:
                    raise self.error(f"{y} follows a keyword")
                self.positional.append(what)
            elif keyword in self.keywords:
                raise self.error(f"{keyword} is given twice")
            else:
                self.keywords[keyword] = what

    def settle(self, program):
        """Give the arguments their slots, and find what is called, where the registry has it."""
        self.ys = [program.slot(y) for y in self.positional]
        self.operands = [isinstance(y, Name) for y in self.positional]
        self.keys = {key: program.slot(y) for key, y in self.keywords.items()}
        self.slot = program.slot(Name(self.z))
        name = canonical(self.name)
        row = table.get(name)
        if row is not None and any(row.dg) and not self.keys and not row.static_names and row.arity == len(self.ys):
            self.row = row
            return
        self.packed = row is not None and row.variadic and not any(isinstance(y, str) and not operand for y, operand in
                                                                   zip(self.positional, self.operands))
        for function in candidates(self.name):
            if self._takes(function, row):
                self.function = function
                break
        if name == "crossEntropy" and len(self.ys) == 2 and not self.keys:
            self.pair = self._softmax(program)

    def _takes(self, function, row):
        """Whether a function can be called with this entry's arguments. A bare row needs all that are static, in its order."""
        count = 1 if self.packed else len(self.ys)
        if row is None or function is not getattr(recorded, row.name) or not isinstance(function, FunctionType):
            return accepts(function, count, self.keys)
        extra = count - (1 if row.variadic else row.arity)
        if extra < 0 or set(self.keys) != set(row.static_names[extra:]) or extra + len(self.keys) != len(row.static_names):
            return False
        self.keys = {key: self.keys[key] for key in row.static_names[extra:]}
        self.by_position = True
        return True

    def _softmax(self, program):
        step = program.defining.get(self.positional[0])
        if step is None or canonical(step.name) != "softmax" or len(step.ys) != 1 or not set(step.keywords) <= {"axis"}:
            return None
        return step, step.ys[0], step.keywords.get("axis", -1)

    # The node of z

    def node(self, held, values, users, extras):
        """(row, operands, static) of z.

        held      the node, or the literal, per slot
        values    the value per slot, of the arguments at least
        users     {operator: (the user's function or None, the user's derivatives or None)}
        extras    None if no derivative is wanted; else a list to which a pair adds inputs, (node, slot, whether its delta
                  counts as that of the slot)
        """
        operands = [held[i] for i in (*self.ys, *self.keys.values())]
        g, dg = users.get(self.name, (None, None))
        if g is None and dg is None:
            if self.pair is not None and self.pair[0].name not in users and self._is_pair(values):
                return self._of_scores(held, operands, extras)
            return self._own(operands, values, extras)
        forward = self.call if g is None else self._forward(self._of_arguments(g, 0))
        if dg is not None:
            functions = functions_of(dg)
            if len(functions) != len(self.ys):
                raise self.error(f"DG[{self.name!r}] is to have a function, or None, for each of the {len(self.ys)} arguments")
            rules = [function and _rule(self._of_arguments(function, 2), np.shape(values[y]))
                     for function, y in zip(functions, self.ys)]
            return Operator(self.name, forward, dg=[*rules, *[None] * len(self.keys)]), operands, ()
        if extras is None:
            return Operator(self.name, forward), operands, ()
        if self.function is None and self.row is None:
            raise self.error(f"{self.name} has a G and no DG")
        row, own, static = self._own(operands, values, extras)
        kind = kind_of(values[self.slot])
        expand = getattr(row, "expand", None) or (lambda *operands: Node(row, tuple(own), static, *kind))
        return Operator(self.name, forward, expand, lasting=getattr(row, "lasting", True)), operands, ()

    def _of_arguments(self, function, before):
        """A user's function, to be called with the values of the keywords after the others, of which `before` come first."""
        if not self.keys:
            return function
        count = before + len(self.ys)
        return lambda *arguments: function(*arguments[:count], **dict(zip(self.keys, arguments[count:])))

    def _forward(self, function):
        def g(*arguments):
            z = function(*arguments)
            return z if type(z) is np.ndarray else plain(self.z, z)

        return g

    def _own(self, operands, values, extras):
        """(row, operands, static), by tapegrad's operator."""
        if self.row is not None:
            return self.row, operands, ()
        found = self.resolved(values)
        if found is NO_DERIVATIVE:
            return Operator(self.name, self.call), operands, ()
        if found is not SEVERAL:
            row, pattern, static = found
            chosen = [operands[y] if place else y for place, y in pattern]
            if static:                                  # a number has no method that a row's G may call
                chosen = [Node(ARRAY, (x,), (), x.shape, x.dtype) if place and type(values[self.ys[y]]) in NUMBERS else x
                          for x, (place, y) in zip(chosen, pattern)]
            return row, chosen, static
        if self.function in COURSE.values() and not self.keys:
            formula = self.function.func
            return Operator(self.name, partial(formula, arrays), partial(formula, nodes)), operands, ()
        expand = None if extras is None else partial(self._recorded, values)
        return Operator(self.name, self.call, expand, lasting=False), operands, ()

    def _is_pair(self, values):
        return self.pair[2] in (-1, np.ndim(values[self.pair[1]]) - 1)

    def _of_scores(self, held, operands, extras):
        """crossEntropy(p, t) with p = softmax(o): its delta goes to o straight, as (p sum(t) - t) times that of z.

        What p itself receives goes no further.
        """
        p_alone, t_alone = [Node(None, (), (), x.shape, x.dtype) if isinstance(x, Node) else x for x in operands]
        if extras is not None:
            extras += (p_alone, self.ys[0], True), (t_alone, self.ys[1], False)

        def expand(o, p, t):
            z = operators.cross_entropy_of_scores(nodes, o, t)
            return Node(BOTH, (z, operators.crossEntropy(nodes, p_alone, t_alone)), (), z.shape, z.dtype)

        return Operator(self.name, lambda o, p, t: operators.cross_entropy_of_scores(arrays, o, t), expand), [
            held[self.pair[1]], *operands], ()

    def call(self, *arguments):
        """z by tapegrad's operator, from the values of the arguments."""
        if self.row is not None:
            return self.row.g(*arguments)
        count = len(self.ys)
        return self.tensor([np.asarray(x) if operand else x for x, operand in zip(arguments, self.operands)],
                           arguments[count:])._value

    def tensor(self, arguments, keywords):
        """The function on these arguments, those at the places of operands wrapped as tensors, if they are arrays."""
        if self.function is None:
            raise self.unknown()
        arguments = [wrap(y, None) if operand and type(y) is np.ndarray else y for y, operand in zip(arguments, self.operands)]
        arguments = [arguments] if self.packed else arguments
        keywords = dict(zip(self.keys, keywords))
        z = self.function(*arguments, *keywords.values()) if self.by_position else self.function(*arguments, **keywords)
        if not isinstance(z, Tensor):
            raise WengertError(f"{self.name} gives a {type(z).__name__}, and an entry has one result, a tensor")
        return z

    def _record(self, values):
        """(z, the entries of the function, run on these values, the leaf or None per positional argument)"""
        leaves = [Leaf(*kind_of(values[i])) if operand else None for i, operand in zip(self.ys, self.operands)]
        arguments = [values[i] if leaf is None else wrap(np.asarray(values[i]), leaf) for i, leaf in zip(self.ys, leaves)]
        tape, before = TapeBase(), thread.tape
        tape.keep_all()
        thread.tape = tape
        try:
            return self.tensor(arguments, [values[i] for i in self.keys.values()]), tape.entries, leaves
        finally:
            thread.tape = before

    def resolved(self, values):
        """(row, [(True, place of an operand) or (False, constant)], static) that the function comes down to; or SEVERAL rows,
        or what depends on values; or NO_DERIVATIVE."""
        if any([isinstance(y, Name) for y in self.keywords.values()]):
            return SEVERAL
        key = tuple([(y.shape, y.dtype.char) if hasattr(y, "dtype") else type(y) for y in [values[i] for i in self.ys]])
        if key not in self.known:
            self.known[key] = self._resolve(values)
        return self.known[key]

    def _resolve(self, values):
        z, entries, leaves = self._record(values)
        if z._register is None:
            return NO_DERIVATIVE
        entry = z._register
        simple = [type(y) is Leaf or type(y) in NUMBERS for y in entry.operands] if type(entry) is Entry else [False]
        if len(entries) != 1 or not all(simple) or any(map(_holds_array, entry.static)):
            return SEVERAL
        return entry.g, [(True, leaves.index(y)) if type(y) is Leaf else (False, y) for y in entry.operands], entry.static

    def _recorded(self, values, *operands):
        """The node of z, from what the function records when it is run on the values."""
        z, entries, leaves = self._record(values)
        if not np.allclose(z._value, values[self.slot], rtol=1e-3, equal_nan=True):
            raise self.error(f"{self.name} gives another value than that in val, which its derivative is to be taken at; what "
                             "is random is drawn outside of the list, and stands in val under a name")
        found = {id(leaf): y for leaf, y in zip(leaves, operands) if leaf is not None}
        enter(entries, found)
        return found[id(z._register)] if id(z._register) in found else Node(None, (), (), z.shape, z.dtype)

    # What is wrong

    def where(self):
        return f"entry {self.position}, {entry_text(self.entry)}"

    def error(self, message):
        return WengertError(f"{self.where()}: {message}")

    def unknown(self):
        """The error for an entry whose operator the registry does not have, or not for these arguments."""
        functions = candidates(self.name)
        if functions:
            row = table.get(canonical(self.name))
            wanted = [f"{parameters(function)}" for function in functions
                      if parameters(function)] if row is None or row.static_names or row.variadic else [
                          f" of {row.arity} operand{'s' * (row.arity != 1)}"]
            return self.error(f"{self.name} does not take these arguments; it is {self.name}{wanted[0] if wanted else ''}")
        near = get_close_matches(self.name, operators.names(), n=1)
        return self.error(f"there is no operator {self.name!r}{f', but a {near[0]!r}' if near else ''}; operators of your own "
                          "are given in G and DG")

    def failed(self, error, values, user=None):
        """The error to raise where this entry's operator, or one of its derivatives, has failed with `error`."""
        if isinstance(error, WengertError):
            return error if str(error).startswith("entry ") else self.error(error)
        if user:
            operands = ", ".join([describe(values[i]) for i in self.ys])
            return self.error(f"{self.name}({operands}): {type(error).__name__}: {error}")
        if self.row is not None:
            error = failed_call(self.row.name, [values[i] for i in self.ys], error)
        try:
            return type(error)(f"{self.where()}: {error}")
        except TypeError:
            return self.error(f"{type(error).__name__}: {error}")


def functions_of(dg):
    """The derivatives that a user gives for an operator, as a list; empty where what is given holds none."""
    return [dg[i] for i in range(len(dg))] if hasattr(dg, "__getitem__") else []


def _rule(function, shape):
    """A user's derivative by an argument of this shape, as a rule: its result is brought to the shape."""
    def rule(F, d, *arguments):
        c = function(d, *arguments)
        if type(c) is not np.ndarray:
            if c is None:
                return None
            c = c._value if isinstance(c, Tensor) else np.asarray(c)
        if c.shape == shape:
            return c
        try:
            return c if np.broadcast_shapes(c.shape, shape) == c.shape else np.broadcast_to(c, shape).copy()
        except ValueError:
            raise ShapeError(f"a contribution of shape {c.shape} to an operand of shape {shape}") from None

    return rule


def _holds_array(static):
    return any([isinstance(item, np.ndarray) for item in (static if type(static) is tuple else (static,))])


def kind_of(value):
    """(shape, dtype) of a value: of a number, those of the array that it makes."""
    return (value.shape, value.dtype) if hasattr(value, "dtype") else (np.shape(value), np.asarray(value).dtype)
