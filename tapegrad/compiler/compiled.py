"""tg.compile: the recordings of a function, and when it is run as it is."""

from __future__ import annotations

import gc
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from itertools import zip_longest
from operator import is_
from typing import Any

import numpy as np

from tapegrad.compiler.guards import Reader, Unreadable
from tapegrad.compiler.recording import FAILED, MISS, Place, Recording, array_of
from tapegrad.compiler.tracer import Tracer, depth_of_user
from tapegrad.compiler.watching import GENERATORS, watched
from tapegrad.core.tape import thread
from tapegrad.errors import CompileError
from tapegrad.functions.tensor import Tensor
from tapegrad.kernels.compile import loading_none
from tapegrad.kernels.progress import shown
from tapegrad.tree import leaves, rebuild, same

RECORDINGS = 64                         # of a function, the last ones used
ALIKE = 8                               # of one signature, for different values that the function looks at
CHANGING = 3                            # calls that change what the function reads, before it is recorded no more
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
        if tape.tracer is not None or tape.watch is not None or tape.levels or type(tape.entries) is not list:
            return self.fun(*args, **kwargs)            # a part of what is recorded, looked at step by step, or under vmap
        missed = None
        for i, recording in enumerate(self.cache):
            found = recording.match(args, kwargs, tape.recording)
            if found is None:
                continue
            if recording.place.reason is not None:
                return self._plainly(recording.place.reason, recording.place.where, args, kwargs)
            if recording.effects:
                found = [found]                         # replay() takes it out, and lets go of it
            result = recording.replay(found)
            if result is FAILED:                        # the function itself raises the error, at the user's line
                return self.fun(*args, **kwargs)
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
            warnings.warn(f"compile: {self.name} is run as it is, and not replayed: {reason}{where and f', {where}'}",
                          stacklevel=depth_of_user())

    def _record(self, args: Any, kwargs: Any, missed: Recording | None) -> Any:
        if self.always is not None:
            return self._plainly(*self.always, args, kwargs)
        known = self.recorded
        with self.lock, uncollected(), shown(self.name, "recording, for later calls to replay"):
            if self.recorded == known:
                return self._traced(args, kwargs, missed)
        return self(*args, **kwargs)                    # another thread has recorded meanwhile

    def _traced(self, args: Any, kwargs: Any, missed: Recording | None) -> Any:
        """The function, run once, and what came of it as a recording."""
        reader = Reader()
        try:
            reader.arguments(self.fun, args, kwargs, thread.tape.recording)
            reader.function(self.fun)
        except (Unreadable, RecursionError) as error:
            why = "it can reach structures that are nested too deeply" if isinstance(error, RecursionError) else str(error)
            if not reader.in_arguments:
                self.always = why, ""
            return self._plainly(why, "", args, kwargs)
        tracer, recording = Tracer(self.name, self.fallback == "error"), thread.tape.recording
        tracer.states = _states(reader.fragile)
        made = Recording(self.name, missed.place if missed is not None else Place(), reader)
        given = Given(args, kwargs, reader.inputs)
        with tracer.listens():
            tracer.of_arrays = bool(given.tensors)
            for x in reader.inputs:
                tracer.add_input(given.tensors.get(id(x), x))
            if generators := GENERATORS & reader.names:
                tracer.refuse(f"it can make a random generator, by {', '.join(generators)}")
            try:
                with watched(reader, tracer) as executed, loading_none():
                    traced = self.fun(*given.args, **given.kwargs)
            except Exception as error:
                if not given.tensors or isinstance(error, CompileError):
                    raise
                tracer.detach(f"it does not take tensors for its arrays: {type(error).__name__}: {error}")
                given = Given(args, kwargs, [])         # it may take the arrays
                traced = self.fun(*args, **kwargs)
            match = reader.compiled()
            if tracer.reason is None and reader.has(traced):
                tracer.refuse("it returns a container that it was given, or can reach")
            if not given.is_same():
                tracer.refuse("it changes a container that it was given")
            unchanged = match(args, kwargs, recording) is not None
            if tracer.reason is None and not (unchanged and _states(reader.fragile) == tracer.states):
                tracer.refuse("it changes a value, a container or a random generator that it can read, or that was given")
                tracer.where = ""
            made.match = match
            if tracer.reason is None:
                with tracer.silence():
                    self._built(made, tracer, traced, recording, self._lean(args, kwargs, recording, executed))
        if tracer.reason is not None:
            given.write_back()
        if not unchanged:
            self.changing += 1
            if self.changing >= CHANGING:
                self.always = tracer.reason or "", tracer.where
        if tracer.reason is not None:
            made.place = Place(tracer.reason, tracer.where)
        again = tracer.reason is None and made.only_computes()
        if again:
            traced = None                               # what it has kept for its derivatives goes before that of the replay
            thread.tape.reap()
        drawn = [array for *_, array in tracer.draws]
        output = MISS if tracer.reason is not None else made.first(args, kwargs, recording, drawn)
        if output is MISS or output is FAILED:
            output = self.fun(*args, **kwargs) if again else given.returned(traced, reader.knows_tensors)
        for read in (reader, made.reader):
            read.forget()
        self._keep(made, missed)
        if tracer.reason is not None:
            self._say(tracer.reason, tracer.where)
        return output

    def _lean(self, args: Any, kwargs: Any, recording: bool, executed: Any) -> Any:
        """A reader of only what the code that has run can read, and what it compares."""
        if executed is None:
            return None
        reader = Reader(executed)
        reader.arguments(self.fun, args, kwargs, recording)
        reader.function(self.fun)
        match = reader.compiled()
        if not executed <= reader.codes or match(args, kwargs, recording) is None:
            return None                                 # code was found only when it was called
        return reader, match

    def _built(self, made: Recording, tracer: Tracer, output: Any, recording: bool, lean: Any) -> None:
        tracer.finish()
        if tracer.reason is None:
            try:
                made.build(tracer, output, recording, lean, self.memory)
            except CompileError:
                raise
            except Exception as error:                  # the run was right, whatever can't be made of it
                tracer.refuse(f"no program can be made of it: {type(error).__name__}: {error}")

    def _keep(self, recording: Recording, missed: Recording | None) -> None:
        self.recorded += 1
        if missed is not None:
            missed.place.count += 1
            if missed.place.count > ALIKE:
                missed.place.reason = f"what it looks at differs from call to call, and has been recorded {ALIKE} times"
                missed.place.where = missed.lines_looked_at()
        self.cache = [recording, *self.cache][:RECORDINGS]
        if self.recorded > RECORDINGS and self.recorded > sum([other.replays for other in self.cache]):
            self.always = "its arguments, or the values that it reads, differ from call to call; give tensors or arrays", ""

    def clear(self) -> None:
        """Forget all recordings."""
        with self.lock:
            self.cache, self.always, self.recorded, self.changing = [], None, 0, 0
            self.said.clear()

    def program(self, *args: Any, **kwargs: Any) -> Text:
        """The recorded list of a call with these arguments, and beside it what runs; the call is made if it has not been."""
        recording = self._recording(args, kwargs)
        if recording is None or recording.place.reason is not None:
            return self.explain(*args, **kwargs)
        return Text(recording.listing())

    def explain(self, *args: Any, **kwargs: Any) -> Text:
        """What is compared before a call with these arguments is replayed; or why it is run as it is."""
        recording = self._recording(args, kwargs)
        if self.always is not None or recording is None:
            reason, where = self.always or ("the call changes what it reads", "")
            return Text(f"{self.name} is run as it is: {reason}{where and f', {where}'}")
        if recording.place.reason is not None:
            place = recording.place
            return Text(f"{self.name} is run as it is: {place.reason}{place.where and f', {place.where}'}")
        return Text(recording.explanation())

    def profile(self, *args: Any, **kwargs: Any) -> Text:
        """The time that each instruction of a call with these arguments takes."""
        recording = self._recording(args, kwargs)
        found = None if recording is None else recording.match(args, kwargs, thread.tape.recording)
        if recording is None or recording.place.reason is not None or found is None:
            return self.explain(*args, **kwargs)
        drawn = [g(np.random.default_rng(0)) for _, g in recording.draws]       # of this thread's generator nothing is drawn
        return Text(recording.program.profile([*found[0], *drawn]))

    def _recording(self, args: Any, kwargs: Any) -> Recording | None:
        """The recording that a call with these arguments would replay, made if there is none."""
        for _ in range(2):
            for recording in self.cache:
                if recording.match(args, kwargs, thread.tape.recording) is not None:
                    return recording
            self(*args, **kwargs)
        return None


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: it would walk all nodes again and again, as they are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Given:
    """The arguments as the traced function gets them: with a tensor for each array.

    tensors   {id of an array: the tensor}
    """

    def __init__(self, args: Any, kwargs: Any, inputs: list[Any]) -> None:
        self.args, self.kwargs = args, kwargs
        self.arrays = [x for x in inputs if isinstance(x, np.ndarray)]
        self.tensors = {id(x): Tensor(x) for x in self.arrays}
        self.original = args, kwargs
        if self.tensors:
            self.args, self.kwargs = rebuild((args, kwargs), iter([self.tensors.get(id(x), x) for x in leaves((args, kwargs))]))
        self.given = leaves((self.args, self.kwargs))

    def is_same(self) -> bool:
        """Whether the function has left the containers that it was given as they were; if not, the caller's become alike."""
        now = leaves((self.args, self.kwargs))
        if len(now) == len(self.given) and all(map(is_, now, self.given)) and same(self.original, (self.args, self.kwargs)):
            return True
        own = {id(self.tensors[id(x)]): x for x in self.arrays}
        _make_alike(self.original, (self.args, self.kwargs), own)
        return False

    def write_back(self) -> None:
        """Write to the arrays what the function has written to their tensors."""
        for x in self.arrays:
            if x.flags.writeable and x.shape == self.tensors[id(x)].shape:
                x[...] = self.tensors[id(x)]._array

    def returned(self, output: Any, knows_tensors: bool) -> Any:
        """What the function returned, as it would have from the arrays."""
        own = {id(self.tensors[id(x)]): x for x in self.arrays}
        before = leaves(output)
        found = [own.get(id(x), x) for x in before]
        if not knows_tensors:
            found = [array_of(x) if isinstance(x, Tensor) else x for x in found]
        return output if all(map(is_, found, before)) else rebuild(output, iter(found))


