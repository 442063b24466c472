"""An entry of a Wengert list prepared to run, with the row or the function that it calls."""

from difflib import get_close_matches
from types import FunctionType

import numpy as np

from tapegrad.core.entry import Leaf
from tapegrad.core.record import recorded, wrap
from tapegrad.core.tape import TapeBase, thread
from tapegrad.errors import DtypeError, WengertError, describe, failed_call
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives import table
from tapegrad.wengert import operators
from tapegrad.wengert.operators import accepts, candidates, canonical, parameters
from tapegrad.wengert.text import Name, argument, entry_text

NUMBERS = (int, float)
CONSTANTS = (int, float, complex, bool, str, tuple, list, slice, np.dtype, np.generic, type(None), type(...))


def plain(name, x):
    """A value as an array or a number."""
    if type(x) in (np.ndarray, float, int) or isinstance(x, np.generic):
        return x
    array = x._value if type(x) is Tensor else np.asarray(x)
    if array.dtype.kind not in "biufc":
        raise DtypeError(f"{name}: expected a number or an array of numbers, got {type(x).__name__}")
    return array


class Step:
    """An entry of a list.

    positional, keywords    its arguments: Names and values
    ys, keys, slot          the slots of these, and of z
    row                     the row of the registry, if the entry has its operands only
    function                otherwise a function of tensors
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
        for y in entry[2]:
            keyword, what = argument(y)
            if not isinstance(what, CONSTANTS):
                raise self.error(f"a {type(what).__name__} cannot stand in the list; use a name, and pass the value in val")
            if keyword is None:
                if self.keywords:
                    raise self.error(f"positional argument {y} follows a keyword argument")
                self.positional.append(what)
            elif keyword in self.keywords:
                raise self.error(f"{keyword} is given twice")
            else:
                self.keywords[keyword] = what

    def settle(self, program):
        """Assign slots to the arguments, and find the row or function to call, if there is one."""
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
        """Whether a function can be called with this entry's arguments. A bare row needs all static arguments, in its order."""
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

    def is_pair(self, values, users):
        """Whether this entry is crossEntropy of a softmax over the last axis, both tapegrad's own."""
        if self.pair is None or self.name in users or self.pair[0].name in users:
            return False
        return self.pair[2] in (-1, np.ndim(values[self.pair[1]]) - 1)

    # Calling it

    def call(self, *arguments):
        """The value of z by tapegrad's operator, from the values of the arguments."""
        if self.row is not None:
            return self.row.g(*arguments)
        count = len(self.ys)
        return self.tensor([np.asarray(x) if operand else x for x, operand in zip(arguments, self.operands)],
                           arguments[count:])._value

    def tensor(self, arguments, keywords):
        """Call the function on these arguments; operands that are arrays are wrapped as tensors."""
        if self.function is None:
            raise self.unknown()
        arguments = [wrap(y, None) if operand and type(y) is np.ndarray else y for y, operand in zip(arguments, self.operands)]
        arguments = [arguments] if self.packed else arguments
        keywords = dict(zip(self.keys, keywords))
        z = self.function(*arguments, *keywords.values()) if self.by_position else self.function(*arguments, **keywords)
        if not isinstance(z, Tensor):
            raise WengertError(f"{self.name}: expected a tensor as the result of an entry, got {type(z).__name__}")
        return z

    def record(self, values):
        """Run the function on these values: (z, the recorded entries, the leaf or None per positional argument)."""
        leaves = [Leaf(*kind_of(values[i])) if operand else None for i, operand in zip(self.ys, self.operands)]
        arguments = [values[i] if leaf is None else wrap(np.asarray(values[i]), leaf) for i, leaf in zip(self.ys, leaves)]
        tape, before = TapeBase(), thread.tape
        tape.keep_all()
        thread.tape = tape
        try:
            return self.tensor(arguments, [values[i] for i in self.keys.values()]), tape.entries, leaves
        finally:
            thread.tape = before

    # Errors

    def where(self):
        return f"entry {self.position}, {entry_text(self.entry)}"

    def error(self, message):
        return WengertError(f"{self.where()}: {message}")

    def unknown(self):
        """The error for an operator that does not exist, or does not take these arguments."""
        functions = candidates(self.name)
        if functions:
            row = table.get(canonical(self.name))
            wanted = [f"{parameters(function)}" for function in functions
                      if parameters(function)] if row is None or row.static_names or row.variadic else [
                          f" of {row.arity} operand{'s' * (row.arity != 1)}"]
            return self.error(f"{self.name} does not take these arguments; it is {self.name}{wanted[0] if wanted else ''}")
        near = get_close_matches(self.name, operators.names(), n=1)
        return self.error(f"there is no operator {self.name!r}{f', but a {near[0]!r}' if near else ''}; pass your own "
                          "operators in G and DG")

    def failed(self, error, values, user=None):
        """The error to raise if this entry's operator, or one of its derivatives, has raised `error`."""
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


def kind_of(value):
    """(shape, dtype) of a value; of a number, those of np.asarray(value)."""
    return (value.shape, value.dtype) if hasattr(value, "dtype") else (np.shape(value), np.asarray(value).dtype)
