"""tg.compile: the recordings of a function, and when it is run as it is."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

import numpy as np

from tapegrad.compiler.guards import Reader, Unreadable
from tapegrad.compiler.recording import MISS, Place, Recording
from tapegrad.compiler.tracer import Tracer, users_line
from tapegrad.core.tape import thread
from tapegrad.errors import CompileError
from tapegrad.functions.tensor import Tensor
from tapegrad.tree import leaves, rebuild

RECORDINGS = 64                         # of a function, the last ones used
ALIKE = 8                               # of one signature, for different values that the function looks at
FALLBACKS = "warn", "error", "silent"


class Compiled:
    """A function that records its tape once for each signature, and replays it. What `compile` makes."""

    __name__: str

    def __init__(self, fun: Callable[..., Any], fallback: str, memory: int | None) -> None:
        update_wrapper(self, fun)
        self.fun, self.fallback, self.memory = fun, fallback, memory
        self.name = getattr(fun, "__name__", type(fun).__name__)
        self.cache: list[Recording] = []
        self.said: set[tuple[str, str]] = set()
        self.always: tuple[str, str] | None = None      # why it is run as it is, whatever the arguments
        self.recorded = self.changing = 0
        self.lock = threading.RLock()

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else partial(self, owner)

    def __repr__(self) -> str:
        return f"<compiled {self.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tape = thread.tape
        if tape.tracer is not None:                     # a part of another one that is being recorded
            return self.fun(*args, **kwargs)
        missed = None
        for i, recording in enumerate(self.cache):
            found = recording.match(args, kwargs, tape.recording)
            if found is None:
                continue
            if recording.place.reason is not None:
                return self._plainly(recording.place.reason, recording.place.where, args, kwargs)
            try:
                result = recording.replay(found)
            except CompileError:
                raise
            if result is MISS:
                missed = recording
                continue
            recording.replays += 1
            if i:
                self._to_front(recording)
            return result
        return self._record(args, kwargs, missed)

    def _to_front(self, recording: Recording) -> None:
        with self.lock:
            self.cache = [recording, *[other for other in self.cache if other is not recording]][:RECORDINGS]

    def _plainly(self, reason: str, where: str, args: Any, kwargs: Any) -> Any:
        """The function as it is."""
        self._say(reason, where)
        return self.fun(*args, **kwargs)

    def _say(self, reason: str, where: str) -> None:
        if self.fallback == "error":
            raise CompileError(f"compile: {self.name} can't be replayed: {reason}{where and f', {where}'}")
        if self.fallback == "warn" and (reason, where) not in self.said:
            self.said.add((reason, where))
            warnings.warn(f"compile: {self.name} is run as it is, and not replayed: {reason}{where and f', {where}'}", stacklevel=4)

    def _record(self, args: Any, kwargs: Any, missed: Recording | None) -> Any:
        if self.always is not None:
            return self._plainly(*self.always, args, kwargs)
        with self.lock:
            return self._traced(args, kwargs, missed)

    def _reader(self, args: Any, kwargs: Any) -> tuple[Reader, Any]:
        reader = Reader()
        reader.arguments(args, kwargs, thread.tape.recording)
        reader.function(self.fun)
        return reader, reader.compiled()

    def _traced(self, args: Any, kwargs: Any, missed: Recording | None) -> Any:
        try:
            reader, match = self._reader(args, kwargs)
        except (Unreadable, RecursionError) as error:
            self.always = (str(error), "") if not isinstance(error, RecursionError) else ("its code reads nested structures", "")
            return self._plainly(*self.always, args, kwargs)
        tracer = Tracer(self.name, self.fallback == "error")
        recording, states = thread.tape.recording, _states(reader.fragile)
        ndarrays = {id(x): Tensor(x) for x in reader.inputs if isinstance(x, np.ndarray)}
        with tracer.listens():
            for x in reader.inputs:
                tracer.add_input(ndarrays.get(id(x), x))
            given = args, kwargs
            if ndarrays:
                given = rebuild((args, kwargs), iter([ndarrays.get(id(x), x) for x in leaves((args, kwargs))]))
            output = self.fun(*given[0], **given[1])
            if tracer.reason is None:
                place = missed.place if missed is not None else Place()
                made = Recording(self.name, match, place, reader)
                with tracer.silence():
                    tracer.finish()
                    if tracer.reason is None:
                        made.build(tracer, output, recording)
        for x in reader.inputs:
            if id(x) in ndarrays and ndarrays[id(x)]._array is not x and tracer.reason is not None:
                _write_back(x, ndarrays[id(x)])
        found = match(args, kwargs, recording)
        if tracer.reason is None and (found is None or _states(reader.fragile) != states):
            tracer.refuse("it changes a value, a container or a random generator that it can read, or that was given")
            tracer.where = ""
        if found is None:
            self.changing += 1
            if self.changing >= 3:
                self.always = tracer.reason or "", tracer.where
        self._keep(made if tracer.reason is None else Recording(self.name, match, Place(tracer.reason, tracer.where), reader), missed)
        if tracer.reason is not None:
            self._say(tracer.reason, tracer.where)
        return output

    def _keep(self, recording: Recording, missed: Recording | None) -> None:
        self.recorded += 1
        if missed is not None:
            missed.place.count += 1
            if missed.place.count > ALIKE:
                missed.place.reason = f"what it looks at differs from call to call, and has been recorded {ALIKE} times"
                missed.place.where = missed.is_missed()
        self.cache = [recording, *self.cache][:RECORDINGS]
        if self.recorded > RECORDINGS and self.recorded > sum([other.replays for other in self.cache]):
            self.always = "its arguments, or the values that it reads, differ from call to call; give tensors or arrays", ""

    def clear(self) -> None:
        """Forget all recordings."""
        with self.lock:
            self.cache, self.always, self.recorded, self.changing = [], None, 0, 0
            self.said.clear()

    def _recording(self, args: Any, kwargs: Any) -> Recording | None:
        """The recording that a call with these arguments would replay, made if there is none."""
        for _ in range(2):
            for recording in self.cache:
                if recording.match(args, kwargs, thread.tape.recording) is not None:
                    return recording
            self(*args, **kwargs)
        return None


def _states(generators: list[Any]) -> Any:
    import random
    states = [np.random.get_state()[1:3], random.getstate()]
    return repr([(x[0].tobytes(), *x[1:]) if isinstance(x[0], np.ndarray) else x for x in states]
                + [g.bit_generator.state if isinstance(g, np.random.Generator) else g.get_state() if hasattr(g, "get_state")
                   else g.getstate() for g in generators])


def _write_back(x: Any, tensor: Tensor) -> None:
    """An array that the function has been given as a tensor gets what was written to that."""
    with np.errstate(all="ignore"):
        if x.flags.writeable and x.shape == tensor.shape:
            x[...] = tensor._array


def compile(fun: Callable[..., Any] | None = None, *, fallback: str = "warn", memory: int | None = None) -> Any:
    """`fun`, whose tape is recorded at the first call of a signature, and replayed at later ones. Also a decorator.

    fun        takes tensors, arrays, structures and Python values; returns a tensor, or a structure of tensors and values
    fallback   what to do about a function that can't be replayed: "warn" once and run it as it is, raise an "error"
               (CompileError), or run it "silent"ly
    memory     the bytes that a replay may keep for its derivatives, or None for all that it needs

    A signature is the shapes, dtypes and structure of the arguments, Python values, what requires a gradient, and whether the
    thread records. What the function looks at (`if x.sum() > 0`), closes over or reads of globals is compared before each
    replay; where it differs, the function is recorded again. Tensors that it closes over are read at each call.

    >>> @tg.compile
    ... def loss(x, W):
    ...     return (tg.tanh(x @ W) ** 2).sum()
    >>> x, W = np.ones((1, 2)), tg.tensor([[1.0], [2.0]], requires_grad=True)
    >>> for _ in range(2):
    ...     loss(x, W).backward()
    >>> bool(np.allclose(W.grad, 2 * tg.grad(loss, 1)(x, W.data)))
    True
    """
    if fallback not in FALLBACKS:
        raise ValueError(f"compile: fallback={fallback!r}; it is one of {', '.join(map(repr, FALLBACKS))}")
    if fun is None:
        return partial(compile, fallback=fallback, memory=memory)
    if not callable(fun):
        raise TypeError(f"compile: a function is needed, not {type(fun).__name__}")
    return Compiled(fun, fallback, memory)
