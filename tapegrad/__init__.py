"""tapegrad: reverse-mode automatic differentiation on a tape that you can read.

The rooms, from low to high; each imports only what is before it (README.md beside this file says more):

    typing, files   types for annotations; how files are written
    errors, tree    the errors; dicts, lists and tuples of arguments
    kernels         numba kernels: elementwise, and fast paths of products, sums, softmax, optimisers
    primitives      the registry: a row per operation, G and DG side by side
    core            the tape, the tensor, recording, the reverse sweep
    functions       what users call, family by family
    linalg, fft     the faces of two families
    optim           gradient descent
    nn, data        networks under PyTorch's names; datasets and batches
    saving          what a run is made of in one file
    distributed     several processes that average their gradients, over MPI
    transforms      derivatives of functions, of any order; checkpoints; new primitives
    autograd        gradients of given outputs
    numpy, scipy    NumPy's and SciPy's names, for arrays and for tensors
    compat          autograd's interface
    graph           nodes: what is captured from a tape or a list, walked back, run, printed
    debug           traces, tables, drawings, blame, provenance, profiles
    compiler        functions that are recorded once and replayed
    wengert, xman   lists of (z, g, (y1, .., yk)) as data, and the expression manager that writes them
    export          a tape in a file; a tape as a NumPy program
    config          what it runs on
    command         what `python -m tapegrad` does: config, bench, warmup, show, explore
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tapegrad import functions
from tapegrad.core.tape import enable_grad as enable_grad, no_grad as no_grad, tape as tape
from tapegrad.debug.views import Tape as Tape
from tapegrad.functions.keywords import explained
from tapegrad.functions.tensor import Tensor as Tensor, from_dlpack as from_dlpack, tensor as tensor

if TYPE_CHECKING:                                       # what is loaded when it is first asked for, for editors
    from tapegrad import autograd as autograd, compat as compat, data as data, distributed as distributed, fft as fft
    from tapegrad import linalg as linalg, nn as nn, numpy as numpy, optim as optim, scipy as scipy, wengert as wengert
    from tapegrad import xman as xman
    from tapegrad.compiler.compiled import compile as compile
    from tapegrad.config import (
        get_num_threads as get_num_threads, set_num_threads as set_num_threads, show_config as show_config)
    from tapegrad.debug.anomaly import detect_anomaly as detect_anomaly
    from tapegrad.debug.blame import blame as blame
    from tapegrad.debug.provenance import provenance as provenance
    from tapegrad.debug.stepping import backward_steps as backward_steps
    from tapegrad.debug.tracing import traced as traced
    from tapegrad.export import export_numpy as export_numpy, load_tape as load_tape, save_tape as save_tape
    from tapegrad.functions import *  # noqa: F403
    from tapegrad.saving import load as load, save as save
    from tapegrad.transforms.checkpointing import checkpoint as checkpoint
    from tapegrad.transforms.extend import primitive as primitive
    from tapegrad.transforms.functional import (
        elementwise_grad as elementwise_grad, grad as grad, hessian as hessian, hvp as hvp,
        jacobian as jacobian, jvp as jvp, value_and_grad as value_and_grad, vjp as vjp)
    from tapegrad.transforms.gradient_check import gradcheck as gradcheck
    from tapegrad.transforms.implicit import custom_fixed_point as custom_fixed_point, custom_root as custom_root
    from tapegrad.transforms.vmap import vmap as vmap

__version__ = "0.2.0"

# What is not needed to compute and to walk back is loaded when it is first asked for.
LATER = {
    "compiler.compiled": "compile",
    "config": "get_num_threads set_num_threads show_config",
    "debug.anomaly": "detect_anomaly",
    "debug.blame": "blame",
    "debug.provenance": "provenance",
    "debug.stepping": "backward_steps",
    "debug.tracing": "traced",
    "export": "export_numpy load_tape save_tape",
    "saving": "load save",
    "transforms.checkpointing": "checkpoint",
    "transforms.extend": "primitive",
    "transforms.functional": "elementwise_grad grad hessian hvp jacobian jvp value_and_grad vjp",
    "transforms.gradient_check": "gradcheck",
    "transforms.implicit": "custom_fixed_point custom_root",
    "transforms.vmap": "vmap",
}
PUBLIC = ("Tensor", "__version__", "enable_grad", "from_dlpack", "no_grad", "tape", "tensor")
MODULES = ("autograd", "compat", "data", "distributed", "fft", "linalg", "nn", "numpy", "optim", "scipy", "wengert", "xman")
_module_of = {name: module for module, names in LATER.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"tapegrad.{name}")
    home = import_module(f"tapegrad.{_module_of[name]}") if name in _module_of else functions
    found = globals()[name] = explained(getattr(home, name), "tapegrad")
    return found


def __dir__() -> list[str]:
    return sorted({*PUBLIC, *MODULES, *_module_of, *dir(functions)})
