"""tapegrad: reverse-mode automatic differentiation on a tape that you can read.

In the order in which to read the code:

    registers    what stands behind a name on the tape: an entry, a leaf
    tape         the Wengert list, one per thread; how entries leave it
    listing      the names under which it is read
    primitives   the registry: a row per operation, G and DG side by side
    kernels      the numba kernels of the rows that have one
    indicator, accumulation, narrow_rows    fast paths of products, sums and softmax; addresses: how kernels read arrays
    tensor       the array and its register; value semantics
    record       how a row becomes a function that appends to the tape
    sweep        the reverse sweep
    functions    what users call, family by family, and linalg and fft
    operators    what + and x.sum() and np.sin(x) mean
    optim_kernels, optim    gradient descent
    autograd, functional, checkpointing, gradient_check    derivatives of functions, of any order, and whether they are right
    extend       new primitives
    watching     what is looked at while operations run
    anomaly      where the first NaN comes from
    notes, tracing    what is remembered of entries, also when they are gone
    seeing       the tape as a table and as a drawing
    asking       where a gradient or a NaN comes from, what memory and time go to, whether each derivative is right
    config       what it runs on; `python -m tapegrad` prints it, and some timings
    wengert      lists of (z, g, (y1, .., yk)) as data: evaluated, differentiated, read and written
    xman         the expression manager, which writes such lists from formulas
    keeping      a tape in a file; a tape as a NumPy program
"""

from importlib import import_module

from tapegrad import functions, operators
from tapegrad.tape import enable_grad, no_grad, tape
from tapegrad.tensor import Tensor, from_dlpack, tensor

__version__ = "0.1.0"

# What is not needed to compute and to walk back is loaded when it is first asked for.
LATER = {
    "anomaly": "detect_anomaly",
    "asking": "backward_steps blame provenance",
    "checkpointing": "checkpoint",
    "config": "show_config",
    "extend": "primitive",
    "functional": "elementwise_grad grad hessian hvp jacobian jvp value_and_grad vjp",
    "gradient_check": "gradcheck",
    "keeping": "export_numpy load_tape save_tape",
    "tracing": "traced",
}
MODULES = ("autograd", "fft", "linalg", "optim", "wengert", "xman")
_module_of = {name: module for module, names in LATER.items() for name in names.split()}


def __getattr__(name):
    if name in MODULES:
        return import_module(f"tapegrad.{name}")
    home = import_module(f"tapegrad.{_module_of[name]}") if name in _module_of else functions
    found = globals()[name] = getattr(home, name)
    return found


def __dir__():
    return sorted({*globals(), *MODULES, *_module_of, *dir(functions)})
