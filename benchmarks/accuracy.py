"""How exact tapegrad.scipy.special and stats are: worst errors against mpmath at 30 digits, in units in the last place.

    python benchmarks/accuracy.py > benchmarks/ACCURACY.md

Over the grids of tests/test_special.py and tests/mpmath_oracle.py, which go to the edges of the domains and far into the tails.
A value of special is SciPy's own, and so is a probability; densities, logarithms of small probabilities and all derivatives are
tapegrad's. Where a derivative is a difference of greater terms, or near one of its zeros, its error is to be read in units of
the greatest on the grid. By what a function has no derivative, such as the shapes of gamma.cdf, there is no line.
"""

import sys
from pathlib import Path

import numpy as np

import tapegrad as tg
from tapegrad.scipy import special, stats

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import mpmath_oracle as oracle  # noqa: E402
from test_special import FUNCTIONS, grids  # noqa: E402


def ulps(found, wanted):
    """(the worst error in units in the last place of each value, in those of the greatest value)."""
    error = np.abs(np.asarray(found) - wanted)
    error[found == wanted] = 0                          # infinite ones
    own = np.where(error > 0, error / np.spacing(np.abs(wanted)), 0)
    return np.max(own[wanted != 0], initial=0), np.max(error) / np.spacing(max(np.max(np.abs(wanted)), np.finfo(float).tiny))


def lines(name, function, exact, arguments, wanted):
    """Of the table: value, and the first and second derivative by every argument that has one."""
    z = function(*[tg.tensor(x) if i in wanted else x for i, x in enumerate(arguments)])
    yield name, "value", *ulps(getattr(z, "data", z), oracle.exact(exact, arguments, (0,) * len(arguments)))
    for i in wanted:
        slope = function
        for order, title in ((1, "first"), (2, "second")):
            slope = tg.elementwise_grad(slope, i)
            orders = tuple(order * (k == i) for k in range(len(arguments)))
            place = f" by argument {i}" if len(wanted) > 1 else ""
            yield name, f"{title} derivative{place}", *ulps(slope(*arguments), oracle.exact(exact, arguments, orders))


def rows():
    """All lines: functions of special, methods of univariate distributions, densities of vectors."""
    for name, given in FUNCTIONS.items():
        if given:
            yield from lines(name, getattr(special, name), given[0], *grids(name))
    for name in oracle.DISTRIBUTIONS:
        for method in oracle.methods(name):
            function = getattr(getattr(stats, name), method)
            yield from lines(f"{name}.{method}", function, oracle.theirs(name, method), *oracle.points(name, method))
    for name, (of_numbers, exact, axes) in oracle.VECTORS.items():
        for method in ("logpdf", "pdf"):
            function = oracle.elementwise(of_numbers(getattr(getattr(stats, name), method)))
            yield from lines(f"{name}.{method}", function, oracle.exponential(exact) if method == "pdf" else exact,
                             [x.ravel() for x in np.meshgrid(*axes, indexing="ij")], range(len(axes)))


def main():
    print(f"# How exact special functions and distributions are\n\n{''.join(__doc__.partition('Over ')[1:]).strip()}\n")
    print("Worst errors in units in the last place: of the value itself, and of the greatest on the grid.\n")
    print("| function | what | of itself | of the greatest |\n|---|---|---:|---:|")
    with np.errstate(all="ignore"):
        for name, what, own, greatest in rows():
            print(f"| `{name}` | {what} | {own:.1f} | {greatest:.1f} |", flush=True)


if __name__ == "__main__":
    main()
