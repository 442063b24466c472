"""Whether an object has other references, by CPython's reference counts.

Three decisions depend on it:
  - an array that only one tensor holds may be handed out to the user, one that the tape has saved is copied first (tensor.py);
  - a delta that only the sweep holds is added to in place (sweep.py);
  - an entry that only the tape holds is dead and is dropped (tape.py).
A count that is too high costs a copy or some memory, never a wrong value; one that is too low could give a wrong value. The
count of a sole reference differs between versions of CPython, and from 3.14 on references on the stack are not always counted
(cpython#130708). So both are measured on import, through the very calls that are used: the count of a sole reference, and
that it is higher if a variable or a container holds the object, too. If it is not, the limit is NEVER: no reference counts as
the only one, so everything is copied and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

from numpy import asarray, empty, generic, ndarray

NEVER = -1
Count = Callable[[Any], int]


class _Holder:
    __slots__ = ("held",)

    held: Any

    def local(self, count: Count) -> int:
        held = self.held
        return count(held)

    def passed(self, count: Count) -> int:
        held = self.held
        return _value(held, count)


def _value(held: Any, count: Count) -> int:
    return count(held)


def _popped(things: list[Any], count: Count) -> int:
    pop = things.pop
    thing = pop()
    return count(thing)


def limits(count: Count) -> list[int]:
    """(LONE_LOCAL, LONE_PASSED, LONE_VALUE, LONE_POPPED) by a function that counts references, such as getrefcount."""
    holder = _Holder()
    found: list[tuple[int, ...]] = []
    ask: Any
    given: Any
    for ask in (_Holder.local, _Holder.passed):
        holder.held = empty(1)
        lone = ask(holder, count)
        variable = holder.held
        in_variable = ask(holder, count)
        container = [variable]
        del variable
        in_container = ask(holder, count)
        found.append((lone, in_variable, in_container, len(container)))
    for ask, given in ((_value, lambda x: x), (_popped, lambda x: [x])):
        lone = ask(given(empty(1)), count)
        variable = empty(1)
        in_variable = ask(given(variable), count)
        container = [variable]
        del variable
        found.append((lone, in_variable, ask(given(container[0]), count)))
    return [lone if min(in_variable, in_container) > lone else NEVER for lone, in_variable, in_container, *_ in found]


# The count of an object held by: one slot and a local variable of the function that calls getrefcount; one slot, the caller's
# local variable and that function's parameter; only that function's parameter; a local variable, just popped from a list.
LONE_LOCAL, LONE_PASSED, LONE_VALUE, LONE_POPPED = limits(getrefcount)


def added(held: Any, more: Any) -> Any:
    """`held + more`, in place if only one slot and the caller's local variable hold the array `held`."""
    if getrefcount(held) <= LONE_PASSED and type(held) is type(more) is ndarray and held.base is None:
        held += more
        return held
    total = held + more
    return asarray(total) if isinstance(total, generic) else total


def owned(value: Any) -> Any:
    """`value`, or a copy if it is an array with other references or a view."""
    if type(value) is ndarray and (getrefcount(value) > LONE_VALUE or value.base is not None):
        return value.copy()
    return asarray(value) if isinstance(value, generic) else value
