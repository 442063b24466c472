"""Saving a tape to a file: readable text, and arrays.

The file is an .npz, which numpy.load and any zip tool open:

    tape.txt            the Wengert list as text (wengert/text.py), `z2 = sum(z1, axis=(0,), keepdims=False)`
    manifest.json       the version of this format, and the static arguments that hold arrays, say an index (:, ids)
    leaves/W.npy        values of the leaves, which have gradients
    constants/c1.npy    values of the other inputs
    static/z3.index.npy   arrays among the static arguments
    values/z1.npy       the results, with values=True

Nothing in it is pickled. It is written under a temporary name and then renamed, so a file is never incomplete.
"""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from tapegrad import wengert
from tapegrad.core.tape import TapeBase
from tapegrad.errors import WengertError, describe
from tapegrad.export.difference import Difference
from tapegrad.files import replacing
from tapegrad.functions.tensor import Tensor
from tapegrad.graph.capture import Capture
from tapegrad.wengert.listing import listed
from tapegrad.wengert.program import compiled
from tapegrad.wengert.text import WORDS, literal

FORMAT, VERSION = "tapegrad tape", 1
GROUPS = "leaves", "constants", "static", "values"


Path = str | os.PathLike[str]


def save_tape(path: Path, what: Tensor | TapeBase, *, leaves: Mapping[str, Any] | None = None, values: bool = False) -> None:
    """Save the part of the tape that a tensor depends on, or a whole tape, to a file for `load_tape` and numpy.load.

    path     of the file; an existing one is replaced when the new one is complete
    what     a tensor, such as the loss, or a tape, `tg.tape()`
    leaves   {name: array} of leaves, instead of the values found: the tape has saved the values that a derivative reads, others
             are read from their tensors
    values   whether to save the results of all entries, too

    The list is evaluated once and compared with the values saved on the tape. Raises GradientError if the value of a leaf is
    unknown; WengertError if a value differs from the recorded one, or if a static argument, such as a function, cannot be
    written as text; ConsumedTapeError after backward().

    >>> import os, tempfile
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save_tape(os.path.join(folder, "tape.npz"), tg.exp(x))
    ...     print(tg.load_tape(os.path.join(folder, "tape.npz")).text, end="")
    z1 = exp(x)
    """
    part = Capture(what, "save_tape", taken=WORDS)
    names = part.graph.names
    f, static = listed(part.graph, "save_tape")
    starting, constants, found = part.evaluated(leaves)
    arrays = {f"leaves/{names[node]}": x for node, x in starting.items()}
    arrays |= {f"constants/{names[node]}": x for node, x in constants.items()}
    manifest = {"format": FORMAT, "version": VERSION, "static": {}}
    for name, pieces in static.items():
        manifest["static"][name] = written = []
        for i, piece in enumerate(pieces if type(pieces) is list else [pieces]):
            if isinstance(piece, np.ndarray):
                arrays[f"static/{name}.{i}"] = piece
                written.append({"array": f"{name}.{i}"})
            else:
                written.append(repr(piece))
        if type(pieces) is not list:
            manifest["static"][name] = written[0]
    if values:
        arrays |= {f"values/{names[node]}": found[node] for node in part.graph.nodes}
    text = wengert.format(f) + "\n"
    _write(path, {"tape.txt": text, "manifest.json": json.dumps(manifest, indent=1) + "\n"}, arrays)


def _write(path, texts, arrays):
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def load_tape(path: Path, G: Mapping[str, Any] | None = None, DG: Mapping[str, Any] | None = None) -> "Kept":
    """Load a tape that `save_tape` has saved. Returns a Kept.

    G, DG    operators that tapegrad does not define, and their derivatives, as for `wengert.eval` and `wengert.backprop`

    Raises WengertError if the file was not written by `save_tape` or is damaged.

    >>> import os, tempfile, tapegrad as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "tape.npz")
    ...     tg.save_tape(path, (x * x).sum())
    ...     kept = tg.load_tape(path)
    >>> print(kept.text, end="")
    z1 = multiply(x, x)
    z2 = sum(z1, axis=None, keepdims=False)
    >>> kept.gradients()["x"].tolist()
    [2.0, 4.0]
    """
    path = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']!r}")
            if manifest["version"] != VERSION:
                raise ValueError(f"expected version {VERSION} of the format, got {manifest['version']}")
            text = archive.read("tape.txt").decode()
            groups = {group: {} for group in GROUPS}
            for member in archive.namelist():
                group, _, name = member.partition("/")
                if group in groups and name.endswith(".npy"):
                    content = io.BytesIO(archive.read(member))
                    groups[group][name.removesuffix(".npy")] = np.lib.format.read_array(content, allow_pickle=False)

        def load(piece):
            return groups["static"][piece["array"]] if type(piece) is dict else literal(piece)

        static = {name: tuple(map(load, pieces)) if type(pieces) is list else load(pieces)
                  for name, pieces in manifest["static"].items()}
        f = wengert.parse(text)
        for name in compiled(f).inputs:
            if not any(name in group for group in (groups["leaves"], groups["constants"], static)):
                raise ValueError(f"the array of {name} is missing")
    except (zipfile.BadZipFile, ValueError, TypeError, KeyError, EOFError, NotImplementedError) as error:
        raise WengertError(f"load_tape: {path} was not written by save_tape, or it is damaged: {error}") from error
    return Kept(path, text, f, groups["leaves"], groups["constants"], static, groups["values"], G, DG)


