"""Guards: what a function's code can read besides tensors, as Python source that compares it with what it was.

A Reader walks the arguments, and what the code of the function can reach: its closure, defaults and globals; of objects those
attributes whose names occur in the code, and all of them where code computes a name, as it may be any; the code of the Python
functions and methods that it finds on the way. For each it writes a line, so that a check costs a few comparisons:

    v3 = G["scale"]
    if v3 is not c4 and (type(v3) is not c5 or v3 != c4): return None

Python values and containers are compared by value, arrays by their elements, functions by their code, modules, classes and
objects of libraries by identity; of namespaces and collections of Python's library what they hold, too. Tensors are inputs:
they are fetched by the path by which they were found, and shape, dtype and whether they require a gradient are compared.
"""

from __future__ import annotations

import dis
import enum
import sys
import types
from array import array
from collections import deque
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from math import copysign, isnan
from operator import attrgetter
from typing import Any

import numpy as np

from tapegrad.core.tensor import TensorBase
from tapegrad.errors import describe, is_sparse
from tapegrad.functions.tensor import Tensor
from tapegrad.optim import Optimizer

MISSING = object()
MOST = 20_000                           # lines of source: a function that can reach more than that is run as it is
ATOMS = (bool, int, str, bytes, type(None), type(Ellipsis), range, slice, np.dtype)
IDENTICAL = (types.ModuleType, type, types.BuiltinFunctionType, np.ufunc, enum.Enum, types.MethodDescriptorType,
             types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType)
LIBRARIES = {*sys.stdlib_module_names, "numpy", "numba", "llvmlite", "scipy", "tapegrad"}
USERS = "tapegrad.nn",                  # the code of modules is read as a user's
WHOLE = {"__dict__", "vars", "attrgetter", "__getattribute__", "asdict", "astuple"}     # read attributes of any name
GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"}   # of Python's dis


class Unreadable(Exception):
    """What a function reads can't be compared."""


def is_library(module: str | None) -> bool:
    """Whether the code of a module does not depend on what users change."""
    if module is None or module.startswith(USERS):
        return module is None
    if module.split(".")[0] in LIBRARIES:
        return True
    return "site-packages" in (getattr(sys.modules.get(module), "__file__", None) or "")


