"""What a tensor is: an array, and the register that remembers how it came about.

The class that users see, with its operators and methods, is in functions/tensor.py.

The tape saves arrays, not copies of them, so nobody may write into a saved array. Tensors therefore have value
semantics, by copy on write:
  - `.data` lends the array to the user. If anything else holds it (the tape, a view, another tensor), the tensor first
    moves to a copy, and the tape keeps the original.
  - While an array is lent, `_data` is None, and a recording asks `_take_back` instead. That takes the array back if the
    user has let go of it, and otherwise hands a copy to the recording.
So a value that is mutated after it was recorded, through `.data`, an alias or an optimiser, leaves the gradient right.
It costs a test for None where nobody mutates; a copy where `.data` of a saved value is read; and a copy per recorded use of a
tensor while an alias of its array is alive.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import _getframe, getrefcount
from threading import get_ident
from typing import Any, TypeVar

import numpy as np

from tapegrad.core.entry import Entry, Handle, Leaf
from tapegrad.core.foreign import asks_for_product, unknown
from tapegrad.core.refcount import LONE_LOCAL
from tapegrad.core.tape import effect, listening, no_tensors, thread, tracer
from tapegrad.errors import DtypeError, GradientError, ShapeError, VmapError, describe, refuse_masked

_new: Any = object.__new__
T = TypeVar("T", bound="TensorBase")
Array = np.ndarray[Any, Any]


def to_read(x: Any) -> Any:
    """What a user's function is given of an array or tensor that belongs to the tape: nothing it does changes that."""
    if isinstance(x, np.ndarray):
        x = x.view()
        x.setflags(write=False)
        return x
    return x._again() if isinstance(x, TensorBase) else x


def elements(x: Any) -> Any:
    """The array of a tensor, of all examples under vmap, to be looked at; what is no tensor as it is."""
    return x._whole()._value if isinstance(x, TensorBase) else x


def _set_grad(x: TensorBase, value: Any) -> None:
    x.grad = value


def is_frozen(x: Any) -> bool:
    """Whether x is a tensor that has required a gradient, and no longer does: a parameter, which other tensors are not."""
    return isinstance(x, TensorBase) and x._register is None and hasattr(x, "_frozen")


def is_parameter(x: Any) -> bool:
    """Whether x is a leaf that requires a gradient, or has done so before it was frozen."""
    return isinstance(x, TensorBase) and (x.requires_grad and x.is_leaf or is_frozen(x))


def _made_frozen(kind: type[T], value: Any, name: str | None) -> T:
    x = kind(value, requires_grad=True, name=name)
    x.requires_grad = False
    return x


