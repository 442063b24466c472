"""Recording: how a row of the registry becomes a function of tensors that appends to the tape.

There is one recorder per arity, because this is where the time of small operations goes: `unary` and `binary` for rows
without static arguments, `unary_with_static` for one operand with them, `general` for the rest. Each reads the operands'
arrays and registers, runs G on the arrays, and, if a register is there and the thread is recording, makes the entry.
`recorded` holds the resulting functions by name: it is the vocabulary F of derivatives that are themselves recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tapegrad.core.constants import private
from tapegrad.core.entry import Entry, Leaf
from tapegrad.core.tape import LARGE, listening, thread
from tapegrad.core.tensor import TensorBase
from tapegrad.errors import DtypeError, failed_call, refuse_masked
from tapegrad.primitives import Vocabulary
from tapegrad.primitives.plan import NOTHING, SHAPE, VALUE, Plan
from tapegrad.primitives.registry import Primitive

if TYPE_CHECKING:
    from tapegrad.functions.tensor import Tensor

Op = Callable[..., "Tensor"]
T = TypeVar("T")

_new: Any = object.__new__
_ndarray = np.ndarray
_asarray = np.asarray
_NOTHING_SAVED = None, None, None
_SCALARS = frozenset({np.float64, np.float32, np.int64, np.complex128})         # the most common of NumPy's

_Tensor: Any = TensorBase       # the class of results: that of functions/tensor.py, whose operators are made here


def results_are(cls: T) -> T:
    """Decorator of the class that results are to have."""
    global _Tensor
    _Tensor = cls
    return cls


def wrap(array: Any, register: Entry | Leaf | None) -> Tensor:
    """A tensor around an array, without a copy, whose register is given."""
    z: Tensor = _new(_Tensor)
    z._data, z._register = array, register
    if listening and register is None and (tracer := thread.tape.tracer) is not None:
        tracer.made(z)
    return z


def _operand(name: str, x: Any) -> Any:
    """An operand that is not a tensor: a Python number, a tensor of a list, or an array that may be the caller's.

    Or a tensor of a subclass, which is to do the operation: see taken_over.
    """
    if type(x) in (float, int, bool, complex):
        return x
    if type(x) in _SCALARS:
        return wrap(_asarray(x), None)
    if type(x) is not _ndarray:
        if isinstance(x, TensorBase):
            return x
        if holds_tensors(x):
            return stacked(x)
        if (foreign := _Tensor._foreign(x)) is not None:
            return foreign
        refuse_masked(x)
    array = np.asarray(x)
    if array.dtype.kind not in "biufc":
        raise DtypeError(f"{name}: an operand of type {type(x).__name__} is neither a tensor nor an array of numbers")
    return array if array is x or array.base is not None else wrap(array, None)


def holds_tensors(xs: Any) -> bool:
    """Whether there is a tensor among the elements of nested lists."""
    return type(xs) in (list, tuple) and any([isinstance(x, TensorBase) or holds_tensors(x) for x in xs])


def stacked(xs: Any) -> Any:
    """Nested lists, tensors among their elements, as one tensor."""
    return recorded.stack([stacked(x) for x in xs], 0) if type(xs) in (list, tuple) else xs


def constant(array: Any) -> Tensor:
    """A tensor of an array that the tape may keep, and that the caller may write into."""
    return wrap(private(array), None)


def drawn(generator: Callable[[], np.random.Generator], g: Callable[[np.random.Generator], Any]) -> Tensor:
    """A constant made of random numbers, g(generator()); a compiled function draws them anew at each call.

    Under vmap each example has its own.
    """
    if (levels := thread.tape.levels):
        return levels[-1].drawn(generator, g)           # type: ignore[no-any-return]
    if listening and (tracer := thread.tape.tracer) is not None:
        return wrap(tracer.draw(generator, g), None)
    return wrap(g(generator()), None)


def taken_over(xs: Sequence[Any]) -> Any:
    """A tensor of a subclass among operands or static arguments, or None. It does the operation: see TensorBase._operate."""
    for x in xs:
        found = taken_over(x) if type(x) is tuple else x if type(x) is not _Tensor and isinstance(x, TensorBase) else None
        if found is not None:
            return found
    return None


def _failed(name: str, values: Sequence[Any], error: Exception, static: tuple[Any, ...] = ()) -> Exception:
    if listening and (tracer := thread.tape.tracer) is not None:
        tracer.failed()
    return failed_call(name, values, error, static)


def append(row: Any, plan: Plan, ys: tuple[Any, ...], saved: tuple[Any, ...], zd: Any) -> Entry:
    """Append the entry z = g(ys) to this thread's tape, and return it."""
    tape = thread.tape
    entry = Entry()
    entry.g, entry.ys, entry.plan, entry.saved = row, ys, plan, saved
    entry.shape, entry.dtype, entry.delta, entry.tape = zd.shape, zd.dtype, None, tape
    tape.entries.append(entry)
    if zd.nbytes > LARGE or len(tape.entries) > tape.limit:
        tape.grown(zd.nbytes)
    return entry