class Reader:
    """Writes `source`, and finds the tensors and arrays that are `inputs`, in the order in which it returns them.

    inputs    the tensors, and those arrays that are arguments
    notes     (what is compared, a line each), for explain()
    fragile   objects whose state has to be as it was after the first run: random generators

    With `executed`, only what those codes can read is read: what a run did depends on nothing else.
    """

    def __init__(self, executed: set[types.CodeType] | None = None) -> None:
        self.executed = executed
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {"same": same_array, "M": MISSING, "Tensor": Tensor, "ndarray": np.ndarray,
                                          "modules": sys.modules}
        self.inputs: list[Any] = []
        self.places: list[tuple[str, str]] = []
        self.paths: list[str] = []
        self.notes: list[str] = []
        self.found: dict[int, tuple[str, Any]] = {}
        self.spaces: dict[int, str] = {}
        self.names: set[str] = set()
        self.codes: set[types.CodeType] = set()
        self.objects: list[tuple[Any, str, set[str]]] = []
        self.fragile: list[Any] = []
        self.in_arguments = False
        self.whole = self.whole_modules = False         # whether all attributes are read: of all objects, of networks' modules
        self.asked: set[int] = set()                    # the ids of a user's Python modules of which all are
        self.knows_tensors = False                      # whether the code can reach a tensor, or anything of tapegrad's
        self.count = 0

    # Writing

    def _variable(self, letter: str = "v") -> str:
        self.count += 1
        if self.count > MOST:
            raise Unreadable(f"its code can reach more than {MOST} objects")
        return f"{letter}{self.count}"

    def _bound(self, value: Any) -> str:
        name = self._variable("c")
        self.constants[name] = value
        return name

    def _check(self, condition: str) -> None:
        self.lines.append(f"if {condition}: return None")

    def _fetch(self, expression: str) -> str:
        name = self._variable()
        self.lines.append(f"{name} = {expression}")
        return name

    def compiled(self) -> Callable[[Any, Any, bool], Any]:
        """The function of (args, kwargs, recording) that returns (arrays, tensors), or None where something differs."""
        arrays, tensors = (", ".join([place[i] for place in self.places]) for i in (0, 1))
        if self.places:
            arrays, tensors = arrays + ",", tensors + ","
        body = [f"return ({arrays}), ({tensors})"]
        text = "\n  ".join(["def match(a, k, recording):\n try:", *self.lines, *body]) \
            + "\n except (AttributeError, LookupError, TypeError, ValueError): return None"
        space = self.constants
        exec(compile(text, "<guards of a compiled function>", "exec"), space)     # noqa: S102
        return space["match"]           # type: ignore[no-any-return]

    def has(self, tree: Any) -> bool:
        """Whether a list or a dict in a structure is one that was read."""
        if isinstance(tree, (list, dict)) and id(tree) in self.found:
            return True
        parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
        return any([self.has(part) for part in parts])

    def forget(self) -> None:
        """Keep no object that was read: only what is compared."""
        self.inputs, self.found, self.objects, self.fragile = [], {}, [], []

    # Reading

    def arguments(self, fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], recording: bool) -> None:
        """What `fun` is called with."""
        code = getattr(fun, "__code__", None)
        names = code.co_varnames[:code.co_argcount] if code is not None else ()
        self._check("not recording" if recording else "recording")
        self._check(f"len(a) != {len(args)} or len(k) != {len(kwargs)}")
        self.in_arguments = True
        for i, x in enumerate(args):
            self.visit(x, f"a[{i}]", names[i] if i < len(names) else f"argument{i}")
        for name, x in kwargs.items():
            self.visit(x, f"k.get({name!r}, M)", name)
        self.in_arguments = False

    def function(self, fun: Any) -> None:
        """What `fun`, and all that it leads to, can read."""
        self.visit(fun, self._bound(fun), getattr(fun, "__name__", "the function"))
        self._reach()

    def code(self, code: types.CodeType, space: dict[str, Any]) -> None:
        """What a code, with the globals `space`, can read."""
        self._code(code, space)
        self._reach()

    def _reach(self) -> None:
        read: Any = None                                # more names may be found with more code, and more objects
        while read != (read := (len(self.names), len(self.objects), self.whole, self.whole_modules, len(self.asked))):
            for obj, at, seen in list(self.objects):
                self._attributes(obj, at, seen)

    def visit(self, x: Any, expression: str, path: str) -> None:
        kind = type(x)
        home = x.__name__ if kind is types.ModuleType else getattr(x, "__module__", None)
        if kind is Tensor or isinstance(home, str) and home.split(".")[0] == "tapegrad":
            self.knows_tensors = True
        if kind in ATOMS:
            v = self._fetch(expression)
            c = self._bound(x)
            if x is None or kind is bool or x is Ellipsis:
                self._check(f"{v} is not {c}")
            else:
                self._check(f"{v} is not {c} and (type({v}) is not {self._bound(kind)} or {v} != {c})")
            if path:
                self.notes.append(f"{path} == {x!r}")
        elif kind in (float, complex) or isinstance(x, np.generic):
            v = self._fetch(expression)
            self._check(f"type({v}) is not {self._bound(kind)} or not {self._bound(partial(same_number, x))}({v})")
            self.notes.append(f"{path} == {x!r}")
        elif isinstance(x, IDENTICAL):
            v = self._fetch(expression)
            self._check(f"{v} is not {self._bound(x)}")
            if id(x) not in self.found:
                self.found[id(x)] = v, x
                self._inside_of_constant(x, v, path)
        elif id(x) in self.found:                       # the same object by another path
            v = self._fetch(expression)
            self._check(f"{v} is not {self.found[id(x)][0]}")
        else:
            before, self.in_arguments = self.in_arguments, self.in_arguments and isinstance(x, (list, tuple, dict, np.ndarray))
            self._visit_object(x, kind, expression, path)
            self.in_arguments = before

    def _visit_object(self, x: Any, kind: Any, expression: str, path: str) -> None:
        v = self._fetch(expression)
        self.found[id(x)] = v, x
        if kind is Tensor:
            self._tensor(x, v, path)
        elif isinstance(x, np.ndarray):
            self._array(x, kind, v, path)
        elif isinstance(x, TensorBase) or is_sparse(x):
            raise Unreadable(f"{path} is a {kind.__name__}")
        elif isinstance(x, (list, tuple, deque, array)):
            self._check(f"type({v}) is not {self._bound(kind)} or len({v}) != {len(x)}")
            self._items(x, v, path)
        elif isinstance(x, (dict, types.MappingProxyType)):
            keys = tuple(x)
            self._check(f"type({v}) is not {self._bound(kind)} or len({v}) != {len(x)} or tuple({v}) != {self._bound(keys)}")
            for key, value in list(x.items()):
                at = repr(key) if type(key) in (str, int) else self._bound(key)
                self.visit(value, f"{v}[{at}]", f"{path}[{key!r}]")
        elif isinstance(x, (set, frozenset, bytearray)):
            copy = bytes(x) if isinstance(x, bytearray) else frozenset(x)
            self._check(f"type({v}) is not {self._bound(kind)} or {v} != {self._bound(copy)}")
        elif kind is types.FunctionType:
            self._check(f"type({v}) is not {self._bound(kind)} or {v}.__code__ is not {self._bound(x.__code__)}")
            if x.__module__ in (None, "builtins") or not is_library(x.__module__):
                self._object(x, v)
                self._function(x, v, path)
            elif x.__closure__:
                for i, cell in enumerate(x.__closure__):    # a wrapper of a library's around a function of the user's
                    self._cell(cell, f"{v}.__closure__[{i}]", f"{path}.{x.__code__.co_freevars[i]}")
        elif kind is types.MethodType:
            self._check(f"type({v}) is not {self._bound(kind)}")
            self.visit(x.__func__, f"{v}.__func__", path)
            self.visit(x.__self__, f"{v}.__self__", f"{path}.__self__")
        elif kind is partial:
            self._check(f"type({v}) is not {self._bound(kind)}")
            for name in ("func", "args", "keywords"):
                self.visit(getattr(x, name), f"{v}.{name}", f"{path}.{name}")
        elif isinstance(x, (types.GeneratorType, types.CoroutineType)) or hasattr(x, "__next__"):
            raise Unreadable(f"{path} is a {kind.__name__}, which can be read once")
        elif isinstance(x, (np.random.Generator, np.random.RandomState)) or kind.__module__ == "random":
            self._check(f"{v} is not {self._bound(x)}")
            self.fragile.append(x)
        elif isinstance(x, attrgetter):
            self._check(f"{v} is not {self._bound(x)}")
            names = x.__reduce__()[1]                   # as for pickling: it shows them nowhere else
            self.names |= {part for name in names for part in name.split(".")}      # type: ignore[union-attr]
        elif isinstance(x, Optimizer) or is_library(kind.__module__) and not hasattr(x, "__wrapped__"):
            self._check(f"{v} is not {self._bound(x)}")
            pythons = kind.__module__.split(".")[0] in sys.stdlib_module_names
            if pythons and isinstance(x, Collection):   # a ChainMap, a UserDict
                self.visit(getattr(x, "__dict__", None), f"getattr({v}, '__dict__', None)", path)
            elif pythons or not is_library(kind.__module__):    # a namespace; an optimiser of the user's
                self._object(x, v)
            if (fun := getattr(x, "fun", None)) is not None and kind.__module__.startswith("tapegrad"):
                self.visit(fun, f"{v}.fun", path)       # a compiled function
                self._object(x, v)
        else:
            self._check(f"type({v}) is not {self._bound(kind)}")
            if callable(x) and not isinstance(x, type):
                self._class(kind, path)
            self._object(x, v)
            if (wrapped := getattr(x, "__wrapped__", None)) is not None:
                self.visit(wrapped, f"{v}.__wrapped__", path)

    def _object(self, x: Any, v: str) -> None:
        """Have those attributes of an object read whose names occur in the code, now or later."""
        own = getattr(x, "__dict__", None)
        if type(own) is dict and not isinstance(x, types.ModuleType):
            self._check(f"len({v}.__dict__) != {len(own)}")
        self.objects.append((x, v, set()))

    def _items(self, x: Any, v: str, path: str) -> None:
        if len(x) > 64 and all([type(item) in ATOMS or type(item) is float for item in x]):
            kind = kind_of(x)
            self._check(f"{kind.__name__}({v}) != {self._bound(kind(x))}")
            self._check(f"list(map(type, {v})) != {self._bound(list(map(type, x)))}")
            self.notes.append(f"{path}: {len(x)} values")
            return
        for i, item in enumerate(x):
            self.visit(item, f"{v}[{i}]", f"{path}[{i}]")

    def _tensor(self, x: Tensor, v: str, path: str) -> None:
        d = self._variable("d")
        held = x._array
        self.lines += [f"if type({v}) is not Tensor: return None", f"{d} = {v}._data",
                       f"if {d} is None: {d} = {v}._take_back()"]
        self._check(f"{d}.shape != {held.shape!r} or {d}.dtype is not {self._bound(held.dtype)} "
                    f"and {d}.dtype != {self._bound(held.dtype)} or {v}._register is {'not ' * (x._register is None)}None")
        self.inputs.append(x)
        self.places.append((d, v))
        self.paths.append(path)
        self.notes.append(f"{path}: {describe(held)}{', requires a gradient' * (x._register is not None)}")

    def _array(self, x: Any, kind: Any, v: str, path: str) -> None:
        if self.in_arguments and kind is np.ndarray and x.dtype.kind in "biufc":
            self._check(f"type({v}) is not ndarray or {v}.shape != {x.shape!r} or {v}.dtype != {self._bound(x.dtype)}")
            self.inputs.append(x)
            self.places.append((v, v))
            self.paths.append(path)
            self.notes.append(f"{path}: {describe(x)}")
        elif kind is np.ndarray and not x.dtype.hasobject:
            self._check(f"type({v}) is not ndarray or not same({v}, {self._bound(x.copy('K'))})")
            self.notes.append(f"{path}: the elements of an array {describe(x)}; a tensor, or an argument, is faster")
        else:
            raise Unreadable(f"{path} is a {kind.__name__} of {x.dtype}")

    def _cell(self, cell: Any, expression: str, path: str) -> None:
        try:
            content = cell.cell_contents
        except ValueError:
            return
        self.visit(content, f"{expression}.cell_contents", path)

    def _function(self, f: types.FunctionType, v: str, path: str) -> None:
        if self.executed is not None and f.__code__ not in self.executed:
            return
        for i, (name, cell) in enumerate(zip(f.__code__.co_freevars, f.__closure__ or ())):
            self._cell(cell, f"{v}.__closure__[{i}]", name)
        for attribute in ("__defaults__", "__kwdefaults__"):
            if getattr(f, attribute) is not None:
                self.visit(getattr(f, attribute), f"{v}.{attribute}", f"the defaults of {f.__name__}")
        self._code(f.__code__, f.__globals__)

    def _code(self, code: types.CodeType, space: dict[str, Any]) -> None:
        if code in self.codes or self.executed is not None and code not in self.executed:
            return
        self.codes.add(code)
        found = {*code.co_names, *[x for x in code.co_consts if isinstance(x, str) and x.isidentifier()]}
        asked = [space.get(name) for name in computed_names(code)] if "getattr" in found else []
        self.asked |= {id(x) for x in asked if isinstance(x, types.ModuleType) and not _is_fixed(x)}
        if found & WHOLE or not all([isinstance(x, types.ModuleType) or _is_fixed(x) for x in asked]):
            if str(space.get("__name__")).startswith(USERS):
                self.whole_modules = True               # which is what the code of modules has in mind
            else:
                self.whole = True
        self.names |= found
        names, imports = read_by(code)
        for name in names:
            if name in space:
                self.visit(space[name], f"{self._global(space)}.get({name!r}, M)", name)
            else:                                       # a builtin, or not there yet
                self._check(f"{name!r} in {self._global(space)}")
        for level, name in imports:
            package = (space.get("__package__") or "").rsplit(".", max(level - 1, 0))[0] if level else ""
            name = f"{package}.{name}".strip(".")
            if name in sys.modules and not is_library(name):        # an import within the code gives what stands there
                self.visit(sys.modules[name], f"modules.get({name!r}, M)", name)
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                self._code(inner, space)

    def _global(self, space: dict[str, Any]) -> str:
        if id(space) not in self.spaces:
            self.spaces[id(space)] = self._bound(space)
        return self.spaces[id(space)]

    def _inside_of_constant(self, x: Any, v: str, path: str) -> None:
        """A user's module, or class: what its attributes are is read, too."""
        if x is getattr or x is vars or x is attrgetter:        # under another name
            self.whole = True
        if isinstance(x, type):
            if not is_library(x.__module__):
                self._class(x, path)
                self._object(x, v)
        elif isinstance(x, types.ModuleType) and not is_library(x.__name__):
            self._object(x, v)
        elif isinstance(x, types.BuiltinFunctionType) and x.__self__ is not None \
                and not isinstance(x.__self__, (types.ModuleType, type)):
            self.visit(x.__self__, f"{v}.__self__", f"{path}.__self__")

    def _class(self, kind: type, path: str) -> None:
        call = vars(kind).get("__call__")
        if isinstance(call, types.FunctionType) and not is_library(call.__module__):
            self._function(call, self._bound(call), path)

    def _attributes(self, obj: Any, at: str, seen: set[str]) -> None:
        own = getattr(obj, "__dict__", {})
        kinds = () if isinstance(obj, (type, types.ModuleType)) else type(obj).__mro__
        every = self.whole or self.whole_modules and any([kind.__module__.startswith(USERS) for kind in kinds])
        bases = obj.__mro__ if isinstance(obj, type) else ()
        names = {*self.names, *own} if every and kinds else self.names
        if id(obj) in self.asked:
            names = names.union([name for name in own if not name.startswith("__")])
        if self.whole:
            names = names.union(*[_data(kind) for kind in (*kinds, *bases) if not is_library(kind.__module__)])
        for name in sorted(names - seen):
            seen.add(name)
            if name in own and not isinstance(obj, type):
                self.visit(own[name], f"{at}.__dict__[{name!r}]", name)
                continue
            for kind in (*kinds, *bases):
                if name in vars(kind) and not is_library(kind.__module__):
                    self._class_attribute(vars(kind)[name], obj, f"{self._bound(kind)}.__dict__.get({name!r}, M)", at, name)
                    break
        for slot in {slot for kind in kinds for slot in _slots(kind)} & self.names - {"__dict__", "__weakref__"} - seen:
            seen.add(slot)
            if hasattr(obj, slot):
                self.visit(getattr(obj, slot), f"{at}.{slot}", slot)
        for special in ("__getattr__", "__call__", "forward", "__getitem__", "__iter__", "__len__"):
            if special not in seen:
                seen.add(special)
                method = next((vars(kind)[special] for kind in kinds if special in vars(kind)), None)
                if isinstance(method, types.FunctionType) and not is_library(method.__module__):
                    self._function(method, self._bound(method), special)

    def _class_attribute(self, value: Any, obj: Any, expression: str, at: str, name: str) -> None:
        if isinstance(value, (staticmethod, classmethod)):
            self.visit(value.__func__, f"{expression}.__func__", name)
        elif isinstance(value, property):
            for part in ("fget", "fset"):
                if isinstance(getattr(value, part), types.FunctionType):
                    self.visit(getattr(value, part), f"{expression}.{part}", name)
        elif type(value) in (types.MemberDescriptorType, types.GetSetDescriptorType):
            if not isinstance(obj, type) and hasattr(obj, name):
                self.visit(getattr(obj, name), f"{at}.{name}", name)
        else:
            self.visit(value, expression, name)


