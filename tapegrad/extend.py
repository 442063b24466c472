"""New primitives by users: a function of arrays, and a derivative per argument."""

from functools import partial, update_wrapper

from tapegrad.gradient_check import gradcheck
from tapegrad.primitives import Primitive, add_row, table
from tapegrad.record import general, recorded

users = set()                                           # the names of the primitives that users made


class _Keywords(dict):
    """Keyword arguments, on the tape as the last static argument."""


def _call(f, *args):
    return f(*args[:-1], **args[-1]) if args and type(args[-1]) is _Keywords else f(*args)


def _rule(dfun):
    return None if dfun is None else lambda F, d, z, *args: _call(dfun, d, z, *args)


class UserPrimitive:
    """A function of arrays that records: what `primitive` makes.

    Called with tensors or arrays, it computes the function and puts one entry on the tape. Arguments beyond those that
    have a derivative, and keyword arguments, are passed on to the function and to the derivatives as they are.
    """

    def __init__(self, g, derivatives, name=None):
        name = name or g.__name__
        if name in table and name not in users:
            raise ValueError(f"primitive: there is a primitive {name!r} already; give this one another name")
        users.add(name)
        update_wrapper(self, g)
        self.row = Primitive(name, partial(_call, g), tuple(map(_rule, derivatives)))
        add_row(self.row)
        setattr(recorded, name, self)

    def __call__(self, *args, **kwargs):
        arity = self.row.arity
        if len(args) < arity:
            raise TypeError(f"{self.row.name}: {len(args)} arguments given, {arity} have a derivative")
        return general(self.row, args[:arity], (*args[arity:], *([_Keywords(kwargs)] if kwargs else [])))

    def __repr__(self):
        return f"<primitive {self.row.name}>"


def primitive(*derivatives, name=None, check=None):
    """Make a function of arrays a primitive, with one derivative per argument.

        @tg.primitive(lambda delta, out, x: delta * 3 * x ** 2)
        def cube(x):
            return x ** 3

    derivatives   dfun(delta, out, *args) -> the contribution to the argument's delta, or None where there is none. Written
                  with operators, NumPy's ufuncs or tapegrad's functions, it can be differentiated itself.
    name          its name on the tape; by default the function's
    check         arguments, as a tuple, to run gradcheck on at once

    Raises ValueError where the name is that of one of tapegrad's own primitives.
    """
    def decorate(g):
        made = UserPrimitive(g, derivatives, name)
        if check is not None:
            gradcheck(made, *check)
        return made

    if not derivatives:
        raise TypeError("primitive: give one derivative per argument, dfun(delta, out, *args): @primitive(dfun, ..)")
    return decorate