def general(row: Primitive, operands: Sequence[Any], static: tuple[Any, ...] = ()) -> Tensor:
    """z = g(*operands, *static), recorded: the recorder for rows of any arity and with static arguments.

    Of a row that is a composition of others, those are recorded for a tracer, and for tensors of subclasses.
    """
    composition = row.composition
    if composition is not None and listening and thread.tape.tracer is not None:
        return composition(recorded, *operands, *static)        # type: ignore[no-any-return]
    values: list[Any] = []
    ys: list[Any] = []
    mask = 0                                            # mask: a bit for each operand that has a register
    for i, x in enumerate(operands):
        if type(x) is not _Tensor:
            if composition is not None and type(x) is not float:
                return composition(recorded, *operands, *static)        # type: ignore[no-any-return]
            x = _operand(row.name, x)
            if type(x) is _ndarray:
                x = constant(x)
            elif type(x) is not _Tensor and isinstance(x, TensorBase):
                return x._operate(row, (*operands[:i], x, *operands[i + 1:]), static)   # type: ignore[no-any-return]
            elif len(operands) == 1 and type(x) is not _Tensor:
                x = wrap(_asarray(x), None)             # G may ask for its shape
        if type(x) is not _Tensor:
            value = x
        else:
            value = x._take_back() if x._data is None else x._data
            if x._register is not None:
                x, mask = x._register, mask | 1 << i
        values.append(value)
        ys.append(x)
    try:
        zd = row.g(values, *static) if row.variadic else row.g(*values, *static)
    except Exception as error:
        if (one := taken_over(static)) is not None:     # G fails on it, so that looking for it costs nothing before
            return one._operate(row, operands, static)  # type: ignore[no-any-return]
        raise _failed(row.name, values, error, static) from error
    if type(zd) is not _ndarray:
        zd = _asarray(zd)
    if not (mask and thread.tape.recording) or row.has_no_derivative:
        z = wrap(zd, None)
    else:
        z = wrap(zd, append(row, *_entry(row, mask, ys, values, static, zd), zd))
    if listening and (tracer := thread.tape.tracer) is not None:
        tracer.operation(row, operands, values, static, z)
    return z


def _entry(row: Primitive, mask: int, ys: list[Any], values: list[Any], static: tuple[Any, ...],
           zd: Any) -> tuple[Plan, tuple[Any, ...], tuple[Any, ...]]:
    if row.variadic:
        plan = row.plan_of(len(ys), mask)
        keep_z, keep = plan.keep[:2]
        shapes = tuple([None if keep == NOTHING else getattr(value, "shape", ()) for value in values])
        saved = zd if keep_z else None, shapes, *static
    else:
        plan = row.planned()[mask]
        saved = *[value if how == VALUE else None if how == NOTHING else getattr(value, "shape", ())
                  for how, value in zip(plan.keep, (zd, *values))], *static
    return plan, tuple(ys), saved


def unary_with_static(row: Primitive) -> Op:
    """The recorder of a row with one operand and static arguments."""
    keep_z, how_x = row.planned()[1].keep

    def op(x: Any, *static: Any) -> Tensor:
        if type(x) is not _Tensor:
            return general(row, (x,), static)
        xd, register = x._data, x._register
        if xd is None:
            xd = x._take_back()
        g = row.g
        try:
            zd = g(xd, *static)
        except Exception as error:
            if (one := taken_over(static)) is not None:
                return one._operate(row, (x,), static)  # type: ignore[no-any-return]
            raise _failed(row.name, (xd,), error, static) from error
        if type(zd) is not _ndarray:
            zd = _asarray(zd)
        z: Tensor = _new(_Tensor)
        z._data = zd
        tape = thread.tape
        if register is None or not tape.recording:
            z._register = None
        else:
            saved = zd if keep_z else None, xd if how_x == VALUE else xd.shape if how_x == SHAPE else None, *static
            z._register = append(row, row.plans[1], (register,), saved, zd)
        if tape.tracer is not None:
            tape.tracer.operation(row, (x,), (xd,), static, z)
        return z

    return op


