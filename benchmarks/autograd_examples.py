"""Time per gradient of autograd's own examples, on autograd and on tapegrad.compat.autograd, in turns.

    python benchmarks/autograd_examples.py FOLDER               the folder examples/ of autograd's source distribution
    python benchmarks/autograd_examples.py FOLDER --seconds 5 --only gmm lstm

The examples run unchanged. Each is run once on each library until it asks for a gradient for the n-th time (--call, 1 by
default); that call, the function with its arguments, is kept and the example left. Then the two calls run in turns
(interleave.py). An example that asks for no gradient, or needs a package or data that are not here, is named.
"""

import argparse
import contextlib
import importlib
import io
import os
import sys
import warnings
from pathlib import Path

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"         # before NumPy is loaded

import numpy as np  # noqa: E402
from interleave import interleave, timed  # noqa: E402

from tapegrad.compat.autograd import install, uninstall  # noqa: E402

OPERATORS = ("grad", "value_and_grad", "elementwise_grad", "hessian_vector_product")


class Found(BaseException):
    """Raised through an example, whatever it catches, once it has asked for the gradient."""

    def __init__(self, call):
        self.call = call


def watched(operator, wanted):
    """An operator whose functions raise Found when they are called for the last of the wanted times."""
    def watching(fun, *options, **named):
        gradient = operator(fun, *options, **named)

        def called(*args, **kwargs):
            wanted[0] -= 1
            if not wanted[0]:
                raise Found(lambda: gradient(*args, **kwargs))
            return gradient(*args, **kwargs)

        return called

    return watching


def call_of(path, nth):
    """What calls the nth gradient that an example asks for, with whatever `import autograd` gives now; None without one."""
    autograd = importlib.import_module("autograd")
    before = {name: getattr(autograd, name) for name in OPERATORS}
    wanted = [nth]
    for name, operator in before.items():
        setattr(autograd, name, watched(operator, wanted))
    np.random.seed(0)
    modules, paths, arguments = set(sys.modules), list(sys.path), sys.argv
    sys.path[:0], sys.argv = [str(path.parent), str(path.parent.parent)], [str(path)]
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})
    except Found as found:
        return found.call
    finally:
        sys.path[:], sys.argv = paths, arguments
        for name, operator in before.items():
            setattr(autograd, name, operator)
        for name in set(sys.modules) - modules:         # those of the examples' folder are made of one of the libraries
            if str(path.parent) in str(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]
    return None


def calls(path, nth):
    """{library: the call}."""
    theirs = call_of(path, nth)
    install()
    try:
        ours = call_of(path, nth)
    finally:
        uninstall()
    return {"tapegrad": ours, "autograd": theirs}


def numbers(gradient):
    """The numbers in a gradient, in order."""
    if isinstance(gradient, dict):
        gradient = list(gradient.values())
    if isinstance(gradient, (list, tuple)):
        return np.concatenate([numbers(part) for part in gradient] or [np.zeros(0)])
    return np.ravel(gradient)


def measured(path, seconds, nth):
    """(seconds on tapegrad, on autograd, median ratio, largest relative difference of the gradients)."""
    runs = calls(path, nth)
    if None in runs.values():
        return None
    ours, theirs = [numbers(run()) for run in runs.values()]
    if ours.dtype.kind not in "fc" or theirs.dtype.kind not in "fc":        # it was called inside of a trace
        return None
    difference = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-300)
    once = timed(runs["tapegrad"])()
    repeats = max(1, int(0.005 / once))
    found = interleave({name: timed(run, repeats) for name, run in runs.items()}, seconds, "autograd")
    return found["tapegrad"][0], found["autograd"][0], found["tapegrad"][1], difference


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0, help="per example (default 2)")
    parser.add_argument("--call", type=int, default=1, help="which of the gradients that an example asks for (default 1)")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args(arguments)
    import matplotlib

    matplotlib.use("Agg")
    print("| example | tapegrad, us | autograd, us | ratio | difference |\n|---|---|---|---|---|")
    ratios = {}
    for path in sorted(options.folder.rglob("*.py")):
        if path.stem.startswith(("_", "data")) or options.only and path.stem not in options.only:
            continue
        try:
            found = measured(path, options.seconds, options.call)
        except Exception as error:
            print(f"| {path.stem} | {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} |||")
            continue
        if found is None:
            print(f"| {path.stem} | asks for no gradient of numbers |||")
            continue
        ours, theirs, ratios[path.stem], difference = found
        print(f"| {path.stem} | {ours * 1e6:.0f} | {theirs * 1e6:.0f} | {ratios[path.stem]:.2f} | {difference:.1e} |",
              flush=True)
    if ratios:
        print(f"\n{len(ratios)} examples: median {np.median(list(ratios.values())):.2f}, "
              f"largest {max(ratios.values()):.2f} ({max(ratios, key=ratios.get)})")
    return ratios


if __name__ == "__main__":
    main()
