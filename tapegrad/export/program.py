"""A tape written out as a NumPy program: a function of the leaves that returns the result and its gradients.

The forward sweep has a line per entry, under the tape's names. The reverse sweep has the lines

    d_y = d_z * ..          # z = g(y, ..)
    d_W += x.T.dot(d_z)

which come from the derivative rules (graph/reverse.py, graph/numpy_text.py).

Equal bits. In float64 the result and the gradients have the same bits as on the tape, with the same NumPy, but for
normalisation, convolution and sums of windows, whose kernels add up in another order. If numba compiles sigmoid, tanh, relu,
erf and gelu, the program contains a function with the operations of the kernel's formula; otherwise the NumPy formula that is
its fallback. Matrix products are equal with the same BLAS and the same number of threads. The same holds in float32 if numba is
disabled. With numba, the last bits may differ in float32: the kernels of these functions use fused multiply-adds if the
machine has them, others add a product to a delta in one call or compute a cross entropy in one pass (kernels/).
"""

import builtins
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from tapegrad.errors import GradientError
from tapegrad.files import replacing
from tapegrad.functions.tensor import Tensor
from tapegrad.graph.capture import Capture
from tapegrad.graph.numpy_text import NumpyText, filled
from tapegrad.kernels.elementwise import PLAIN
from tapegrad.primitives import table


@dataclass
class NumpyProgram:
    """The result of `export_numpy`; `print` shows the text.

    text       of the program
    inputs     {name: array} of the arguments of its function: leaves, constants, and arrays used as indices
    """

    text: str
    inputs: dict[str, np.ndarray]

    def __str__(self):
        return self.text

    def save(self, path: str | PathLike[str]) -> None:
        """Write the text to `path`, and the inputs to an .npz beside it, which the program reads when it is run as a script."""
        with replacing(Path(path).with_suffix(".npz")) as file:
            np.savez(file, allow_pickle=False, **self.inputs)
        with replacing(path) as file:
            file.write(self.text.encode())


def export_numpy(loss: Tensor, path: str | PathLike[str] | None = None, *, name: str = "step",
                 wrt: Iterable[str] | None = None, leaves: Mapping[str, object] | None = None) -> NumpyProgram:
    """The tape of `loss` as a program: `def step(W, b, x): .. return loss, {"W": d_W, "b": d_b}`, which needs only NumPy.

    loss     a tensor with one element
    path     of the .py file to write, with the arguments' values in an .npz beside it; by default no file is written
    name     of the function
    wrt      the names of the leaves whose gradients to return; by default all
    leaves   {name: array} of leaves, instead of the values found, as for `save_tape`

    Returns a NumpyProgram. Raises WengertError, which names the row, if a row cannot be written in NumPy, such as a user's
    primitive; GradientError and ConsumedTapeError as `backward` does.

    >>> import tapegrad as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> program = tg.export_numpy((x * x).sum())
    >>> for line in program.text.splitlines():
    ...     if line.strip().startswith(("def", "z1", "d_x", "return")):
    ...         print(line.split("#")[0].strip())
    def step(x):
    z1 = x * x
    d_x = d_z1 * x
    d_x += d_z1 * x
    return z2, {"x": d_x}
    >>> program.inputs
    {'x': array([1., 2.])}
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"export_numpy: name must be a Python identifier and not a keyword, got {name!r}")
    if not isinstance(loss, Tensor):
        raise TypeError(f"export_numpy: expected a tensor, got {type(loss).__name__}")
    taken = {name, "np", "Path", "l", "I", "O", *keyword.kwlist, *dir(builtins), *table, *[f"{g}_float32" for g in PLAIN]}
    part = Capture(loss, "export_numpy", taken)
    names = part.graph.names
    if loss.size != 1:
        raise GradientError(f"export_numpy: expected a scalar result, got shape {loss.shape}")
    found = [names[leaf] for leaf in part.leaves]
    wrt = found if wrt is None else list(wrt)
    for wanted in wrt:
        if wanted not in found:
            raise GradientError(f"export_numpy: there is no leaf {wanted!r}; the leaves are {', '.join(found)}")
    with np.errstate(all="ignore"):                     # shapes and dtypes are inferred by running G on placeholder arrays
        text = NumpyText(part, wrt)
    starting, constants, _ = part.evaluated(leaves)
    values = {names[node]: x for node, x in {**starting, **constants}.items()} | dict(text.arrays.values())
    written = NumpyProgram(_program(part, text, name), {parameter: values[parameter] for parameter in text.parameters})
    if path is not None:
        written.save(path)
    return written


def _program(part, text, function):
    """The text of the file."""
    names, z = part.graph.names, part.graph.names[part.graph.outputs[-1]]
    if function in {"np", "Path", *text.writer.helpers}:
        raise ValueError(f"export_numpy: the name {function!r} is used by the program; choose another")
    described = {names[x]: f"{x.dtype} {x.shape}" for x in part.graph.inputs}
    described |= {name: f"{x.dtype} {x.shape}" for name, x in text.arrays.values()}
    leaves = {names[leaf] for leaf in part.leaves}
    given = [f"    {name:<12} {described[name]}{', leaf' * (name in leaves)}" for name in text.parameters]
    helpers = [line for helper in text.writer.helpers.values() for line in (*helper.split("\n"), "", "")]
    imports = sorted(text.writer.imports)
    found = [f'"{leaf}": {d}' for leaf, d in text.gradients.items()]
    return "\n".join([
        f'"""{z} and its gradients: a tape of tapegrad, written out.', "",
        f"{function}(..) runs the forward sweep, then the reverse sweep, where d_y is the delta of y: the derivative of",
        f"{z} with respect to y. It returns the value and {{leaf: gradient}}.", "", *given, '"""', "",
        *[line for line in imports if line.startswith("import")], "from pathlib import Path", "", "import numpy as np",
        *[line for line in imports if line.startswith("from")], "", "", *helpers,
        *filled(f"def {function}(", text.parameters, "):"), *text.forward, "", *text.reverse, "",
        *filled(f"    return {text.value}, {{", found, "}"), "", "",
        'if __name__ == "__main__":', '    with np.load(Path(__file__).with_suffix(".npz")) as inputs:',
        f"        value, gradients = {function}(**inputs)", f'    print("{z} =", value)',
        "    for leaf, gradient in gradients.items():", '        print(f"d {leaf} =", gradient, sep="\\n")', ""])