def unary(row: Primitive) -> Op:
    """The recorder of a row with one operand and no static arguments."""
    keep_z, keep_x = [how == VALUE for how in row.planned()[1].keep]

    def op(x: Any) -> Tensor:
        if type(x) is not _Tensor:
            return general(row, (x,))
        xd, register = x._data, x._register
        if xd is None:
            xd = x._take_back()
        g = row.g                                       # an attribute that is called where it stands takes longer
        try:
            zd = g(xd)
        except Exception as error:
            raise _failed(row.name, (xd,), error) from error
        if type(zd) is not _ndarray:
            zd = _asarray(zd)
        z: Tensor = _new(_Tensor)
        z._data = zd
        tape = thread.tape
        if register is None or not tape.recording:
            z._register = None
            if tape.tracer is not None:
                tape.tracer.operation(row, (x,), (xd,), (), z)
            return z
        z._register = entry = Entry()
        if tape.tracer is not None:
            tape.tracer.operation(row, (x,), (xd,), (), z)
        entry.plan = row.plans[1]                       # a new one, once a kernel has been compiled
        entry.saved = zd if keep_z else None, xd if keep_x else None
        entry.g = row
        entry.ys = (register,)
        entry.shape = zd.shape
        entry.dtype = zd.dtype
        entry.delta = None
        entry.tape = tape
        entries = tape.entries
        entries.append(entry)
        if zd.nbytes > LARGE or len(entries) > tape.limit:
            tape.grown(zd.nbytes)
        return z

    return op


def binary(row: Primitive) -> Op:
    """The recorder of a row with two operands and no static arguments."""
    _, x_only, y_only, both = row.planned()
    reads_operands, reads_nothing = both.keep == (NOTHING, VALUE, VALUE), both.keep == (NOTHING,) * 3
    fresh = row.fresh

    def op(x: Any, y: Any) -> Tensor:
        if type(x) is _Tensor:
            xd, xr = x._data, x._register
            if xd is None:
                xd = x._take_back()
        elif type(x) in (float, int):
            xd, xr = x, None
        else:
            x = _operand(row.name, x)
            if type(x) is _ndarray:
                x = x if fresh else constant(x)
            elif type(x) is not _Tensor and isinstance(x, TensorBase):
                return x._operate(row, (x, y), ())      # type: ignore[no-any-return]
            xd, xr = (x._data, x._register) if type(x) is _Tensor else (x, None)
        if type(y) is _Tensor:
            yd, yr = y._data, y._register
            if yd is None:
                yd = y._take_back()
        elif type(y) in (float, int):
            yd, yr = y, None
        else:
            y = _operand(row.name, y)
            if type(y) is _ndarray:
                y = y if fresh else constant(y)
            elif type(y) is not _Tensor and isinstance(y, TensorBase):
                return y._operate(row, (x, y), ())      # type: ignore[no-any-return]
            yd, yr = (y._data, y._register) if type(y) is _Tensor else (y, None)
        g = row.g
        try:
            zd = g(xd, yd)
        except Exception as error:
            raise _failed(row.name, (xd, yd), error) from error
        if type(zd) is not _ndarray:
            zd = _asarray(zd)
        z: Tensor = _new(_Tensor)
        z._data = zd
        tape = thread.tape
        if not tape.recording or xr is yr is None:
            z._register = None
            if tape.tracer is not None:
                tape.tracer.operation(row, (x, y), (xd, yd), (), z)
            return z
        z._register = entry = Entry()
        if tape.tracer is not None:
            tape.tracer.operation(row, (x, y), (xd, yd), (), z)
        if xr is None:
            if type(x) is _ndarray:                     # not before now: only the tape keeps it
                x = constant(x)
                xd = x._data
            plan, xr = y_only, x
        elif yr is None:
            if type(y) is _ndarray:
                y = constant(y)
                yd = y._data
            plan, yr = x_only, y
        else:
            plan = both
        if reads_nothing:                               # the most common cases: an unpacked plan takes longer
            entry.saved = _NOTHING_SAVED
        elif reads_operands and plan is both:
            entry.saved = None, xd, yd
        else:
            keep_z, keep_x, keep_y = plan.keep
            entry.saved = zd if keep_z else None, xd if keep_x else None, yd if keep_y else None
        entry.plan = plan
        entry.g = row
        entry.ys = xr, yr
        entry.shape = zd.shape
        entry.dtype = zd.dtype
        entry.delta = None
        entry.tape = tape
        entries = tape.entries
        entries.append(entry)
        if zd.nbytes > LARGE or len(entries) > tape.limit:
            tape.grown(zd.nbytes)
        return z

    return op


def recorder(row: Primitive) -> Op:
    """The function of tensors that computes and records the row."""
    more = row.static_names or any(reads and SHAPE in reads for reads in row.reads)
    if row.variadic:
        op = lambda xs, *static: general(row, tuple(xs), static)  # noqa: E731
    elif row.has_no_derivative or row.arity > 2 or row.arity == 2 and more or row.composition is not None:
        arity = row.arity
        op = lambda *arguments: general(row, arguments[:arity], arguments[arity:])  # noqa: E731
    elif row.arity == 2:
        op = binary(row)
    else:
        op = unary_with_static(row) if more else unary(row)
    op.__name__ = op.__qualname__ = row.name
    op.__doc__ = row.doc
    return op


class _Recorded(Vocabulary):
    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Op: ...


recorded = _Recorded(of_row=recorder)
