"""The errors of tapegrad.

Each is a subclass of the built-in class that a NumPy user would catch. It is raised at the wrong call, and its message has the
operation, the shapes and dtypes, and what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np


class ShapeError(ValueError):
    """The shapes of an operation's operands do not fit together.

    >>> tg.add(np.ones(2), np.ones(3))
    Traceback (most recent call last):
    tapegrad.errors.ShapeError: add(float64 (2,), float64 (3,)): operands could not be broadcast together ...
    """


class DtypeError(TypeError):
    """A dtype that the operation or a gradient does not support.

    >>> tg.tensor([1, 2], requires_grad=True)
    Traceback (most recent call last):
    tapegrad.errors.DtypeError: requires_grad: a tensor of int64 has no gradient; make it with dtype=float
    """


class GradientError(RuntimeError):
    """A gradient was requested that does not exist.

    >>> tg.tensor(1.0).backward()
    Traceback (most recent call last):
    tapegrad.errors.GradientError: ...
    """


class ConsumedTapeError(GradientError):
    """backward() reached entries that an earlier backward() has consumed; pass retain_graph=True to the earlier one.

    >>> loss = tg.exp(tg.tensor(1.0, requires_grad=True))
    >>> loss.backward()
    >>> loss.backward()
    Traceback (most recent call last):
    tapegrad.errors.ConsumedTapeError: ...
    """


class ThreadError(GradientError):
    """A tensor recorded on one thread's tape was used for a gradient on another's.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> loss = tg.exp(tg.tensor(1.0, requires_grad=True))
    >>> with ThreadPoolExecutor(1) as other:
    ...     other.submit(loss.backward).result()
    Traceback (most recent call last):
    tapegrad.errors.ThreadError: ...
    """


class GradcheckError(GradientError):
    """A derivative does not agree with central differences; see gradcheck.

    >>> tg.gradcheck(lambda x: x * x.detach(), np.array([1.0]))
    Traceback (most recent call last):
    tapegrad.errors.GradcheckError: gradcheck: <lambda>, element (0,) of argument 0 (float64 (1,)): the derivative is ...
    """


class CompileError(RuntimeError):
    """A function can't be replayed, and tg.compile was told that this is an error; the message says why, and where.

    >>> seen = []
    >>> tg.compile(lambda x: seen.append(x.tolist()), fallback="error")(np.zeros(100))
    Traceback (most recent call last):
    tapegrad.errors.CompileError: compile: <lambda> can't be replayed: it looks at the elements of float64 (100,), ...
    """


class VmapError(TypeError):
    """Something that can't be done for all examples at once, inside of a function that runs under vmap.

    >>> tg.vmap(lambda x: x if x > 0 else -x)(np.array([1.0, -2.0]))
    Traceback (most recent call last):
    tapegrad.errors.VmapError: vmap: the function looks at the elements of bool (), as bool(x), ...
    """


class StateError(ValueError):
    """What is loaded is not the state of the module, optimiser or object that it is loaded into, or no state at all.

    >>> tg.nn.Linear(2, 3).load_state_dict({"weight": np.zeros((3, 2), "f4")})
    Traceback (most recent call last):
    tapegrad.errors.StateError: Linear.load_state_dict: bias is missing
    """


class DistributedError(RuntimeError):
    """The processes of a distributed run do not fit together, one of them has ended, or MPI is not there: `init: mpiexec has
    started 4 processes, and mpi4py is not installed`. See tapegrad.distributed.
    """


class WengertError(ValueError):
    """A Wengert list, or the text or formula of one, cannot be parsed, evaluated or differentiated.

    >>> tg.wengert.eval([("z", "nothing", ("x",))], {"x": 1.0})
    Traceback (most recent call last):
    tapegrad.errors.WengertError: ...
    """


class AnomalyError(FloatingPointError):
    """A value or a delta is NaN or infinite, inside detect_anomaly().

    >>> with tg.detect_anomaly():
    ...     tg.log(np.array([1.0, 0.0]))
    Traceback (most recent call last):
    tapegrad.errors.AnomalyError: log(float64 (2,)): ... gave -inf at (1,) of float64 (2,)...
    """


def describe(value: object) -> str:
    """`float32 (3, 4)` for a tensor or an array, `2.5` for a Python number, else the name of the type."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} {tuple(value.shape)}"
    return repr(value) if isinstance(value, (bool, int, float, complex)) else type(value).__name__


def failed_call(name: str, operands: Iterable[object], error: Exception, static: Iterable[object] = ()) -> Exception:
    """The error to raise instead of NumPy's when operation `name` fails on `operands`: same class, more details."""
    if isinstance(error, VmapError):
        return VmapError(*error.args)
    kind = ShapeError if type(error) is ValueError else DtypeError if isinstance(error, TypeError) else type(error)
    given = ", ".join([describe(operand) for operand in operands] + [repr(argument) for argument in static])
    if "negative integer powers" in str(error):         # NumPy's other ValueErrors are about shapes
        return ValueError(f"{name}({given}): {error} Make the base or the exponent a float: x.astype(float) or -1.0")
    return kind(f"{name}({given}): {error}")


def is_sparse(x: Any) -> bool:
    """Whether x is a sparse matrix of SciPy, which is not loaded for the answer."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(x))


def refuse_masked(x: Any) -> None:
    """DtypeError for a masked array, whose mask would be lost, and for a sparse matrix, which is no array."""
    if type(x) is np.ndarray:
        return
    if is_sparse(x):
        raise DtypeError(f"a sparse matrix, {describe(x)}, is an operand of products only: S @ x, x @ S, tg.matmul, tg.dot; "
                         "elsewhere give S.toarray()")
    if isinstance(x, np.ma.MaskedArray):
        raise DtypeError("a masked array has no gradient, and its mask would be lost; give x.filled(0.0), or x.data and the "
                         "mask by where=, as in tg.sum(x.data, where=~x.mask)")
