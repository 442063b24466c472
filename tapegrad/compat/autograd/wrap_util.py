"""How an operator on functions of one argument becomes one on functions of several, of which some are chosen by `argnum`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

__all__ = ["get_doc", "get_name", "unary_to_nary", "wrap_nary_f", "wraps"]

Function = Callable[..., Any]
F = TypeVar("F")


def get_name(f: Any) -> str:
    return getattr(f, "__name__", "[unknown name]")


def get_doc(f: Any) -> str:
    return getattr(f, "__doc__", None) or ""


def wraps(fun: Any, namestr: str = "{fun}", docstr: str = "{doc}", **kwargs: Any) -> Callable[[F], F]:
    """Decorator that names and documents a function after `fun`, by the two templates."""
    def decorate(f: F) -> F:
        named: Any = f
        named.__name__ = namestr.format(fun=get_name(fun), **kwargs)
        named.__doc__ = docstr.format(fun=get_name(fun), doc=get_doc(fun), **kwargs)
        return f

    return decorate


def wrap_nary_f(fun: Any, op: Any, argnum: int | Sequence[int]) -> Callable[[F], F]:
    """Decorator that names a function of several arguments after the operator and the function that it was made from."""
    return wraps(fun, "{op}_of_{fun}_wrt_argnum_{argnum}",
                 "    {op} of function {fun} with respect to argument number {argnum}. Takes the\n"
                 "    arguments of {fun}.\n", op=get_name(op), argnum=argnum)


class _Unary:
    """A function of the chosen argument, or of the tuple of several."""

    __slots__ = ("fun", "argnum", "args", "kwargs")

    def __init__(self, fun: Function, argnum: int | Sequence[int], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.fun, self.argnum, self.args, self.kwargs = fun, argnum, args, kwargs

    @property
    def __name__(self) -> str:
        return get_name(self.fun)

    def __call__(self, x: Any) -> Any:
        args = list(self.args)
        if isinstance(self.argnum, int):
            args[self.argnum] = x
        else:
            for i, part in zip(self.argnum, x):
                args[i] = part
        return self.fun(*args, **self.kwargs)


def unary_to_nary(unary_operator: Function) -> Function:
    """operator(fun, x), of a function of x, as operator(fun, argnum)(*args): by the argument at the position argnum, or by
    the tuple of several."""
    @wraps(unary_operator)
    def nary_operator(fun: Function, argnum: int | Sequence[int] = 0, *options: Any, **named_options: Any) -> Function:
        if not isinstance(argnum, (int, tuple, list)):
            raise TypeError(f"{get_name(unary_operator)}: argnum={argnum!r}; expected the position of an argument, or several")

        @wrap_nary_f(fun, unary_operator, argnum)
        def nary_f(*args: Any, **kwargs: Any) -> Any:
            x = args[argnum] if isinstance(argnum, int) else tuple([args[i] for i in argnum])
            unary = fun if len(args) == 1 and argnum == 0 and not kwargs else _Unary(fun, argnum, args, kwargs)
            return unary_operator(unary, x, *options, **named_options)

        return nary_f

    return nary_operator
