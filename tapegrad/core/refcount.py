"""Who else holds this array? CPython's reference counts know.

Three decisions rest on the answer:
  - an array that only one tensor holds may be lent to the user, one that the tape has saved is copied first (tensor.py);
  - a delta that only the sweep holds is added to in place (sweep.py);
  - an entry that only the tape holds is dead and leaves it (tape.py).
A count that is too high costs a copy or some memory and never a wrong value. What a lone reference counts to differs
between versions of CPython, so it is measured here, through the very calls that are used.
"""

from sys import getrefcount

from numpy import asarray, empty, generic, ndarray


class _Holder:
    __slots__ = ("held",)

    def count(self):
        held = self.held
        return getrefcount(held)

    def count_passed(self):
        held = self.held
        return _count(held)


def _count(held):
    return getrefcount(held)


_holder = _Holder()
_holder.held = empty(1)
LONE_LOCAL = _holder.count()                # one slot, and a local variable of the function that asks
LONE_PASSED = _holder.count_passed()        # one slot, a local variable, and the parameter of the function that asks
LONE_VALUE = _count(empty(1))               # only the parameter of the function that asks


def added(held, more):
    """`held + more`, in place where one slot and the caller's local variable are the only holders of the array `held`."""
    if getrefcount(held) <= LONE_PASSED and type(held) is type(more) is ndarray and held.base is None:
        held += more
        return held
    return held + more


def owned(value):
    """`value`, or a copy of it where it is an array that anything else holds or that is a view."""
    if type(value) is ndarray and (getrefcount(value) > LONE_VALUE or value.base is not None):
        return value.copy()
    return asarray(value) if isinstance(value, generic) else value
