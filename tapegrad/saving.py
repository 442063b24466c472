"""Saving what a run is made of to one file, and loading it again: tg.save and tg.load.

The file is a safetensors file, which other programs read: arrays by name, as model.0.weight or optimizer.state.3.m, and a
manifest in its metadata that says how they belong together, with numbers and texts. Nothing in it is pickled. It is written
under a temporary name, to the disk, and then renamed, so that there is always a whole file, whenever the process is stopped.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, StateError, describe, refuse_masked
from tapegrad.files import replacing
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import Array

__all__ = ["load", "save"]

FORMAT, VERSION = "tapegrad state", 1
Path = str | os.PathLike[str]


def _safetensors(name: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(f"{name}: the package safetensors is needed; pip install 'tapegrad[saving]'") from None
    return safetensors


# What a value is in the manifest: numbers, texts and None are themselves, all else is {kind: ..}.

def _encoded(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """The manifest's word for a value, whose arrays are put into `arrays`."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) is complex:
        return {"number": repr(value)}
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        refuse_masked(value)
        return _encoded_array(value._value if isinstance(value, Tensor) else np.asarray(value), name, arrays)
    if isinstance(value, np.random.Generator):
        return {"generator": _encoded(value.bit_generator.state, name, arrays)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, (str, int)) for key in value):
            raise TypeError(f"save: {name} has keys that are neither text nor integers")
        return {"dict": [[key, _encoded(held, f"{name}.{key}", arrays)] for key, held in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encoded(held, f"{name}.{i}", arrays) for i, held in enumerate(value)]}
    raise TypeError(f"save: {name} is {describe(value)}; what can be saved has a state_dict, or is an array, a generator, a "
                    "number, "
                    "a text, or a dictionary, list or tuple of them")


def _encoded_array(x: Array, name: str, arrays: dict[str, Array]) -> Any:
    if x.dtype.kind not in "biufc" or x.dtype.itemsize > (16 if x.dtype.kind == "c" else 8):
        raise DtypeError(f"save: {name} is {describe(x)}; booleans, integers, floats and complex numbers of at most 64 bits "
                         "are saved")
    if name in arrays:
        raise ValueError(f"save: two arrays have the name {name}")
    if name == "__metadata__":
        raise ValueError(f"save: {name} is what safetensors calls the manifest; give the array another name")
    plain = np.ascontiguousarray(x, x.dtype.newbyteorder("=")).reshape(x.shape)
    arrays[name] = plain if x.dtype.kind != "c" else plain[..., None].view(plain.real.dtype)
    return {"array": name} if x.dtype.kind != "c" else {"complex": name}


def _decoded(word: Any, arrays: Mapping[str, Array]) -> Any:
    """The value of a word of the manifest; any error where it is none."""
    if not isinstance(word, dict):
        return word
    (kind, held), = word.items()
    if kind in ("float", "number"):
        return float(held) if kind == "float" else complex(held)
    if kind == "array":
        return arrays[held]
    if kind == "complex":
        return arrays[held].view({"float32": np.complex64, "float64": np.complex128}[arrays[held].dtype.name])[..., 0]
    if kind == "dict":
        return {key: _decoded(value, arrays) for key, value in held}
    if kind in ("list", "tuple"):
        values = [_decoded(value, arrays) for value in held]
        return values if kind == "list" else tuple(values)
    if kind == "generator":
        state = _decoded(held, arrays)
        made = np.random.Generator(_BIT_GENERATORS[state["bit_generator"]]())
        made.bit_generator.state = state
        return made
    raise ValueError(f"{kind} in the manifest")


_BIT_GENERATORS: dict[str, Callable[[], Any]] = {
    kind.__name__: kind for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox,
                                     np.random.SFC64)}


def save(path: Path, /, **objects: Any) -> None:
    """Save objects by name to one file, from which tg.load goes on.

    path      of the file; an existing one is replaced when the new one is complete
    objects   anything with a state_dict, say modules, optimisers, schedulers and loaders; arrays and tensors; generators, as
              tg.generator(); numbers, texts, and dictionaries, lists and tuples of them

    TypeError for what is none of these, DtypeError for arrays of long doubles and objects, ImportError without safetensors.

    >>> import os, tempfile
    >>> model, other = tg.nn.Linear(2, 3), tg.nn.Linear(2, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.safetensors")
    ...     tg.save(path, model=model, random=tg.generator(), epoch=3)
    ...     epoch = tg.load(path, model=other, random=tg.generator())["epoch"]
    >>> epoch, np.array_equal(model.weight.data, other.weight.data)
    (3, True)
    """
    safetensors = _safetensors("save")
    arrays: dict[str, Array] = {}
    manifest = {"format": FORMAT, "version": VERSION, "objects": {
        name: _encoded(held.state_dict() if _has_state(held) else held, name, arrays) for name, held in objects.items()}}
    content = safetensors.numpy.save(arrays, metadata={"tapegrad": json.dumps(manifest, allow_nan=False)})
    with replacing(path) as file:
        file.write(content)