def _is_fixed(x: Any) -> bool:
    """Whether x is a library's module, or an object of tapegrad's, whose attributes are not what is compared."""
    if isinstance(x, types.ModuleType):
        return is_library(x.__name__) or x.__name__.startswith(USERS)
    home = type(x).__module__
    return home.split(".")[0] == "tapegrad" and is_library(home)


def _data(kind: type) -> set[str]:
    """The names in a class, slots among them, of what is no code: that is read when it is called."""
    code = types.FunctionType, staticmethod, classmethod, property
    return {name for name, x in vars(kind).items() if not isinstance(x, code) and not name.startswith("__")}


def _slots(kind: type) -> Any:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots


def kind_of(x: Any) -> Any:
    return tuple if isinstance(x, tuple) else list


@lru_cache(maxsize=1024)
def read_by(code: types.CodeType) -> tuple[tuple[str, ...], tuple[tuple[int, str], ...]]:
    """(the names that a code reads, assigns to or deletes as globals; (dots before it, a module that it imports)): both are of
    `co_names`, which has the names of attributes, too."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    names = dict.fromkeys([step.argval for step in steps if step.opname in GLOBALS])
    return tuple(names), tuple([(level.argval, step.argval) for level, step in zip(steps, steps[2:])
                                if step.opname == "IMPORT_NAME"])


@lru_cache(maxsize=1024)
def computed_names(code: types.CodeType) -> list[str | None]:
    """For each getattr of a code whose name does not stand in it, of what global it is an attribute, None where that can't be
    seen.

    Most names do stand in it, as in `getattr(x, "rate", 1.0)`, and then no other attribute of x need be compared. So the
    arguments are followed on the stack, by what Python's dis says that each step leaves there. Where they can't be followed to
    the call (a condition among them, `*names`, a getattr that is itself an argument), the name counts as computed.
    """
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    asked: list[str | None] = []
    for i, found in enumerate(steps):
        if found.argval != "getattr" or found.opname == "LOAD_CONST":
            continue
        name = of = None
        stack: list[Any] = []                           # what getattr is given: the step that made it alone, or None
        for step in steps[i + 1:] if found.opname in GLOBALS else ():
            if step.opname in ("PRECALL", "CALL") and step.arg == len(stack) > 1:
                of, name, *_ = stack
                break
            change = dis.stack_effect(step.opcode, step.arg, jump=False)
            if "JUMP" in step.opname or change < 1 - len(stack):    # what was below has been taken, getattr among it
                break
            stack = [*stack, *[None] * (change - 1), step] if change > 0 else [*stack[:len(stack) + change - 1], None]
        if name is None or name.opname != "LOAD_CONST":
            asked.append(of.argval if of is not None and of.opname in GLOBALS else None)
    return asked


def same_array(x: Any, y: Any) -> bool:
    """Whether two arrays have the same bits."""
    return x is y or x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()


def same_number(x: Any, y: Any) -> bool:
    """Whether two numbers of one type are the same: NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(x, complex):
        return same_number(x.real, y.real) and same_number(x.imag, y.imag)
    if isinstance(x, np.generic) and x.dtype.kind not in "fiub":
        return bool(x == y)
    return bool(x == y and (x != 0 or copysign(1, x) == copysign(1, y)) or isnan(x) and isnan(y))
