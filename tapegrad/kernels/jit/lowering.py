"""Kernels as LLVM's code, from text in a small part of Python, in which programs and loops are written (compiler/text.py).

numba would compile this text, too. It takes 0.2 to 0.5 s for a kernel, four fifths of it in Python, to find types that are
plain here; this takes a tenth, with the same instructions, and needs numba for nothing. What there is:

    values      numbers of NumPy's types bool_, int32, int64, uint32, uint64, float32, float64; pointers to them
    statements  assignments, also of tuples, += and the like, for over range, while, if, return, calls
    expressions + - * / ** // << >> & | ^ ~, comparisons, and, or, not, x if c else y, calls, x.view(type)
    calls       of types, which convert; min and max of integers; NumPy's functions of FUNCTIONS and LIBRARY; Intrinsics;
                Python functions of such expressions, which are put in their place: those of kernels/formulas.py

What is known beforehand (numbers, types, functions) is computed by Python. A literal takes the type of what it meets, as in
NumPy. A variable has the type of its first value. Integers wrap around. What is not here is a TypeError.
"""

import ast
import inspect
import operator
import textwrap
from functools import cache

import numpy as np
from llvmlite import ir

WORD = ir.IntType(64)
KINDS = {np.bool_: ir.IntType(1), np.int32: ir.IntType(32), np.uint32: ir.IntType(32), np.int64: WORD, np.uint64: WORD,
         np.float32: ir.FloatType(), np.float64: ir.DoubleType()}
FLOATS, UNSIGNED, LITERALS = (np.float32, np.float64), (np.uint32, np.uint64), (bool, int, float)
FAMILIES = {np.float64: FLOATS, np.uint64: UNSIGNED, np.int64: (np.int32, np.int64)}    # of which two give the widest
BUILTINS = {"range": range, "len": len, "min": min, "max": max, "abs": abs}
FUNCTIONS = {np.exp: "exp", np.log: "log", np.sqrt: "sqrt", np.sin: "sin", np.cos: "cos", np.exp2: "exp2", np.log2: "log2",
             np.log10: "log10", np.floor: "floor", np.ceil: "ceil", np.trunc: "trunc", np.copysign: "copysign", abs: "fabs"}
LIBRARY = {np.expm1: "expm1", np.log1p: "log1p", np.tan: "tan", np.arcsin: "asin", np.arccos: "acos", np.arctan: "atan",
           np.sinh: "sinh", np.cosh: "cosh", np.arcsinh: "asinh", np.arccosh: "acosh", np.arctanh: "atanh",
           np.arctan2: "atan2", np.hypot: "hypot"}      # of C
OPERATORS = {ast.Add: (operator.add, "add"), ast.Sub: (operator.sub, "sub"), ast.Mult: (operator.mul, "mul"),
             ast.Div: (operator.truediv, "div"), ast.BitAnd: (operator.and_, "and_"), ast.BitOr: (operator.or_, "or_"),
             ast.BitXor: (operator.xor, "xor"), ast.LShift: (operator.lshift, "shl"), ast.RShift: (operator.rshift, "ashr"),
             ast.FloorDiv: (operator.floordiv, ""), ast.Pow: (operator.pow, "")}
UNARY = {ast.USub: operator.neg, ast.Not: operator.not_, ast.Invert: operator.invert}
COMPARED = {ast.Lt: (operator.lt, "<"), ast.LtE: (operator.le, "<="), ast.Gt: (operator.gt, ">"), ast.GtE: (operator.ge, ">="),
            ast.Eq: (operator.eq, "=="), ast.NotEq: (operator.ne, "!=")}


class Pointer:
    """The type of pointers to numbers of a type."""

    def __init__(self, of):
        self.of, self.ir = of, KINDS[of].as_pointer()


class Value:
    """What is known only when the kernel runs: its type, and LLVM's value."""

    __slots__ = ("kind", "ir")

    def __init__(self, kind, value):
        self.kind, self.ir = kind, value


class Intrinsic:
    """A function that is a few instructions: emit(lowering, *operands) gives its Value, or None."""

    def __init__(self, emit):
        self.emit = emit