def _has_state(held: Any) -> bool:
    return hasattr(held, "state_dict") and hasattr(held, "load_state_dict")


def _read(path: Path) -> dict[str, Any]:
    """The values of a file by name; StateError for one that tg.save has not written."""
    safetensors = _safetensors("load")
    try:
        with safetensors.safe_open(os.fsdecode(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if "tapegrad" not in metadata:
                raise StateError(f"load: {path}: these are arrays that tg.save has not written; safetensors.numpy.load_file "
                                 "reads "
                                 "them, and a module's load_state_dict takes them")
            manifest = json.loads(metadata["tapegrad"])
            if manifest["format"] != FORMAT or manifest["version"] != VERSION:
                raise StateError(f"load: {path}: {manifest['format']}, version {manifest['version']}; this is tapegrad of "
                                 f"{FORMAT}, version {VERSION}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        return {name: _decoded(word, arrays) for name, word in manifest["objects"].items()}
    except (StateError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (safetensors.SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StateError(f"load: {path}: this is no file that tg.save has written, or it is damaged ({type(error).__name__}: "
                         f"{error})"
                         ) from None


def _filled(name: str, held: Any, value: Any) -> tuple[Callable[[], Any], Callable[[], Any], Any]:
    """How to put a value into an object, how to undo that, and what load() returns for it; an error where it does not fit."""
    if _has_state(held):
        if not isinstance(value, dict):
            raise StateError(f"load: {name} is {describe(value)}, not the state of a {type(held).__name__}")
        before = deepcopy(held.state_dict())
        return (lambda: held.load_state_dict(value)), (lambda: held.load_state_dict(before)), held
    if isinstance(held, np.random.Generator):
        kind = type(held.bit_generator).__name__
        if not isinstance(value, np.random.Generator) or type(value.bit_generator).__name__ != kind:
            raise StateError(f"load: {name} is {describe(value)}, not a generator by {kind}")
        bits, old, new = held.bit_generator, held.bit_generator.state, value.bit_generator.state
        return (lambda: setattr(bits, "state", new)), (lambda: setattr(bits, "state", old)), held
    if isinstance(held, (Tensor, np.ndarray)):
        for error, fact in ((ShapeError, "shape"), (DtypeError, "dtype")):
            if not isinstance(value, np.ndarray) or getattr(value, fact) != getattr(held, fact):
                raise error(f"load: {name} is {describe(value)} for {describe(held)}")
        target: Array = held.data if isinstance(held, Tensor) else held
        if not target.flags.writeable:
            raise StateError(f"load: {name} is an array that can only be read")
        copy = target.copy()
        return (lambda: np.copyto(target, value)), (lambda: np.copyto(target, copy)), held
    if isinstance(held, np.generic) and np.ndim(value) == 0 and np.asarray(value).dtype == held.dtype:
        return (lambda: None), (lambda: None), held.dtype.type(value)
    if type(held) is not type(value):
        raise StateError(f"load: {name} is {describe(value)}, and a {type(held).__name__} is wanted")
    return (lambda: None), (lambda: None), value


def load(path: Path, /, **objects: Any) -> dict[str, Any]:
    """Load what tg.save has saved: into the objects of these names, and as the values that are returned, by name.

    objects   what has a load_state_dict gets its state; arrays and tensors of the saved shape and dtype are written to;
              generators get their state. A number or text is of the type of the saved one, which is returned. What is not
              given is returned, too: numbers, arrays, and states as dictionaries

    What does not fit raises, and then nothing is changed: StateError for a name that is not in the file, for another kind of
    object, and for a file that tg.save has not written or that is damaged; ShapeError and DtypeError for other arrays; what an
    object's load_state_dict raises. ImportError without safetensors.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.safetensors")
    ...     tg.save(path, best=0.5, x=np.ones(2))
    ...     tg.load(path)
    {'best': 0.5, 'x': array([1., 1.])}
    """
    values = _read(path)
    for name in objects:
        if name not in values:
            raise StateError(f"load: {path}: there is no {name}; there are {', '.join(values) or 'no objects'}")
    steps = {name: _filled(name, held, values[name]) for name, held in objects.items()}
    done: list[Callable[[], Any]] = []
    try:
        for put, undo, _ in steps.values():
            done.append(undo)
            put()
    except BaseException:
        for undo in done[::-1]:
            undo()
        raise
    return {**values, **{name: result for name, (_, _, result) in steps.items()}}