class Kept:
    """A tape loaded from a file.

    path        of the file
    text        the list as text
    leaves      {name: array} of the leaves, which have gradients
    constants   {name: array} of the other inputs
    """

    def __init__(self, path: str, text: str, f: list[Any], leaves: dict[str, Any], constants: dict[str, Any],
                 static: dict[str, Any], stored: dict[str, Any], G: Mapping[str, Any] | None, DG: Mapping[str, Any] | None):
        self.path, self.text, self.leaves, self.constants = path, text, leaves, constants
        self._f, self._static, self._stored, self._G, self._DG = f, static, stored, G, DG

    def wengert(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """The list, `[(z, g, (y1, .., yk)), ..]`."""
        return list(self._f)

    @cached_property
    def values(self) -> dict[str, Any]:
        """{name: array} of all leaves, constants and results: from the file, or evaluated."""
        if self._stored:
            return {**self.leaves, **self.constants, **self._stored}
        return self.eval()

    def eval(self, **replacements: Any) -> dict[str, Any]:
        """{name: array} of all values, with some leaves or constants replaced: `kept.eval(W=2 * kept.leaves["W"])`."""
        values = wengert.eval(self._f, self._inputs(replacements), G=self._G)
        return {name: np.asarray(value) for name, value in values.items() if name not in self._static}

    def backprop(self, seed: Any = 1.0, **replacements: Any) -> dict[str, Any]:
        """{name: delta} of all names: the derivatives of the last result, with delta `seed`."""
        return wengert.backprop(self._f, self._inputs(replacements), DG=self._DG, seed=seed, G=self._G)

    def gradients(self, seed: Any = 1.0, **replacements: Any) -> dict[str, Any]:
        """{leaf's name: its gradient}: the derivatives of the last result, with delta `seed`."""
        return wengert.backprop(self._f, self._inputs(replacements), DG=self._DG, seed=seed, G=self._G, wrt=list(self.leaves))

    def record(self, **replacements: Any) -> Tensor:
        """The last result, as a tensor: every entry is recorded on this thread's tape under its name, to be looked at there.

        A leaf becomes a new tensor that requires a gradient, unless a tensor is given for it, which is taken as it is. Raises
        WengertError for an operator in G or DG: a tape has tapegrad's own.

        >>> import os, tempfile
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "tape.npz")
        ...     tg.save_tape(path, (x * x).sum())
        ...     kept = tg.load_tape(path)
        >>> kept.record(x=np.array([3.0, 4.0])).item()
        25.0
        """
        own = {g for _, g, _ in self._f} & {*(self._G or ()), *(self._DG or ())}
        if own:
            raise WengertError(f"record: {', '.join(sorted(own))} is given in G or DG; a tape has tapegrad's own operators")
        given = {name: value for name, value in replacements.items() if isinstance(value, Tensor)}
        return compiled(self._f).recorded(self._inputs(replacements) | given, self.leaves)

    def diff(self, other: "Kept") -> Difference:
        """Compare with the tape `other`: entries added, removed and changed, and values that differ. See Difference."""
        return Difference(self._f, other._f, self.values, other.values, self._static, other._static)

    def _inputs(self, replacements):
        val = {**self.leaves, **self.constants}
        for name, value in replacements.items():
            if name not in val:
                raise WengertError(f"{self.path}: cannot replace {name}; expected one of {', '.join(val)}")
            value = value._value if isinstance(value, Tensor) else value
            array = np.asarray(value) if hasattr(value, "dtype") else np.asarray(value, val[name].dtype)
            if array.dtype.kind not in "biufc":
                raise WengertError(f"{self.path}: expected numbers for {name}, got {describe(array)}")
            val[name] = array
        return {**val, **self._static}

    def __repr__(self):
        return f"<tape of {len(self._f)} entries from {self.path}>"