class TensorBase(Handle):
    """An n-dimensional array whose operations are recorded on the tape where a gradient is required.

    data            array_like. Python floats give float64, arrays keep their dtype. The data are copied. GradientError for a
                    tensor that requires a gradient, while the thread records: see tg.array and .detach()
    dtype           of the tensor, when it is not to be that of the data
    requires_grad   whether backward() computes a gradient for it; float and complex dtypes only
    name            its name on the tape
    """

    __slots__ = ("_data", "_register", "_lent", "_name", "_retained", "_frozen", "__weakref__")

    _data: Array | None
    _register: Entry | Leaf | None
    _lent: Array                                        # while the array is lent
    _name: str | None
    _retained: Leaf
    _frozen: bool                                       # set once it has required a gradient, and no longer does

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False, name: str | None = None) -> None:
        source = data
        if isinstance(data, TensorBase):
            data._stays("tensor: the data are a tensor that requires a gradient, which would be lost: use tg.array(x) for a "
                        "copy with it, x.detach() for one without")
            data = data._array if type(data) is type(self) and (dtype is None or dtype == data.dtype) else data._value
        refuse_masked(data)
        array = np.array(data, dtype=dtype)
        if array.dtype.kind not in "biufc":
            raise DtypeError(f"tensor: data of dtype {array.dtype}; numbers or booleans are needed")
        self._data, self._register = array, None
        if name is not None:
            self.name = name
        if requires_grad:
            self.requires_grad = True
        if listening and (listener := thread.tape.tracer) is not None:
            listener.made(self, source)

    # The value

    @property
    def _array(self) -> Array:
        """The array, for its shape and dtype."""
        return self._lent if self._data is None else self._data

    @property
    def _value(self) -> Array:
        """The array, to be read and not kept: what is done with its elements depends on them."""
        if listening and (listener := thread.tape.tracer) is not None:
            listener.read(self)
        return self._lent if self._data is None else self._data

    def _lend(self) -> Array:
        """The array, for reading and writing: nothing that the tape has saved is reached through it."""
        if listening and (listener := thread.tape.tracer) is not None:
            listener.lent(self)
        if self._data is not None:
            lent = self._data
            if getrefcount(lent) > LONE_LOCAL or lent.base is not None or not lent.flags.writeable:
                lent = lent.copy()
            self._lent, self._data = lent, None
        return self._lent

    def _whole(self) -> TensorBase:
        """The tensor itself; of one that stands for an example under vmap, the tensor of all examples."""
        return self

    @staticmethod
    def _foreign(x: Any) -> TensorBase | None:
        """What does the operations on an operand x that is neither a tensor nor an array, or None."""
        return None

    def _operate(self, row: Any, operands: Any, static: tuple[Any, ...]) -> Any:
        """row(*operands, *static), where this is among them: a subclass has its operations done in its own way."""
        raise NotImplementedError

    def _take_back(self) -> Array:
        """The array of a tensor that has lent it, to be kept by a recording."""
        lent = self._lent
        if getrefcount(lent) > LONE_LOCAL or lent.base is not None:
            return lent.copy()
        self._data, self._lent = lent, None             # type: ignore[assignment]
        return lent

    @property
    def data(self) -> Array:
        """The value, an ndarray that may be written to. Writing does not change gradients already recorded."""
        return self._lend()

    @data.setter
    def data(self, value: Any) -> None:
        if listening and (listener := thread.tape.tracer) is not None:
            listener.refuse("it assigns to .data")
        held = self._array
        if value is held:
            return
        value = np.asarray(value._value if isinstance(value, TensorBase) else value)
        if value.shape != held.shape:
            raise ShapeError(f"data: shape {value.shape} assigned to a tensor of shape {held.shape}; make a new tensor")
        if value.dtype != held.dtype:
            raise DtypeError(f"data: {value.dtype} assigned to a tensor of {held.dtype}; use .astype({held.dtype})")
        self._lent, self._data = value, None

    def numpy(self) -> Array:
        """The value as an ndarray, `.data` under PyTorch's name."""
        return self._lend()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if asks_for_product(_getframe(1)):
            return unknown(self)                        # type: ignore[no-any-return]
        self._stays("np.array, or a NumPy function that does not know tensors, of a tensor that requires a gradient, which "
                    "would be lost: use a function of tapegrad, tg.stack for a list of tensors, or .data for the value "
                    "without a gradient")
        if copy is False:
            return np.asarray(self._lend(), dtype=dtype)
        return np.array(self._value, dtype=dtype)

    def __dlpack__(self, **options: Any) -> Any:
        self._stays("__dlpack__ of a tensor that requires a gradient, which would be lost: use .detach()")
        return self._lend().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._value.__dlpack_device__()

    def item(self) -> Any:
        """The single element as a Python number."""
        return self._value.item()

    def tolist(self) -> Any:
        """The value as nested Python lists."""
        return self._value.tolist()

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._array.shape            # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements, a NumPy dtype."""
        return self._array.dtype            # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self._array)

    def __bool__(self) -> bool:
        return bool(self._value)

    def _number(self, conversion: str) -> Array:
        """The array, for a conversion to a number; GradientError where the number would drop a gradient unseen."""
        self._stays(f"{conversion} of a tensor that requires a gradient, which would be lost: use .item() for the number "
                    "without a gradient, a function of tapegrad (tg.sin(x), not math.sin(x)), or "
                    "tg.stack, not an ndarray that is filled")
        return self._value

    def _stays(self, otherwise: str) -> None:
        """GradientError if the tensor requires a gradient that is being recorded."""
        if self._register is not None and thread.tape.recording:
            raise GradientError(otherwise)

    def __float__(self) -> float:
        return float(self._number("float(x)"))

    def __int__(self) -> int:
        return int(self._number("int(x)"))

    def __complex__(self) -> complex:
        return complex(self._number("complex(x)"))

    def __index__(self) -> int:
        return self._number("an index or a count").__index__()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(str(self), spec)

    def __repr__(self) -> str:
        text = np.array2string(self._value, separator=", ", prefix="tensor(")
        if self._array.dtype != np.float64:
            text += f", dtype={self._value.dtype}"
        if self.name is not None:
            text += f", name={self.name!r}"
        if type(self._register) is Entry:
            text += f", made by {self._register.g.name}"
        elif self._register is not None:
            text += ", requires_grad=True"
        return f"tensor({text})"

    def __hash__(self) -> int:
        if listening and (listener := thread.tape.tracer) is not None:
            listener.hashed()
        return object.__hash__(self)

    # The register

    @property
    def requires_grad(self) -> bool:
        """Whether backward() from a function of this tensor reaches it. Can be set on leaves of a float dtype."""
        return self._register is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if type(self._register) is Entry:
            if not wanted:
                raise GradientError("requires_grad: this tensor is a result on the tape; use .detach()")
        elif not wanted:
            if self._register is not None:
                self._frozen = True
            self._register = None
        elif self._register is None:
            if self.dtype.kind not in "fc":
                raise DtypeError(f"requires_grad: a tensor of {self.dtype} has no gradient; make it with dtype=float")
            self._register = Leaf(self.shape, self.dtype, self.name)
            self._register.belongs_to(self)

    @property
    def is_leaf(self) -> bool:
        """True unless the tensor is a recorded result."""
        return type(self._register) is not Entry

    @property
    def name(self) -> str | None:
        """The tensor's name on the tape, or None."""
        return getattr(self, "_name", None)

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name
        if self._register is not None:
            self._register.name = name

    @property
    def grad(self) -> Any:
        """The gradient that backward() has accumulated: an ndarray of the same shape and dtype, or None."""
        where = self._register if type(self._register) is Leaf else getattr(self, "_retained", None)
        if listening and (listener := thread.tape.tracer) is not None:
            listener.gradient(self)
        return None if where is None else where.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if listening and (listener := thread.tape.tracer) is not None:
            listener.effect(_set_grad, (self, value), {}, no_tensors)
            return
        where = self._register if type(self._register) is Leaf else getattr(self, "_retained", None)
        if value is not None:
            if where is None:
                raise GradientError("grad: this tensor keeps no gradient; only leaves that require one do")
            if value.shape != where.shape or value.dtype != where.dtype:
                raise ShapeError(f"grad: {value.dtype} {value.shape} for a tensor of {where.dtype} {where.shape}")
        if where is not None:
            where.grad = value

    @effect
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the accumulated gradient: `.grad` is None again, or, without set_to_none, zeros if there was one."""
        self.grad = None if set_to_none or self.grad is None else np.zeros(self.shape, self.dtype)

    def retain_grad(self) -> None:
        """Have backward() keep the gradient of this result, too, in its `.grad`; after an item assignment, of the new value."""
        if (listener := tracer()) is not None:
            listener.refuse("it asks for the gradient of a result, with retain_grad()")
        if self._register is None:
            raise GradientError("retain_grad: this tensor does not require a gradient")
        if type(self._register) is Entry and not hasattr(self, "_retained"):
            self._retained = Leaf(self._register.shape, self._register.dtype)
            self._retained.belongs_to(self)
            self._register.retain(self._retained)

    def register_hook(self, function: Callable[[Any], Any]) -> Callable[[], None]:
        """Have every sweep call `function` with the complete delta of this tensor, and use what it returns, unless None.

        The delta is an array that is read-only, or a tensor with create_graph. The hook of a result goes with its entry, when
        a backward() consumes the tape; that of a leaf stays. Returns a function that takes it away.
        """
        if (listener := tracer()) is not None:
            listener.refuse("it registers a hook")
        if self._register is None:
            raise GradientError("register_hook: this tensor does not require a gradient")
        shape, dtype, active, running = self.shape, self.dtype, [True], set[int]()

        def replaced(d: Any) -> Any:
            if not active:
                return d
            me = get_ident()
            if me in running:
                raise GradientError("register_hook: a hook has called backward() on the graph that it hooks, which calls it "
                                    "again; call backward() after the sweep, or on another graph")
            running.add(me)
            try:
                new = function(to_read(np.asarray(d) if isinstance(d, np.generic) else d))
            finally:
                running.discard(me)
            if new is None:
                return d
            if getattr(new, "shape", None) != shape or new.dtype != dtype:
                raise ShapeError(f"register_hook: the hook returned {describe(new)} for a delta of {dtype} {shape}")
            if isinstance(d, TensorBase):               # as the sweep has them, and not a buffer that is written to again
                return new if isinstance(new, TensorBase) else type(d)(new)
            return np.array(new._value if isinstance(new, TensorBase) else new)

        self._register.hook(replaced)
        return active.clear

    def detach(self: T) -> T:
        """The same value as a constant: nothing flows back through it. Writing to one does not change the other."""
        z: T = _new(type(self))
        z._data, z._register = self._data if self._data is not None else self._take_back(), None
        if listening and (listener := thread.tape.tracer) is not None:
            listener.made(z, self)
        return z

    def _again(self: T) -> T:
        """Another tensor with the value and the register that this one has now."""
        z = self.detach()
        z._register = self._register
        return z

    def _become(self, other: TensorBase) -> None:
        """Take the value and the register of another tensor."""
        entry = other._register
        if type(entry) is Entry and any([y is self for y in entry.ys]):     # a constant so far: it stays an operand
            before = self.detach()
            before._name = self.name
            entry.ys = tuple([before if y is self else y for y in entry.ys])
        self._data, self._register = other._data, other._register
        self._lent = None                               # type: ignore[assignment]
        if hasattr(self, "_retained"):                  # it was that of the value before
            del self._retained
            if type(self._register) is Entry:
                self.retain_grad()

    def _refuse_write(self, what: str) -> None:
        """GradientError if a write would be recorded on a leaf that requires a gradient."""
        if type(self._register) is Leaf and thread.tape.recording:
            raise GradientError(f"{what}: this tensor is a leaf that requires a gradient; write to a result of it, x * 1, or, "
                                "where nothing is to be recorded, under tg.no_grad() or to x.data")

    def _write(self, z: TensorBase) -> None:
        """Become z. If nothing is recorded and there is a register that would be lost, only take the value, like `.data`."""
        if type(z) is not type(self):
            raise VmapError(f"vmap: a value that differs by example, {describe(z)}, is written into a tensor that all examples "
                            "share; write into a result of an argument that is mapped, or make a new tensor, as by tg.stack")
        if self._register is not None and not thread.tape.recording:
            np.copyto(self._lend(), z._value)
        else:
            self._become(z)

    def __reduce__(self) -> Any:
        if type(self._register) is Entry:
            raise GradientError("a result on the tape can't be copied or pickled; use .detach() first")
        if is_frozen(self):
            return _made_frozen, (type(self), self._value, self.name)
        return type(self), (self._value, None, self.requires_grad, self.name)
