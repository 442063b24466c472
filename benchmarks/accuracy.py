"""How exact tapegrad.scipy.special is: worst errors against mpmath at 30 digits, in units in the last place of float64.

    python benchmarks/accuracy.py > benchmarks/ACCURACY.md

Over the grids of tests/test_special.py, which go to the edges of the domains. A value is SciPy's own; a derivative is
tapegrad's. Where a derivative is a difference of greater terms, its error is in units of the greatest derivative on the grid.
"""

import sys
from pathlib import Path

import numpy as np

import tapegrad as tg
from tapegrad.scipy import special

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_special import FUNCTIONS, exact, grids  # noqa: E402


def ulps(found, wanted):
    """(the worst error in units in the last place of each value, in those of the greatest value).

    The former of values that mpmath's differences give all digits of.
    """
    error = np.abs(np.asarray(found) - wanted)
    if np.max(np.abs(wanted)) < 1e-20:                  # what mpmath's differences make of a constant
        return (0.0, 0.0) if not np.any(found) else (np.inf, np.inf)
    sure = np.abs(wanted) > 1e-12 * np.max(np.abs(wanted))
    return np.max((error / np.spacing(np.abs(wanted)))[sure]), np.max(error) / np.spacing(np.max(np.abs(wanted)))


def rows(name):
    """Lines of the table: value, and the first and second derivative by every argument that has one."""
    arguments, wanted = grids(name)
    function = getattr(special, name)
    z = function(*[tg.tensor(x) if i in wanted else x for i, x in enumerate(arguments)])
    yield "value", *ulps(z.data, exact(name, arguments, (0,) * len(arguments)))
    for i in wanted:
        slope = function
        for order, title in ((1, "first"), (2, "second")):
            slope = tg.elementwise_grad(slope, i)
            orders = tuple(order * (k == i) for k in range(len(arguments)))
            place = f" by argument {i}" if len(wanted) > 1 else ""
            yield f"{title} derivative{place}", *ulps(slope(*arguments), exact(name, arguments, orders))


def main():
    print(f"# How exact special functions are\n\n{__doc__.partition('Over ')[1]}{__doc__.partition('Over ')[2].strip()}\n")
    print("Worst errors in units in the last place: of the value itself, and of the greatest on the grid.\n")
    print("| function | what | of itself | of the greatest |\n|---|---|---:|---:|")
    for name in [name for name in FUNCTIONS if FUNCTIONS[name]]:
        for what, own, greatest in rows(name):
            print(f"| `{name}` | {what} | {own:.1f} | {greatest:.1f} |", flush=True)


if __name__ == "__main__":
    main()