@cache
def _body_of(code):
    """(the names of the parameters, the statements) of a Python function."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(code))).body[0]
    return code.co_varnames[:code.co_argcount], tree.body


class Lowering:
    """The module of a function, from its text.

    names     what the text may name
    results   the type that it returns, or None
    fused     whether x * y + z may be rounded once
    """

    def __init__(self, text, name, names, parameters, result=None, fused=False):
        function, = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        self.module = ir.Module(name)
        kind = ir.FunctionType(KINDS[result] if result else ir.VoidType(), [_ir(kind) for kind in parameters])
        self.function = ir.Function(self.module, kind, name)
        self.names, self.result, self.flags, self.scopes = names, result, ("contract",) if fused else (), {}
        self.first = self.function.append_basic_block("variables")
        self.places = ir.IRBuilder(self.first)
        self.builder = ir.IRBuilder(self.function.append_basic_block("start"))
        self.scope = None                               # the names of the function that is put in the place of its call
        self.variables = {}
        for parameter, of, value in zip(function.args.args, parameters, self.function.args):
            self._assign(parameter.arg, Value(of, value))
        start = self.builder.block
        self._statements(function.body)
        if not self.builder.block.is_terminated:
            self.builder.unreachable() if result else self.builder.ret_void()
        self.places.branch(start)

    # Statements

    def _statements(self, statements):
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            getattr(self, f"_{type(statement).__name__}", self._unknown)(statement)

    def _unknown(self, node):
        raise TypeError(f"a kernel can't have {ast.unparse(node)}")

    def _Expr(self, node):
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def _Assign(self, node):
        target, *more = node.targets
        if more:
            self._unknown(node)
        if isinstance(target, ast.Tuple):
            for x, value in zip(target.elts, self.value(node.value), strict=True):
                self._put(x, value)
        else:
            self._put(target, self.value(node.value))

    def _AugAssign(self, node):
        self._put(node.target, self._binary(type(node.op), self.value(node.target), self.value(node.value)))

    def _put(self, target, value):
        if isinstance(target, ast.Name):
            self._assign(target.id, value)
        else:
            place = self._element(target)
            self.builder.store(self.converted(value, place.kind.of), place.ir)

    def _assign(self, name, value):
        if self.scope is not None:
            self.scope[name] = value
            return
        if name not in self.variables:
            if not isinstance(value, Value):
                value = self.given(value)
            self.variables[name] = Value(value.kind, self.places.alloca(_ir(value.kind)))
        place = self.variables[name]
        self.builder.store(self.converted(value, place.kind), place.ir)

    def _at_run_time(self, node):
        """A statement that an inlined function can't have: its variables are values, of which there is one each."""
        if self.scope is not None:
            self._unknown(node)

    def _If(self, node):
        test = self.condition(node.test)
        if not isinstance(test, Value):
            self._statements(node.body if test else node.orelse)
            return
        self._at_run_time(node)
        then, otherwise, after = [self.function.append_basic_block() for _ in range(3)]
        self.builder.cbranch(test.ir, then, otherwise)
        for block, statements in ((then, node.body), (otherwise, node.orelse)):
            self.builder.position_at_end(block)
            self._statements(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(after)
        self.builder.position_at_end(after)

    def _While(self, node):
        self._at_run_time(node)
        self._loop(node, lambda: self.condition(node.test), lambda: self._statements(node.body))

    def _For(self, node):
        low, high, step = self._range(node)
        if self.scope is not None:
            for i in range(low, high, step):
                self.scope[node.target.id] = i
                self._statements(node.body)
            return
        last = self.given(high)
        self._assign(node.target.id, self.given(low))
        place = self.variables[node.target.id]

        def body():
            before = self.builder.load(place.ir)
            self._statements(node.body)
            if not self.builder.block.is_terminated:
                self.builder.store(self.builder.add(before, ir.Constant(WORD, step), flags=("nsw",)), place.ir)

        self._loop(node, lambda: self._compared(ast.Lt, Value(np.int64, self.builder.load(place.ir)), last), body)

    def _range(self, node):
        if not (isinstance(node.iter, ast.Call) and self.value(node.iter.func) is range):
            self._unknown(node)
        given = [self.value(x) for x in node.iter.args]
        low, high, step = (0, *given, 1) if len(given) == 1 else (*given, 1)[:3]
        if type(step) is not int or step < 1:
            self._unknown(node)
        return low, high, step

    def _loop(self, node, test, body):
        if node.orelse:
            self._unknown(node)
        head, inside, after = [self.function.append_basic_block() for _ in range(3)]
        self.builder.branch(head)
        self.builder.position_at_end(head)
        condition = test()
        self.builder.cbranch(self.converted(condition, np.bool_), inside, after)
        self.builder.position_at_end(inside)
        body()
        if not self.builder.block.is_terminated:
            self.builder.branch(head)
        self.builder.position_at_end(after)

    def _Return(self, node):
        self._at_run_time(node)
        if node.value is None:
            self.builder.ret_void()
        else:
            self.builder.ret(self.converted(self.value(node.value), self.result))

    # Values

    def given(self, x):
        """A Value of what is known."""
        if isinstance(x, Value):
            return x
        kind = {bool: np.bool_, int: np.int64, float: np.float64}.get(type(x), type(x))
        return Value(kind, self.converted(x, kind))

    def converted(self, x, kind):
        """LLVM's value of x in a type."""
        if not isinstance(x, Value):
            if kind not in KINDS or not isinstance(x, (*LITERALS, np.generic)) \
                    or isinstance(x, (float, np.floating)) and kind not in FLOATS:
                raise TypeError(f"a kernel can't have {x!r} there")
            return ir.Constant(KINDS[kind], kind(x).item())
        if x.kind is kind:
            return x.ir
        if kind not in KINDS or x.kind not in KINDS:
            raise TypeError("a kernel can't take a pointer for a number")
        of, to, build = KINDS[x.kind], KINDS[kind], self.builder
        if kind in FLOATS and x.kind in FLOATS:
            return build.fpext(x.ir, to) if kind is np.float64 else build.fptrunc(x.ir, to)
        if kind in FLOATS:
            return (build.uitofp if x.kind in (np.bool_, *UNSIGNED) else build.sitofp)(x.ir, to)
        if x.kind in FLOATS or kind is np.bool_:
            raise TypeError(f"a kernel can't make {kind.__name__} of {x.kind.__name__}")
        if of.width == to.width:
            return x.ir
        if of.width > to.width:
            return build.trunc(x.ir, to)
        return (build.zext if x.kind in (np.bool_, *UNSIGNED) else build.sext)(x.ir, to)

    def alike(self, x, y):
        """(their type, LLVM's values of both in it)"""
        kinds = [z.kind if isinstance(z, Value) else type(z) for z in (x, y)]
        strong = [kind for kind in kinds if kind not in LITERALS]
        kind = strong[0]
        if kind is not strong[-1]:
            kind = next((wide for wide, family in FAMILIES.items() if all([other in family for other in strong])), None)
            if kind is None:
                raise TypeError(f"a kernel can't mix {' and '.join([str(other) for other in strong])}")
        return kind, self.converted(x, kind), self.converted(y, kind)

    def value(self, node):
        return getattr(self, f"_value_{type(node).__name__}", self._unknown)(node)

    def condition(self, node):
        test = self.value(node)
        if isinstance(test, Value) and test.kind is not np.bool_:
            raise TypeError(f"a kernel can't take {ast.unparse(node)} for a condition")
        return test

    def _value_Constant(self, node):
        return node.value

    def _value_Name(self, node):
        if self.scope is not None and node.id in self.scope:
            return self.scope[node.id]
        if self.scope is None and node.id in self.variables:
            place = self.variables[node.id]
            return Value(place.kind, self.builder.load(place.ir))
        for names in (self.names, BUILTINS):
            if node.id in names:
                return names[node.id]
        raise TypeError(f"a kernel does not know {node.id}")

    def _value_Attribute(self, node):
        return getattr(self.value(node.value), node.attr)

    def _value_Tuple(self, node):
        return tuple([self.value(x) for x in node.elts])

    def _value_Subscript(self, node):
        held = self.value(node.value)
        if not isinstance(held, Value):
            return held[self.value(node.slice)]
        place = self._element(node)
        return Value(place.kind.of, self.builder.load(place.ir))

    def _element(self, node):
        held, index = self.value(node.value), self.value(node.slice)
        return Value(held.kind, self.builder.gep(held.ir, [self.converted(index, np.int64)]))

    def _value_IfExp(self, node):
        test = self.condition(node.test)
        if not isinstance(test, Value):
            return self.value(node.body if test else node.orelse)
        return self._either(test, lambda: self.value(node.body), lambda: self.value(node.orelse))

    def _either(self, test, first, second):
        """One of two values, of which only that one is computed."""
        blocks = [self.function.append_basic_block() for _ in range(3)]
        self.builder.cbranch(test.ir, *blocks[:2])
        found = []
        for block, make in zip(blocks, (first, second)):
            self.builder.position_at_end(block)
            found.append((make(), self.builder.block))
        kinds = [x.kind if isinstance(x, Value) else type(x) for x, _ in found]
        kind = next((kind for kind in kinds if kind not in LITERALS), None) or self.given(found[0][0]).kind
        parts = []
        for x, block in found:
            self.builder.position_at_end(block)
            if isinstance(x, Value) and x.kind is not kind:
                raise TypeError("a kernel can't choose between two types")
            parts.append((self.converted(x, kind), self.builder.block))
            self.builder.branch(blocks[2])
        self.builder.position_at_end(blocks[2])
        phi = self.builder.phi(_ir(kind))
        for value, block in parts:
            phi.add_incoming(value, block)
        return Value(kind, phi)

    def _value_BoolOp(self, node):
        first, *rest = node.values
        if not rest:
            return self.condition(first)
        more = ast.BoolOp(node.op, rest)
        test = self.condition(first)
        if not isinstance(test, Value):
            return self.condition(more) if test == isinstance(node.op, ast.And) else test
        then, otherwise = lambda: self.given(self.condition(more)), lambda: isinstance(node.op, ast.Or)
        return self._either(test, *(then, otherwise) if isinstance(node.op, ast.And) else (otherwise, then))

    def _value_UnaryOp(self, node):
        x, op = self.value(node.operand), type(node.op)
        if op not in UNARY:
            self._unknown(node)
        if not isinstance(x, Value):
            return UNARY[op](x)
        if op is ast.USub and x.kind is not np.bool_:
            return Value(x.kind, self.builder.fneg(x.ir) if x.kind in FLOATS else self.builder.neg(x.ir))
        if x.kind in FLOATS or (op is ast.Not) != (x.kind is np.bool_):
            self._unknown(node)
        return Value(x.kind, self.builder.not_(x.ir))

    def _value_BinOp(self, node):
        return self._binary(type(node.op), self.value(node.left), self.value(node.right))

    def _binary(self, op, x, y):
        if op not in OPERATORS:
            raise TypeError(f"a kernel can't do {op.__name__}")
        by_python, name = OPERATORS[op]
        if not (isinstance(x, Value) or isinstance(y, Value)):
            return by_python(x, y)
        if op is ast.Pow:
            return self._power(x, y)
        kind, a, b = self.alike(x, y)
        build = self.builder
        if kind in FLOATS:
            if name not in ("add", "sub", "mul", "div"):
                raise TypeError(f"a kernel can't do {op.__name__} of floats")
            return Value(kind, getattr(build, f"f{name}")(a, b, flags=self.flags))
        if op is ast.FloorDiv and not isinstance(y, Value) and y > 0 and y & (y - 1) == 0 and kind not in UNSIGNED:
            return Value(kind, build.ashr(a, ir.Constant(KINDS[kind], y.bit_length() - 1)))
        if name in ("", "div") or kind is np.bool_ and name not in ("and_", "or_", "xor"):
            raise TypeError(f"a kernel can't do {op.__name__} of {kind.__name__}")
        return Value(kind, getattr(build, "lshr" if name == "ashr" and kind in UNSIGNED else name)(a, b))

    def _power(self, x, y):
        if type(y) is int and y > 0:                    # by squares, from the lowest bit
            power = None
            while y:
                if y & 1:
                    power = x if power is None else self._binary(ast.Mult, power, x)
                y >>= 1
                x = self._binary(ast.Mult, x, x) if y else x
            return power
        kind, a, b = self.alike(x, y)
        return self._call("llvm.pow", kind, [a, b])

    def _call(self, name, kind, operands):
        if kind not in FLOATS:
            raise TypeError(f"a kernel can't call {name} of {kind.__name__}")
        signature = ir.FunctionType(KINDS[kind], [KINDS[kind]] * len(operands))
        if name.startswith("llvm."):
            function = self.module.declare_intrinsic(name, [KINDS[kind]], signature)
        else:
            name += "f" * (kind is np.float32)
            function = self.module.globals.get(name) or ir.Function(self.module, signature, name)
        return Value(kind, self.builder.call(function, operands, fastmath=self.flags))

    def _value_Compare(self, node):
        values, found = [self.value(x) for x in (node.left, *node.comparators)], None
        for op, x, y in zip(node.ops, values, values[1:]):
            one = self._compared(type(op), x, y)
            found = one if found is None else self._binary(ast.BitAnd, found, one)
        return found

    def _compared(self, op, x, y):
        if op not in COMPARED:
            raise TypeError(f"a kernel can't compare by {op.__name__}")
        by_python, sign = COMPARED[op]
        if not (isinstance(x, Value) or isinstance(y, Value)):
            return by_python(x, y)
        kind, a, b = self.alike(x, y)
        if kind in FLOATS:
            return Value(np.bool_, (self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered)(sign, a, b))
        compare = self.builder.icmp_unsigned if kind in (np.bool_, *UNSIGNED) else self.builder.icmp_signed
        return Value(np.bool_, compare(sign, a, b))

    def _value_Call(self, node):
        if node.keywords:
            self._unknown(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "view":
            x, = [self.value(node.func.value)]
            kind, = [self.value(y) for y in node.args]
            if isinstance(x, Value):
                same = (x.kind in FLOATS) == (kind in FLOATS)
                return Value(kind, x.ir if same else self.builder.bitcast(x.ir, KINDS[kind]))
            return x.view(kind)
        function, given = self.value(node.func), [self.value(x) for x in node.args]
        if isinstance(function, Intrinsic):
            return function.emit(self, *given)
        if not any([isinstance(x, Value) for x in given]):
            return function(*given)
        if function in (min, max, np.minimum, np.maximum):
            return self._extreme(function, *given)
        if function in KINDS:
            return Value(function, self.converted(*given, function))
        for table, prefix in ((FUNCTIONS, "llvm."), (LIBRARY, "")):
            if function in table:
                kind, *operands = self.alike(*given) if len(given) > 1 else (given[0].kind, given[0].ir)
                return self._call(prefix + table[function], kind, operands)
        if not inspect.isfunction(function):
            self._unknown(node)
        return self._inlined(function, given)

    def _extreme(self, function, x, y):
        kind, a, b = self.alike(x, y)
        if kind in FLOATS:
            raise TypeError(f"a kernel can't take {function.__name__} of floats")
        sign = "<" if function in (min, np.minimum) else ">"
        test = (self.builder.icmp_unsigned if kind in UNSIGNED else self.builder.icmp_signed)(sign, a, b)
        return Value(kind, self.builder.select(test, a, b))

    def _inlined(self, function, given):
        """The value of a Python function, whose names are its own."""
        parameters, body = _body_of(function.__code__)
        outer = self.scope, self.names
        cells = zip(function.__code__.co_freevars, function.__closure__ or ())
        self.scope = dict(zip(parameters, given, strict=True))
        self.names = function.__globals__ | {name: cell.cell_contents for name, cell in cells}
        *before, last = body
        self._statements(before)
        if not isinstance(last, ast.Return):
            self._unknown(last)
        found = self.value(last.value)
        self.scope, self.names = outer
        return found


def _ir(kind):
    return kind.ir if isinstance(kind, Pointer) else KINDS[kind]