def _make_alike(original: Any, given: Any, own: dict[int, Any]) -> None:
    """Give lists and dicts the contents of those that stood for them."""
    if isinstance(original, (list, tuple)) and isinstance(given, (list, tuple)):
        for x, y in zip(original, given):
            _make_alike(x, y, own)
        if isinstance(original, list):
            original[:] = [x if isinstance(x, (list, tuple, dict)) and type(x) is type(y) else own.get(id(y), y)
                           for x, y in zip_longest(original[:len(given)], given)]
    elif isinstance(original, dict) and isinstance(given, dict):
        for key in list(original):
            if key not in given:
                del original[key]
        for key, y in given.items():
            x = original.get(key)
            if isinstance(x, (list, tuple, dict)) and type(x) is type(y):
                _make_alike(x, y, own)
            else:
                original[key] = own.get(id(y), y)


class Text(str):
    """Text that a prompt and a notebook show as it is."""

    __slots__ = ()
    __repr__ = str.__str__

    def _repr_html_(self) -> str:
        from tapegrad.debug.table import preformatted
        return preformatted(self)


def _states(generators: list[Any]) -> dict[int, str]:
    """{id: state} of random generators, and of those of NumPy and of Python."""
    held: Any = np.random.get_state()
    found = {0: repr((held[1].tobytes(), held[2])), 1: repr(random.getstate())}
    for g in generators:
        state = g.bit_generator.state if isinstance(g, np.random.Generator) else g.get_state() if hasattr(g, "get_state") \
            else g.getstate()
        found[id(g)] = repr(state)
    return found


def compile(fun: Callable[..., Any] | None = None, *, fallback: str = "warn", memory: int | None = None) -> Any:
    """`fun`, whose tape is recorded at the first call of a signature, and replayed at later ones. Also a decorator.

    fun        takes tensors, arrays, structures and Python values; returns a tensor, or a structure of tensors and values
    fallback   what to do about a function that can't be replayed: "warn" once and run it as it is, raise an "error"
               (CompileError), or run it "silent"ly
    memory     a budget in bytes for the values of a call that are neither given nor returned. Where it is less than they take,
               products of all time steps are not gathered, and values are computed again for the derivatives; where it can't
               be kept to, the call raises CompileError. Without kernels the function is run as it is

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
    if memory is not None and (type(memory) is not int or memory < 0):
        raise ValueError(f"compile: memory={memory!r}; it is a number of bytes, an int, or None")
    if fun is None:
        return partial(compile, fallback=fallback, memory=memory)
    if not callable(fun):
        raise TypeError(f"compile: a function is needed, not {type(fun).__name__}")
    return Compiled(fun, fallback, memory)
