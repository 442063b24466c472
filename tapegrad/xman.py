"""The expression manager: formulas written as Python classes become Wengert lists.

    >>> from tapegrad.xman import XMan, XManFunctions
    >>> class f(XManFunctions):
    ...     @staticmethod
    ...     def half(a):
    ...         return XManFunctions.registerDefinedByOperator("half", a)
    >>> class Triangle(XMan):
    ...     h = f.input()
    ...     w = f.input()
    ...     area = f.half(h * w)
    >>> xm = Triangle().setup()
    >>> xm.operationSequence(xm.area)
    [('z1', 'mul', ('h', 'w')), ('area', 'half', ('z1',))]

A formula is a graph of registers. A register is a named value: an input, a parameter, or the output of an operation;
`definedAs` is that operation, whose `outputReg` is the register. Nothing is computed here: an operation consists of the name
of its function and its argument registers. `setup()` finds the registers that variables of the class or of the instance are
bound to, and gives them the variables' names; other registers that these depend on become z1, z2, ... `operationSequence()`
then returns the list, to be run by `tapegrad.wengert` or by a program's own evaluator.

No function here is recursive, so a formula may be as deep as memory allows; each takes time linear in its size.

Source of the design: W. Cohen, Automatic Reverse-Mode Differentiation: Lecture Notes (2016), section 1.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, Self

from tapegrad.errors import WengertError

__all__ = ["Operation", "Register", "XMan", "XManFunctions"]

Entry = tuple[str, str, tuple[str, ...]]
ROLES = ("input", "param", "operationOutput")
NUMBERS = (int, float)


class Operation:
    """z = fun(args): the name of a function, its argument registers, and the register of z, `outputReg`.

    >>> from tapegrad.xman import XManFunctions as f
    >>> print(f.add(f.input("a"), f.input("b")).definedAs)
    ??? = f.add(a,b)
    """

    def __init__(self, fun: str, *args: Register) -> None:
        self.fun, self.args = fun, args
        self.outputReg: Register | None = None

    def asStringTuple(self) -> Entry:
        """The entry (z, g, (y1, .., yk)) of a Wengert list, all of them strings; "???" for a register without a name."""
        return _name(self.outputReg), self.fun, tuple([_name(register) for register in self.args])

    def __str__(self) -> str:
        z, g, ys = self.asStringTuple()
        return f"{z} = f.{g}({','.join(ys)})"


def _name(register: Register | None) -> str:
    return register.name if register is not None and register.name else "???"


class Register:
    """A named value.

    name        the key of its value and of its delta; None until setup() assigns one
    role        "input", "param" or "operationOutput"
    default     its value in XMan.inputDict(), unless given there
    definedAs   the Operation whose output it is; None for inputs and parameters

    >>> from tapegrad.xman import XManFunctions as f
    >>> z = f.input("a") * 2.0
    >>> z.role, [y.default for y in z.inputsTo()]
    ('operationOutput', [None, 2.0])
    """

    __array_ufunc__ = None              # array * register is register.__rmul__(array), not an array of registers

    def __init__(self, name: str | None = None, role: str | None = None, default: Any = None) -> None:
        if role not in ROLES:
            raise WengertError(f"Register: expected a role among {', '.join(ROLES)}, got {role!r}")
        self.name, self.role, self.default = name, role, default
        self.definedAs: Operation | None = None

    def inputsTo(self) -> tuple[Register, ...]:
        """The argument registers of the operation that defines this one; empty for inputs and parameters."""
        return self.definedAs.args if self.definedAs else ()

    def __repr__(self) -> str:
        return f"<{self.role} {self.name or 'without a name'}{f' = {self.definedAs}' if self.definedAs else ''}>"

    def __add__(self, other: Any) -> Register:
        return XManFunctions.add(self, other)

    def __radd__(self, other: Any) -> Register:
        return XManFunctions.add(other, self)

    def __sub__(self, other: Any) -> Register:
        return XManFunctions.subtract(self, other)

    def __rsub__(self, other: Any) -> Register:
        return XManFunctions.subtract(other, self)

    def __mul__(self, other: Any) -> Register:
        return XManFunctions.mul(self, other)

    def __rmul__(self, other: Any) -> Register:
        return XManFunctions.mul(other, self)


class XManFunctions:
    """The functions to write formulas with: subclass it under a short name, and add your own.

    A number or an array as an argument becomes an input with that default. WengertError for another type.

    >>> from tapegrad.xman import XManFunctions
    >>> class f(XManFunctions):
    ...     @staticmethod
    ...     def tanh(a):
    ...         return XManFunctions.registerDefinedByOperator("tanh", a)
    >>> f.tanh(f.param("W")).definedAs.asStringTuple()
    ('???', 'tanh', ('W',))
    """

    @staticmethod
    def input(name: str | None = None, default: Any = None) -> Register:
        """A register whose value is given, and not learned."""
        return Register(name, "input", default)

    @staticmethod
    def param(name: str | None = None, default: Any = None) -> Register:
        """A register whose value is learned."""
        return Register(name, "param", default)

    @staticmethod
    def add(a: Any, b: Any) -> Register:
        """a + b"""
        return XManFunctions.registerDefinedByOperator("add", a, b)

    @staticmethod
    def subtract(a: Any, b: Any) -> Register:
        """a - b"""
        return XManFunctions.registerDefinedByOperator("subtract", a, b)

    @staticmethod
    def mul(a: Any, b: Any) -> Register:
        """a * b"""
        return XManFunctions.registerDefinedByOperator("mul", a, b)

    @staticmethod
    def registerDefinedByOperator(fun: str, *args: Any) -> Register:
        """The output register of a new operation `fun` on `args`."""
        z = Register(role="operationOutput")
        z.definedAs = Operation(fun, *[_register(fun, argument) for argument in args])
        z.definedAs.outputReg = z
        return z


def _register(fun: str, argument: Any) -> Register:
    if isinstance(argument, Register):
        return argument
    if isinstance(argument, NUMBERS) or hasattr(argument, "dtype"):
        return XManFunctions.input(default=argument)
    raise WengertError(f"{fun}: expected registers, numbers or arrays as arguments, got {type(argument).__name__}")


class InputDict(dict[str, Any]):
    """Values by name; the error for a missing name says what to do."""

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(f"{name} has no value: it has no default; pass it as inputDict({name}=..)")


class XMan:
    """One or several formulas that share registers: variables of the class or of an instance, bound to registers.

    >>> from tapegrad import wengert
    >>> from tapegrad.xman import XMan, XManFunctions as f
    >>> class Sum(XMan):
    ...     x = f.input()
    ...     w = f.param(default=2.0)
    ...     y = x * w + 1.0
    >>> xm = Sum().setup()
    >>> xm.operationSequence(xm.y)
    [('z1', 'mul', ('x', 'w')), ('y', 'add', ('z1', 'z2'))]
    >>> float(wengert.eval(xm.operationSequence(xm.y), xm.inputDict(x=3.0))["y"])
    7.0
    """

    _registers: dict[str, Register] | None = None

    def setup(self) -> Self:
        """Name all registers that the variables are bound to or depend on; return self.

        Calling it again names registers added since. Raises WengertError if two registers have the same name.
        """
        bound = self.namedRegisterItems()
        for name, register in bound:
            register.name = register.name or name
        reached = _reached([register for _, register in bound])
        registers: dict[str, Register] = {}
        for register in reached:
            if register.name and registers.setdefault(register.name, register) is not register:
                raise WengertError(f"setup: two registers have the name {register.name!r}: {registers[register.name]!r} "
                                   f"and {register!r}")
        number = 1
        for register in reached:
            if not register.name:
                while f"z{number}" in registers:
                    number += 1
                register.name = f"z{number}"
                registers[register.name] = register
        self._registers = registers
        return self

    def isParam(self, name: str) -> bool:
        """Whether the register of this name is a parameter."""
        return self._register(name).role == "param"

    def isInput(self, name: str) -> bool:
        """Whether the register of this name is an input."""
        return self._register(name).role == "input"

    def isOpOutput(self, name: str) -> bool:
        """Whether the register of this name is the output of an operation."""
        return self._register(name).role == "operationOutput"

    def _register(self, name: str) -> Register:
        registers = self.registers()
        if name not in registers:
            raise KeyError(f"there is no register {name!r} in this {type(self).__name__}")
        return registers[name]

    def inputDict(self, **kw: Any) -> InputDict:
        """{name: value} of the inputs and parameters: their defaults, and values given by keyword.

        A register with neither is left out, and looking it up raises KeyError with its name. WengertError for a keyword
        that is not the name of a register.
        """
        registers = self.registers()
        unknown = [name for name in kw if name not in registers]
        if unknown:
            raise WengertError(f"inputDict: there is no register {unknown[0]!r} in this {type(self).__name__}")
        defaults = {name: register.default for name, register in registers.items() if register.default is not None}
        return InputDict(defaults | kw)

    def registers(self) -> dict[str, Register]:
        """{name: Register} of all registers."""
        if self._registers is None:
            raise WengertError(f"{type(self).__name__}: the registers have no names yet; call setup() first")
        return self._registers

    def namedRegisterItems(self) -> list[tuple[str, Register]]:
        """The pairs (variable, Register) of the class and the instance, sorted by the variable's name."""
        variables: dict[str, Any] = {}
        for scope in (*[vars(cls) for cls in reversed(type(self).__mro__)], vars(self)):
            variables |= scope
        return sorted([(name, value) for name, value in variables.items() if isinstance(value, Register)])

    def operationSequence(self, reg: Register | str, previouslyDefined: Iterable[str] | None = ()) -> list[Entry]:
        """The Wengert list that computes a register: each operation once, after the ones it depends on.

        reg                 a Register, or its name
        previouslyDefined   names that already have values; the operations that compute them are left out
        """
        registers = self.registers()
        reg = self._register(reg) if isinstance(reg, str) else reg
        if registers.get(reg.name or "") is not reg:
            raise WengertError(f"operationSequence: {reg!r} is not a register of this {type(self).__name__}; if it was "
                               "added since setup(), call setup() again")
        defined, opened, sequence, waiting = set(previouslyDefined or ()), set(), [], [reg]
        while waiting:
            register = waiting[-1]
            if register.name in defined or not register.definedAs:
                waiting.pop()
                continue
            undefined = [y for y in register.inputsTo() if y.definedAs and y.name not in defined]
            if undefined:
                if register.name in opened:
                    raise WengertError(f"operationSequence: {register!r} depends on itself")
                opened.add(register.name)
                waiting += reversed(undefined)
            else:
                sequence.append(register.definedAs.asStringTuple())
                defined.add(_name(register))
                waiting.pop()
        return sequence


def _reached(registers: list[Register]) -> list[Register]:
    """The registers and all that they depend on, each before its arguments, in reading order."""
    reached: dict[Register, None] = {}
    waiting = registers[::-1]
    while waiting:
        register = waiting.pop()
        if register not in reached:
            reached[register] = None
            waiting += reversed(register.inputsTo())
    return list(reached)
